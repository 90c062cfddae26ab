"""Losses in row space: a loss knows targets and predictions, never the matrix between them. All in float64.

To add a loss, write one subclass of `TargetLoss` and enter it in `LOSSES`. A gradient writes into `out`,
because it runs in every epoch; the gradient of plain squares allocates nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from l0np._namespace import array_namespace


class Loss(Protocol):
    """What the training loop needs from a loss."""

    @property
    def plain_squares(self) -> bool:
        """Whether the value is ``sum(curvature * (prediction - target)^2) / 2``.

        Such a loss has attributes `target` and `curvature`, so that a backend may compute its gradient in a
        kernel of its own; any other loss runs through `gradient`.
        """

    def value(self, prediction: Any) -> Any:
        """Return the loss as a scalar array."""

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write the derivative of the loss with respect to each prediction into `out`."""


class TargetLoss:
    """A sum with one term for each target: the base of the classes in `LOSSES`.

    A term depends on ``x = d / scale``, where ``d = sign(e) max(|e| - tolerance, 0)`` and ``e = prediction -
    target``: an error costs nothing within the tolerance, and beyond it the slope starts from 0 (the
    epsilon-insensitive loss).

    Parameters
    ----------
    target, scale, weights : arrays of one shape and namespace, float64
        The targets; the divisors of the errors, above 0; factors on the terms, 0 or more.
    tolerance : array of that shape, or None
        Tolerances in the units of the targets, 0 or more; None for no tolerances.
    cap : array of that shape, or None
        The most that one target adds for each unit of its weight, above 0 or infinite; None for no caps.

    Notes
    -----
    `value` and `gradient` see excluded targets too, with a weight of 0: their terms must be finite. A loss to
    which scales, tolerances or caps mean nothing says so in `ignores`, and users who give them get an error.
    """

    # Whether pursuits, which solve least squares, and refits minimise it too
    minimises_squares: ClassVar[bool] = False
    # Whether refits minimise it as a sum of absolute errors
    minimises_absolute_errors: ClassVar[bool] = False

    ignores: ClassVar[frozenset[str]] = frozenset()  # of "target_scales", "tolerances" and "caps"
    # What a user reads of targets whose default scale is 0
    refusal: ClassVar[str] = "this loss allows no such target: exclude it"

    def __init__(self, target: Any, scale: Any, weights: Any, tolerance: Any = None, cap: Any = None) -> None:
        self.target, self.scale, self.weights, self.tolerance, self.cap = (
            target,
            scale,
            weights,
            tolerance,
            cap,
        )

    @staticmethod
    def default_scale(target: Any) -> Any:
        """Return what errors are divided by if the user gives no scales.

        It is 0 for a target that must be refused unless the user gives a scale.
        """
        raise NotImplementedError

    @property
    def plain_squares(self) -> bool:
        """Whether a backend may compute the gradient as that of squares: see `Loss`."""
        return False

    def value(self, prediction: Any) -> Any:
        """Return the loss as a scalar array."""
        raise NotImplementedError

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write the derivative of the loss with respect to each prediction into `out`."""
        raise NotImplementedError

    def beyond_tolerance(self, error: Any) -> Any:
        """Return d: the errors, shrunk towards 0 by the tolerance."""
        if self.tolerance is None:
            return error
        return error - array_namespace(error).clip(error, -self.tolerance, self.tolerance)


class SquaredErrors(TargetLoss):
    """``sum_i weights_i s_i / (1 + s_i / cap_i)`` with ``s_i = x_i^2``, by default with scales of 1.

    Without a cap this is the weighted sum of squares. For large errors ``s / (1 + s / cap)`` grows towards
    `cap` and never reaches it: the loss of Geman and McClure (1985, Proc. Stat. Comp. ASA; alpha = -2 in
    Barron 2019, arXiv:1701.03077). Unlike a loss that is cut off, it always has a slope towards its target,
    which weakens with distance: it is ``1 / (1 + s / cap)^2`` times the slope of the plain square.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SquaredErrors(np.array([1.0, 3.0]), scale=np.array([1.0, 2.0]), weights=np.array([1.0, 1.0]))
    >>> float(loss.value(np.array([2.0, 1.0])))
    2.0
    >>> gradient = np.empty(2)
    >>> loss.gradient(np.array([2.0, 1.0]), out=gradient)
    >>> gradient
    array([ 2., -1.])
    >>> one = np.ones(3)
    >>> capped = SquaredErrors(10 * one, one, one, tolerance=one, cap=4 * one)
    >>> float(capped.value(np.array([10.9, 13.0, 10.0])))  # 0, 4 / (1 + 4 / 4), 0
    2.0
    >>> bool(capped.value(np.array([1e9, 10.0, 10.0])) < 4.0 + 1e-9)
    True
    """

    minimises_squares = True

    def __init__(self, target: Any, scale: Any, weights: Any, tolerance: Any = None, cap: Any = None) -> None:
        super().__init__(target, scale, weights, tolerance, cap)
        self.curvature = 2.0 * weights / scale**2
        self._inverse_cap = None if cap is None else 1.0 / cap
        self._work: Any = None if cap is None else array_namespace(target).empty_like(target)

    @staticmethod
    def default_scale(target: Any) -> Any:
        """Return ones: errors as they are."""
        return array_namespace(target).ones_like(target)

    @property
    def plain_squares(self) -> bool:
        """Whether there are neither tolerances nor caps."""
        return self.tolerance is None and self._inverse_cap is None

    def value(self, prediction: Any) -> Any:
        """Return the sum."""
        xp = array_namespace(prediction)
        if self.plain_squares:
            return 0.5 * xp.sum(self.curvature * (prediction - self.target) ** 2)
        square = (self.beyond_tolerance(prediction - self.target) / self.scale) ** 2
        if self._inverse_cap is not None:
            square = square / (1.0 + square * self._inverse_cap)
        return xp.sum(self.weights * square)

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write ``2 weights d / scale^2 / (1 + s / cap)^2`` into `out`; only a tolerance allocates."""
        out[...] = prediction
        out -= self.target
        if self.tolerance is not None:
            out[...] = self.beyond_tolerance(out)
        if self._inverse_cap is not None:
            damping = self._work
            damping[...] = out
            damping /= self.scale
            damping *= damping
            damping *= self._inverse_cap
            damping += 1.0
            damping *= damping
            out /= damping
        out *= self.curvature


