"""Floor 1: values against the naive oracles, derivatives against central differences."""

import itertools
import math

import numpy as np
import oracles
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special

from l0np import schedules
from l0np.maths import philox
from l0np.maths.adam import Parameter, adam_update
from l0np.maths.exponential import exp_float32
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink, IdentityLink
from l0np.maths.penalties import l0_penalty, l2_penalty
from l0np.targets import metrics
from l0np.targets.weights import group_weights

gates = st.builds(HardConcrete, st.floats(0.1, 2), st.floats(-0.5, -0.01), st.floats(1.01, 1.5), st.booleans())
log_alphas = st.floats(-25, 25)
uniforms = st.integers(0, 2**23 - 1).map(lambda k: (k + 0.5) * 2.0**-23)


def column(*values):
    return np.array(values, dtype=np.float64)


@given(gates, log_alphas)
def test_probability_of_being_open(gate, log_alpha):
    p, _ = gate.prob_open(column(log_alpha))
    assert p[0] == pytest.approx(oracles.prob_open(log_alpha, gate.beta, gate.gamma, gate.zeta), rel=1e-12)


@given(gates, log_alphas)
def test_derivative_of_the_probability(gate, log_alpha):
    assume(abs(abs(log_alpha) - 20) > 1e-3)
    numeric = oracles.slope(lambda a: oracles.prob_open(a[0], gate.beta, gate.gamma, gate.zeta), [log_alpha], 0)
    assert gate.prob_open(column(log_alpha))[1][0] == pytest.approx(numeric, rel=1e-6, abs=1e-10)


@given(gates, log_alphas, uniforms)
def test_sampled_gate_and_its_derivative(gate, log_alpha, u):
    constants = gate.beta, gate.gamma, gate.zeta
    bar = oracles.stretched(log_alpha, u, *constants)
    assume(min(abs(bar), abs(bar - 1)) > 1e-4)
    assume(abs(abs(log_alpha) - 20) > 1e-3)
    z, dz = gate.sample(column(log_alpha), np.array([u], dtype=np.float32))
    assert z[0] == pytest.approx(oracles.gate(log_alpha, u, *constants), rel=1e-9, abs=1e-12)
    numeric = oracles.slope(lambda a: oracles.gate(a[0], u, *constants), [log_alpha], 0)
    assert dz[0] == pytest.approx(numeric, rel=1e-4, abs=1e-7)


@given(gates, log_alphas, uniforms)
def test_gate_is_closed_exactly_where_u_is_below_the_closed_probability(gate, log_alpha, u):
    p_closed = 1 - oracles.prob_open(log_alpha, gate.beta, gate.gamma, gate.zeta)
    u = min(max(u, 1e-6), 1 - 1e-6)
    assume(abs(u - p_closed) > 1e-6)
    closed = gate.is_closed(column(log_alpha), np.array([u], dtype=np.float32))[0]
    assert closed == (u <= p_closed)
    z, dz = gate.sample(column(log_alpha), np.array([u], dtype=np.float32))
    assert not closed or (z[0] == 0 and dz[0] == 0)


def test_a_draw_at_the_border_is_closed():
    gate = HardConcrete()
    log_alpha = np.linspace(-8, 8, 1001, dtype=np.float32)
    border = np.float32(1) / (np.float32(1) + exp_float32(log_alpha + np.float32(gate.shift)))
    assert gate.is_closed(log_alpha, border).all()
    assert not gate.is_closed(log_alpha, np.nextafter(border, np.float32(1))).any()


def test_float32_and_float64_close_the_same_gates():
    u = philox.uniform(np, 3, 0, 0, 0, 20_000)
    log_alpha = np.random.default_rng(0).normal(0, 3, 20_000).astype(np.float32)
    gate = HardConcrete(beta=0.35)
    single, double = gate.is_closed(log_alpha, u), gate.is_closed(log_alpha.astype(np.float64), u)
    assert 0.1 < single.mean() < 0.9
    assert (single != double).sum() <= 1  # the shift is rounded once more in float32


def test_share_of_open_gates_is_the_probability():
    n = 200_000
    gate, log_alpha = HardConcrete(beta=0.35), np.full(200_000, 0.4, np.float32)
    z, _ = gate.sample(log_alpha, philox.uniform(np, 1, 0, 0, 0, n))
    p = gate.prob_open(log_alpha)[0][0]
    assert (z > 0).mean() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))


