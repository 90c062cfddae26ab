"""The table of backends as a seam: a class and an entry are all that a new backend takes."""

from contextlib import nullcontext

import numpy as np
import pytest
from support import same_state, small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.backends import BACKENDS, BackendEntry, get_backend
from l0np.backends.numpy import NumpyBackend
from l0np.engine import NEVER, Slopes, with_intercept
from l0np.errors import InputError
from l0np.maths import adam_update, l0_penalty, l2_penalty, philox


class Dummy(NumpyBackend):
    """The reference under another name."""

    name = "dummy"

    def __init__(self, index=0):
        self.index = index


class FromTheProtocol:
    """A backend written from the protocol alone: dense, in float64, for every loss and both links."""

    name, xp, on_device = "written from the protocol", np, False

    def active(self):
        return nullcontext()

    def matrix(self, matrix):
        return matrix.to_scipy().toarray().astype(np.float64)

    def adopt(self, name, matrix, dtype):
        return None

    def asarray(self, array):
        return np.array(array)

    to_numpy = asarray

    def matvec(self, matrix, columns):
        return matrix @ columns

    def rmatvec(self, matrix, rows):
        return rows @ matrix

    def start(self, problem, state, out):
        state.run = {"starts": 1}
        state.counts, state.first_bad = np.zeros((1, 3), np.int64), np.array([NEVER])
        theta, log_alpha = state.theta.value, state.log_alpha.value
        (weight, slope), gate, gate_slope = (
            problem.link.weight(theta),
            np.ones_like(theta),
            np.zeros_like(theta),
        )
        if problem.gates is not None:
            u = philox.uniform(np, state.seed, philox.GATES, state.epoch, problem.column_offset, len(theta))
            gate, gate_slope = problem.gates(state.epoch).sample(log_alpha, u)
        state.slopes = Slopes(gate * slope, weight * gate_slope)
        out[...] = problem.matrix @ (weight * gate)
        if not np.isfinite(out).all():
            state.first_bad[0] = state.epoch

    def row_step(self, problem, state, prediction, out):
        problem.loss.gradient(with_intercept(prediction, state), out=out)
        if state.intercept is not None:
            by_intercept = out.sum(keepdims=True).astype(state.intercept.value.dtype)
            adam_update(
                state.intercept, by_intercept, problem.learning_rate(state.epoch), state.adam_step + 1
            )
        return out

    def step(self, problem, state, gradient, out):
        by_weight = (gradient @ problem.matrix).astype(state.theta.value.dtype)
        by_theta, by_log_alpha = (
            by_weight * state.slopes.theta_slope,
            by_weight * state.slopes.log_alpha_slope,
        )
        anchor = problem.l2_anchor
        by_theta += problem.lambda_l2 * l2_penalty(state.theta.value, problem.link, anchor)[1]
        rate, first_bad = problem.learning_rate(state.epoch), state.first_bad
        state.adam_step += 1
        if problem.gates is not None:
            by_log_alpha += state.lambda_l0 * l0_penalty(state.log_alpha.value, problem.gates(state.epoch))[1]
            adam_update(state.log_alpha, by_log_alpha, rate, state.adam_step)
        adam_update(state.theta, by_theta, rate, state.adam_step)
        state.epoch += 1
        self.start(problem, state, out)
        state.first_bad = np.minimum(first_bad, state.first_bad)

    def repeat(self, body, n, problem, state):
        for _ in range(n):
            body()


def calibrated(device, **options):
    M, y = small_problem()
    model = SparseCalibrationWeights(40, seed=1, device=device, log_weight_jitter_sd=0.05)
    fit = {"lr": 0.1, "epochs": 60, "loss_type": "relative", "lambda_l2": 1e-6} | options
    return model.fit(M, y, **fit)


def test_a_dummy_backend_trains_to_the_same_result(monkeypatch):
    monkeypatch.setitem(BACKENDS, "dummy", BackendEntry(lambda: Dummy))
    model = calibrated("dummy", lambda_l0=1e-3)
    assert model.backend_ == "dummy"
    assert same_state(model.state_dict(), calibrated("numpy", lambda_l0=1e-3).state_dict())


def test_devices_of_a_backend_may_be_numbered(monkeypatch):
    monkeypatch.setitem(BACKENDS, "dummy", BackendEntry(lambda: Dummy, numbered=True))
    assert (get_backend("dummy").index, get_backend("dummy:3").index) == (0, 3)
    with pytest.raises(InputError, match=r"'dummy', 'cuda:N', 'dummy:N', 'auto'"):
        get_backend("dummmy")


OPTIONS = {
    "a given multiplier": {"lambda_l0": 1e-3},
    "a number of active records": {"n_active": 10},
    "an anchor": {"lambda_l0": 1e-3, "lambda_l2": 1e-3, "l2_anchor": "initial"},
    "another loss": {"lambda_l0": 1e-3, "tolerances": 0.02, "caps": 0.5},
}


@pytest.mark.parametrize("what", OPTIONS)
def test_a_backend_written_from_the_protocol_alone_calibrates(what, monkeypatch):
    monkeypatch.setitem(BACKENDS, "written", BackendEntry(lambda: FromTheProtocol))
    ours, reference = (calibrated(device, **OPTIONS[what]) for device in ("written", "numpy"))
    assert ours.backend_ == "written from the protocol"
    for name in ("log_weight", "log_alpha"):
        np.testing.assert_allclose(getattr(ours, name), getattr(reference, name), rtol=0, atol=1e-3)


def test_a_backend_written_from_the_protocol_alone_regresses(monkeypatch):
    monkeypatch.setitem(BACKENDS, "written", BackendEntry(lambda: FromTheProtocol))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 12))
    y = X[:, :3] @ np.array([2.0, -3.0, 4.0]) + 5.0
    ours, reference = (
        SparseL0Linear(12, seed=1, device=d).fit(X, y, epochs=60, lr=0.05) for d in ("written", "numpy")
    )
    np.testing.assert_allclose(ours.weight, reference.weight, atol=1e-3)
    assert ours.bias == pytest.approx(reference.bias, abs=1e-3)
