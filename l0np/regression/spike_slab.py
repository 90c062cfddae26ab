"""How probable it is that each column belongs in a linear model: gates of 0 and 1, sampled instead of trained.

Spike and slab (E. I. George, R. E. McCulloch, JASA 88, 1993), a Gibbs sampler over y = a + Z (gate b) + noise with Z of
standardised columns:

    gate_j ~ Bernoulli(share)        share ~ Beta(1, p / min(sqrt(p), sqrt(n)))   few columns matter, but not how few
    b_j ~ N(0, variance * slab)      or that density times b_j^2                  which of both is drawn too, from even odds
    E b_j^2 = variance * spread      spread ~ InverseGamma(1/2, n / 50)           heavy tails; a column of Z has length 1
    noise ~ N(0, variance)           p(variance) = 1 / variance

Before the data about sqrt(p) columns are expected, but not more than sqrt(n): where the data say little, a model of many more
would fit noise.

The slab with the factor b^2, a moment prior (V. E. Johnson, D. Rossell, JASA 107, 2012), has no coefficient near 0: it is
likely where those in the model are alike in size, and then asks more of a column that would have a small one. In it `slab` is
a third of `spread`, in the normal one they are the same.

Each sweep draws all gates with their coefficients, then variance, kind of slab, spread and share. The answer averages each
gate's probability, and its coefficient's expectation, given all the rest, not the draws. With it, the support of the largest
expected F1 measure is known: see `expected_f1`.
"""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.regression.gram import Gram

SWEEPS, BURN_IN = 1000, 100
BLOCK, BLOCK_DRAWS = 100, 2_000_000  # most sweeps and draws at once; after them the residual is made afresh
SPREAD = 0.04  # of unit information, in which one observation tells as much as the prior: twice the prior's scale
SMALLEST_VARIANCE = 1e-10  # of the response's: an exact fit must not divide by 0
ROUNDING = 1e-9  # of a limit: where the fast comparison is so near, the exact one decides


@dataclass(frozen=True)
class Posterior:
    """What is believed of the columns after the data."""

    inclusion: NDArray[np.float64]  # probability of each column to be in the model
    empty: float  # probability that no column is
    mean: NDArray[np.float64]  # of each column's coefficient, over models with and without it


def moment_draw(a: float, normal: float) -> float:
    """Return a draw of t from the density ``(a + t)^2 exp(-t^2 / 2)``, an increasing function of a standard normal one.

    Its distribution function is ``Phi(t) - phi(t) (2 a + t) / (a^2 + 1)``; Newton's method finds where that is Phi(normal),
    bisection where the density is too near 0.
    """
    sign = -1.0 if normal > 0.0 else 1.0  # the lower tail has more digits
    a, normal = sign * a, sign * normal
    target = 0.5 * math.erfc(-normal / math.sqrt(2.0))
    low, high, t = -12.0, 12.0, normal
    for _ in range(80):
        density = math.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
        above = 0.5 * math.erfc(-t / math.sqrt(2.0)) - density * (2.0 * a + t) / (a * a + 1.0) - target
        low, high = (low, t) if above > 0.0 else (t, high)
        slope = density * (a + t) ** 2 / (a * a + 1.0)
        new = t - above / slope if slope > 0.0 else low - 1.0
        if not low < new < high:
            new = 0.5 * (low + high)
        near, t = abs(new - t) < 1e-7, new
        if near:
            break
    return sign * t


