"""Checks of arrays of numbers: their kind, shape, elements and sizes."""

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs.device import is_on_a_device, on_host
from l0np.inputs.frames import check_order, column_labels, frame_array, is_pandas, is_polars, row_labels
from l0np.inputs.messages import and_more, wrong_kind
from l0np.inputs.places import element, not_numbers
from l0np.inputs.scalars import Bounds, real_number, violations

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))  # the dtypes of a run
SHOWN = 5  # offending elements named in a message
SQUARABLE = (1e-150, 1e150)  # sizes whose squares, and sums of many, stay in the range of float64
DIVISIBLE = (1e-50, 1e50)  # sizes whose products and quotients may be squared too


def numeric_array(name: str, value: Any) -> NDArray[Any]:
    """Return `value` as a NumPy array of booleans, integers or floats, as it is: not copied, not cast."""
    if isinstance(value, np.ma.MaskedArray):
        cure = "fill or drop the masked entries first, for instance with .filled(0)"
        raise InputTypeError(f"{name} is a masked array: {cure}")
    if value is None or isinstance(value, str | bytes | Mapping):
        raise wrong_kind(name, "an array of numbers", value)
    if hasattr(value, "collect") and hasattr(value, "collect_schema"):
        raise InputTypeError(f"{name} is a LazyFrame: pass {name}.collect()")
    value = on_host(value)
    if is_on_a_device(value):  # a sparse matrix, which NumPy would wrap as one object
        raise InputTypeError(f"{name} is on a CUDA device, this works in main memory: pass {name}.get()")
    try:
        has_frame = is_pandas(value) or is_polars(value)
        array = frame_array(value) if has_frame else np.asarray(value)
    except (ValueError, TypeError) as reason:
        raise InputError(f"{name} cannot be read as an array of numbers: {reason}") from reason
    if has_frame and array.dtype.kind not in "buif" and array.ndim in (1, 2) and array.size:
        raise not_numbers(name, value, array)
    check_kind(name, array.dtype)
    return native(array)


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in this machine's byte order, without a copy if it has that order already."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def check_kind(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse elements that are not real numbers."""
    if dtype.kind not in "buif":
        raise InputTypeError(f"{name} must hold real numbers, its dtype is {dtype}")


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the dtype of a run, float32 or float64."""
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):  # what NumPy raises for strings that name no dtype
        wanted = None
    if wanted is None or wanted not in FLOATS:  # None would equal float64
        raise InputError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return wanted


def cast(name: str, array: NDArray[Any], dtype: np.dtype[Any], labels: Any = None) -> NDArray[Any]:
    """Return a finite copy of `array` in `dtype`.

    A number that is finite but too large for `dtype` is reported as infinite. The elements of a vector may
    have labels, by which a message names them.
    """
    with np.errstate(over="ignore", under="ignore"):
        result = array.astype(dtype)
    finite = np.isfinite(result)
    if not finite.all():
        positions = np.argwhere(~finite)
        first = tuple(int(i) for i in positions[0])
        where = f"{name}[{', '.join(map(str, first))}]" if first else name
        if len(first) == 1:
            where = element(name, first[0], labels)
        given = array[first]
        reason = f" after the cast of {given} to {dtype}" if np.isfinite(given) else ""
        raise InputError(f"{where} is {result[first]}{and_more(len(positions))}{reason}")
    return result


def vector(
    name: str, value: Any, length: int, dtype: np.dtype[Any], *, per: str, labels: Any = None
) -> NDArray[Any]:
    """Return `value` as a finite one-dimensional copy of `length` elements.

    `per` says what each element belongs to; `labels` are what messages call the elements, by default the
    labels of a Series.
    """
    array = numeric_array(name, value)
    if array.ndim > 1:
        cure = f"squeeze it, as in {name}.squeeze()"
        raise InputError(f"{name} must be one-dimensional, it has shape {array.shape}: {cure}")
    check_length(name, array, length, "value", per)
    return cast(name, array, dtype, row_labels(value) if labels is None else labels)


def scalar_or_vector(
    name: str,
    value: Any,
    length: int,
    dtype: np.dtype[Any],
    *,
    infinite: bool = False,
    per: str = "column",
    labels: Any = None,
    **bounds: Unpack[Bounds],
) -> NDArray[Any]:
    """Return a vector of `length` elements within the bounds, from one number or from an array.

    `per` and `labels` are as for `vector`.

    All must be finite, except that positive infinity is allowed if `infinite` is set, for "no bound".
    """
    array = numeric_array(name, value)
    labels = row_labels(value) if labels is None else labels
    unbounded = np.zeros(array.shape, bool)
    if infinite and array.dtype.kind == "f":
        unbounded = np.isposinf(array)
    array = np.where(unbounded, array.dtype.type(1), array)
    if array.ndim == 0:
        result = cast(name, np.full(length, real_number(name, array[()], **bounds)), dtype)
    else:
        result = vector(name, array, length, dtype, per=per, labels=labels)
    for violated, rule in violations(result, bounds):
        check_elements(name, result, violated, rule, labels)
    result[np.broadcast_to(unbounded, result.shape)] = np.inf
    return result


def column_values(
    name: str, value: Any, matrix_name: str, matrix: Any, length: int, **bounds: Unpack[Bounds]
) -> NDArray[np.float64]:
    """Return one number for each column of a matrix, in the order of the columns."""
    check_order(name, value, matrix_name, matrix, axis="columns")
    per = f"column of {matrix_name}"
    names = column_labels(matrix)
    if names is None:
        names = row_labels(value)
    result = scalar_or_vector(name, value, length, np.dtype(np.float64), per=per, labels=names, **bounds)
    check_squarable(name, np.abs(result), DIVISIBLE, "[{}]", labels=names)
    return result


def check_length(name: str, array: NDArray[Any], length: int, what: str, per: str) -> None:
    """Refuse an array that is not one-dimensional and of `length`."""
    if array.shape != (length,):
        found = f"{length} wanted, {name} has shape {array.shape}"
        raise InputError(f"{name} must have one {what} for each {per}: {found}")


def check_shape(name: str, shape: tuple[int, ...], wanted: tuple[int | None, ...], axes: str) -> None:
    """Refuse an array of another shape than `wanted`, in which None is any number; `axes` says what each is.

    Examples
    --------
    >>> check_shape("x", (5, 2), (None, 3), "batch, in_features")
    Traceback (most recent call last):
    l0np.errors.InputError: x must have the shape (batch, in_features) = (any, 3), it has the shape (5, 2)
    """
    if len(shape) != len(wanted) or any(n not in (None, m) for n, m in zip(wanted, shape, strict=True)):
        sizes = ", ".join("any" if n is None else str(n) for n in wanted)
        raise InputError(f"{name} must have the shape ({axes}) = ({sizes}), it has the shape {shape}")


def check_columns(name: str, shape: tuple[int, ...], n_columns: int) -> None:
    """Refuse a matrix whose number of columns is not the model's; suggest a transpose if that would fit."""
    if len(shape) == 2 and shape[1] != n_columns:
        guess = f" It looks transposed: pass {name}.T." if shape[0] == n_columns else ""
        raise InputError(f"{name} must have n_features = {n_columns} columns, it has shape {shape}.{guess}")


