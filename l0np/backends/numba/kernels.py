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
from llvmlite import ir
from numba.core import cgutils, config
from numba.extending import intrinsic, overload

from l0np._jit import HELPER_OPTIONS, helper, jit

BLOCK = 256  # columns that go through the stages together; their work space stays in the first cache
BLOCK_ENTRIES = 1 << 15  # entries of a block, so that the scatter finds them in the second cache
_LINE = np.uint64(16)  # entries of a cache line, about
_AHEAD = np.uint64(512)  # entries sent for before their turn: at about 0.5 ns each, the time that memory takes to answer
_LONG = np.uint64(128)  # entries of a column, from which on the processor foresees by itself what comes, where all are open


# --- elementary functions: the twins of floor 1, for one number


_F = np.float32
_LOG2_E = _F(1.4426950408889634)
_LN2_HIGH, _LN2_LOW, _LN2 = _F(0.693359375), _F(-2.1219444005469057e-4), _F(0.6931471805599453)
_SMALLEST_EXPONENT, _LARGEST_EXPONENT = _F(-86), _F(86)
_HALF, _ONE, _TWO = _F(0.5), _F(1), _F(2)
_E7, _E6, _E5, _E4, _E3, _E2, _E1, _E0 = (_F(1 / n) for n in (5040, 720, 120, 24, 6, 2, 1, 1))
_A3, _A5, _A7, _A9 = (_F(1 / n) for n in (3, 5, 7, 9))  # artanh x = x + x^3 / 3 + x^5 / 5 + ...
_EXPONENT_BIAS, _MANTISSA_BITS = np.int32(126), np.int32(23)  # one less than float32's, for 2^128 needs two steps
_ROOT_HALF_BITS = np.int32(0x3F3504F3)  # sqrt(1/2) as float32
_LARGEST_FLOAT64 = np.finfo(np.float64).max


