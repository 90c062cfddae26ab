"""From probabilities to exactly k records: balanced sampling by the cube method.

J.-C. Deville, Y. Tille: Efficient balanced sampling: the cube method (Biometrika 91, 2004). Probabilities walk at random
inside the unit cube, along directions that change no balancing total, until they are 0 or 1: a flight. What then is still
between is landed by giving up one total after the other. G. Chauvet, Y. Tille (A fast algorithm for balanced sampling,
Computational Statistics 21, 2006) let few records walk at a time; here these few are a basis, as in the simplex method:
a record that arrives either becomes basic or walks against the basis until it, or a basic record in its place, is decided.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np import noise
from l0np.entries import entry_blocks
from l0np.matrix import ColumnMatrix

DECIDED = 1e-9  # a probability this close to 0 or 1 is 0 or 1
SMALLEST_PIVOT = 1e-9  # relative to the column: below it a column depends on the basis
BLOCK = 1 << 15  # records whose entries are looked at together
ARRIVALS = 64  # records that are brought to the basis together, so that the work is products of matrices
FLIGHT_COST = 1e12  # multiplications a flight may cost: bounds the rows that are balanced
MOST_ROWS = 2000

Floats = NDArray[np.float64]


def inclusion_probabilities(size: Floats, least: Floats, k: int) -> Floats:
    """Return ``min(1, max(c size, least))`` with c such that they add up to k; in proportion to `least` if that exceeds k.

    Parameters
    ----------
    size : array of shape (N,)
        What the probabilities are proportional to, above 0: base weights, for then weights come out alike.
    least : array of shape (N,)
        Lower bounds in [0, 1]: records that matter much for one total must not be left to chance.
    k : int
        Number of records to select, 1 to N.

    Examples
    --------
    >>> import numpy as np
    >>> inclusion_probabilities(np.ones(5), np.array([0.8, 0, 0, 0, 0]), 2)
    array([0.8, 0.3, 0.3, 0.3, 0.3])
    """
    if k >= len(size):
        return np.ones(len(size))
    if least.sum() >= k:
        size, least = least, np.zeros(len(size))
    # As c grows, a record is first at `least`, then in proportion to its size, then at 1
    starts, ends = least / np.where(size > 0, size, 1.0), 1.0 / np.where(size > 0, size, 1.0)
    knots = np.unique(np.concatenate((starts, ends)))
    low, high = 0, len(knots) - 1  # the total at knots[low] is at most k, at knots[high] at least
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _total(knots[middle], size, least) <= k else (low, middle)
    below, above = (_total(knots[end], size, least) for end in (low, high))
    share = (k - below) / (above - below) if above > below else 0.0
    c = knots[low] + share * (knots[high] - knots[low])
    return np.asarray(np.minimum(1.0, np.maximum(c * size, least)))


def _total(c: float, size: Floats, least: Floats) -> float:
    return float(np.minimum(1.0, np.maximum(c * size, least)).sum())


def largest_shares(matrix: ColumnMatrix, weights: Floats) -> Floats:
    """Return for each record the largest share that it holds of any one total, ``max_i |M_ij| w_j / sum_j |M_ij| w_j``.

    Examples
    --------
    >>> import numpy as np
    >>> largest_shares(ColumnMatrix.build(np.array([[1.0, 1.0, 2.0], [0.0, 3.0, 0.0]])), np.ones(3))
    array([0.25, 1.  , 0.5 ])
    """
    totals = _absolute_totals(matrix, weights)
    shares = np.zeros(matrix.shape[1])
    for rows, records, values in entry_blocks(matrix):
        held = np.abs(values) / np.where(totals[rows] > 0, totals[rows], 1.0)
        np.maximum.at(shares, records, held)
    return np.asarray(np.minimum(shares * weights, 1.0))


def _absolute_totals(matrix: ColumnMatrix, weights: Floats) -> Floats:
    totals = np.zeros(matrix.shape[0])
    for rows, records, values in entry_blocks(matrix):
        totals += np.bincount(rows, np.abs(values) * weights[records], len(totals))
    return totals


def _entries(matrix: ColumnMatrix, records: NDArray[np.int64]) -> tuple[Any, Any, Any]:
    """Return the entries of some columns: the position of each in `records`, its row, its value."""
    starts, counts = matrix.indptr[records], matrix.indptr[records + 1] - matrix.indptr[records]
    columns = np.repeat(np.arange(len(records)), counts)
    places = np.arange(len(columns)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    return columns, matrix.indices[places], matrix.data[places].astype(np.float64)


def balanced_sample(
    matrix: ColumnMatrix, weights: Floats, probabilities: Floats, seed: int, attempt: int = 0
) -> NDArray[np.int64]:
    """Draw records so that the totals of weight / probability over the drawn are, as nearly as can be, those over all.

    Each record is drawn with its probability. Balanced are the number of records, exactly, the total weight and the rows of
    the matrix. Where these are too many, records that share their rarest rows (a district) are balanced first, then what is
    left over all of the matrix in its longest rows (states, the nation), as for highly stratified populations (G. Chauvet:
    Stratified balanced sampling, Survey Methodology 35, 2009).

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
        noise.uniform(np, seed, noise.SELECTION, 4 * attempt + stage, 0, n).astype(np.float64) for stage in range(4)
    )
    order = np.argsort(shuffled, kind="stable")
    expansion = np.divide(weights, p, out=np.zeros(n), where=p > 0)
    totals = _Totals(matrix, expansion, p)
    if matrix.shape[0] > _most_rows(n):
        for stratum in _strata(matrix, totals.lengths, order):
            undecided = stratum[_undecided(p[stratum])]
            Flight(totals, undecided, _most_rows(n)).fly(p, draws[0])
    undecided = order[_undecided(p[order])]
    flight = Flight(totals, undecided, _most_rows(len(undecided)))
    flight.fly(p, draws[1])
    flight.land(p, draws[2])
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
        sizes = _absolute_totals(matrix, expansion * probabilities)
        self.scales = np.where(sizes > 0, sizes, 1.0) / max(float(np.sum(probabilities)), 1.0)
        self.mean_expansion = float(expansion.mean()) or 1.0

    def touched(self, records: NDArray[np.int64], most_rows: int) -> NDArray[np.int64]:
        """Return the rows that some of the records enter, the longest last, and of too many the longest `most_rows`."""
        is_touched = np.zeros(self.matrix.shape[0], bool)
        for first in range(0, len(records), BLOCK):
            is_touched[_entries(self.matrix, records[first : first + BLOCK])[1]] = True
        rows = np.flatnonzero(is_touched)
        return rows[np.argsort(self.lengths[rows], kind="stable")][-most_rows:]

    def columns(self, records: NDArray[np.int64], place: NDArray[np.int64], n_rows: int) -> Floats:
        """Return what each record adds, shape (records, n_rows): to the count, the rows that have a place, the total weight."""
        entries, rows, values = _entries(self.matrix, records)
        expansion = self.expansion[records]
        kept = place[rows] >= 0
        entries, rows, values = entries[kept], rows[kept], values[kept]
        out = np.zeros((len(records), n_rows))
        out[:, 0], out[:, -1] = 1.0, expansion / self.mean_expansion
        out[entries, place[rows]] = values * expansion[entries] / self.scales[rows]
        return out


