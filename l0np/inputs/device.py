"""Arrays that live on a CUDA device, recognised without importing CuPy."""

from typing import Any


def is_on_a_device(value: Any) -> bool:
    """Return whether `value` is one of CuPy's arrays or matrices."""
    return type(value).__module__.split(".")[0] in ("cupy", "cupyx")


def on_host(value: Any) -> Any:
    """Return a NumPy copy of an array that lives on a CUDA device, anything else as it is."""
    return value.get() if hasattr(value, "__cuda_array_interface__") and hasattr(value, "get") else value
