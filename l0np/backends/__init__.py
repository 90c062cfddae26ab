"""The backends, and the one place where a device name becomes one of them. Only "auto" chooses, and `name` says what."""

import importlib.util
import re
from typing import Any

from l0np.backends.base import Backend
from l0np.backends.cupy import CupyBackend, why_unavailable
from l0np.backends.numpy import NumpyBackend
from l0np.errors import BackendUnavailableError, InputError

DEVICES = ("cpu", "numpy", "numba", "cuda", "cuda:N", "auto")


def get_backend(device: Any) -> Backend:
    """Return the backend for a device name.

    "cpu" is Numba where it is installed, else NumPy; "auto" is CUDA where there is any, else "cpu".

    Raises
    ------
    InputError
        For a name that is none of `DEVICES`.
    BackendUnavailableError
        For a device that this machine or this version cannot offer; the message says what is missing.

    Examples
    --------
    >>> get_backend("numpy").name
    'numpy'
    """
    device = device_name(device)
    if device.startswith("cuda") or (device == "auto" and why_unavailable(0) is None):
        return CupyBackend(int(device.partition(":")[2] or 0))
    if device == "numpy" or (device != "numba" and not _installed("numba")):
        return NumpyBackend()
    if not _installed("numba"):
        raise BackendUnavailableError('device="numba" needs Numba: pip install numba, or use device="numpy"')
    try:
        from l0np.backends.numba import NumbaBackend
    except ImportError as reason:
        raise BackendUnavailableError(f'Numba is installed but cannot be loaded ({reason}): use device="numpy"') from reason
    return NumbaBackend()


def device_name(device: Any) -> str:
    """Return the name of a device that `get_backend` knows, whether this machine has it or not."""
    name = str(device)  # torch.device("cpu") will do
    if not re.fullmatch(r"cpu|numpy|numba|auto|cuda(:\d+)?", name):
        raise InputError(f"device must be one of {', '.join(map(repr, DEVICES))}; got {name!r}")
    return name


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
