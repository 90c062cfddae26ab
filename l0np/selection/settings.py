"""The arguments that give an answer again, in the form in which they can be written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def settings_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as plain lists, numbers and strings; those that are None are left out.

    What is neither (aggregates, matrices) stays as it is.

    Examples
    --------
    >>> given = {"caps": np.array([1.0, 2.0]), "bounds": (0.1, None), "dtype": np.dtype("f4"), "total": None}
    >>> settings_of(given)
    {'caps': [1.0, 2.0], 'bounds': [0.1, None], 'dtype': 'float32'}
    """
    return {name: _plain(value) for name, value in arguments.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, np.dtype | type):
        return np.dtype(value).name
    if isinstance(value, Mapping):
        return {_plain(label): _plain(one) for label, one in value.items()}
    if isinstance(value, np.ndarray | np.generic) or type(value).__name__ == "Series":
        return np.asarray(value).tolist()
    return [_plain(one) for one in value] if isinstance(value, tuple | list | set | frozenset) else value
