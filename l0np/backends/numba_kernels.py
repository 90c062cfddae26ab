"""The kernels of the fused epoch, for Numba.

They, their helpers and their constants stay in this one file: Numba's cache looks at no other, and would go on running kernels
with old constants after an upgrade. A test compares the constants with those of floor 1.

Blocks of columns go through stages (gather, chain rule, Adam, noise, gates, scatter) whose loops touch few arrays each, so
that they vectorise: with more, the compiler gives up proving that arrays do not overlap. Counters are unsigned where they
index, which spares the wrap-around code of negative indices. All of it also runs as plain Python (NUMBA_DISABLE_JIT=1).
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload

from l0np.jit import jit

BLOCK = 128  # columns that go through the stages together; their work space stays in the first cache
BLOCK_ENTRIES = 1 << 15  # entries of a block, so that the scatter finds them in the second cache


# --- elementary functions: the twins of floor 1, for one number


_F = np.float32
_EXP_RANGE, _LOG2_E = _F(86), _F(1.4426950408889634)
_LN2_HIGH, _LN2_LOW, _LN2 = _F(0.693359375), _F(-2.1219444005469057e-4), _F(0.6931471805599453)
_HALF, _ONE, _TWO = _F(0.5), _F(1), _F(2)
_E7, _E6, _E5, _E4, _E3, _E2, _E1, _E0 = (_F(1 / n) for n in (5040, 720, 120, 24, 6, 2, 1, 1))
_A3, _A5, _A7, _A9 = (_F(1 / n) for n in (3, 5, 7, 9))  # artanh x = x + x^3 / 3 + x^5 / 5 + ...
_EXPONENT_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)
_ROOT_HALF_BITS = np.int32(0x3F3504F3)  # sqrt(1/2) as float32
_WEIGHT_RANGE = _F(89)  # exp overflows before it


@jit
def _power_of_two(exponent):
    return np.int32((np.int32(exponent) + _EXPONENT_BIAS) << _MANTISSA_BITS).view(np.float32)


@jit
def _exp_reduced(x):  # exp x = p 2^k
    k = np.floor(x * _LOG2_E + _HALF)
    r = x - k * _LN2_HIGH - k * _LN2_LOW
    return ((((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2) * r + _E1) * r + _E0, k


@jit
def _exp_float32(x):  # the same operations in the same order as elementary.exp_float32
    p, k = _exp_reduced(min(max(x, -_EXP_RANGE), _EXP_RANGE))
    return p * _power_of_two(k)


@jit
def _exp_weight_float32(x):  # infinite where it overflows, so that the divergence is seen; 2^128 needs two steps
    p, k = _exp_reduced(min(max(x, -_EXP_RANGE), _WEIGHT_RANGE))
    return p * _power_of_two(k - _ONE) * _TWO


@jit
def _log_float32(x):  # x = m 2^k, log m = 2 artanh((m - 1) / (m + 1)); |m - 1| / (m + 1) < 0.172, so five terms suffice
    bits = np.float32(x).view(np.int32)
    k = np.int32((bits - _ROOT_HALF_BITS) >> _MANTISSA_BITS)
    m = np.int32(bits - (k << _MANTISSA_BITS)).view(np.float32)
    s = (m - _ONE) / (m + _ONE)
    q = s * s
    return _TWO * s * (_ONE + q * (_A3 + q * (_A5 + q * (_A7 + q * _A9)))) + np.float32(k) * _LN2


def _exp(x):
    return _exp_float32(x) if isinstance(x, np.float32) else np.exp(min(max(x, -700.0), 700.0))


def _exp_weight(x):
    return _exp_weight_float32(x) if isinstance(x, np.float32) else np.exp(x)


def _log(x):
    return _log_float32(x) if isinstance(x, np.float32) else np.log(x)


@overload(_exp, inline="always")
def _exp_by_type(x):
    return (lambda x: _exp_float32(x)) if x == numba.float32 else (lambda x: math.exp(min(max(x, -700.0), 700.0)))


@overload(_exp_weight, inline="always")
def _exp_weight_by_type(x):
    return (lambda x: _exp_weight_float32(x)) if x == numba.float32 else (lambda x: math.exp(x))


@overload(_log, inline="always")
def _log_by_type(x):
    return (lambda x: _log_float32(x)) if x == numba.float32 else (lambda x: math.log(x))


# --- Philox: the twin of noise.philox4x32

_U = np.uint64
_WORD, _32, _9, _1, _4 = _U(0xFFFFFFFF), _U(32), _U(9), _U(1), _U(4)
_M0, _M1 = _U(0xD2511F53), _U(0xCD9E8D57)
_K0, _K1 = _U(0x9E3779B9), _U(0xBB67AE85)
_GATES = _U(0)
_UNIFORM_STEP = _F(2.0**-23)
_SMALLEST, _LARGEST = _F(1e-6), _F(1.0 - 1e-6)


@jit
def _clipped_uniform(word):
    return min(max((np.float32(np.int32(word >> _9)) + _HALF) * _UNIFORM_STEP, _SMALLEST), _LARGEST)


@jit
def _uniforms(first_quad, n_quads, epoch, seed, out):
    """Write the draws of 4 n_quads columns."""
    for quad in range(n_quads):
        counter = first_quad + quad
        c0, c1, c2, c3 = counter & _WORD, counter >> _32, epoch & _WORD, _GATES
        k0, k1 = seed & _WORD, seed >> _32
        for _ in range(10):
            product0, product1 = c0 * _M0, c2 * _M1
            c0, c1 = (product1 >> _32) ^ c1 ^ k0, product1 & _WORD
            c2, c3 = (product0 >> _32) ^ c3 ^ k1, product0 & _WORD
            k0, k1 = (k0 + _K0) & _WORD, (k1 + _K1) & _WORD
        out[_4 * quad] = _clipped_uniform(c0)
        out[_4 * quad + _1] = _clipped_uniform(c1)
        out[_4 * quad + _U(2)] = _clipped_uniform(c2)
        out[_4 * quad + _U(3)] = _clipped_uniform(c3)


# --- the stages of a block

# Places in the vector of constants (see numba.py), which has the run's dtype so that arithmetic stays in it
(
    _SHIFT, _BETA, _GAMMA, _STRETCH, _SLOPE, _PENALTY_SHIFT, _LAMBDA_L0, _LAMBDA_L2, _STEP_SIZE, _ROOT_FACTOR,
    _DECAY1, _GAIN1, _DECAY2, _GAIN2, _EPSILON, _BOUND, _LARGEST_NUMBER,
) = range(17)  # fmt: skip


class Entries(NamedTuple):
    """The matrix as kernels see it; chunk c holds the columns ``bounds[c]`` to ``bounds[c + 1]``."""

    data: Any
    indices: Any
    indptr: Any
    bounds: Any


class Columns(NamedTuple):
    """The vectors of column space."""

    theta: Any
    theta_first: Any
    theta_second: Any
    log_alpha: Any
    log_alpha_first: Any
    log_alpha_second: Any
    theta_slope: Any
    log_alpha_slope: Any


@jit
def _dot(data, indices, start, stop, rows):
    """Return the product of one column with `rows`: eight sums side by side, for one would wait for each addition."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    k = start
    while k + _U(8) <= stop:
        s0 += data[k] * rows[indices[k]]
        s1 += data[k + _1] * rows[indices[k + _1]]
        s2 += data[k + _U(2)] * rows[indices[k + _U(2)]]
        s3 += data[k + _U(3)] * rows[indices[k + _U(3)]]
        s4 += data[k + _4] * rows[indices[k + _4]]
        s5 += data[k + _U(5)] * rows[indices[k + _U(5)]]
        s6 += data[k + _U(6)] * rows[indices[k + _U(6)]]
        s7 += data[k + _U(7)] * rows[indices[k + _U(7)]]
        k += _U(8)
    while k < stop:
        s0 += data[k] * rows[indices[k]]
        k += _1
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@jit
def _gather(entries, first, stop, rows, theta_slope, log_alpha_slope, out):
    """Write M_j . rows for each column whose gate was open, 0 for the others; return the number of entries read."""
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    read = _U(0)
    for j in range(first, stop):
        if theta_slope[j] != 0 or log_alpha_slope[j] != 0:
            out[j - first] = _dot(data, indices, indptr[j], indptr[j + _1], rows)
            read += indptr[j + _1] - indptr[j]
        else:
            out[j - first] = 0.0
    return np.int64(read)


