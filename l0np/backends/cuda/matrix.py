"""A ColumnMatrix on a CUDA device, with the buffers and the launch geometry of one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from l0np.backends.numpy import N_CONSTANTS
from l0np.engine import NEVER
from l0np.errors import DeviceMemoryError
from l0np.matrix import ColumnMatrix

# No contraction: a fused multiply-add rounds once where every other backend rounds twice, and gates at the border would differ
OPTIONS = ("-std=c++17", "-fmad=false")
ROW_THREADS = 256
WARP = 32
MOST_WARPS = 32  # of a block
SHORT_COLUMN = 48  # mean entries below which 8 lanes share a column, not 32: what remains of a column then idles fewer lanes
SCHEDULED = 512  # epochs whose constants lie on the device at a time; to list 4,096 takes twice as long for each
LIGHTEST = -900  # exponent of a weight that is as good as zero
LARGEST_EXPONENT = 40  # of a row's sum, that leaves gradients room in float32
NULL = np.uint64(0)  # a pointer to nothing


class Clock(IntEnum):
    """Places of the clock, the int64 numbers that the kernels and the host share; the same as in kernels.cu."""

    EPOCH = 0
    MODE = 1
    UNIT = 2
    HEAVIEST = 3
    TICKETS = 4
    FIRST_BAD = 5
    GATHERED = 6
    SCATTERED = 7
    CLOSED = 8
    SCHEDULE_START = 9
    HEADROOM = 10
    LIFT = 11


START, TRAIN, REPAIR = range(3)  # what the next visit to the columns does, see kernels.cu
_C_NAMES = {"float32": "float", "float64": "double", "uint16": "u16", "int32": "int"}


def source() -> str:
    """Return the kernels as one text: CuPy's cache of compiled kernels would not notice a changed header."""
    folder = Path(__file__).parent
    header = '#include "column_maths.cuh"'
    before, after = (folder / "kernels.cu").read_text(encoding="utf-8").split(header)
    return before + (folder / "column_maths.cuh").read_text(encoding="utf-8") + after


def kernel_names(dtype: str, index_dtype: str, lanes: int, shared: bool) -> dict[str, str]:
    """Return the C++ name of each kernel for one kind of matrix."""
    real, index, flag = _C_NAMES[dtype], _C_NAMES[index_dtype], "true" if shared else "false"
    by_kind = {"columns": f"{real}, {index}, {lanes}, {flag}", "matvec": f"{real}, {index}, {lanes}, {flag}",
               "rmatvec": f"{real}, {index}, {lanes}"}  # fmt: skip
    by_kind |= dict.fromkeys(("rows", "gradients", "scale_rows", "intercept"), real)
    by_kind |= dict.fromkeys(("row_extremes", "row_sums", "scale_entries"), f"{real}, {index}")
    names = {name: f"{name}<{arguments}>" for name, arguments in by_kind.items()}
    return names | {"scale_wide_rows": "scale_rows<double>", "weigh": "weigh", "row_exponents": "row_exponents"}


@cache
def _kernels(cupy: Any, device: int, dtype: str, index_dtype: str, lanes: int, shared: bool) -> dict[str, Any]:
    """Compile the kernels for one kind of matrix and load them on the current device, which `device` names for the cache."""
    del device
    names = kernel_names(dtype, index_dtype, lanes, shared)
    module = cupy.RawModule(code=source(), options=OPTIONS, name_expressions=tuple(dict.fromkeys(names.values())))
    kernels = {name: module.get_function(expression) for name, expression in names.items()}
    for kernel in kernels.values():
        kernel.compile()  # now: a module cannot be loaded while a graph is captured
    return kernels


