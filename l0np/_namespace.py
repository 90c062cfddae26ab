"""The array library whose functions to use: NumPy for its own arrays, else what array-api-compat finds."""

from typing import Any

import numpy as np


def array_namespace(array: Any) -> Any:
    """Return the array API namespace of an array.

    NumPy has followed the standard since 2.1; importing a wrapper would take as long as importing NumPy.

    Examples
    --------
    >>> array_namespace(np.ones(3)).__name__
    'numpy'
    """
    if isinstance(array, np.ndarray | np.generic):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(array)
