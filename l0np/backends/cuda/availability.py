"""What is missing on this machine for CUDA, and what to install."""

from typing import Any

NO_DEVICE = "CuPy and a driver are there, but no CUDA device"


def why_unavailable(index: int) -> str | None:
    """Return what is missing for device number `index`, and what to install; None where nothing is."""
    try:
        import cupy
    except ImportError as reason:
        return (
            f"CuPy is not installed or cannot be loaded: pip install {_package(13)}, or {_package(12)} where "
            f"nvidia-smi shows a driver for CUDA 12 [{reason}]"
        )
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as reason:
        return _why_no_device(runtime, reason)
    if index >= count:
        return f"there is no CUDA device {index}, this machine has {count}" if count else NO_DEVICE
    try:
        cupy.cuda.nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as reason:
        package = _package(runtime.runtimeGetVersion() // 1000)
        return (
            "NVRTC, CUDA's compiler, which CuPy's wheel does not hold, is not installed: "
            f"pip install {package} [{reason}]"
        )
    return None


def _why_no_device(runtime: Any, reason: Exception) -> str:
    """Distinguish a missing driver, one that is too old, and a machine without a device."""
    if "NoDevice" in str(reason):
        return f"{NO_DEVICE} [{reason}]"
    driver, built_for = runtime.driverGetVersion() // 1000, runtime.runtimeGetVersion() // 1000
    if not driver:
        return (
            "CuPy is installed, but no NVIDIA driver: install it, from nvidia.com or the system's packages "
            f"[{reason}]"
        )
    if driver < built_for:
        return (
            f"the NVIDIA driver is for CUDA {driver}, the installed CuPy for CUDA {built_for}: install a "
            f"newer driver, or pip install {_package(driver)} in CuPy's place [{reason}]"
        )
    return (
        f"CuPy and an NVIDIA driver for CUDA {driver} are there, but do not work: see what nvidia-smi says "
        f"[{reason}]"
    )


def _package(cuda: int) -> str:
    """Return CuPy's package for a major version of CUDA, with the libraries that it loads."""
    return f'"cupy-cuda{cuda}x[ctk]"'
