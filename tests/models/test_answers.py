"""What trained models report: weights, supports, sparsity, gates at test time, statistics."""

import numpy as np
import pytest
from both_models import FIT, calibration
from support import DEVICES, needs_speed, same_state, small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


@pytest.mark.slow  # trains hundreds of epochs
@needs_speed
@pytest.mark.parametrize("device", DEVICES)
def test_calibration_selects_records_that_meet_the_targets(device):
    M, y = small_problem(10, 200, density=0.7)
    model = SparseCalibrationWeights(200, beta=0.35, seed=0, device=device)
    model.fit(M, y, lambda_l0=3e-3, lr=0.1, epochs=600, loss_type="relative")
    active = model.get_active_weights()
    weights = model.get_weights(deterministic=True)
    assert 10 < active["count"] < 80
    assert np.abs(model.predict(M) / y - 1).max() < 0.1
    assert (weights >= 0).all()
    assert active["count"] == np.count_nonzero(weights) == len(active["indices"])
    assert np.array_equal(weights[active["indices"]], active["values"])
    assert model.get_sparsity() == pytest.approx(1 - active["count"] / 200)


@pytest.mark.slow  # trains a thousand epochs
@needs_speed
@pytest.mark.parametrize("device", DEVICES)
def test_regression_finds_the_support(device):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 12))
    truth = np.zeros(12)
    truth[[2, 5, 7]] = 2.0, -1.5, 1.0
    y = 5 + X @ truth + 0.1 * rng.normal(size=300)
    model = SparseL0Linear(12, seed=0, device=device).fit(X, y, lambda_l0=0.05, lr=0.05, epochs=600)
    assert model.get_selected_features().tolist() == [2, 5, 7]
    np.testing.assert_allclose(model.get_coefficients(), truth, atol=0.05)
    assert model.bias == pytest.approx(5, abs=0.05)
    assert model.get_sparsity() == pytest.approx(9 / 12)
    np.testing.assert_allclose(model.predict(X), X @ model.get_coefficients() + model.bias, rtol=1e-5)


def test_scaling_targets_and_weights_together_scales_the_answer():
    M, y = small_problem()
    one = calibration(dtype="float64", init_weights=1.0).fit(M, y, epochs=50, lambda_l0=0.1, lr=0.05)
    two = calibration(dtype="float64", init_weights=8.0).fit(M / 8, y, epochs=50, lambda_l0=0.1, lr=0.05)
    np.testing.assert_allclose(two.get_weights(True), 8 * one.get_weights(True), rtol=1e-5)


def test_without_gates_log_alpha_stays_and_sparsity_counts_weights():
    M, y = small_problem()
    for lambda_l0 in (None, 5.0):
        model = calibration(use_gates=False)
        before = model.log_alpha.copy()
        model.fit(M, y, epochs=20, lambda_l0=lambda_l0, lr=0.1)
        assert np.array_equal(model.log_alpha, before)
        assert (model.get_sparsity(), model.get_l0_penalty()) == (0, 0)
        assert (model.get_deterministic_gates() == 1).all()
        assert np.array_equal(model.get_weights(), model.get_weights(deterministic=True))


def test_sampled_weights_are_those_of_the_next_epoch():
    model = calibration(400)
    first = model.get_weights()
    assert np.array_equal(first, model.get_weights())
    assert 0 < (first == 0).mean() < 0.6
    M, y = small_problem(6, 400)
    model.fit(M, y, epochs=1, **FIT)
    assert not np.array_equal((first == 0), (model.get_weights() == 0))


def test_keep_probabilities_and_weights_of_any_kind():
    number = SparseCalibrationWeights(
        3, init_keep_prob=np.float32(0.25), init_weights=np.int64(2), log_alpha_jitter_sd=0
    )
    array = SparseCalibrationWeights(
        3, init_keep_prob=np.full(3, 0.25), init_weights=[2, 2, 2], log_alpha_jitter_sd=0
    )
    np.testing.assert_allclose(number.log_alpha, np.log(1 / 3), rtol=1e-6)
    assert np.array_equal(number.log_alpha, array.log_alpha)
    assert np.array_equal(number.log_weight, array.log_weight)
    ends = SparseCalibrationWeights(2, init_keep_prob=[0, 1], init_weights=[0, 3])
    assert np.isfinite(ends.log_alpha).all()
    np.testing.assert_allclose(np.exp(ends.log_weight), [1e-8, 3], rtol=1e-6)
    for extreme in (0, 1.0):
        assert np.isfinite(SparseL0Linear(2, init_keep_prob=extreme).log_alpha).all()


