"""The search for rows that are sums of other rows, on a sample of the columns.

A child has the same value as its parent in nearly all of its columns, unless it shares them with another
child. So in a sample of columns, rows with equal values in one column vote for each other; a row that gets
the votes of another in most of the sampled columns of that row may be its parent. Among the candidates for
children some that do not overlap are chosen, the longest first. What is found here is only likely: the pass
over all entries in `folding` makes it exact, and drops what does not pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.matrix.fold import Columns

FIRST_LOOK = 4096  # entries in which any two of a column must have one value, before SciPy is even loaded
ENTRIES_PER_ROW = 64  # on average, in the sample that decides
MOST_PAIRS = 1 << 23  # pairs of equal entries in the sample that decides; each takes about 10 ns
# The sample on which matrices without parents are refused holds one of so many entries of the matrix, and a
# pair for each so many: together this takes less time than an epoch
REFUSED_ENTRIES, REFUSED_PAIRS = 64, 16
FEWEST_VOTES = 3
AGREEING = 0.75  # of a child's sampled columns, in which its parent has the same value
OVERLAP = 0.05  # of the shorter row's sampled columns: children that share more than this overlap
HALF = 0.5  # a parent is worth while if its children explain more of it than this
STARTS = 3  # choices of children that are tried for each parent, each without the longest of the one before
LEAST_GAIN = 0.1  # of all entries that need not be stored, below which nothing is folded

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Sums:
    """Rows that seem to be sums: ``children[i]`` is a term of ``parents[i]``.

    `gain` is the fraction of the entries that need not be stored.
    """

    parents: Integers
    children: Integers
    gain: float


NOTHING = Sums(np.zeros(0, np.int64), np.zeros(0, np.int64), 0.0)


def find_sums(columns: Columns, *, thorough: bool = False) -> Sums:
    """Return the rows that seem to be sums of other rows.

    Parameters
    ----------
    thorough : bool
        Whether to search even where a small sample promises little.
    """
    nnz, n_columns = len(columns.data), len(columns.indptr) - 1
    wanted = ENTRIES_PER_ROW * columns.n_rows
    if not thorough:
        few = _spread(n_columns, FIRST_LOOK * n_columns // max(nnz, 1) + 1)
        if _equal_fraction(columns, few) < LEAST_GAIN:
            return NOTHING
        refused = min(wanted, nnz // REFUSED_ENTRIES)
        if refused < wanted:
            sample = _spread(n_columns, refused * n_columns // nnz + 1)
            if _chosen(_votes(columns, sample, nnz // REFUSED_PAIRS), None).gain < LEAST_GAIN:
                return NOTHING
    sample = _spread(n_columns, wanted * n_columns // max(nnz, 1) + 1)
    return _chosen(_votes(columns, sample, MOST_PAIRS), row_lengths(columns))


def row_lengths(columns: Columns, block: int = 1 << 20) -> Integers:
    """Return the number of entries in each row."""
    lengths = np.zeros(columns.n_rows, np.int64)
    for start in range(0, len(columns.indices), block):
        lengths += np.bincount(columns.indices[start : start + block], minlength=columns.n_rows)
    return lengths


def _spread(n_columns: int, n: int) -> Integers:
    """Return about n columns, ascending, spread so that no period in the order of columns decides."""
    if n >= n_columns:
        return np.arange(n_columns)
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    return np.unique((np.arange(n) * golden % 1.0 * n_columns).astype(np.int64))


def _keys(columns: Columns, sample: Integers) -> tuple[NDArray[np.int64], Integers]:
    """Return for each entry of the sampled columns a number for column and value, and its row.

    Values count as equal if they are so in float32.
    """
    starts, counts = columns.indptr[sample], np.diff(columns.indptr)[sample]
    ends = np.cumsum(counts)
    entries = np.arange(ends[-1]) + np.repeat(starts - ends + counts, counts)
    with np.errstate(over="ignore", under="ignore"):
        value = columns.data[entries].astype(np.float32).view(np.uint32)
    position = np.repeat(np.arange(len(sample), dtype=np.int64), counts)
    return (position << 32) | value, columns.indices[entries].astype(np.int64)


def _equal_fraction(columns: Columns, sample: Integers) -> float:
    """Return which fraction of the entries repeats another value of its column."""
    keys = np.sort(_keys(columns, sample)[0])
    return np.count_nonzero(keys[1:] == keys[:-1]) / max(len(keys), 1)


def _votes(columns: Columns, sample: Integers, most_pairs: int) -> Any:
    """Return in how many sampled columns each two rows have the same value, a sparse array.

    On the diagonal is the number of sampled columns of each row.
    """
    from scipy import sparse

    keys, rows = _keys(columns, sample)
    order = np.argsort(keys)
    keys, rows = keys[order], rows[order]
    starts = np.flatnonzero(np.concatenate(([len(keys) > 0], keys[1:] != keys[:-1])))
    ends = np.append(starts[1:], len(keys))[: len(starts)]
    few = np.searchsorted(np.cumsum((ends - starts) ** 2), most_pairs, side="right")
    indptr = np.concatenate((starts[:few], ends[few - 1 : few])) if few else np.zeros(1, np.int64)
    rows = rows[: indptr[-1]]
    shape = len(indptr) - 1, columns.n_rows
    groups = sparse.csr_array((np.ones(len(rows), np.int32), rows, indptr), shape=shape)
    return (groups.T.tocsr() @ groups).tocsr()


def _chosen(votes: Any, lengths: Integers | None) -> Sums:
    """Choose for each likely parent children that do not overlap.

    `lengths` are those of the rows, by which a parent is longer than a child; by default those in the sample.
    """
    n = votes.diagonal().astype(np.int64)
    lengths = n if lengths is None else lengths
    row = np.repeat(np.arange(len(n)), np.diff(votes.indptr))
    other, agreeing = votes.indices.astype(np.int64), votes.data
    is_longer = (lengths[other] > lengths[row]) | ((lengths[other] == lengths[row]) & (other > row))
    likely = is_longer & (n[row] >= FEWEST_VOTES) & (agreeing >= AGREEING * n[row])
    if not likely.any():
        return NOTHING
    child, parent, votes_for = row[likely], other[likely], agreeing[likely]
    order = np.lexsort((child, -n[child], parent))
    child, parent, votes_for = child[order], parent[order], votes_for[order]
    is_child = np.zeros(len(n), bool)
    is_child[child] = True
    both = is_child[row] & is_child[other] & (agreeing > OVERLAP * np.minimum(n[row], n[other]))
    overlaps = other[both], np.searchsorted(row[both], np.arange(len(n) + 1))
    choice = _Choice(*overlaps, np.zeros(len(n), np.int64))
    parents, children, gain = [], [], 0
    borders = np.flatnonzero(np.concatenate(([True], parent[1:] != parent[:-1], [True])))
    for first, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        size = int(n[parent[first]])
        found, covered = choice.best(child[first:end].tolist(), votes_for[first:end].tolist(), size)
        if covered > HALF * size:
            parents += [int(parent[first])] * len(found)
            children += found
            gain += covered
    return Sums(np.array(parents, np.int64), np.array(children, np.int64), gain / max(int(n.sum()), 1))


class _Choice:
    """The choice of children that do not overlap; row r overlaps ``rows[borders[r] : borders[r + 1]]``."""

    def __init__(self, rows: Integers, borders: Integers, taken: Integers) -> None:
        self._rows, self._borders, self._taken, self._turn = rows, borders.tolist(), taken, 0

    def best(self, candidates: list[int], votes: list[int], size: int) -> tuple[list[int], int]:
        """Return the children that explain most of a parent's `size` columns, and how many they explain."""
        best: tuple[list[int], int] = [], 0
        for start in range(min(STARTS, len(candidates))):
            found = self._greedy(candidates[start:], votes[start:], size)
            best = found if found[1] > best[1] else best
            if best[1] >= (1.0 - OVERLAP) * size:
                break
        return best

    def _greedy(self, candidates: list[int], votes: list[int], size: int) -> tuple[list[int], int]:
        self._turn += 1
        chosen, covered, taken, turn = [], 0, self._taken, self._turn
        for row, explained in zip(candidates, votes, strict=True):
            if taken[row] == turn or covered + explained > (1.0 + OVERLAP) * size:
                continue
            chosen.append(row)
            covered += explained
            taken[self._rows[self._borders[row] : self._borders[row + 1]]] = turn
            if covered == size:
                break
        return chosen, covered
