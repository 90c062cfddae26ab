"""The formulas of training, each value with its derivative beside it, over arrays of any array API namespace.

The Hard Concrete gate, the losses, the two penalties, the links from parameters to weights, Adam, and Philox
noise. Nothing here depends on a matrix, an epoch or a survey. The kernels of the backends hold twins of some
of these formulas, and tests compare them bit for bit.
"""

from l0np.maths import philox
from l0np.maths.adam import BETA1, BETA2, EPSILON, Parameter, adam_update, step_sizes
from l0np.maths.hard_concrete import (
    BETA_BOUNDS,
    GAMMA_BOUNDS,
    LOG_ALPHA_BOUND,
    ZETA_BOUNDS,
    HardConcrete,
    log_alpha_of,
)
from l0np.maths.links import ExponentialLink, IdentityLink, Link
from l0np.maths.losses import LOSSES, Aggregated, Loss, SquaredErrors, Sum, TargetLoss
from l0np.maths.penalties import l0_penalty, l2_penalty

__all__ = [
    "BETA1",
    "BETA2",
    "BETA_BOUNDS",
    "EPSILON",
    "GAMMA_BOUNDS",
    "LOG_ALPHA_BOUND",
    "LOSSES",
    "ZETA_BOUNDS",
    "Aggregated",
    "ExponentialLink",
    "HardConcrete",
    "IdentityLink",
    "Link",
    "Loss",
    "Parameter",
    "SquaredErrors",
    "Sum",
    "TargetLoss",
    "adam_update",
    "l0_penalty",
    "l2_penalty",
    "log_alpha_of",
    "philox",
    "step_sizes",
]
