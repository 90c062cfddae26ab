"""`train`: when it reports, updates lambda_l0 and stops, and what it does where numbers are not finite."""

import numpy as np
import pytest
from support import squares

from l0np.backends import get_backend
from l0np.engine import Problem, Serial, State, train
from l0np.engine.lambda_control import CONTROL_PERIOD
from l0np.errors import DivergenceError
from l0np.maths import HardConcrete, IdentityLink, Parameter, philox
from l0np.matrix import ColumnMatrix

M = np.random.default_rng(0).normal(size=(6, 9))


def run(stop, *, epoch=0, report_every=100, report=None, n_active=None, learning_rate=lambda epoch: 0.01):
    """Return what `train` returned, the state, and the epochs and losses of the reports."""
    backend, target = get_backend("numpy"), np.arange(6.0)
    problem = Problem(
        matrix=backend.matrix(ColumnMatrix.build(M, "float64")),
        n_rows=6,
        loss=squares("mse", target, np.ones(6)),
        link=IdentityLink(),
        gates=lambda epoch: HardConcrete(),
        lambda_l2=0.0,
        learning_rate=learning_rate,
    )
    columns = Parameter.start(np.full(9, 0.5)), Parameter.start(np.full(9, 2.0))
    state, reports = State(*columns, None, epoch, epoch, seed=1), []

    def note(loss, interrupted):
        reports.append((state.epoch, loss))
        return bool(report and report(loss))

    options = {"report_every": (report_every,), "report": note, "n_active": n_active}
    return train(backend, problem, state, stop, communicator=Serial(), **options), state, reports


def test_reports_come_at_multiples_of_the_epoch_of_the_state_and_at_the_end():
    stopped, state, reports = run(25, epoch=3, report_every=10)
    assert (stopped, state.epoch, state.adam_step) == (False, 25, 25)
    assert [epoch for epoch, _ in reports] == [10, 20, 25]
    assert [epoch for epoch, _ in run(20, report_every=10)[2]] == [10, 20]
    assert run(0)[2] == []


def test_a_report_gets_the_loss_of_the_gates_just_drawn():
    _, state, [(_, loss)] = run(10, report_every=10)
    uniform = philox.uniform(np, state.seed, philox.GATES, state.epoch, 0, 9)
    weights = state.theta.value * HardConcrete().sample(state.log_alpha.value, uniform)[0]
    assert loss == pytest.approx(((M @ weights - np.arange(6.0)) ** 2).sum())


def test_a_report_stops_the_training():
    stopped, state, reports = run(100, report_every=10, report=lambda loss: True)
    assert (stopped, state.epoch, len(reports)) == (True, 10, 1)


@pytest.mark.parametrize("report_every", [1, 3, 100])
def test_lambda_l0_moves_at_its_own_epochs_whatever_the_reports(report_every):
    _, whole, _ = run(4 * CONTROL_PERIOD, n_active=2)
    _, other, _ = run(4 * CONTROL_PERIOD, n_active=2, report_every=report_every)
    assert whole.lambda_l0 == other.lambda_l0 != 0
    assert np.array_equal(whole.log_alpha.value, other.log_alpha.value)
    _, before, _ = run(CONTROL_PERIOD - 1, n_active=2)
    assert before.controller is None
    assert run(4 * CONTROL_PERIOD)[1].lambda_l0 == 0


def test_divergence_names_its_epoch_and_no_report_is_made_of_it():
    with pytest.raises(DivergenceError) as caught:
        run(
            50,
            report_every=10,
            learning_rate=lambda epoch: 1e300 if epoch >= 11 else 0.01,
            report=lambda loss: False,
        )
    assert caught.value.epoch in (12, 13)
    assert caught.value.learning_rate == 1e300
