"""A matrix read in blocks of entries or some columns at a time: in float64, in bounded memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from l0np.matrix.column_matrix import ColumnMatrix
from l0np.matrix.fold import Fold

BLOCK = 1 << 18  # entries in a block; temporaries of this size fit into a second-level cache or two
Block = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]  # rows, columns, values


def entry_blocks(matrix: ColumnMatrix, size: int = BLOCK) -> Iterator[Block]:
    """Yield (rows, columns, values) of the entries by columns, a block of at most `size` at a time.

    Those of folded rows are among them.

    Examples
    --------
    >>> import numpy as np
    >>> (block,) = entry_blocks(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])))
    >>> block
    (array([0, 1, 1]), array([0, 0, 1]), array([1., 2., 3.]))
    """
    if matrix.fold is not None:
        yield from _unfolded_blocks(matrix, matrix.fold, size)
    else:
        yield from _stored_blocks(matrix, size)


def _stored_blocks(matrix: ColumnMatrix, size: int) -> Iterator[Block]:
    indptr = matrix.indptr
    for start in range(0, matrix.n_stored, size):
        stop = min(start + size, matrix.n_stored)
        first = np.searchsorted(indptr, start, side="right") - 1
        end = np.searchsorted(indptr, stop, side="left")
        ends = np.clip(indptr[first : end + 1], start, stop)
        columns = np.repeat(np.arange(first, end), ends[1:] - ends[:-1])
        yield matrix.indices[start:stop].astype(np.intp), columns, matrix.data[start:stop].astype(np.float64)


def _unfolded_blocks(matrix: ColumnMatrix, fold: Fold, size: int) -> Iterator[Block]:
    columns = matrix.stored
    for first, end in columns.blocks(size // 4 + 1):  # each entry stored may stand for several
        part = fold.unfold(columns.part(first, end)).tocoo()
        rows, owners = part.row.astype(np.intp), first + part.col.astype(np.intp)
        for start in range(0, part.nnz, size):
            block = slice(start, start + size)
            yield rows[block], owners[block], part.data[block]


def column_entries(matrix: ColumnMatrix, columns: NDArray[np.int64]) -> Block:
    """Return (positions, rows, values) of the entries of some columns.

    A position is that of the entry's column in `columns`.

    Examples
    --------
    >>> import numpy as np
    >>> column_entries(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([1, 0]))
    (array([0, 1, 1]), array([1, 0, 1]), array([3., 1., 2.]))
    """
    if matrix.fold is not None:
        part = matrix.take(columns).tocoo()
        return part.col.astype(np.intp), part.row.astype(np.intp), part.data
    entries, indptr = matrix.entries_of(columns)
    positions = np.repeat(np.arange(len(columns)), np.diff(indptr))
    return positions, matrix.indices[entries].astype(np.intp), matrix.data[entries].astype(np.float64)


def weighted_totals(matrix: ColumnMatrix, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``M @ weights``, shape (n_rows,).

    Examples
    --------
    >>> import numpy as np
    >>> weighted_totals(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([1.0, 10.0]))
    array([ 1., 32.])
    """
    totals = np.zeros(matrix.shape[0])
    for rows, columns, values in _stored_blocks(matrix, BLOCK):
        totals += np.bincount(rows, values * weights[columns], minlength=len(totals))
    if matrix.fold is not None:
        matrix.fold.forward(totals)
    return totals


def absolute_totals(matrix: ColumnMatrix, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``abs(M) @ abs(weights)``, shape (n_rows,): the size of each row under the weights.

    Examples
    --------
    >>> import numpy as np
    >>> absolute_totals(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, -3.0]])), np.array([1.0, -10.0]))
    array([ 1., 32.])
    """
    totals = np.zeros(matrix.shape[0])
    for rows, columns, values in entry_blocks(matrix):
        totals += np.bincount(rows, np.abs(values * weights[columns]), minlength=len(totals))
    return totals
