"""Exactly k: `fit(..., n_active=k)` of both models, and the governor of lambda_l0 behind it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from support import DEVICES, needs_numba, needs_speed, same_state, small_problem

from l0np import ColumnMatrix, SparseCalibrationWeights, SparseL0Linear, schedules
from l0np.engine.communicator import Serial
from l0np.engine.lambda_control import GOVERNED_EVERY, REFERENCE_RATE, govern, most_open
from l0np.engine.state import Problem, State
from l0np.errors import DivergenceError
from l0np.maths.adam import Parameter
from l0np.maths.hard_concrete import HardConcrete

FIT = {"lr": 0.1, "loss_type": "relative"}


def calibration(n=40, **options):
    return SparseCalibrationWeights(n, **{"seed": 11, "beta": 0.5, "log_weight_jitter_sd": 0.05, **options})


def both_models(n=40, device="cpu", **options):
    return [
        (calibration(n, device=device, **options), FIT),
        (SparseL0Linear(n, seed=3, device=device, **options), {"lr": 0.05}),
    ]


def assert_exactly(model, k, M):
    """Everything that the model tells of its weights agrees that k are active."""
    gates = model.get_deterministic_gates()
    assert gates.dtype == model.dtype
    assert set(gates.tolist()) <= {0.0, 1.0}
    assert gates.sum() == k
    assert model.get_sparsity() == pytest.approx(1 - k / model.n_features)
    chosen = np.flatnonzero(gates)
    if isinstance(model, SparseCalibrationWeights):
        active = model.get_active_weights()
        assert (active["count"], active["indices"].tolist()) == (k, chosen.tolist())
        np.testing.assert_allclose(active["values"], np.exp(model.log_weight[chosen]), rtol=1e-6)
        weights, bias = model.get_weights(deterministic=True), 0.0
        assert np.array_equal(weights, model.get_weights())
    else:
        assert model.get_selected_features().tolist() == model.get_selected_features(1.0).tolist() == chosen.tolist()
        weights, bias = model.get_coefficients(), model.bias
        np.testing.assert_allclose(weights[chosen], model.weight[chosen], rtol=0, atol=2e-38)  # one that is 0 is lifted
    assert np.count_nonzero(weights) == k
    np.testing.assert_allclose(model.predict(M), M @ weights.astype(float) + bias, rtol=1e-6, atol=1e-6)


# --- exactly k are active, always


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("k", [1, 2, 17, 39, 40])
def test_exactly_k_are_active(device, k):
    M, y = small_problem()
    for (model, fit), epochs in itertools.product(both_models(device=device), (0, 3, 60)):
        assert model.fit(M, y, epochs=epochs, n_active=k, **fit) is model
        assert_exactly(model, k, M)


def test_weights_that_underflow_are_still_active():
    M, y = small_problem()
    model = calibration().fit(M, y, epochs=1, **FIT)
    model.load_state_dict(model.state_dict() | {"log_weight": np.full(40, -200.0)})
    active = model.fit(M, y, epochs=0, n_active=7).get_active_weights()
    assert active["count"] == 7
    assert (active["values"] == np.finfo(np.float32).tiny).all()
    unborn = SparseL0Linear(40, seed=1).fit(M, y, epochs=0, n_active=3)  # coefficients are 0 before training
    assert np.count_nonzero(unborn.get_coefficients()) == 3


@given(data=st.data())
def test_most_open_takes_the_k_most_probable_and_breaks_ties_by_weight_then_position(data):
    n = data.draw(st.integers(1, 30))
    levels = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    probability = np.array(data.draw(st.lists(levels, min_size=n, max_size=n)))
    weight = np.array(data.draw(st.lists(st.sampled_from([-2.0, 0.0, 1.0, 2.0]), min_size=n, max_size=n)))
    k = data.draw(st.integers(1, n))
    ranked = sorted(range(n), key=lambda j: (-probability[j], -abs(weight[j]), j))
    assert np.flatnonzero(most_open(probability, weight, k)).tolist() == sorted(ranked[:k])


def test_gates_open_beyond_float32_are_ranked():
    """Logits of 17 and 18 have the same open probability in float32."""
    M, y = small_problem()
    model = calibration(log_alpha_jitter_sd=0.0).fit(M, y, epochs=1, **FIT)
    model.load_state_dict(model.state_dict() | {"log_alpha": np.linspace(19.5, 18.5, 40), "log_weight": np.arange(40.0)})
    model.fit(M, y, epochs=0, n_active=5)
    assert model.get_active_weights()["indices"].tolist() == [0, 1, 2, 3, 4]


# --- the price


def school_like(n=1500):
    """Sums of strata and of two skewed scores over a population, as in the schools example."""
    rng = np.random.default_rng(1)
    strata = rng.choice(20, p=rng.dirichlet(np.full(20, 0.8)), size=n)
    M = np.vstack([np.eye(20)[:, strata], rng.lognormal(6, 1, size=(2, n))])
    M = M[M.any(axis=1)]
    return (
        ColumnMatrix.build(M),
        M.sum(axis=1),
        lambda: SparseCalibrationWeights(n, beta=0.35, seed=0),
        {"loss_type": "relative"},
    )


def readme_like(n=2000):
    rng = np.random.default_rng(0)
    M = sparse.random_array((50, n), density=0.3, format="csc", rng=rng)
    y = M @ (rng.lognormal(2, 1, size=n) * (rng.random(n) < 0.3))
    options = {"beta": 0.35, "log_weight_jitter_sd": 0.05, "seed": 0}
    return (
        ColumnMatrix.build(M),
        y,
        lambda: SparseCalibrationWeights(n, **options),
        {"lambda_l2": 1e-8, "loss_type": "relative"},
    )


def regression_design(scale=1.0, n=300, p=400):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, p))
    y = scale * (X[:, :5].sum(axis=1) + 1.5 * rng.normal(size=n))
    return ColumnMatrix.build(X), y, lambda: SparseL0Linear(p, seed=0), {}


PROBLEMS = {
    "schools": school_like,
    "README": readme_like,
    "regression": regression_design,
    "large loss": lambda: regression_design(1e4),
    "small loss": lambda: regression_design(1e-4),
}
COSINE = schedules.Cosine(0.15, 0.001, epochs=1000)


@needs_numba
@needs_speed
@pytest.mark.parametrize("lr", [0.15, COSINE, 0.01], ids=["0.15", "cosine", "0.01"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_expected_number_of_open_gates_reaches_k(name, lr):
    M, y, new, fit = PROBLEMS[name]()
    n = M.shape[1]
    for share in (0.005, 0.02, 0.1, 0.3, 0.6, 0.9):
        if share * n < 2:
            continue
        k = round(share * n)
        model = new().fit(M, y, lr=lr, epochs=1000, n_active=k, **fit)
        assert model.get_l0_penalty() == pytest.approx(k, rel=0.2), share
        assert np.isfinite(model.lambda_l0_)


def test_the_price_scales_with_the_loss():
    """Adam does not know the scale of a loss, and neither does the governor."""
    M, y = small_problem()
    one, two = (calibration(dtype="float64", log_weight_jitter_sd=0.0) for _ in range(2))
    one.fit(M, y, epochs=200, n_active=10, lr=0.1, target_groups=[0] * 6, group_multipliers={0: 1.0})
    two.fit(M, y, epochs=200, n_active=10, lr=0.1, target_groups=[0] * 6, group_multipliers={0: 2.0**20})
    assert two.lambda_l0_ == pytest.approx(2.0**20 * one.lambda_l0_, rel=1e-2)
    assert one.get_active_weights()["indices"].tolist() == two.get_active_weights()["indices"].tolist()


def test_lambda_l0_after_each_kind_of_fit():
    M, y = small_problem()
    for model, fit in both_models():
        assert model.lambda_l0_ is None
        assert model.fit(M, y, epochs=0, lambda_l0=0.5, **fit).lambda_l0_ is None
        assert model.fit(M, y, epochs=2, **fit).lambda_l0_ == 0.01
        assert model.fit(M, y, epochs=2, lambda_l0=0.5, **fit).lambda_l0_ == 0.5
        found = model.fit(M, y, epochs=50, n_active=5, **fit).lambda_l0_
        assert found not in (0.0, 0.5)
        assert model.state_dict()["lambda_l0"] == found
        assert model.fit(M, y, epochs=2, lambda_l0=0.25, **fit).lambda_l0_ == 0.25
        assert "governor" not in model.state_dict()
        model.reset()
        assert model.lambda_l0_ is None


def look(log_alpha, k, state=None, second_moment=1e-6, epoch=GOVERNED_EVERY):
    """Let the governor look at gates that stand at `log_alpha`."""
    values = np.full(100, float(log_alpha))
    parameter = Parameter(values, np.zeros(100), np.full(100, second_moment))
    governor, price = (None, 0.0) if state is None else (state.governor, state.lambda_l0)
    state = State(parameter, parameter, None, epoch, epoch, 0, lambda_l0=price, governor=governor)
    problem = Problem(None, np.zeros(1), None, None, lambda epoch: HardConcrete(0.5), 0.0, lambda epoch: 0.1)
    govern(problem, state, k, Serial())
    return state


def test_the_price_rises_while_too_many_gates_are_open_and_falls_below_0_while_too_few_are():
    high = look(3.0, k=10)
    prices = [high.lambda_l0]
    for _ in range(5):
        high = look(3.0, 10, high)
        prices.append(high.lambda_l0)
    assert prices[0] > 0
    assert all(later > 2 * earlier for earlier, later in itertools.pairwise(prices))
    low = look(-5.0, k=50)
    assert low.lambda_l0 < 0
    assert look(-5.0, 50, low).lambda_l0 < low.lambda_l0


def test_the_reference_moves_by_little_an_epoch_and_stops_at_k():
    state = look(3.0, k=90)
    references = [state.governor.log_reference]
    for _ in range(9):
        state = look(3.0, 90, state)
        references.append(state.governor.log_reference)
    steps = -np.diff(references)
    assert steps[0] == pytest.approx(REFERENCE_RATE * GOVERNED_EVERY)
    assert steps.max() == steps[0]
    assert references[-1] == np.log(90)


def test_a_price_that_does_not_help_stays_within_bounds():
    state = look(3.0, k=1)
    for _ in range(500):
        state = look(3.0, 1, state)
    assert state.lambda_l0 < 1e9
    assert look(3.0, 1, second_moment=0.0).lambda_l0 > 0  # no gradient at all: the unit is 1
    for _ in range(20):
        state = look(-12.0, 1, state)
    assert state.lambda_l0 < 0


# --- resuming, and what a break leaves


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("parts", [(10,) * 12, (7, 50, 3, 60), (1, 119)], ids=str)
def test_governed_chunks_equal_one_run_bit_for_bit(device, parts):
    M, y = small_problem()
    for (whole, fit), (chunked, _), (elsewhere, _) in zip(*(both_models(device=device) for _ in range(3)), strict=True):
        whole.fit(M, y, epochs=120, n_active=9, **fit)
        for epochs in parts:
            elsewhere.load_state_dict(chunked.state_dict())
            chunked.fit(M, y, epochs=epochs, n_active=9, **fit)
        assert same_state(whole.state_dict(), chunked.state_dict())
        elsewhere.fit(M, y, epochs=parts[-1], n_active=9, **fit)
        assert same_state(whole.state_dict(), elsewhere.state_dict())
        assert whole.lambda_l0_ == elsewhere.lambda_l0_


def test_reports_do_not_change_a_governed_run():
    M, y = small_problem()
    one = calibration().fit(M, y, epochs=103, n_active=9, **FIT)
    two = calibration().fit(M, y, epochs=103, n_active=9, verbose_freq=7, callbacks=[lambda progress: None], **FIT)
    assert same_state(one.state_dict(), two.state_dict())


def test_a_selection_is_kept_in_a_file(tmp_path):
    M, y = small_problem()
    for (model, fit), (other, _) in zip(both_models(), both_models(), strict=True):
        np.savez(tmp_path / "run.npz", **model.fit(M, y, epochs=30, n_active=6, **fit).state_dict())
        with np.load(tmp_path / "run.npz", allow_pickle=False) as stored:
            other.load_state_dict(stored)
        assert_exactly(other, 6, M)
        assert np.array_equal(model.predict(M), other.predict(M))
        assert same_state(model.state_dict(), other.state_dict())
        state = model.state_dict()
        state["selection"][:] = True  # a copy
        assert_exactly(model, 6, M)


def test_a_fit_without_n_active_drops_the_selection_and_trains_on():
    M, y = small_problem()
    for (model, fit), (twin, _) in zip(both_models(), both_models(), strict=True):
        model.fit(M, y, epochs=20, n_active=6, **fit)
        state = model.state_dict()
        model.fit(M, y, epochs=0, **fit)  # does nothing
        assert_exactly(model, 6, M)
        del state["selection"], state["governor"]
        twin.load_state_dict(state)
        model.fit(M, y, epochs=10, lambda_l0=0.02, **fit)
        assert same_state(model.state_dict(), twin.fit(M, y, epochs=10, lambda_l0=0.02, **fit).state_dict())
        assert "selection" not in model.state_dict()
        assert len(set(model.get_deterministic_gates().tolist())) > 2
        assert_exactly(model.fit(M, y, epochs=5, n_active=8, **fit), 8, M)


def test_callbacks_see_the_gates_and_one_that_stops_gets_its_selection():
    M, y = small_problem()
    model, counts = calibration(), []

    def stop(progress):
        assert "selection" not in model.state_dict()
        counts.append(progress.active_count)
        return progress.epoch == 40

    model.fit(M, y, epochs=100, n_active=4, verbose_freq=20, callbacks=[stop], **FIT)
    assert model.epoch_ == 40
    assert counts[0] > 4
    assert_exactly(model, 4, M)
    assert same_state(model.state_dict(), calibration().fit(M, y, epochs=40, n_active=4, **FIT).state_dict())


def test_a_callback_that_stops_may_restore_a_state_which_is_then_selected_from():
    M, y = small_problem()
    model, best = calibration(), {}

    def stop(progress):
        if progress.epoch == 20:
            best.update(model.state_dict())
            return False
        model.load_state_dict(best)
        return True

    model.fit(M, y, epochs=100, n_active=4, verbose_freq=20, callbacks=[stop], **FIT)
    assert model.epoch_ == 20
    assert same_state(model.state_dict(), calibration().fit(M, y, epochs=20, n_active=4, **FIT).state_dict())


def test_an_exception_leaves_the_last_report_without_a_selection():
    M, y = small_problem()

    def interrupt(progress):
        if progress.epoch == 40:
            raise KeyboardInterrupt

    model = calibration()
    with pytest.raises(KeyboardInterrupt):
        model.fit(M, y, epochs=100, n_active=4, verbose_freq=20, callbacks=[interrupt], **FIT)
    assert model.epoch_ == 40
    assert "selection" not in model.state_dict()
    model.fit(M, y, epochs=60, n_active=4, **FIT)  # and goes on as if nothing had been
    assert same_state(model.state_dict(), calibration().fit(M, y, epochs=100, n_active=4, **FIT).state_dict())


def test_divergence_without_a_report_keeps_the_selection_of_before():
    M, y = small_problem()
    model = calibration().fit(M, y, epochs=10, n_active=4, **FIT)
    before = model.state_dict()
    with pytest.raises(DivergenceError):
        model.fit(M, y, epochs=50, n_active=4, lr=1e6)
    assert same_state(model.state_dict(), before)


@needs_numba
def test_backends_agree_on_a_governed_run():
    M, y = small_problem()
    runs = [calibration(dtype="float64", device=device) for device in ("numpy", "numba")]
    numpy, numba = (run.fit(M, y, epochs=100, n_active=8, **FIT) for run in runs)
    assert numpy.get_active_weights()["indices"].tolist() == numba.get_active_weights()["indices"].tolist()
    assert numpy.lambda_l0_ == pytest.approx(numba.lambda_l0_, rel=1e-5)
    np.testing.assert_allclose(numpy.log_alpha, numba.log_alpha, atol=1e-5)
