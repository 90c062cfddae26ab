"""A model goes on where it stands: in chunks, from a file, on another backend, by schedules, in a copy."""

import pickle

import numpy as np
import pytest
from both_models import FIT, both_models, calibration
from support import DEVICES, needs_numba, same_state, small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear, schedules

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


@pytest.mark.slow  # trains a thousand epochs twice
@pytest.mark.parametrize("device", DEVICES)
def test_ten_fits_equal_one_bit_for_bit(device):
    M, y = small_problem()
    for (whole, fit), (parts, _) in zip(both_models(40, device), both_models(40, device), strict=True):
        whole.fit(M, y, epochs=200, **fit)
        for _ in range(10):
            parts.fit(M, y, epochs=20, **fit)
        assert same_state(whole.state_dict(), parts.state_dict())
        assert whole.epoch_ == 200


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_resumes_in_another_model_through_a_file(device, tmp_path):
    M, y = small_problem()
    for (whole, fit), (first, _), (second, _) in zip(
        *(both_models(40, device) for _ in range(3)), strict=True
    ):
        whole.fit(M, y, epochs=60, **fit)
        np.savez(tmp_path / "run.npz", **first.fit(M, y, epochs=25, **fit).state_dict())
        with np.load(tmp_path / "run.npz", allow_pickle=False) as stored:
            second.load_state_dict(stored)
        second.fit(M, y, epochs=35, **fit)
        assert same_state(whole.state_dict(), second.state_dict())


@needs_numba
def test_a_run_goes_on_on_another_backend():
    M, y = small_problem()
    numba, numpy = calibration(device="numba").fit(M, y, epochs=20, **FIT), calibration(device="numpy")
    numpy.load_state_dict(numba.state_dict())
    numba.fit(M, y, epochs=10, **FIT)
    numpy.fit(M, y, epochs=10, **FIT)
    np.testing.assert_allclose(numba.log_weight, numpy.log_weight, atol=1e-4)
    assert (numba.backend_, numpy.backend_) == ("numba", "numpy")


def test_reset_starts_over():
    M, y = small_problem()
    model = calibration()
    start = model.state_dict()
    once = model.fit(M, y, epochs=30, **FIT).state_dict()
    model.reset()
    assert same_state(model.state_dict(), start)
    assert same_state(model.fit(M, y, epochs=30, **FIT).state_dict(), once)


def test_a_seed_fixes_everything_and_none_draws_one():
    M, y = small_problem()
    drawn = SparseCalibrationWeights(40, log_weight_jitter_sd=0.1)
    assert drawn.seed is None
    assert drawn.seed_ != SparseCalibrationWeights(40).seed_
    again = SparseCalibrationWeights(40, log_weight_jitter_sd=0.1, seed=drawn.seed_)
    assert same_state(
        drawn.fit(M, y, epochs=10, **FIT).state_dict(), again.fit(M, y, epochs=10, **FIT).state_dict()
    )
    largest = SparseCalibrationWeights(40, seed=2**64 - 1)
    assert largest.fit(M, y, epochs=2, **FIT).seed_ == 2**64 - 1


@pytest.mark.parametrize("device", DEVICES)
def test_schedules_are_followed_across_fits(device):
    M, y = small_problem()
    schedule = {"lr": schedules.Cosine(0.2, 0.01, epochs=30), "lambda_l0": 1e-2, "loss_type": "relative"}
    whole = calibration(device=device, beta=schedules.Linear(0.8, 0.2, epochs=30)).fit(
        M, y, epochs=30, **schedule
    )
    parts = calibration(device=device, beta=schedules.Linear(0.8, 0.2, epochs=30))
    for _ in range(3):
        parts.fit(M, y, epochs=10, **schedule)
    assert same_state(whole.state_dict(), parts.state_dict())
    constant = calibration(device=device, beta=0.8).fit(M, y, epochs=30, **schedule)
    assert not np.array_equal(whole.log_alpha, constant.log_alpha)


def test_a_schedule_that_says_the_same_changes_nothing():
    M, y = small_problem()
    number = calibration(beta=0.4).fit(M, y, epochs=15, lr=0.1, lambda_l0=0.01)
    called = calibration(beta=lambda epoch: 0.4).fit(M, y, epochs=15, lr=lambda epoch: 0.1, lambda_l0=0.01)
    assert same_state(number.state_dict(), called.state_dict())


@pytest.mark.parametrize("device", DEVICES)
def test_no_epochs_do_nothing(device):
    M, y = small_problem()
    for model, fit in both_models(40, device):
        before = model.state_dict()
        assert model.fit(M, y, epochs=0, **fit) is model
        assert same_state(before, model.state_dict())


def test_models_survive_pickle():
    M, y = small_problem()
    model = calibration().fit(M, y, epochs=5, **FIT)
    twin = pickle.loads(pickle.dumps(model))
    assert same_state(
        model.fit(M, y, epochs=5, **FIT).state_dict(), twin.fit(M, y, epochs=5, **FIT).state_dict()
    )


def test_loaded_weights_are_a_warm_start():
    M, y = small_problem()
    model = SparseL0Linear(40, seed=1)
    model.load_state_dict(model.state_dict() | {"weight": np.arange(40.0), "bias": np.array([5.0])})
    model.fit(M, y, epochs=1, lr=1e-6)
    np.testing.assert_allclose(model.weight, np.arange(40.0), atol=1e-4)
    assert model.bias == pytest.approx(5, abs=1e-4)