def _strata(matrix: ColumnMatrix, lengths: NDArray[np.int64], order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield groups of records, in the order given, that share their rarest rows: those of one district, say.

    The home of a record is the shortest row that it enters. Two homes belong together where a record of one enters the other.
    """
    from scipy import sparse

    n_rows, n_records = matrix.shape
    rank = np.empty(n_rows, np.int64)
    rank[np.argsort(lengths, kind="stable")] = np.arange(n_rows)
    home = np.full(n_records, n_rows)  # as a rank; n_rows: the record enters no row
    for rows, records, _ in entry_blocks(matrix):
        np.minimum.at(home, records, rank[rows])
    is_home = np.zeros(n_rows + 1, bool)
    is_home[home] = True
    links = sparse.csr_array((n_rows + 1, n_rows + 1), dtype=bool)
    for rows, records, _ in entry_blocks(matrix):
        inside = is_home[rank[rows]]
        pairs = (home[records[inside]], rank[rows[inside]])
        links = links + sparse.coo_array((np.ones(len(pairs[0]), bool), pairs), shape=links.shape).tocsr()
    _, component = sparse.csgraph.connected_components(links, directed=False)
    label = component[home][order]
    grouped = np.argsort(label, kind="stable")
    yield from np.split(order[grouped], np.flatnonzero(np.diff(label[grouped])) + 1)


class Flight:
    """A walk of some probabilities that keeps the totals, and its end.

    A basis of records is held, one for each total that it can move: `basic[i]` is the record of total i, -1 while there is
    none, and `transform` takes the column of `basic[i]` to the unit vector i. What it makes of another record's column tells
    how the basis must move when that record's probability does; in totals without a basic record it is 0 if the column
    depends on the basis.
    """

    def __init__(self, totals: _Totals, records: NDArray[np.int64], most_rows: int) -> None:
        touched = totals.touched(records, most_rows)
        self.records, self.totals = records, totals
        self.place = np.full(totals.matrix.shape[0], -1)
        self.place[touched] = np.arange(1, 1 + len(touched))
        n_rows = 2 + len(touched)
        self.transform, self.basic = np.eye(n_rows), np.full(n_rows, -1)

    def fly(self, p: Floats, draws: Floats) -> None:
        """Let the records arrive, in place in `p`: at the end those that are undecided are basic, hence independent."""
        for first in range(0, len(self.records), ARRIVALS):
            arrivals = self.records[first : first + ARRIVALS]
            columns = self.totals.columns(arrivals, self.place, len(self.basic))
            self._arrive(arrivals, columns @ self.transform.T, p, draws)

    def _arrive(self, arrivals: NDArray[np.int64], columns: Floats, p: Floats, draws: Floats) -> None:
        """Take a block of records whose `columns` are transformed, shape (records, totals), and bring the transform up to date.

        Each change of the basis multiplies the transform by an elementary matrix. Their product differs from the unit matrix
        in the columns of the totals concerned only; these are carried along, as further rows of `columns`.
        """
        n_arrivals, n_rows = columns.shape
        work = np.concatenate((columns, np.zeros((min(n_arrivals, n_rows), n_rows))))
        carried: dict[int, int] = {}  # total -> its row in `work`
        for number, record in enumerate(arrivals.tolist()):
            column = work[number]
            total = self._free_total(column)
            if total is None:
                total = self._walk(record, column, p, draws[record])
                if total is None:
                    continue
            self.basic[total] = record
            if total not in carried:
                carried[total] = n_arrivals + len(carried)
                work[carried[total], total] = 1.0
            later = work[number + 1 : n_arrivals + len(carried)]
            change = column / column[total]
            change[total] -= 1.0 / column[total]
            later -= np.outer(later[:, total], change)
        if carried:
            changed = list(carried)
            new = work[n_arrivals : n_arrivals + len(changed)]
            new[np.arange(len(changed)), changed] -= 1.0
            self.transform += new.T @ self.transform[changed]

    def _free_total(self, column: Floats) -> int | None:
        """Return a total without basic record in which the column is not 0: the count if it can be, else the largest entry."""
        outside = np.where(self.basic < 0, np.abs(column), 0.0)
        total = 0 if outside[0] else int(outside.argmax())
        return total if outside[total] > SMALLEST_PIVOT * max(1.0, float(np.abs(column).max())) else None

    def _walk(self, record: int, column: Floats, p: Floats, draw: float) -> int | None:
        """Move the record and the basis against it until one is decided; return the total whose basic record it was."""
        moves = np.where(self.basic >= 0, -column, 0.0)
        at = p[self.basic]
        up, up_at = _room(at, moves)
        down, down_at = _room(at, -moves)
        step, stopped = _draw(draw, (min(up, 1.0 - p[record]), up_at), (min(down, p[record]), down_at))
        alone = up >= 1.0 - p[record] if step > 0 else down >= p[record]
        is_basic = self.basic >= 0
        p[self.basic[is_basic]] += step * moves[is_basic]
        p[record] += step
        decided = record if alone else self.basic[stopped]
        p[decided] = np.round(p[decided])
        return None if alone else stopped

    def land(self, p: Floats, draws: Floats) -> None:
        """Decide what is left, in place in `p`: give up one total after the other.

        The longest rows go first, for one record more or less counts least there, the number of records last.
        """
        held = np.flatnonzero(self.basic >= 0)
        if not held.size:
            return
        records = self.basic[held]
        inverse = self.transform[np.ix_(held, held)]  # of the basic columns in these totals
        at = p[records]
        for given_up in range(len(held) - 1, 0, -1):
            moves = inverse[:, given_up].copy()
            step, stopped = _draw(draws[records[given_up]], _room(at, moves), _room(at, -moves))
            at += step * moves
            at[stopped] = np.round(at[stopped])
            inverse -= np.outer(moves, inverse[stopped] / moves[stopped])
            inverse[stopped] = 0.0
        p[records] = np.round(at)


def _room(at: Floats, moves: Floats) -> tuple[float, int]:
    """Return how far one can go along `moves` before the first probability is 0 or 1, and which one that is."""
    pace = np.abs(moves)
    rooms = np.full(len(at), np.inf)
    np.divide(np.where(moves > 0, 1.0 - at, at), pace, out=rooms, where=pace > SMALLEST_PIVOT)
    first = int(rooms.argmin())
    return max(float(rooms[first]), 0.0), first


def _draw(draw: float, up: tuple[float, int], down: tuple[float, int]) -> tuple[float, int]:
    """Return the step up or down, each with the probability that makes the expected step 0, and what stops it."""
    return up if draw * (up[0] + down[0]) < down[0] else (-down[0], down[1])
