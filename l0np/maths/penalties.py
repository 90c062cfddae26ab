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


def l2_penalty(theta: Any, link: Link, anchor: Any = None) -> tuple[Any, Any]:
    """Return the sum of squared ungated weights, in float64, and its gradient, 2 w dw/dtheta.

    With an anchor, the theta of weights w0, return instead the sum of squared relative distances
    ``(r - 1)^2`` and its gradient, ``2 (r - 1) dr/dtheta``, where ``r = w / w0``. That requires the
    exponential link, with which r is the weight of ``theta - anchor``.
    """
    xp = array_namespace(theta)
    if anchor is None:
        weight, derivative = link.weight(theta)
        return xp.sum(xp.astype(weight, xp.float64) ** 2), 2.0 * weight * derivative
    ratio, derivative = link.weight(theta - anchor)
    distance = ratio - 1.0
    return xp.sum(xp.astype(distance, xp.float64) ** 2), 2.0 * distance * derivative
