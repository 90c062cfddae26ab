"""The Hard Concrete gate: values against naive oracles, derivatives against central differences."""

import math

import numpy as np
import oracles
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from l0np.maths import philox
from l0np.maths.exponential import exp_float32
from l0np.maths.hard_concrete import HardConcrete, log_alpha_of

gates = st.builds(
    HardConcrete, st.floats(0.1, 2), st.floats(-0.5, -0.01), st.floats(1.01, 1.5), st.booleans()
)
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
    numeric = oracles.slope(
        lambda a: oracles.prob_open(a[0], gate.beta, gate.gamma, gate.zeta), [log_alpha], 0
    )
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


def test_the_fraction_of_open_gates_is_the_probability():
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
def test_with_temperature_a_gate_is_active_where_it_was_likelier_open_than_closed(beta, log_alpha):
    gate = HardConcrete(beta=beta)
    assume(abs(oracles.prob_open(log_alpha, beta, -0.1, 1.1) - 0.5) > 1e-9)
    assert (gate.test_time_gate(column(log_alpha))[0] > 0) == (gate.prob_open(column(log_alpha))[0][0] > 0.5)


def test_exp_is_exact_to_two_units_in_the_last_place():
    x = np.linspace(-86, 86, 300_001).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.abs(exp_float32(x) / exact - 1).max() < 2**-22
    assert (
        exp_float32(np.array([-1e30, 1e30], np.float32)) == exp_float32(np.array([-86, 86], np.float32))
    ).all()


@pytest.mark.parametrize("temperature", [True, False])
@pytest.mark.parametrize(
    ("beta", "gamma", "zeta"), [(0.35, -0.1, 1.1), (2.0, -1e-12, 1.5), (0.1, -3.0, 1.01)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gates_that_cannot_be_active_are_0(dtype, beta, gamma, zeta, temperature):
    gates = HardConcrete(beta, gamma, zeta, temperature)
    log_alpha = np.linspace(-40, 40, 200_001).astype(dtype)
    gate, may = gates.test_time_gate(log_alpha), gates.may_be_active(log_alpha)
    assert (gate[~may] == 0).all()
    assert np.count_nonzero(may) <= np.count_nonzero(gate) + 100  # only within rounding of the bound


def test_the_penalty_without_its_gradient():
    gates, log_alpha = HardConcrete(0.4), np.linspace(-30, 30, 1001).astype(np.float32)
    assert gates.expected_open(log_alpha) == np.sum(gates.prob_open(log_alpha)[0], dtype=np.float64)


@given(gates, log_alphas)
def test_derivative_of_the_test_time_gate(gate, log_alpha):
    constants = gate.beta, gate.gamma, gate.zeta, gate.test_time_temperature

    def value(a):
        return oracles.test_time_gate(a[0], *constants)

    assume(abs(abs(log_alpha) - 20) > 1e-3)
    around = [value([log_alpha + step]) for step in (-1e-3, 0, 1e-3)]
    assume(len({z in (0, 1) for z in around}) == 1)  # away from where it is clipped
    numeric = oracles.slope(value, [log_alpha], 0)
    assert gate.test_time_slope(column(log_alpha))[0] == pytest.approx(numeric, rel=1e-5, abs=1e-9)


def test_log_alpha_of_keep_probabilities():
    keep = np.array([0.0, 1e-6, 0.2, 0.5, 1.0])
    expected = [math.log(p / (1 - p)) for p in (1e-6, 1e-6, 0.2, 0.5, 1 - 1e-6)]
    assert log_alpha_of(keep) == pytest.approx(expected)