def _exp_float32(x, lowest, highest):  # exp x = p 2^k; the same operations in the same order as elementary.exp_float32
    x = min(max(x, lowest), highest)
    k = np.floor(x * _LOG2_E + _HALF)
    r = x - k * _LN2_HIGH - k * _LN2_LOW
    p = ((((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2) * r + _E1) * r + _E0
    return p * np.int32((np.int32(k) + _EXPONENT_BIAS) << _MANTISSA_BITS).view(np.float32) * _TWO


def _exp_float64(x, lowest, highest):
    return np.exp(min(max(x, lowest), highest))


def _log_float32(x):  # x = m 2^k, log m = 2 artanh((m - 1) / (m + 1)); |m - 1| / (m + 1) < 0.172, so five terms suffice
    bits = np.float32(x).view(np.int32)
    k = np.int32((bits - _ROOT_HALF_BITS) >> _MANTISSA_BITS)
    m = np.int32(bits - (k << _MANTISSA_BITS)).view(np.float32)
    s = (m - _ONE) / (m + _ONE)
    q = s * s
    return _TWO * s * (_ONE + q * (_A3 + q * (_A5 + q * (_A7 + q * _A9)))) + np.float32(k) * _LN2


def _log_float64(x):
    return np.log(x)


def _exp(x, lowest, highest):
    return (_exp_float32 if isinstance(x, np.float32) else _exp_float64)(x, lowest, highest)


def _log(x):
    return (_log_float32 if isinstance(x, np.float32) else _log_float64)(x)


@overload(_exp, jit_options=HELPER_OPTIONS)  # type: ignore[arg-type, unused-ignore]
def _exp_by_type(x, lowest, highest):
    return _exp_float32 if x == numba.float32 else _exp_float64


@overload(_log, jit_options=HELPER_OPTIONS)  # type: ignore[arg-type, unused-ignore]
def _log_by_type(x):
    return _log_float32 if x == numba.float32 else _log_float64


# --- Philox: the twin of noise.philox4x32

_U = np.uint64
_WORD, _32, _9, _0, _1, _2, _3, _4 = _U(0xFFFFFFFF), _U(32), _U(9), _U(0), _U(1), _U(2), _U(3), _U(4)
_M0, _M1 = _U(0xD2511F53), _U(0xCD9E8D57)
_K0, _K1 = _U(0x9E3779B9), _U(0xBB67AE85)
_GATES = _U(0)
_UNIFORM_STEP = _F(2.0**-23)
_SMALLEST, _LARGEST = _F(1e-6), _F(1.0 - 1e-6)


@helper
def _clipped_uniform(word):
    return min(max((np.float32(np.int32(word >> _9)) + _HALF) * _UNIFORM_STEP, _SMALLEST), _LARGEST)


@helper
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
        out[_4 * quad + _2] = _clipped_uniform(c2)
        out[_4 * quad + _3] = _clipped_uniform(c3)


# --- the stages of a block


class Entries(NamedTuple):
    """The matrix as kernels see it; chunk c holds the columns ``bounds[c]`` to ``bounds[c + 1]``."""

    data: Any
    indices: Any
    indptr: Any
    bounds: Any


class Constants(NamedTuple):
    """Numbers of the run's dtype, so that arithmetic stays in it."""

    shift: Any  # of the gates' logit, to that of the probability of being open
    beta: Any
    gamma: Any
    stretch: Any
    slope: Any
    penalty_shift: Any  # that of the epoch before, whose penalty is differentiated
    lambda_l0: Any
    lambda_l2: Any
    step_size: Any
    root_factor: Any
    decay1: Any
    gain1: Any
    decay2: Any
    gain2: Any
    epsilon: Any
    bound: Any
    largest_number: Any
    zero: Any
    one: Any
    two: Any
    smallest_exponent: Any
    largest_exponent: Any
    largest_log_weight: Any  # exp overflows before it


class WorkSpace(NamedTuple):
    """What blocks of columns need between their stages, for each thread."""

    numbers: Any  # six rows, of the run's dtype
    lists: Any  # the open columns of a block, and those of the next
    taken: Any  # for each chunk, whether a thread has it; 0 before an epoch


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


# Columns whose gate is open are listed first, and their entries are sent for before their turn: the processor foresees neither
# where the next one lies nor where it ends, and would wait for each.


_I32, _I64, _FOUR = ir.IntType(32), ir.IntType(64), ir.VectorType(ir.DoubleType(), 4)


def _written_for(plain):
    """Return a decorator of what writes `plain` in the compiler's own language; NUMBA_DISABLE_JIT=1 runs `plain` itself."""
    plainly: bool = getattr(config, "DISABLE_JIT")  # noqa: B009  # set when Numba is imported, which type checkers do not see
    return lambda written: plain if plainly else intrinsic(written)


@_written_for(lambda array, k: None)  # plain Python has no caches
def _prefetch(typing, array, k):
    """Send for the cache line of ``array[k]``, to be read; beyond the end of the array that does nothing."""

    def generate(context, builder, signature, arguments):
        address = builder.gep(context.make_array(array)(context, builder, arguments[0]).data, [arguments[1]])
        byte = ir.PointerType(ir.IntType(8))
        function = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
        prefetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        read, keep, of_data = _I32(0), _I32(3), _I32(1)
        builder.call(prefetch, [builder.bitcast(address, byte), read, keep, of_data])
        return context.get_dummy_value()

    return numba.void(array, k), generate


def _plain_claim(taken, chunk):
    """Mark a chunk as taken; return whether it was not before."""
    free = taken[chunk] == 0
    taken[chunk] = 1
    return free


@_written_for(_plain_claim)
def _claim(typing, taken, chunk):
    def generate(context, builder, signature, arguments):
        mark = builder.gep(context.make_array(taken)(context, builder, arguments[0]).data, [arguments[1]])
        before = builder.atomic_rmw("xchg", mark, _I64(1), "monotonic")
        return builder.icmp_unsigned("==", before, _I64(0))

    return numba.boolean(taken, chunk), generate


@helper
def _fetch(entries, column, n_lines):
    """Send for the first entries of a column, those in so many pairs of cache lines: their number is known beforehand."""
    data, indices = entries.data, entries.indices
    k = entries.indptr[column]
    for _ in range(n_lines):
        _prefetch(data, k)
        _prefetch(data, k + _LINE)
        _prefetch(indices, k)
        k += _LINE + _LINE


@helper
def _fetch_first(entries, first, n, listed, n_open):
    """Send for the first columns listed; return how many places before their turn columns are sent for, and how many lines."""
    mean = (entries.indptr[first + n] - entries.indptr[first]) // max(n, _1)
    n_lines = (mean + _2 * _LINE - _1) // (_2 * _LINE)
    if n_open == n and mean > _LONG:
        n_lines = _0
    ahead = _1 + _AHEAD // (mean + _1)
    for place in range(_0, min(ahead, n_open)):
        _fetch(entries, listed[place], n_lines)
    return ahead, n_lines


@helper
def _fetch_late(entries, first, listed, n_open, gathered, n_lines):
    """Send for the listed columns that were not gathered."""
    for place in range(_0, n_open):
        if gathered[listed[place] - first] == 0:
            _fetch(entries, listed[place], n_lines)


@helper
def _list_open(is_open, first, n, listed):
    """List the columns that `is_open` marks by numbers above 0; return how many they are. The list ends in one column more."""
    n_open = _0
    for i in range(n):
        listed[n_open] = first + i
        n_open += _U(is_open[i] > 0)
    listed[n_open] = first
    return n_open


# Entries are taken in fours, as one vector of the processor: the compiler finds none in a sum by itself, for the order of its
# additions is fixed. The last one to three of a column are then done without a loop, whose end the processor could not
# foretell: what is read there may be the next column's, from which nothing is taken.


def _plain_dot_fours(data, indices, rows, first, n_fours):
    """Return the sum of data[k] rows[indices[k]] over groups of four entries."""
    s0 = s1 = s2 = s3 = 0.0
    for k in range(first, first + _4 * n_fours, _4):
        s0 += data[k] * rows[indices[k]]
        s1 += data[k + _1] * rows[indices[k + _1]]
        s2 += data[k + _2] * rows[indices[k + _2]]
        s3 += data[k + _3] * rows[indices[k + _3]]
    return (s0 + s1) + (s2 + s3)


def _plain_add_fours(data, indices, coefficient, first, n_fours, out):
    """Add coefficient data[k] to out[indices[k]] for groups of four entries."""
    for k in range(first, first + _4 * n_fours):
        out[indices[k]] += coefficient * data[k]


@_written_for(_plain_dot_fours)
def _dot_fours(typing, data, indices, rows, first, n_fours):
    def generate(context, builder, signature, arguments):
        *arrays, start, count = arguments
        values, places, row = _addresses(context, builder, signature, arrays)
        sums = cgutils.alloca_once_value(builder, ir.Constant(_FOUR, [0.0] * 4))
        with cgutils.for_range(builder, count) as loop:
            k = builder.add(start, builder.shl(loop.index, loop.index.type(2)))
            across = _four_rows(builder, row, _four_places(builder, places, k))
            builder.store(builder.fadd(builder.load(sums), builder.fmul(_four_values(builder, values, k), across)), sums)
        s = [builder.extract_element(builder.load(sums), _I32(i)) for i in range(4)]
        return builder.fadd(builder.fadd(s[0], s[1]), builder.fadd(s[2], s[3]))

    return numba.float64(data, indices, rows, first, n_fours), generate


@_written_for(_plain_add_fours)
def _add_fours(typing, data, indices, coefficient, first, n_fours, out):
    def generate(context, builder, signature, arguments):
        values, places, row = _addresses(context, builder, signature, [*arguments[:2], arguments[5]])
        factor, start, count = arguments[2:5]
        factors = ir.Constant(_FOUR, ir.Undefined)
        for i in range(4):
            factors = builder.insert_element(factors, factor, _I32(i))
        with cgutils.for_range(builder, count) as loop:
            k = builder.add(start, builder.shl(loop.index, loop.index.type(2)))
            chosen = _four_places(builder, places, k)
            changes = builder.fmul(factors, _four_values(builder, values, k))
            sums = builder.fadd(_four_rows(builder, row, chosen), changes)  # the rows of a column differ: all may be read first
            for i, place in enumerate(chosen):
                builder.store(builder.extract_element(sums, _I32(i)), builder.gep(row, [place]))
        return context.get_dummy_value()

    return numba.void(data, indices, coefficient, first, n_fours, out), generate


def _addresses(context, builder, signature, arrays):
    kinds = [kind for kind in signature.args if isinstance(kind, numba.types.Array)]
    return [context.make_array(kind)(context, builder, array).data for kind, array in zip(kinds, arrays, strict=True)]


def _four_values(builder, values, k):
    element = values.type.pointee
    address = builder.bitcast(builder.gep(values, [k]), ir.VectorType(element, 4).as_pointer())
    four = builder.load(address, align=4)
    return four if element == ir.DoubleType() else builder.fpext(four, _FOUR)


def _four_places(builder, places, k):
    return [builder.zext(builder.load(builder.gep(places, [builder.add(k, _I64(i))])), _I64) for i in range(4)]


def _four_rows(builder, rows, places):
    four = ir.Constant(_FOUR, ir.Undefined)
    for i, place in enumerate(places):
        four = builder.insert_element(four, builder.load(builder.gep(rows, [place])), _I32(i))
    return four


@helper
def _gather(entries, first, n, rows, listed, n_open, ahead, n_lines, out):
    """Write M_j . rows for each listed column, 0 for the others; return the number of entries read.

    A column's borders are read while the one before it is summed, and its entries sent for `ahead` places before.
    """
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    size, read = _U(data.size), _U(0)
    for i in range(n):
        out[i] = 0
    j = listed[0]
    k, stop = indptr[j], indptr[j + _1]
    for place in range(_0, n_open):
        following = listed[place + _1]
        k_following, stop_following = indptr[following], indptr[following + _1]
        if place + ahead < n_open:
            _fetch(entries, listed[place + ahead], n_lines)
        read += stop - k
        n_fours = (stop - k) // _4
        total = _dot_fours(data, indices, rows, k, n_fours)
        k += _4 * n_fours
        if stop + _4 <= size:
            t0 = data[k] * rows[indices[k]]
            t1 = data[k + _1] * rows[indices[k + _1]]
            t2 = data[k + _2] * rows[indices[k + _2]]
            total += (t0 if k < stop else 0.0) + (t1 if k + _1 < stop else 0.0) + (t2 if k + _2 < stop else 0.0)
        else:
            while k < stop:
                total += data[k] * rows[indices[k]]
                k += _1
        out[j - first] = total
        j, k, stop = following, k_following, stop_following
    return np.int64(read)


@helper
def _scatter(entries, first, coefficients, listed, n_open, out):
    """Add coefficient_j M_j to `out` for each listed column; return the number of entries read."""
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    size, read = _U(data.size), _U(0)
    j = listed[0]
    k, stop = indptr[j], indptr[j + _1]
    for place in range(_0, n_open):
        following = listed[place + _1]
        k_following, stop_following = indptr[following], indptr[following + _1]
        read += stop - k
        coefficient = np.float64(coefficients[j - first])
        n_fours = (stop - k) // _4
        last = stop - _U(stop > k)  # nothing is added there in place of what is beyond it: nobody waits for that row
        _add_fours(data, indices, coefficient, k, n_fours, out)
        k += _4 * n_fours
        if stop + _4 <= size:
            t0, t1, t2 = coefficient * data[k], coefficient * data[k + _1], coefficient * data[k + _2]
            r0 = indices[k if k < stop else last]
            r1, r2 = indices[k + _1 if k + _1 < stop else last], indices[k + _2 if k + _2 < stop else last]
            out[r0] += t0 if k < stop else 0.0
            out[r1] += t1 if k + _1 < stop else 0.0
            out[r2] += t2 if k + _2 < stop else 0.0
        else:
            while k < stop:
                out[indices[k]] += coefficient * data[k]
                k += _1
        j, k, stop = following, k_following, stop_following
    return np.int64(read)


@helper
def _chain_theta(gradient, slope, theta, first, n, exponential, constants, out):
    lambda_l2 = constants.lambda_l2
    for i in range(n):
        out[i] = gradient[i] * slope[first + i]
    if lambda_l2 > 0:
        two, lowest, highest = constants.two, constants.smallest_exponent, constants.largest_log_weight
        for i in range(n):
            weight = theta[first + i]
            weight = _exp(weight, lowest, highest) if exponential else weight
            out[i] += lambda_l2 * (two * weight * weight if exponential else two * weight)


@helper
def _chain_log_alpha(gradient, slope, log_alpha, first, n, constants, out):
    lambda_l0, shift, bound = constants.lambda_l0, constants.penalty_shift, constants.bound
    one, lowest, highest = constants.one, constants.smallest_exponent, constants.largest_exponent
    for i in range(n):
        out[i] = gradient[i] * slope[first + i]
    if lambda_l0 != 0:  # a governed price may fall below 0
        for i in range(n):
            a = log_alpha[first + i]
            grown = _exp(min(max(a, -bound), bound) + shift, lowest, highest)
            closed = one / (one + grown)
            derivative = (grown * closed) * closed
            out[i] += lambda_l0 * (derivative if abs(a) <= bound else derivative - derivative)


@helper
def _adam(value, first_moment, second_moment, first, n, gradient, constants):
    """Update in place (optimizers.adam_update); return how many columns left the range of numbers."""
    decay1, gain1, decay2, gain2 = constants.decay1, constants.gain1, constants.decay2, constants.gain2
    size, root_factor, epsilon = constants.step_size, constants.root_factor, constants.epsilon
    largest = constants.largest_number
    bad = 0
    for i in range(n):
        j = first + i
        g = gradient[i]
        m = decay1 * first_moment[j] + gain1 * g
        v = decay2 * second_moment[j] + gain2 * (g * g)
        x = value[j] - size * m / (math.sqrt(v) * root_factor + epsilon)
        first_moment[j], second_moment[j], value[j] = m, v, x
        bad += 0 if (v <= largest and abs(x) <= largest) else 1
    return bad


@helper
def _gates(log_alpha, first, n, uniform, place, constants, gate, gate_slope):
    """Draw gates and their slopes (HardConcrete.sample); return how many are closed. Column `first` has draw `place`.

    Three loops of few operations each, for the compiler vectorises these and not their union.
    """
    shift, beta, gamma = constants.shift, constants.beta, constants.gamma
    stretch, slope, bound = constants.stretch, constants.slope, constants.bound
    one, zero, lowest, highest = constants.one, constants.zero, constants.smallest_exponent, constants.largest_exponent
    for i in range(n):
        a = min(max(log_alpha[first + i], -bound), bound)
        u = uniform[place + i]
        gate[i] = one / (one + _exp(-(_log(u / (one - u)) + a) / beta, lowest, highest))
    closed = 0
    for i in range(n):
        a = min(max(log_alpha[first + i], -bound), bound)
        grown = _exp(np.float32(a + shift), _SMALLEST_EXPONENT, _LARGEST_EXPONENT)
        is_open = uniform[place + i] > _ONE / (_ONE + grown)  # in float32, as HardConcrete.is_closed
        gate_slope[i] = one if is_open else zero
        closed += 0 if is_open else 1
    for i in range(n):
        s = gate[i]
        stretched = s * stretch + gamma
        is_open = gate_slope[i] > zero
        moves = is_open and stretched < one and abs(log_alpha[first + i]) <= bound
        gate[i] = min(max(stretched, zero), one) if is_open else zero
        gate_slope[i] = s * (one - s) * slope if moves else zero
    return closed


@helper
def _slopes(theta, gate, gate_slope, weight, first, n, exponential, constants, theta_slope, log_alpha_slope):
    """Write the weights, the two slopes of w z and, in place of the gates, w z itself; return how many weights are not finite.

    All but the weights is 0 where a gate is closed, whatever the weight.
    """
    largest, lowest, highest = constants.largest_number, constants.smallest_exponent, constants.largest_log_weight
    zero = constants.zero
    bad = 0
    for i in range(n):
        w = theta[first + i]
        w = _exp(w, lowest, highest) if exponential else w
        weight[i] = w
        bad += 0 if abs(w) <= largest else 1
    for i in range(n):
        product = weight[i] * gate[i] if gate[i] > 0 else zero
        theta_slope[first + i] = product if exponential else gate[i]
        gate[i] = product
    for i in range(n):
        log_alpha_slope[first + i] = weight[i] * gate_slope[i] if gate_slope[i] != 0 else zero
    return bad


def work_space(n_threads: int, n_chunks: int, dtype: Any) -> WorkSpace:
    """Return work space for so many threads; draws come in fours, the first of which may be another block's."""
    numbers, lists = np.empty((n_threads, 6, BLOCK + 8), dtype), np.empty((n_threads, 2, BLOCK + 1), np.uint64)
    return WorkSpace(numbers, lists, np.zeros(n_chunks, np.int64))


@jit
def epoch(
    thread, n_threads, entries, columns, rows, sums, work, constants, switches, column_offset, number, seed, first_bad, counts
):
    """Train this thread's columns (unless this is a start) and add their next w z M_j into each chunk's own sums."""
    backward, exponential, gated = switches
    theta, theta_first, theta_second, log_alpha, log_alpha_first, log_alpha_second, theta_slope, log_alpha_slope = columns
    numbers, lists = work.numbers[thread], work.lists[thread]
    gradient, change, weight, gate, gate_slope, uniform = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    listed, drawn = lists[0], lists[1]
    n_own = (len(sums) - thread + n_threads - 1) // n_threads
    for turn in range(n_own + len(sums)):  # a thread's own chunks, whose columns its cache may hold, then what others leave
        chunk = thread + turn * n_threads if turn < n_own else len(sums) - 1 - (turn - n_own)
        if not _claim(work.taken, chunk):
            continue
        out = sums[chunk]
        for i in range(_U(out.size)):
            out[i] = 0.0
        bad = gathered = scattered = closed = 0
        first, last = entries.bounds[chunk], entries.bounds[chunk + 1]
        n, n_open, ahead, n_lines = _0, _0, _1, _0
        listed[0] = first
        while first < last:
            n_next = min(_U(BLOCK), last - first - n)
            while n_next > _1 and entries.indptr[first + n + n_next] - entries.indptr[first + n] > _U(BLOCK_ENTRIES):
                n_next //= _2
            n_gathered = n_open
            if backward:
                gathered += _gather(entries, first, n, rows, listed, n_open, ahead, n_lines, gradient)
                for i in range(n_next):  # while this block is computed, the entries of the next can come
                    j = first + n + i
                    change[i] = 1 if (theta_slope[j] != 0) | (log_alpha_slope[j] != 0) else 0
                n_open = _list_open(change, first + n, n_next, listed)
                ahead, n_lines = _fetch_first(entries, first + n, n_next, listed, n_open)
                _chain_theta(gradient, theta_slope, theta, first, n, exponential, constants, change)
                bad += _adam(theta, theta_first, theta_second, first, n, change, constants)
                if gated:
                    _chain_log_alpha(gradient, log_alpha_slope, log_alpha, first, n, constants, change)
                    bad += _adam(log_alpha, log_alpha_first, log_alpha_second, first, n, change, constants)
            if gated:
                place = (column_offset + first) % _4
                _uniforms((column_offset + first) // _4, (place + n + _3) // _4, number, seed, uniform)
                closed += _gates(log_alpha, first, n, uniform, place, constants, gate, gate_slope)
            else:
                for i in range(n):
                    gate[i], gate_slope[i] = 1, 0
            n_drawn = _list_open(gate, first, n, drawn)
            if n_gathered < n:
                _fetch_late(entries, first, drawn, n_drawn, gradient, n_lines)
            bad += _slopes(theta, gate, gate_slope, weight, first, n, exponential, constants, theta_slope, log_alpha_slope)
            scattered += _scatter(entries, first, gate, drawn, n_drawn, out)
            first += n
            n = n_next
        counts[chunk, 0] += gathered
        counts[chunk, 1] += scattered
        counts[chunk, 2] += closed
        if bad:
            first_bad[chunk] = min(first_bad[chunk], np.int64(number))


def _epoch_threads(
    n_threads, entries, columns, rows, sums, work, constants, switches, column_offset, number, seed, first_bad, counts
):
    for thread in numba.prange(n_threads):
        epoch(
            thread,
            n_threads,
            entries,
            columns,
            rows,
            sums,
            work,
            constants,
            switches,
            column_offset,
            number,
            seed,
            first_bad,
            counts,
        )


epoch_parallel = jit(_epoch_threads, parallel=True)


@jit
def add_up(sums, out):
    """Write the sum over chunks, in their order; return whether all of it is finite."""
    for i in range(_U(out.size)):
        out[i] = sums[0, i]
    for chunk in range(1, len(sums)):
        for i in range(_U(out.size)):
            out[i] += sums[chunk, i]
    bad = 0
    for i in range(_U(out.size)):
        bad += 0 if abs(out[i]) <= _LARGEST_FLOAT64 else 1
    return bad == 0


@jit
def matvec(entries, coefficients, out):
    """Write M @ coefficients."""
    n = _U(coefficients.size)
    listed = np.empty(n + _1, np.uint64)
    out[:] = 0.0
    n_open = _list_open((coefficients != 0).astype(np.float32), _0, n, listed)
    _scatter(entries, _0, coefficients, listed, n_open, out)


@jit
def rmatvec(entries, rows, everywhere, out):
    """Write M.T @ rows; `everywhere` is 1 for every column."""
    n = _U(out.size)
    listed = np.empty(n + _1, np.uint64)
    n_open = _list_open(everywhere, _0, n, listed)
    _gather(entries, _0, n, rows, listed, n_open, n_open, _0, out)
