"""What is said where CUDA cannot be used: here all of CuPy is made up, for no test machine has a driver to be broken.

What the backend does is in test_cuda_backend.py; the conformance suite of all backends is test_backends.py.
"""

import sys
from types import SimpleNamespace

import pytest

from l0np import SparseCalibrationWeights
from l0np.backends import get_backend
from l0np.backends.cupy import why_unavailable
from l0np.errors import BackendUnavailableError, InputError


class CUDARuntimeError(RuntimeError):
    pass


def stand_in(monkeypatch, count):
    def get_device_count():
        if count is None:
            raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
        return count

    runtime = SimpleNamespace(getDeviceCount=get_device_count, CUDARuntimeError=CUDARuntimeError)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))


def test_without_cupy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    for device in ("cuda", "cuda:1"):
        with pytest.raises(BackendUnavailableError, match=r"CuPy is not installed .*pip install cupy-cuda13x"):
            SparseCalibrationWeights(3, device=device)


def test_without_a_driver_the_error_says_so(monkeypatch):
    stand_in(monkeypatch, None)
    message = r"no CUDA driver .*install NVIDIA's driver.*: cudaErrorInsufficientDriver"
    with pytest.raises(BackendUnavailableError, match=message):
        get_backend("cuda")


def test_without_a_device_the_error_says_so(monkeypatch):
    stand_in(monkeypatch, 0)
    with pytest.raises(BackendUnavailableError, match="CuPy and a driver are there, but no CUDA device"):
        get_backend("cuda")


def test_a_device_that_is_not_there(monkeypatch):
    stand_in(monkeypatch, 2)
    assert why_unavailable(1) is None
    with pytest.raises(BackendUnavailableError, match="there is no CUDA device 2, this machine has 2"):
        get_backend("cuda:2")


def test_auto_takes_the_cpu_where_there_is_no_cuda(monkeypatch):
    for count in (None, 0):
        stand_in(monkeypatch, count)
        assert get_backend("auto").name == get_backend("cpu").name


@pytest.mark.parametrize("device", ["cuda:", "cuda:-1", "cuda:x", "cuda1", "CUDA", "gpu", "", None, 0])
def test_unknown_devices(device):
    with pytest.raises(InputError, match=r"device must be one of 'cpu', 'numpy', 'numba', 'cuda'"):
        get_backend(device)
