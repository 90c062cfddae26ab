"""Errors of targets: sorted, by group, and estimates against targets; before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted, shorten
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
)
from l0np.targets import TargetTable

MOST_POINTS = 400  # of a sorted curve: between them it is straight to the eye
MOST_GROUPS = 15
GROUP_NAME = 24  # characters of a group's name that are shown
RASTERISED = 1500  # points from which a picture of points is an image within an SVG or PDF
RELATIVE = "relative error (absolute)"


@known_arguments()
def sorted_errors(targets: Any, axes: Any = None) -> Any:
    """Draw the relative errors of the targets from the worst to the best, before and after.

    Each curve is sorted by itself. Errors up to 0.0001 %, which count as met, are drawn at that height.
    Targets that were held out have a curve of their own.

    Parameters
    ----------
    targets : TargetTable, Calibration or Diagnostics
        The targets, or an answer or diagnostics that have them.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    InputError, InputTypeError
        For anything that has no targets.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> M = np.random.default_rng(0).lognormal(size=(9, 200))
    >>> answer = l0np.calibrate(M, M.sum(axis=1), n_active=40, seed=0)
    >>> axes = l0np.plots.sorted_errors(answer)
    >>> axes.get_ylabel()
    'relative error (absolute)'
    """
    table, axes = table_of(targets), axes_of(axes)
    drawn, counts = [], []
    curves: dict[str, tuple[Floats, dict[str, Any]]] = {
        "before": (table.relative_before[table.asked], {"color": BEFORE, "linestyle": "--", "zorder": 3}),
        "after": (table.relative_error[table.asked], {"color": AFTER}),
        "held out, after": (table.relative_error[~table.fitted], {"color": HELD_OUT, "linestyle": "-."}),
    }
    for label, (errors, style) in curves.items():
        curve = np.sort(drawn_errors(errors[np.isfinite(errors)]))[::-1]
        if len(curve):
            shown = np.unique(np.linspace(0, len(curve) - 1, MOST_POINTS).round().astype(int))
            axes.plot(shown + 1, curve[shown], label=label, **style, **markers(len(curve)))
            drawn.append(curve)
            counts.append(len(curve))
    error_scale(axes, "y", drawn)
    if max(counts, default=0) > 1:
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.xaxis.set_major_formatter(number_label)
    return labelled(axes, "Errors of the targets", "targets, from the worst to the best", RELATIVE)


@known_arguments()
def group_errors(targets: Any, axes: Any = None, groups: Any = None) -> Any:
    """Draw the relative errors of each group of targets, before and after: the mean, and a line to the worst.

    The groups with the largest errors are shown, 15 at most. Targets that were held out, or of weight 0, do
    not count.

    Parameters
    ----------
    targets : TargetTable, Calibration or Diagnostics
        The targets, or an answer or diagnostics that have them.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.
    groups : array of Q labels, optional
        The group of each target; by default those of the table.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    InputError, InputTypeError
        For anything that has no targets, and for targets without groups.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> M = np.random.default_rng(0).lognormal(size=(4, 200))
    >>> answer = l0np.calibrate(M, M.sum(axis=1), n_active=40, seed=0, target_groups=["a", "a", "b", "b"])
    >>> [label.get_text() for label in l0np.plots.group_errors(answer).get_yticklabels()]
    ['b (2)', 'a (2)']
    """
    table = table_of(targets)
    labels = table.group if groups is None else validation.labels("groups", groups, len(table), per="target")
    if labels is None:
        raise InputError("these targets have no groups: give groups, one label for each target")
    axes = axes_of(axes)
    parts = _parts(table, np.asarray(labels))
    shown = parts[:MOST_GROUPS]
    drawn = []
    series = {"before": (BEFORE, "s", 0.16), "after": (AFTER, "o", -0.16)}
    for position, (label, (color, marker, shift)) in enumerate(series.items()):
        mean = np.array([means[position] for _, _, means, _ in shown])
        worst = np.array([ends[position] for _, _, _, ends in shown])
        if np.isfinite(mean).any():
            mean, worst = drawn_errors(mean), drawn_errors(worst)
            height = np.arange(len(shown))[::-1] + shift
            axes.hlines(height, mean, worst, color=color, linewidth=2)
            axes.plot(mean, height, marker, color=color, markersize=5, label=label)
            drawn += [mean, worst]
    error_scale(axes, "x", drawn)
    names = [f"{shorten(str(name), GROUP_NAME)} ({n:,})" for name, n, _, _ in shown]
    axes.set_yticks(np.arange(len(shown))[::-1], names)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    rest = len(parts) - len(shown)
    note = f"\n{counted(rest, 'group')} with smaller errors not shown" if rest else ""
    return labelled(axes, "Errors by group: mean, and line to the worst", f"{RELATIVE}{note}", "")


@known_arguments()
def estimates(targets: Any, axes: Any = None) -> Any:
    """Draw the estimate of each target against the target, before and after, on logarithmic axes.

    Points on the diagonal are met. Negative targets are drawn by their absolute values. Targets of 0, and
    those whose estimate is 0 or of another sign, have no place on such axes: the label counts them.

    Parameters
    ----------
    targets : TargetTable, Calibration or Diagnostics
        The targets, or an answer or diagnostics that have them.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    InputError, InputTypeError
        For anything that has no targets.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> M = np.random.default_rng(0).lognormal(size=(9, 200))
    >>> answer = l0np.calibrate(M, M.sum(axis=1), n_active=40, seed=0)
    >>> l0np.plots.estimates(answer).get_xscale()
    'log'
    """
    table, axes = table_of(targets), axes_of(axes)
    before = np.full(len(table), np.nan) if table.before is None else table.before
    is_raster = len(table) > RASTERISED
    style = {"linestyle": "", "rasterized": is_raster, "alpha": 0.5 if is_raster else 0.85}
    dot, cross = (2, 3) if is_raster else (4, 5)
    everything = np.ones(len(table), np.bool_)
    series = {
        "before": (everything, before, {"marker": "x", "color": BEFORE, "markersize": cross}),
        "after": (table.fitted, table.estimate, {"marker": "o", "color": AFTER, "markersize": dot}),
        "held out": (
            ~table.fitted,
            table.estimate,
            {"marker": "^", "color": HELD_OUT, "markersize": dot + 1},
        ),
    }
    drawn = []
    for label, (rows, estimate, look) in series.items():
        with np.errstate(invalid="ignore"):
            rows = rows & (table.target * estimate > 0)
        if rows.any():
            x, y = np.abs(table.target[rows]), np.abs(estimate[rows])
            axes.plot(x, y, label=label, **look, **style)
            drawn.append((x, y))
    for which, values in zip("xy", zip(*drawn, strict=True), strict=False):
        log_scale(axes, which, min(v.min() for v in values), max(v.max() for v in values))
    if drawn:
        ends = [min(x.min() for x, _ in drawn), max(x.max() for x, _ in drawn)]
        axes.plot(ends, ends, color="gray", linewidth=0.8, zorder=1.5, label="met")
    lost = int((table.target * table.estimate <= 0).sum())
    note = f"\n{counted(lost, 'target')} of 0 or of another sign not shown" if lost else ""
    return labelled(axes, "Estimates against targets", f"target{note}", "estimate")


def table_of(targets: Any) -> TargetTable:
    """Return the table of targets of what a user gave."""
    table = getattr(targets, "targets", targets)
    if not isinstance(table, TargetTable):
        raise validation.wrong_kind("targets", "a TargetTable, or an answer that has one", targets)
    if not len(table):
        raise InputError("there are no targets to draw")
    return table


def _parts(table: TargetTable, labels: NDArray[Any]) -> list[tuple[Any, int, list[float], list[float]]]:
    """Return (label, number, means, worst) of each group, (before, after) each; the worst group first."""
    parts: list[tuple[Any, int, list[float], list[float]]] = []
    errors = np.abs([table.relative_before, table.relative_error])
    for label in np.unique(labels[table.asked]).tolist():
        rows = errors[:, table.asked & (labels == label)]
        parts.append((label, rows.shape[1], rows.mean(axis=1).tolist(), rows.max(axis=1).tolist()))
    met = float(drawn_errors(0.0))
    return sorted(parts, key=lambda part: (-max(part[3][1], met), -np.nan_to_num(part[3][0])))
