"""A ColumnMatrix as the compiled kernels take it: cut into chunks, whose number depends on nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.backends.numba.fold_kernels import Links
from l0np.backends.numba.kernels import Entries
from l0np.backends.numba.order_kernels import ordered_entries
from l0np.matrix import ColumnMatrix, Fold

MOST_CHUNKS = 64
# Chosen so that adding up the chunks' predictions costs little, even if most columns are closed
CHUNK_COST_PER_ROW = 64
COLUMN_COST = 8  # what a closed column costs, counted in entries
CHUNK_COST = 1 << 15  # least cost of a chunk if there are more than two, so that blocks are not cut short
CHUNKED_COST = 1 << 14  # below it there is one chunk, because waking threads costs more than they save


NO_ORDER = np.zeros(0, np.uint64)


@dataclass(frozen=True, eq=False)
class NumbaMatrix:
    """The entries of a ColumnMatrix, shared and not copied, the borders of its chunks, and its folded rows.

    It is never changed, and serves any number of products and runs.
    """

    entries: Entries
    shape: tuple[int, int]
    links: Links  # of the rows that are folded
    ordered: Callable[[], Entries]  # the entries in the order in which runs visit columns

    @classmethod
    def of(
        cls,
        matrix: ColumnMatrix,
        chunk_cost: int = CHUNK_COST,
        ordered: Callable[[ColumnMatrix], Entries | None] = lambda matrix: None,
    ) -> "NumbaMatrix":
        """Return the matrix with its chunks; `ordered` gives its entries in another order, if at all."""
        bounds = chunk_bounds(matrix.indptr, matrix.shape[0], chunk_cost)
        arrays = matrix.data, matrix.indices, matrix.indptr.view(np.uint64)
        entries = Entries(*arrays, bounds, NO_ORDER, np.zeros(matrix.shape[0]), np.uint64(0))
        return cls(entries, matrix.shape, links_of(matrix.fold), lambda: ordered(matrix) or entries)

    @property
    def is_folded(self) -> bool:
        """Whether rows are folded."""
        return len(self.links.parents) > 0


def entries_in_order(matrix: ColumnMatrix, order: NDArray[Any], chunk_cost: int) -> Entries:
    """Return a copy of the entries in which column ``order[i]`` is stored in place i."""
    order = np.ascontiguousarray(order, np.uint64)  # kernels take sums of column numbers for unsigned
    data, indices, indptr = (np.empty_like(a) for a in (matrix.data, matrix.indices, matrix.indptr))
    out = data, indices, indptr.view(np.uint64)
    ordered_entries(matrix.data, matrix.indices, matrix.indptr.view(np.uint64), order, out)
    bounds = chunk_bounds(indptr, matrix.shape[0], chunk_cost)
    return Entries(*out, bounds, order, np.zeros(matrix.shape[0]), np.uint64(0))


def cost_of(entries: Entries) -> int:
    """Return what a visit to all columns costs, counted in entries."""
    return len(entries.data) + COLUMN_COST * (len(entries.indptr) - 1)


def chunk_bounds(indptr: NDArray[np.int64], n_rows: int, chunk_cost: int = CHUNK_COST) -> NDArray[np.uint64]:
    """Return the first column of each chunk and, at the end, the number of columns.

    Chunks have about equal cost: their entries, and a constant for each column. Their number is a power of
    two, so that each thread gets as many; it depends on the matrix and not on threads, so that no result
    does.

    Parameters
    ----------
    chunk_cost : int
        The least cost of a chunk if there are more than two.

    Examples
    --------
    >>> chunk_bounds(3 * np.arange(6), n_rows=3).tolist()
    [0, 5]
    """
    n_columns = len(indptr) - 1
    cost = indptr + COLUMN_COST * np.arange(n_columns + 1)
    wanted = cost[-1] // max(CHUNK_COST_PER_ROW * n_rows, chunk_cost)
    n_chunks = 1 if cost[-1] < CHUNKED_COST else 1 << min(max(int(wanted), 2), MOST_CHUNKS).bit_length() - 1
    bounds = np.searchsorted(cost, np.linspace(0, cost[-1], n_chunks + 1)[1:-1])
    return np.concatenate(([0], bounds, [n_columns])).astype(np.uint64)


def links_of(fold: Fold | None) -> Links:
    """Return the links of a fold; none where nothing is folded."""
    if fold is None:
        return Links(np.zeros(0, np.uint32), np.zeros(0, np.uint32))
    return Links(fold.parents.view(np.uint32), fold.children.view(np.uint32))
