"""Links from the free parameter theta to the weight it stands for, each with its derivative beside it."""

from typing import Any, Protocol

from l0np._namespace import array_namespace


class Link(Protocol):
    """What the engine needs from a link."""

    exponential: bool

    def weight(self, theta: Any) -> tuple[Any, Any]:
        """Return the weight and its derivative with respect to theta."""


class ExponentialLink:
    """w = exp(theta): weights that stay positive, as in calibration."""

    exponential = True

    def weight(self, theta: Any) -> tuple[Any, Any]:
        """Return exp(theta) twice: it is its own derivative."""
        weight = array_namespace(theta).exp(theta)
        return weight, weight


class IdentityLink:
    """w = theta: weights of either sign, as in regression."""

    exponential = False

    def weight(self, theta: Any) -> tuple[Any, Any]:
        """Return theta and ones."""
        return theta, array_namespace(theta).ones_like(theta)
