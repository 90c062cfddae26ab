"""A matrix read in blocks of entries or some columns at a time: in float64, in bounded memory.

Of a matrix that ranks share (`SharedMatrix`) every function but `entry_blocks` is of the whole matrix.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from l0np.matrix.column_matrix import ColumnMatrix
from l0np.matrix.fold import Fold
from l0np.matrix.shared import SharedMatrix

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


def column_entries(matrix: ColumnMatrix | SharedMatrix, columns: NDArray[np.int64]) -> Block:
    """Return (positions, rows, values) of the entries of some columns.

    A position is that of the entry's column in `columns`.

    Examples
    --------
    >>> import numpy as np
    >>> column_entries(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([1, 0]))
    (array([0, 1, 1]), array([1, 0, 1]), array([3., 1., 2.]))
    """
    if isinstance(matrix, SharedMatrix):
        of_columns, values, starts = matrix.entries(columns)
        positions = np.repeat(np.arange(len(columns)), np.diff(starts))
        return positions, of_columns.astype(np.intp), values.astype(np.float64)
    if matrix.fold is not None:
        part = matrix.take(columns).tocoo()
        return part.col.astype(np.intp), part.row.astype(np.intp), part.data
    entries, indptr = matrix.entries_of(columns)
    positions = np.repeat(np.arange(len(columns)), np.diff(indptr))
    return positions, matrix.indices[entries].astype(np.intp), matrix.data[entries].astype(np.float64)


def weighted_totals(matrix: ColumnMatrix | SharedMatrix, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``M @ weights``, shape (n_rows,).

    Examples
    --------
    >>> import numpy as np
    >>> weighted_totals(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([1.0, 10.0]))
    array([ 1., 32.])
    """
    if isinstance(matrix, SharedMatrix):
        return matrix.total(weighted_totals(matrix.own, weights[matrix.columns]))
    totals = np.zeros(matrix.shape[0])
    for rows, columns, values in _stored_blocks(matrix, BLOCK):
        totals += np.bincount(rows, values * weights[columns], minlength=len(totals))
    if matrix.fold is not None:
        matrix.fold.forward(totals)
    return totals


def absolute_totals(matrix: ColumnMatrix | SharedMatrix, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``abs(M) @ abs(weights)``, shape (n_rows,): the size of each row under the weights.

    Examples
    --------
    >>> import numpy as np
    >>> absolute_totals(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, -3.0]])), np.array([1.0, -10.0]))
    array([ 1., 32.])
    """
    if isinstance(matrix, SharedMatrix):
        return matrix.total(absolute_totals(matrix.own, weights[matrix.columns]))
    totals = np.zeros(matrix.shape[0])
    for rows, columns, values in entry_blocks(matrix):
        totals += np.bincount(rows, np.abs(values * weights[columns]), minlength=len(totals))
    return totals


def squared_totals(matrix: ColumnMatrix | SharedMatrix, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``M**2 @ weights``, shape (n_rows,).

    Examples
    --------
    >>> import numpy as np
    >>> squared_totals(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([1.0, 10.0]))
    array([ 1., 94.])
    """
    if isinstance(matrix, SharedMatrix):
        return matrix.total(squared_totals(matrix.own, weights[matrix.columns]))
    totals = np.zeros(matrix.shape[0])
    for rows, columns, values in entry_blocks(matrix):
        totals += np.bincount(rows, values**2 * weights[columns], len(totals))
    return totals


def row_lengths(matrix: ColumnMatrix | SharedMatrix) -> NDArray[np.int64]:
    """Return the number of entries of each row, shape (n_rows,)."""
    if isinstance(matrix, SharedMatrix):
        return matrix.total(row_lengths(matrix.own))
    return matrix.row_lengths


def column_sums(
    matrix: ColumnMatrix | SharedMatrix,
    terms: Callable[[NDArray[np.intp], NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the sum over the entries of each column of ``terms(rows, values)``, shape (n_columns,).

    Examples
    --------
    >>> import numpy as np
    >>> M = ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]]))
    >>> column_sums(M, lambda rows, values: values**2)
    array([5., 9.])
    """
    if isinstance(matrix, SharedMatrix):
        return matrix.joined(column_sums(matrix.own, terms))
    sums = np.zeros(matrix.shape[1])
    for rows, columns, values in entry_blocks(matrix):
        first = columns[0]
        of_block = np.bincount(columns - first, terms(rows, values))
        sums[first : first + len(of_block)] += of_block
    return sums


def largest_in_columns(
    matrix: ColumnMatrix | SharedMatrix, factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``max_i |M_ij| factors_i`` of each column, shape (n_columns,).

    Examples
    --------
    >>> import numpy as np
    >>> largest_in_columns(ColumnMatrix.build(np.array([[1.0, 0.0], [2.0, 3.0]])), np.array([4.0, 1.0]))
    array([4., 3.])
    """
    if isinstance(matrix, SharedMatrix):
        return matrix.joined(largest_in_columns(matrix.own, factors))
    largest = np.zeros(matrix.shape[1])
    for rows, columns, values in entry_blocks(matrix):
        np.maximum.at(largest, columns, np.abs(values) * factors[rows])
    return largest


def largest_entry(matrix: ColumnMatrix | SharedMatrix) -> float:
    """Return the size of the largest entry, 0 if there is none."""
    if isinstance(matrix, SharedMatrix):
        return matrix.most(largest_entry(matrix.own))
    return float(np.abs(matrix.extremes).max())
