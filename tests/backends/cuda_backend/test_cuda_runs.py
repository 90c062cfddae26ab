"""The same numbers on CUDA as elsewhere, with and without graphs, whatever the card."""

import pickle
from functools import partial

import cupy_stand_in
import numpy as np
import pytest
from cuda_support import FIT, calibration, needs_stand_in, regression_problem, run, without_a_graph
from scipy import sparse
from support import HAS_CUDA, needs_cuda, same_state, small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.backends import BACKENDS, BackendEntry
from l0np.backends.cuda import CupyBackend

short_fits = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")
pytestmark = [needs_cuda, pytest.mark.cuda, short_fits]


@pytest.mark.parametrize(("first", "second"), [("cuda", "numpy"), ("numpy", "cuda")])
def test_a_run_continues_with_the_other_device(first, second):
    M, y = small_problem()
    whole = calibration(40, "numpy").fit(M, y, epochs=200, **FIT)
    start = calibration(40, first).fit(M, y, epochs=100, **FIT)
    end = calibration(40, second)
    end.load_state_dict(start.state_dict())
    end.fit(M, y, epochs=100, **FIT)
    # Float32; what differs is the order of sums, and thereby their last digits
    for name in ("log_weight", "log_alpha"):
        np.testing.assert_allclose(getattr(end, name), getattr(whole, name), rtol=0, atol=1e-4)
    assert end.epoch_ == 200


@pytest.mark.parametrize("epochs", [1, 31, 32, 33, 100])
def test_graphs_change_nothing(epochs):
    M, y = small_problem()
    X, z = regression_problem()
    for at_once, single, data, fit in (
        (calibration(40), calibration(40), (M, y), FIT),
        (
            SparseL0Linear(12, seed=1, device="cuda"),
            SparseL0Linear(12, seed=1, device="cuda"),
            (X, z),
            {"lr": 0.1},
        ),
    ):
        at_once.fit(*data, epochs=epochs, **fit)
        for _ in range(epochs):
            single.fit(*data, epochs=1, **fit)
        assert same_state(at_once.state_dict(), single.state_dict())


@pytest.mark.parametrize("scheduled", [1, 33, 64])
def test_constants_that_come_in_several_pieces_change_nothing(scheduled, monkeypatch, cuda_somewhere):
    M, y = small_problem()
    fit = FIT | {"lr": lambda epoch: 0.1 / (1 + 0.01 * epoch)}
    at_once = calibration(40).fit(M, y, epochs=100, **fit)
    monkeypatch.setitem(BACKENDS, "pieces", BackendEntry(lambda: partial(CupyBackend, 0, scheduled)))
    assert same_state(
        at_once.state_dict(), calibration(40, "pieces").fit(M, y, epochs=100, **fit).state_dict()
    )


@needs_stand_in
def test_epochs_are_replayed_from_a_graph_where_kernels_do_all_of_it(cuda_somewhere):
    M, y = small_problem()
    calibration(40).fit(M, y, epochs=99, **FIT)  # from 100 on the host looks at the trend of the loss
    # of 32 epochs each; the first 32 and the last 3 run without a graph
    assert cupy_stand_in.Graph.replays == 2


@needs_stand_in
def test_few_epochs_between_two_looks_are_a_graph_from_the_second_time_on(cuda_somewhere):
    M, y = small_problem()
    model = calibration(40).fit(M, y, epochs=80, n_active=5, lr=0.1, loss_type="relative")
    assert cupy_stand_in.Graph.replays == 15  # of 5 epochs each: the controller looks at each fifth
    cupy_stand_in.Graph.replays = 0
    model.fit(M, y, epochs=80, verbose_freq=20, lambda_l0=1e-3, lr=0.1, loss_type="relative")
    assert cupy_stand_in.Graph.replays == 3


