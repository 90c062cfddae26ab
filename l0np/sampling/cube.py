"""From probabilities to exactly k records: balanced sampling by the cube method.

J.-C. Deville, Y. Tille: Efficient balanced sampling: the cube method (Biometrika 91, 2004). Probabilities walk at random
inside the unit cube, along directions that change no balancing total, until they are 0 or 1: a `flight`. What then is still
between is decided with as little change of the totals as can be: a `landing`. Many totals are taken in levels: those of a
district among its records first, then those that districts share (of their state, say) among what is left, and so on.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.maths import philox
from l0np.matrix import ColumnMatrix, column_entries, entry_blocks
from l0np.sampling.cube_flight import ARRIVALS, Flight
from l0np.sampling.cube_landing import land

DECIDED = 1e-9  # a probability this close to 0 or 1 is 0 or 1
BLOCK = 1 << 15  # records whose entries are looked at together
FLIGHT_COST = 1e12  # multiplications a flight may cost: bounds the rows that are balanced
MOST_ROWS = 2000
LARGE = 20_000  # records from which a compiled kernel pays

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def balanced_sample(
    matrix: ColumnMatrix, weights: Floats, probabilities: Floats, seed: int, attempt: int = 0, *, compiled: bool = True
) -> NDArray[np.int64]:
    """Draw records so that the totals of weight / probability over the drawn are, as nearly as can be, those over all.

    Each record is drawn with its probability. Balanced are the number of records, exactly, the total weight and the rows of
    the matrix. Where these are too many, records that share their rarest rows (a district) are balanced first, then what is
    left of those that share the rarest of the other rows (a state), and at last what is left of all, as for highly stratified
    populations (G. Chauvet: Stratified balanced sampling, Survey Methodology 35, 2009).

    Parameters
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each total.
    weights : array of shape (N,)
        The weights with which the totals are formed before sampling.
    probabilities : array of shape (N,)
        Inclusion probabilities that add up to a whole number k.
    seed : int
        The draws are those of this seed, in the stream of random selection.
    attempt : int
        Number of the sample, from 0: another one gives another sample for the same seed.
    compiled : bool
        Whether Numba may be used, where it is installed and there are many records.

    Returns
    -------
    array of shape (k,)
        The drawn records, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> region = ColumnMatrix.build(np.repeat(np.eye(2), 4, axis=1))  # four records in each of two regions
    >>> drawn = balanced_sample(region, np.ones(8), np.full(8, 0.5), seed=0)
    >>> len(drawn), int(np.count_nonzero(drawn < 4))
    (4, 2)
    """
    p, n = np.array(probabilities, dtype=np.float64), len(probabilities)
    shuffled, *draws = (
        philox.uniform(np, seed, philox.SELECTION, 4 * attempt + stage, 0, n).astype(np.float64) for stage in range(4)
    )
    order = np.argsort(shuffled, kind="stable")
    totals = _Totals(matrix, np.divide(weights, p, out=np.zeros(n), where=p > 0), p)
    walk = _Walk(totals, p, draws, compiled and n >= LARGE)
    left = order[_undecided(p[order])]
    if matrix.shape[0] > _most_rows(n):
        left = walk.climb(left, _most_rows(n))
    walk.fly(left, _most_rows(len(left)))
    walk.land(left[_undecided(p[left])], np.empty(0, np.int64))
    k = round(float(np.sum(probabilities)))
    return np.sort(np.argsort(-p, kind="stable")[:k])


def _most_rows(n: int) -> int:
    return int(min(MOST_ROWS, np.sqrt(FLIGHT_COST / (4 * max(n, 1)))))


def _undecided(p: Floats) -> NDArray[np.bool_]:
    return (p > DECIDED) & (p < 1.0 - DECIDED)


class _Totals:
    """What is balanced: the number of records, the total weight, the rows of the matrix."""

    def __init__(self, matrix: ColumnMatrix, expansion: Floats, probabilities: Floats) -> None:
        self.matrix, self.expansion = matrix, expansion  # expansion: weight / probability
        self.lengths = np.bincount(matrix.indices, minlength=matrix.shape[0])
        spread = expansion**2 * probabilities * (1.0 - probabilities)
        variances = np.zeros(matrix.shape[0])  # of the totals, if records were drawn one by one
        for rows, records, values in entry_blocks(matrix):
            variances += np.bincount(rows, values**2 * spread[records], len(variances))
        self.scales = np.sqrt(np.where(variances > 0, variances, 1.0))
        self.weight_scale = float(np.sqrt(spread.sum())) or 1.0

    def touched(self, records: Integers) -> Integers:
        """Return the rows that some of the records enter, the longest last."""
        is_touched = np.zeros(self.matrix.shape[0], bool)
        for first in range(0, len(records), BLOCK):
            is_touched[column_entries(self.matrix, records[first : first + BLOCK])[1]] = True
        rows = np.flatnonzero(is_touched)
        return rows[np.argsort(self.lengths[rows], kind="stable")]

    def columns(self, records: Integers, place: Integers, n_rows: int) -> Floats:
        """Return what each record adds, shape (records, n_rows): to the count, the rows that have a place, the total weight."""
        entries, rows, values = column_entries(self.matrix, records)
        expansion = self.expansion[records]
        kept = place[rows] >= 0
        entries, rows, values = entries[kept], rows[kept], values[kept]
        out = np.zeros((len(records), n_rows))
        out[:, 0], out[:, -1] = 1.0, expansion / self.weight_scale
        out[entries, place[rows]] = values * expansion[entries] / self.scales[rows]
        return out

    def sparse_columns(self, records: Integers) -> Any:
        """Return what each record adds to all rows of the matrix and to the total weight, a sparse array."""
        from scipy import sparse

        entries, rows, values = column_entries(self.matrix, records)
        expansion = self.expansion[records]
        values = values * expansion[entries] / self.scales[rows]
        columns = sparse.csr_array((values, (entries, rows)), shape=(len(records), self.matrix.shape[0]))
        return sparse.hstack([columns, expansion[:, None] / self.weight_scale], format="csr")


class _Walk:
    """Probabilities on their way to 0 and 1."""

    def __init__(self, totals: _Totals, p: Floats, draws: list[Floats], compiled: bool) -> None:
        self.totals, self.p, self.draws, self.compiled = totals, p, draws, compiled

    def climb(self, left: Integers, most_rows: int) -> Integers:
        """Balance strata, then what is left of them in larger ones: return what is left when these have grown to one.

        A stratum of the first level flies. Those above give up the rows that are their strata's alone.
        """
        in_play, first = np.ones(self.totals.matrix.shape[0], bool), True
        while True:
            strata = list(_strata(self.totals.matrix, self.totals.lengths, left, in_play))
            if len(strata) == 1 and not first:
                return left
            touching = np.zeros(len(in_play), np.int64)
            for stratum in strata:
                touching[self.totals.touched(stratum)] += 1
            in_play &= touching > 1
            for stratum in strata:
                self.fly(stratum, most_rows)
                if not first:
                    self.land(stratum[_undecided(self.p[stratum])], np.flatnonzero(in_play))
            left, first = left[_undecided(self.p[left])], False
            if not in_play.any() or not len(left):
                return left

    def fly(self, records: Integers, most_rows: int) -> None:
        """Keep the totals in the rows that the records enter, of too many the longest, as long as records can move."""
        rows = self.totals.touched(records)[-most_rows:]
        if len(records) <= len(rows):
            return
        place = np.full(self.totals.matrix.shape[0], -1)
        place[rows] = np.arange(1, 1 + len(rows))
        flight = Flight(2 + len(rows), self.compiled)
        for first in range(0, len(records), ARRIVALS):
            arrivals = records[first : first + ARRIVALS]
            flight.take(arrivals, self.totals.columns(arrivals, place, 2 + len(rows)), self.p, self.draws[0][arrivals])

    def land(self, records: Integers, exact_rows: Integers) -> None:
        """Decide as many of the records as can be without change in their number and some rows."""
        if not len(records):
            return
        columns = self.totals.sparse_columns(records)
        exact = columns[:, exact_rows].toarray()
        exact = np.column_stack((np.ones(len(records)), exact[:, exact.any(axis=0)]))
        self.p[records] = land(columns, exact, self.p[records], self.draws[1][records])


def _strata(matrix: ColumnMatrix, lengths: Integers, records: Integers, in_play: NDArray[np.bool_]) -> Iterator[Integers]:
    """Yield groups of the records, each in the order given, that share their rarest rows: those of one district, say.

    The home of a record is the shortest row in play that it enters. Two homes belong together where a record of one enters
    the other.
    """
    from scipy import sparse

    n_rows = len(in_play)
    rank = np.full(n_rows, n_rows)  # n_rows: not in play
    rows = np.flatnonzero(in_play)
    rank[rows[np.argsort(lengths[rows], kind="stable")]] = np.arange(len(rows))
    blocks = [slice(first, first + BLOCK) for first in range(0, len(records), BLOCK)]
    home = np.full(len(records), n_rows)  # as a rank; n_rows: the record enters no row in play
    for block in blocks:
        entries, rows, _ = column_entries(matrix, records[block])
        np.minimum.at(home[block], entries, rank[rows])
    is_home = np.zeros(n_rows + 1, bool)
    is_home[home] = True
    links = np.empty(0, np.int64)
    for block in blocks:
        entries, rows, _ = column_entries(matrix, records[block])
        inside = (rank[rows] < n_rows) & is_home[rank[rows]]
        pairs = home[block][entries[inside]] * (n_rows + 1) + rank[rows[inside]]
        links = np.union1d(links, pairs)
    linked = sparse.coo_array((np.ones(len(links), bool), np.divmod(links, n_rows + 1)), shape=(n_rows + 1, n_rows + 1))
    label = sparse.csgraph.connected_components(linked, directed=False)[1][home]
    grouped = np.argsort(label, kind="stable")
    yield from np.split(records[grouped], np.flatnonzero(np.diff(label[grouped])) + 1)
