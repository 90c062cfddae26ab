"""exp in float32 from plain additions and multiplications, so that every backend gets the same bits.

Libraries round exp differently, and one bit is enough to open a gate in one backend that is closed in
another. Both this form, over whole arrays, and its scalar twins in the kernels evaluate the same operations
in the same order, none of them fused.
"""

import math
from typing import Any

from l0np._namespace import array_namespace

EXP_RANGE = 86.0  # so that neither the result nor its inverse leaves the normal numbers of float32
LOG2_E = 1.4426950408889634
# ln 2 in two parts (Cody and Waite 1980): the first has 9 bits, so that its product with an integer below
# 2^15 is exact
LN2 = 0.6931471805599453
LN2_HIGH, LN2_LOW = 0.693359375, -2.1219444005469057e-4
# Taylor series to r^7; |r| <= ln(2) / 2, so what is left out is below 6e-9, a tenth of float32's last place
EXP_TAYLOR = tuple(1.0 / math.factorial(n) for n in range(7, -1, -1))
MOST_DOUBLINGS = 127
POWERS = tuple(2.0**k for k in range(-MOST_DOUBLINGS + 1, MOST_DOUBLINGS + 1))


def exp_float32(x: Any) -> Any:
    """Return exp of a float32 array, clipped to +-86, to within 2 units in the last place."""
    xp = array_namespace(x)
    powers = xp.asarray(POWERS, dtype=xp.float32)
    x = xp.clip(x, -EXP_RANGE, EXP_RANGE)
    doublings = xp.floor(x * LOG2_E + 0.5)
    r = x - doublings * LN2_HIGH - doublings * LN2_LOW
    result = xp.full_like(r, EXP_TAYLOR[0])
    for coefficient in EXP_TAYLOR[1:]:
        result = result * r + coefficient
    # NaN has no position; it stays NaN through the series
    position = xp.where(xp.isnan(x), xp.zeros_like(x), doublings + (MOST_DOUBLINGS - 1))
    return result * xp.take(powers, xp.astype(position, xp.int64), axis=0)
