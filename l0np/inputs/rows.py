"""The door for what is said of single rows of M: which of them, in which groups, under which names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import validation


def partial_labels(name: str, value: Any, length: int, *, per: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the labels of those that have one, and a mask of these; None, NaN and, among numbers, -1 stand for no label."""
    value = validation.on_host(value)
    # As objects, for NumPy would make the text 'nan' of a NaN beside texts
    array = np.asarray(value) if hasattr(value, "dtype") else np.asarray(value, dtype=object)
    validation.check_length(name, array, length, "label", per)
    if array.dtype.kind == "O":
        present = np.array([_is_label(label) for label in array], dtype=bool)
        array = np.asarray(array[present].tolist())
    else:
        present = ~np.isnan(array) if array.dtype.kind == "f" else np.ones(length, bool)
        array = array[present]
    if array.dtype.kind in "iuf":
        labelled = array != -1
        present[present] = labelled
        array = array[labelled]
    return validation.labels(name, array, int(np.count_nonzero(present)), per=f"{per} that has one"), present


def _is_label(label: Any) -> bool:
    try:
        return label is not None and bool(label == label)  # NaN is not itself
    except TypeError:  # pandas' NA has no truth
        return False


def row_mask(name: str, value: Any, length: int, row_names: Sequence[str] | None) -> NDArray[np.bool_]:
    """Return a mask of rows, from a mask, from indices or from names."""
    if value is None:
        return np.zeros(length, bool)
    if isinstance(value, set | frozenset):
        value = list(value)
    try:
        array = np.atleast_1d(np.asarray(validation.on_host(value)))
    except ValueError as reason:
        raise InputError(f"{name} cannot be read as an array of rows: {reason}") from reason
    if array.dtype.kind == "b":
        validation.check_length(name, array, length, "True or False", "row of M")
        return array.astype(bool)
    if array.ndim > 1:
        raise InputError(f"{name} must be one-dimensional, it has shape {array.shape}")
    mask = np.zeros(length, bool)
    if array.dtype.kind in "iu":
        validation.check_elements(name, array, (array < 0) | (array >= length), f"M has the rows 0 to {length - 1}")
        mask[array] = True
    elif array.size and all(isinstance(label, str) for label in array.tolist()):
        mask |= _named_rows(name, array.tolist(), row_names)
    elif array.size:
        raise validation.wrong_kind(name, "row indices, a boolean mask or names of targets", value)
    return mask


def _named_rows(name: str, wanted: list[str], row_names: Sequence[str] | None) -> NDArray[np.bool_]:
    if row_names is None:
        raise InputError(
            f"{name} names {wanted[0]!r}, but the targets have no names: give M or y as a pandas object with an index"
        )
    unknown = sorted(set(wanted) - set(row_names))
    if unknown:
        raise InputError(f"{name} names {unknown[0]!r}{validation.and_more(len(unknown))}, which is not the name of a target")
    return np.isin(np.asarray(row_names), wanted)


def row_names(name: str, value: Any, length: int, *, per: str) -> tuple[str, ...]:
    """Return one text for each row."""
    return tuple(str(label) for label in validation.labels(name, value, length, per=per).tolist())


def index_names(*objects: Any) -> tuple[str, ...] | None:
    """Return the labels of the first pandas object that has more to say than the positions of its rows, as texts."""
    for item in objects:
        if validation.is_pandas(item) and validation.has_labels(item.index):
            return tuple(str(label) for label in item.index)
    return None
