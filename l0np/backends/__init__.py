"""Where epochs run: the table of backends, and the one function that makes one of a device name.

A backend implements the protocol `l0np.engine.Backend`. To add one, write its class in a folder of its own
and enter it in `BACKENDS`; the conformance suite in `tests/backends` then runs it against the reference,
`l0np.backends.numpy`.
"""

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from l0np.backends.cuda import CupyBackend, why_unavailable
from l0np.backends.numpy import NumpyBackend
from l0np.engine import Backend
from l0np.errors import BackendUnavailableError, InputError

__all__ = [
    "BACKENDS",
    "BackendEntry",
    "backend_name",
    "get_backend",
    "uses_compiled_kernels",
    "why_unavailable",
]


def _numba() -> type[Any]:
    if not _installed("numba"):
        raise BackendUnavailableError('device="numba" needs Numba: pip install numba, or use device="numpy"')
    try:
        from l0np.backends.numba import NumbaBackend
    except ImportError as reason:
        raise BackendUnavailableError(
            f'Numba is installed but cannot be loaded ({reason}): use device="numpy"'
        ) from reason
    return NumbaBackend


@dataclass(frozen=True)
class BackendEntry:
    """An entry of the table: how to load the class, and whether a machine may have several such devices.

    The class of a numbered backend is made with the number of the device, any other without arguments.
    """

    load: Callable[[], type[Any]]
    numbered: bool = False


BACKENDS: dict[str, BackendEntry] = {
    "numpy": BackendEntry(lambda: NumpyBackend),
    "numba": BackendEntry(_numba),
    "cuda": BackendEntry(lambda: CupyBackend, numbered=True),
}


def get_backend(device: Any) -> Backend:
    """Return the backend for a device name.

    Parameters
    ----------
    device : str
        A name of `BACKENDS`, with a number where there may be several such devices ("cuda:1"); "cpu" for
        Numba where it is installed, else NumPy; "auto" for CUDA where there is any, else "cpu".

    Raises
    ------
    InputError
        For any other name.
    BackendUnavailableError
        For a device that this machine cannot offer; the message says what is missing.

    Examples
    --------
    >>> get_backend("numpy").name
    'numpy'
    """
    name, index = _parsed(device)
    if name == "auto":
        name = "cpu" if why_unavailable(0) else "cuda"
    if name == "cpu":
        name = "numba" if _installed("numba") else "numpy"
    entry = BACKENDS[name]
    backend: Backend = entry.load()(index or 0) if entry.numbered else entry.load()()
    return backend


def backend_name(device: Any) -> str:
    """Return a device name, checked as by `get_backend`, whether this machine has the device or not."""
    name, index = _parsed(device)
    return name if index is None else f"{name}:{index}"


def uses_compiled_kernels(device: str) -> bool:
    """Return whether kernels outside training may be compiled too: on every device but the reference."""
    return _parsed(device)[0] != "numpy"


def _parsed(device: Any) -> tuple[str, int | None]:
    """Return the name and the number of a device, which is None where none is given."""
    text = str(device)  # torch.device("cpu") will do
    numbered = [name for name, entry in BACKENDS.items() if entry.numbered]
    found = re.fullmatch(rf"({'|'.join(numbered)}):(\d+)", text)
    if found:
        return found[1], int(found[2])
    if text not in (*BACKENDS, "cpu", "auto"):
        known = ["cpu", *BACKENDS, *(f"{name}:N" for name in numbered), "auto"]
        raise InputError(f"device must be one of {', '.join(map(repr, known))}; got {text!r}")
    return text, None


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
