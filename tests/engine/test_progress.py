"""`TrainingProgress`: a report of a training that knows nothing of surveys."""

import numpy as np
import pytest

from l0np.backends import get_backend
from l0np.engine import Problem, State, TrainingProgress
from l0np.maths import ExponentialLink, HardConcrete, IdentityLink, Parameter
from l0np.matrix import ColumnMatrix

M = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
GATES = HardConcrete(0.5)


def progress(
    theta, log_alpha, *, link, gates=GATES, lambda_l0=0.0, lambda_l2=0.0, intercept=None, anchor=None
):
    backend = get_backend("numpy")
    by_epoch = None if gates is None else {7: gates}.__getitem__
    problem = Problem(
        matrix=backend.matrix(ColumnMatrix.build(M, "float64")),
        n_rows=2,
        loss=None,
        link=link,
        gates=by_epoch,
        lambda_l2=lambda_l2,
        learning_rate=None,
        l2_anchor=anchor,
    )
    row = None if intercept is None else Parameter.start(np.array([intercept]))
    values = Parameter.start(np.array(theta)), Parameter.start(np.array(log_alpha))
    return TrainingProgress(
        backend, problem, State(*values, row, 7, 7, 0, lambda_l0=lambda_l0), data_loss=10.0
    )


def test_what_a_report_says():
    theta, log_alpha = np.log([1.0, 2.0, 4.0]), np.array([-9.0, 9.0, 0.1])
    report = progress(theta, log_alpha, link=ExponentialLink(), lambda_l0=0.5, lambda_l2=0.1)
    weights = np.array([1.0, 2.0, 4.0]) * GATES.test_time_gate(log_alpha)
    np.testing.assert_allclose(report.weights, weights)
    np.testing.assert_allclose(report.estimates, M @ weights)
    assert (report.epoch, report.data_loss, report.active_count) == (7, 10.0, 2)
    assert report.l0_penalty == pytest.approx(GATES.prob_open(log_alpha)[0].sum())
    assert report.loss == pytest.approx(10.0 + 0.5 * report.l0_penalty + 0.1 * 21.0)
    assert repr(report) == f"TrainingProgress(epoch=7, loss={report.loss:.6g}, active_count=2)"


def test_the_loss_with_an_anchor():
    theta, anchor = np.log([1.0, 2.0, 4.0]), np.log([1.0, 4.0, 2.0])
    report = progress(theta, np.zeros(3), link=ExponentialLink(), lambda_l2=0.1, anchor=anchor)
    assert report.loss == pytest.approx(10.0 + 0.1 * (0.25 + 1.0))


def test_without_gates_and_with_an_intercept():
    report = progress(
        [1.0, 0.0, -2.0], np.zeros(3), link=IdentityLink(), gates=None, lambda_l0=0.5, intercept=3.0
    )
    assert (report.l0_penalty, report.loss, report.active_count) == (0.0, 10.0, 2)
    np.testing.assert_allclose(report.estimates, M @ [1.0, 0.0, -2.0] + 3.0)


def test_a_value_is_computed_once():
    report = progress(np.zeros(3), np.zeros(3), link=IdentityLink())
    assert report.weights is report.weights
    assert report.estimates is report.estimates
