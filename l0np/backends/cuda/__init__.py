"""The fused epoch on a CUDA device, through CuPy: the kernels, the matrix and a run there.

If there is no such device, `why_unavailable` says what is missing.
"""

from l0np.backends.cuda.availability import why_unavailable
from l0np.backends.cuda.backend import CupyBackend

__all__ = ["CupyBackend", "why_unavailable"]
