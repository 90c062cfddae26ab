"""From probabilities to exactly k records: balanced sampling by the cube method.

J.-C. Deville, Y. Tille: Efficient balanced sampling: the cube method (Biometrika 91, 2004). Probabilities
walk at random inside the unit cube, along directions that change no balancing total, until they are 0 or 1:
the flight. Probabilities that are then still between 0 and 1 are decided with as little change of the totals
as possible: the landing. Many totals are balanced in levels: first those of each district among its records,
then those that districts share (totals of a state, say) among the records left, and so on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from l0np.maths import philox
from l0np.matrix import ColumnMatrix, SharedMatrix, column_entries, row_lengths, squared_totals
from l0np.sampling.cube_flight import Flight
from l0np.sampling.cube_landing import land
from l0np.sampling.strata import record_blocks, strata

DECIDED = 1e-9  # a probability this close to 0 or 1 is 0 or 1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class CubeLimits(NamedTuple):
    """Sizes by which the cube method divides its work.

    Attributes
    ----------
    arrivals : int
        Records that join a flight together, so that most of the work is in products of matrices.
    flight_cost : float
        Multiplications that a flight may cost; this bounds the number of rows that it balances.
    most_rows : int
        Largest number of rows that a flight balances.
    compiled_from : int
        Number of records above which a compiled kernel saves time.
    joint_flight_cost : float
        Multiplications up to which a flight without landing takes all records at once.
    spare : float
        Records for each row from which a flight without landing gives up rows if there are too many.
    """

    arrivals: int = 64
    flight_cost: float = 1e12
    most_rows: int = 2000
    compiled_from: int = 20_000
    joint_flight_cost: float = 1e10
    spare: float = 2.0

    def rows_for(self, n: int) -> int:
        """Return how many rows a flight of n records may balance."""
        return int(min(self.most_rows, np.sqrt(self.flight_cost / (4 * max(n, 1)))))


LIMITS = CubeLimits()


def balanced_sample(
    matrix: ColumnMatrix,
    weights: Floats,
    probabilities: Floats,
    seed: int,
    attempt: int = 0,
    *,
    compiled: bool = True,
    limits: CubeLimits = LIMITS,
) -> NDArray[np.int64]:
    """Draw records so that totals expanded by weight / probability stay, as nearly as possible, the same.

    Each record is drawn with its probability. The number of records is balanced exactly, the total weight and
    the rows of the matrix approximately. If there are too many rows, records that share their rarest rows (a
    district) are balanced first, then what is left of those that share the rarest of the other rows (a
    state), and finally what is left of all, as for highly stratified populations (G. Chauvet: Stratified
    balanced sampling, Survey Methodology 35, 2009).

    Parameters
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each total.
    weights : array of shape (N,)
        The weights with which the totals are formed before sampling.
    probabilities : array of shape (N,)
        Inclusion probabilities that add up to an integer k.
    seed : int
        Seed of the stream SELECTION, which provides the random numbers.
    attempt : int
        Number of the sample, from 0: each gives another sample for the same seed.
    compiled : bool
        Whether Numba may be used, if it is installed and there are many records.
    limits : CubeLimits
        How the work is divided.

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
    walk, left = _Walk.started(matrix, weights, probabilities, (seed, attempt), compiled, limits)
    p, n = walk.p, len(probabilities)
    if matrix.shape[0] > limits.rows_for(n):
        left = walk.balance_levels(left, limits.rows_for(n))
    walk.fly(left, limits.rows_for(len(left)))
    walk.land(left[_undecided(p[left])], np.empty(0, np.int64))
    k = round(float(np.sum(probabilities)))
    return np.sort(np.argsort(-p, kind="stable")[:k])


