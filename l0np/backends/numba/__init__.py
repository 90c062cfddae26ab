"""The fused epoch on the CPU, compiled by Numba: the threads and chunks of a run, and the kernels.

Loaded only where a model asks for it.
"""

from l0np.backends.numba.backend import NumbaBackend

__all__ = ["NumbaBackend"]
