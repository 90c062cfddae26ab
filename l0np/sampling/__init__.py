"""Balanced sampling: drawing records at random so that weighted totals stay nearly the same.

First come inclusion probabilities, then the cube method: the flight, whose arrivals have a compiled twin, and
the landing; or, in its place, thinning of the records that a flight has kept.
"""

from l0np.sampling.cube import CubeLimits, balanced_flight, balanced_sample
from l0np.sampling.inclusion import inclusion_probabilities, largest_fractions
from l0np.sampling.thinning import thin_out

__all__ = [
    "CubeLimits",
    "balanced_flight",
    "balanced_sample",
    "inclusion_probabilities",
    "largest_fractions",
    "thin_out",
]