@dataclass(frozen=True)
class Geometry:
    """How the kernels that visit columns are launched. No result depends on it but the order within `lanes`."""

    lanes: int  # of a warp that share a column; chosen from the matrix alone
    shared_bytes: int  # for the block's own sums; 0 where they do not fit and the sums are in device memory
    columns_per_warp: int
    threads: int
    blocks: int

    @classmethod
    def choose(
        cls, shape: tuple[int, int], nnz: int, attributes: dict[str, int], static_bytes: int, most_threads: int
    ) -> Geometry:
        """Choose one block for each multiprocessor, and so many columns for a warp that small problems still fill them.

        Parameters
        ----------
        attributes : dict
            CuPy's ``Device.attributes``.
        static_bytes, most_threads : int
            Shared memory that the kernel has besides the sums, and the largest block that it allows.
        """
        n_rows, n_columns = shape
        processors, most_warps = attributes["MultiProcessorCount"], min(MOST_WARPS, most_threads // WARP)
        lanes = 8 if nnz < SHORT_COLUMN * n_columns else WARP
        together = WARP // lanes
        share = -(-n_columns // (processors * most_warps))
        columns_per_warp = min(-(-share // together) * together, WARP)
        tasks = -(-n_columns // columns_per_warp)
        warps = min(-(-tasks // processors), most_warps)
        fits = 8 * n_rows + static_bytes <= attributes["MaxSharedMemoryPerBlockOptin"]
        blocks = min(processors, -(-tasks // warps))
        return cls(lanes, 8 * n_rows if fits else 0, columns_per_warp, WARP * warps, blocks)


@dataclass(eq=False)
class CudaMatrix:
    """A matrix by columns on the device, its rows scaled by powers of two, and the work space of one run (see kernels.cu)."""

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]
    cupy: Any = field(repr=False)

    def __post_init__(self) -> None:
        """Compile, allocate every buffer, scale the rows."""
        cupy, (n_rows, _) = self.cupy, self.shape
        device = cupy.cuda.Device()
        self.geometry, self.kernels = self._choose(device)
        self.row_blocks = -(-n_rows // ROW_THREADS)
        self.sums = cupy.zeros(n_rows, np.uint64)  # 0 between any two visits
        self.exponents = cupy.empty(n_rows, np.int32)
        self.gradient = cupy.empty(n_rows, np.float64)
        self.scaled = cupy.empty(n_rows, self.data.dtype)  # the gradient as the scaled rows need it
        self.partial_sums = cupy.empty(self.row_blocks, np.float64)
        self.schedule = cupy.empty((SCHEDULED, N_CONSTANTS), self.data.dtype)
        self.scheduled = range(0)  # the epochs in it
        self.predicted: Any = None  # the array whose loss gradient is in `gradient`
        self.unattended = False  # whether visits that must be repaired are left to those that follow
        self.graphs: dict[int, Any] = {}  # of the loop's body since `start`, by epochs; None where it ran without a graph
        self.clock = cupy.empty(len(Clock), np.int64)
        self.scratch = cupy.empty(len(Clock), np.int64)  # the clock of products outside the run
        self.headroom, self.lift = self._scale_rows()
        self.set_clock(self.clock, 0)

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return len(self.data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the entries and of the run."""
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    def _choose(self, device: Any) -> tuple[Geometry, dict[str, Any]]:
        """Return geometry and kernels; these in the version whose sums are in shared memory, where these fit."""
        first = Geometry.choose(self.shape, self.nnz, device.attributes, 0, WARP)
        lanes = first.lanes
        for shared in (True, False) if first.shared_bytes else (False,):  # what cannot fit need not be compiled
            kernels = _kernels(self.cupy, device.id, str(self.data.dtype), str(self.indices.dtype), lanes, shared)
            columns = kernels["columns"]
            geometry = Geometry.choose(
                self.shape, self.nnz, device.attributes, columns.shared_size_bytes, columns.max_threads_per_block
            )
            if geometry.shared_bytes or not shared:
                break
        if geometry.shared_bytes:
            for name in ("columns", "matvec"):  # above 48 KiB only on request
                before = kernels[name].max_dynamic_shared_size_bytes
                kernels[name].max_dynamic_shared_size_bytes = max(before, geometry.shared_bytes)
        return geometry, kernels

    def launch(self, name: str, *arguments: Any) -> None:
        """Launch a kernel over rows."""
        self.kernels[name]((self.row_blocks,), (ROW_THREADS,), arguments)

    def launch_over_columns(self, name: str, *arguments: Any, shared: bool = True) -> None:
        """Launch a kernel over columns; all of these take the matrix first and the columns of a warp towards the end."""
        matrix = (self.data, self.indices, self.indptr, np.int64(self.shape[1]), np.int32(self.shape[0]))
        place, shared_bytes = self.geometry, self.geometry.shared_bytes if shared else 0
        self.kernels[name]((place.blocks,), (place.threads,), (*matrix, *arguments), shared_mem=shared_bytes)

    def set_clock(self, clock: Any, epoch: int) -> None:
        """Set a clock back, ready to draw the gates of `epoch`."""
        numbers = np.zeros(len(Clock), np.int64)
        numbers[[Clock.EPOCH, Clock.UNIT, Clock.HEAVIEST, Clock.FIRST_BAD]] = epoch, LIGHTEST, LIGHTEST, NEVER
        numbers[[Clock.HEADROOM, Clock.LIFT]] = self.headroom, self.lift
        clock.set(numbers)

    def _scale_rows(self) -> tuple[int, int]:
        """Scale each row so that its absolute values sum to 1 at most; return `headroom` and `lift` (see kernels.cu)."""
        cupy, (n_rows, _) = self.cupy, self.shape
        largest, smallest = cupy.zeros(n_rows, np.uint64), cupy.full(n_rows, np.uint64(2**64 - 1), np.uint64)
        self.clock.fill(0)
        entries = (self.data, self.indices, np.int64(self.nnz))
        place = (self.cupy.cuda.Device().attributes["MultiProcessorCount"] * 4,), (ROW_THREADS,)
        self.kernels["row_extremes"](*place, (*entries, largest, smallest))
        self.kernels["row_sums"](*place, (*entries, largest, self.sums))
        lowest = np.int32(np.finfo(self.dtype).minexp)
        self.launch("row_exponents", largest, smallest, self.sums, np.int32(n_rows), lowest, self.exponents, self.clock)
        self.kernels["scale_entries"](*place, (*entries, self.exponents))
        lift = int(self.exponents.max()) - LARGEST_EXPONENT if self.dtype == np.float32 else 0
        return int(self.clock.get()[Clock.HEADROOM]), max(lift, 0)


def bytes_needed(shape: tuple[int, int], nnz: int, dtype: np.dtype[Any], index_dtype: np.dtype[Any]) -> int:
    """Return the device memory that training needs: entries, columns with parameters, moments and slopes, rows, constants."""
    n_rows, n_columns = shape
    entries = nnz * (dtype.itemsize + index_dtype.itemsize)
    columns = (n_columns + 1) * 8 + n_columns * 8 * dtype.itemsize
    rows = n_rows * (8 * 7 + 4 + dtype.itemsize)  # sums, extremes, prediction, gradient, target, curvature; exponents; scaled
    return entries + columns + rows + SCHEDULED * N_CONSTANTS * dtype.itemsize


def check_memory(cupy: Any, shape: tuple[int, int], nnz: int, dtype: np.dtype[Any], index_dtype: np.dtype[Any]) -> None:
    """Refuse, before anything is moved, what does not fit into the device's free memory and CuPy's own reserve."""
    needed = bytes_needed(shape, nnz, dtype, index_dtype)
    free, total = cupy.cuda.runtime.memGetInfo()
    free += cupy.get_default_memory_pool().free_bytes()
    if needed > free:
        raise DeviceMemoryError(needed, free, total)


def build(
    cupy: Any,
    shape: tuple[int, int],
    nnz: int,
    dtype: np.dtype[Any],
    index_dtype: np.dtype[Any],
    parts: Callable[[], tuple[Any, Any, Any]],
) -> CudaMatrix:
    """Return the matrix whose data, indices and indptr `parts` brings to the device, or an error that leaves nothing there."""
    check_memory(cupy, shape, nnz, dtype, index_dtype)
    try:
        return CudaMatrix(*parts(), shape, cupy)
    except cupy.cuda.memory.OutOfMemoryError as reason:  # others took it, it is in pieces, or a conversion needs more
        error = DeviceMemoryError(bytes_needed(shape, nnz, dtype, index_dtype), *cupy.cuda.runtime.memGetInfo())
        error.__cause__ = reason.with_traceback(None)  # its frames would keep arrays
    cupy.get_default_memory_pool().free_all_blocks()
    raise error


def move(cupy: Any, matrix: ColumnMatrix) -> CudaMatrix:
    """Return the device's copy of a matrix."""
    parts = matrix.data, matrix.indices, matrix.indptr
    kinds = matrix.dtype, matrix.indices.dtype
    return build(cupy, matrix.shape, matrix.nnz, *kinds, lambda: tuple(cupy.array(part) for part in parts))
