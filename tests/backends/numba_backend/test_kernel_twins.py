"""What Numba's kernels write a second time: constants, gates, and the instructions for LLVM."""

import numpy as np
import pytest
from backend_support import EXACT
from support import HAS_NUMBA, needs_numba

from l0np.backends.numpy.constants import EpochConstants, epoch_constants
from l0np.engine.state import Problem
from l0np.maths import exponential, hard_concrete, philox
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink

pytestmark = needs_numba
if HAS_NUMBA:
    import numba

    from l0np.backends.numba import elementary_kernels, kernels
    from l0np.backends.numba import vector_instructions as vectors

    compiled = numba.njit(error_model="numpy")  # what kernels call cannot be called from Python


def test_constants_of_the_kernels_are_those_of_the_reference():
    single = {
        "LOG2_E": exponential.LOG2_E, "LN2": exponential.LN2, "LN2_HIGH": exponential.LN2_HIGH,
        "LN2_LOW": exponential.LN2_LOW, "UNIFORM_STEP": 2.0**-23,
        "SMALLEST_UNIFORM": hard_concrete.SMALLEST_UNIFORM,
        "LARGEST_UNIFORM": 1 - hard_concrete.SMALLEST_UNIFORM,
    }  # fmt: skip
    k = elementary_kernels
    assert all(getattr(k, name) == np.float32(value) for name, value in single.items())
    assert tuple(map(np.float32, exponential.EXP_TAYLOR)) == k.EXP_TAYLOR
    assert (kernels.LOWEST_F32, kernels.HIGHEST_F32) == (-exponential.EXP_RANGE, exponential.EXP_RANGE)
    words = (k.WORD, k.MULTIPLIER0, k.MULTIPLIER1, k.KEY_STEP0, k.KEY_STEP1, k.GATES, k.ROUNDS)
    assert words == (philox.WORD, *philox.MULTIPLIERS, *philox.KEY_STEPS, philox.GATES, philox.ROUNDS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("beta", [0.35, 10.0])
def test_gates_at_the_border_and_beyond_the_bound(beta, dtype):
    """Draws at the closed probability itself, where one bit decides, and log_alpha beyond the bound."""
    gates = HardConcrete(beta=beta)
    at_the_bound = [20, -20, np.nextafter(20, 30), 21, 25] * 3
    log_alpha = np.concatenate((np.linspace(-25, 25, 401), at_the_bound)).astype(dtype)
    grown = exponential.exp_float32((np.clip(log_alpha, -20, 20) + gates.shift).astype(np.float32))
    border = np.clip(np.float32(1) / (np.float32(1) + grown), np.float32(1e-6), np.float32(1 - 1e-6))
    problem = Problem(None, None, None, ExponentialLink(), lambda epoch: gates, 0.0, lambda epoch: 0.1)
    constants = EpochConstants(*epoch_constants(problem, 0.0, 3, 3, 1, np.dtype(dtype))[0])

    @compiled
    def draw(log_alpha, uniform, constants, gate, slope, is_open):
        n = np.uint64(gate.size)
        n_closed = kernels.decide_open(log_alpha, n, uniform, constants, is_open)
        kernels.gates(log_alpha, n, uniform, is_open, constants, gate, slope)
        return n_closed

    one = np.float32(1)
    for u in (border, np.nextafter(border, 2 * one), np.nextafter(border, -one), np.full_like(border, 0.5)):
        u = np.clip(u, np.float32(1e-6), np.float32(1 - 1e-6))
        gate, slope, is_open = (np.empty_like(log_alpha) for _ in range(3))
        n_closed = draw(log_alpha, u.astype(dtype), constants, gate, slope, is_open)
        expected, expected_slope = gates.sample(log_alpha, u)
        closed = gates.is_closed(log_alpha, u)
        assert n_closed == closed.sum()
        assert ((is_open == 0) == closed).all()
        assert (gate[closed] == 0).all()
        assert (slope[closed] == 0).all()
        assert ((slope == 0) == (expected_slope == 0)).all()
        np.testing.assert_allclose(gate, expected, atol=20 * EXACT[dtype])
        np.testing.assert_allclose(slope, expected_slope, rtol=50 * EXACT[dtype], atol=20 * EXACT[dtype])


@pytest.mark.parametrize(("dtype", "index"), [("float32", "uint16"), ("float64", "int32")])
@pytest.mark.parametrize("bits", [np.uint64(0), np.uint64(1)])
@pytest.mark.parametrize("n_fours", [0, 1, 5])
def test_instructions_for_llvm_do_what_their_plain_twins_do(dtype, index, n_fours, bits):
    rng = np.random.default_rng(1)
    data, rows = rng.normal(size=40).astype(dtype), rng.normal(size=60)
    indices = rng.permutation(60)[:40].astype(index)
    first, n_fours, coefficient = np.uint64(7), np.uint64(n_fours), np.float64(0.3)

    @compiled
    def dot(data, indices, rows, first, n_fours):
        vectors.prefetch(data, first)
        return vectors.dot_fours(data, indices, rows, first, n_fours)

    @compiled
    def add(data, indices, coefficient, first, n_fours, bits, out):
        vectors.add_fours(data, indices, coefficient, first, n_fours, bits, out)

    assert dot(data, indices, rows, first, n_fours) == vectors._plain_dot_fours(
        data, indices, rows, first, n_fours
    )
    ours, expected = rows.copy(), rows.copy()
    add(data, indices, coefficient, first, n_fours, bits, ours)
    vectors._plain_add_fours(data, indices, coefficient, first, n_fours, bits, expected)
    assert np.array_equal(ours, expected)
    set_bits = compiled(lambda x, bits: vectors.with_bits(x, bits))
    for x in (coefficient, np.float64(-2.0), np.float64(0.0)):
        assert set_bits(x, bits) == vectors._plain_with_bits(x, bits)


def test_a_chunk_is_claimed_once():
    @compiled
    def claim(taken, chunk):
        return vectors.claim(taken, chunk)

    for function in (claim, vectors._plain_claim):
        taken = np.zeros(3, np.int64)
        assert [bool(function(taken, chunk)) for chunk in (1, 1, 0, 1)] == [True, False, True, False]
        assert taken.tolist() == [1, 1, 0]
