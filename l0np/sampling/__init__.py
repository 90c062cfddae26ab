"""Balanced sampling: which records to draw, at random, so that weighted totals stay what they are over all records.

Inclusion probabilities first, then the cube method: the flight, whose arrivals have a compiled twin, and the landing.
"""

from l0np.sampling.cube import balanced_sample
from l0np.sampling.inclusion import inclusion_probabilities, largest_shares

__all__ = ["balanced_sample", "inclusion_probabilities", "largest_shares"]
