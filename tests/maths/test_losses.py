"""Each loss against naive loops, its gradient against central differences."""

import math

import array_api_strict
import numpy as np
import oracles
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import squares

from l0np.maths import LOSSES, SquaredErrors
from l0np.maths.losses import AbsoluteErrors


def gradient(loss, prediction):
    out = np.full(len(prediction), np.nan)
    loss.gradient(np.array(prediction), out=out)
    return out


numbers = st.floats(-50, 50)
positive = st.floats(0.1, 20)


@st.composite
def problems(draw):
    n = draw(st.integers(1, 5))

    def several(elements):
        return draw(st.lists(elements, min_size=n, max_size=n))

    tolerances = several(st.one_of(st.just(0.0), positive))
    caps = several(st.one_of(st.just(math.inf), positive))
    return (
        several(numbers),
        several(numbers),
        several(positive),
        several(st.one_of(st.just(0.0), st.floats(0.1, 3))),
        tolerances,
        caps,
    )


@given(st.data(), st.sampled_from(["mse", "relative"]))
def test_plain_squares_and_their_gradient(data, name):
    n = data.draw(st.integers(1, 6))
    vector = st.lists(st.floats(-50, 50), min_size=n, max_size=n)
    prediction, weights = data.draw(vector), data.draw(st.lists(st.floats(0, 3), min_size=n, max_size=n))
    y = data.draw(st.lists(st.floats(0, 50), min_size=n, max_size=n))
    loss = squares(name, np.array(y), np.array(weights))
    relative = name == "relative"
    assert float(loss.value(np.array(prediction))) == pytest.approx(
        oracles.data_loss(prediction, y, weights, relative), rel=1e-9
    )
    gradient = np.empty(n)
    loss.gradient(np.array(prediction), out=gradient)
    for i in range(n):
        numeric = oracles.slope(lambda p: oracles.data_loss(p, y, weights, relative), prediction, i)
        assert gradient[i] == pytest.approx(numeric, rel=1e-5, abs=1e-5)


@given(problems())
def test_robust_loss_and_its_gradient(problem):
    prediction, y, scales, weights, tolerances, caps = problem
    loss = SquaredErrors(*(np.array(a) for a in (y, scales, weights, tolerances, caps)))
    expected = oracles.robust_loss(prediction, y, scales, weights, tolerances, caps)
    assert float(loss.value(np.array(prediction))) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    result = gradient(loss, prediction)
    for i, (p, t, tolerance) in enumerate(zip(prediction, y, tolerances, strict=True)):
        assume(abs(abs(p - t) - tolerance) > 1e-3)
        numeric = oracles.slope(
            lambda p: oracles.robust_loss(p, y, scales, weights, tolerances, caps), prediction, i
        )
        assert result[i] == pytest.approx(numeric, rel=1e-4, abs=1e-5)


@given(problems())
def test_caps_bound_the_loss_and_leave_a_slope(problem):
    _, y, scales, weights, tolerances, caps = problem
    loss = SquaredErrors(*(np.array(a) for a in (y, scales, weights, tolerances, caps)))
    far = np.array(y) + 1e6
    bounds = sum(g * c for g, c in zip(weights, caps, strict=True) if math.isfinite(c))
    if all(math.isfinite(c) for c in caps):
        assert float(loss.value(far)) <= bounds * (1 + 1e-12)
    slopes = gradient(loss, far)
    assert ((slopes > 0) == (np.array(weights) > 0)).all()


def test_no_loss_and_no_slope_inside_the_tolerance():
    loss = SquaredErrors(np.array([5.0, 5.0]), np.ones(2), np.ones(2), tolerance=np.array([2.0, 2.0]))
    assert float(loss.value(np.array([6.9, 3.0]))) == 0.0
    assert gradient(loss, [6.9, 3.0]).tolist() == [0.0, 0.0]
    assert gradient(loss, [8.0, 1.0]).tolist() == [2.0, -4.0]


def test_without_tolerance_and_cap_it_is_the_plain_loss():
    rng = np.random.default_rng(0)
    y, scale, weights, prediction = rng.random((4, 30)) + 0.5
    plain = SquaredErrors(y, scale, weights)
    robust = SquaredErrors(y, scale, weights, tolerance=np.zeros(30), cap=np.full(30, np.inf))
    assert plain.plain_squares
    assert not robust.plain_squares
    assert float(robust.value(prediction)) == pytest.approx(float(plain.value(prediction)), rel=1e-14)
    assert np.array_equal(gradient(robust, prediction), gradient(plain, prediction))


@given(problems())
def test_absolute_errors_and_their_gradient(problem):
    prediction, y, scales, weights, tolerances, caps = problem
    loss = AbsoluteErrors(*(np.array(a) for a in (y, scales, weights, tolerances, caps)))
    smooth = AbsoluteErrors.SMOOTH

    def value(prediction):
        return oracles.absolute_loss(prediction, y, scales, weights, tolerances, caps, smooth)

    assert float(loss.value(np.array(prediction))) == pytest.approx(value(prediction), rel=1e-12, abs=1e-12)
    result = gradient(loss, prediction)
    for i, (p, t, tolerance, scale, cap) in enumerate(
        zip(prediction, y, tolerances, scales, caps, strict=True)
    ):
        beyond = max(abs(p - t) - tolerance, 0.0)
        kinks = (0.0 if tolerance else -1.0, smooth * scale, (cap + 0.5 * smooth) * scale)
        assume(all(abs(beyond - kink) > 1e-4 for kink in kinks))
        numeric = oracles.slope(value, prediction, i, step=1e-6)
        assert result[i] == pytest.approx(numeric, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("x", [0.0, 2e-4, -7e-4, 9.99e-4])
def test_absolute_errors_are_smooth_near_0(x):
    loss = AbsoluteErrors(np.zeros(1), np.ones(1), np.ones(1))
    numeric = oracles.slope(lambda p: float(loss.value(np.array(p))), [x], 0, step=1e-7)
    assert gradient(loss, [x])[0] == pytest.approx(x / AbsoluteErrors.SMOOTH, abs=1e-12)
    assert numeric == pytest.approx(x / AbsoluteErrors.SMOOTH, abs=1e-6)


def test_a_target_that_costs_its_cap_has_no_slope_and_a_nan_stays_one():
    loss = AbsoluteErrors(np.zeros(3), np.ones(3), np.ones(3), cap=np.full(3, 2.0))
    prediction = np.array([100.0, 1.0, np.nan])
    assert gradient(loss, prediction)[:2].tolist() == [0.0, 1.0]
    assert np.isnan(gradient(loss, prediction)[2])
    assert np.isnan(loss.value(prediction))
    assert float(loss.value(prediction[:1].repeat(3))) == 6.0


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_run_on_any_namespace_and_leave_the_prediction_alone(name):
    arrays = [np.array([1.0, 2.0]), np.ones(2), np.ones(2), np.array([0.1, 0.0]), np.array([np.inf, 2.0])]
    strict, prediction = LOSSES[name](*(array_api_strict.asarray(a) for a in arrays)), np.array([3.0, 1.0])
    given, out = (
        array_api_strict.asarray(prediction),
        array_api_strict.empty(2, dtype=array_api_strict.float64),
    )
    strict.gradient(given, out=out)
    assert np.array_equal(np.asarray(out), gradient(LOSSES[name](*arrays), prediction))
    assert np.array_equal(np.asarray(given), prediction)
    default = LOSSES[name].default_scale(given)
    assert np.array_equal(np.asarray(default), LOSSES[name].default_scale(prediction))
