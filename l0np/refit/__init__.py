"""Exact answers on a fixed selection, without gates: calibrated weights, and least squares.

`RefitProblem` gives selected records the weights nearest to reference weights that meet the targets, for one
of the distances of Deville and Sarndal, by Newton's method; `Design` solves least squares on selected columns
of a regression.
"""

from l0np.refit.distances import DISTANCES, Distance, distance_of
from l0np.refit.least_squares import Design, LeastSquares, r_squared
from l0np.refit.refit import (
    DEFAULT_BOUNDS,
    Refit,
    RefitProblem,
    checked_total,
    refit_to_targets,
    warn_if_not_minimised,
)

__all__ = [
    "DEFAULT_BOUNDS",
    "DISTANCES",
    "Design",
    "Distance",
    "LeastSquares",
    "Refit",
    "RefitProblem",
    "checked_total",
    "distance_of",
    "r_squared",
    "refit_to_targets",
    "warn_if_not_minimised",
]