@jit
def _scatter(entries, first, stop, coefficients, out):
    """Add coefficient_j M_j to `out` for each column whose coefficient is not 0; return the number of entries read."""
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    read = _U(0)
    for j in range(first, stop):
        coefficient = np.float64(coefficients[j - first])
        if coefficient != 0:
            for k in range(indptr[j], indptr[j + _1]):
                out[indices[k]] += coefficient * data[k]
            read += indptr[j + _1] - indptr[j]
    return np.int64(read)


@jit
def _chain_theta(gradient, slope, theta, exponential, constants, out):
    lambda_l2 = constants[_LAMBDA_L2]
    for i in range(_U(out.size)):
        out[i] = gradient[i] * slope[i]
    if lambda_l2 > 0:
        two = out.dtype.type(2)
        for i in range(_U(out.size)):
            weight = _exp_weight(theta[i]) if exponential else theta[i]
            out[i] += lambda_l2 * (two * weight * weight if exponential else two * weight)


@jit
def _chain_log_alpha(gradient, slope, log_alpha, constants, out):
    lambda_l0, shift, bound = constants[_LAMBDA_L0], constants[_PENALTY_SHIFT], constants[_BOUND]
    one = out.dtype.type(1)
    for i in range(_U(out.size)):
        out[i] = gradient[i] * slope[i]
    if lambda_l0 != 0:  # a governed price may fall below 0
        for i in range(_U(out.size)):
            a = log_alpha[i]
            grown = _exp(min(max(a, -bound), bound) + shift)
            closed = one / (one + grown)
            derivative = (grown * closed) * closed
            out[i] += lambda_l0 * (derivative if abs(a) <= bound else derivative - derivative)


