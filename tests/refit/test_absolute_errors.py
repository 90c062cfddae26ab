"""`loss_type="absolute"`: the least sum of absolute errors, as of linear programming, by near weights."""

import numpy as np
import pytest
from refit_problems import random_problem
from scipy import optimize

import l0np
from l0np import Aggregate, ColumnMatrix
from l0np.refit import RefitProblem, distance_of
from l0np.targets import Targets

LIMITS = {"chi-square": (0.05, None), "raking": (0.5, 2.0), "logit": (0.2, 4.0)}


def contradictory(seed, n_targets=8, k=25):
    """Targets that weights near the reference weights meet, but for two, and a row that is asked twice."""
    M, y, reference = random_problem(seed, n_targets, k)
    y[y == 0] = 1.0  # a row without entries
    y[3] *= -0.5
    y[5] *= 4.0
    return np.vstack([M, M[1]]), np.append(y, 1.2 * y[1]), reference


def refit(M, y, reference, distance="chi-square", bounds=(0.05, None), total=None, **options):
    options = {"loss_type": "absolute", "target_scales": np.abs(y)} | options
    targets = Targets.build(y, len(y), **options)
    problem = RefitProblem(ColumnMatrix.of(M), targets, distance_of(distance, bounds), total)
    return problem.refit(np.arange(M.shape[1]), reference)


def programme(M, y, reference, bounds, tolerance=0.0):
    """Rows, ends and limits of ``rows @ [weights, misses] <= ends``, misses relative to the targets."""
    scale, own = np.abs(y), np.eye(len(y))
    rows = np.vstack([np.hstack([M / scale[:, None], -own]), np.hstack([-M / scale[:, None], -own])])
    ends = np.concatenate([(y + tolerance) / scale, (tolerance - y) / scale])
    lower, upper = bounds
    limits = [(lower * r, None if upper is None else upper * r) for r in reference] + [(0, None)] * len(y)
    return rows, ends, limits


def least_sum(M, y, reference, bounds, tolerance=0.0, importance=1.0, total=None):
    """Return the answer of linear programming: its value is the least sum of relative errors."""
    rows, ends, limits = programme(M, y, reference, bounds, tolerance)
    k = M.shape[1]
    cost = np.concatenate([np.zeros(k), importance * np.ones(len(y))])
    kept = {} if total is None else {"A_eq": 1.0 - (np.arange(len(cost)) >= k)[None], "b_eq": [total]}
    return optimize.linprog(cost, rows, ends, bounds=limits, method="highs", **kept)


def weighted_sum(M, y, weights, tolerance=0.0, importance=1.0):
    beyond = np.maximum(np.abs(M @ weights - y) - tolerance, 0.0)
    return float((importance * beyond / np.abs(y)).sum())


@pytest.mark.parametrize("distance", LIMITS)
@pytest.mark.parametrize("fraction", [0.0, 0.03])
@pytest.mark.parametrize("size", [(8, 25), (30, 12)])
def test_the_sum_is_that_of_linear_programming(distance, fraction, size):
    M, y, reference = contradictory(1, *size)
    rng = np.random.default_rng(2)
    tolerance, importance = fraction * np.abs(y), rng.uniform(0.5, 2.0, len(y))
    bounds = LIMITS[distance]
    found = refit(M, y, reference, distance, bounds, tolerances=tolerance, target_weights=importance)
    best = least_sum(M, y, reference, bounds, tolerance, importance).fun
    assert best > 0.5
    assert found.converged
    np.testing.assert_allclose(weighted_sum(M, y, found.weights, tolerance, importance), best, rtol=1e-8)
    lower, upper = bounds
    assert found.ratios.min() >= lower * (1 - 1e-12)
    assert upper is None or found.ratios.max() <= upper * (1 + 1e-12)


@pytest.mark.slow  # solves a hundred problems by linear programming too
def test_the_sum_is_that_of_linear_programming_in_many_problems():
    converged = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        M, y, reference = contradictory(seed, rng.integers(6, 15), rng.integers(3, 40))
        distance = rng.choice(list(LIMITS))
        tolerance = np.where(rng.random(len(y)) < 0.5, 0.02, 0.0) * np.abs(y)
        found = refit(M, y, reference, distance, LIMITS[distance], tolerances=tolerance)
        best = least_sum(M, y, reference, LIMITS[distance], tolerance).fun
        ours = weighted_sum(M, y, found.weights, tolerance)
        converged += found.converged
        assert ours <= best * (1 + 1e-7) + 1e-9, seed
    assert converged >= 98


def test_a_fixed_total_is_kept_where_targets_contradict_each_other():
    M, y, reference = contradictory(3)
    total = 1.1 * reference.sum()
    M, y = M[1:], y[1:]
    found = refit(M, y, reference, total=total)
    np.testing.assert_allclose(found.weights.sum(), total, rtol=1e-12)
    best = least_sum(M, y, reference, (0.05, None), total=total).fun
    np.testing.assert_allclose(weighted_sum(M, y, found.weights), best, rtol=1e-8)


