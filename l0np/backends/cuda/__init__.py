"""The fused epoch on a CUDA device, through CuPy: what is missing where there is none, the matrix there, and the kernels."""

from l0np.backends.cuda.backend import CupyBackend, why_unavailable

__all__ = ["CupyBackend", "why_unavailable"]
