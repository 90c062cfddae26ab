"""The fused epoch on the CPU: one visit to each column reads its entries once, for the gradient and for the next prediction.

Columns are cut into a fixed number of chunks, chosen from the matrix alone, each with its own float64 prediction; these are
added in fixed order. So no result depends on the number of threads.
"""

import multiprocessing
import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import numba
import numba.np.ufunc.parallel
import numpy as np
from numpy.typing import NDArray

from l0np.backends.numba import kernels as kernels
from l0np.backends.numba.kernels import Columns, Constants, Entries, WorkSpace
from l0np.backends.numpy import NumpyBackend, constants
from l0np.engine import NEVER, Draw, Problem, State
from l0np.matrix import ColumnMatrix

MOST_CHUNKS = 64
CHUNK_COST_PER_ROW = 64  # adding up the chunks' predictions then costs little, even where most columns are closed
COLUMN_COST = 8  # what a closed column costs, counted in entries
CHUNK_COST = 1 << 15  # at least, where there are more than two, so that blocks are not cut short
CHUNKED_COST = 1 << 14  # below it there is one chunk: waking threads costs more than they save
ENTRY_NANOSECONDS = 1.0  # of one thread, about; only a first guess
PATIENCE, MOST_PATIENCE = 20, 320  # a trial of the slower way may cost a twentieth of the time, less after each in vain

# What exp is given at least, at most, and at most where it may overflow: the weights
EXPONENTS = {np.dtype(np.float32): (-86.0, 86.0, 89.0), np.dtype(np.float64): (-700.0, 700.0, 710.0)}

_PARALLEL = threading.RLock()  # Numba's workqueue layer aborts the process when two threads enter it; a signal handler may fit
# A forked child must not enter a threading layer that its parent has started: neither where this module came along with the
# fork, nor where it is first imported in the child of a parent that had used Numba's threads for something else.
_PROCESS = os.getpid()
_INHERITED = multiprocessing.parent_process() is not None and getattr(numba.np.ufunc.parallel, "_is_initialized", False)


def _n_threads() -> int:
    return 1 if _INHERITED or os.getpid() != _PROCESS else int(numba.get_num_threads())


def chunk_bounds(matrix: ColumnMatrix) -> NDArray[np.uint64]:
    """Return the first column of each chunk and, last, the number of columns. Depends on the matrix alone, not on threads.

    Chunks have about equal cost: their entries, and a constant for each column. Their number is a power of two, so that threads
    share them evenly.
    """
    n_rows, n_columns = matrix.shape
    cost = matrix.indptr + COLUMN_COST * np.arange(n_columns + 1)
    wanted = cost[-1] // max(CHUNK_COST_PER_ROW * n_rows, CHUNK_COST)
    n_chunks = 1 if cost[-1] < CHUNKED_COST else 1 << min(max(int(wanted), 2), MOST_CHUNKS).bit_length() - 1
    bounds = np.searchsorted(cost, np.linspace(0, cost[-1], n_chunks + 1)[1:-1])
    return np.concatenate(([0], bounds, [n_columns])).astype(np.uint64)


def _constants(problem: Problem, state: State, dtype: np.dtype[Any]) -> Constants:
    """Return what the kernels need for the step up to `state.epoch` and for the gates of that epoch."""
    row = constants(problem, state.lambda_l0, state.epoch, state.adam_step, 1, dtype)[0]
    return Constants(*row, *np.array((0, 1, 2, *EXPONENTS[dtype]), dtype=dtype))


class Pace:
    """How many threads to use for the next epoch: all or one, whichever was faster of late.

    On a busy machine an epoch on all threads waits for the one that is not scheduled, many times the epoch's own length;
    results do not depend on the choice. What was slower is tried again when a trial costs little beside the time since.
    """

    def __init__(self, n_threads: int, serial_seconds: float) -> None:
        # One thread is believed to need `serial_seconds` until it is tried; all threads come first, and their first epoch,
        # which may have compiled the kernel, counts as nothing.
        self._seconds = {1: serial_seconds, n_threads: 0.0}
        self._measured: set[int] = set()
        self._since, self._patience = 0.0, PATIENCE

    def threads(self) -> int:
        """Return the number of threads for the next epoch."""
        slow = max(self._seconds, key=self._seconds.__getitem__)
        if self._since > self._patience * self._seconds[slow]:
            self._since, self._patience = 0.0, min(2 * self._patience, MOST_PATIENCE)
            return slow
        return self._faster()

    def note(self, threads: int, seconds: float) -> None:
        """Take in how long an epoch on so many threads took."""
        if threads in self._measured:
            before = self._faster()
            # one good epoch counts, one bad one may be chance
            self._seconds[threads] = min(seconds, 0.5 * (self._seconds[threads] + seconds))
            self._since += seconds
            if self._faster() != before:
                self._patience = PATIENCE
        self._measured.add(threads)

    def _faster(self) -> int:
        return min(self._seconds, key=self._seconds.__getitem__)


