"""Data frames and Series: their numbers, and labels that must be in the order of the matrix."""

import numbers
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError


def is_pandas(value: Any) -> bool:
    """Return whether `value` is a Series or a DataFrame, or looks like one."""
    return hasattr(value, "to_numpy") and hasattr(value, "index")


def has_labels(index: Any) -> bool:
    """Return whether an index has labels; if none are given, pandas numbers the rows."""
    return type(index).__name__ != "RangeIndex"


def frame_array(frame: Any) -> NDArray[Any]:
    """Return the numbers of a Series or DataFrame.

    If its columns differ in dtype, np.asarray would return objects.
    """
    given = np.atleast_1d(np.asarray(getattr(frame, "dtypes", "O"), dtype=object))
    if all(getattr(dtype, "kind", "O") in "buif" for dtype in given):
        array = np.asarray(frame.to_numpy())
        if array.dtype.kind in "buif":
            return array
        # Columns of nullable dtypes become objects; a missing value becomes NaN, which is refused later
        return np.asarray(frame.to_numpy(np.float64, na_value=np.nan))
    array = np.asarray(frame)
    if array.dtype.kind != "O":
        return array
    missing = np.asarray(frame.isna())  # a transposed frame has objects throughout
    are_numbers = all(isinstance(element, numbers.Real | np.bool_) for element in array[~missing])
    return np.where(missing, np.nan, array).astype(np.float64) if are_numbers else array


def check_order(name: str, value: Any, matrix_name: str, matrix: Any, axis: str = "index") -> None:
    """Refuse a Series whose labels are not those of the matrix's rows (or columns), one by one.

    Positions count, not labels. The same labels in another order are refused, and so are other labels, unless
    one of the two indices only numbers positions.
    """
    labels = getattr(matrix, axis, None)
    if not is_pandas(value) or not is_pandas(matrix) or labels is None:
        return
    if len(value) != len(labels) or value.index.equals(labels):
        return
    pairs = enumerate(zip(value.index, labels, strict=True))
    differing = next((i for i, (one, other) in pairs if one != other), None)
    if differing is None:
        return
    where = f"{matrix_name}.{axis}"
    if Counter(value.index) == Counter(labels):
        use = f": use {name}.reindex({where})" if labels.is_unique else ""
        raise InputError(f"{name} has the labels of {where} in another order, and order counts{use}")
    if has_labels(value.index) and has_labels(labels):
        found, wanted = value.index[differing], labels[differing]
        raise InputError(
            f"{name} has other labels than {where}: at position {differing} {found!r} and not {wanted!r}; "
            f"if the order is right, pass {name}.to_numpy()"
        )


def index_names(*objects: Any) -> tuple[str, ...] | None:
    """Return the labels of the first pandas object that has any, as strings."""
    for item in objects:
        if is_pandas(item) and has_labels(item.index):
            return tuple(str(label) for label in item.index)
    return None