@pytest.mark.parametrize("intercept", [False, True])
def test_schedules_and_intercept_in_a_graph(intercept, cuda_somewhere):
    ours, losses = run("cuda", 80, intercept=intercept)
    reference, expected = run("numpy", 80, intercept=intercept)
    np.testing.assert_allclose(ours.theta.value, reference.theta.value, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert (ours.epoch, ours.adam_step) == (80, 80)
    assert HAS_CUDA or cupy_stand_in.Graph.replays == 2  # 32 epochs and 8, each the second time


@needs_stand_in
def test_the_order_of_threads_and_blocks_does_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    M = sparse.random_array((50, 700), density=0.3, rng=rng)
    y = M @ rng.lognormal(size=700)
    runs = [calibration(700).fit(M, y, epochs=5, **FIT).state_dict()]
    monkeypatch.setattr(cupy_stand_in, "BACKWARDS", [True])
    runs.append(calibration(700).fit(M, y, epochs=5, **FIT).state_dict())
    for processors, threads in ((1, 32), (7, 64)):  # other cards
        monkeypatch.setattr(cupy_stand_in, "PROCESSORS", processors)
        monkeypatch.setattr(cupy_stand_in.Kernel, "max_threads_per_block", threads)
        runs.append(calibration(700).fit(M, y, epochs=5, **FIT).state_dict())
    monkeypatch.setattr(cupy_stand_in, "SHARED_LIMIT", 0)  # sums in device memory
    runs.append(calibration(700).fit(M, y, epochs=5, **FIT).state_dict())
    assert all(same_state(runs[0], run) for run in runs[1:])


@pytest.mark.slow  # every CUDA thread is a thread here
@pytest.mark.parametrize("kind", ["calibration", "regression"])
def test_a_unit_that_grew_too_small_is_repaired_within_a_graph(kind, backend):
    """The heaviest weight passes 16, 256 and more: visits that only repair take slots of the graphs."""
    rng = np.random.default_rng(2)
    M = rng.random((4, 30))
    y = M.sum(axis=1) * 3000.0

    def model(device="cuda"):
        kinds = {"calibration": SparseCalibrationWeights, "regression": SparseL0Linear}
        return kinds[kind](30, seed=1, device=device, init_keep_prob=0.9)

    fit = {"lr": 0.3, "loss_type": "relative"} if kind == "calibration" else {"lr": 20.0}
    at_once, single, oracle = model().fit(M, y, epochs=96, **fit), model(), model("numpy")
    for _ in range(96):
        single.fit(M, y, epochs=1, **fit)
    theta = at_once.state_dict()["log_weight" if kind == "calibration" else "weight"]
    heaviest = np.exp(theta).max() if kind == "calibration" else np.abs(theta).max()
    assert heaviest > 256
    assert same_state(at_once.state_dict(), single.state_dict())
    assert at_once.epoch_ == 96
    oracle.fit(M, y, epochs=96, **fit)
    for name in ("log_alpha", "log_weight" if kind == "calibration" else "weight"):
        ours, theirs = getattr(at_once, name), getattr(oracle, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())


@without_a_graph
@pytest.mark.parametrize(
    "asked", [{}, {"tolerances": 0.02}], ids=["kernels alone", "a loss without a kernel"]
)
@pytest.mark.parametrize("n_active", [5, 40])
def test_lambda_l0_is_controlled_as_on_the_reference(n_active, asked, cuda_somewhere):
    """For 5 of 40 it rises above 0 and swings below; to hold all 40 open it is below 0 from the first."""
    M, y = small_problem()
    fit = {"lr": 0.1, "loss_type": "relative", "n_active": n_active, **asked}
    ours, reference, chunks = (
        calibration(40, device, dtype="float64") for device in ("cuda", "numpy", "cuda")
    )
    ours.fit(M, y, epochs=103, **fit)
    reference.fit(M, y, epochs=103, **fit)
    multipliers = []
    for epochs in (33, 2, 45, 23):
        multipliers.append(chunks.fit(M, y, epochs=epochs, **fit).lambda_l0_)
    np.testing.assert_allclose(ours.lambda_l0_, reference.lambda_l0_, rtol=1e-6)
    np.testing.assert_allclose(ours.log_alpha, reference.log_alpha, rtol=0, atol=1e-7)
    assert min(multipliers) < 0
    assert (max(multipliers) > 0) == (n_active == 5)
    assert ours.get_active_weights()["count"] == n_active
    assert same_state(ours.state_dict(), chunks.state_dict())


def test_models_on_a_device_can_be_pickled(cuda_somewhere):
    M, y = small_problem()
    model = calibration(40).fit(M, y, epochs=5, **FIT)
    again = pickle.loads(pickle.dumps(model))
    assert same_state(
        model.fit(M, y, epochs=5, **FIT).state_dict(), again.fit(M, y, epochs=5, **FIT).state_dict()
    )
