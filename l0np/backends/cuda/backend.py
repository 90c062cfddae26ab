"""CUDA through CuPy: the fused epoch of kernels.cu, replayed as a CUDA graph between two reports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.backends.cuda import device_input
from l0np.backends.cuda.availability import why_unavailable
from l0np.backends.cuda.matrix import SCHEDULED, CudaMatrix, move
from l0np.backends.cuda.run import CudaRun
from l0np.backends.cuda.source import Clock, Mode, Switch
from l0np.backends.numpy import NumpyBackend
from l0np.engine import Problem, Slopes, State
from l0np.errors import BackendUnavailableError, PerformanceWarning, warn
from l0np.inputs import is_on_a_device
from l0np.matrix import ColumnMatrix

GRAPH_EPOCHS = 32  # few enough to be captured quickly, many enough to make a launch cost almost nothing
NULL = np.uint64(0)  # the null pointer
# Counted: 5 or 10 kernels of the epoch, 7 to 14 of the loss's gradient. The time is estimated from 5 to 10 us
# each.
NOT_FUSED = (
    "the CUDA kernels do not compute this loss: instead of replaying a CUDA graph, Python launches 12 to 20 "
    "small kernels for each epoch, which takes an estimated 0.1 ms. Results do not change, and large "
    "problems hardly notice; below about a million entries an epoch takes several times as long. Plain "
    'squares (loss_type "mse" or "relative" without tolerances, caps or aggregates) avoid this; for small '
    'problems device="cpu" may be faster.'
)


class CupyBackend(NumpyBackend):
    """One CUDA device.

    A loss that is not a plain weighted sum of squares runs through the array API, on the device but without a
    CUDA graph, and a warning says so.

    Parameters
    ----------
    index : int
        Number of the device.
    most_scheduled : int
        Epochs whose constants are on the device at a time.

    Raises
    ------
    BackendUnavailableError
        Where there is no such device; the message says what is missing.
    """

    name = "cupy"
    on_device = True
    exact = False  # sums are fixed-point, in units that follow from the rank's own columns

    def __init__(self, index: int = 0, most_scheduled: int = SCHEDULED) -> None:
        reason = why_unavailable(index)
        if reason:
            raise BackendUnavailableError(f'device="cuda:{index}" cannot be used: {reason}')
        import cupy
        from array_api_compat import cupy as namespace

        self.xp = namespace
        self._cupy, self._most_scheduled = cupy, most_scheduled
        self._device = cupy.cuda.Device(index)
        with self._device:
            self._stream = cupy.cuda.Stream(non_blocking=True)  # the default stream cannot be captured

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the number of the device."""
        return type(self), (self._device.id, self._most_scheduled)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Return a context in which this device and the backend's own stream are the current ones.

        The stream waits for work that the caller has launched, and the caller's stream for work launched
        within.
        """
        with self._device:
            callers = self._cupy.cuda.get_current_stream()
            self._stream.wait_event(callers.record())
            with self._stream:
                yield
            callers.wait_event(self._stream.record())

    # --- moves

    def matrix(self, matrix: ColumnMatrix | CudaMatrix) -> CudaMatrix:
        """Return the device's copy of a matrix; one that is there already is taken as it is."""
        return matrix if isinstance(matrix, CudaMatrix) else move(self._cupy, matrix)

    def adopt(self, name: str, matrix: Any, dtype: np.dtype[Any]) -> CudaMatrix | None:
        """Return the kernels' form of a cupyx matrix or CuPy array, made there; None for anything else."""
        if not is_on_a_device(matrix):
            return None
        with self.active():
            return device_input.adopt(self._cupy, self._device, name, matrix, dtype)

    def asarray(self, array: NDArray[Any]) -> Any:
        """Return a copy on the device."""
        return self._cupy.array(array)

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return a copy on the host."""
        return np.asarray(self._cupy.asnumpy(array))

    # --- products

    def matvec(self, matrix: CudaMatrix, columns: Any) -> Any:
        """Return M @ columns in float64, or NaN throughout where a coefficient is not finite."""
        cupy, (n_rows, n_columns), geometry = self._cupy, matrix.shape, matrix.geometry
        coefficients = cupy.ascontiguousarray(columns, dtype=np.float64)
        clock, sums = matrix.clock(), cupy.zeros(n_rows, np.uint64)
        out = cupy.empty(n_rows, np.float64)
        matrix.kernels["weigh"](*geometry.launch, (coefficients, np.int64(n_columns), clock))
        columns_per_warp = np.int32(geometry.columns_per_warp)
        matrix.launch_over_columns("matvec", coefficients, sums, clock, columns_per_warp)
        no_loss = NULL, NULL, NULL, NULL, NULL, NULL
        matrix.launch("rows", sums, matrix.exponents, np.int32(n_rows), out, *no_loss, clock, np.int32(False))
        matrix.add_children(out, clock)
        return out

    def rmatvec(self, matrix: CudaMatrix, rows: Any) -> Any:
        """Return M.T @ rows in float64."""
        cupy, (n_rows, n_columns), clock = self._cupy, matrix.shape, matrix.clock()
        given = cupy.array(rows, dtype=np.float64)  # a copy, to which folded rows are added
        matrix.add_parents(given)
        scaled, out = cupy.empty_like(given), cupy.empty(n_columns, np.float64)
        matrix.launch("scale_wide_rows", np.int32(n_rows), given, matrix.exponents, clock, scaled)
        columns_per_warp = np.int32(matrix.geometry.columns_per_warp)
        matrix.launch_over_columns("rmatvec", scaled, out, clock, columns_per_warp, shared=False)
        return out

    # --- the epoch

    def start(self, problem: Problem, state: State, out: Any) -> None:
        """Draw the gates of the state's epoch and write M @ (w z) into `out`."""
        if not _is_fused(problem):
            warn(NOT_FUSED, PerformanceWarning)
        theta = state.theta.value
        state.slopes = Slopes(self._cupy.empty_like(theta), self._cupy.empty_like(theta))
        state.run = run = CudaRun.on(problem.matrix, state.epoch, self._most_scheduled)
        state.first_bad, state.counts = run.first_bad, run.counts
        run.set_constants(problem, state.lambda_l0, state.epoch, state.adam_step)
        self._visit(problem, state, out)

    def row_step(self, problem: Problem, state: State, prediction: Any, out: Any) -> Any:
        """Train the intercept; return None, because the gradient stays in the run.

        If the kernels do not know the loss, `out` is returned as by the reference.
        """
        matrix, run, loss, intercept = problem.matrix, state.run, problem.loss, state.intercept
        if not _is_fused(problem):
            return super().row_step(problem, state, prediction, out)
        if not run.gradient_written:
            value = NULL if intercept is None else intercept.value
            squares: Any = loss  # plain ones, which have these attributes
            known = value, squares.target, squares.curvature, matrix.exponents, run.clock
            written = run.gradient, run.scaled, run.partial_sums
            matrix.launch("gradients", np.int32(matrix.shape[0]), prediction, *known, *written)
            if matrix.links:
                self._scale(matrix, run, run.gradient)
        run.gradient_written = False  # the intercept and then the columns move on
        if intercept is not None:
            run.set_constants(problem, state.lambda_l0, state.epoch + 1, state.adam_step + 1)
            moments = intercept.value, intercept.first_moment, intercept.second_moment
            sums = run.partial_sums, np.int32(matrix.row_blocks)
            matrix.kernels["intercept"]((1,), (1,), (*moments, *sums, run.schedule, run.clock))
        return None

    def step(self, problem: Problem, state: State, gradient: Any, out: Any) -> None:
        """Train one epoch in one visit to each column."""
        matrix, run = problem.matrix, state.run
        if gradient is not None:
            self._scale(matrix, run, gradient)
        state.adam_step += 1
        state.epoch += 1
        run.set_constants(problem, state.lambda_l0, state.epoch, state.adam_step)
        self._visit(problem, state, out)

    def _scale(self, matrix: CudaMatrix, run: CudaRun, gradient: Any) -> None:
        """Scale a gradient for the gather; first add to each row the folded rows that are sums of it."""
        n_rows = np.int32(matrix.shape[0])
        if matrix.links:
            matrix.launch("copy_rows", n_rows, gradient, run.for_stored)
            matrix.add_parents(run.for_stored)
            gradient = run.for_stored
        matrix.launch("scale_rows", n_rows, gradient, matrix.exponents, run.clock, run.scaled)

    def _visit(self, problem: Problem, state: State, out: Any) -> None:
        """Launch a visit to columns and rows, and then its repair, which usually has nothing to do."""
        matrix, run = problem.matrix, state.run
        for repair_only in (False,) if run.unattended else (False, True):
            self._columns(problem, state, repair_only)
            self._rows(problem, state, out, repair_only)
        matrix.add_children(out, run.clock)
        # If other ranks or folded rows add to the prediction, the gradient changes
        run.gradient_written = _writes_gradient(problem)

    def _columns(self, problem: Problem, state: State, repair_only: bool) -> None:
        matrix, run = problem.matrix, state.run
        theta, log_alpha, slopes = state.theta, state.log_alpha, state.slopes
        anchor = NULL if problem.l2_anchor is None else problem.l2_anchor
        switches = Switch.EXPONENTIAL * problem.link.exponential + Switch.GATED * (problem.gates is not None)
        matrix.launch_over_columns(
            "columns", run.scaled, run.sums,
            theta.value, theta.first_moment, theta.second_moment,
            log_alpha.value, log_alpha.first_moment, log_alpha.second_moment,
            slopes.theta_slope, slopes.log_alpha_slope, anchor, run.schedule, run.clock,
            np.uint64(state.seed), np.uint64(problem.column_offset), np.int32(switches),
            np.int32(matrix.geometry.columns_per_warp), np.int32(repair_only),
        )  # fmt: skip

    def _rows(self, problem: Problem, state: State, out: Any, repair_only: bool) -> None:
        matrix, run, loss, intercept = problem.matrix, state.run, problem.loss, state.intercept
        value = NULL if intercept is None else intercept.value
        target = curvature = NULL
        if _writes_gradient(problem):
            target, curvature = loss.target, loss.curvature  # type: ignore[attr-defined]
        known = run.sums, matrix.exponents, np.int32(matrix.shape[0])
        written = run.gradient, run.scaled, run.partial_sums, run.clock
        matrix.launch("rows", *known, out, value, target, curvature, *written, np.int32(repair_only))

    # --- many epochs

    def repeat(self, body: Callable[[], None], n: int, problem: Problem, state: State) -> None:
        """Run `body` n times: as CUDA graphs, without a return to the host, if kernels do all of it."""
        run, stop = state.run, state.epoch + n
        while state.epoch < stop:
            count = min(stop - state.epoch, len(run.schedule))
            run.set_constants(problem, state.lambda_l0, state.epoch + 1, state.adam_step + 1, count)
            if _is_fused(problem) and problem.ranks == 1:
                self._run_unattended(body, count, state)
            else:
                for _ in range(count):
                    body()

    def _run_unattended(self, body: Callable[[], None], n: int, state: State) -> None:
        """Launch n visits, then as many as went into repairs; wait for the device only to count them."""
        run, stop, last_step = state.run, state.epoch + n, state.adam_step + n
        lacking = n
        run.unattended = True
        try:
            while lacking:
                for first in range(0, lacking, GRAPH_EPOCHS):
                    self._launch(body, min(lacking - first, GRAPH_EPOCHS), run)
                clock = self.to_numpy(run.clock)
                lacking = stop - int(clock[Clock.EPOCH]) + int(clock[Clock.MODE] == Mode.REPAIR)
        finally:
            run.unattended = False
        state.epoch, state.adam_step = stop, last_step  # `body` has counted visits, and a graph once

    def _launch(self, body: Callable[[], None], n: int, run: CudaRun) -> None:
        """Run `body` n times, as a graph from the second call with the same n on.

        Capturing a graph takes as long as running it once. CUDA loads a kernel at its first launch, which
        must not be captured.
        """
        if n not in run.graphs:
            for _ in range(n):
                body()
            run.graphs[n] = None
            return
        if run.graphs[n] is None:
            run.graphs[n] = self._capture(body, n)
        run.graphs[n].launch(self._stream)

    def _capture(self, body: Callable[[], None], n: int) -> Any:
        self._stream.begin_capture()
        try:
            for _ in range(n):
                body()
        finally:
            graph = self._stream.end_capture()
        return graph


def _writes_gradient(problem: Problem) -> bool:
    """Whether a visit knows the whole prediction, and the kernel of its rows writes the gradient."""
    return _is_fused(problem) and problem.ranks == 1 and not problem.matrix.links


def _is_fused(problem: Problem) -> bool:
    """Whether the kernels know the loss."""
    return problem.loss.plain_squares
