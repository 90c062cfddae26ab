"""Distances between weights and reference weights, by their calibration functions.

J.-C. Deville, C.-E. Sarndal: Calibration estimators in survey sampling (JASA 87, 1992), section 2 and table 1.
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
FLOOR = 1e-4  # the lower bound of positive g-weights where none is given: targets that cannot be met drive them towards 0
AT_BOUND, AT_ZERO = 1e-6, 1e-9  # relative and absolute distance from a bound, up to which a g-weight lies at it


@dataclass(frozen=True)
class Distance:
    """A distance between weights and reference by its calibration function F: the g-weight as a function of u.

    `function` returns F(u) and F'(u), for u inside the range that the bounds leave; `inverse`
    gives the u of a g-weight.
    """

    function: Callable[[Floats], tuple[Floats, Floats]]
    inverse: Callable[[float], float]
    lower: float
    upper: float

    def __call__(self, u: Floats) -> tuple[Floats, Floats]:
        """Return the g-weights within the bounds, their derivatives by u."""
        least, most = self.inverse(self.lower), self.inverse(self.upper)
        inside = np.clip(u, least, most)
        ratio, slope = self.function(inside)
        return np.clip(ratio, self.lower, self.upper), np.where(u == inside, slope, 0.0)  # 1 + u loses a tiny bound

    def at_bounds(self, ratios: Floats) -> tuple[int, int]:
        """Return how many g-weights lie at the lower bound and how many at the upper one."""
        near = (np.isclose(ratios, bound, AT_BOUND, AT_ZERO) for bound in (self.lower, self.upper))
        lower, upper = (int(np.count_nonzero(these)) for these in near)
        return lower, upper


def chi_square(lower: float, upper: float) -> Distance:
    """Return the linear method (bounded-linear with bounds): distance (w - r)^2 / r, F(u) = 1 + u; negative without bounds."""
    return Distance(lambda u: (1.0 + u, np.ones_like(u)), lambda ratio: ratio - 1.0, lower, upper)


def raking(lower: float, upper: float) -> Distance:
    """Return the multiplicative method: distance w log(w / r) - w + r, F(u) = exp(u); lower is `FLOOR` if not above 0."""

    def function(u: Floats) -> tuple[Floats, Floats]:
        ratio = np.exp(np.minimum(u, EXPONENT_BOUND))  # not infinite
        return ratio, ratio

    return Distance(function, lambda ratio: float(np.log(ratio)), lower if lower > 0 else FLOOR, upper)


def logit(lower: float, upper: float) -> Distance:
    """Return the logit method: g-weights stay strictly inside the bounds, lower < 1 < upper; lower is `FLOOR` if not given."""
    lower = lower if lower > -np.inf else FLOOR
    if not (np.isfinite(upper) and lower < 1.0 < upper):
        raise InputError(f'distance="logit" needs finite bounds around 1, got ({lower}, {upper})')
    rate = (upper - lower) / ((1.0 - lower) * (upper - 1.0))

    def function(u: Floats) -> tuple[Floats, Floats]:
        # in terms of x = rate * u + log((1 - lower) / (upper - 1)), F = lower + (upper - lower) / (1 + exp(-x))
        start = np.log((1.0 - lower) / (upper - 1.0))
        x = np.clip(rate * u + start, -EXPONENT_BOUND, EXPONENT_BOUND)
        share = 1.0 / (1.0 + np.exp(-x))
        return lower + (upper - lower) * share, rate * (upper - lower) * share * (1.0 - share)

    return Distance(function, lambda ratio: np.copysign(np.inf, ratio - 1.0), lower, upper)


DISTANCES: dict[str, Callable[[float, float], Distance]] = {"chi-square": chi_square, "raking": raking, "logit": logit}


def distance_of(name: Any, bounds: Any, no_zero: str = "") -> Distance:
    """Return the distance that a user names, within bounds on the ratio of weight to reference weight.

    A reason in `no_zero` refuses bounds within which a weight may be 0 or less. Without a lower bound "chi-square" may make
    weights negative; the other two keep ratios at `FLOOR`, 1e-4, and above.

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
    low = -np.inf if lower is None or lower == -np.inf else validation.real_number("bounds[0]", lower, at_most=1.0)
    high = np.inf if upper is None or upper == np.inf else validation.real_number("bounds[1]", upper, at_least=1.0)
    found = make(low, high)
    if no_zero and not found.lower > 0:
        raise InputError(f"bounds[0] must be above 0, {no_zero}; got {lower}")
    return found