@given(gates, log_alphas)
def test_test_time_gate(gate, log_alpha):
    expected = oracles.test_time_gate(log_alpha, gate.beta, gate.gamma, gate.zeta, gate.test_time_temperature)
    assert gate.test_time_gate(column(log_alpha))[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    single = gate.test_time_gate(np.array([log_alpha], dtype=np.float32))
    assert single.dtype == np.float32
    assert single[0] == pytest.approx(expected, abs=1e-5)


@given(st.floats(0.1, 2), log_alphas)
def test_with_temperature_a_gate_is_open_where_it_was_likelier_open_than_closed(beta, log_alpha):
    gate = HardConcrete(beta=beta)
    assume(abs(oracles.prob_open(log_alpha, beta, -0.1, 1.1) - 0.5) > 1e-9)
    assert (gate.test_time_gate(column(log_alpha))[0] > 0) == (gate.prob_open(column(log_alpha))[0][0] > 0.5)


def test_exp_is_exact_to_two_units_in_the_last_place():
    x = np.linspace(-86, 86, 300_001).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.abs(exp_float32(x) / exact - 1).max() < 2**-22
    assert (exp_float32(np.array([-1e30, 1e30], np.float32)) == exp_float32(np.array([-86, 86], np.float32))).all()


@given(st.floats(0.1, 3), st.lists(st.floats(-4, 4), min_size=1, max_size=5))
def test_penalties(beta, values):
    gate, x = HardConcrete(beta=beta), np.array(values)
    value, gradient = l0_penalty(x, gate)
    assert value == pytest.approx(sum(oracles.prob_open(a, beta, -0.1, 1.1) for a in values), rel=1e-12)
    for link, square in ((ExponentialLink(), lambda t: math.exp(t) ** 2), (IdentityLink(), lambda t: t**2)):
        value, gradient = l2_penalty(x, link)
        assert value == pytest.approx(sum(map(square, values)), rel=1e-12)
        for i in range(len(values)):
            numeric = oracles.slope(lambda ts, square=square: sum(map(square, ts)), values, i)
            assert gradient[i] == pytest.approx(numeric, rel=1e-6, abs=1e-6)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.booleans(), st.dictionaries(st.integers(0, 3), st.floats(0, 5)))
def test_group_weights(groups, normalize, multipliers):
    multipliers = {g: m for g, m in multipliers.items() if g in groups}
    weights = group_weights(np.array(groups), len(groups), normalize, multipliers)
    np.testing.assert_allclose(weights, oracles.group_weights(groups, normalize, multipliers))


def test_group_weights_add_up_to_the_number_of_groups():
    assert group_weights(np.array(["a", "b", "a", "c"]), 4, True, None).sum() == pytest.approx(3)


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=6))
def test_adam(gradients):
    parameter = Parameter.start(np.array([1.0, -2.0, 0.5]))
    for step, gradient in enumerate(gradients, start=1):
        adam_update(parameter, np.array(gradient), 0.1, step)
    np.testing.assert_allclose(parameter.value, oracles.adam([1.0, -2.0, 0.5], gradients, 0.1), rtol=1e-9, atol=1e-12)


def test_schedules_reach_their_ends_and_stay_there():
    for kind in (schedules.Linear, schedules.Exponential, schedules.Cosine):
        schedule = kind(2.0, 0.5, epochs=10)
        values = [schedule(epoch) for epoch in range(15)]
        assert values[0] == 2.0
        assert values[10:] == pytest.approx([0.5] * 5)
        assert all(a > b for a, b in itertools.pairwise(values[:11]))
    assert schedules.Linear(2.0, 0.5, epochs=0)(0) == 0.5


def test_metrics():
    weights = np.array([0.0, 0.005, 0.05, 0.5, 5.0, 50.0, 5000.0])
    assert metrics.weight_histogram(weights[1:]).tolist() == [1] * 6
    assert metrics.weight_histogram(np.array([0.01, 0.1, 1, 10, 1000.0])).tolist() == [0, 1, 1, 1, 1, 1]
    assert metrics.effective_sample_size(np.zeros(3)) == 0
    assert metrics.effective_sample_size(np.array([1.0, 3.0])) == pytest.approx(16 / 10)


# --- noise


def test_philox_known_answers(golden):
    for case in golden["noise"]["philox4x32_10"]:
        counter = tuple(np.array([word], dtype=np.uint64) for word in case["counter"])
        assert [int(word[0]) for word in philox.philox4x32(counter, tuple(case["key"]))] == case["words"]


def test_uniform_known_answers(golden):
    for case in golden["noise"]["uniform"]:
        for column_, expected in zip(case["columns"], case["u"], strict=True):
            for first in {column_, max(column_ - 5, 0)}:  # whatever column the run of columns starts with
                draws = philox.uniform(np, case["seed"], case["stream"], case["epoch"], first, column_ - first + 1)
                assert draws.dtype == np.float32
                assert draws[-1] == np.float32(expected)


def test_uniforms_stay_inside_the_unit_interval_and_normals_are_their_quantiles():
    draws = philox.uniform(np, 7, philox.LOG_ALPHA_JITTER, 0, 0, 100_000)
    assert 0 < draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1
    assert draws.mean() == pytest.approx(0.5, abs=0.005)
    normals = philox.normal(7, philox.LOG_ALPHA_JITTER, 100_000)
    np.testing.assert_allclose(special.ndtr(normals), draws, rtol=1e-12)


def test_streams_epochs_and_seeds_differ():
    runs = [(0, 0, 0), (1, 0, 0), (2**32, 0, 0), (0, 1, 0), (0, 0, 1)]
    draws = [philox.uniform(np, seed, stream, epoch, 0, 64).tobytes() for seed, stream, epoch in runs]
    assert len(set(draws)) == len(runs)


def test_normal_quantiles_are_scipys_for_every_possible_draw():
    draws = (np.arange(2**23) + 0.5) * 2.0**-23
    np.testing.assert_allclose(philox.normal_quantile(draws), special.ndtri(draws), rtol=3e-15)
