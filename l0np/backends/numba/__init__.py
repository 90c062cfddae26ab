"""The fused epoch on the CPU, compiled by Numba: the threads and chunks of a run, and the kernels.

It is loaded only if a model needs it.
"""

from l0np.backends.numba.backend import NumbaBackend

__all__ = ["NumbaBackend"]
