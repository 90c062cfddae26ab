"""How kernels are compiled."""

import warnings
from collections.abc import Callable
from typing import Any

import numba

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# What kernels call: nobody calls it from Python, which spares a fifth of the time that compilation takes
HELPER_OPTIONS: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def helper(function: Callable[..., Any]) -> Any:
    """Compile for use by kernels only; it is cached as a part of these."""
    return numba.njit(**HELPER_OPTIONS)(function)


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """Compile at the first call, with the cache where there is a place to write it.

    No fastmath: it breaks isnan and bit-stability. NumPy's error model: the check of divisors stops vectorisation.
    """
    options |= OPTIONS
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no writable place for the cache
        return numba.njit(**options)(function)
    if hasattr(dispatcher, "_cache"):  # not with NUMBA_DISABLE_JIT
        dispatcher._cache = ForgivingCache(dispatcher._cache)
    return dispatcher


class ForgivingCache:
    """Numba's cache, but a damaged file or a full disk costs a compilation, not the run."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def load_overload(self, *arguments: Any) -> Any:
        """Return the compiled kernel, or None where there is none that can be read."""
        try:
            return self._cache.load_overload(*arguments)
        except Exception as reason:  # whatever unpickling garbage raises
            self._warn(reason)
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Keep the compiled kernel where that is possible."""
        try:
            self._cache.save_overload(*arguments)
        except Exception as reason:
            self._warn(reason)

    def _warn(self, reason: Exception) -> None:
        where = f"{self._cache.cache_path} cannot be used and may be deleted"
        warnings.warn(f"l0np compiles without Numba's cache: {where} ({reason!r})", RuntimeWarning, stacklevel=2)

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to Numba's cache."""
        return getattr(self._cache, name)
