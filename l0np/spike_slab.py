"""How probable it is that each column belongs in a linear model: gates of 0 and 1, sampled instead of trained.

Spike and slab (E. I. George, R. E. McCulloch, JASA 88, 1993), a Gibbs sampler over y = a + Z (gate b) + noise with Z of
standardised columns:

    gate_j ~ Bernoulli(share)      share ~ Beta(1, sqrt(p))           few columns matter, but not how few
    b_j ~ N(0, variance * slab)    slab ~ InverseGamma(1/2, n / 20)   heavy tails; a standardised column has length 1
    noise ~ N(0, variance)         p(variance) = 1 / variance

Each sweep draws all gates with their coefficients, then share, slab and variance. The answer averages each gate's probability
given all the rest, not the draws. With it, the support of the largest expected F1 measure is known: see `expected_f1`.
"""

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.least_squares import Gram

SWEEPS, BURN_IN = 1000, 100
BLOCK, BLOCK_DRAWS = 100, 2_000_000  # most sweeps and draws at once; after them the residual is made afresh
SLAB_SCALE = 0.1  # of unit information, in which one observation tells as much as the prior
SMALLEST_VARIANCE = 1e-10  # of the response's: an exact fit must not divide by 0


def sweep(
    start: int, rows: Any, place: Any, products: Any, b: Any, residual: Any, uniform: Any, normal: Any,
    log_odds: float, shrinkage: float, variance: float, probability: Any, sums: Any,
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
        Of a gate before the data, less half the logarithm of 1 + slab.
    shrinkage, variance : float
        ``slab / (1 + slab)`` and the noise's variance.
    probability : array of shape (p,)
        Takes each gate's probability of being open, given all else.
    sums : array of shape (3,)
        Takes, at the end of the sweep, the number of open gates, ``b @ b`` and ``b @ (products + residual)``.
    """
    p, sd = len(b), math.sqrt(shrinkage * variance)
    while start < p:
        # All columns at once, as if none changed: right up to the first one that does
        later = slice(start, p)
        product = residual[later] + b[later]
        mean = shrinkage * product
        q = np.where(products[later] != 0, 1.0 / (1.0 + np.exp(-(log_odds + 0.5 * product * mean / variance))), 0.0)
        new = np.where(uniform[later] < q, mean + sd * normal[later], 0.0)
        changed = np.flatnonzero(new - b[later] != 0.0)
        first = int(changed[0]) if changed.size else p - start
        probability[start : start + first] = q[:first]
        start += first
        if start == p or place[start] < 0:
            break
        residual -= (new[first] - b[start]) * rows[place[start]]
        b[start], probability[start] = new[first], q[first]
        start += 1
    if start == p:
        sums[:] = np.count_nonzero(b), b @ b, b @ (products + residual)
    return start


def inclusion_probabilities(
    gram: Gram, products: NDArray[np.float64], total: float, degrees: int, seed: int, *, compiled: bool, chosen_from: int = 0
) -> tuple[NDArray[np.float64], float]:
    """Return each column's posterior probability of being in the model, and that of no column being in it.

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
        return np.zeros(p), 1.0
    generator = np.random.Generator(np.random.Philox(key=seed))
    sums, block = np.empty(3), max(1, min(BLOCK, BLOCK_DRAWS // p))
    b, probability, included, empty = np.zeros(p), np.zeros(p), np.zeros(p), 0
    candidates = max(p, chosen_from)
    share, slab, variance = 1.0 / (1.0 + math.sqrt(candidates)), SLAB_SCALE * degrees, total / degrees
    residual = products.copy()
    with np.errstate(over="ignore"):
        for number in range(SWEEPS):
            if number % block == 0:
                uniform, normal = generator.random((block, p)), generator.standard_normal((block, p))
                on = np.flatnonzero(b)
                residual = products - b[on] @ gram.of(on)  # sums of many updates drift
            noise = uniform[number % block], normal[number % block]
            prior = math.log(share / (1.0 - share)) - 0.5 * math.log1p(slab), slab / (1.0 + slab), variance
            done = 0
            while (done := step(done, gram.rows, gram.place, products, b, residual, *noise, *prior, probability, sums)) < p:
                gram.make(done, keep=np.flatnonzero(b))
            size, coefficients, explained = sums.tolist()
            squares = max(total - explained, SMALLEST_VARIANCE * total)
            variance = 0.5 * (squares + coefficients / slab) / generator.standard_gamma(0.5 * (degrees + size))
            slab = 0.5 * (SLAB_SCALE * degrees + coefficients / variance) / generator.standard_gamma(0.5 * (1 + size))
            share = min(max(generator.beta(1.0 + size, math.sqrt(candidates) + candidates - size), 1e-12), 1.0 - 1e-12)
            if number >= BURN_IN:
                included += probability
                empty += size == 0
    return included / (SWEEPS - BURN_IN), empty / (SWEEPS - BURN_IN)


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
    from l0np.spike_slab_kernels import sweep as compiled_sweep

    return compiled_sweep  # type: ignore[no-any-return]
