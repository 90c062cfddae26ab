"""CUDA through CuPy: the fused epoch of kernels.cu, replayed as a CUDA graph between two reports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.backends.cuda import device_input
from l0np.backends.cuda.matrix import NULL, REPAIR, SCHEDULED, Clock, CudaMatrix, move
from l0np.backends.numpy import NumpyBackend, constants
from l0np.engine import Draw, Problem, State
from l0np.errors import BackendUnavailableError
from l0np.inputs import is_on_a_device
from l0np.matrix import ColumnMatrix

GRAPH_EPOCHS = 32  # in one graph: few enough to capture in a moment, many enough to make its launch cost nothing
EXPONENTIAL, GATED = 1, 2  # switches of the kernel
NO_DEVICE = "CuPy and a driver are there, but no CUDA device"


def why_unavailable(index: int) -> str | None:
    """Return what is missing for device number `index`, and what to install; None where nothing is missing."""
    try:
        import cupy
    except ImportError as reason:
        return (
            f"CuPy is not installed or cannot be loaded: pip install {_package(13)}, or {_package(12)} where nvidia-smi shows "
            f"a driver for CUDA 12 [{reason}]"
        )
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as reason:
        return _why_no_device(runtime, reason)
    if index >= count:
        return f"there is no CUDA device {index}, this machine has {count}" if count else NO_DEVICE
    try:
        cupy.cuda.nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as reason:
        package = _package(runtime.runtimeGetVersion() // 1000)
        return f"NVRTC, CUDA's compiler, which CuPy's wheel does not hold, is not installed: pip install {package} [{reason}]"
    return None


def _why_no_device(runtime: Any, reason: Exception) -> str:
    """Tell a driver that is missing from one that is too old, and both from a machine without a device."""
    if "NoDevice" in str(reason):
        return f"{NO_DEVICE} [{reason}]"
    driver, built_for = runtime.driverGetVersion() // 1000, runtime.runtimeGetVersion() // 1000
    if not driver:
        return f"CuPy is installed, but no NVIDIA driver: install it, from nvidia.com or the system's packages [{reason}]"
    if driver < built_for:
        return (
            f"the NVIDIA driver is for CUDA {driver}, the installed CuPy for CUDA {built_for}: install a newer driver, or "
            f"pip install {_package(driver)} in CuPy's place [{reason}]"
        )
    return f"CuPy and an NVIDIA driver for CUDA {driver} are there, but do not work: see what nvidia-smi says [{reason}]"


def _package(cuda: int) -> str:
    """Return CuPy's package for a major version of CUDA, with the libraries that it loads."""
    return f'"cupy-cuda{cuda}x[ctk]"'


