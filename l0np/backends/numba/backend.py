"""The fused epoch on the CPU: one visit to each column reads its entries once, for both products.

Columns are cut into a fixed number of chunks, chosen from the matrix alone, each with its own float64
prediction; these are added in fixed order. So no result depends on the number of threads.
"""

import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from l0np.backends.numba import fold_kernels, kernels
from l0np.backends.numba.kernels import Entries, Noise, Switches
from l0np.backends.numba.matrix import CHUNK_COST, NumbaMatrix, cost_of, entries_in_order
from l0np.backends.numba.order import column_order
from l0np.backends.numba.pace import Pace
from l0np.backends.numba.run import NumbaRun, columns_for, columns_in_order
from l0np.backends.numba.threads import run_on_threads, usable_threads
from l0np.backends.numpy import EpochConstants, NumpyBackend, epoch_constants
from l0np.engine import NEVER, Problem, Slopes, State
from l0np.matrix import ColumnMatrix

ENTRY_SECONDS = 1e-9  # rough time per entry on one thread; only a first guess


class NumbaBackend(NumpyBackend):
    """The fused epoch, compiled by Numba.

    Parameters
    ----------
    n_threads : callable, optional
        Returns the number of threads for a run that starts; by default as many as Numba may use.
    chunk_cost : int, optional
        See `chunk_bounds`.
    order_of : callable, optional
        Returns for a ColumnMatrix the order in which runs visit its columns, None for their own. Draws,
        states and answers have the columns' own numbers in any order; only sums are rounded differently.
    """

    name = "numba"

    def __init__(
        self,
        n_threads: Callable[[], int] = usable_threads,
        chunk_cost: int = CHUNK_COST,
        order_of: Callable[[ColumnMatrix], NDArray[Any] | None] = column_order,
    ) -> None:
        self._n_threads, self._chunk_cost, self._order_of = n_threads, chunk_cost, order_of
        self._ordered: WeakKeyDictionary[ColumnMatrix, Entries | None] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the matrices that were put in order."""
        return type(self), (self._n_threads, self._chunk_cost, self._order_of)

    def matrix(self, matrix: ColumnMatrix) -> NumbaMatrix:
        """Return the matrix with its chunks; the entries are shared, unless a run wants them in order."""
        return NumbaMatrix.of(matrix, self._chunk_cost, self._in_order)

    def _in_order(self, matrix: ColumnMatrix) -> Entries | None:
        """Return the entries in the order of a run; None for their own. It is done once for each matrix."""
        if matrix not in self._ordered:
            order = self._order_of(matrix)
            ordered = None if order is None else entries_in_order(matrix, order, self._chunk_cost)
            self._ordered[matrix] = ordered
        return self._ordered[matrix]

    def matvec(self, matrix: NumbaMatrix, columns: Any) -> Any:
        """Return M @ columns in float64."""
        out = np.empty(matrix.shape[0])
        kernels.matvec(matrix.entries, columns, out)
        if matrix.is_folded:
            fold_kernels.add_children(matrix.links, out)
        return out

    def rmatvec(self, matrix: NumbaMatrix, rows: Any) -> Any:
        """Return M.T @ rows in float64."""
        out = np.empty(matrix.shape[1])
        everywhere = np.ones(len(out), np.float32)
        rows = np.asarray(rows, dtype=np.float64)
        if matrix.is_folded:
            rows = _with_parents(matrix, rows, np.empty_like(rows))
        kernels.rmatvec(matrix.entries, rows, everywhere, out)
        return out

    def exact_matvec(self, matrix: NumbaMatrix, columns: Any, starts: Any, *, absolute: bool = False) -> Any:
        """Return M @ columns in sums that start at `starts`."""
        out = np.empty(matrix.shape[0])
        kernels.exact_matvec(matrix.entries, columns, starts, absolute, out)
        return out

    def row_extents(self, matrix: NumbaMatrix) -> tuple[Any, Any]:
        """Return the number of entries of each row, and the size of its largest one."""
        counts, largest = np.zeros(matrix.shape[0]), np.zeros(matrix.shape[0])
        kernels.row_extents(matrix.entries, counts, largest)
        return counts, largest

    def start(self, problem: Problem, state: State, out: Any) -> None:
        """Draw the gates of the state's epoch and write M @ (w z) into `out`."""
        matrix, theta = problem.matrix, state.theta.value
        entries = matrix.ordered()
        if problem.row_starts is not None:
            entries = matrix.entries._replace(starts=problem.row_starts, bits=np.uint64(1))
        n_chunks = len(entries.bounds) - 1
        n_threads = min(self._n_threads(), n_chunks)
        n_draws = (
            4 * (len(theta) // 4 + 2) if len(entries.order) else 0
        )  # in fours, the first of which may be cut
        state.slopes = Slopes(np.empty_like(theta), np.empty_like(theta))
        state.run = NumbaRun(
            entries=entries,
            own=columns_in_order(problem, state, entries.order),
            sums=np.empty((n_chunks, matrix.shape[0])),
            work=kernels.work_space(n_threads, n_chunks, theta.dtype, n_draws),
            pace=Pace(n_threads, ENTRY_SECONDS * cost_of(entries)),
            gradient=np.empty(matrix.shape[0]) if matrix.is_folded else None,
        )
        state.first_bad = np.full(n_chunks, NEVER)
        state.counts = np.zeros((n_chunks, 3), np.int64)
        self._epoch(problem, state, out, out, backward=False)
        state.run.update(state)

    def step(self, problem: Problem, state: State, gradient: Any, out: Any) -> None:
        """Train one epoch in one visit to each column."""
        state.adam_step += 1
        state.epoch += 1
        self._epoch(problem, state, gradient, out, backward=True)
        state.run.update(state)

    def repeat(self, body: Callable[[], None], n: int, problem: Problem, state: State) -> None:
        """Run `body` n times; columns in another order return to the state at the end, however it comes."""
        state.run.unattended = True
        try:
            super().repeat(body, n, problem, state)
        finally:
            state.run.unattended = False
            state.run.update(state)

    def _epoch(self, problem: Problem, state: State, gradient: Any, out: Any, *, backward: bool) -> None:
        """Train up to `state.epoch` by the slopes of the previous epoch, if `backward`; draw its gates."""
        run = state.run
        if backward and run.gradient is not None:
            gradient = _with_parents(problem.matrix, gradient, run.gradient)
        noise = Noise(np.uint64(problem.column_offset), np.uint64(state.epoch), np.uint64(state.seed))
        arguments = (
            run.entries,
            run.own or columns_for(problem, state),
            gradient,
            run.sums,
            run.work,
            _constants(problem, state),
            Switches(backward, problem.link.exponential, problem.gates is not None),
            noise,
            state.first_bad,
            state.counts,
        )
        run.work.taken.fill(0)
        if run.own is not None and problem.gates is not None:
            kernels.draw_all(noise, run.work.draws)
        n_threads, start = run.pace.threads(), time.perf_counter()
        if n_threads == 1:
            kernels.epoch(0, 1, *arguments)
        else:
            self._on_threads(n_threads, arguments)
        run.pace.note(n_threads, time.perf_counter() - start)
        finite = kernels.add_up(run.sums, run.entries.starts, out)
        if problem.matrix.is_folded:
            finite &= fold_kernels.add_children(problem.matrix.links, out)
        if not finite:
            state.first_bad[0] = min(state.first_bad[0], state.epoch)

    def _on_threads(self, n_threads: int, arguments: tuple[Any, ...]) -> None:
        run_on_threads(n_threads, kernels.epoch, *arguments)


def _with_parents(matrix: NumbaMatrix, gradient: Any, out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Write the gradient by the totals of the rows that are stored, and return it."""
    fold_kernels.add_parents(matrix.links, gradient, out)
    return out


def _constants(problem: Problem, state: State) -> EpochConstants:
    """Return what the kernels need for the step up to `state.epoch` and for the gates of that epoch."""
    dtype = state.theta.value.dtype
    rows = epoch_constants(problem, state.lambda_l0, state.epoch, state.adam_step, 1, dtype)
    return EpochConstants(*rows[0])
