"""How kernels are compiled."""

from collections.abc import Callable
from typing import Any

import numba


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """Compile at the first call, with the cache where there is a place to write it.

    No fastmath: it breaks isnan and bit-stability. NumPy's error model: the check of divisors stops vectorisation.
    """
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no writable place for the cache
        return numba.njit(**options)(function)
