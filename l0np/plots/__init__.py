"""Pictures of answers, paths and runs, drawn by matplotlib (extra `plot`), which is loaded when one is drawn.

Each function draws on the Axes that it is given, or on those of a new figure, and returns them.
`answer_figure` and `path_figure` put several on one figure: `Calibration.plot` and `CalibrationPath.plot`.
Colours and scales are those of `axes.py`; errors are shown on a logarithmic axis, down to what counts as met.
"""

from l0np.plots.errors_of_targets import estimates, group_errors, sorted_errors
from l0np.plots.new_figures import new_figure, svg_of
from l0np.plots.overviews import answer_figure, path_figure
from l0np.plots.runs import active_counts, held_out_errors, losses, path_errors, path_sizes
from l0np.plots.weight_histograms import g_weights, weights

__all__ = [
    "active_counts",
    "answer_figure",
    "estimates",
    "g_weights",
    "group_errors",
    "held_out_errors",
    "losses",
    "new_figure",
    "path_errors",
    "path_figure",
    "path_sizes",
    "sorted_errors",
    "svg_of",
    "weights",
]
