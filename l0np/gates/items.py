"""Arrays that have one element for each item along one dimension, of any array API library."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._namespace import array_namespace
from l0np.errors import InputError
from l0np.inputs import is_on_a_device, validation

MOST_ITEMS = 2**32


def asarray_like(values: Any, like: Any) -> Any:
    """Return an array in the library, and on the device, of the array `like`."""
    xp = array_namespace(like)
    if xp is np:
        return np.asarray(values)
    if is_on_a_device(like):  # CuPy allocates on the device that is in use
        with like.device:
            return xp.asarray(values)
    return xp.asarray(values, device=like.device)


def on_host(array: Any) -> NDArray[Any]:
    """Return an array of any library as a NumPy array."""
    return np.asarray(validation.on_host(array))


def of_items(name: str, value: Any, size: int, axis: int) -> tuple[Any, int]:
    """Return an array with `size` items along an axis, and the axis, 0 or more; lists become NumPy arrays."""
    array = value if hasattr(value, "__array_namespace__") or hasattr(value, "shape") else np.asarray(value)
    array_namespace(array)
    n = array.ndim
    if not -n <= axis < n:
        raise InputError(f"{name} has no dimension {axis}, its shape is {tuple(array.shape)}")
    if array.shape[axis] != size:
        found = f"{size} wanted, it has shape {tuple(array.shape)}"
        raise InputError(f"{name} must have one element for each item along dimension {axis}: {found}")
    return array, axis % n


def taken(array: Any, indices: NDArray[np.int64], axis: int) -> Any:
    """Return the elements of an array at NumPy's `indices` along an axis, in the array's own library."""
    return array_namespace(array).take(array, asarray_like(indices, array), axis=axis)
