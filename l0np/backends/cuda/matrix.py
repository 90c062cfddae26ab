"""A ColumnMatrix on a CUDA device: entries with scaled rows, and how to launch the kernels over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from l0np.backends.cuda.geometry import Geometry
from l0np.backends.cuda.links import Links
from l0np.backends.cuda.source import LIGHTEST, Clock, compiled_kernels
from l0np.backends.numpy import N_CONSTANTS
from l0np.engine import NEVER
from l0np.errors import DeviceMemoryError
from l0np.matrix import ColumnMatrix, Fold

ROW_THREADS = 256
LARGEST_EXPONENT = 40  # of a row's sum, that leaves gradients room in float32
# Epochs whose constants are on the device at a time; to list 4,096 takes twice as long for each
SCHEDULED = 512


@dataclass(frozen=True, eq=False)
class CudaMatrix:
    """A matrix by columns on the device, its rows scaled by powers of two (see kernels.cu).

    It is never changed, and serves any number of products and runs.
    """

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]
    exponents: Any  # of the powers of two, for each row
    headroom: int  # see kernels.cu
    lift: int  # see kernels.cu
    geometry: Geometry
    links: Links = field(repr=False)  # of the rows that are folded
    kernels: dict[str, Any] = field(repr=False)
    cupy: Any = field(repr=False)

    @classmethod
    def scaled(
        cls, cupy: Any, parts: tuple[Any, Any, Any], shape: tuple[int, int], links: Links
    ) -> CudaMatrix:
        """Return the matrix of some columns; their data are its own from now on, and scaled in place."""
        data, indices, indptr = parts
        geometry, kernels = _choose(cupy, shape, data, indices)
        exponents, headroom = _scale_rows(cupy, kernels, data, indices, shape[0])
        lift = int(exponents.max()) - LARGEST_EXPONENT if data.dtype == np.float32 else 0
        scaling = exponents, headroom, max(lift, 0)
        return cls(data, indices, indptr, shape, *scaling, geometry, links, kernels, cupy)

    @property
    def nnz(self) -> int:
        """Number of entries that are stored."""
        return len(self.data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the entries and of the runs."""
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    @property
    def row_blocks(self) -> int:
        """Number of blocks of a kernel over rows."""
        return _row_blocks(self.shape[0])

    def launch(self, name: str, *arguments: Any) -> None:
        """Launch a kernel over rows."""
        self.kernels[name]((self.row_blocks,), (ROW_THREADS,), arguments)

    def launch_over_columns(self, name: str, *arguments: Any, shared: bool = True) -> None:
        """Launch a kernel over columns; all of these take the matrix first."""
        matrix = (self.data, self.indices, self.indptr, np.int64(self.shape[1]), np.int32(self.shape[0]))
        shared_bytes = self.geometry.shared_bytes if shared else 0
        self.kernels[name](*self.geometry.launch, (*matrix, *arguments), shared_mem=shared_bytes)

    def add_children(self, totals: Any, clock: Any) -> None:
        """Add to each folded row what its children have."""
        self.links.add_children(self.kernels, totals, clock)

    def add_parents(self, gradient: Any) -> None:
        """Add to the gradient by each row what the rows have that are sums of it."""
        self.links.add_parents(self.kernels, gradient)

    def clock(self, epoch: int = 0) -> Any:
        """Return a new clock, ready to draw the gates of `epoch` or for a product."""
        numbers = np.zeros(len(Clock), np.int64)
        numbers[[Clock.EPOCH, Clock.UNIT, Clock.HEAVIEST, Clock.FIRST_BAD]] = epoch, LIGHTEST, LIGHTEST, NEVER
        numbers[[Clock.HEADROOM, Clock.LIFT]] = self.headroom, self.lift
        return self.cupy.array(numbers)