@jit
def _adam(value, first_moment, second_moment, gradient, constants):
    """Update in place (optimizers.adam_update); return how many columns left the range of numbers."""
    decay1, gain1, decay2, gain2 = constants[_DECAY1], constants[_GAIN1], constants[_DECAY2], constants[_GAIN2]
    size, root_factor, epsilon = constants[_STEP_SIZE], constants[_ROOT_FACTOR], constants[_EPSILON]
    largest = constants[_LARGEST_NUMBER]
    bad = 0
    for i in range(_U(value.size)):
        g = gradient[i]
        m = decay1 * first_moment[i] + gain1 * g
        v = decay2 * second_moment[i] + gain2 * (g * g)
        x = value[i] - size * m / (np.sqrt(v) * root_factor + epsilon)
        first_moment[i], second_moment[i], value[i] = m, v, x
        bad += 0 if (v <= largest and abs(x) <= largest) else 1
    return bad


@jit
def _gates(log_alpha, uniform, constants, gate, gate_slope):
    """Draw gates and their slopes (HardConcrete.sample); return how many are closed."""
    closed = 0
    shift, beta, gamma = constants[_SHIFT], constants[_BETA], constants[_GAMMA]
    stretch, slope, bound = constants[_STRETCH], constants[_SLOPE], constants[_BOUND]
    one, zero = gate.dtype.type(1), gate.dtype.type(0)
    for i in range(_U(gate.size)):
        a = min(max(log_alpha[i], -bound), bound)
        u = uniform[i]
        is_open = u > _ONE / (_ONE + _exp_float32(np.float32(a + shift)))
        wide = gate.dtype.type(u)
        s = one / (one + _exp(-(_log(wide / (one - wide)) + a) / beta))
        stretched = s * stretch + gamma
        gate[i] = min(max(stretched, zero), one) if is_open else zero
        moves = is_open and stretched < one and abs(log_alpha[i]) <= bound
        gate_slope[i] = s * (one - s) * slope if moves else zero
        closed += 0 if is_open else 1
    return closed


@jit
def _weights(theta, exponential, constants, out):
    """Write the weights; return how many are not finite."""
    largest = constants[_LARGEST_NUMBER]
    bad = 0
    if exponential:
        for i in range(_U(out.size)):
            w = _exp_weight(theta[i])
            out[i] = w
            bad += 0 if w <= largest else 1
    else:
        for i in range(_U(out.size)):
            out[i] = theta[i]
            bad += 0 if abs(theta[i]) <= largest else 1
    return bad


@jit
def _slopes(weight, gate, gate_slope, exponential, theta_slope, log_alpha_slope):
    """Write the two slopes of w z and, in place of the gates, w z itself; 0 where a gate is closed, whatever the weight."""
    zero = gate.dtype.type(0)
    for i in range(_U(gate.size)):
        product = weight[i] * gate[i] if gate[i] > 0 else zero
        theta_slope[i] = product if exponential else gate[i]
        gate[i] = product
    for i in range(_U(gate.size)):
        log_alpha_slope[i] = weight[i] * gate_slope[i] if gate_slope[i] != 0 else zero


