"""Refits to all that targets ask for: caps, totals of targets, one selection after the other."""

import numpy as np
import pytest
from refit_problems import random_problem
from scipy import optimize

from l0np import Aggregate, ColumnMatrix
from l0np.refit import RefitProblem, distance_of, refit_to_targets
from l0np.refit.multipliers import RefitLimits
from l0np.targets import Targets


def test_caps_minimise_the_bounded_loss():
    rng = np.random.default_rng(0)
    M = rng.random((12, 4))
    y = M @ np.array([2.0, 3.0, 4.0, 5.0]) * rng.uniform(0.9, 1.1, size=12)
    y[2] *= 6.0
    targets, cap = Targets.build(y, 12, caps=0.02), 0.02

    def loss(w):
        squares = ((M @ w - y) / np.maximum(y, 1)) ** 2
        return np.sum(squares / (1 + squares / cap))

    measure = distance_of("chi-square", (0.01, None))
    found = refit_to_targets(ColumnMatrix.of(M), np.arange(4), targets, np.full(4, 3.0), measure)
    best = optimize.minimize(
        loss, found.weights, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 5000}
    )
    np.testing.assert_allclose(found.weights, best.x, rtol=1e-3)


def test_totals_of_targets_are_met_beside_them():
    M, y, reference = random_problem(0)
    wrong = y * np.array([1, 1, 1, 1, 1, 3.0])  # held out, but part of a total
    state = Aggregate([None, None, 0, 0, 1, 1], totals=[y[2] + y[3], y[4] + 1.1 * y[5]])
    targets = Targets.build(wrong, 6, exclude=[5], aggregates=state)
    problem = RefitProblem(ColumnMatrix.of(M), targets, distance_of("chi-square", (0.05, None)))
    found = problem.refit(np.arange(25), reference)
    np.testing.assert_allclose(M[:5] @ found.weights, y[:5], rtol=1e-9)
    np.testing.assert_allclose(M[5] @ found.weights, 1.1 * y[5], rtol=1e-9)
    assert len(found.errors) == 6
    assert not len(found.missed)


def test_missed_totals_are_not_counted_among_the_targets():
    M, y, reference = random_problem(0)
    state = Aggregate([0] * 6, totals=[-1.0], weight=1e-9)  # no positive weights add up to it
    targets = Targets.build(y, 6, aggregates=state)
    problem = RefitProblem(ColumnMatrix.of(M), targets, distance_of("chi-square", (0.05, None)))
    found = problem.refit(np.arange(25), reference)
    assert len(found.errors) == 6
    assert found.missed.max(initial=0) < 6


def test_selections_of_one_problem_do_not_depend_on_each_other():
    M, y, reference = random_problem(1, k=60)
    y[2] *= 5.0
    matrix, measure = ColumnMatrix.of(M), distance_of("chi-square", (0.1, 3.0))
    targets = Targets.build(y, 6, caps=0.02, tolerances=0.01)
    problem, rng = RefitProblem(matrix, targets, measure), np.random.default_rng(0)
    for _ in range(4):
        records = np.sort(rng.choice(60, 20, replace=False))
        found = problem.refit(records, reference[records])
        alone = refit_to_targets(matrix, records, targets, reference[records], measure)
        np.testing.assert_array_equal(found.weights, alone.weights)
        np.testing.assert_allclose(
            found.errors, M[:, records] @ found.weights - y, atol=1e-9 * np.abs(y).max()
        )


@pytest.mark.parametrize(("most", "converged"), [(3, False), (200, True)])
def test_capped_weights_that_are_not_found_within_the_limits_have_not_converged(most, converged):
    M, y = np.vstack([np.ones(4), [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]), [8.0, 10.0, 13.0]
    targets = Targets.build(y, 3, caps=0.02)
    problem = RefitProblem(
        ColumnMatrix.of(M),
        targets,
        distance_of("chi-square", (0.05, None)),
        limits=RefitLimits(factorisations=most),
    )
    assert problem.refit(np.arange(4), np.full(4, 2.0)).converged is converged
