"""The kernels of the fused epoch, for Numba.

Blocks of columns go through stages (gather, chain rule, Adam, noise, gates, scatter) whose loops touch few
arrays each, so that they vectorise: with more, LLVM gives up proving that arrays do not overlap. Counters are
unsigned where they index, which saves the code for negative indices. All of it also runs as plain Python,
with NUMBA_DISABLE_JIT=1.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from l0np._jit import helper, jit
from l0np.backends.numba.elementary_kernels import exp, log, uniforms
from l0np.backends.numba.entry_kernels import (
    gather,
    gather_all,
    list_open,
    prefetch_first,
    prefetch_not_gathered,
    scatter,
    scatter_all,
)
from l0np.backends.numba.vector_instructions import claim, with_bits

U64, F32 = np.uint64, np.float32
# Numbers added to an unsigned counter must be unsigned: with an int64, Numba makes the sum a float64
ZERO, ONE, TWO, THREE, FOUR = (U64(number) for number in range(5))
ONE_F32 = F32(1)
# The range of exp when it decides, in float32 for every dtype, whether a gate is open
LOWEST_F32, HIGHEST_F32 = F32(-86), F32(86)
LARGEST_FLOAT64 = np.finfo(np.float64).max

BLOCK = 256  # columns that go through the stages together; their work space stays in the first cache
BLOCK_ENTRIES = 1 << 15  # at most, so that the scatter finds in the second cache what the gather read


# --- what a run works on


class Entries(NamedTuple):
    """The matrix as kernels see it; chunk c holds the columns ``bounds[c]`` to ``bounds[c + 1]``.

    Where columns are stored in another order than their own, `order` has the number of each.
    """

    data: Any
    indices: Any
    indptr: Any
    bounds: Any
    order: Any  # empty where column j is stored in place j
    # For sums that do not depend on the order of the columns (`l0np.engine.ExactSums`): what the sum of each
    # row starts at, and 1, a uint64, for the last bit of each product. Else 0 everywhere
    starts: Any
    bits: Any


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
    anchor: Any  # theta of the weights that the L2 penalty is relative to; not read if lambda_anchor is 0


class Switches(NamedTuple):
    """What an epoch does; booleans."""

    backward: Any  # train before gates are drawn; not at a start
    exponential: Any  # weights are exp(theta), not theta
    gated: Any  # gates are drawn, not all 1


class Noise(NamedTuple):
    """Which draws the gates take; unsigned numbers."""

    column_offset: Any  # of this rank's first column
    epoch: Any
    seed: Any


class WorkSpace(NamedTuple):
    """What blocks of columns need between their stages, for each thread."""

    numbers: Any  # (threads, 14, BLOCK + 8), of the run's dtype; `epoch` names the rows
    lists: Any  # (threads, 2, BLOCK + 1): the open columns of this block, and of the next
    taken: Any  # (chunks,): whether a thread has the chunk; 0 before an epoch
    draws: Any  # float32: where columns have another order, those of all columns, from the first in its four


def work_space(n_threads: int, n_chunks: int, dtype: Any, n_draws: int = 0) -> WorkSpace:
    """Return work space. Draws come in fours, the first of which may belong to another block."""
    numbers = np.empty((n_threads, 14, BLOCK + 8), dtype)
    lists = np.empty((n_threads, 2, BLOCK + 1), np.uint64)
    return WorkSpace(numbers, lists, np.zeros(n_chunks, np.int64), np.empty(n_draws, np.float32))


# --- the backward half of an epoch: chain rule and Adam


@helper
def chain_theta(gradient, slope, theta, first, n, exponential, constants, out):
    """Write the derivative of the objective with respect to theta, given that of the loss for w z."""
    lambda_l2 = constants.lambda_l2
    for i in range(n):
        out[i] = gradient[i] * slope[first + i]
    if lambda_l2 > 0:
        two, lowest, highest = constants.two, constants.smallest_exponent, constants.largest_log_weight
        for i in range(n):
            weight = theta[first + i]
            weight = exp(weight, lowest, highest) if exponential else weight
            out[i] += lambda_l2 * (two * weight * weight if exponential else two * weight)


@helper
def add_anchored_l2(theta, anchor, first, n, constants, out):
    """Add the derivative of the anchored L2 penalty, for weights exp(theta)."""
    lambda_anchor, one, two = constants.lambda_anchor, constants.one, constants.two
    lowest, highest = constants.smallest_exponent, constants.largest_log_weight
    for i in range(n):
        ratio = exp(theta[first + i] - anchor[first + i], lowest, highest)
        out[i] += lambda_anchor * (two * (ratio - one) * ratio)


@helper
def chain_log_alpha(gradient, slope, log_alpha, first, n, constants, out):
    """Write the derivative of the objective with respect to log_alpha, given that of the loss for w z."""
    lambda_l0, shift, bound = constants.lambda_l0, constants.penalty_shift, constants.bound
    one, lowest, highest = constants.one, constants.smallest_exponent, constants.largest_exponent
    for i in range(n):
        out[i] = gradient[i] * slope[first + i]
    if lambda_l0 != 0:  # below 0 where a controller holds gates open
        for i in range(n):
            a = log_alpha[first + i]
            grown = exp(min(max(a, -bound), bound) + shift, lowest, highest)
            closed = one / (one + grown)
            derivative = (grown * closed) * closed
            out[i] += lambda_l0 * (derivative if abs(a) <= bound else derivative - derivative)


@helper
def adam(value, first_moment, second_moment, first, n, gradient, constants):
    """Update in place (`adam_update`); return how many columns left the range of numbers."""
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


# --- the forward half: gates, weights and slopes


@helper
def decide_open(log_alpha, n, uniform, constants, is_open):
    """Mark the gates that open by 1 (`HardConcrete.is_closed`, in float32); return how many do not."""
    shift, bound = constants.shift, constants.bound
    one, zero = constants.one, constants.zero
    closed = 0
    for i in range(n):
        a = min(max(log_alpha[i], -bound), bound)
        grown = exp(F32(a + shift), LOWEST_F32, HIGHEST_F32)
        opens = uniform[i] > ONE_F32 / (ONE_F32 + grown)
        is_open[i] = one if opens else zero
        closed += 0 if opens else 1
    return closed


@helper
def has_small_weights(theta, n, exponential, constants):
    """Whether all weights are far from the largest number."""
    largest = constants.largest_exponent if exponential else constants.largest_number
    n_small = ZERO
    for i in range(n):
        n_small += ONE if (theta[i] <= largest) & (exponential | (theta[i] >= -largest)) else ZERO
    return n_small == n


@helper
def gates(log_alpha, n, uniform, is_open, constants, gate, gate_slope):
    """Write gates and their slopes (`HardConcrete.sample`), 0 where `is_open` is 0.

    There are two loops of few operations each, because LLVM vectorises them but not one combined loop.
    """
    beta, gamma = constants.beta, constants.gamma
    stretch, slope, bound = constants.stretch, constants.slope, constants.bound
    one, zero = constants.one, constants.zero
    lowest, highest = constants.smallest_exponent, constants.largest_exponent
    for i in range(n):
        a = min(max(log_alpha[i], -bound), bound)
        u = uniform[i]
        gate[i] = one / (one + exp(-(log(u / (one - u)) + a) / beta, lowest, highest))  # s, not yet stretched
    for i in range(n):
        s = gate[i]
        stretched = s * stretch + gamma
        opens = is_open[i] > zero
        moves = opens and stretched < one and abs(log_alpha[i]) <= bound
        gate[i] = min(max(stretched, zero), one) if opens else zero
        gate_slope[i] = s * (one - s) * slope if moves else zero


@helper
def slopes(theta, gate, gate_slope, n, exponential, constants, weight, product, theta_slope, log_alpha_slope):
    """Write the weights w, the products w z and their two slopes; return how many weights are not finite.

    Where a gate is closed, all of these except the weight are 0, whatever the weight is.
    """
    largest, zero = constants.largest_number, constants.zero
    lowest, highest = constants.smallest_exponent, constants.largest_log_weight
    bad = 0
    for i in range(n):
        w = theta[i]
        w = exp(w, lowest, highest) if exponential else w
        weight[i] = w
        bad += 0 if abs(w) <= largest else 1
    for i in range(n):
        product[i] = weight[i] * gate[i] if gate[i] > 0 else zero
        theta_slope[i] = product[i] if exponential else gate[i]
    for i in range(n):
        log_alpha_slope[i] = weight[i] * gate_slope[i] if gate_slope[i] != 0 else zero
    return bad


# --- the epoch


@jit
def draw_all(noise, draws):
    """Write the draws of all columns in the order of their numbers, for runs that visit them in another."""
    uniforms(noise.column_offset // FOUR, U64(draws.size) // FOUR, noise.epoch, noise.seed, draws)


@jit
def epoch(
    thread, n_threads, entries, columns, rows, sums, work, constants, switches, noise, first_bad, counts
):
    """Train the columns of chunks that no other thread has taken, and write each chunk's next prediction.

    A start only draws gates and predicts. First come a thread's own chunks, which its cache may hold, then
    those that others have not taken. All of it is one function, because LLVM optimises a helper again within
    its caller: splitting it makes the first fit 50 % slower.
    """
    exponential, gated = switches.exponential, switches.gated
    ordered = entries.order.size > 0
    theta, theta_first, theta_second = columns.theta, columns.theta_first, columns.theta_second
    log_alpha, log_alpha_first = columns.log_alpha, columns.log_alpha_first
    log_alpha_second = columns.log_alpha_second
    theta_slope, log_alpha_slope, anchor = columns.theta_slope, columns.log_alpha_slope, columns.anchor
    numbers, lists = work.numbers[thread], work.lists[thread]
    gradient, change, weight, gate = numbers[0], numbers[1], numbers[2], numbers[3]
    gate_slope, uniform, is_open, product = numbers[4], numbers[5], numbers[6], numbers[7]
    gathered_theta, gathered_log_alpha, gathered_draws = numbers[8], numbers[9], numbers[10]
    gathered_theta_slope, gathered_log_alpha_slope = numbers[11], numbers[12]
    gathered_products = numbers[13]
    listed, drawn = lists[0], lists[1]
    n_own = (len(sums) - thread + n_threads - 1) // n_threads
    for turn in range(n_own + len(sums)):
        chunk = thread + turn * n_threads if turn < n_own else len(sums) - 1 - (turn - n_own)
        if not claim(work.taken, chunk):
            continue
        out = sums[chunk]
        for i in range(U64(out.size)):
            out[i] = entries.starts[i]
        bad = gathered = scattered = closed = 0
        first, last = entries.bounds[chunk], entries.bounds[chunk + 1]
        n, n_open, ahead, n_lines = ZERO, ZERO, ONE, ZERO  # so the first turn only lists the first block
        listed[0] = first
        while first < last:
            n_next = min(U64(BLOCK), last - first - n)
            start_next = entries.indptr[first + n]
            while n_next > ONE and entries.indptr[first + n + n_next] - start_next > U64(BLOCK_ENTRIES):
                n_next //= TWO
            n_gathered = n_open
            if switches.backward:
                if ordered and n_open == n:
                    gathered += gather_all(entries, first, n, rows, gradient)
                else:
                    gathered += gather(entries, first, n, rows, listed, n_open, ahead, n_lines, gradient)
                for i in range(n_next):  # of the next block, whose entries arrive while this one is computed
                    j = first + n + i
                    is_open[i] = 1 if (theta_slope[j] != 0) | (log_alpha_slope[j] != 0) else 0
                n_open = list_open(is_open, first + n, n_next, listed)
                ahead, n_lines = prefetch_first(entries, first + n, n_next, listed, n_open)
                chain_theta(gradient, theta_slope, theta, first, n, exponential, constants, change)
                if constants.lambda_anchor > 0:
                    add_anchored_l2(theta, anchor, first, n, constants, change)
                bad += adam(theta, theta_first, theta_second, first, n, change, constants)
                if gated:
                    chain_log_alpha(gradient, log_alpha_slope, log_alpha, first, n, constants, change)
                    bad += adam(log_alpha, log_alpha_first, log_alpha_second, first, n, change, constants)
            # The gates of the block and what follows from them. Where few gates open, what belongs to these
            # is brought together first, and logarithms and exponentials are computed for them alone
            some_theta, some_log_alpha = theta[first : first + n], log_alpha[first : first + n]
            some_theta_slope = theta_slope[first : first + n]
            some_log_alpha_slope = log_alpha_slope[first : first + n]
            some_draws, some_products, n_some, few = uniform, product, n, False
            if gated:
                if ordered:
                    position, before = ZERO, noise.column_offset % FOUR
                    for i in range(n):
                        uniform[i] = work.draws[before + entries.order[first + i]]
                else:
                    position = (noise.column_offset + first) % FOUR
                    n_quads = (position + n + THREE) // FOUR
                    uniforms((noise.column_offset + first) // FOUR, n_quads, noise.epoch, noise.seed, uniform)
                some_draws = uniform[position : position + n]
                n_closed = decide_open(some_log_alpha, n, some_draws, constants, is_open)
                closed += n_closed
                few = 2 * n_closed > np.int64(n) and has_small_weights(some_theta, n, exponential, constants)
                if few:
                    n_some = list_open(is_open, first, n, drawn)
                    for i in range(n_some):
                        j = drawn[i]
                        gathered_theta[i], gathered_log_alpha[i] = theta[j], log_alpha[j]
                        gathered_draws[i], is_open[i] = uniform[position + j - first], 1
                    some_theta, some_log_alpha = gathered_theta, gathered_log_alpha
                    some_draws, some_products = gathered_draws, gathered_products
                    some_theta_slope, some_log_alpha_slope = gathered_theta_slope, gathered_log_alpha_slope
                gates(some_log_alpha, n_some, some_draws, is_open, constants, gate, gate_slope)
            else:
                for i in range(n):
                    gate[i], gate_slope[i] = 1, 0
            bad += slopes(
                some_theta, gate, gate_slope, n_some, exponential, constants, weight, some_products,
                some_theta_slope, some_log_alpha_slope,
            )  # fmt: skip
            if few:
                for i in range(n):
                    theta_slope[first + i] = log_alpha_slope[first + i] = 0
                n_drawn = ZERO
                for i in range(n_some):
                    j = drawn[i]
                    theta_slope[j], log_alpha_slope[j] = some_theta_slope[i], some_log_alpha_slope[i]
                    product[j - first] = some_products[i]
                    drawn[n_drawn] = j
                    n_drawn += U64(gate[i] > 0)
                drawn[n_drawn] = first
            else:
                n_drawn = list_open(gate, first, n, drawn)
            if n_gathered < n:
                prefetch_not_gathered(entries, first, drawn, n_drawn, gradient, n_lines)
            if ordered and n_drawn == n:
                scattered += scatter_all(entries, first, n, product, out)
            else:
                scattered += scatter(entries, first, product, drawn, n_drawn, out)
            first += n
            n = n_next
        counts[chunk, 0] += gathered
        counts[chunk, 1] += scattered
        counts[chunk, 2] += closed
        if bad:
            first_bad[chunk] = min(first_bad[chunk], np.int64(noise.epoch))


@jit
def add_up(sums, starts, out):
    """Write the sum over chunks, in their order, less its starts; return whether all of it is finite."""
    for i in range(U64(out.size)):
        out[i] = sums[0, i] - starts[i]
    for chunk in range(1, len(sums)):
        for i in range(U64(out.size)):
            out[i] += sums[chunk, i] - starts[i]
    bad = 0
    for i in range(U64(out.size)):
        bad += 0 if abs(out[i]) <= LARGEST_FLOAT64 else 1
    return bad == 0


# --- products with M


@jit
def matvec(entries, coefficients, out):
    """Write M @ coefficients."""
    n = U64(coefficients.size)
    listed = np.empty(n + ONE, np.uint64)
    out[:] = 0.0
    n_open = list_open((coefficients != 0).astype(np.float32), ZERO, n, listed)
    scatter(entries, ZERO, coefficients, listed, n_open, out)


@jit
def rmatvec(entries, rows, everywhere, out):
    """Write M.T @ rows; `everywhere` is 1 for every column."""
    n = U64(out.size)
    listed = np.empty(n + ONE, np.uint64)
    n_open = list_open(everywhere, ZERO, n, listed)
    gather(entries, ZERO, n, rows, listed, n_open, n_open, ZERO, out)


@jit
def exact_matvec(entries, coefficients, starts, absolute, out):
    """Write M @ coefficients, or abs(M) @ abs(coefficients), as sums that start at `starts`, less these."""
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    for i in range(U64(out.size)):
        out[i] = starts[i]
    for j in range(U64(coefficients.size)):
        coefficient = np.float64(coefficients[j])
        if coefficient != 0:
            for k in range(indptr[j], indptr[j + ONE]):
                product = with_bits(coefficient * data[k], ONE)
                out[indices[k]] += abs(product) if absolute else product
    for i in range(U64(out.size)):
        out[i] -= starts[i]


@jit
def row_extents(entries, counts, largest):
    """Write the number of entries of each row, and the size of its largest one."""
    for k in range(U64(entries.data.size)):
        row = entries.indices[k]
        counts[row] += 1.0
        largest[row] = max(largest[row], np.float64(abs(entries.data[k])))
