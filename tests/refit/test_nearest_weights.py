"""Weights on a fixed selection: the nearest that meet the targets, and the closest where none do."""

import numpy as np
import pytest
from refit_problems import random_problem, refit
from scipy import optimize, sparse

import l0np
from l0np.refit.multipliers import RefitLimits

DISTANCE = {
    "chi-square": lambda g: (g - 1) ** 2 / 2,
    "raking": lambda g: g * np.log(g) - g + 1,
}


@pytest.mark.parametrize("distance", DISTANCE)
@pytest.mark.parametrize("seed", range(5))
def test_no_feasible_neighbour_is_nearer(distance, seed):
    M, y, reference = random_problem(seed)
    found = refit(M, y, reference, distance, (0.3, 3.0))
    assert found.converged
    np.testing.assert_allclose(M @ found.weights, y, rtol=1e-9)
    assert found.ratios.min() >= 0.3 - 1e-12
    best = reference @ DISTANCE[distance](found.ratios)
    null = np.linalg.svd(M)[2][len(y) :]
    rng = np.random.default_rng(seed)
    tried = 0
    for _ in range(200):
        ratios = (found.weights + 0.02 * reference.min() * rng.normal(size=len(null)) @ null) / reference
        if ratios.min() >= 0.3 and ratios.max() <= 3.0:
            tried += 1
            assert reference @ DISTANCE[distance](ratios) > best - 1e-12
    assert tried > 10


@pytest.mark.parametrize("distance", ["chi-square", "raking"])
def test_infeasible_targets_are_missed_as_little_as_can_be(distance):
    M, y, reference = random_problem(3, n_targets=4, k=12)
    y[1] *= -1.0  # cannot be: all entries are positive
    y[2] *= 50.0  # out of reach of the bounds
    found = refit(M, y, reference, distance, (0.2, 4.0))
    scale = np.maximum(np.abs(y), 1)
    rival = optimize.lsq_linear(M / scale[:, None], y / scale, (0.2 * reference, 4.0 * reference), tol=1e-14)
    ours = np.sum((found.errors / scale) ** 2)
    assert np.isclose(ours, 2 * rival.cost, rtol=1e-6)
    assert {1, 2} <= set(found.missed)
    assert found.ratios.min() >= 0.2 - 1e-12
    assert found.ratios.max() <= 4.0 + 1e-12


@pytest.mark.parametrize(
    ("distance", "bounds"), [("raking", (None, None)), ("raking", (0.0, None)), ("logit", (None, 4.0))]
)
def test_without_a_lower_bound_positive_weights_keep_a_floor(distance, bounds):
    M, y, reference = random_problem(3, n_targets=4, k=12)
    y[1] *= -1.0  # cannot be: all entries are positive
    found = refit(M, y, reference, distance, bounds)
    floor, upper, scale = 1e-4, bounds[1] or np.inf, np.maximum(np.abs(y), 1)
    rival = optimize.lsq_linear(
        M / scale[:, None], y / scale, (floor * reference, upper * reference), tol=1e-14
    )
    assert found.converged
    assert np.isclose(np.sum((found.errors / scale) ** 2), 2 * rival.cost, rtol=1e-6)
    assert found.ratios.min() >= floor * (1 - 1e-9)
    assert 0 < found.at_lower == np.count_nonzero(found.ratios < 1.001 * floor) < 12


@pytest.mark.parametrize(
    ("distance", "bounds"),
    [
        ("chi-square", (0.05, None)),
        ("chi-square", (None, None)),
        ("raking", (None, None)),
        ("logit", (0.2, 4)),
    ],
)
def test_contradictory_duplicates_end_at_their_weighted_mean(distance, bounds):
    M, y, reference = random_problem(5)
    twice, asked = np.vstack([M, M[2]]), np.append(y, 1.3 * y[2])
    answer = l0np.calibrate(
        twice, asked, base_weights=reference, distance=distance, bounds=bounds, names=list("abcdefg")
    )
    assert answer.converged
    assert answer.missed == ("c", "g")
    inverse = asked[[2, 6]] ** -2.0  # errors are divided by the targets
    meant = y.copy()
    meant[2] = inverse @ asked[[2, 6]] / inverse.sum()
    nearest = l0np.calibrate(M, meant, base_weights=reference, distance=distance, bounds=bounds)
    assert not nearest.missed
    np.testing.assert_allclose(answer.weights, nearest.weights, rtol=1e-6)


def test_fewer_records_than_targets():
    M, y, reference = random_problem(1, n_targets=9, k=5)
    found = refit(M, y, reference, bounds=(0.05, None))
    scale = np.maximum(np.abs(y), 1)
    rival = optimize.lsq_linear(M / scale[:, None], y / scale, (0.05 * reference, np.inf), tol=1e-14)
    assert found.converged
    np.testing.assert_allclose(found.weights, rival.x, rtol=1e-5, atol=1e-6)


def test_fixed_total_holds_where_targets_do_not():
    M, y, reference = random_problem(2)
    y = y * 1.5
    found = refit(M[1:], y[1:], reference, bounds=(0.5, 1.3), total=float(reference.sum()))
    assert np.isclose(found.weights.sum(), reference.sum(), rtol=1e-6)
    assert len(found.missed)


def test_a_target_left_out_is_scored_only():
    M, y, reference = random_problem(5)
    wrong = y.copy()
    wrong[3] *= 100
    importance = np.ones(len(y))
    importance[3] = 0.0
    found = refit(M, wrong, reference, importance=importance)
    assert 3 not in found.missed
    assert abs(found.errors[3]) > abs(wrong[3]) / 2
    np.testing.assert_allclose(np.delete(M @ found.weights, 3), np.delete(y, 3), rtol=1e-9)


def test_what_was_cut_off_while_it_came_closer_is_not_called_converged():
    """One weight is so large that the moves of the others, which carry the targets, are none beside it."""
    M = sparse.csr_array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 2.0]])
    y, reference, bounds = np.array([1e9, 3.5, 3.2]), np.array([1e9, 1.0, 1.0, 1.0]), (0.05, 20.0)
    assert refit(M, y, reference, "raking", bounds).converged
    cut_off = refit(M, y, reference, "raking", bounds, limits=RefitLimits(newton_steps=2, factorisations=0))
    assert len(cut_off.missed)
    assert not cut_off.converged
