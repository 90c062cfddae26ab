"""Inclusion probabilities: how likely each record is to be drawn."""

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix, entry_blocks

Floats = NDArray[np.float64]


def inclusion_probabilities(size: Floats, least: Floats, k: int) -> Floats:
    """Return ``min(1, max(c size, least))`` with c such that they add up to k; in proportion to `least` if that exceeds k.

    Parameters
    ----------
    size : array of shape (N,)
        What the probabilities are proportional to, above 0: base weights, for then weights come out alike.
    least : array of shape (N,)
        Lower bounds in [0, 1]: records that matter much for one total must not be left to chance.
    k : int
        Number of records to select, 1 to N.

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
    # As c grows, a record is first at `least`, then in proportion to its size, then at 1
    starts, ends = least / np.where(size > 0, size, 1.0), 1.0 / np.where(size > 0, size, 1.0)
    knots = np.unique(np.concatenate((starts, ends)))
    low, high = 0, len(knots) - 1  # the total at knots[low] is at most k, at knots[high] at least
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _total(knots[middle], size, least) <= k else (low, middle)
    below, above = (_total(knots[end], size, least) for end in (low, high))
    share = (k - below) / (above - below) if above > below else 0.0
    c = knots[low] + share * (knots[high] - knots[low])
    return np.asarray(np.minimum(1.0, np.maximum(c * size, least)))


def _total(c: float, size: Floats, least: Floats) -> float:
    return float(np.minimum(1.0, np.maximum(c * size, least)).sum())


def largest_shares(matrix: ColumnMatrix, weights: Floats) -> Floats:
    """Return for each record the largest share that it holds of any one total, ``max_i |M_ij| w_j / sum_j |M_ij| w_j``.

    Examples
    --------
    >>> import numpy as np
    >>> largest_shares(ColumnMatrix.build(np.array([[1.0, 1.0, 2.0], [0.0, 3.0, 0.0]])), np.ones(3))
    array([0.25, 1.  , 0.5 ])
    """
    totals = _absolute_totals(matrix, weights)
    inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
    shares = np.zeros(matrix.shape[1])
    for rows, records, values in entry_blocks(matrix):
        np.maximum.at(shares, records, np.abs(values) * inverse[rows])
    return np.asarray(np.minimum(shares * weights, 1.0))


def _absolute_totals(matrix: ColumnMatrix, weights: Floats) -> Floats:
    totals = np.zeros(matrix.shape[0])
    for rows, records, values in entry_blocks(matrix):
        totals += np.bincount(rows, np.abs(values) * weights[records], len(totals))
    return totals
