"""Penalties in column space, each with its gradient beside it."""

from typing import Any

from l0np._namespace import array_namespace
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import Link


def l0_penalty(log_alpha: Any, gates: HardConcrete) -> tuple[Any, Any]:
    """Return the expected number of open gates, in float64, and its gradient.

    The gradient is with respect to log_alpha (Louizos et al., equation 12).
    """
    xp = array_namespace(log_alpha)
    probability, derivative = gates.prob_open(log_alpha)
    return xp.sum(probability, dtype=xp.float64), derivative


def l2_penalty(theta: Any, link: Link) -> tuple[Any, Any]:
    """Return the sum of squared ungated weights, in float64, and its gradient, 2 w dw/dtheta."""
    xp = array_namespace(theta)
    weight, derivative = link.weight(theta)
    return xp.sum(xp.astype(weight, xp.float64) ** 2), 2.0 * weight * derivative
