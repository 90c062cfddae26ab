"""Losses that the kernels do not know, and predictions to which other ranks add."""

import warnings

import cupy_stand_in
import numpy as np
import pytest
from cuda_support import FIT, calibration, run, without_a_graph
from support import HAS_CUDA, needs_cuda, small_problem

from l0np.errors import PerformanceWarning

pytestmark = [needs_cuda, pytest.mark.cuda]


class Quartic:
    """A loss that no kernel knows."""

    plain_squares = False

    def __init__(self, target):
        self.target = target

    def value(self, prediction):
        return ((prediction - self.target) ** 4).sum()

    def gradient(self, prediction, out):
        out[...] = prediction
        out -= self.target
        out **= 3
        out *= 4.0


@without_a_graph
@pytest.mark.parametrize("intercept", [False, True])
def test_a_loss_without_a_kernel_runs_through_the_array_api(intercept, cuda_somewhere):
    ours, losses = run("cuda", 80, Quartic, intercept=intercept)
    reference, expected = run("numpy", 80, Quartic, intercept=intercept)
    np.testing.assert_allclose(ours.log_alpha.value, reference.log_alpha.value, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    if intercept:
        np.testing.assert_allclose(ours.intercept.value, reference.intercept.value, atol=1e-9)
    assert HAS_CUDA or cupy_stand_in.Graph.replays == 0


def test_a_loss_without_a_kernel_is_announced_once_in_a_fit(cuda_somewhere):
    M, y = small_problem()
    model = calibration(40)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(M, y, epochs=70, verbose_freq=10, tolerances=0.02, **FIT)
    (warning,) = caught
    assert warning.category is PerformanceWarning
    for part in ("instead of replaying a CUDA graph", "Results do not change", 'device="cpu"', "tolerances"):
        assert part in str(warning.message)
    model.fit(M, y, epochs=3, **FIT)  # and plain squares are not, or this is an error


@without_a_graph
@pytest.mark.parametrize(
    "asked",
    [
        {"tolerances": 0.02},
        {"caps": 0.5},
        {"aggregates": np.array(["a", "a", "b", "b", "b", "a"])},
        {"tolerances": 0.01, "caps": 1.0, "aggregates": np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])},
    ],
    ids=["tolerances", "caps", "labels", "all"],
)
def test_targets_with_tolerances_caps_and_aggregates(asked, cuda_somewhere):
    M, y = small_problem()
    y = y * np.array([1.0, 1.2, 0.8, 1.5, 1.0, 0.7])
    with_all, reference = (
        calibration(40, device, dtype="float64").fit(M, y, epochs=70, **FIT, **asked)
        for device in ("cuda", "numpy")
    )
    plain = calibration(40, "cuda", dtype="float64").fit(M, y, epochs=70, **FIT)
    for name in ("log_weight", "log_alpha"):
        np.testing.assert_allclose(getattr(with_all, name), getattr(reference, name), rtol=0, atol=1e-9)
    assert abs(plain.log_weight - with_all.log_weight).max() > 1e-3


class TwoRanks:
    """As if another rank held a twin of every column and added its prediction in place."""

    rank, size, reproducible = 0, 2, False

    def allreduce(self, array):
        return array + array

    def allgather(self, array):
        return np.concatenate([array, array])


class TwoRanksInPlace(TwoRanks):
    def __init__(self):
        self.seen = None

    def allreduce(self, array):
        if self.seen is None or bool((array != self.seen).any()):
            array += array
            self.seen = array.copy()
        return array


@pytest.mark.parametrize("ranks", [TwoRanks, TwoRanksInPlace])
@pytest.mark.parametrize("intercept", [False, True])
def test_predictions_that_other_ranks_have_added_to(ranks, intercept, cuda_somewhere):
    ours, losses = run("cuda", 80, communicator=ranks(), intercept=intercept)
    reference, expected = run("numpy", 80, communicator=ranks(), intercept=intercept)
    np.testing.assert_allclose(ours.theta.value, reference.theta.value, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert HAS_CUDA or cupy_stand_in.Graph.replays == 0
