"""How kernels are compiled, and when Numba's cache of compiled kernels may be trusted."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import numba

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# Helpers are called by kernels and never from Python, which saves a fifth of the compile time
HELPER_OPTIONS: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

PACKAGE = os.path.dirname(os.path.abspath(__file__))
# Files whose names contain one of these go into every kernel's stamp: all that kernels are made of, except
# the plain functions that `helper` may take from elsewhere
KERNEL_FILES = ("kernel", "vector_instructions.", "constants.")


def helper(function: Callable[..., Any]) -> Any:
    """Compile `function` for use by kernels only; it is cached as a part of the kernels.

    The function may be in any file of the package: a kernel's stamp covers the files of all its helpers.
    """
    return numba.njit(**HELPER_OPTIONS)(function)


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """Compile `function` at its first call; use Numba's cache if it can be written and trusted.

    No fastmath: it breaks isnan and bit-stability. NumPy's error model, because checks of divisors prevent
    vectorisation.
    """
    options |= OPTIONS
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # there is no writable folder for the cache
        return numba.njit(**options)(function)
    if not hasattr(dispatcher, "_cache"):  # with NUMBA_DISABLE_JIT
        return dispatcher
    if not _can_be_stamped(dispatcher._cache):
        return numba.njit(**options)(function)
    dispatcher._cache = KernelCache(dispatcher._cache, function)
    return dispatcher


class KernelCache:
    """Numba's cache of one kernel, with a stamp that also covers the other files that the kernel is made of.

    Numba compares only the file that holds the kernel: without this class it would go on running a kernel
    with a helper or constant as it was before an upgrade. A damaged file or a full disk costs a compilation,
    not the run.
    """

    def __init__(self, cache: Any, function: Callable[..., Any]) -> None:
        self._cache, self._function = cache, function
        self._stamp_of_numba = cache._cache_file._source_stamp

    def load_overload(self, *arguments: Any) -> Any:
        """Return the compiled kernel, or None if there is none that can be read and is up to date."""
        try:
            self._stamp()
            return self._cache.load_overload(*arguments)
        except Exception as reason:  # whatever unpickling garbage raises
            self._warn(reason)
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Keep the compiled kernel if that is possible."""
        try:
            self._stamp()
            self._cache.save_overload(*arguments)
        except Exception as reason:
            self._warn(reason)

    def _stamp(self) -> None:
        """Set the stamp; at the first call, because by then every helper that the kernel names is defined."""
        paths = {*kernel_files(PACKAGE), *_helper_files(self._function, set())}
        stamp = (self._stamp_of_numba, *(_contents(path) for path in sorted(paths)))
        self._cache._cache_file._source_stamp = stamp

    def _warn(self, reason: Exception) -> None:
        where = f"{self._cache.cache_path} cannot be used and may be deleted"
        message = f"l0np compiles without Numba's cache: {where} ({reason!r})"
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to Numba's cache."""
        return getattr(self._cache, name)


def _can_be_stamped(cache: Any) -> bool:
    """Whether this version of Numba handles stamps as `KernelCache` expects; else there is no cache."""
    file = getattr(cache, "_cache_file", None)
    methods = [getattr(type(file), name, None) for name in ("_load_index", "_save_index")]
    uses = ["_source_stamp" in getattr(getattr(m, "__code__", None), "co_names", ()) for m in methods]
    return hasattr(file, "_source_stamp") and all(uses)


@cache
def kernel_files(folder: str) -> tuple[str, ...]:
    """Return the paths of the files below `folder` whose names match `KERNEL_FILES`, sorted."""
    found, folders = [], [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    found += [entry.path] * any(part in entry.name for part in KERNEL_FILES)
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    return tuple(sorted(found))


@cache
def _contents(path: str) -> str:
    """Return a hash of a file: modification times miss changes if an archive sets all times alike."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _helper_files(function: Callable[..., Any], seen: set[Any]) -> Iterator[str]:
    """Yield the files of a function and of the compiled functions that it calls, directly or not."""
    seen.add(function)
    code, names = function.__code__, function.__globals__
    yield code.co_filename
    used = [names[name] for name in code.co_names if name in names]
    used += [cell.cell_contents for cell in function.__closure__ or ()]
    package = names["__name__"].split(".")[0]
    modules = [m for m in used if isinstance(m, ModuleType) and m.__name__.split(".")[0] == package]
    used += [getattr(module, name, None) for module in modules for name in code.co_names]
    for value in used:
        inner = getattr(value, "py_func", None)
        if inner is not None and inner not in seen:
            yield from _helper_files(inner, seen)
