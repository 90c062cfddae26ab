"""One sweep of the Gibbs sampler of `spike_slab`, compiled."""

import math
from typing import Any

from l0np._jit import helper, jit


@helper
def moment_draw(a: float, normal: float) -> float:
    """See `spike_slab.moment_draw`."""
    sign = -1.0 if normal > 0.0 else 1.0
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


@jit
def sweep(
    start: int, rows: Any, place: Any, products: Any, b: Any, residual: Any, uniform: Any, normal: Any, log_odds: float,
    shrinkage: float, variance: float, moment: bool, probability: Any, expected: Any, sums: Any,
) -> int:  # fmt: skip
    """See `spike_slab.sweep`."""
    sd, scale = math.sqrt(shrinkage * variance), shrinkage / variance
    for j in range(start, b.size):
        if products[j] == 0.0:
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
            if place[j] < 0:
                return j
            row = rows[place[j]]
            for i in range(b.size):
                residual[i] -= step * row[i]
            b[j] = new
        probability[j], expected[j] = q, q * centre
    sums[:] = 0.0
    for j in range(b.size):
        if b[j] != 0.0:
            sums[0] += 1.0
            sums[1] += b[j] * b[j]
            sums[2] += b[j] * (products[j] + residual[j])
            sums[3] += math.log(b[j] * b[j])
    return int(b.size)
