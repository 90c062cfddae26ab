"""Which array library's functions to use: NumPy arrays get NumPy, whatever else gets what array-api-compat knows about it."""

from typing import Any

import numpy as np


def array_namespace(array: Any) -> Any:
    """Return the array API namespace of an array.

    NumPy follows the standard since 2.1, without a wrapper, whose import would take as long as NumPy's own.

    Examples
    --------
    >>> array_namespace(np.ones(3)).__name__
    'numpy'
    """
    if isinstance(array, np.ndarray | np.generic):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(array)