def balanced_flight(
    matrix: ColumnMatrix,
    weights: Floats,
    probabilities: Floats,
    seed: int,
    attempt: int = 0,
    *,
    compiled: bool = True,
    limits: CubeLimits = LIMITS,
) -> Floats:
    """Let probabilities walk as in `balanced_sample`, but land no record: no total changes.

    Strata fly with all rows to which their records contribute; what is left of them flies in larger strata.
    Probabilities that are still between 0 and 1 at the end, at most as many as there are totals where all
    records fly together, stay what they are: ``weight / probability * (probability after the flight)`` is a
    weight that a record may be kept with. Then the totals are exactly those before.

    Parameters
    ----------
    matrix, weights, seed, attempt, compiled, limits
        As in `balanced_sample`. Rows are given up only in strata with more rows than the limits allow and
        more than `CubeLimits.spare` records for each row.
    probabilities : array of shape (N,)
        Inclusion probabilities; their sum need not be an integer.

    Returns
    -------
    array of shape (N,)
        The probabilities after the flight, each with its first value as its mean.

    Examples
    --------
    >>> import numpy as np
    >>> region = ColumnMatrix.build(np.repeat(np.eye(2), 4, axis=1))  # four records in each of two regions
    >>> p = balanced_flight(region, np.ones(8), np.full(8, 0.3), seed=0)
    >>> p.reshape(2, 4).sum(axis=1).round(9), int(np.count_nonzero(p))
    (array([1.2, 1.2]), 4)
    """
    walk, left = _Walk.started(matrix, weights, probabilities, (seed, attempt), compiled, limits)
    n_rows = matrix.shape[0]
    if n_rows > limits.rows_for(len(left)) or 4.0 * len(left) * n_rows**2 > limits.joint_flight_cost:
        left = walk.balance_levels(left, limits.rows_for(len(left)), lands=False)
    walk.fly_with_all_rows(left, limits.rows_for(len(left)), limits.spare)
    walk.p[walk.p <= DECIDED] = 0.0
    return walk.p


def _undecided(p: Floats) -> NDArray[np.bool_]:
    return (p > DECIDED) & (p < 1.0 - DECIDED)


class _Totals:
    """The balancing totals: the number of records, the total weight, the rows of the matrix."""

    def __init__(self, matrix: ColumnMatrix, expansion: Floats, probabilities: Floats) -> None:
        self.matrix, self.expansion = matrix, expansion  # expansion: weight / probability
        self.lengths = row_lengths(matrix)
        spread = expansion * (expansion * probabilities) * (1.0 - probabilities)
        variances = squared_totals(matrix, spread)  # of the totals, if records were drawn independently
        self.scales = np.sqrt(np.where(variances > 0, variances, 1.0))
        self.weight_scale = float(np.sqrt(spread.sum())) or 1.0

    def rows_of(self, records: Integers) -> Integers:
        """Return the rows to which some of the records contribute, the longest last."""
        is_touched = np.zeros(self.matrix.shape[0], bool)
        for block in record_blocks(len(records)):
            is_touched[column_entries(self.matrix, records[block])[1]] = True
        rows = np.flatnonzero(is_touched)
        return rows[np.argsort(self.lengths[rows], kind="stable")]

    def contributions(self, records: Integers, position: Integers, n_totals: int) -> Floats:
        """Return what each record adds to each total, shape (records, n_totals).

        The first total is the count, the last is the total weight; `position` gives the total of each row of
        the matrix, -1 for none.
        """
        entries, rows, values = column_entries(self.matrix, records)
        expansion = self.expansion[records]
        has_position = position[rows] >= 0
        entries, rows, values = entries[has_position], rows[has_position], values[has_position]
        out = np.zeros((len(records), n_totals))
        out[:, 0], out[:, -1] = 1.0, expansion / self.weight_scale
        out[entries, position[rows]] = values * expansion[entries] / self.scales[rows]
        return out

    def sparse_contributions(self, records: Integers) -> Any:
        """Return what each record adds to all rows of the matrix and to the total weight, a sparse array."""
        from scipy import sparse

        entries, rows, values = column_entries(self.matrix, records)
        expansion = self.expansion[records]
        values = values * expansion[entries] / self.scales[rows]
        columns = sparse.csr_array((values, (entries, rows)), shape=(len(records), self.matrix.shape[0]))
        return sparse.hstack([columns, expansion[:, None] / self.weight_scale], format="csr")