def test_the_weights_are_the_nearest_among_those_of_least_sum():
    M, y, reference = random_problem(0, k=40)
    M, y = np.vstack([M, M[1]]), np.append(y, 1.05 * y[1])
    found = refit(M, y, reference)
    rows, ends, limits = programme(M, y, reference, (0.05, None))
    n, k = M.shape
    vertex = least_sum(M, y, reference, (0.05, None))
    allowed = vertex.fun * (1 + 1e-7)

    def moved(x):
        return ((x[:k] - reference) ** 2 / reference).sum()

    rival = optimize.minimize(
        moved,
        vertex.x,
        jac=lambda x: np.concatenate([2 * (x[:k] - reference) / reference, np.zeros(n)]),
        bounds=limits,
        constraints=[
            {"type": "ineq", "fun": lambda x: ends - rows @ x, "jac": lambda x: -rows},
            {
                "type": "ineq",
                "fun": lambda x: np.array([allowed - x[k:].sum()]),
                "jac": lambda x: -(np.arange(n + k) >= k)[None].astype(float),
            },
        ],
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 500},
    )
    assert rival.fun < 0.9 * moved(vertex.x)
    assert (ends - rows @ rival.x).min() > -1e-8
    np.testing.assert_allclose(moved(found.weights), rival.fun, rtol=1e-4)


def test_targets_that_can_be_met_have_the_weights_of_least_squares():
    M, y, reference = random_problem(0)
    for distance, bounds in LIMITS.items():
        squares = refit(M, y, reference, distance, bounds, loss_type="relative")
        absolute = refit(M, y, reference, distance, bounds)
        assert absolute.converged
        np.testing.assert_allclose(absolute.weights, squares.weights, rtol=1e-9)


def test_what_is_not_missed_is_met_to_the_last_digits():
    M, y, reference = contradictory(4, k=60)
    found = refit(M, y, reference)
    relative = np.abs(found.errors / y)
    assert 1 <= len(found.missed) <= 3
    assert np.delete(relative, found.missed).max() < 1e-12
    squares = refit(M, y, reference, loss_type="relative")
    assert len(squares.missed) > len(found.missed)


def test_the_median_of_what_is_asked_of_one_row():
    """Of 10, 20 and 60, as relative errors are summed: 1 / 10 is more than 1 / 20 + 1 / 60."""
    found = refit(np.ones((3, 4)), np.array([10.0, 20.0, 60.0]), np.full(4, 5.0))
    np.testing.assert_allclose(found.weights, 2.5, rtol=1e-12)
    assert found.missed.tolist() == [1, 2]


def test_a_capped_target_is_given_up():
    """The third target draws the sum to the second one; where it costs its cap, it draws nothing."""
    M, y, importance = np.ones((3, 4)), np.array([10.0, 10.5, 100.0]), np.array([1.0, 1.0, 1.5])
    options = {"target_scales": np.ones(3), "target_weights": importance}
    reference = np.full(4, 2.6)
    np.testing.assert_allclose(refit(M, y, reference, **options).weights.sum(), 10.5, rtol=1e-12)
    capped = refit(M, y, reference, caps=np.array([np.inf, np.inf, 1.0]), **options)
    assert capped.converged
    # All sums from 10 to 10.5 cost the same, and 10.4 is that of the reference weights
    np.testing.assert_allclose(capped.weights, reference, rtol=1e-12)


def test_totals_of_targets_count_too():
    M, y, reference = random_problem(0)
    state = Aggregate([None, None, 0, 0, 1, 1], totals=[y[2] + y[3], 1.5 * (y[4] + y[5])], weight=0.1)
    found = refit(M, y, reference, aggregates=state)
    assert not len(found.missed)
    assert found.n_missed == 1


def test_the_answer_names_what_it_misses():
    M, y, reference = contradictory(4, k=60)
    names = [f"t{i}" for i in range(len(y))]
    answer = l0np.calibrate(M, y, base_weights=reference, loss_type="absolute", names=names)
    assert answer.converged
    assert set(answer.missed) == {names[i] for i in answer.refit.missed}
    line = next(line for line in str(answer).splitlines() if line.startswith("Missed: "))
    assert all(f"{name} (" in line for name in answer.missed)


@pytest.mark.parametrize("most", [2, 20])
def test_a_callback_ends_the_refit(most):
    M, y, reference = contradictory(1)
    seen = []

    def after_some(progress):
        seen.append(progress)
        return len(seen) == most

    answer = l0np.calibrate(M, y, base_weights=reference, loss_type="absolute", callbacks=[after_some])
    assert answer.stopped
    assert len(seen) == most
