"""A matrix read in blocks of entries or some columns at a time: in float64, in bounded memory, with NumPy alone."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from l0np.matrix.column_matrix import ColumnMatrix

BLOCK = 1 << 18  # entries; their temporaries then fit into a second-level cache or two


def entry_blocks(matrix: ColumnMatrix) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Yield (rows, columns, values) of the entries in storage order, a block at a time.

    Examples
    --------
    >>> import numpy as np
    >>> (block,) = entry_blocks(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])))
    >>> block
    (array([0, 1, 1]), array([0, 0, 1]), array([1., 2., 3.]))
    """
    indptr = matrix.indptr
    for start in range(0, matrix.nnz, BLOCK):
        stop = min(start + BLOCK, matrix.nnz)
        first, end = np.searchsorted(indptr, start, side="right") - 1, np.searchsorted(indptr, stop, side="left")
        ends = np.clip(indptr[first : end + 1], start, stop)
        columns = np.repeat(np.arange(first, end), ends[1:] - ends[:-1])
        yield matrix.indices[start:stop].astype(np.intp), columns, matrix.data[start:stop].astype(np.float64)


def column_entries(
    matrix: ColumnMatrix, records: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return (places, rows, values) of the entries of some columns; a place is that of the column in `records`.

    Examples
    --------
    >>> import numpy as np
    >>> column_entries(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([1, 0]))
    (array([0, 1, 1]), array([1, 0, 1]), array([3., 1., 2.]))
    """
    starts, counts = matrix.indptr[records], matrix.indptr[records + 1] - matrix.indptr[records]
    columns = np.repeat(np.arange(len(records)), counts)
    places = np.arange(len(columns)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    return columns, matrix.indices[places].astype(np.intp), matrix.data[places].astype(np.float64)


def weighted_totals(matrix: ColumnMatrix, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``M @ weights``, shape (n_rows,).

    Examples
    --------
    >>> import numpy as np
    >>> weighted_totals(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([1.0, 10.0]))
    array([ 1., 32.])
    """
    totals = np.zeros(matrix.shape[0])
    for rows, columns, values in entry_blocks(matrix):
        totals += np.bincount(rows, values * weights[columns], minlength=len(totals))
    return totals
