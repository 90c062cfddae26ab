"""A matrix whose columns ranks share: each holds its own in memory, and all of them ask for others together.

Every rank makes the same calls in the same order with the same arguments, numbered as in the whole matrix,
and gets the same answers; an answer takes memory, the matrix does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from l0np.matrix.column_matrix import ColumnMatrix

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class SharedMatrix:
    """The whole matrix, as a rank sees it that holds some of its columns.

    Parameters
    ----------
    own : ColumnMatrix of shape (Q, n)
        The rank's own columns, which follow those of lower ranks.
    ranks : Communicator
        The ranks.

    Attributes
    ----------
    shape : (int, int)
        Of the whole matrix.
    columns : slice
        The rank's own columns.
    indptr : array of shape (N + 1,)
        Where the entries of each column of the whole matrix start, as in a `ColumnMatrix`.
    """

    def __init__(self, own: ColumnMatrix, ranks: Any) -> None:
        own = own.folded(False)  # ranks would fold different rows
        self.own, self.ranks, self.dtype = own, ranks, own.dtype
        counts = np.asarray(ranks.allgather(np.array([own.shape[1]])))
        self._bounds = np.concatenate(([0], np.cumsum(counts)))  # of the columns of each rank
        self.shape = own.shape[0], int(self._bounds[-1])
        self.columns = slice(int(self._bounds[ranks.rank]), int(self._bounds[ranks.rank + 1]))
        lengths = np.asarray(ranks.allgather(np.diff(own.indptr)))
        self.indptr = np.concatenate(([0], np.cumsum(lengths)))
        self._is_alone = False

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return int(self.indptr[-1])

    def mapped(self, function: Callable[[ColumnMatrix], ColumnMatrix]) -> Self:
        """Return the matrix that consists of what a function makes of each rank's columns."""
        return type(self)(function(self.own), self.ranks)

    def joined(self, own: Any) -> NDArray[Any]:
        """Return one value for each column of the whole matrix, of which the rank gives its own."""
        return np.asarray(self.ranks.allgather(np.asarray(own)))

    def total(self, own: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of arrays of all ranks, added in their order, so that all get the same digits."""
        gathered = np.asarray(self.ranks.allgather(own)).reshape(self.ranks.size, *own.shape)
        total: NDArray[Any] = gathered[0].copy()
        for part in gathered[1:]:
            total += part
        return total

    def most(self, own: float) -> float:
        """Return the largest of one number of each rank."""
        return float(np.max(self.ranks.allgather(np.array([float(own)]))))

    def holder(self, columns: Integers) -> int | None:
        """Return the rank that holds all of some columns; None if there is no such rank."""
        if not columns.size:
            return None
        owners = np.searchsorted(self._bounds, [columns.min(), columns.max()], side="right") - 1
        return int(owners[0]) if owners[0] == owners[1] else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Give a context in which the rank asks for its own columns only, and does so without the others."""
        self._is_alone = True
        try:
            yield
        finally:
            self._is_alone = False

    def entries(self, columns: Integers) -> tuple[NDArray[Any], NDArray[Any], Integers]:
        """Return rows and values of the entries of some columns, and where each column starts in them."""
        is_own = (columns >= self.columns.start) & (columns < self.columns.stop)
        own, own_starts = self.own.entries_of(columns[is_own] - self.columns.start)
        rows, values = self.own.indices[own], self.own.data[own]
        if self._is_alone:
            return rows, values, own_starts
        rows, values = (np.asarray(self.ranks.allgather(array)) for array in (rows, values))
        lengths = self.indptr[columns + 1] - self.indptr[columns]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        owner = np.searchsorted(self._bounds, columns, side="right") - 1
        order = np.argsort(owner, kind="stable")  # in which they were joined
        joined = np.empty(len(columns), np.int64)
        joined[order] = np.cumsum(lengths[order]) - lengths[order]
        at = np.arange(starts[-1]) + np.repeat(joined - starts[:-1], lengths)
        return rows[at], values[at], starts

    def take(self, columns: Any) -> Any:
        """Return some columns as `ColumnMatrix.take` does."""
        return self.gathered(np.asarray(columns, np.int64)).take(np.arange(len(columns)))

    def gathered(self, columns: Integers | None = None) -> ColumnMatrix:
        """Return some columns, or all, as a matrix of their own."""
        wanted = np.arange(self.shape[1]) if columns is None else columns
        rows, values, starts = self.entries(wanted)
        return ColumnMatrix(values, rows, starts, (self.shape[0], len(wanted)), copy=False)

    def to_scipy(self) -> Any:
        """Return all of the matrix, as `ColumnMatrix.to_scipy` does."""
        return self.gathered().to_scipy()
