"""Penalties and Adam against naive oracles."""

import math

import numpy as np
import oracles
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l0np.maths.adam import Parameter, adam_update
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink, IdentityLink
from l0np.maths.penalties import l0_penalty, l2_penalty


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


@given(st.lists(st.tuples(st.floats(-4, 4), st.floats(-4, 4)), min_size=1, max_size=5))
def test_l2_penalty_with_an_anchor(pairs):
    values, anchor = zip(*pairs, strict=True)
    value, gradient = l2_penalty(np.array(values), ExponentialLink(), np.array(anchor))

    def naive(thetas):
        return oracles.squared_distances(map(math.exp, thetas), map(math.exp, anchor))

    assert value == pytest.approx(naive(values), rel=1e-12, abs=1e-12)
    for i in range(len(values)):
        numeric = oracles.slope(naive, values, i)
        assert gradient[i] == pytest.approx(numeric, rel=1e-6, abs=1e-6 * max(1.0, value))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_l2_penalty_at_its_anchor_is_0_and_overflows_to_infinity(dtype):
    anchor = np.array([-18.4, 8.1, 80.0], dtype)
    value, gradient = l2_penalty(anchor.copy(), ExponentialLink(), anchor)
    assert value == 0
    assert (gradient == 0).all()
    with np.errstate(over="ignore"):
        value, gradient = l2_penalty(np.full(3, 900, dtype), ExponentialLink(), anchor)
    assert value == np.inf
    assert (gradient == np.inf).all()
    value, gradient = l2_penalty(np.full(3, -900, dtype), ExponentialLink(), anchor)
    assert value == 3
    assert (gradient == 0).all()


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=6))
def test_adam(gradients):
    parameter = Parameter.start(np.array([1.0, -2.0, 0.5]))
    for step, gradient in enumerate(gradients, start=1):
        adam_update(parameter, np.array(gradient), 0.1, step)
    np.testing.assert_allclose(
        parameter.value, oracles.adam([1.0, -2.0, 0.5], gradients, 0.1), rtol=1e-9, atol=1e-12
    )
