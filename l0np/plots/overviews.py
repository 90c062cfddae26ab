"""Several plots on one figure: of an answer, and of a path."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from l0np.plots.errors_of_targets import estimates, group_errors, sorted_errors
from l0np.plots.new_figures import new_figure
from l0np.plots.runs import Path, path_errors, path_sizes
from l0np.plots.weight_histograms import g_weights, weights
from l0np.targets import TargetTable

TWO_BY_TWO, WITH_GROUPS, SIDE_BY_SIDE = (11.0, 8.0), (13.0, 8.5), (11.0, 4.2)  # inches


def answer_figure(targets: TargetTable, weight: ArrayLike, g_weight: ArrayLike, purpose: str) -> Any:
    """Return a figure of errors (sorted and, with groups, by group), estimates, weights and g-weights.

    `weight` and `g_weight` are those of the N or k records; `purpose` is named where matplotlib is missing.
    """
    if targets.group is None:
        figure = new_figure(purpose, TWO_BY_TWO)
        parts = figure.subplot_mosaic("AC;DE")
    else:
        figure = new_figure(purpose, WITH_GROUPS)
        parts = figure.subplot_mosaic("AAABBB;CCDDEE")
        group_errors(targets, parts["B"])
    sorted_errors(targets, parts["A"])
    estimates(targets, parts["C"])
    weights(weight, parts["D"])
    g_weights(g_weight, parts["E"])
    return figure


def path_figure(path: Path, purpose: str) -> Any:
    """Return a figure of the errors and the effective sample size for each number of records."""
    figure = new_figure(purpose, SIDE_BY_SIDE)
    left, right = figure.subplots(1, 2)
    path_errors(path, left)
    path_sizes(path, right)
    return figure