class _Walk:
    """Probabilities on their way to 0 and 1."""

    def __init__(
        self, totals: _Totals, p: Floats, uniforms: list[Floats], compiled: bool, arrivals: int
    ) -> None:
        self.totals, self.p, self.uniforms = totals, p, uniforms
        self.compiled, self.arrivals = compiled, arrivals

    @classmethod
    def started(
        cls,
        matrix: ColumnMatrix,
        weights: Floats,
        probabilities: Floats,
        draw: tuple[int, int],
        compiled: bool,
        limits: CubeLimits,
    ) -> tuple[Self, Integers]:
        """Return a walk and the undecided records in random order; `draw` is (seed, attempt)."""
        p, n, (seed, attempt) = np.array(probabilities, dtype=np.float64), len(probabilities), draw
        shuffled, *uniforms = (
            philox.uniform(np, seed, philox.SELECTION, 4 * attempt + stage, 0, n).astype(np.float64)
            for stage in range(4)
        )
        order = np.argsort(shuffled, kind="stable")
        totals = _Totals(matrix, np.divide(weights, p, out=np.zeros(n), where=p > 0), p)
        walk = cls(totals, p, uniforms, compiled and n >= limits.compiled_from, limits.arrivals)
        return walk, order[_undecided(p[order])]

    def balance_levels(self, left: Integers, most_rows: int, *, lands: bool = True) -> Integers:
        """Balance strata, then what is left of them in larger strata, and so on; return the rest.

        At the first level strata only fly; they do not land. At each level, rows to which only one stratum
        contributes are dropped from the levels that follow, or if nothing lands from what defines strata.
        """
        is_shared, is_first = np.ones(self.totals.matrix.shape[0], bool), True
        while True:
            groups = list(strata(self.totals.matrix, self.totals.lengths, left, is_shared))
            if len(groups) == 1 and not is_first:
                return left
            is_shared &= self._touching(groups) > 1
            if not lands:
                self._fly_apart(groups, most_rows)
            for group in groups if lands else ():
                self.fly(group, most_rows)
                if not is_first:
                    self.land(group[_undecided(self.p[group])], np.flatnonzero(is_shared))
            left, is_first = left[_undecided(self.p[left])], False
            if not is_shared.any() or not len(left):
                return left

    def _touching(self, groups: list[Integers]) -> Integers:
        """Return the number of groups that contribute to each row."""
        touching: Integers = np.zeros(self.totals.matrix.shape[0], np.int64)

        def count(group: Integers) -> None:
            touching[self.totals.rows_of(group)] += 1

        shared: Any = self.totals.matrix
        together = self._each_where_it_lies(groups, count)
        if isinstance(shared, SharedMatrix):
            touching = shared.total(touching)
        for group in together:
            count(group)
        return touching

    def _fly_apart(self, groups: list[Integers], most_rows: int) -> None:
        """Let the probabilities of each group walk by themselves."""
        shared: Any = self.totals.matrix
        together = self._each_where_it_lies(groups, lambda group: self.fly_with_all_rows(group, most_rows))
        if isinstance(shared, SharedMatrix):
            self.p[:] = shared.joined(self.p[shared.columns])
        for group in together:
            self.fly_with_all_rows(group, most_rows)

    def _each_where_it_lies(self, groups: list[Integers], work: Callable[[Integers], None]) -> list[Integers]:
        """Do the work of each group, where ranks share the records only of those on this rank.

        Return the groups that lie on several ranks, whose work all do together.
        """
        shared: Any = self.totals.matrix
        if not isinstance(shared, SharedMatrix):
            for group in groups:
                work(group)
            return []
        holders = [shared.holder(group) for group in groups]
        with shared.alone():
            for group, holder in zip(groups, holders, strict=True):
                if holder == shared.ranks.rank:
                    work(group)
        return [group for group, holder in zip(groups, holders, strict=True) if holder is None]

    def fly(self, records: Integers, most_rows: int) -> None:
        """Let probabilities walk while the totals can be kept; of too many rows only the longest count."""
        rows = self.totals.rows_of(records)[-most_rows:]
        if len(records) <= len(rows):
            return
        n_totals, position = 2 + len(rows), np.full(self.totals.matrix.shape[0], -1)
        position[rows] = np.arange(1, 1 + len(rows))
        flight = Flight(n_totals, self.compiled)
        for first in range(0, len(records), self.arrivals):
            arrivals = records[first : first + self.arrivals]
            columns = self.totals.contributions(arrivals, position, n_totals)
            flight.take(arrivals, columns, self.p, self.uniforms[0][arrivals])

    def fly_with_all_rows(self, records: Integers, most_rows: int, spare: float = np.inf) -> None:
        """Let probabilities walk while all totals can be kept.

        With more rows than allowed nothing walks, unless there are more than `spare` records for each row:
        then only the longest rows count.
        """
        n_rows = len(self.totals.rows_of(records))
        if n_rows <= most_rows or len(records) > spare * n_rows:
            self.fly(records, most_rows)

    def land(self, records: Integers, exact_rows: Integers) -> None:
        """Decide as many records as possible without changing their number or the totals of some rows."""
        if not len(records):
            return
        columns = self.totals.sparse_contributions(records)
        exact = columns[:, exact_rows].toarray()
        exact = np.column_stack((np.ones(len(records)), exact[:, exact.any(axis=0)]))
        self.p[records] = land(columns, exact, self.p[records], self.uniforms[1][records])
