"""Checks of options that refer to individual rows of M: labels, choices of rows, and names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs.arrays import DIVISIBLE, check_elements, check_length, check_squarable, scalar_or_vector
from l0np.inputs.device import on_host
from l0np.inputs.frames import check_order, is_pandas, row_labels
from l0np.inputs.messages import and_more, listed_names, wrong_kind
from l0np.inputs.scalars import real_number
from l0np.inputs.suggestions import did_you_mean

FEWEST_OBSERVATIONS = 2.0  # that weights must add up to


def labels(name: str, value: Any, length: int, *, per: str) -> NDArray[Any]:
    """Return group labels (numbers or strings) as a one-dimensional array of `length`."""
    if isinstance(value, np.ma.MaskedArray):
        raise InputTypeError(f"{name} is a masked array: give every {per} a label")
    try:
        array = np.asarray(on_host(value))
    except ValueError as reason:
        raise InputError(f"{name} cannot be read as an array of labels: {reason}") from reason
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "buifUS":
        raise InputTypeError(f"{name} must hold numbers or strings, its dtype is {array.dtype}")
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


def sample_weights(
    name: str, value: Any, length: int, matrix_name: str, matrix: Any
) -> NDArray[np.float64] | None:
    """Return how many observations each row of a matrix counts as; None if that is one each."""
    if value is None:
        return None
    check_order(name, value, matrix_name, matrix)
    names, kind = row_labels(matrix, value), np.dtype(np.float64)
    per = f"row of {matrix_name}"
    weights = scalar_or_vector(name, value, length, kind, per=per, labels=names, at_least=0.0)
    check_squarable(name, weights, DIVISIBLE, "[{}]", names)
    if not weights.any():
        raise InputError(f"{name} is zero for every {per}: at least two observations are needed")
    if weights.sum() < FEWEST_OBSERVATIONS:
        rule = "a row counts as that many observations; scale weights that only say how much rows matter to"
        raise InputError(f"{name} must sum to at least 2, got {weights.sum():g}: {rule} a mean of 1")
    return None if (weights == 1.0).all() else np.asarray(weights)


def partial_labels(name: str, value: Any, length: int, *, per: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the labels of the rows that have one, and a mask of these rows.

    None, NaN and, among numbers, -1 stand for no label.
    """
    value = on_host(value)
    # As objects, because NumPy would turn a NaN among strings into the string 'nan'
    array = np.asarray(value) if hasattr(value, "dtype") else np.asarray(value, dtype=object)
    check_length(name, array, length, "label", per)
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
    return labels(name, array, int(np.count_nonzero(present)), per=f"{per} that has one"), present


def _is_label(label: Any) -> bool:
    try:
        return label is not None and bool(label == label)  # NaN != NaN
    except TypeError:  # bool(pandas.NA) raises
        return False


def row_mask(name: str, value: Any, length: int, row_names: Sequence[str] | None) -> NDArray[np.bool_]:
    """Return a mask of rows, from a mask, from indices or from names."""
    if value is None:
        return np.zeros(length, bool)
    if isinstance(value, set | frozenset):
        value = list(value)
    try:
        array = np.atleast_1d(np.asarray(on_host(value)))
    except ValueError as reason:
        raise InputError(f"{name} cannot be read as an array of rows: {reason}") from reason
    if array.dtype.kind == "b":
        check_length(name, array, length, "True or False", "row of M")
        return array.astype(bool)
    if array.ndim > 1:
        raise InputError(f"{name} must be one-dimensional, it has shape {array.shape}")
    mask = np.zeros(length, bool)
    if array.dtype.kind in "iu":
        outside = (array < 0) | (array >= length)
        check_elements(name, array, outside, f"M has the rows 0 to {length - 1}")
        mask[array] = True
    elif array.size and all(isinstance(label, str) for label in array.tolist()):
        mask |= _named_rows(name, array.tolist(), row_names)
    elif array.size:
        raise wrong_kind(name, "row indices, a boolean mask or names of targets", value)
    return mask


def _named_rows(name: str, wanted: list[str], row_names: Sequence[str] | None) -> NDArray[np.bool_]:
    if row_names is None:
        cure = "give M or y as a pandas object with an index, or names="
        raise InputError(f"{name} names {wanted[0]!r}, but the targets have no names: {cure}")
    count = Counter(row_names)
    unknown = sorted(set(wanted) - set(count))
    if unknown:
        which = f"{name} names {unknown[0]!r}{and_more(len(unknown))}"
        guess = did_you_mean(unknown[0], list(count))
        raise InputError(f"{which}, which is not the name of a target{guess}")
    repeated = sorted(label for label in set(wanted) if count[label] > 1)
    if repeated:
        which = f"{name} names {listed_names(repeated)}, which is the name of several targets"
        raise InputError(f"{which}: give row indices or a mask")
    return np.isin(np.asarray(row_names), wanted)


def row_names(name: str, value: Any, length: int, *, per: str) -> tuple[str, ...]:
    """Return one string for each row."""
    return tuple(str(label) for label in labels(name, value, length, per=per).tolist())
