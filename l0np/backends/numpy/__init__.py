"""The reference backend: an epoch in plain terms of the formulas, and the constants of the fused kernels."""

from l0np.backends.numpy.backend import NumpyBackend
from l0np.backends.numpy.constants import N_CONSTANTS, EpochConstants, epoch_constants

__all__ = ["N_CONSTANTS", "EpochConstants", "NumpyBackend", "epoch_constants"]
