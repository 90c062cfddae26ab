"""Balanced sampling: drawing records at random so that weighted totals stay nearly the same.

First come inclusion probabilities, then the cube method: the flight, whose arrivals have a compiled twin, and
the landing.
"""

from l0np.sampling.cube import CubeLimits, balanced_sample
from l0np.sampling.inclusion import inclusion_probabilities, largest_fractions

__all__ = ["CubeLimits", "balanced_sample", "inclusion_probabilities", "largest_fractions"]