def sweep(
    start: int, rows: Any, place: Any, products: Any, b: Any, residual: Any, uniform: Any, normal: Any, log_odds: float,
    shrinkage: float, variance: float, moment: bool, probability: Any, expected: Any, sums: Any,
) -> int:  # fmt: skip
    """Draw the gates and coefficients of columns from `start` on, one after the other, in place.

    Return the number of columns, or the first column whose row of the Gram matrix is missing.

    Parameters
    ----------
    rows, place : arrays
        Of `Gram`.
    products, b, residual : arrays of shape (p,)
        Z.T @ y; the gated coefficients; Z.T @ (y - Z b).
    uniform, normal : arrays of shape (p,)
        Noise.
    log_odds : float
        Of a gate before the data, less half the logarithm of 1 + slab, or 3/2 of it with a moment prior.
    shrinkage, variance : float
        ``slab / (1 + slab)`` and the noise's variance.
    moment : bool
        Whether the slab has the factor b^2.
    probability, expected : arrays of shape (p,)
        Take each gate's probability of being open, and its gated coefficient's expectation, given all else.
    sums : array of shape (4,)
        Takes, at the end of the sweep, the number of open gates, ``b @ b``, ``b @ (products + residual)`` and the sum of
        ``log b^2`` over open gates.
    """
    begin, p, sd, scale = start, len(b), math.sqrt(shrinkage * variance), shrinkage / variance
    # The square of its product from which on a closed gate opens: compared for all columns at once, up to the first that may
    limits = np.where(b != 0.0, -1.0, (1.0 - ROUNDING) / scale * _opening(uniform, log_odds, moment))
    limits[products == 0.0] = np.inf
    visited = np.empty(p)
    while start < p:
        later = residual[start:]
        over = later * later > limits[start:]
        first = int(over.argmax())
        if not over[first]:
            visited[start:], start = later, p
            break
        visited[start : start + first] = later[:first]
        start += first
        product = float(residual[start] + b[start])
        z, mean = scale * product * product, shrinkage * product
        odds = log_odds + 0.5 * z + (math.log1p(z) if moment else 0.0)
        new = 0.0
        if odds > -700.0 and uniform[start] < 1.0 / (1.0 + math.exp(-odds)):
            new = mean + sd * (moment_draw(mean / sd, float(normal[start])) if moment else float(normal[start]))
        if new != b[start]:
            if place[start] < 0:
                break
            residual -= (new - b[start]) * rows[place[start]]
            b[start] = new
        visited[start] = product
        start += 1
    here = slice(begin, start)
    zs = scale * visited[here] ** 2
    all_odds = log_odds + 0.5 * zs + (np.log1p(zs) if moment else 0.0)
    probability[here] = np.where(products[here] != 0.0, 1.0 / (1.0 + np.exp(-all_odds)), 0.0)
    expected[here] = probability[here] * shrinkage * visited[here] * ((zs + 3.0) / (zs + 1.0) if moment else 1.0)
    if start == p:
        on = b[b != 0.0]
        sums[:] = len(on), on @ on, b @ (products + residual), np.log(on * on).sum()
    return start


def _opening(uniform: NDArray[np.float64], log_odds: float, moment: bool) -> NDArray[np.float64]:
    """Return, for each draw, the z at which ``log_odds + z / 2 [+ log(1 + z)]`` is its logit, or a little less."""
    beyond = np.log(uniform / (1.0 - uniform)) - log_odds
    if not moment:
        return 2.0 * beyond
    # One step of Newton's method: as the function is concave, it ends at the root or below it
    z = np.maximum(2.0 * beyond, 0.0)
    z = np.maximum(z - 2.0 * np.log1p(0.7 * z), 0.0)
    return np.asarray(z + (beyond - 0.5 * z - np.log1p(z)) / (0.5 + 1.0 / (1.0 + z)))


