"""Matrices as users have them, checked before compiled code reads them, and brought to canonical columns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation

NARROW_ROWS = np.iinfo(np.uint16).max  # up to this many rows a row index fits into 16 bits
MOST_ROWS = np.iinfo(np.int32).max
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the dtype of a run, float32 or float64."""
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):  # what NumPy raises for texts that name no dtype
        wanted = None
    if wanted is None or wanted not in FLOATS:  # None would equal float64
        raise InputError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return wanted


def checked_shape(shape: Any) -> tuple[int, int]:
    """Return the shape of a matrix as two whole numbers of at least 1."""
    if not isinstance(shape, Sequence) or len(shape) != 2:
        raise InputError(f"shape must be two whole numbers (rows, columns), got {shape!r}")
    n_rows, n_columns = (validation.whole_number("shape", n, at_least=1, at_most=2**62) for n in shape)
    if n_rows > MOST_ROWS:
        raise InputError(f"shape: a matrix may have up to {MOST_ROWS} rows, got {n_rows}")
    return n_rows, n_columns


def canonical_csc(name: str, matrix: Any, dtype: np.dtype[Any]) -> Any:
    """Return any matrix as a csc_array, sorted and without duplicates; arrays may be shared with the input, unchanged."""
    if not _is_sparse(matrix):
        dense = validation.numeric_array(name, matrix)
        _check_shape(name, dense.shape)
        return _columns_of_dense(_summable(dense, dtype))
    from scipy import sparse

    matrix = check_sparse(name, matrix)
    matrix = matrix.tocsr(copy=False) if matrix.format == "bsr" else matrix
    if matrix.format == "coo":
        data = _summable(matrix.data, dtype)
        return sparse.coo_array((data, (matrix.row, matrix.col)), shape=matrix.shape).tocsc()
    # A new object over the same arrays: the flags a user's object carries (sorted, canonical) may be out of date.
    fresh = sparse.csr_array if matrix.format == "csr" else sparse.csc_array
    used = slice(matrix.indptr[-1])  # SciPy lets the arrays be longer than what indptr speaks of
    data, indices = _summable(matrix.data[used], dtype), matrix.indices[used]
    csc = fresh((data, indices, matrix.indptr), shape=matrix.shape).tocsc()
    if not csc.has_canonical_format:
        csc = csc.copy() if matrix.format == "csc" else csc
        csc.sum_duplicates()
    return csc


class _Columns(NamedTuple):
    """What is read of a csc_array."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]
    shape: tuple[int, int]


def _columns_of_dense(dense: NDArray[Any]) -> _Columns:
    """Return the elements that are not zero, by columns; without SciPy, whose import takes longer than a small fit."""
    columns, rows = np.nonzero(dense.T)
    indptr = np.searchsorted(columns, np.arange(dense.shape[1] + 1))
    return _Columns(dense[rows, columns], rows, indptr, dense.shape)


def _is_sparse(matrix: Any) -> bool:
    module = sys.modules.get("scipy.sparse")  # whoever has such a matrix has imported it
    return module is not None and bool(module.issparse(matrix))


def check_sparse(name: str, matrix: Any) -> Any:
    """Check a scipy matrix before compiled code reads it; return it as csr, csc, bsr or coo."""
    validation.check_kind(name, matrix.dtype)
    _check_shape(name, matrix.shape)
    if matrix.format in ("csr", "csc", "bsr"):
        _check_scipy_compressed(name, matrix)
        return matrix
    return _checked_coo(name, matrix)


def index_dtype(n_rows: int) -> type[np.integer[Any]]:
    """Return the dtype in which row indices are kept."""
    return np.uint16 if n_rows <= NARROW_ROWS else np.int32


def _summable(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Cast what must not be summed in its own dtype: booleans saturate, integers wrap around, SciPy lacks halves."""
    values = validation.native(values)
    if values.dtype.kind == "f" and values.dtype.itemsize >= 4:
        return values.astype(np.promote_types(values.dtype, dtype), copy=False)
    return values.astype(dtype if values.dtype.itemsize <= 2 else np.float64)


