"""What the plain and the compiled sweep share: their arguments, and draws under the moment prior.

The function is plain, so that it runs without Numba; `spike_slab_kernels` compiles it.
"""

import math
from typing import Any, NamedTuple


class SweepProducts(NamedTuple):
    """Inner products, as a sweep reads them."""

    rows: Any  # rows of Z.T @ Z that have been made, shape (capacity, p)
    slots: Any  # position in `rows` of each column's row, -1 if it has not been made, shape (p,)
    response: Any  # Z.T @ y, shape (p,)


class Chain(NamedTuple):
    """What a sweep changes in place; arrays of shape (p,), except the last."""

    b: Any  # the gated coefficients
    residual: Any  # Z.T @ (y - Z b)
    probability: Any  # receives each gate's probability of being open, given all else
    expected: Any  # receives each gated coefficient's expectation, given all else
    # Receives, at the end of the sweep, the number of open gates, b @ b, b @ (response + residual) and the
    # sum of log b^2 over the open gates; shape (4,)
    sums: Any


class Noise(NamedTuple):
    """The random numbers of a sweep, arrays of shape (p,)."""

    uniform: Any
    normal: Any


class Conditions(NamedTuple):
    """The conditions under which the gates of a sweep are drawn."""

    log_odds: float  # prior log odds of a gate, minus log(1 + slab) / 2, or 3/2 log(1 + slab) if `moment`
    shrinkage: float  # slab / (1 + slab)
    variance: float  # variance of the noise
    moment: bool  # whether the slab has the factor b^2


def moment_draw(a: float, normal: float) -> float:
    """Return a draw of t from the density ``(a + t)^2 exp(-t^2 / 2)``, given a standard normal draw.

    The result increases with the normal draw. The density's distribution function is
    ``Phi(t) - phi(t) (2 a + t) / (a^2 + 1)``. Newton's method finds the t at which that is ``Phi(normal)``,
    with bisection while the density is too near 0.

    Examples
    --------
    >>> round(moment_draw(0.0, 1.0), 6), round(moment_draw(1e6, 1.0), 3)
    (1.877962, 1.0)
    """
    sign = -1.0 if normal > 0.0 else 1.0  # the lower tail has more digits
    a, normal = sign * a, sign * normal
    target = 0.5 * math.erfc(-normal / math.sqrt(2.0))
    low, high, t = -12.0, 12.0, normal
    for _ in range(80):
        density = math.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
        above = 0.5 * math.erfc(-t / math.sqrt(2.0)) - density * (2.0 * a + t) / (a * a + 1.0) - target
        if above > 0.0:
            high = t
        else:
            low = t
        slope = density * (a + t) ** 2 / (a * a + 1.0)
        new = t - above / slope if slope > 0.0 else low - 1.0
        if not low < new < high:
            new = 0.5 * (low + high)
        near = abs(new - t) < 1e-7
        t = new
        if near:
            break
    return sign * t
