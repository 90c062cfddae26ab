"""What is reported where CUDA cannot be used. All of CuPy is made up here: there is no driver to break."""

import sys
from types import SimpleNamespace

import pytest

from l0np import SparseCalibrationWeights
from l0np.backends import get_backend
from l0np.backends.cuda.backend import why_unavailable
from l0np.errors import BackendUnavailableError, InputError


class CUDARuntimeError(RuntimeError):
    pass


def stand_in(monkeypatch, count, driver=13020, nvrtc=(13, 0)):
    """`count` devices, or the error that CUDA's runtime raises; CuPy for CUDA 13."""

    def get_device_count():
        if isinstance(count, str):
            raise CUDARuntimeError(count)
        return count

    def get_version():
        if nvrtc is None:
            raise RuntimeError('Failure finding "libnvrtc.so.13"')
        return nvrtc

    runtime = SimpleNamespace(
        getDeviceCount=get_device_count,
        CUDARuntimeError=CUDARuntimeError,
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 13020,
    )
    cuda = SimpleNamespace(runtime=runtime, nvrtc=SimpleNamespace(getVersion=get_version))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))


INSUFFICIENT = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"


def test_without_cupy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    for device in ("cuda", "cuda:1"):
        with pytest.raises(
            BackendUnavailableError, match=r'CuPy is not installed .*pip install "cupy-cuda13x\[ctk\]"'
        ):
            SparseCalibrationWeights(3, device=device)


def test_without_a_driver_the_error_says_so(monkeypatch):
    stand_in(monkeypatch, INSUFFICIENT, driver=0)
    message = r"CuPy is installed, but no NVIDIA driver: install it.*\[cudaErrorInsufficientDriver"
    with pytest.raises(BackendUnavailableError, match=message):
        get_backend("cuda")


def test_with_a_driver_that_is_too_old_the_error_says_so(monkeypatch):
    stand_in(monkeypatch, INSUFFICIENT, driver=12040)
    message = (
        r'is for CUDA 12, the .* for CUDA 13: install a newer driver, or pip install "cupy-cuda12x\[ctk\]"'
    )
    with pytest.raises(BackendUnavailableError, match=message):
        get_backend("cuda")


def test_with_a_driver_that_does_not_work_the_error_says_so(monkeypatch):
    stand_in(monkeypatch, "cudaErrorSystemDriverMismatch: system has unsupported display driver")
    with pytest.raises(
        BackendUnavailableError, match=r"13 are there, but do not work.*\[cudaErrorSystemDriverMismatch"
    ):
        get_backend("cuda")


@pytest.mark.parametrize("count", [0, "cudaErrorNoDevice: no CUDA-capable device is detected"])
def test_without_a_device_the_error_says_so(monkeypatch, count):
    stand_in(monkeypatch, count)
    with pytest.raises(BackendUnavailableError, match="CuPy and a driver are there, but no CUDA device"):
        get_backend("cuda")


def test_without_a_compiler_the_error_says_so(monkeypatch):
    """CuPy's wheels hold neither NVRTC nor headers: `pip install cupy-cuda13x` alone cannot compile."""
    stand_in(monkeypatch, 1, nvrtc=None)
    message = r'NVRTC, .* is not installed: pip install "cupy-cuda13x\[ctk\]" \[Failure finding'
    with pytest.raises(BackendUnavailableError, match=message):
        get_backend("cuda")


def test_a_device_that_is_not_there(monkeypatch):
    stand_in(monkeypatch, 2)
    assert why_unavailable(1) is None
    with pytest.raises(BackendUnavailableError, match="there is no CUDA device 2, this machine has 2"):
        get_backend("cuda:2")


def test_auto_takes_the_cpu_where_there_is_no_cuda(monkeypatch):
    for count, nvrtc in ((INSUFFICIENT, (13, 0)), (0, (13, 0)), (1, None)):
        stand_in(monkeypatch, count, nvrtc=nvrtc)
        assert get_backend("auto").name == get_backend("cpu").name


@pytest.mark.parametrize("device", ["cuda:", "cuda:-1", "cuda:x", "cuda1", "CUDA", "gpu", "", None, 0])
def test_unknown_devices(device):
    with pytest.raises(InputError, match=r"device must be one of 'cpu', 'numpy', 'numba', 'cuda'"):
        get_backend(device)
