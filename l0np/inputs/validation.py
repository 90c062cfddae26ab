"""The door: every argument is checked here once, before any work, and trusted afterwards.

Each function takes the argument's name and value, and returns the value in the form the house uses or raises one error
that says what it got, what it wanted, and where. What is allowed (names, bounds) is told by the caller.
"""

import math
import numbers
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError, InputTypeError

T = TypeVar("T")

SHOWN = 5  # offending elements named in a message
SQUARABLE = (1e-150, 1e150)  # sizes whose squares, and sums of many, stay in the range of float64
DIVISIBLE = (1e-50, 1e50)  # sizes whose products and quotients may be squared too


def whole_number(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """Return `value` as an int within the bounds; floats that are whole numbers are accepted."""
    value = on_host(value)
    if isinstance(value, bool | np.bool_) or not _is_scalar_number(value):
        raise wrong_kind(name, "a whole number", value)
    try:
        number = operator.index(value)
    except TypeError:
        if not math.isfinite(value) or value != math.floor(value):
            raise InputError(f"{name} must be a whole number, got {value}") from None
        number = int(value)
    if number < at_least:
        raise InputError(f"{name} must be at least {at_least}, got {number}")
    if at_most is not None and number > at_most:
        raise InputError(f"{name} must be at most {at_most}, got {number}")
    return number


def real_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return `value` as a finite float within the bounds; numbers of any kind are accepted."""
    value = on_host(value)
    if isinstance(value, bool | np.bool_) or not _is_scalar_number(value):
        raise wrong_kind(name, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{name} must be finite, got {number}")
    for bound, holds, words in _bounds(above, below, at_least, at_most):
        if bound is not None and not holds(number, bound):
            raise InputError(f"{name} must be {words} {bound:g}, got {number:g}")
    return number


def _bounds(
    above: float | None, below: float | None, at_least: float | None, at_most: float | None
) -> tuple[tuple[float | None, Callable[[Any, Any], Any], str], ...]:
    return (
        (above, operator.gt, "above"),
        (below, operator.lt, "below"),
        (at_least, operator.ge, "at least"),
        (at_most, operator.le, "at most"),
    )


def flag(name: str, value: Any) -> bool:
    """Return `value`, True or False or 1 or 0, as a bool."""
    if not isinstance(value, bool | np.bool_ | numbers.Integral) or value not in (0, 1):
        raise wrong_kind(name, "True or False", value)
    return bool(value)


def one_of(name: str, value: Any, choices: Mapping[str, T]) -> T:
    """Return what `choices` holds under the name `value`."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(repr, choices))}; got {_describe(value)}")
    return choices[value]


def schedule(
    name: str, value: Any, first_epoch: int, n_epochs: int, *, at_least: float | None = None, at_most: float | None = None
) -> Callable[[int], float]:
    """Return `epoch -> value` for the epochs of a run, from a positive number or from a callable, checked at each epoch."""
    bounds = {"above": 0.0, "at_least": at_least, "at_most": at_most}
    if not callable(value):
        number = real_number(name, value, **bounds)
        return lambda epoch: number
    values = [real_number(f"{name}({e})", value(e), **bounds) for e in range(first_epoch, first_epoch + n_epochs)]
    return lambda epoch: values[epoch - first_epoch]


def numeric_array(name: str, value: Any) -> NDArray[Any]:
    """Return `value` as a NumPy array of booleans, integers or floats, as it is: not copied, not cast."""
    if isinstance(value, np.ma.MaskedArray):
        raise InputTypeError(f"{name} is a masked array: fill or drop the masked entries first, for instance with .filled(0)")
    if value is None or isinstance(value, str | bytes | Mapping):
        raise wrong_kind(name, "an array of numbers", value)
    value = on_host(value)
    if is_on_a_device(value):  # a sparse matrix, which NumPy would wrap as one object
        raise InputTypeError(f"{name} is on a CUDA device, this works in main memory: pass {name}.get()")
    try:
        array = _from_pandas(value) if is_pandas(value) else np.asarray(value)
    except (ValueError, TypeError) as reason:
        raise InputError(f"{name} cannot be read as an array of numbers: {reason}") from reason
    check_kind(name, array.dtype)
    return native(array)


def is_on_a_device(value: Any) -> bool:
    """Return whether `value` is one of CuPy's arrays or matrices; asks nothing of CuPy."""
    return type(value).__module__.split(".")[0] in ("cupy", "cupyx")


def on_host(value: Any) -> Any:
    """Return a NumPy copy of an array that lives on a CUDA device, anything else as it is."""
    return value.get() if hasattr(value, "__cuda_array_interface__") and hasattr(value, "get") else value


def is_pandas(value: Any) -> bool:
    """Return whether `value` is a Series or a DataFrame, or looks like one."""
    return hasattr(value, "to_numpy") and hasattr(value, "index")


