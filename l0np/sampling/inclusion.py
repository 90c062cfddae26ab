"""Inclusion probabilities: how likely each record is to be drawn."""

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix, absolute_totals, largest_in_columns

Floats = NDArray[np.float64]


def inclusion_probabilities(size: Floats, least: Floats, k: float) -> Floats:
    """Return the probabilities ``min(1, max(c size, least))``, with c such that they add up to k.

    If `least` adds up to more than k, the probabilities are in proportion to `least` instead.

    Parameters
    ----------
    size : array of shape (N,)
        What the probabilities are proportional to, above 0. If these are base weights, all weights come out
        alike.
    least : array of shape (N,)
        Lower bounds in [0, 1], for records that matter so much for one total that chance must not omit them.
    k : float
        Number of records to select, or their expected number: above 0, at most N.

    Returns
    -------
    array of shape (N,)

    Examples
    --------
    >>> import numpy as np
    >>> inclusion_probabilities(np.ones(5), np.array([0.8, 0, 0, 0, 0]), 2)
    array([0.8, 0.3, 0.3, 0.3, 0.3])
    """
    if k >= len(size):
        return np.ones(len(size))
    if least.sum() >= k:
        size, least = least, np.zeros(len(size))
    # As c grows, a probability is first `least`, then in proportion to the size, then 1: its sum is linear
    # between knots
    starts, ends = least / np.where(size > 0, size, 1.0), 1.0 / np.where(size > 0, size, 1.0)
    knots = np.unique(np.concatenate((starts, ends)))
    low, high = 0, len(knots) - 1  # the sum at knots[low] is at most k, that at knots[high] at least k
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _sum_at(knots[middle], size, least) <= k else (low, middle)
    below, above = (_sum_at(knots[end], size, least) for end in (low, high))
    fraction = (k - below) / (above - below) if above > below else 0.0
    c = knots[low] + fraction * (knots[high] - knots[low])
    return np.asarray(np.minimum(1.0, np.maximum(c * size, least)))


def _sum_at(c: float, size: Floats, least: Floats) -> float:
    return float(np.minimum(1.0, np.maximum(c * size, least)).sum())


def largest_fractions(matrix: ColumnMatrix, weights: Floats) -> Floats:
    """Return each record's largest fraction of any one total, ``max_i |M_ij| w_j / sum_j |M_ij| w_j``.

    Examples
    --------
    >>> import numpy as np
    >>> M = ColumnMatrix.build(np.array([[1.0, 1.0, 2.0], [0.0, 3.0, 0.0]]))
    >>> largest_fractions(M, np.ones(3))
    array([0.25, 1.  , 0.5 ])
    """
    totals = absolute_totals(matrix, weights)
    inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
    return np.asarray(np.minimum(largest_in_columns(matrix, inverse) * weights, 1.0))
