"""A ColumnMatrix as the compiled kernels take it: cut into chunks, whose number depends on nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l0np.backends.numba.fold_kernels import Links, links_of
from l0np.backends.numba.kernels import Entries
from l0np.matrix import ColumnMatrix

MOST_CHUNKS = 64
# Chosen so that adding up the chunks' predictions costs little, even if most columns are closed
CHUNK_COST_PER_ROW = 64
COLUMN_COST = 8  # what a closed column costs, counted in entries
CHUNK_COST = 1 << 15  # least cost of a chunk if there are more than two, so that blocks are not cut short
CHUNKED_COST = 1 << 14  # below it there is one chunk, because waking threads costs more than they save


@dataclass(frozen=True)
class NumbaMatrix:
    """The entries of a ColumnMatrix, shared and not copied, and the borders of its chunks.

    It is never changed, and serves any number of products and runs.
    """

    entries: Entries
    shape: tuple[int, int]
    links: Links  # of the rows that are folded

    @classmethod
    def of(cls, matrix: ColumnMatrix, chunk_cost: int = CHUNK_COST) -> "NumbaMatrix":
        """Return the matrix with its chunks."""
        bounds = chunk_bounds(matrix, chunk_cost)
        arrays = matrix.data, matrix.indices, matrix.indptr.view(np.uint64)
        entries = Entries(*arrays, bounds, np.zeros(matrix.shape[0]), np.uint64(0))
        return cls(entries, matrix.shape, links_of(matrix.fold))

    @property
    def is_folded(self) -> bool:
        """Whether rows are folded."""
        return len(self.links.parents) > 0

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return len(self.entries.bounds) - 1

    @property
    def cost(self) -> int:
        """What a visit to all columns costs, counted in entries."""
        return len(self.entries.data) + COLUMN_COST * self.shape[1]


def chunk_bounds(matrix: ColumnMatrix, chunk_cost: int = CHUNK_COST) -> NDArray[np.uint64]:
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
    >>> chunk_bounds(ColumnMatrix.build(np.ones((3, 5)))).tolist()
    [0, 5]
    """
    n_rows, n_columns = matrix.shape
    cost = matrix.indptr + COLUMN_COST * np.arange(n_columns + 1)
    wanted = cost[-1] // max(CHUNK_COST_PER_ROW * n_rows, chunk_cost)
    n_chunks = 1 if cost[-1] < CHUNKED_COST else 1 << min(max(int(wanted), 2), MOST_CHUNKS).bit_length() - 1
    bounds = np.searchsorted(cost, np.linspace(0, cost[-1], n_chunks + 1)[1:-1])
    return np.concatenate(([0], bounds, [n_columns])).astype(np.uint64)