@jit
def _block_end(indptr, first, last):
    stop = min(first + _U(BLOCK), last)
    while stop > first + _1 and indptr[stop] - indptr[first] > _U(BLOCK_ENTRIES):
        stop = first + (stop - first) // _U(2)
    return stop


@jit
def _epoch_chunk(chunk, entries, columns, rows, sums, constants, switches, column_offset, epoch, seed, first_bad, counts):
    """Train the chunk's columns (unless this is a start) and add their next w z M_j into the chunk's own sums."""
    backward, exponential, gated = switches
    dtype = columns.theta.dtype
    gradient, change = np.empty(BLOCK, dtype), np.empty(BLOCK, dtype)
    weight, gate, gate_slope = np.empty(BLOCK, dtype), np.empty(BLOCK, dtype), np.empty(BLOCK, dtype)
    uniform = np.empty(BLOCK + 8, np.float32)
    out = sums[chunk]
    out[:] = 0.0
    bad = 0
    first, last = entries.bounds[chunk], entries.bounds[chunk + 1]
    while first < last:
        stop = _block_end(entries.indptr, first, last)
        n = stop - first
        theta, log_alpha = columns.theta[first:stop], columns.log_alpha[first:stop]
        theta_slope, log_alpha_slope = columns.theta_slope[first:stop], columns.log_alpha_slope[first:stop]
        if backward:
            counts[chunk, 0] += _gather(entries, first, stop, rows, columns.theta_slope, columns.log_alpha_slope, gradient)
            first_moment, second_moment = columns.theta_first[first:stop], columns.theta_second[first:stop]
            _chain_theta(gradient, theta_slope, theta, exponential, constants, change[:n])
            bad += _adam(theta, first_moment, second_moment, change, constants)
            if gated:
                first_moment, second_moment = columns.log_alpha_first[first:stop], columns.log_alpha_second[first:stop]
                _chain_log_alpha(gradient, log_alpha_slope, log_alpha, constants, change[:n])
                bad += _adam(log_alpha, first_moment, second_moment, change, constants)
        bad += _weights(theta, exponential, constants, weight[:n])
        if gated:
            column = column_offset + first
            quad = column // _4
            _uniforms(quad, (column + n + _U(3)) // _4 - quad, epoch, seed, uniform)
            counts[chunk, 2] += _gates(log_alpha, uniform[column - quad * _4 :], constants, gate[:n], gate_slope[:n])
        else:
            gate[:n], gate_slope[:n] = 1, 0
        _slopes(weight, gate[:n], gate_slope, exponential, theta_slope, log_alpha_slope)
        counts[chunk, 1] += _scatter(entries, first, stop, gate, out)
        first = stop
    if bad:
        first_bad[chunk] = min(first_bad[chunk], np.int64(epoch))


@jit
def epoch_serial(entries, columns, rows, sums, constants, switches, column_offset, epoch, seed, first_bad, counts):
    """Train all chunks in this thread."""
    for chunk in range(len(sums)):
        _epoch_chunk(chunk, entries, columns, rows, sums, constants, switches, column_offset, epoch, seed, first_bad, counts)


def _epoch_threads(n_threads, entries, columns, rows, sums, constants, switches, column_offset, epoch, seed, first_bad, counts):
    for thread in numba.prange(n_threads):
        for chunk in range(thread, len(sums), n_threads):
            _epoch_chunk(
                chunk, entries, columns, rows, sums, constants, switches, column_offset, epoch, seed, first_bad, counts
            )


epoch_parallel = jit(_epoch_threads, parallel=True)


@jit
def add_up(sums, out):
    """Write the sum over chunks, in their order; return whether all of it is finite."""
    out[:] = sums[0]
    for chunk in range(1, len(sums)):
        for i in range(_U(out.size)):
            out[i] += sums[chunk, i]
    bad = 0
    for i in range(_U(out.size)):
        bad += 0 if abs(out[i]) <= np.finfo(np.float64).max else 1
    return bad == 0


@jit
def matvec(entries, coefficients, out):
    """Write M @ coefficients."""
    out[:] = 0.0
    _scatter(entries, _U(0), _U(coefficients.size), coefficients, out)


@jit
def rmatvec(entries, rows, everywhere, out):
    """Write M.T @ rows; `everywhere` is 1 for every column."""
    _gather(entries, _U(0), _U(out.size), rows, everywhere, everywhere, out)
