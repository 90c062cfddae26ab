"""exp, log and draws for one number or one block: twins of `exponential` and `philox` of room maths.

The same operations in the same order, none of them fused, so that every backend decides every gate alike.
Tests compare the constants and the results.
"""

import math

import numba
import numpy as np
from numba.extending import overload

from l0np._jit import HELPER_OPTIONS, helper

# --- exp and log

F32, I32 = np.float32, np.int32
LOG2_E = F32(1.4426950408889634)
LN2 = F32(0.6931471805599453)
LN2_HIGH, LN2_LOW = F32(0.693359375), F32(-2.1219444005469057e-4)
EXP_TAYLOR = tuple(F32(1 / math.factorial(n)) for n in range(7, -1, -1))
# artanh s = s + s^3 / 3 + s^5 / 5 + ...; here the coefficients of s^3 to s^9
ARTANH_TAYLOR = tuple(F32(1 / n) for n in (3, 5, 7, 9))
MANTISSA_BITS = I32(23)
EXPONENT_BIAS = I32(126)  # one less than that of float32, for 2^128 takes two steps
ROOT_HALF_BITS = I32(0x3F3504F3)  # sqrt(1/2) as a float32
HALF, ONE, TWO = F32(0.5), F32(1), F32(2)


def _exp_float32(x, lowest, highest):
    """Return exp x = p 2^k, p = exp r, for x clipped to [lowest, highest]."""
    c7, c6, c5, c4, c3, c2, c1, c0 = EXP_TAYLOR
    x = min(max(x, lowest), highest)
    k = np.floor(x * LOG2_E + HALF)
    r = x - k * LN2_HIGH - k * LN2_LOW
    p = ((((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + c2) * r + c1) * r + c0
    return p * I32((I32(k) + EXPONENT_BIAS) << MANTISSA_BITS).view(F32) * TWO


def _exp_float64(x, lowest, highest):
    return np.exp(min(max(x, lowest), highest))


def _log_float32(x):
    """Return log x = log m + k log 2 for x = m 2^k, where log m = 2 artanh((m - 1) / (m + 1)).

    |m - 1| / (m + 1) is below 0.172, so that five terms of the series suffice.
    """
    a3, a5, a7, a9 = ARTANH_TAYLOR
    bits = F32(x).view(I32)
    k = I32((bits - ROOT_HALF_BITS) >> MANTISSA_BITS)
    m = I32(bits - (k << MANTISSA_BITS)).view(F32)
    s = (m - ONE) / (m + ONE)
    q = s * s
    return TWO * s * (ONE + q * (a3 + q * (a5 + q * (a7 + q * a9)))) + F32(k) * LN2


def _log_float64(x):
    return np.log(x)


def exp(x, lowest, highest):
    """Return exp of a float32 or float64 clipped to [lowest, highest]."""
    return (_exp_float32 if isinstance(x, F32) else _exp_float64)(x, lowest, highest)


def log(x):
    """Return the logarithm of a positive float32 or float64."""
    return (_log_float32 if isinstance(x, F32) else _log_float64)(x)


@overload(exp, jit_options=HELPER_OPTIONS)  # type: ignore[arg-type, unused-ignore]
def _exp_by_type(x, lowest, highest):
    return _exp_float32 if x == numba.float32 else _exp_float64


@overload(log, jit_options=HELPER_OPTIONS)  # type: ignore[arg-type, unused-ignore]
def _log_by_type(x):
    return _log_float32 if x == numba.float32 else _log_float64


# --- Philox4x32-10

U64 = np.uint64
MULTIPLIER0, MULTIPLIER1 = U64(0xD2511F53), U64(0xCD9E8D57)
KEY_STEP0, KEY_STEP1 = U64(0x9E3779B9), U64(0xBB67AE85)
ROUNDS = 10
WORD, WORD_BITS = U64(0xFFFFFFFF), U64(32)  # words of 32 bits in 64, which their products need
GATES = U64(0)  # the stream of the gates
DROPPED_BITS = U64(9)  # of a word: 23 remain
UNIFORM_STEP = F32(2.0**-23)
SMALLEST_UNIFORM, LARGEST_UNIFORM = F32(1e-6), F32(1.0 - 1e-6)
QUAD, SECOND, THIRD, FOURTH = U64(4), U64(1), U64(2), U64(3)  # one counter serves four neighbouring columns


@helper
def _clipped_uniform(word):
    u = (F32(I32(word >> DROPPED_BITS)) + HALF) * UNIFORM_STEP
    return min(max(u, SMALLEST_UNIFORM), LARGEST_UNIFORM)


@helper
def uniforms(first_quad, n_quads, epoch, seed, out):
    """Write the draws of ``4 * n_quads`` columns, clipped as `HardConcrete` does."""
    for quad in range(n_quads):
        counter = first_quad + quad
        c0, c1, c2, c3 = counter & WORD, counter >> WORD_BITS, epoch & WORD, GATES
        k0, k1 = seed & WORD, seed >> WORD_BITS
        for _ in range(ROUNDS):
            product0, product1 = c0 * MULTIPLIER0, c2 * MULTIPLIER1
            c0, c1 = (product1 >> WORD_BITS) ^ c1 ^ k0, product1 & WORD
            c2, c3 = (product0 >> WORD_BITS) ^ c3 ^ k1, product0 & WORD
            k0, k1 = (k0 + KEY_STEP0) & WORD, (k1 + KEY_STEP1) & WORD
        out[QUAD * quad] = _clipped_uniform(c0)
        out[QUAD * quad + SECOND] = _clipped_uniform(c1)
        out[QUAD * quad + THIRD] = _clipped_uniform(c2)
        out[QUAD * quad + FOURTH] = _clipped_uniform(c3)
