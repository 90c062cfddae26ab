"""Exact answers on a fixed selection, without gates: calibrated weights, and least squares.

`refit_to_targets` gives records the weights nearest to reference weights that meet the targets, for one of the distances of
Deville and Sarndal, by Newton's method; `Design` solves least squares on chosen columns of a regression.
"""

from l0np.refit.distances import Distance, distance_of
from l0np.refit.least_squares import Design, LeastSquares
from l0np.refit.refit import DEFAULT_BOUNDS, Refit, refit_to_targets, refit_weights

__all__ = [
    "DEFAULT_BOUNDS",
    "Design",
    "Distance",
    "LeastSquares",
    "Refit",
    "distance_of",
    "refit_to_targets",
    "refit_weights",
]
