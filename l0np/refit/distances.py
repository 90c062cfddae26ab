"""Distances between weights and reference weights, each given by its calibration function.

J.-C. Deville, C.-E. Sarndal: Calibration estimators in survey sampling (JASA 87, 1992), section 2 and table
1.

To add a distance, write a function that takes the lower and the upper bound of the g-weights and returns a
`Distance`, and enter it in `DISTANCES`. Its calibration function must be finite at both ends of the range of
u, the images of the bounds under `inverse`, because u is clipped to them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import validation

Floats = NDArray[np.float64]

EXPONENT_BOUND = 500.0
FLOOR = 1e-4  # lower bound of g-weights if none is given: unreachable targets would push g-weights to 0
AT_BOUND, AT_ZERO = 1e-6, 1e-9  # a g-weight this close to a bound counts as at it: relative, absolute


@dataclass(frozen=True)
class Distance:
    """A distance between weights and reference weights, given by its calibration function F.

    Parameters
    ----------
    function : callable
        Returns F(u), the g-weight, and F'(u) for arrays of u inside the range that the bounds allow.
    inverse : callable
        Returns the u of g-weights, a number or an array; it may be infinite at a bound.
    lower, upper : float
        Bounds of the g-weight, the ratio of weight to reference weight; they may be infinite.
    is_linear : bool
        Whether F is linear between the bounds.
    """

    function: Callable[[Floats], tuple[Floats, Floats]]
    inverse: Callable[[Any], Any]
    lower: float
    upper: float
    is_linear: bool = False

    def __call__(self, u: Floats) -> tuple[Floats, Floats]:
        """Return the g-weights within the bounds, and their derivatives with respect to u."""
        least, most = self.inverse(self.lower), self.inverse(self.upper)
        inside = np.clip(u, least, most)
        ratio, slope = self.function(inside)
        # The outer clip restores a tiny bound that 1 + u rounds away
        return np.clip(ratio, self.lower, self.upper), np.where(u == inside, slope, 0.0)

    def pull_of(self, ratios: Floats) -> Floats:
        """Return the u of g-weights, finite also at bounds that only an infinite u reaches."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.clip(self.inverse(ratios), -EXPONENT_BOUND, EXPONENT_BOUND))

    def at_bounds(self, ratios: Floats) -> tuple[int, int]:
        """Return how many g-weights are at the lower bound and how many at the upper bound."""
        near = (np.isclose(ratios, bound, AT_BOUND, AT_ZERO) for bound in (self.lower, self.upper))
        lower, upper = (int(np.count_nonzero(these)) for these in near)
        return lower, upper


def chi_square(lower: float, upper: float) -> Distance:
    """Return the linear method: distance (w - r)^2 / (2 r), F(u) = 1 + u.

    With bounds it is the bounded-linear method; without a lower bound weights may become negative.
    """
    return Distance(lambda u: (1.0 + u, np.ones_like(u)), lambda ratio: ratio - 1.0, lower, upper, True)


def raking(lower: float, upper: float) -> Distance:
    """Return the multiplicative method: distance w log(w / r) - w + r, F(u) = exp(u).

    A lower bound that is not above 0 becomes `FLOOR`.
    """

    def function(u: Floats) -> tuple[Floats, Floats]:
        ratio = np.exp(np.minimum(u, EXPONENT_BOUND))  # stays finite
        return ratio, ratio

    return Distance(function, np.log, lower if lower > 0 else FLOOR, upper)


def logit(lower: float, upper: float) -> Distance:
    """Return the logit method: g-weights stay strictly inside finite bounds, lower < 1 < upper.

    Without a lower bound it is `FLOOR`.
    """
    lower = lower if lower > -np.inf else FLOOR
    if not (np.isfinite(upper) and lower < 1.0 < upper):
        raise InputError(f'distance="logit" needs finite bounds around 1, got ({lower}, {upper})')
    rate = (upper - lower) / ((1.0 - lower) * (upper - 1.0))
    start = np.log((1.0 - lower) / (upper - 1.0))

    def function(u: Floats) -> tuple[Floats, Floats]:
        # with x = rate * u + log((1 - lower) / (upper - 1)): F = lower + (upper - lower) / (1 + exp(-x))
        x = np.clip(rate * u + start, -EXPONENT_BOUND, EXPONENT_BOUND)
        fraction = 1.0 / (1.0 + np.exp(-x))
        return lower + (upper - lower) * fraction, rate * (upper - lower) * fraction * (1.0 - fraction)

    def inverse(ratio: Any) -> Any:
        with np.errstate(divide="ignore"):  # infinite at the bounds
            return (np.log(ratio - lower) - np.log(upper - ratio) - start) / rate

    return Distance(function, inverse, lower, upper)


DISTANCES: dict[str, Callable[[float, float], Distance]] = {
    "chi-square": chi_square,
    "raking": raking,
    "logit": logit,
}


def distance_of(name: Any, bounds: Any, no_zero: str = "") -> Distance:
    """Return the distance that `DISTANCES` holds under a name, with bounds of the g-weight.

    Parameters
    ----------
    name : str
        The user's `distance`.
    bounds : (float or None, float or None)
        The user's `bounds`, None for no bound. Without a lower bound "chi-square" may make weights negative,
        while "raking" and "logit" keep g-weights at `FLOOR` (1e-4) and above.
    no_zero : str
        If not empty, bounds that allow a weight of 0 or less are refused, with this reason.

    Raises
    ------
    InputError, InputTypeError
        For an unknown distance and for bounds that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> ratio, slope = distance_of("chi-square", (0.5, None))(np.array([-2.0, 0.0, 1.0]))
    >>> ratio
    array([0.5, 1. , 2. ])
    >>> distance_of("raking", (None, None)).lower
    0.0001
    """
    make = validation.one_of("distance", name, DISTANCES)
    lower, upper = validation.pair("bounds", bounds, "a pair (lower, upper), None for no bound")
    is_unbounded = (lower is None or lower == -np.inf, upper is None or upper == np.inf)
    low = -np.inf if is_unbounded[0] else validation.real_number("bounds[0]", lower, at_most=1.0)
    high = np.inf if is_unbounded[1] else validation.real_number("bounds[1]", upper, at_least=1.0)
    found = make(low, high)
    if no_zero and not found.lower > 0:
        raise InputError(f"bounds[0] must be above 0, {no_zero}; got {lower}")
    return found