def sample(
    gram: Gram, products: NDArray[np.float64], total: float, degrees: int, seed: int, *, compiled: bool, chosen_from: int = 0
) -> Posterior:
    """Return each column's posterior probability of being in the model, that of no column being in it, and mean coefficients.

    Parameters
    ----------
    gram, products, total
        Inner products of the standardised columns among themselves and with the centred response; its sum of squares.
    degrees : int
        Degrees of freedom of the response: its length, less 1 for an intercept.
    seed : int
        Of all noise.
    compiled : bool
        Whether Numba may be used.
    chosen_from : int
        Number of columns that there were before others were screened out; at least those given.
    """
    p, step = len(products), _kernel() if compiled else sweep
    if total == 0 or not products.any():
        return Posterior(np.zeros(p), 1.0, np.zeros(p))
    generator = np.random.Generator(np.random.Philox(key=seed))
    sums, block, candidates = np.empty(4), max(1, min(BLOCK, BLOCK_DRAWS // p)), max(p, chosen_from)
    against = candidates / math.sqrt(min(candidates, degrees))
    b, probability, expected = np.zeros(p), np.zeros(p), np.zeros(p)
    included, mean, empty = np.zeros(p), np.zeros(p), 0
    share, rate = 1.0 / (1.0 + against), 0.5 * SPREAD * degrees
    variance, spread, moment = total / degrees, 2.0 * rate, False
    residual = products.copy()
    with np.errstate(over="ignore", divide="ignore"):
        for number in range(SWEEPS):
            if number % block == 0:
                uniform, normal = generator.random((block, p)), generator.standard_normal((block, p))
                on = np.flatnonzero(b)
                residual = products - b[on] @ gram.of(on)  # sums of many updates drift
            noise, power = (uniform[number % block], normal[number % block]), 3 if moment else 1
            slab = spread / power
            log_odds = math.log(share / (1.0 - share)) - 0.5 * power * math.log1p(slab)
            shrinkage, done = slab / (1.0 + slab), 0
            while (
                done := step(
                    done, gram.rows, gram.place, products, b, residual, *noise, log_odds,
                    shrinkage, variance, moment, probability, expected, sums,
                )
            ) < p:  # fmt: skip
                gram.make(done, keep=np.flatnonzero(b))
            size, coefficients, explained, logs = sums.tolist()
            squares = max(total - explained, SMALLEST_VARIANCE * total)
            variance = 0.5 * (squares + coefficients / slab) / generator.standard_gamma(0.5 * (degrees + power * size))
            odds = _moment_odds(size, coefficients / variance, logs - size * math.log(variance), rate)
            moment = bool(generator.random() < 1.0 / (1.0 + math.exp(min(-odds, 700.0))))
            power = 3 if moment else 1
            spread = (rate + 0.5 * power * coefficients / variance) / generator.standard_gamma(0.5 * (1.0 + power * size))
            share = min(max(generator.beta(1.0 + size, against + candidates - size), 1e-12), 1.0 - 1e-12)
            if number >= BURN_IN:
                included += probability
                mean += expected
                empty += size == 0
    kept = SWEEPS - BURN_IN
    return Posterior(included / kept, empty / kept, mean / kept)


def _moment_odds(size: float, squares: float, logs: float, rate: float) -> float:
    """Return the log odds that coefficients have a moment prior and not a normal one, the spread of both integrated out.

    Of these coefficients there are `size`; in units of the noise, their sum of squares and sum of log squares are the next.
    """
    normal = math.lgamma(0.5 * (1.0 + size)) - 0.5 * (1.0 + size) * math.log(rate + 0.5 * squares)
    moment = math.lgamma(0.5 * (1.0 + 3.0 * size)) - 0.5 * (1.0 + 3.0 * size) * math.log(rate + 1.5 * squares)
    return moment - normal + logs + 1.5 * size * math.log(3.0)


def expected_f1(inclusion: NDArray[np.float64], empty: float) -> NDArray[np.float64]:
    """Return the expected F1 measure of the k most probable columns, for k = 0 to p.

    About ``2 sum of their probabilities / (k + sum of all)``, which the most probable ones maximise for each k (D. D. Lewis,
    SIGIR 1995). No column at all is right exactly where no column belongs in the model.

    Examples
    --------
    >>> import numpy as np
    >>> expected_f1(np.array([0.25, 1.0, 0.75]), empty=0.0).round(3)
    array([0.   , 0.667, 0.875, 0.8  ])
    """
    ranked = np.cumsum(np.sort(inclusion)[::-1])
    k = np.arange(1, len(inclusion) + 1)
    return np.concatenate(([empty], 2.0 * ranked / (k + ranked[-1])))


def _kernel() -> Callable[..., int]:
    if importlib.util.find_spec("numba") is None:
        return sweep
    from l0np.regression.spike_slab_kernels import sweep as compiled_sweep

    return compiled_sweep  # type: ignore[no-any-return]
