"""Losses in row space: a loss knows targets and predictions, never the matrix between them. All in float64.

A gradient writes into `out`, because it runs in every epoch; the plain loss allocates nothing there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from l0np._namespace import array_namespace


class Loss(Protocol):
    """What the training loop needs of a loss.

    `plain_squares` says whether it is ``sum(curvature * (prediction - target)^2) / 2``, with attributes `target` and
    `curvature`, so that a backend may compute its gradient in a kernel of its own.
    """

    plain_squares: bool

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

    plain_squares = True

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


class RobustSquares:
    """sum_i weights_i s_i / (1 + s_i / cap_i), where s_i is the square of the scaled error beyond the tolerance.

    The error is ``d = sign(e) max(|e| - tolerance, 0)``, ``e = prediction - target``: nothing is lost inside the tolerance, and
    the slope is continuous at its border (the epsilon-insensitive loss, squared). ``s = (d / scale)^2`` is small for small
    errors, where the loss is that of `WeightedSquares`; for large errors ``s / (1 + s / cap)`` grows towards `cap` and never
    reaches it: the loss of Geman and McClure (1985, Proc. Stat. Comp. ASA; alpha = -2 in Barron 2019, arXiv:1701.03077).
    Unlike a loss that is cut off it always has a slope towards its target, the weaker the farther: 1 / (1 + s / cap)^2 of
    that of the plain square.

    Parameters
    ----------
    target, scale, weights : arrays of one shape and namespace
        As in `WeightedSquares`.
    tolerance : array of that shape, or None
        In the units of the targets, 0 or more; None for none.
    cap : array of that shape, or None
        The most that one target adds for each unit of its weight, above 0, may be infinite; None for no caps.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(3)
    >>> loss = RobustSquares(10 * one, one, one, tolerance=one, cap=4 * one)
    >>> float(loss.value(np.array([10.9, 13.0, 10.0])))  # 0, 4 / (1 + 4 / 4), 0
    2.0
    >>> bool(loss.value(np.array([1e9, 10.0, 10.0])) < 4.0 + 1e-9)
    True
    """

    plain_squares = False

    def __init__(self, target: Any, scale: Any, weights: Any, tolerance: Any = None, cap: Any = None) -> None:
        self.target, self.scale, self.weights = target, scale, weights
        self.curvature = 2.0 * weights / scale**2
        self.tolerance = tolerance
        self.inverse_cap = None if cap is None else 1.0 / cap
        self._work = array_namespace(target).empty_like(target)

    def _beyond(self, error: Any) -> Any:
        """Return the errors less what the tolerance takes from them."""
        if self.tolerance is None:
            return error
        return error - array_namespace(error).clip(error, -self.tolerance, self.tolerance)

    def value(self, prediction: Any) -> Any:
        """Return the sum."""
        square = (self._beyond(prediction - self.target) / self.scale) ** 2
        if self.inverse_cap is not None:
            square = square / (1.0 + square * self.inverse_cap)
        return array_namespace(prediction).sum(self.weights * square)

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write 2 weights d / scale^2 / (1 + s / cap)^2 into `out`; only a tolerance allocates (the array API's clip does)."""
        out[...] = prediction
        out -= self.target
        if self.tolerance is not None:
            out[...] = self._beyond(out)
        if self.inverse_cap is not None:
            damping = self._work
            damping[...] = out
            damping /= self.scale
            damping *= damping
            damping *= self.inverse_cap
            damping += 1.0
            damping *= damping
            out /= damping
        out *= self.curvature


class Aggregated:
    """weight * loss(A @ prediction): a loss of totals of targets, such as those of a state over its districts.

    `forward` and `adjoint` are the products with A and with its transpose, on whatever device the predictions live.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    >>> inner = WeightedSquares(np.array([3.0, 8.0]), scale=np.ones(2), weights=np.ones(2))
    >>> loss = Aggregated(A.__matmul__, A.T.__matmul__, inner, weight=0.5, totals=np.empty(2))
    >>> float(loss.value(np.array([1.0, 1.0, 3.0])))  # 0.5 (1^2 + 2^2)
    2.5
    >>> gradient = np.empty(3)
    >>> loss.gradient(np.array([1.0, 1.0, 3.0]), out=gradient)
    >>> gradient
    array([-1., -1., -4.])
    """

    plain_squares = False

    def __init__(
        self, forward: Callable[[Any], Any], adjoint: Callable[[Any], Any], loss: Loss, weight: float, totals: Any
    ) -> None:
        self.forward, self.adjoint, self.loss, self.weight = forward, adjoint, loss, weight
        self._work = totals  # an array of the shape of A @ prediction, written to

    def value(self, prediction: Any) -> Any:
        """Return the weighted loss of the totals."""
        return self.weight * self.loss.value(self.forward(prediction))

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write weight * A.T @ (the loss's gradient at A @ prediction) into `out`."""
        self.loss.gradient(self.forward(prediction), out=self._work)
        self._work *= self.weight
        out[...] = self.adjoint(self._work)


class Sum:
    """The sum of several losses of the same predictions.

    Examples
    --------
    >>> import numpy as np
    >>> one = WeightedSquares(np.zeros(2), scale=np.ones(2), weights=np.ones(2))
    >>> float(Sum([one, one], np.empty(2)).value(np.array([1.0, 2.0])))
    10.0
    """

    plain_squares = False

    def __init__(self, losses: Sequence[Loss], work: Any) -> None:
        self.losses = tuple(losses)
        self._work = work  # an array of the shape of the predictions, written to

    def value(self, prediction: Any) -> Any:
        """Return the sum of the values."""
        first, *others = (loss.value(prediction) for loss in self.losses)
        return sum(others, start=first)

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write the sum of the gradients into `out`."""
        first, *others = self.losses
        first.gradient(prediction, out=out)
        for loss in others:
            loss.gradient(prediction, out=self._work)
            out += self._work


def unit_scale(target: Any) -> Any:
    """Return ones: errors as they are, ``loss_type="mse"``."""
    return array_namespace(target).ones_like(target)


def relative_scale(target: Any) -> Any:
    """Return ``|target + 1|``: errors relative to it, for targets of very different size, ``loss_type="relative"``."""
    return array_namespace(target).abs(target + 1.0)


SCALES: Mapping[str, Callable[[Any], Any]] = {"mse": unit_scale, "relative": relative_scale}
