"""Sums over columns that are the same, bit for bit, however the columns are divided among ranks.

The sum of a row starts at 1.5 times a power of two so large that it stays between this power and the next.
There all numbers have the same distance, the unit, so each product is rounded to a multiple of the unit,
whatever was added before, and sums of such multiples are exact. Halfway between two multiples the rounding
would depend on the sum; so the last bit of the mantissa of each product is set, which lets none lie there
(J. Demmel, H. D. Nguyen: Parallel reproducible summation, IEEE Transactions on Computers 64, 2015).

The power must exceed what the products of a row can add up to. It follows from the weights at some epoch, the
reference, and from how far they may have moved since; when that is used up, all ranks take a new reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine.backend import Backend
from l0np.engine.communicator import Communicator
from l0np.engine.state import Problem, State, SumReference
from l0np.maths import BETA1, BETA2

# The largest step of Adam relative to the learning rate, for any gradients (by Cauchy and Schwarz)
LARGEST_STEP = (1.0 - BETA1) / math.sqrt((1.0 - BETA2) * (1.0 - BETA1**2 / BETA2))
ROUNDING = 1e-5  # that parameters move by in addition, where they are large
ROOM, STEPS = 3.0, 3.0  # that parameters may move by from the reference: the larger of a number and of steps
MOST_ROOM = 300.0  # with steps of a hundred nothing is trained, and exp may not overflow
SLACK = 1.01  # times a bound, for the rounding of what it is computed from

Floats = NDArray[np.float64]


class ExactSums:
    """The sums of the rows of a problem whose columns are divided among ranks.

    Parameters
    ----------
    backend : Backend
        One that is `exact`.
    problem : Problem
        With the rank's own columns, and with `row_starts`.
    communicator : Communicator
        The ranks.

    Attributes
    ----------
    starts : array of shape (Q,)
        What the sum of each row starts at: `row_starts`, changed in place; the same on every rank.
    """

    def __init__(self, backend: Backend, problem: Problem, communicator: Communicator) -> None:
        self._backend, self._problem, self._communicator = backend, problem, communicator
        counts, largest = backend.row_extents(problem.matrix)
        self._counts = np.array(communicator.allreduce(counts))  # integers, so that it is exact
        self._largest = largest_of(communicator, largest)
        self.starts = problem.row_starts
        self._reference: SumReference | None = None
        self._moved, self._epoch = math.inf, 0  # how far parameters may have moved, up to which epoch

    def refer_to(self, state: State) -> None:
        """Take the reference of a state or, if it has none, its parameters as they are."""
        if state.sum_reference is None:
            self.renew(state)
        else:
            self._set(state.sum_reference)

    def renew(self, state: State) -> None:
        """Make the parameters of a state its reference; all ranks do so together."""
        step = self._step(state.epoch)
        room = min(max(ROOM, STEPS * step), MOST_ROOM)
        state.sum_reference = SumReference(np.array(state.theta.value), room)
        self._set(state.sum_reference)

    def is_used_up(self, state: State) -> bool:
        """Return whether the next step may lead a parameter of this rank too far from the reference.

        The parameters are looked at only where the learning rates since then leave it open.
        """
        assert self._reference is not None
        while self._epoch < state.epoch:
            self._moved += self._step(self._epoch)
            self._epoch += 1
        step = self._step(state.epoch)
        if self._moved + step > self._reference.room:
            now, then = state.theta.value, self._reference.theta
            if not self._problem.link.exponential:
                now, then = np.abs(now), np.abs(then)
            self._moved = float(np.max(now - then))
        return not self._moved + step <= self._reference.room  # also if it is NaN

    def _step(self, epoch: int) -> float:
        return LARGEST_STEP * self._problem.learning_rate(epoch) + ROUNDING

    def _set(self, reference: SumReference) -> None:
        theta = reference.theta.astype(np.float64)
        with np.errstate(all="ignore"):  # what overflows makes the prediction NaN, which is reported
            if self._problem.link.exponential:
                sizes, growth = np.exp(theta), math.exp(reference.room)
            else:
                sizes, growth = np.abs(theta) + reference.room, 1.0
            bounds = _row_sizes(
                self._backend,
                self._problem.matrix,
                sizes,
                self._communicator,
                (self._counts, self._largest),
            )
            self.starts[...] = starts_for(bounds * growth)
        self._reference, self._moved = reference, math.inf


def exact_totals(
    backend: Backend,
    matrix: Any,
    columns: Any,
    communicator: Communicator,
) -> Floats:
    """Return M @ columns over all ranks, shape (Q,): if possible the same however these are divided."""
    if not (communicator.reproducible and backend.exact):
        return backend.to_numpy(communicator.allreduce(backend.matvec(matrix, columns)))
    counts, largest = backend.row_extents(matrix)
    extents = np.array(communicator.allreduce(counts)), largest_of(communicator, largest)
    with np.errstate(all="ignore"):
        starts = starts_for(_row_sizes(backend, matrix, columns, communicator, extents))
        return np.array(communicator.allreduce(backend.exact_matvec(matrix, columns, starts)))


def _row_sizes(
    backend: Backend,
    matrix: Any,
    columns: Any,
    communicator: Communicator,
    extents: tuple[Floats, Floats],
) -> Floats:
    """Return abs(M) @ abs(columns) over all ranks, or slightly more: bounds of sums.

    `extents` are the number of entries of each row over all ranks and the size of its largest one.
    """
    counts, largest = extents
    sizes = np.abs(np.asarray(columns, np.float64))
    rough = starts_for(counts * largest * largest_of(communicator, np.max(sizes, keepdims=True)))
    totals = np.array(communicator.allreduce(backend.exact_matvec(matrix, sizes, rough, absolute=True)))
    return np.asarray(SLACK * (totals + counts * np.spacing(rough)))


def starts_for(bounds: Floats) -> Floats:
    """Return what sums start at whose sizes stay within bounds; NaN for bounds that are not finite.

    Examples
    --------
    >>> starts_for(np.array([0.0, 1.0, 100.0]))
    array([  6.,  12., 768.])
    """
    exponents = np.where(np.isfinite(bounds), np.frexp(bounds)[1], 0)
    return np.where(np.isfinite(bounds), np.ldexp(1.5, np.maximum(exponents, -900) + 2), np.nan)


def largest_of(communicator: Communicator, array: Floats) -> Floats:
    """Return the largest of each element of an array over all ranks."""
    gathered = np.asarray(communicator.allgather(np.asarray(array)))
    return np.asarray(gathered.reshape(communicator.size, -1).max(axis=0))


def column_total(communicator: Communicator, values: Any, total: Callable[[Any], Any] = np.sum) -> float:
    """Return the sum of one number for each column over all ranks.

    Where ranks must not matter, numbers are rounded to a common unit, so that the sum is exact; else it is
    the sum of what `total` says of each rank.
    """
    if not communicator.reproducible:
        return float(communicator.allreduce(total(values)))
    numbers = np.asarray(values, np.float64)
    count = float(communicator.allreduce(np.array([float(numbers.size)]))[0])
    most = np.max(np.abs(numbers), initial=0.0, keepdims=True).reshape(1)
    with np.errstate(all="ignore"):
        (start,) = starts_for(SLACK * count * largest_of(communicator, most))
        rounded = (start + numbers) - start
    return float(communicator.allreduce(np.array([np.sum(rounded)]))[0])
