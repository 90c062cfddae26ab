"""CUDA through CuPy: the reference's arithmetic on the device, with cuSPARSE's products."""

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.backends.numpy import NumpyBackend
from l0np.errors import BackendUnavailableError
from l0np.matrix import ColumnMatrix

INSTALL = "pip install cupy-cuda13x (or cupy-cuda12x for a CUDA 12 driver)"


def why_unavailable(index: int) -> str | None:
    """Return what is missing for device number `index`, or None where nothing is."""
    try:
        import cupy
    except ImportError as reason:
        return f"CuPy is not installed: {INSTALL} [{reason}]"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as reason:
        return f"CuPy is installed but finds no CUDA driver and device: {reason}"
    return None if index < count else f"there is no CUDA device {index}, this machine has {count}"


class CupyBackend(NumpyBackend):
    """One CUDA device."""

    name = "cupy"

    def __init__(self, index: int = 0) -> None:
        reason = why_unavailable(index)
        if reason:
            raise BackendUnavailableError(f'device="cuda:{index}" cannot be used: {reason}')
        import cupy
        from array_api_compat import cupy as namespace

        self.xp = namespace
        self._cupy = cupy
        self._device = cupy.cuda.Device(index)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the number of the device."""
        return type(self), (self._device.id,)

    def active(self) -> AbstractContextManager[Any]:
        """Return a context in which this device is the current one."""
        return self._device  # type: ignore[no-any-return]

    def matrix(self, matrix: ColumnMatrix) -> Any:
        """Return a cupyx csc_matrix in float64, so that sums are float64 too."""
        from cupyx.scipy import sparse

        return sparse.csc_matrix(matrix.to_scipy().astype(np.float64))

    def asarray(self, array: NDArray[Any]) -> Any:
        """Return a copy on the device."""
        return self._cupy.array(array)

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return a copy on the host."""
        return np.asarray(self._cupy.asnumpy(array))
