"""Which rows of a matrix are multiples of others, and which are linear combinations of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix, entry_blocks

PROBES = 3  # random sums of each row; rows that agree in all of them are multiples of one another
SAME = 1e-10  # difference of two random sums, relative to the row's size, that is due to rounding
SKETCH_ENTRIES = 4  # random sums to which each column is added when a matrix is made narrower
SKETCH_MARGIN = 50  # number of sums beyond the number of rows, which keeps the sketch well-conditioned
# Smallest pivot of an independent row, relative to the largest, when rows have length 1
RANK_TOLERANCE = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-5}


def proportional_rows(matrix: ColumnMatrix) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Return the groups of rows that are multiples of one another: their indices and their factors.

    Rows are compared by their number of entries and by three random sums, to ten digits, which costs one pass
    over the entries and a sort. Empty rows belong to no group. A factor is the row's sum of absolute values,
    with a sign.

    Examples
    --------
    >>> import numpy as np
    >>> M = ColumnMatrix.build(np.array([[1.0, 2.0], [0.0, 1.0], [-2.0, -4.0]]), "float64")
    >>> ((rows, factors),) = proportional_rows(M)
    >>> rows, factors
    (array([0, 2]), array([ 3., -6.]))
    """
    n_rows, n_columns = matrix.shape
    probes = np.random.default_rng(0).uniform(0.5, 1.5, size=(PROBES, n_columns))
    sums, size, count = np.zeros((PROBES, n_rows)), np.zeros(n_rows), np.zeros(n_rows, np.int64)
    for rows, columns, values in entry_blocks(matrix):
        count += np.bincount(rows, minlength=n_rows)
        size += np.bincount(rows, np.abs(values), minlength=n_rows)
        for probe, total in zip(probes, sums, strict=True):
            total += np.bincount(rows, values * probe[columns], minlength=n_rows)
    factor = np.where(sums[0] < 0, -size, size)
    used = np.flatnonzero(count)
    shape = sums[:, used] / factor[used]
    order = np.lexsort((shape[0], count[used]))
    used, shape = used[order], shape[:, order]
    starts = (np.diff(count[used]) != 0) | (np.abs(np.diff(shape)) > SAME).any(axis=0)
    groups = np.split(used, 1 + np.flatnonzero(starts))
    return [(np.sort(group), factor[np.sort(group)]) for group in groups if len(group) > 1]


@dataclass(frozen=True, eq=False)
class Dependence:
    """The numerical rank of the rows of a matrix, and how the others follow from `rank` of them.

    Attributes
    ----------
    rank : int
        Numerical rank, rows being scaled to length 1.
    independent, dependent : arrays of row indices
        `rank` rows that span all rows, and the rest.
    coefficients : array of shape (rank, number of dependent rows)
        ``rows[dependent] = coefficients.T @ rows[independent]``.
    """

    rank: int
    independent: NDArray[np.intp]
    dependent: NDArray[np.intp]
    coefficients: NDArray[np.float64]


def row_dependence(rows: Any, dtype: np.dtype[Any]) -> Dependence:
    """Return rank and dependence of the rows of a csr array, none of them empty, by QR with pivoting.

    A wide matrix is first made narrow by adding each column, with random factors, to a few of Q + 50 sums (a
    sparse embedding: Clarkson and Woodruff 2013, arXiv:1207.6365; Nelson and Nguyen 2013, arXiv:1211.1002),
    which keeps rank and linear relations. `dtype` is the dtype in which the entries were stored; it decides
    which pivots count as zero.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> rows = sparse.csr_array(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 2.0]]))
    >>> found = row_dependence(rows, np.dtype(np.float64))
    >>> found.rank, found.dependent.size
    (2, 1)
    """
    from scipy import linalg

    narrow = _narrow(rows)
    largest = np.abs(narrow).max(axis=1)  # by which rows are divided first: squares may underflow
    lengths = largest * np.sqrt(((narrow / largest[:, None]) ** 2).sum(axis=1))
    upper, order = linalg.qr((narrow / lengths[:, None]).T, mode="r", pivoting=True, check_finite=False)
    pivots = np.abs(np.diagonal(upper))
    rank = int((pivots > RANK_TOLERANCE[dtype] * pivots[0]).sum())
    independent, dependent = order[:rank], order[rank:]
    coefficients = linalg.solve_triangular(upper[:rank, :rank], upper[:rank, rank:], check_finite=False)
    return Dependence(
        rank, independent, dependent, coefficients * lengths[dependent] / lengths[independent][:, None]
    )


def _narrow(rows: Any) -> NDArray[np.float64]:
    """Return the rows as a dense array; if it has more than Q + 50 columns, Q + 50 random sums of columns."""
    from scipy import sparse

    n_rows, n_columns = rows.shape
    width = n_rows + SKETCH_MARGIN
    if n_columns <= width:
        return np.asarray(rows.toarray(), dtype=np.float64)
    rng = np.random.default_rng(0)
    sums = rng.integers(width, size=n_columns * SKETCH_ENTRIES)
    indptr = np.arange(0, len(sums) + 1, SKETCH_ENTRIES)
    sketch = sparse.csr_array((rng.normal(size=len(sums)), sums, indptr), shape=(n_columns, width))
    return np.asarray((rows @ sketch).toarray(), dtype=np.float64)
