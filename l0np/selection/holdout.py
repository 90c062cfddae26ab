"""`holdout`: how well selections of k records estimate families of targets that they were not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np._text import columns, percentage
from l0np.errors import InputError
from l0np.inputs import index_names, row_mask, validation
from l0np.plots import held_out_errors
from l0np.refit import DEFAULT_BOUNDS
from l0np.selection.path import CalibrationPath, l0_path
from l0np.targets import TargetOptions, takes_target_options

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Holdout:
    """Errors of held-out targets, for each number of records; of F folds and K numbers.

    Attributes
    ----------
    n_active : array of shape (K,)
        Numbers of records, ascending.
    folds : tuple of F tuples
        The labels of the families that each fold left out.
    held_out_error, fitted_error : arrays of shape (F, K)
        Mean absolute relative error of the targets that were left out, and of those that were fitted.
    effective_sample_size : array of shape (F, K)
        Kish's, of each answer.
    """

    n_active: NDArray[np.int64]
    folds: tuple[tuple[Any, ...], ...]
    held_out_error: Floats
    fitted_error: Floats
    effective_sample_size: Floats

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Show one line for each number of records: means over the folds, and the worst fold."""
        rows = [["records", "held out", "worst fold", "fitted", "eff. size"]]
        for i, k in enumerate(self.n_active):
            errors = self.held_out_error[:, i]
            parts = [percentage(error, 2) for error in (errors.mean(), errors.max())]
            parts += [percentage(self.fitted_error[:, i].mean(), 2)]
            rows.append([f"{k:,}", *parts, f"{self.effective_sample_size[:, i].mean():,.1f}"])
        return "\n".join(columns(rows, (9, 11, 12, 10, 11)))

    def plot(self, axes: Any = None) -> Any:
        """Draw the errors of every fold and their mean against the number of records.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw; by default on a new figure. Both scales become logarithmic.

        Returns
        -------
        matplotlib.figure.Figure
            The figure of the axes.

        Raises
        ------
        MissingPackageError
            If matplotlib is not installed.
        """
        return held_out_errors(self, axes).figure


@takes_target_options
def holdout(
    M: Any,
    y: ArrayLike,
    n_active: Sequence[int],
    base_weights: ArrayLike = 1.0,
    *,
    groups: ArrayLike,
    folds: int | None = None,
    method: str = "auto",
    spread: float = 1.0,
    distance: str = "chi-square",
    bounds: tuple[float | None, float | None] = DEFAULT_BOUNDS,
    seed: int | None = None,
    **options: Unpack[TargetOptions],
) -> Holdout:
    """Leave whole families of targets out in turn, select records, and measure the errors of those left out.

    Targets of one family (an income by district, state and nation) say much about each other; errors of
    single targets left out would be too small.

    Parameters
    ----------
    M, y, base_weights, method, spread, distance, bounds, seed, **options
        As in `calibrate`; targets in `exclude` are left out of every fold and are not scored.
    n_active : sequence of int
        Numbers of records.
    groups : array of Q labels
        The family of each target.
    folds : int, optional
        Number of folds, 2 or more, among which the families are divided at random; by default each family is
        a fold.

    Returns
    -------
    Holdout
        Errors for each fold and each number of records; it prints itself.

    Raises
    ------
    InputError, InputTypeError
        For unusable arguments, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> rng = np.random.default_rng(0)
    >>> M = np.vstack([np.ones(600), rng.lognormal(size=(8, 600))])
    >>> found = l0np.holdout(M, M.sum(axis=1), [20, 200], groups=[0, 1, 1, 2, 2, 3, 3, 4, 4], folds=2, seed=0)
    >>> found.held_out_error.shape, bool((found.held_out_error[:, 1] < found.held_out_error[:, 0]).all())
    ((2, 2), True)
    """
    n_targets = validation.vector("y", y, np.size(y), np.dtype(np.float64), per="row of M").size
    family = validation.labels("groups", groups, n_targets, per="row of M")
    names: Any = options.get("names")
    excluded = row_mask("exclude", options.get("exclude"), n_targets, names or index_names(M, y))
    labels = np.unique(family[~excluded])
    if len(labels) < 2:
        raise InputError("groups must hold at least 2 families of targets that are not excluded")
    n_folds = len(labels)
    if folds is not None:
        n_folds = validation.integer("folds", folds, at_least=2, at_most=len(labels))
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    seed = validation.integer("seed", seed, at_least=0)
    order = labels if folds is None else np.random.default_rng(seed).permutation(labels)
    parts = [np.sort(part) for part in np.array_split(order, n_folds)]
    paths = []
    for part in parts:
        left_out = np.isin(family, part)
        asked: Any = options | {"exclude": excluded | left_out}
        paths.append(
            l0_path(
                M,
                y,
                n_active,
                base_weights=base_weights,
                method=method,
                spread=spread,
                distance=distance,
                bounds=bounds,
                seed=seed,
                **asked,
            )
        )
    return _errors(paths, parts, family, ~excluded)


def _errors(
    paths: list[CalibrationPath], parts: list[Any], family: NDArray[Any], scored: NDArray[np.bool_]
) -> Holdout:
    """Return the mean errors of each path."""
    held_out = []
    for path, part in zip(paths, parts, strict=True):
        is_left_out = np.isin(family, part) & scored
        errors = [np.abs(answer.targets.relative_error[is_left_out]).mean() for answer in path.answers]
        held_out.append(errors)
    return Holdout(
        paths[0].n_active,
        tuple(tuple(part.tolist()) for part in parts),
        np.array(held_out),
        np.array([path.mean_error for path in paths]),
        np.array([path.effective_sample_size for path in paths]),
    )
