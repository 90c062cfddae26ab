"""The order in which an epoch visits columns: neighbours that write to the same rows, of about one length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l0np.backends.numba import order_kernels
from l0np.backends.numba.kernels import BLOCK
from l0np.matrix import ColumnMatrix

# Below these the rows' sums stay in the first cache, or there is too little to gain
FEWEST_ENTRIES, FEWEST_ROWS = 1 << 20, 1 << 12
LOOKED_AT = 32  # blocks of columns in which rows are counted
SPREAD = 0.5  # of the rows that a block touches in the columns' own order, more than which gains too little


def column_order(matrix: ColumnMatrix) -> NDArray[np.intp] | None:
    """Return the numbers of the columns in the order in which they are best stored; None for their own.

    Columns are sorted by the rarest row that they hold, so that neighbours add to the same sums while these
    are in the cache, then by length within blocks, so that the processor can predict where a column ends.

    Examples
    --------
    >>> column_order(ColumnMatrix.build([[1.0, 2.0], [3.0, 4.0]])) is None
    True
    """
    if matrix.n_stored < FEWEST_ENTRIES or matrix.shape[0] < FEWEST_ROWS:
        return None
    order = by_rarest_row(matrix)
    if _rows_touched(matrix, order) > SPREAD * _rows_touched(matrix, np.arange(len(order))):
        return None
    return by_length(matrix, order)


def by_rarest_row(matrix: ColumnMatrix) -> NDArray[np.intp]:
    """Return the columns sorted by the rarest row that each holds; columns without entries come first.

    Examples
    --------
    >>> by_rarest_row(ColumnMatrix.build([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]))
    array([0, 2, 1, 3])
    """
    stored = np.zeros(matrix.shape[0], np.int64)
    rarest = np.zeros(matrix.shape[1], matrix.indices.dtype)
    order_kernels.rarest_rows(matrix.indices, matrix.indptr.view(np.uint64), stored, rarest)
    return np.argsort(rarest, kind="stable")


def by_length(matrix: ColumnMatrix, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return an order of columns sorted by number of entries within each block."""
    lengths = np.diff(matrix.indptr)[order]
    whole = len(order) // BLOCK * BLOCK
    within = np.argsort(lengths[:whole].reshape(-1, BLOCK), axis=1, kind="stable")
    blocks = np.take_along_axis(order[:whole].reshape(-1, BLOCK), within, axis=1)
    rest = order[whole:][np.argsort(lengths[whole:], kind="stable")]
    return np.concatenate((blocks.ravel(), rest))


def _rows_touched(matrix: ColumnMatrix, order: NDArray[np.intp]) -> int:
    """Return the number of different rows in a block, added up over some blocks of an order."""
    n_blocks = max(len(order) // BLOCK, 1)
    total = 0
    for block in np.unique(np.linspace(0, n_blocks - 1, LOOKED_AT).astype(np.intp)).tolist():
        entries, _ = matrix.entries_of(order[block * BLOCK : (block + 1) * BLOCK])
        total += len(np.unique(matrix.indices[entries]))
    return total
