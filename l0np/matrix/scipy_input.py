"""Matrices as users have them: checked before compiled code reads them, and converted to canonical form."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix.checks import MOST_ROWS, check_compressed, check_indices, check_input_shape, index_dtype


def is_sparse(matrix: Any) -> bool:
    """Return whether a matrix is a `scipy.sparse` matrix or array, without importing SciPy."""
    module = sys.modules.get("scipy.sparse")  # if there is such a matrix, SciPy has been imported
    return module is not None and bool(module.issparse(matrix))


def canonical_csc(name: str, matrix: Any, dtype: np.dtype[Any]) -> Any:
    """Return any matrix as a csc_array, sorted and without duplicates.

    Its arrays may be shared with the input, which does not change.
    """
    if not is_sparse(matrix):
        dense = validation.numeric_array(name, matrix)
        check_input_shape(name, dense.shape)
        return _columns_of_dense(_summable(dense, dtype))
    from scipy import sparse

    matrix = check_sparse(name, matrix)
    matrix = matrix.tocsr(copy=False) if matrix.format == "bsr" else matrix
    if matrix.format == "coo":
        data = _summable(matrix.data, dtype)
        return sparse.coo_array((data, (matrix.row, matrix.col)), shape=matrix.shape).tocsc()
    # A new object over the same arrays: the flags of a user's object (sorted, canonical) may be out of date
    fresh = sparse.csr_array if matrix.format == "csr" else sparse.csc_array
    used = slice(matrix.indptr[-1])  # SciPy allows arrays that are longer than indptr says
    data, indices = _summable(matrix.data[used], dtype), matrix.indices[used]
    csc = fresh((data, indices, matrix.indptr), shape=matrix.shape).tocsc()
    if not csc.has_canonical_format:
        csc = csc.copy() if matrix.format == "csc" else csc
        csc.sum_duplicates()
    return csc


def cast_columns(csc: Any, dtype: np.dtype[Any], name: str, source: Any) -> tuple[Any, Any, Any]:
    """Return data, indices and indptr of canonical columns; entries that are 0 after the cast are dropped.

    An entry that is not finite is reported; `source` is the matrix as the user gave it.
    """
    with np.errstate(over="ignore", under="ignore"):
        data = csc.data.astype(dtype)
    wrong = np.flatnonzero(~np.isfinite(data))
    if wrong.size:
        row, column = csc.indices[wrong[0]], np.searchsorted(csc.indptr, wrong[0], side="right") - 1
        given = csc.data[wrong[0]]
        cast = f" after the cast of {given} to {dtype}" if np.isfinite(given) else ""
        where, words = validation.entry(name, source, row, column)
        found = f"{where} is {data[wrong[0]]}{cast}"
        raise InputError(f"{found} (non-finite entries: {wrong.size}){words}")
    indices, indptr = csc.indices, csc.indptr
    if not data.all():
        stays = data != 0
        indptr = np.concatenate(([0], np.cumsum(stays, dtype=np.int64)))[indptr]
        indices, data = indices[stays], data[stays]
    return data, indices.astype(index_dtype(csc.shape[0])), indptr.astype(np.int64)


class _Columns(NamedTuple):
    """The attributes of a csc_array that are read."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]
    shape: tuple[int, int]


def _columns_of_dense(dense: NDArray[Any]) -> _Columns:
    """Return the elements that are not zero, by columns.

    SciPy is not used: its import takes longer than a small fit.
    """
    columns, rows = np.nonzero(dense.T)
    indptr = np.searchsorted(columns, np.arange(dense.shape[1] + 1))
    return _Columns(dense[rows, columns], rows, indptr, dense.shape)


def _summable(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Cast values that must not be summed in their own dtype.

    Booleans saturate, integers wrap around, and SciPy cannot compute with float16.
    """
    values = validation.native(values)
    if values.dtype.kind == "f" and values.dtype.itemsize >= 4:
        return values.astype(np.promote_types(values.dtype, dtype), copy=False)
    return values.astype(dtype if values.dtype.itemsize <= 2 else np.float64)


def check_sparse(name: str, matrix: Any) -> Any:
    """Check a scipy matrix before compiled code reads it; return it as csr, csc, bsr or coo."""
    validation.check_kind(name, matrix.dtype)
    check_input_shape(name, matrix.shape)
    if matrix.format in ("csr", "csc", "bsr"):
        _check_scipy_compressed(name, matrix)
        return matrix
    return _checked_coo(name, matrix)


def _check_scipy_compressed(name: str, matrix: Any) -> None:
    """Check csr, csc and bsr matrices before SciPy's compiled code reads them."""
    n_lists, size = reversed(matrix.shape) if matrix.format == "csc" else matrix.shape
    if matrix.data.ndim != (3 if matrix.format == "bsr" else 1):
        raise InputError(f"{name} is broken: its data have shape {matrix.data.shape}")
    if matrix.format == "bsr":
        height, width = matrix.data.shape[1:]
        if 0 in (height, width) or n_lists % height or size % width:
            blocks = f"blocks of {height} x {width} do not divide its shape {matrix.shape}"
            raise InputError(f"{name} is broken: {blocks}")
        n_lists, size = n_lists // height, size // width
    check_compressed(name, matrix.data, matrix.indices, matrix.indptr, n_lists, size)


def _checked_coo(name: str, matrix: Any) -> Any:
    """Convert formats without an indptr to coo, and check the result before compiled code sorts it."""
    if matrix.format in ("lil", "dia"):  # compiled code reads their arrays
        {"lil": _check_lil, "dia": _check_dia}[matrix.format](name, matrix)
    try:
        coo = matrix.tocoo(copy=False)
    except (ValueError, TypeError, IndexError) as reason:
        raise InputError(f"{name} is broken: {reason}") from reason
    for indices, size in ((coo.row, coo.shape[0]), (coo.col, coo.shape[1])):
        if indices.shape != coo.data.shape or indices.ndim != 1:
            raise InputError(f"{name} is broken: indices have shape {indices.shape}, data {coo.data.shape}")
        check_indices(f"{name}.indices", indices, size)
    return coo


def _check_lil(name: str, matrix: Any) -> None:
    if matrix.rows.shape != matrix.shape[:1] or matrix.data.shape != matrix.shape[:1]:
        found = f"{len(matrix.rows)} lists of columns and {len(matrix.data)} lists of values"
        raise InputError(f"{name} is broken: it has {found}")
    for columns, values in zip(matrix.rows, matrix.data, strict=True):
        if not isinstance(columns, list) or not isinstance(values, list) or len(columns) != len(values):
            raise InputError(
                f"{name} is broken: each row must be two lists of one length, columns and values"
            )


def _check_dia(name: str, matrix: Any) -> None:
    offsets = matrix.offsets
    if offsets.ndim != 1 or matrix.data.ndim != 2 or len(offsets) != len(matrix.data):
        raise InputError(f"{name} is broken: offsets have shape {offsets.shape}, data {matrix.data.shape}")
    largest = (
        max(-int(offsets.min()), int(offsets.max())) if offsets.size and offsets.dtype.kind in "iu" else 0
    )
    if offsets.dtype.kind not in "iu" or largest > MOST_ROWS:
        raise InputError(f"{name} is broken: offsets must be integers up to {MOST_ROWS}, they are {offsets}")