@dataclass(frozen=True)
class NumbaMatrix:
    """A ColumnMatrix cut into chunks, with the work space of one run."""

    entries: Entries
    sums: NDArray[np.float64]  # a prediction for each chunk
    work: WorkSpace
    pace: Pace


class NumbaBackend(NumpyBackend):
    """The fused epoch, compiled by Numba, on as many threads as `numba.get_num_threads()` says."""

    name = "numba"

    def matrix(self, matrix: ColumnMatrix) -> NumbaMatrix:
        """Return the matrix with its chunks; the entries are shared, not copied."""
        bounds = chunk_bounds(matrix)
        entries = Entries(matrix.data, matrix.indices, matrix.indptr.view(np.uint64), bounds)
        n_chunks = len(bounds) - 1
        n_threads = min(_n_threads(), n_chunks)
        work = kernels.work_space(n_threads, n_chunks, matrix.dtype)
        pace = Pace(n_threads, 1e-9 * ENTRY_NANOSECONDS * (matrix.nnz + COLUMN_COST * matrix.shape[1]))
        return NumbaMatrix(entries, np.empty((n_chunks, matrix.shape[0])), work, pace)

    def matvec(self, matrix: NumbaMatrix, columns: Any) -> Any:
        """Return M @ columns in float64."""
        out = np.empty(matrix.sums.shape[1])
        kernels.matvec(matrix.entries, columns, out)
        return out

    def rmatvec(self, matrix: NumbaMatrix, rows: Any) -> Any:
        """Return M.T @ rows in float64."""
        out = np.empty(len(matrix.entries.indptr) - 1)
        kernels.rmatvec(matrix.entries, np.asarray(rows, dtype=np.float64), np.ones(len(out), np.float32), out)
        return out

    def start(self, problem: Problem, state: State, out: Any) -> None:
        """Draw the gates of the state's epoch and write M @ (w z) into `out`."""
        theta = state.theta.value
        state.draw = Draw(np.empty_like(theta), np.empty_like(theta))
        state.first_bad = np.full(len(problem.matrix.sums), NEVER)
        state.counts = np.zeros((len(problem.matrix.sums), 3), np.int64)
        self._epoch(problem, state, out, out, backward=False)

    def step(self, problem: Problem, state: State, gradient: Any, out: Any) -> None:
        """Train one epoch in one visit to each column."""
        state.adam_step += 1
        state.epoch += 1
        self._epoch(problem, state, gradient, out, backward=True)

    def _epoch(self, problem: Problem, state: State, gradient: Any, out: Any, *, backward: bool) -> None:
        """Train up to `state.epoch`, whose gates are drawn; `backward` needs the gates of the epoch before in `state.draw`."""
        matrix, theta, log_alpha, draw = problem.matrix, state.theta, state.log_alpha, state.draw
        arguments = (
            matrix.entries,
            Columns(
                theta.value, theta.first_moment, theta.second_moment,
                log_alpha.value, log_alpha.first_moment, log_alpha.second_moment,
                draw.theta_slope, draw.log_alpha_slope,
            ),
            gradient,
            matrix.sums,
            matrix.work,
            _constants(problem, state, theta.value.dtype),
            (backward, problem.link.exponential, problem.gates is not None),
            np.uint64(problem.column_offset),
            np.uint64(state.epoch),
            np.uint64(state.seed),
            state.first_bad,
            state.counts,
        )  # fmt: skip
        matrix.work.taken.fill(0)
        n_threads, start = matrix.pace.threads(), time.perf_counter()
        if n_threads == 1:
            kernels.epoch(0, 1, *arguments)
        else:
            with _PARALLEL:
                kernels.epoch_parallel(n_threads, *arguments)
        matrix.pace.note(n_threads, time.perf_counter() - start)
        if not kernels.add_up(matrix.sums, out):
            state.first_bad[0] = min(state.first_bad[0], state.epoch)