def _from_pandas(value: Any) -> NDArray[Any]:
    """Return the numbers of a Series or DataFrame; where its columns differ in dtype, np.asarray would give objects."""
    dtypes = [getattr(dtype, "kind", "O") for dtype in np.atleast_1d(np.asarray(getattr(value, "dtypes", "O"), dtype=object))]
    if all(kind in "buif" for kind in dtypes):
        array = value.to_numpy()
        # columns that may miss values come as objects; what they miss becomes NaN, which is refused with its place
        return array if array.dtype.kind in "buif" else np.asarray(value.to_numpy(np.float64, na_value=np.nan))
    array = np.asarray(value)
    if array.dtype.kind != "O":
        return array
    missing = np.asarray(value.isna())  # a transposed frame has objects throughout
    are_numbers = all(isinstance(element, numbers.Real | np.bool_) for element in array[~missing])
    return np.where(missing, np.nan, array).astype(np.float64) if are_numbers else array


def has_labels(index: Any) -> bool:
    """Return whether an index says more than the positions, which pandas numbers where nothing else is given."""
    return type(index).__name__ != "RangeIndex"


def check_order(name: str, value: Any, matrix_name: str, matrix: Any, axis: str = "index") -> None:
    """Refuse a Series whose labels are not those of the matrix's rows (or columns), one by one: positions count, not labels.

    The same labels in another order are refused, and other labels too, unless one of the two is numbered by position only.
    """
    labels = getattr(matrix, axis, None)
    if not is_pandas(value) or not is_pandas(matrix) or labels is None:
        return
    if len(value) != len(labels) or value.index.equals(labels):
        return
    apart = next((i for i, (one, other) in enumerate(zip(value.index, labels, strict=True)) if one != other), None)
    if apart is None:
        return
    where = f"{matrix_name}.{axis}"
    if Counter(value.index) == Counter(labels):
        use = f": use {name}.reindex({where})" if labels.is_unique else ""
        raise InputError(f"{name} has the labels of {where} in another order, and order counts{use}")
    if has_labels(value.index) and has_labels(labels):
        one, other = value.index[apart], labels[apart]
        rule = f"if the order is right, pass {name}.to_numpy()"
        raise InputError(f"{name} has other labels than {where}: at position {apart} {one!r} and not {other!r}; {rule}")


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in this machine's byte order, itself where it is already."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def check_kind(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse elements that are not real numbers."""
    if dtype.kind not in "buif":
        raise InputTypeError(f"{name} must hold real numbers, its dtype is {dtype}")


