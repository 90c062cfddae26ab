"""The reference backend: an epoch in plain terms of the formulas, and the constants that all fused kernels take."""

from l0np.backends.numpy.backend import NumpyBackend
from l0np.backends.numpy.constants import N_CONSTANTS, constants

__all__ = ["N_CONSTANTS", "NumpyBackend", "constants"]
