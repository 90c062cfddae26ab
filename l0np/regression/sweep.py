"""One sweep of the Gibbs sampler of `spike_slab`, in NumPy."""

import math

import numpy as np
from numpy.typing import NDArray

from l0np.regression.shared_kernels import Chain, Conditions, Noise, SweepProducts, moment_draw

ROUNDING = 1e-9  # relative to a limit: if the fast comparison is this close, the exact one decides
LEAST_LOGIT = -700.0  # below it the exponential overflows, and no draw is so small


def sweep(start: int, products: SweepProducts, chain: Chain, noise: Noise, given: Conditions) -> int:
    """Draw the gates and coefficients of the columns from `start` on, one after the other, in place.

    Return the number of columns, or the first column whose row of Z.T @ Z is needed but has not been made.
    """
    b, p = chain.b, len(chain.b)
    scale = given.shrinkage / given.variance
    # A closed gate opens if the square of its product exceeds this limit. All columns are compared at once,
    # and the loop visits only columns whose gates are open or may open
    limits = np.where(b != 0.0, -1.0, (1.0 - ROUNDING) / scale * opening(noise.uniform, given))
    limits[products.response == 0.0] = np.inf
    visited, j = np.empty(p), start
    while j < p:
        later = chain.residual[j:]
        over = later * later > limits[j:]
        first = int(over.argmax())
        if not over[first]:
            visited[j:], j = later, p
            break
        visited[j : j + first] = later[:first]
        j += first
        visited[j] = product = float(chain.residual[j] + b[j])
        new = _draw(product, float(noise.uniform[j]), float(noise.normal[j]), given)
        if new != b[j]:
            if products.slots[j] < 0:
                break
            chain.residual[:] -= (new - b[j]) * products.rows[products.slots[j]]
            b[j] = new
        j += 1
    _expectations(slice(start, j), visited, products, chain, given)
    if j == p:
        on = b[b != 0.0]
        chain.sums[:] = len(on), on @ on, b @ (products.response + chain.residual), np.log(on * on).sum()
    return j


def _draw(product: float, uniform: float, normal: float, given: Conditions) -> float:
    """Draw the gated coefficient of a column whose product with the residual of the others is `product`."""
    scale, mean = given.shrinkage / given.variance, given.shrinkage * product
    z = scale * product * product
    odds = given.log_odds + 0.5 * z + (math.log1p(z) if given.moment else 0.0)
    if odds <= LEAST_LOGIT or uniform >= 1.0 / (1.0 + math.exp(-odds)):
        return 0.0
    sd = math.sqrt(given.shrinkage * given.variance)
    return mean + sd * (moment_draw(mean / sd, normal) if given.moment else normal)


def _expectations(
    here: slice, visited: NDArray[np.float64], products: SweepProducts, chain: Chain, given: Conditions
) -> None:
    """Write the probabilities and expectations of some columns, given their products when visited."""
    z = given.shrinkage / given.variance * visited[here] ** 2
    odds = given.log_odds + 0.5 * z + (np.log1p(z) if given.moment else 0.0)
    probability = np.where(products.response[here] != 0.0, 1.0 / (1.0 + np.exp(-odds)), 0.0)
    centre = (z + 3.0) / (z + 1.0) if given.moment else 1.0
    chain.probability[here] = probability
    chain.expected[here] = probability * given.shrinkage * visited[here] * centre


def opening(uniform: NDArray[np.float64], given: Conditions) -> NDArray[np.float64]:
    """Return, for each draw, the z above which a gate opens, or a little less.

    There ``log_odds + z / 2 [+ log(1 + z)]`` is the logit of the draw.

    Examples
    --------
    >>> opening(np.array([0.5]), Conditions(log_odds=-3.0, shrinkage=0.9, variance=1.0, moment=False))
    array([6.])
    """
    beyond = np.log(uniform / (1.0 - uniform)) - given.log_odds
    if not given.moment:
        return 2.0 * beyond
    # One step of Newton's method: as the function is concave, it ends at the root or below it
    z = np.maximum(2.0 * beyond, 0.0)
    z = np.maximum(z - 2.0 * np.log1p(0.7 * z), 0.0)
    return np.asarray(z + (beyond - 0.5 * z - np.log1p(z)) / (0.5 + 1.0 / (1.0 + z)))
