"""Losses in row space: a loss knows targets and predictions, never the matrix between them. All in float64.

A gradient writes into `out` and allocates nothing, because it runs in every epoch.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from l0np.errors import InputError


class Loss(Protocol):
    """What the training loop needs of a loss."""

    def value(self, prediction: Any) -> Any:
        """Return the loss as a scalar array."""

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write the derivative of the loss by each prediction into `out`."""


class WeightedSquares:
    """sum_i weights_i ((target_i - prediction_i) / scale_i)^2 for arrays of one shape and namespace.

    Examples
    --------
    >>> import numpy as np
    >>> loss = WeightedSquares(np.array([1.0, 3.0]), scale=np.array([1.0, 2.0]), weights=np.array([1.0, 1.0]))
    >>> float(loss.value(np.array([2.0, 1.0])))
    2.0
    >>> gradient = np.empty(2)
    >>> loss.gradient(np.array([2.0, 1.0]), out=gradient)
    >>> gradient
    array([ 2., -1.])
    """

    def __init__(self, target: Any, scale: Any, weights: Any) -> None:
        self.target = target
        self.curvature = 2.0 * weights / scale**2

    def value(self, prediction: Any) -> Any:
        """Return the weighted sum of squares."""
        xp = array_namespace(prediction)
        return 0.5 * xp.sum(self.curvature * (prediction - self.target) ** 2)

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write 2 weights (prediction - target) / scale^2 into `out`."""
        out[...] = prediction
        out -= self.target
        out *= self.curvature


def squared_loss(target: Any, weights: Any) -> WeightedSquares:
    """Return the sum of weighted squared errors, ``loss_type="mse"``."""
    return WeightedSquares(target, array_namespace(target).ones_like(target), weights)


def relative_loss(target: Any, weights: Any) -> WeightedSquares:
    """Return the sum of weighted squared errors relative to target + 1, for targets of very different size."""
    return WeightedSquares(target, target + 1.0, weights)


LOSSES: Mapping[str, Callable[[Any, Any], WeightedSquares]] = {"mse": squared_loss, "relative": relative_loss}


def group_weights(
    groups: NDArray[Any] | None, n_targets: int, normalize: bool, multipliers: Mapping[Any, float] | None
) -> NDArray[np.float64]:
    """Return each target's weight: 1 without groups, else 1 / size of its group (if normalised), times its multiplier.

    Examples
    --------
    >>> import numpy as np
    >>> group_weights(np.array([0, 0, 1]), 3, normalize=True, multipliers={1: 3.0})
    array([0.5, 0.5, 3. ])
    """
    if groups is None:
        if multipliers is not None:
            raise InputError("group_multipliers needs target_groups")
        return np.ones(n_targets)
    labels, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1.0 / sizes[member] if normalize else np.ones(n_targets)
    for label, multiplier in (multipliers or {}).items():
        members = groups == label if np.ndim(label) == 0 else np.zeros(1, bool)
        if not np.any(members):
            raise InputError(f"group_multipliers names the group {label!r}, target_groups has {_listing(labels)}")
        weights[members] *= multiplier
    return weights


def _listing(labels: NDArray[Any], shown: int = 10) -> str:
    names = ", ".join(repr(label) for label in labels[:shown].tolist())
    return names if len(labels) <= shown else f"{names}, ... ({len(labels)} groups)"
