"""Checks of a matrix before compiled code reads it: its dtypes, its shape and its index arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation

NARROW_ROWS = np.iinfo(np.uint16).max  # up to this many rows a row index fits into 16 bits
MOST_ROWS = np.iinfo(np.int32).max
BLOCK = 1 << 20  # entries that are checked together, so that temporaries stay small


def index_dtype(n_rows: int) -> type[np.integer[Any]]:
    """Return the dtype in which row indices are stored."""
    return np.uint16 if n_rows <= NARROW_ROWS else np.int32


def checked_shape(shape: Any) -> tuple[int, int]:
    """Return the shape of a matrix as two integers of at least 1."""
    if not isinstance(shape, Sequence) or len(shape) != 2:
        raise InputError(f"shape must be two integers (rows, columns), got {shape!r}")
    n_rows, n_columns = (validation.integer("shape", n, at_least=1, at_most=2**62) for n in shape)
    if n_rows > MOST_ROWS:
        raise InputError(f"shape: a matrix may have up to {MOST_ROWS} rows, got {n_rows}")
    return n_rows, n_columns


def check_input_shape(name: str, shape: tuple[int, ...]) -> None:
    """Refuse anything that is not a matrix, or has no rows or no columns."""
    if len(shape) != 2:
        rows, columns = validation.axes(name)
        wanted = f"two dimensions ({rows}s x {columns}s)"
        raise InputError(f"{name} must have {wanted}, it has shape {shape}")
    if 0 in shape:
        raise InputError(f"{name} is empty: it has shape {shape}")


def check_indices(name: str, indices: NDArray[Any], size: int) -> None:
    """Refuse indices with which compiled code would read or write outside its arrays."""
    if indices.dtype.kind not in "ui":
        raise InputTypeError(f"{name} must hold integers, its dtype is {indices.dtype}")
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise InputError(f"{name} holds {wrong}, which is out of range: 0 to {size - 1} wanted")


def check_triplets(
    rows: Any, columns: Any, values: Any, shape: tuple[int, int]
) -> tuple[NDArray[Any], tuple[NDArray[Any], NDArray[Any]]]:
    """Return the values and (rows, columns) of triplets as arrays, checked."""
    data = validation.numeric_array("values", values)
    where = validation.numeric_array("rows", rows), validation.numeric_array("columns", columns)
    if not data.size:  # an empty list has no dtype of its own
        where = where[0].astype(np.int64), where[1].astype(np.int64)
    for indices, what, size in zip(where, ("rows", "columns"), shape, strict=True):
        if indices.shape != data.shape or data.ndim != 1:
            rule = "rows, columns and values must be one-dimensional and of one length"
            raise InputError(f"{rule}, {what} has {indices.shape}")
        check_indices(what, indices, size)
    return data, where


def check_compressed(
    name: str, data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], n_lists: int, size: int
) -> None:
    """Check that indptr and indices describe `n_lists` lists of indices below `size`."""
    if indptr.dtype.kind not in "ui" or indices.dtype.kind not in "ui":
        found = f"they are {indptr.dtype} and {indices.dtype}"
        raise InputTypeError(f"{name}: indptr and indices must be integers, {found}")
    if indptr.shape != (n_lists + 1,):
        raise InputError(f"{name} is broken: indptr has shape {indptr.shape}, ({n_lists + 1},) wanted")
    if indices.ndim != 1 or data.ndim == 0:
        raise InputError(f"{name} is broken: indices have shape {indices.shape}, data {data.shape}")
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise InputError(f"{name} is broken: indptr must start at 0 and never fall")
    if indptr[-1] > min(len(indices), len(data)):
        found = f"{len(indices)} indices and {len(data)} values"
        raise InputError(f"{name} is broken: indptr ends at {indptr[-1]}, but there are {found}")
    check_indices(f"{name}.indices", indices[: indptr[-1]], size)


def check_canonical(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], block: int = BLOCK
) -> None:
    """Check that rows ascend strictly within each column, and that values are finite and not 0.

    `block` entries are checked together.
    """
    for start in range(0, len(data), block):
        rows, values = indices[start : start + block + 1], data[start : start + block]
        falls = start + 1 + np.flatnonzero(rows[1:] <= rows[:-1])
        # Rows may fall only at the start of a column
        if (indptr[np.searchsorted(indptr, falls)] != falls).any():
            raise InputError("indices must ascend strictly within each column: use ColumnMatrix.build")
        if not np.isfinite(values).all():
            raise InputError("data must be finite")
        if not values.all():
            raise InputError("data must not hold explicit zeros: use ColumnMatrix.build")