def _row_blocks(n_rows: int) -> int:
    return -(-n_rows // ROW_THREADS)


def _choose(cupy: Any, shape: tuple[int, int], data: Any, indices: Any) -> tuple[Geometry, dict[str, Any]]:
    """Return geometry and kernels; these in the version whose sums are in shared memory, where these fit."""
    device, nnz = cupy.cuda.Device(), len(data)
    first = Geometry.choose(shape, nnz, device.attributes)
    kind = device.id, str(data.dtype), str(indices.dtype), first.lanes
    for shared in (True, False) if first.shared_bytes else (False,):  # what cannot fit need not be compiled
        kernels = compiled_kernels(cupy, *kind, shared)
        columns = kernels["columns"]
        limits = columns.shared_size_bytes, columns.max_threads_per_block
        geometry = Geometry.choose(shape, nnz, device.attributes, *limits)
        if geometry.shared_bytes or not shared:
            break
    if geometry.shared_bytes:
        for name in ("columns", "matvec"):  # above 48 KiB only on request
            before = kernels[name].max_dynamic_shared_size_bytes
            kernels[name].max_dynamic_shared_size_bytes = max(before, geometry.shared_bytes)
    return geometry, kernels


def _scale_rows(cupy: Any, kernels: dict[str, Any], data: Any, indices: Any, n_rows: int) -> tuple[Any, int]:
    """Scale each row so that its absolute values sum to 1 at most; return the exponents and `headroom`."""
    largest, smallest = cupy.zeros(n_rows, np.uint64), cupy.full(n_rows, np.uint64(2**64 - 1), np.uint64)
    sums, exponents = cupy.zeros(n_rows, np.uint64), cupy.empty(n_rows, np.int32)
    clock = cupy.zeros(len(Clock), np.int64)
    entries = (data, indices, np.int64(len(data)))
    over_entries = (cupy.cuda.Device().attributes["MultiProcessorCount"] * 4,), (ROW_THREADS,)
    over_rows = (_row_blocks(n_rows),), (ROW_THREADS,)
    kernels["row_extremes"](*over_entries, (*entries, largest, smallest))
    kernels["row_sums"](*over_entries, (*entries, largest, sums))
    lowest = np.int32(np.finfo(data.dtype).minexp)
    kernels["row_exponents"](
        *over_rows, (largest, smallest, sums, np.int32(n_rows), lowest, exponents, clock)
    )
    kernels["scale_entries"](*over_entries, (*entries, exponents))
    return exponents, int(clock.get()[Clock.HEADROOM])


# --- bringing a matrix to the device


def bytes_needed(shape: tuple[int, int], nnz: int, dtype: np.dtype[Any], index_dtype: np.dtype[Any]) -> int:
    """Return the bytes of device memory that training needs: entries, column and row space, constants."""
    n_rows, n_columns = shape
    entries = nnz * (dtype.itemsize + index_dtype.itemsize)
    columns = (n_columns + 1) * 8 + n_columns * 8 * dtype.itemsize
    # Parameters, moments and slopes are in `columns`; here sums, gradient, prediction, the loop's buffer,
    # target and curvature; a product's sums; exponents; scaled; of folded rows a gradient and two links
    rows = n_rows * (8 * 7 + 4 + dtype.itemsize + 8 + 2 * 4 * 4)
    return entries + columns + rows + SCHEDULED * N_CONSTANTS * dtype.itemsize


def check_memory(
    cupy: Any, shape: tuple[int, int], nnz: int, dtype: np.dtype[Any], index_dtype: np.dtype[Any]
) -> None:
    """Refuse, before anything is moved, what does not fit into free memory and CuPy's reserve."""
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
    fold: Fold | None = None,
) -> CudaMatrix:
    """Return the matrix whose data, indices and indptr `parts` brings to the device.

    Raises
    ------
    DeviceMemoryError
        Where there is no room for it; nothing of it then stays on the device.
    """
    check_memory(cupy, shape, nnz, dtype, index_dtype)
    try:
        return CudaMatrix.scaled(cupy, parts(), shape, Links.on(cupy, fold))
    except cupy.cuda.memory.OutOfMemoryError as reason:  # it is taken, in pieces, or a conversion needs more
        needed = bytes_needed(shape, nnz, dtype, index_dtype)
        error = DeviceMemoryError(needed, *cupy.cuda.runtime.memGetInfo())
        error.__cause__ = reason.with_traceback(None)  # its frames would keep arrays
    cupy.get_default_memory_pool().free_all_blocks()
    raise error


def move(cupy: Any, matrix: ColumnMatrix) -> CudaMatrix:
    """Return the device's copy of a matrix."""
    parts = matrix.data, matrix.indices, matrix.indptr
    kinds = matrix.dtype, matrix.indices.dtype
    moved = lambda: tuple(cupy.array(part) for part in parts)  # noqa: E731
    return build(cupy, matrix.shape, matrix.n_stored, *kinds, moved, matrix.fold)