def check_rows(name: str, shape: tuple[int, int], target_name: str, target: Any) -> None:
    """Refuse a matrix that has as many columns as there are targets, and not rows: it is transposed."""
    size = numeric_array(target_name, target).size
    if size != shape[0] and size == shape[1]:
        raise InputError(
            f"{name} must have one row for each of the {size} values of {target_name}, it has shape {shape}. "
            f"It looks transposed: pass {name}.T."
        )


def check_elements(
    name: str, array: NDArray[Any], wrong: NDArray[np.bool_], rule: str, labels: Any = None
) -> None:
    """Raise one error that counts the elements for which `wrong` holds and shows the first few.

    They are shown by label where there are `labels`, else by index.
    """
    positions = np.flatnonzero(wrong)
    if positions.size:
        shown = ", ".join(f"{element(name, i, labels)} = {array[i]:g}" for i in positions[:SHOWN])
        raise InputError(f"{shown}{and_more(len(positions), SHOWN)}: {rule}")


def check_squarable(
    name: str,
    sizes: Any,
    limits: tuple[float, float] = SQUARABLE,
    index: str = "[:, {}]",
    labels: Any = None,
) -> None:
    """Refuse sizes outside the limits within which squares neither overflow nor vanish; 0 is allowed.

    `index` is how a message refers to one of several sizes, by its label where there are `labels`.
    """
    sizes, (smallest, largest) = np.asarray(sizes), limits
    wrong = np.flatnonzero((sizes > largest) | ((sizes > 0) & (sizes < smallest)))
    if wrong.size:
        first = wrong[0]
        where, size = (name, sizes) if not sizes.ndim else (name + index.format(first), sizes[first])
        if sizes.ndim and labels is not None:
            where = element(name, first, labels)
        rule = "the squares leave the range of float64, use other units"
        raise InputError(f"{where} is of the size {size:.3g}{and_more(len(wrong))}: {rule}")
