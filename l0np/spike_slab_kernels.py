"""One sweep of the Gibbs sampler of `spike_slab`, compiled."""

import math
from typing import Any

from l0np.jit import jit


@jit
def sweep(
    start: int, rows: Any, place: Any, products: Any, b: Any, residual: Any, uniform: Any, normal: Any,
    log_odds: float, shrinkage: float, variance: float, probability: Any, sums: Any,
) -> int:  # fmt: skip
    """See `spike_slab.sweep`."""
    sd = math.sqrt(shrinkage * variance)
    for j in range(start, b.size):
        if products[j] == 0.0:
            probability[j] = 0.0
            continue
        product = residual[j] + b[j]
        mean = shrinkage * product
        q = 1.0 / (1.0 + math.exp(-(log_odds + 0.5 * product * mean / variance)))
        new = mean + sd * normal[j] if uniform[j] < q else 0.0
        step = new - b[j]
        if step != 0.0:
            if place[j] < 0:
                return j
            row = rows[place[j]]
            for i in range(b.size):
                residual[i] -= step * row[i]
            b[j] = new
        probability[j] = q
    sums[:] = 0.0
    for j in range(b.size):
        if b[j] != 0.0:
            sums[0] += 1.0
            sums[1] += b[j] * b[j]
            sums[2] += b[j] * (products[j] + residual[j])
    return int(b.size)