def cast(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a finite copy of `array` in `dtype`; what is finite but too large for `dtype` is named as infinite."""
    with np.errstate(over="ignore", under="ignore"):
        result = array.astype(dtype)
    finite = np.isfinite(result)
    if not finite.all():
        positions = np.argwhere(~finite)
        first = tuple(int(i) for i in positions[0])
        what = f"{name}[{', '.join(map(str, first))}] is {result[first]}" if first else f"{name} is {result[()]}"
        raise InputError(f"{what}{and_more(len(positions))}{_too_large(array[first], dtype)}")
    return result


def _too_large(value: Any, dtype: np.dtype[Any]) -> str:
    return f" after the cast of {value} to {dtype}" if np.isfinite(value) else ""


def vector(name: str, value: Any, length: int, dtype: np.dtype[Any], *, per: str) -> NDArray[Any]:
    """Return `value` as a finite one-dimensional copy of `length` elements; `per` says what each element stands for."""
    array = numeric_array(name, value)
    if array.ndim > 1:
        raise InputError(f"{name} must be one-dimensional, it has shape {array.shape}: squeeze it, as in {name}.squeeze()")
    check_length(name, array, length, "value", per)
    return cast(name, array, dtype)


def check_length(name: str, array: NDArray[Any], length: int, what: str, per: str) -> None:
    """Refuse an array that is not one-dimensional and of `length`."""
    if array.shape != (length,):
        raise InputError(f"{name} must have one {what} for each {per}: {length} wanted, {name} has shape {array.shape}")


def check_columns(name: str, shape: tuple[int, ...], n_columns: int) -> None:
    """Refuse a matrix whose number of columns is not the model's; guess where it is transposed."""
    if len(shape) == 2 and shape[1] != n_columns:
        guess = f" It looks transposed: pass {name}.T." if shape[0] == n_columns else ""
        raise InputError(f"{name} must have n_features = {n_columns} columns, it has shape {shape}.{guess}")


def scalar_or_vector(
    name: str,
    value: Any,
    length: int,
    dtype: np.dtype[Any],
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    infinite: bool = False,
    per: str = "column of M",
) -> NDArray[Any]:
    """Return a vector of `length` elements within the bounds, from one number or from an array.

    All must be finite, but where `infinite` is set the array may hold positive infinity, for "no bound".
    """
    array = numeric_array(name, value)
    unbounded = np.isposinf(array) if infinite and array.dtype.kind == "f" else np.zeros(array.shape, bool)
    array = np.where(unbounded, array.dtype.type(1), array)
    if array.ndim == 0:
        number = real_number(name, array[()], above=above, at_least=at_least, at_most=at_most)
        result = cast(name, np.full(length, number), dtype)
    else:
        result = vector(name, array, length, dtype, per=per)
    for bound, holds, words in _bounds(above, None, at_least, at_most):
        if bound is not None:
            check_elements(name, result, ~holds(result, bound), f"must be {words} {bound:g}")
    result[np.broadcast_to(unbounded, result.shape)] = np.inf
    return result


def column_values(name: str, value: Any, matrix_name: str, matrix: Any, length: int, **bounds: Any) -> NDArray[np.float64]:
    """Return one number for each column of a matrix, in the order of the columns; bounds as in `scalar_or_vector`."""
    check_order(name, value, matrix_name, matrix, axis="columns")
    result = scalar_or_vector(name, value, length, np.dtype(np.float64), per=f"column of {matrix_name}", **bounds)
    check_squarable(name, np.abs(result), DIVISIBLE, "[{}]")
    return result


def pair(name: str, value: Any, wanted: str) -> tuple[Any, Any]:
    """Return the two elements of a tuple, list, array or Series; `wanted` says what they are."""
    try:
        items = [] if isinstance(value, str | bytes | Mapping | Set) else list(value)
    except TypeError:
        items = []
    if len(items) != 2:
        raise wrong_kind(name, wanted, value)
    return items[0], items[1]


def check_rows(name: str, shape: tuple[int, int], target_name: str, target: Any) -> None:
    """Refuse targets that are as many as the matrix has columns, and not rows: it is transposed."""
    size = numeric_array(target_name, target).size
    if size != shape[0] and size == shape[1]:
        raise InputError(
            f"{name} must have one row for each of the {size} values of {target_name}, it has shape {shape}. "
            f"It looks transposed: pass {name}.T."
        )


def check_elements(name: str, array: NDArray[Any], wrong: NDArray[np.bool_], rule: str) -> None:
    """Raise one error that names the elements where `wrong` holds: how many, and the first few by index."""
    positions = np.flatnonzero(wrong)
    if positions.size:
        shown = ", ".join(f"{name}[{i}] = {array[i]:g}" for i in positions[:SHOWN])
        raise InputError(f"{shown}{and_more(len(positions), SHOWN)}: {rule}")


def check_squarable(name: str, sizes: Any, limits: tuple[float, float] = SQUARABLE, place: str = "[:, {}]") -> None:
    """Refuse data of a size, or of several sizes, beyond limits outside which squares are infinite or vanish; 0 may be."""
    sizes, (smallest, largest) = np.asarray(sizes), limits
    wrong = np.flatnonzero((sizes > largest) | ((sizes > 0) & (sizes < smallest)))
    if wrong.size:
        where, size = (name + place.format(wrong[0]), sizes[wrong[0]]) if sizes.ndim else (name, sizes)
        rule = "the squares leave the range of float64, use other units"
        raise InputError(f"{where} is of the size {size:.3g}{and_more(len(wrong))}: {rule}")


def labels(name: str, value: Any, length: int, *, per: str) -> NDArray[Any]:
    """Return group labels (integers or texts) as a one-dimensional array of `length`."""
    if isinstance(value, np.ma.MaskedArray):
        raise InputTypeError(f"{name} is a masked array: give every {per} a label")
    try:
        array = np.asarray(on_host(value))
    except ValueError as reason:
        raise InputError(f"{name} cannot be read as an array of labels: {reason}") from reason
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "buifUS":
        raise InputTypeError(f"{name} must hold numbers or texts, its dtype is {array.dtype}")
    check_length(name, array, length, "label", per)
    if array.dtype.kind == "f":
        check_elements(name, array, ~np.isfinite(array), "a label must not be missing")
    return array


def multipliers(name: str, value: Any) -> dict[Any, float] | None:
    """Return a dict from label to a factor of at least 0."""
    if value is None:
        return None
    if not isinstance(value, Mapping) and not is_pandas(value):
        raise wrong_kind(name, "a mapping from group to number", value)
    return {label: real_number(f"{name}[{label!r}]", number, at_least=0.0) for label, number in value.items()}


def wrong_kind(name: str, wanted: str, value: Any) -> InputTypeError:
    """Return the error for an argument of the wrong kind."""
    return InputTypeError(f"{name} must be {wanted}, got {_describe(value)}")


def callables(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """Return a tuple of callables; None stands for none."""
    if value is None:
        return ()
    if callable(value) or not isinstance(value, Iterable):
        raise InputTypeError(f"{name} must be a sequence of callables, got {_describe(value)}: put it in a list")
    result = tuple(value)
    for position, item in enumerate(result):
        if not callable(item):
            raise InputTypeError(f"{name}[{position}] must be callable, got {_describe(item)}")
    return result


def _is_scalar_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) or (np.ndim(value) == 0 and np.asarray(value).dtype.kind in "uif")


def _describe(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(value).__name__})"


def and_more(count: int, shown: int = 1) -> str:
    """Return what a message says of the offenders that it does not show."""
    return f" (and {count - shown} more)" if count > shown else ""
