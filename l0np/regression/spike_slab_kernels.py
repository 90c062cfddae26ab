"""One sweep of the Gibbs sampler of `spike_slab`, compiled."""

import math
from typing import Any

from l0np._jit import helper, jit
from l0np.regression import shared_kernels
from l0np.regression.shared_kernels import Chain, Conditions, Noise, SweepProducts

moment_draw = helper(shared_kernels.moment_draw)


def sweep(start: int, products: SweepProducts, chain: Chain, noise: Noise, given: Conditions) -> int:
    """See `l0np.regression.sweep.sweep`, which draws the same."""
    # Numba takes 10 us a call to look into named tuples, as long as a sweep over a hundred columns
    return int(_sweep(start, *products, *chain, *noise, *given))


@jit
def _sweep(
    start: int, rows: Any, slots: Any, response: Any,
    b: Any, residual: Any, probability: Any, expected: Any, sums: Any,
    uniform: Any, normal: Any,
    log_odds: float, shrinkage: float, variance: float, moment: bool,
) -> int:  # fmt: skip
    sd, scale = math.sqrt(shrinkage * variance), shrinkage / variance
    for j in range(start, b.size):
        if response[j] == 0.0:
            probability[j] = expected[j] = 0.0
            continue
        product = residual[j] + b[j]
        z = scale * product * product
        mean = centre = shrinkage * product
        odds = log_odds + 0.5 * z
        if moment:
            odds += math.log1p(z)
            centre *= (z + 3.0) / (z + 1.0)
        q = 1.0 / (1.0 + math.exp(-odds))
        new = 0.0
        if uniform[j] < q:
            new = mean + sd * (moment_draw(mean / sd, normal[j]) if moment else normal[j])
        step = new - b[j]
        if step != 0.0:
            if slots[j] < 0:
                return j
            row = rows[slots[j]]
            for i in range(b.size):
                residual[i] -= step * row[i]
            b[j] = new
        probability[j], expected[j] = q, q * centre
    sums[:] = 0.0
    for j in range(b.size):
        if b[j] != 0.0:
            sums[0] += 1.0
            sums[1] += b[j] * b[j]
            sums[2] += b[j] * (response[j] + residual[j])
            sums[3] += math.log(b[j] * b[j])
    return int(b.size)
