"""What options on targets do to a training."""

import numpy as np
import pytest
from support import DEVICES, same_state, small_problem

from l0np import Aggregate, SparseCalibrationWeights

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits

Q = 6
Y = [10.0, 200.0, -30.0, 4.0, 5000.0, 7.0]
# On CUDA a loss without a kernel of its own is announced as slow; here it is only to be right
slower_on_cuda = pytest.mark.filterwarnings("ignore::l0np.errors.PerformanceWarning")


OPTIONS = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative", "epochs": 40}


def model(n=40, **options):
    return SparseCalibrationWeights(n, **({"seed": 5, "beta": 0.5, "device": "numpy"} | options))


@pytest.mark.parametrize("device", DEVICES)
def test_options_that_change_nothing_change_nothing(device):
    M, y = small_problem()
    plain = model(device=device).fit(M, y, **OPTIONS).state_dict()
    same = (
        model(device=device)
        .fit(M, y, target_weights=1.0, tolerances=0.0, caps=np.inf, exclude=[], **OPTIONS)
        .state_dict()
    )
    assert same_state(plain, same)


def test_an_excluded_target_is_as_good_as_not_there():
    M, y = small_problem()
    kept = [0, 1, 3, 4]
    for options in ({}, {"target_groups": np.array([1, 1, 1, 2, 2, 2])}):
        shorter = {name: value[kept] for name, value in options.items()}
        without = model().fit(M[kept], y[kept], **OPTIONS, **shorter)
        excluded = model().fit(M, y, exclude=[2, 5], **OPTIONS, **options)
        np.testing.assert_allclose(excluded.log_weight, without.log_weight, atol=1e-5)
        changed = y.copy()
        changed[[2, 5]] = [-1.0, 1e9]
        assert same_state(
            excluded.state_dict(), model().fit(M, changed, exclude=[2, 5], **OPTIONS, **options).state_dict()
        )


@slower_on_cuda
@pytest.mark.parametrize("device", DEVICES)
def test_a_capped_outlier_does_not_crush_the_others(device):
    M = np.vstack([np.ones(3), np.eye(3)])  # a nation, said to be empty, and its three districts
    poisoned, true = [0.0, 10.0, 20.0, 30.0], np.array([10.0, 20.0, 30.0])
    fit = {"lambda_l0": 0.0, "lr": 0.05, "epochs": 600, "loss_type": "relative"}

    def error_of_districts(**options):
        fitted = model(3, device=device, use_gates=False, init_weights=15.0).fit(
            M, poisoned, **fit, **options
        )
        return np.abs(fitted.predict(M)[1:] / true - 1).max()

    assert error_of_districts() > 0.9
    assert error_of_districts(caps=1.0) < 0.05


def test_tolerances_are_used_up_and_not_more():
    M, y = small_problem()
    off = y * np.array([1.3, 1, 1, 1, 1, 1])
    fitted = model(use_gates=False).fit(
        M, off, lambda_l0=0.0, lambda_l2=1e-3, lr=0.02, epochs=1500, tolerances=0.5
    )
    errors = np.abs(fitted.predict(M) - off)
    assert 0.4 < errors.max() < 0.6


@slower_on_cuda
@pytest.mark.parametrize("device", DEVICES)
def test_aggregates_are_met(device):
    M, y = small_problem()
    wanted = [1.5 * y[:3].sum(), 0.7 * y[3:].sum()]
    state = Aggregate(["n", "n", "n", "s", "s", "s"], totals=wanted, weight=1000.0)
    fit = {"lambda_l0": 0.0, "lr": 0.05, "epochs": 800, "loss_type": "relative"}
    estimate = model(device=device, use_gates=False).fit(M, y, aggregates=state, **fit).predict(M)
    np.testing.assert_allclose([estimate[:3].sum(), estimate[3:].sum()], wanted, rtol=0.02)


def test_weights_of_targets_decide_between_contradictory_ones():
    M = np.vstack([np.ones(5), np.ones(5)])
    fit = {"lambda_l0": 0.0, "lr": 0.05, "epochs": 800, "target_weights": [3.0, 1.0]}
    estimate = model(5, use_gates=False).fit(M, [10.0, 20.0], **fit).predict(M)
    assert estimate[0] == pytest.approx((3 * 10 + 20) / 4, rel=1e-3)


def test_scales_take_the_place_of_the_loss_type():
    M, y = small_problem()
    fit = {"lr": 0.1, "epochs": 20}
    scaled = model().fit(M, y, loss_type="mse", target_scales=y + 1, **fit)
    other = model().fit(M, y, loss_type="relative", target_scales=y + 1, **fit)
    assert same_state(scaled.state_dict(), other.state_dict())
    relative = model().fit(M, y, loss_type="relative", **fit)
    np.testing.assert_allclose(scaled.log_weight, relative.log_weight, atol=1e-5)
