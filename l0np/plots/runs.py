"""Errors and sizes against the number of records, and loss and active count over epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l0np._text import shorten
from l0np.errors import InputError
from l0np.inputs import known_arguments, validation
from l0np.plots.axes import (
    AFTER,
    BEFORE,
    HELD_OUT,
    Floats,
    axes_of,
    drawn_errors,
    error_scale,
    labelled,
    log_scale,
    markers,
    number_label,
    size_scale,
)

MOST_FOLDS = 8  # up to which each fold is named
NAME = 24  # characters of a fold's name that are shown


class Path(Protocol):
    """What is drawn of a path; arrays of one length, see `CalibrationPath`."""

    @property
    def n_active(self) -> NDArray[np.int64]: ...  # noqa: D102  # see the class
    @property
    def mean_error(self) -> Floats: ...  # noqa: D102
    @property
    def worst_error(self) -> Floats: ...  # noqa: D102
    @property
    def effective_sample_size(self) -> Floats: ...  # noqa: D102


class HeldOut(Protocol):
    """What is drawn of `Holdout`: numbers of records, folds, and errors by fold and number."""

    @property
    def n_active(self) -> NDArray[np.int64]: ...  # noqa: D102  # see the class
    @property
    def folds(self) -> tuple[tuple[Any, ...], ...]: ...  # noqa: D102
    @property
    def held_out_error(self) -> Floats: ...  # noqa: D102
    @property
    def fitted_error(self) -> Floats: ...  # noqa: D102


@known_arguments()
def path_errors(path: Path, axes: Any = None) -> Any:
    """Draw the mean and the largest relative error of the targets against the number of records.

    Parameters
    ----------
    path : CalibrationPath
        What `l0_path` returned.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    InputTypeError
        For anything else than a path.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> M = np.random.default_rng(0).lognormal(size=(9, 200))
    >>> path = l0np.l0_path(M, M.sum(axis=1), n_active=[5, 20, 80], seed=0)
    >>> [line.get_label() for line in l0np.plots.path_errors(path).lines]
    ['worst target', 'mean']
    """
    _check("path", path, "a CalibrationPath", "n_active", "mean_error", "worst_error")
    axes = axes_of(axes)
    worst, mean = drawn_errors(path.worst_error), drawn_errors(path.mean_error)
    sizes, small = path.n_active, {"markersize": 4}
    axes.plot(sizes, worst, color=BEFORE, linestyle="--", label="worst target", marker="s", **small)
    axes.plot(sizes, mean, color=AFTER, label="mean", marker="o", **small)
    size_scale(axes, path.n_active)
    error_scale(axes, "y", [worst, mean])
    return labelled(axes, "Errors of the targets", "records", "relative error (absolute)")


@known_arguments()
def path_sizes(path: Path, axes: Any = None) -> Any:
    """Draw Kish's effective sample size against the number of records; equal weights give the gray line.

    Parameters
    ----------
    path : CalibrationPath
        What `l0_path` returned.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    InputTypeError
        For anything else than a path.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> M = np.random.default_rng(0).lognormal(size=(9, 200))
    >>> path = l0np.l0_path(M, M.sum(axis=1), n_active=[20, 80], seed=0)
    >>> l0np.plots.path_sizes(path).get_ylabel()
    'effective sample size'
    """
    _check("path", path, "a CalibrationPath", "n_active", "effective_sample_size")
    axes, sizes = axes_of(axes), np.asarray(path.n_active)
    effective = np.asarray(path.effective_sample_size)
    axes.plot(sizes, sizes, color="gray", linewidth=1, linestyle=":", label="equal weights")
    axes.plot(sizes, effective, color=AFTER, marker="o", markersize=4, label="these weights")
    size_scale(axes, sizes)
    if len(np.unique(sizes)) > 1 and (effective > 0).all():
        log_scale(axes, "y", float(effective.min()), float(sizes.max()))
    else:
        axes.yaxis.set_major_formatter(number_label)
    return labelled(axes, "Effective sample size (Kish)", "records", "effective sample size")


@known_arguments()
def held_out_errors(holdout: HeldOut, axes: Any = None) -> Any:
    """Draw the mean errors of held-out targets against the number of records: each fold, and the mean.

    Parameters
    ----------
    holdout : Holdout
        What `holdout` returned.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn; the dashed line is the mean error of the targets that were fitted.

    Raises
    ------
    InputTypeError
        For anything else than the answer of `holdout`.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> M = np.random.default_rng(0).lognormal(size=(4, 200))
    >>> found = l0np.holdout(M, M.sum(axis=1), [20, 80], groups=["a", "a", "b", "b"], seed=0)
    >>> [line.get_label() for line in l0np.plots.held_out_errors(found).lines]
    ['a left out', 'b left out', 'mean of held out', 'mean of fitted']
    """
    _check("holdout", holdout, "what holdout returned", "n_active", "folds", "held_out_error")
    axes, folds = axes_of(axes), len(holdout.folds)
    drawn = [drawn_errors(holdout.held_out_error), drawn_errors(holdout.fitted_error.mean(axis=0))]
    for i, (fold, errors) in enumerate(zip(holdout.folds, drawn[0], strict=True)):
        if folds <= MOST_FOLDS:  # each in its own colour, with its name
            look = {"label": f"{shorten(', '.join(map(str, fold)), NAME)} left out"}
        else:
            look = {"color": HELD_OUT, "label": f"each of {folds} folds" if i == 0 else "_"}
        axes.plot(holdout.n_active, errors, alpha=0.45, linewidth=1, marker=".", **look)
    mean = drawn_errors(holdout.held_out_error.mean(axis=0))
    axes.plot(holdout.n_active, mean, color=HELD_OUT, linewidth=2.2, marker="o", label="mean of held out")
    style = {"color": AFTER, "linestyle": "--", "marker": "s", "markersize": 4}
    axes.plot(holdout.n_active, drawn[1], label="mean of fitted", **style)
    size_scale(axes, holdout.n_active)
    error_scale(axes, "y", [*drawn, mean])
    return labelled(axes, "Errors of held-out targets", "records", "mean relative error (absolute)")


@known_arguments()
def losses(history: Mapping[str, Any], axes: Any = None) -> Any:
    """Draw the loss over the epochs of a training: with drawn gates, and with those of test time.

    Parameters
    ----------
    history : callbacks.history()
        The figures of the reports of a fit, or any mapping with "epoch", "loss" and, if known,
        "test_time_loss".
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn; logarithmic if all losses are above 0.

    Raises
    ------
    InputError, InputTypeError
        If it holds no reports, or is no such mapping.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> reports = l0np.callbacks.history()
    >>> model = l0np.SparseCalibrationWeights(40, seed=0)
    >>> M = np.random.default_rng(0).lognormal(size=(4, 40))
    >>> _ = model.fit(M, M.sum(axis=1), epochs=60, verbose_freq=10, callbacks=[reports])
    >>> l0np.plots.losses(reports).get_xlabel()
    'epoch'
    """
    epochs, loss = _series(history, "epoch"), _series(history, "loss")
    axes, tested = axes_of(axes), history.get("test_time_loss")
    drawn = [loss]
    axes.plot(epochs, loss, color=AFTER, label="loss of the drawn gates", **markers(len(epochs)))
    if tested is not None:
        drawn.append(np.asarray(tested, np.float64))
        axes.plot(
            epochs, drawn[1], color=BEFORE, linestyle="--", label="at test time", **markers(len(epochs))
        )
    values = np.concatenate(drawn)
    if (values[np.isfinite(values)] > 0).all():
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter(number_label)
    return labelled(axes, "Loss", "epoch", "loss")


@known_arguments()
def active_counts(history: Mapping[str, Any], axes: Any = None) -> Any:
    """Draw the number of active records, or features, over the epochs of a training.

    Parameters
    ----------
    history : callbacks.history()
        The figures of the reports of a fit, or any mapping with "epoch" and "active_count".
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    InputError, InputTypeError
        If it holds no reports, or is no such mapping.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import l0np
    >>> l0np.plots.active_counts({"epoch": [50, 100], "active_count": [9, 5]}).get_ylabel()
    'active'
    """
    epochs, counts = _series(history, "epoch"), _series(history, "active_count")
    axes = axes_of(axes)
    axes.plot(epochs, counts, color=AFTER, **markers(len(epochs)))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(number_label)
    axes.yaxis.set_major_formatter(number_label)
    return labelled(axes, "Active", "epoch", "active")


def _series(history: Any, name: str) -> Floats:
    """Return a column of a history as numbers."""
    if not isinstance(history, Mapping):
        raise validation.wrong_kind("history", "a mapping such as callbacks.history()", history)
    if name not in history:
        raise InputError(f'history has no "{name}": its columns are {", ".join(map(str, history))}')
    values = np.asarray(history[name], np.float64)
    if not values.size:
        raise InputError("history holds no reports: nothing was trained with it, or no epoch was reported")
    return values


def _check(name: str, value: Any, wanted: str, *attributes: str) -> None:
    if not all(hasattr(value, attribute) for attribute in attributes):
        raise validation.wrong_kind(name, wanted, value)