class CupyBackend(NumpyBackend):
    """One CUDA device. A loss that the kernels do not know runs through the array API, on the device and without a graph."""

    name = "cupy"
    on_device = True

    def __init__(self, index: int = 0) -> None:
        reason = why_unavailable(index)
        if reason:
            raise BackendUnavailableError(f'device="cuda:{index}" cannot be used: {reason}')
        import cupy
        from array_api_compat import cupy as namespace

        self.xp = namespace
        self._cupy = cupy
        self._device = cupy.cuda.Device(index)
        with self._device:
            self._stream = cupy.cuda.Stream(non_blocking=True)  # the default stream cannot be captured

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the number of the device."""
        return type(self), (self._device.id,)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Return a context in which this device and the backend's own stream are the current ones.

        The stream waits for what its caller has launched, and the caller's for what was launched within.
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
        """Return the kernels' form of a cupyx matrix or CuPy array, made on the device; None for anything else."""
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
        cupy, geometry, clock = self._cupy, matrix.geometry, matrix.scratch
        coefficients = cupy.ascontiguousarray(columns, dtype=np.float64)
        out = cupy.empty(matrix.shape[0], np.float64)
        matrix.set_clock(clock, 0)
        per_column = (geometry.blocks,), (geometry.threads,)
        matrix.kernels["weigh"](*per_column, (coefficients, np.int64(matrix.shape[1]), clock))
        matrix.launch_over_columns("matvec", coefficients, matrix.sums, clock, np.int32(geometry.columns_per_warp))
        self._rows(matrix, clock, out, None, None, repair_only=False)
        return out

    def rmatvec(self, matrix: CudaMatrix, rows: Any) -> Any:
        """Return M.T @ rows in float64."""
        cupy = self._cupy
        given = cupy.ascontiguousarray(rows, dtype=np.float64)
        scaled, out = cupy.empty_like(given), cupy.empty(matrix.shape[1], np.float64)
        matrix.launch("scale_wide_rows", np.int32(matrix.shape[0]), given, matrix.exponents, matrix.clock, scaled)
        places = out, matrix.clock, np.int32(matrix.geometry.columns_per_warp)
        matrix.launch_over_columns("rmatvec", scaled, *places, shared=False)
        return out

    # --- the epoch

    def start(self, problem: Problem, state: State, out: Any) -> None:
        """Draw the gates of the state's epoch and write M @ (w z) into `out`."""
        matrix, theta = problem.matrix, state.theta.value
        state.draw = Draw(self._cupy.empty_like(theta), self._cupy.empty_like(theta))
        matrix.set_clock(matrix.clock, state.epoch)
        state.first_bad = matrix.clock[Clock.FIRST_BAD : Clock.FIRST_BAD + 1]
        state.counts = self.xp.reshape(matrix.clock[Clock.GATHERED : Clock.CLOSED + 1], (1, 3))
        matrix.graphs, matrix.scheduled = {}, range(0)
        self._schedule(problem, state, state.epoch, state.adam_step, 1)
        self._visit(problem, state, out)

    def row_step(self, problem: Problem, state: State, prediction: Any, out: Any) -> Any:
        """Return the gradient of the loss by each prediction and train the intercept."""
        matrix, loss, intercept = problem.matrix, problem.loss, state.intercept
        if not _is_fused(problem):
            return super().row_step(problem, state, prediction, out)
        if problem.ranks > 1 or prediction is not matrix.predicted:  # else the last visit has written the gradient
            value = NULL if intercept is None else intercept.value
            known = value, loss.target, loss.curvature, matrix.exponents, matrix.clock  # type: ignore[attr-defined]
            written = matrix.gradient, matrix.scaled, matrix.partial_sums
            matrix.launch("gradients", np.int32(matrix.shape[0]), prediction, *known, *written)
        if intercept is not None:
            self._schedule(problem, state, state.epoch + 1, state.adam_step + 1, 1)
            moments = intercept.value, intercept.first_moment, intercept.second_moment
            sums = matrix.partial_sums, np.int32(matrix.row_blocks)
            matrix.kernels["intercept"]((1,), (1,), (*moments, *sums, matrix.schedule, matrix.clock))
        return matrix.gradient

    def step(self, problem: Problem, state: State, gradient: Any, out: Any) -> None:
        """Train one epoch in one visit to each column."""
        matrix = problem.matrix
        if gradient is not matrix.gradient:
            matrix.launch("scale_rows", np.int32(matrix.shape[0]), gradient, matrix.exponents, matrix.clock, matrix.scaled)
        state.adam_step += 1
        state.epoch += 1
        self._schedule(problem, state, state.epoch, state.adam_step, 1)
        self._visit(problem, state, out)

    def _visit(self, problem: Problem, state: State, out: Any) -> None:
        """Launch a visit to the columns and what follows in row space, and its repair, which most often has nothing to do."""
        matrix = problem.matrix
        loss = problem.loss if _is_fused(problem) else None
        for repair_only in (False,) if matrix.unattended else (False, True):
            self._columns(problem, state, repair_only)
            self._rows(matrix, matrix.clock, out, loss, state.intercept, repair_only)
        matrix.predicted = out if loss else None

    def _columns(self, problem: Problem, state: State, repair_only: bool) -> None:
        matrix, theta, log_alpha, draw = problem.matrix, state.theta, state.log_alpha, state.draw
        switches = EXPONENTIAL * problem.link.exponential + GATED * (problem.gates is not None)
        matrix.launch_over_columns(
            "columns", matrix.scaled, matrix.sums,
            theta.value, theta.first_moment, theta.second_moment,
            log_alpha.value, log_alpha.first_moment, log_alpha.second_moment,
            draw.theta_slope, draw.log_alpha_slope, matrix.schedule, matrix.clock,
            np.uint64(state.seed), np.uint64(problem.column_offset), np.int32(switches),
            np.int32(matrix.geometry.columns_per_warp), np.int32(repair_only),
        )  # fmt: skip

    def _rows(self, matrix: CudaMatrix, clock: Any, out: Any, loss: Any, intercept: Any, repair_only: bool) -> None:
        value = NULL if intercept is None else intercept.value
        target, curvature = (loss.target, loss.curvature) if loss else (NULL, NULL)
        arguments = (out, value, target, curvature, matrix.gradient, matrix.scaled, matrix.partial_sums, clock)
        matrix.launch("rows", matrix.sums, matrix.exponents, np.int32(matrix.shape[0]), *arguments, np.int32(repair_only))

    def _schedule(self, problem: Problem, state: State, first_epoch: int, first_step: int, n_epochs: int) -> None:
        """Move the constants of these epochs to the device, unless they are there, behind what has been launched."""
        matrix = problem.matrix
        if matrix.unattended or (first_epoch in matrix.scheduled and first_epoch + n_epochs <= matrix.scheduled.stop):
            return
        matrix.schedule[:n_epochs].set(constants(problem, state.lambda_l0, first_epoch, first_step, n_epochs, matrix.dtype))
        matrix.clock[Clock.SCHEDULE_START : Clock.SCHEDULE_START + 1].set(np.array([first_epoch], np.int64))
        matrix.scheduled = range(first_epoch, first_epoch + n_epochs)

    # --- many epochs

    def repeat(self, body: Callable[[], None], n: int, problem: Problem, state: State) -> None:
        """Run `body` n times; where kernels do all of it, as a CUDA graph that does not return to the host in between."""
        stop = state.epoch + n
        while state.epoch < stop:
            count = min(stop - state.epoch, SCHEDULED)
            self._schedule(problem, state, state.epoch + 1, state.adam_step + 1, count)
            if _is_fused(problem) and problem.ranks == 1:
                self._run_unattended(body, count, problem.matrix, state)
            else:
                for _ in range(count):
                    body()

    def _run_unattended(self, body: Callable[[], None], n: int, matrix: CudaMatrix, state: State) -> None:
        """Launch n visits, then as many as went into repairs; wait for the device only to count them."""
        stop, last_step = state.epoch + n, state.adam_step + n
        lacking = n
        matrix.unattended = True
        try:
            while lacking:
                for first in range(0, lacking, GRAPH_EPOCHS):
                    self._launch(body, min(lacking - first, GRAPH_EPOCHS), matrix)
                clock = self.to_numpy(matrix.clock)
                lacking = stop - int(clock[Clock.EPOCH]) + int(clock[Clock.MODE] == REPAIR)
        finally:
            matrix.unattended = False
        state.epoch, state.adam_step = stop, last_step  # `body` has counted visits, and a graph once

    def _launch(self, body: Callable[[], None], n: int, matrix: CudaMatrix) -> None:
        """Run `body` n times, as a graph from the second time on that n is asked for.

        To capture one takes as long as to run it once, and CUDA loads a kernel at its first launch, which must not be captured.
        """
        if n not in matrix.graphs:
            for _ in range(n):
                body()
            matrix.graphs[n] = None
            return
        if matrix.graphs[n] is None:
            matrix.graphs[n] = self._capture(body, n)
        matrix.graphs[n].launch(self._stream)

    def _capture(self, body: Callable[[], None], n: int) -> Any:
        self._stream.begin_capture()
        try:
            for _ in range(n):
                body()
        finally:
            graph = self._stream.end_capture()
        return graph


def _is_fused(problem: Problem) -> bool:
    """Whether the kernels know the loss."""
    return problem.loss.plain_squares
