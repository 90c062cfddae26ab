"""The flight of the cube method: probabilities walk while some direction leaves the totals unchanged.

G. Chauvet, Y. Tille (A fast algorithm for balanced sampling, Computational Statistics 21, 2006) let few
records walk at a time. Here these few are a basis, as in the simplex method: a record that arrives either
becomes basic or walks against the basis until its own probability, or that of a basic record, is 0 or 1; it
then takes the index of that basic record.
"""

import importlib.util
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SMALLEST_PIVOT = 1e-9  # relative to the column: below it a column depends on the basis

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Flight:
    """A walk of some probabilities that keeps the totals.

    A basis of records is held, one for each total that it can move: `basic[i]` is the record of total i, -1
    while there is none, and `transform` maps the column of `basic[i]` to the unit vector i. The transformed
    column of another record says how the basis must move when that record's probability does; in totals
    without a basic record it is 0 if the column depends on the basis.

    Parameters
    ----------
    n_totals : int
        Number of totals.
    compiled : bool
        Whether the Numba kernel is used, if Numba is installed.
    """

    def __init__(self, n_totals: int, compiled: bool) -> None:
        self.transform, self.basic = np.eye(n_totals), np.full(n_totals, -1)
        self._arrive = _kernel() if compiled else arrive

    def take(self, arrivals: Integers, columns: Floats, p: Floats, uniforms: Floats) -> None:
        """Let some records arrive, in place in `p`; afterwards every undecided record is basic.

        Each change of the basis multiplies the transform by an elementary matrix. Their product differs from
        the unit matrix only in the columns of the totals whose record changed; these are carried along, as
        further rows of `work`.

        Parameters
        ----------
        arrivals : array of shape (n,)
            The records: positions in `p`.
        columns : array of shape (n, n_totals)
            What each adds to each total.
        p : array
            Probabilities, of all records.
        uniforms : array of shape (n,)
            Uniform numbers.
        """
        n_arrivals, n_totals = columns.shape
        work = np.zeros((n_arrivals + min(n_arrivals, n_totals), n_totals))
        np.matmul(columns, self.transform.T, out=work[:n_arrivals])
        changed = np.empty(min(n_arrivals, n_totals), np.int64)
        n_changed = self._arrive(arrivals, work, self.basic, changed, p, uniforms, SMALLEST_PIVOT)
        if n_changed:
            changed, new = changed[:n_changed], work[n_arrivals : n_arrivals + n_changed]
            new[np.arange(n_changed), changed] -= 1.0
            self.transform += new.T @ self.transform[changed]


def arrive(
    arrivals: Integers,
    work: Floats,
    basic: Integers,
    changed: Integers,
    p: Floats,
    uniforms: Floats,
    smallest: float,
) -> int:
    """Let records arrive one after the other, in place in `basic` and `p`.

    Parameters
    ----------
    arrivals, uniforms : arrays of shape (n,)
        The records and their uniform numbers.
    work : array of shape (n + number of changes, n_totals)
        The columns, transformed; then zeros, which become the columns that the transform's product has
        changed.
    basic : array of shape (n_totals,)
        The record of each total, -1 if there is none.
    changed : array of shape (number of changes,)
        Receives the totals whose records were changed.
    p : array
        Probabilities, of all records.
    smallest : float
        Size, relative to the column, below which a number is 0.

    Returns
    -------
    int
        How many totals changed their record.
    """
    n_arrivals = len(arrivals)
    carried: dict[int, int] = {}  # total -> its row in `work`
    for number, record in enumerate(arrivals.tolist()):
        column = work[number]
        total = free_total(column, basic, smallest)
        if total < 0:
            total = _walk(record, column, basic, p, float(uniforms[number]), smallest)
            if total < 0:
                continue
        basic[total] = record
        if total not in carried:
            changed[len(carried)] = total
            carried[total] = n_arrivals + len(carried)
            work[carried[total], total] = 1.0
        later = work[number + 1 : n_arrivals + len(carried)]
        change = column / column[total]
        change[total] -= 1.0 / column[total]
        later -= np.outer(later[:, total], change)
    return len(carried)


def free_total(column: Floats, basic: Integers, smallest: float) -> int:
    """Return a total without basic record in which the column is not 0, or -1.

    Total 0 if possible, else the one in which the column is largest.
    """
    outside = np.where(basic < 0, np.abs(column), 0.0)
    total = 0 if outside[0] else int(outside.argmax())
    return total if outside[total] > smallest * max(1.0, float(np.abs(column).max())) else -1


def _walk(record: int, column: Floats, basic: Integers, p: Floats, uniform: float, smallest: float) -> int:
    """Move the record and the basis against it until one of their probabilities is 0 or 1.

    Return the total whose basic record this was, or -1 if it was the record itself.
    """
    moves = np.where(basic >= 0, -column, 0.0)
    at = p[basic]
    (up, up_at), (down, down_at) = longest_step(at, moves, smallest), longest_step(at, -moves, smallest)
    steps = [
        (own, -1) if free >= own else (free, total)
        for free, total, own in ((up, up_at, 1.0 - p[record]), (down, down_at, p[record]))
    ]
    step, stopped = random_step(uniform, *steps)
    is_basic = basic >= 0
    p[basic[is_basic]] += step * moves[is_basic]
    p[record] += step
    decided = record if stopped < 0 else basic[stopped]
    p[decided] = np.round(p[decided])
    return stopped


def longest_step(at: Floats, moves: Floats, smallest: float = SMALLEST_PIVOT) -> tuple[float, int]:
    """Return the length at which ``at + length * moves`` first reaches 0 or 1, and the index where it does.

    Examples
    --------
    >>> longest_step(np.array([0.5, 0.5]), np.array([0.1, -0.25]))
    (2.0, 1)
    """
    pace = np.abs(moves)
    lengths = np.full(len(at), np.inf)
    np.divide(np.where(moves > 0, 1.0 - at, at), pace, out=lengths, where=pace > smallest)
    first = int(lengths.argmin())
    return max(float(lengths[first]), 0.0), first


def random_step(uniform: float, up: tuple[float, int], down: tuple[float, int]) -> tuple[float, int]:
    """Return the step up or down, and the index that stops it, with the probabilities that make its mean 0.

    Examples
    --------
    >>> random_step(0.2, (3.0, 7), (1.0, 8))
    (3.0, 7)
    """
    return up if uniform * (up[0] + down[0]) < down[0] else (-down[0], down[1])


def _kernel() -> Callable[..., int]:
    if importlib.util.find_spec("numba") is None:
        return arrive
    from l0np.sampling.cube_flight_kernels import arrive as compiled_arrive

    return compiled_arrive  # type: ignore[no-any-return]
