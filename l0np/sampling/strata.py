"""Strata for balanced sampling in levels: groups of records that share their rarest rows (a district)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix, column_entries

BLOCK = 1 << 15  # records whose entries are read together

Integers = NDArray[np.int64]


def record_blocks(n: int) -> Iterator[slice]:
    """Yield slices that divide n records into blocks of `BLOCK`.

    Examples
    --------
    >>> [(block.start, block.stop) for block in record_blocks(40_000)]
    [(0, 32768), (32768, 65536)]
    """
    yield from (slice(first, first + BLOCK) for first in range(0, n, BLOCK))


def strata(
    matrix: ColumnMatrix, lengths: Integers, records: Integers, is_shared: NDArray[np.bool_]
) -> Iterator[Integers]:
    """Yield groups of the records, each in the order given, that share their rarest rows.

    The home of a record is the shortest row, among those considered, to which it contributes. Two homes
    belong to the same stratum if a record of one contributes to the other.

    Parameters
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each total.
    lengths : array of shape (Q,)
        Number of records that contribute to each row.
    records : array of int
        The records to be grouped.
    is_shared : bool array of shape (Q,)
        The rows considered.

    Examples
    --------
    >>> M = ColumnMatrix.build(np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]))
    >>> every, districts = np.arange(4), np.array([True, True, False])
    >>> [stratum.tolist() for stratum in strata(M, np.array([2, 2, 4]), every, districts)]
    [[0, 2], [1, 3]]
    """
    from scipy import sparse

    n_rows = len(is_shared)
    rank = np.full(n_rows, n_rows)  # n_rows: not considered
    rows = np.flatnonzero(is_shared)
    rank[rows[np.argsort(lengths[rows], kind="stable")]] = np.arange(len(rows))
    home = np.full(len(records), n_rows)  # as a rank; n_rows: the record contributes to none of the rows
    for block in record_blocks(len(records)):
        positions, rows, _ = column_entries(matrix, records[block])
        np.minimum.at(home[block], positions, rank[rows])
    links = _links(matrix, records, rank, home)
    shape = (n_rows + 1, n_rows + 1)
    linked = sparse.coo_array((np.ones(len(links), bool), np.divmod(links, n_rows + 1)), shape=shape)
    label = sparse.csgraph.connected_components(linked, directed=False)[1][home]
    grouped = np.argsort(label, kind="stable")
    yield from np.split(records[grouped], np.flatnonzero(np.diff(label[grouped])) + 1)


def _links(matrix: ColumnMatrix, records: Integers, rank: Integers, home: Integers) -> Integers:
    """Return pairs of homes that a record links, each as ``first * (number of rows + 1) + second``."""
    n_rows, links = len(rank), np.empty(0, np.int64)
    is_home = np.zeros(n_rows + 1, bool)
    is_home[home] = True
    for block in record_blocks(len(records)):
        positions, rows, _ = column_entries(matrix, records[block])
        inside = (rank[rows] < n_rows) & is_home[rank[rows]]
        pairs = home[block][positions[inside]] * (n_rows + 1) + rank[rows[inside]]
        links = np.union1d(links, pairs)
    return links