NO_RELATIVE_ERROR = (
    'the relative loss divides by y + 1; give target_scales, use loss_type="mse" or exclude these targets'
)


class RelativeSquaredErrors(SquaredErrors):
    """`SquaredErrors` whose scales are ``|target + 1|`` by default, for targets of very different size.

    Examples
    --------
    >>> import numpy as np
    >>> RelativeSquaredErrors.default_scale(np.array([99.0, -1.0]))
    array([100.,   0.])
    """

    refusal = NO_RELATIVE_ERROR

    @staticmethod
    def default_scale(target: Any) -> Any:
        """Return ``|target + 1|``."""
        return array_namespace(target).abs(target + 1.0)


class AbsoluteErrors(TargetLoss):
    """``sum_i weights_i min(h(x_i), cap_i)``, by default with scales of ``|target + 1|``.

    ``h(x) = |x| - SMOOTH / 2``, and ``x^2 / (2 SMOOTH)`` for ``|x| <= SMOOTH``, so that the slope is
    continuous at 0 (P. J. Huber: Robust estimation of a location parameter, Annals of Mathematical Statistics
    35, 1964). If targets contradict each other, the least sum of absolute errors misses a few of them by a
    lot, the least sum of squares all of them by a little. A target that costs its cap has no slope: it is
    given up, and counts again only if the others bring its estimate near.

    Examples
    --------
    >>> import numpy as np
    >>> loss = AbsoluteErrors(np.array([9.0, 9.0]), np.full(2, 10.0), np.ones(2), cap=np.array([np.inf, 0.5]))
    >>> round(float(loss.value(np.array([8.0, 99.0]))), 4)  # 0.1 - SMOOTH / 2, and the cap
    0.5995
    >>> gradient = np.empty(2)
    >>> loss.gradient(np.array([8.0, 99.0]), out=gradient)
    >>> gradient
    array([-0.1,  0. ])
    """

    minimises_absolute_errors = True
    refusal = NO_RELATIVE_ERROR
    SMOOTH = 1e-3  # a tenth of a per cent: errors smaller than this rarely matter, and Adam's steps settle

    @staticmethod
    def default_scale(target: Any) -> Any:
        """Return ``|target + 1|``, as for squared relative errors."""
        return RelativeSquaredErrors.default_scale(target)

    def _terms(self, prediction: Any) -> tuple[Any, Any]:
        """Return ``min(h(x), cap)`` and its derivative with respect to x."""
        xp = array_namespace(prediction)
        x = self.beyond_tolerance(prediction - self.target) / self.scale
        size, slope = xp.abs(x), xp.clip(x / self.SMOOTH, -1.0, 1.0)
        value = xp.where(size > self.SMOOTH, size - 0.5 * self.SMOOTH, 0.5 * x * slope)
        if self.cap is None:
            return value, slope
        given_up = value >= self.cap
        return xp.where(given_up, self.cap, value), xp.where(given_up, xp.zeros_like(slope), slope)

    def value(self, prediction: Any) -> Any:
        """Return the sum."""
        return array_namespace(prediction).sum(self.weights * self._terms(prediction)[0])

    def gradient(self, prediction: Any, out: Any) -> None:
        """Write ``weights h'(x) / scale`` into `out`, 0 where a target costs its cap."""
        out[...] = self._terms(prediction)[1] * (self.weights / self.scale)


# The losses that `loss_type` names. To add a loss, enter its class here.
LOSSES: dict[str, type[TargetLoss]] = {
    "mse": SquaredErrors,
    "relative": RelativeSquaredErrors,
    "absolute": AbsoluteErrors,
}


class Aggregated:
    """``weight * loss(A @ prediction)``: a loss of totals of targets, such as those of states over districts.

    `forward` and `adjoint` are the products with A and with its transpose, on whatever device the predictions
    live.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    >>> inner = SquaredErrors(np.array([3.0, 8.0]), scale=np.ones(2), weights=np.ones(2))
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
        self,
        forward: Callable[[Any], Any],
        adjoint: Callable[[Any], Any],
        loss: Loss,
        weight: float,
        totals: Any,
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
    >>> one = SquaredErrors(np.zeros(2), scale=np.ones(2), weights=np.ones(2))
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
