"""Data frames and Series, of pandas or Polars: their numbers, and labels in the order of the matrix."""

import numbers
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError


def is_pandas(value: Any) -> bool:
    """Return whether `value` is a Series or a DataFrame of pandas, or looks like one."""
    return hasattr(value, "to_numpy") and hasattr(value, "index")


def is_polars(value: Any) -> bool:
    """Return whether `value` is a Series or a DataFrame of Polars, which have no index."""
    return type(value).__module__.split(".")[0] == "polars" and hasattr(value, "to_numpy")


def is_frame(value: Any) -> bool:
    """Return whether `value` is a DataFrame."""
    return (is_pandas(value) or is_polars(value)) and len(value.shape) == 2


def has_labels(index: Any) -> bool:
    """Return whether an index has labels; if none are given, pandas numbers the rows."""
    return type(index).__name__ != "RangeIndex"


def row_labels(*objects: Any) -> Any | None:
    """Return the index of the first pandas object whose index has labels; Polars has none."""
    return next((item.index for item in objects if is_pandas(item) and has_labels(item.index)), None)


def column_labels(frame: Any) -> Any | None:
    """Return the columns of a frame that has labels for them."""
    return frame.columns if is_frame(frame) and has_labels(frame.columns) else None


def index_names(*objects: Any) -> tuple[str, ...] | None:
    """Return the labels of the first pandas object that has any, as strings."""
    labels = row_labels(*objects)
    return None if labels is None else tuple(map(str, labels))


def frame_array(frame: Any) -> NDArray[Any]:
    """Return the numbers of a Series or DataFrame.

    If its columns differ in dtype, np.asarray would return objects.
    """
    given = np.atleast_1d(np.asarray(getattr(frame, "dtypes", "O"), dtype=object))
    if is_pandas(frame) and all(getattr(dtype, "kind", "O") in "buif" for dtype in given):
        array = np.asarray(frame.to_numpy())
        if array.dtype.kind in "buif":
            return array
        # Columns of nullable dtypes become objects; a missing value becomes NaN, which is refused later
        return np.asarray(frame.to_numpy(np.float64, na_value=np.nan))
    array = np.asarray(frame.to_numpy() if is_polars(frame) else frame)
    if array.dtype.kind != "O":
        return array
    # A transposed frame of pandas has objects throughout, as has one of Polars that misses booleans
    missing, wrong = missing_and_wrong(frame, array)
    return array if wrong.any() else np.where(missing, np.nan, array).astype(np.float64)


def missing_and_wrong(frame: Any, array: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which elements of a Series or DataFrame, as an array of objects, are missing or not numbers."""
    if is_pandas(frame):
        missing = np.asarray(frame.isna())
    else:
        missing = np.array([one is None for one in array.flat], bool).reshape(array.shape)
    is_number = [isinstance(one, numbers.Real | np.bool_) for one in array.flat]
    return missing, ~missing & ~np.array(is_number, bool).reshape(array.shape)


def check_order(name: str, value: Any, matrix_name: str, matrix: Any, axis: str = "index") -> None:
    """Refuse a Series whose labels are not those of the matrix's rows (or columns), one by one.

    Positions count, not labels. The same labels in another order are refused, and so are other labels, unless
    one of the two indices only numbers positions.
    """
    if not is_pandas(value) or not (is_pandas(matrix) or is_polars(matrix)):
        return
    labels = getattr(matrix, axis, None)
    if labels is None or len(value) != len(labels) or value.index.equals(labels):
        return
    pairs = enumerate(zip(value.index, labels, strict=True))
    differing = next((i for i, (one, other) in pairs if one != other), None)
    if differing is None:
        return
    where = f"{matrix_name}.{axis}"
    if Counter(value.index) == Counter(labels):
        use = f": use {name}.reindex({where})" if len(set(labels)) == len(labels) else ""
        raise InputError(f"{name} has the labels of {where} in another order, and order counts{use}")
    if has_labels(value.index) and has_labels(labels):
        found, wanted = value.index[differing], labels[differing]
        raise InputError(
            f"{name} has other labels than {where}: at position {differing} {found!r} and not {wanted!r}; "
            f"if the order is right, pass {name}.to_numpy()"
        )