def test_default_lambda_and_its_old_spelling():
    M, y = small_problem()
    runs = [
        SparseL0Linear(40, seed=1).fit(M, y, epochs=5, **given)
        for given in ({}, {"lambda_l0": 0.01}, {"lambda_reg": 0.01})
    ]
    assert all(same_state(run.state_dict(), runs[0].state_dict()) for run in runs)
    default, named = calibration().fit(M, y, epochs=5), calibration().fit(M, y, 0.01, epochs=5)
    assert same_state(default.state_dict(), named.state_dict())


def test_test_time_gates_without_temperature():
    with_, without = (
        calibration(beta=0.3, log_alpha_jitter_sd=1),
        calibration(beta=0.3, log_alpha_jitter_sd=1, test_time_temperature=False),
    )
    sharp, soft = with_.get_deterministic_gates(), without.get_deterministic_gates()
    np.testing.assert_allclose(
        soft, np.clip(1.2 / (1 + np.exp(-with_.log_alpha)) - 0.1, 0, 1), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        sharp, np.clip(1.2 / (1 + np.exp(-with_.log_alpha / 0.3)) - 0.1, 0, 1), rtol=1e-5, atol=1e-6
    )
    assert (np.abs(sharp - 0.5) >= np.abs(soft - 0.5) - 1e-6).all()
    M, y = small_problem()
    assert same_state(
        with_.fit(M, y, epochs=5, **FIT).state_dict(), without.fit(M, y, epochs=5, **FIT).state_dict()
    )
    linear = SparseL0Linear(9, test_time_temperature=False, init_keep_prob=0.7, beta=0.3, seed=0)
    np.testing.assert_allclose(linear.get_deterministic_gates(), 0.7 * 1.2 - 0.1, atol=0.02)


def test_threshold_of_coefficients():
    model = SparseL0Linear(3, seed=0)
    state = model.state_dict()
    state["weight"], state["log_alpha"] = np.array([1.0, 2.0, 3.0]), np.array([-9.0, 0.0, 9.0])
    model.load_state_dict(state)
    assert model.get_deterministic_gates().round(2).tolist() == [0.0, 0.5, 1.0]
    assert model.get_coefficients().round(2).tolist() == [0.0, 1.0, 3.0]
    assert model.get_coefficients(threshold=0.6).tolist() == [0.0, 0.0, 3.0]
    assert model.get_selected_features().tolist() == model.get_selected_features(0.0).tolist() == [1, 2]
    assert model.get_selected_features(0.6).tolist() == [2]


def test_strings_are_group_labels_too():
    M, y = small_problem()
    numbers = calibration().fit(
        M, y, epochs=5, target_groups=[0, 0, 1, 1, 2, 2], group_multipliers={1: 2}, **FIT
    )
    strings = calibration().fit(
        M, list(y), epochs=5, target_groups=list("aabbcc"), group_multipliers={"b": 2}, **FIT
    )
    assert same_state(numbers.state_dict(), strings.state_dict())


@pytest.mark.parametrize("device", DEVICES)
def test_statistics_of_the_last_fit(device):
    M, y = small_problem()
    model = calibration(device=device, init_keep_prob=0.02)
    assert model.statistics_ is None
    model.fit(M, y, epochs=10, **FIT)
    found = model.statistics_
    assert 300 < found.closed < 11 * 40
    assert found.gathered <= 10 * M.nnz
    assert device != "numba" or found.scattered < 0.5 * 11 * M.nnz
    ungated = calibration(device=device, use_gates=False).fit(M, y, epochs=10).statistics_
    assert (ungated.gathered, ungated.scattered, ungated.closed) == (10 * M.nnz, 11 * M.nnz, 0)