def _check_shape(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        raise InputError(f"{name} must have two dimensions (targets x records), it has shape {shape}")
    if 0 in shape:
        raise InputError(f"{name} is empty: it has shape {shape}")


def _check_scipy_compressed(name: str, matrix: Any) -> None:
    """Check csr, csc and bsr matrices before SciPy's compiled code reads them."""
    n_lists, n_places = reversed(matrix.shape) if matrix.format == "csc" else matrix.shape
    if matrix.data.ndim != (3 if matrix.format == "bsr" else 1):
        raise InputError(f"{name} is broken: its data have shape {matrix.data.shape}")
    if matrix.format == "bsr":
        height, width = matrix.data.shape[1:]
        if 0 in (height, width) or n_lists % height or n_places % width:
            raise InputError(f"{name} is broken: blocks of {height} x {width} do not divide its shape {matrix.shape}")
        n_lists, n_places = n_lists // height, n_places // width
    check_compressed(name, matrix.data, matrix.indices, matrix.indptr, n_lists, n_places)


def check_compressed(
    name: str, data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], n_lists: int, n_places: int
) -> None:
    """Check that indptr and indices describe `n_lists` lists of places below `n_places`."""
    if indptr.dtype.kind not in "ui" or indices.dtype.kind not in "ui":
        raise InputTypeError(f"{name}: indptr and indices must be integers, they are {indptr.dtype} and {indices.dtype}")
    if indptr.shape != (n_lists + 1,):
        raise InputError(f"{name} is broken: indptr has shape {indptr.shape}, ({n_lists + 1},) wanted")
    if indices.ndim != 1 or data.ndim == 0:
        raise InputError(f"{name} is broken: indices have shape {indices.shape}, data {data.shape}")
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise InputError(f"{name} is broken: indptr must start at 0 and never fall")
    if indptr[-1] > min(len(indices), len(data)):
        found = f"{len(indices)} indices and {len(data)} values"
        raise InputError(f"{name} is broken: indptr ends at {indptr[-1]}, but there are {found}")
    check_indices(f"{name}.indices", indices[: indptr[-1]], n_places)


def check_indices(name: str, indices: NDArray[Any], size: int) -> None:
    """Refuse what would lead compiled code out of its arrays."""
    if indices.dtype.kind not in "ui":
        raise InputTypeError(f"{name} must hold integers, its dtype is {indices.dtype}")
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise InputError(f"{name} holds {wrong}, which is out of range: 0 to {size - 1} wanted")


def _checked_coo(name: str, matrix: Any) -> Any:
    """Bring the formats without an indptr to coo, and check what comes out before it is sorted by compiled code."""
    if matrix.format in ("lil", "dia"):  # compiled code reads their arrays
        {"lil": _check_lil, "dia": _check_dia}[matrix.format](name, matrix)
    try:
        coo = matrix.tocoo(copy=False)
    except (ValueError, TypeError, IndexError) as reason:
        raise InputError(f"{name} is broken: {reason}") from reason
    for places, size in ((coo.row, coo.shape[0]), (coo.col, coo.shape[1])):
        if places.shape != coo.data.shape or places.ndim != 1:
            raise InputError(f"{name} is broken: indices have shape {places.shape}, data {coo.data.shape}")
        check_indices(f"{name}.indices", places, size)
    return coo


def _check_lil(name: str, matrix: Any) -> None:
    if matrix.rows.shape != matrix.shape[:1] or matrix.data.shape != matrix.shape[:1]:
        raise InputError(f"{name} is broken: it has {len(matrix.rows)} lists of places and {len(matrix.data)} lists of values")
    for places, values in zip(matrix.rows, matrix.data, strict=True):
        if not isinstance(places, list) or not isinstance(values, list) or len(places) != len(values):
            raise InputError(f"{name} is broken: each row must be two lists of one length, places and values")


def _check_dia(name: str, matrix: Any) -> None:
    offsets, limit = matrix.offsets, MOST_ROWS
    if offsets.ndim != 1 or matrix.data.ndim != 2 or len(offsets) != len(matrix.data):
        raise InputError(f"{name} is broken: offsets have shape {offsets.shape}, data {matrix.data.shape}")
    if offsets.dtype.kind not in "iu" or (offsets.size and max(-int(offsets.min()), int(offsets.max())) > limit):
        raise InputError(f"{name} is broken: offsets must be whole numbers up to {limit}, they are {offsets}")
