"""Matrices that are on the device already: checked, and brought into the kernels' form there."""

from typing import Any

import numpy as np

from l0np.backends.cuda.matrix import CudaMatrix, build
from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation
from l0np.matrix import checked_shape, index_dtype


def adopt(cupy: Any, device: Any, name: str, matrix: Any, dtype: np.dtype[Any]) -> CudaMatrix:
    """Return the kernels' form of a cupyx matrix or a two-dimensional CuPy array; the input is not changed.

    Within a column the order of entries does not matter to the kernels, and duplicates and zeros need not be
    removed: they add up to what they stand for.

    Raises
    ------
    InputError, InputTypeError
        Where the matrix is on another device, is not of real, finite numbers, or its indices are out of
        range.
    DeviceMemoryError
        Where there is no room for it.
    """
    from cupyx.scipy import sparse

    home = getattr(matrix, "data", matrix).device if sparse.issparse(matrix) else matrix.device
    if home.id != device.id:
        raise InputError(
            f"{name} is on device {home.id}, the model computes on device {device.id}: move one of them"
        )
    validation.check_kind(name, matrix.dtype)
    shape = checked_shape(tuple(matrix.shape))
    if sparse.issparse(matrix):
        nnz = int(matrix.nnz)
        _check_indices(name, matrix)
    else:
        nnz = int(cupy.count_nonzero(matrix))
    narrow = np.dtype(index_dtype(shape[0]))

    def parts() -> tuple[Any, Any, Any]:
        real = matrix if matrix.dtype.char in "fd" else matrix.astype(np.float64)  # cuSPARSE moves these only
        csc = real.tocsc() if sparse.issparse(real) else sparse.csc_matrix(real)
        data = cupy.array(csc.data, dtype=dtype)  # a copy, for its rows will be scaled
        _check_finite(cupy, name, data, csc.data)
        return data, cupy.array(csc.indices, dtype=narrow), cupy.array(csc.indptr, dtype=np.int64)

    return build(cupy, shape, nnz, dtype, narrow, parts)


def _check_indices(name: str, matrix: Any) -> None:
    """Refuse what would lead cuSPARSE or the kernels out of their arrays."""
    n_rows, n_columns = matrix.shape
    if matrix.format in ("csr", "csc"):
        indptr, n_indexed = matrix.indptr, n_columns if matrix.format == "csr" else n_rows
        if int(indptr[0]) != 0 or bool((indptr[1:] < indptr[:-1]).any()):
            raise InputError(f"{name} is broken: indptr must start at 0 and never fall")
        if int(indptr[-1]) != len(matrix.indices) or len(matrix.indices) != len(matrix.data):
            found = f"{len(matrix.indices)} indices and {len(matrix.data)} values"
            raise InputError(f"{name} is broken: indptr ends at {int(indptr[-1])}, but there are {found}")
        indices_and_sizes = [(matrix.indices, n_indexed)]
    elif matrix.format == "coo":
        indices_and_sizes = [(matrix.row, n_rows), (matrix.col, n_columns)]
    else:
        raise InputTypeError(
            f"{name} must be in csr, csc or coo format on the device, it is in {matrix.format}"
        )
    for indices, size in indices_and_sizes:
        if len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= size):
            wrong = int(indices.min()) if int(indices.min()) < 0 else int(indices.max())
            raise InputError(f"{name}.indices holds {wrong}, which is out of range: 0 to {size - 1} wanted")


def _check_finite(cupy: Any, name: str, data: Any, original: Any) -> None:
    finite = cupy.isfinite(data)
    if bool(finite.all()):  # to find where it is not takes 8 bytes an entry
        return
    wrong = cupy.flatnonzero(~finite)
    value = original[wrong[:1]].get()[0]
    cast = f" after the cast of {value} to {data.dtype}" if np.isfinite(value) else ""
    raise InputError(
        f"{name} has an entry {data[wrong[:1]].get()[0]}{cast} (non-finite entries: {len(wrong)})"
    )
