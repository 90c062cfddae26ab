"""`fit(..., n_active=k)` of both models: exactly k columns are active, always."""

import itertools

import numpy as np
import pytest
from both_models import N_ACTIVE_FIT as FIT
from both_models import both_models_for_n_active as both_models
from both_models import calibration
from support import DEVICES, needs_numba, same_state, small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import DivergenceError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


def assert_exactly(model, k, M):
    """Everything that the model reports of its weights agrees that k are active."""
    gates = model.get_deterministic_gates()
    assert gates.dtype == model.dtype
    assert set(gates.tolist()) <= {0.0, 1.0}
    assert gates.sum() == k
    assert model.get_sparsity() == pytest.approx(1 - k / model.n_features)
    selected = np.flatnonzero(gates)
    if isinstance(model, SparseCalibrationWeights):
        active = model.get_active_weights()
        assert (active["count"], active["indices"].tolist()) == (k, selected.tolist())
        np.testing.assert_allclose(active["values"], np.exp(model.log_weight[selected]), rtol=1e-6)
        weights, bias = model.get_weights(deterministic=True), 0.0
        assert np.array_equal(weights, model.get_weights())
    else:
        assert (
            model.get_selected_features().tolist()
            == model.get_selected_features(1.0).tolist()
            == selected.tolist()
        )
        weights, bias = model.get_coefficients(), model.bias
        # one that is 0 is lifted
        np.testing.assert_allclose(weights[selected], model.weight[selected], rtol=0, atol=2e-38)
    assert np.count_nonzero(weights) == k
    np.testing.assert_allclose(model.predict(M), M @ weights.astype(float) + bias, rtol=1e-6, atol=1e-6)


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
    # coefficients are 0 before training
    untrained = SparseL0Linear(40, seed=1).fit(M, y, epochs=0, n_active=3)
    assert np.count_nonzero(untrained.get_coefficients()) == 3


def test_gates_open_beyond_float32_are_ranked():
    """Logits of 17 and 18 have the same open probability in float32."""
    M, y = small_problem()
    model = calibration(log_alpha_jitter_sd=0.0).fit(M, y, epochs=1, **FIT)
    model.load_state_dict(
        model.state_dict() | {"log_alpha": np.linspace(19.5, 18.5, 40), "log_weight": np.arange(40.0)}
    )
    model.fit(M, y, epochs=0, n_active=5)
    assert model.get_active_weights()["indices"].tolist() == [0, 1, 2, 3, 4]


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


@pytest.mark.slow  # trains a run once for each way to divide it
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("parts", [(10,) * 12, (7, 50, 3, 60), (1, 119)], ids=str)
def test_chunks_equal_one_run_bit_for_bit(device, parts):
    M, y = small_problem()
    for (whole, fit), (chunked, _), (elsewhere, _) in zip(
        *(both_models(device=device) for _ in range(3)), strict=True
    ):
        whole.fit(M, y, epochs=120, n_active=9, **fit)
        for epochs in parts:
            elsewhere.load_state_dict(chunked.state_dict())
            chunked.fit(M, y, epochs=epochs, n_active=9, **fit)
        assert same_state(whole.state_dict(), chunked.state_dict())
        elsewhere.fit(M, y, epochs=parts[-1], n_active=9, **fit)
        assert same_state(whole.state_dict(), elsewhere.state_dict())
        assert whole.lambda_l0_ == elsewhere.lambda_l0_


def test_reports_change_nothing():
    M, y = small_problem()
    one = calibration().fit(M, y, epochs=103, n_active=9, **FIT)
    two = calibration().fit(
        M, y, epochs=103, n_active=9, verbose_freq=7, callbacks=[lambda progress: None], **FIT
    )
    assert same_state(one.state_dict(), two.state_dict())


def test_a_selection_goes_through_a_file(tmp_path):
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
def test_backends_agree_on_the_selection():
    M, y = small_problem()
    runs = [calibration(dtype="float64", device=device) for device in ("numpy", "numba")]
    numpy, numba = (run.fit(M, y, epochs=100, n_active=8, **FIT) for run in runs)
    assert numpy.get_active_weights()["indices"].tolist() == numba.get_active_weights()["indices"].tolist()
    assert numpy.lambda_l0_ == pytest.approx(numba.lambda_l0_, rel=1e-5)
    np.testing.assert_allclose(numpy.log_alpha, numba.log_alpha, atol=1e-5)
