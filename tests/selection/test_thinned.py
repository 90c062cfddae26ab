"""Selection by thinning: exactly k records, targets met wherever they can be, every kind of option."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from support import needs_numba
from survey_problems import problem

import l0np


def cells(n=900, n_cells=12, seed=0):
    """Count, amount and a rare measure in each of some cells; a few of these targets are 0."""
    rng = np.random.default_rng(seed)
    cell, base = rng.integers(0, n_cells, n), rng.lognormal(2.6, 0.8, n)
    rare = (rng.random(n) < 0.02 * (cell > 2)).astype(float)
    measures = [np.ones(n), rng.lognormal(10, 0.7, n), rare]
    M = np.vstack([measure * (cell == c) for c in range(n_cells) for measure in measures])
    return M, M @ base, base


def thinned(*arguments, **options):
    return l0np.calibrate(*arguments, method="thinned", **{"seed": 0} | options)


def worst(answer):
    return np.abs(answer.targets.relative_error[answer.targets.asked]).max()


@pytest.mark.parametrize("k", [9, 12, 30, 150, 299, 300])
def test_targets_are_met_from_as_many_records_as_targets(k):
    M, y, base = problem()
    answer = thinned(M, y, k, base)
    assert answer.method == "thinned"
    assert len(answer.indices) == np.count_nonzero(answer.weights) == k
    assert worst(answer) < 1e-9
    assert (answer.selected_weights > 0).all()
    assert not answer.missed


def test_small_cells_and_targets_of_0_are_met():
    M, y, base = cells()
    assert (y == 0).sum() >= 3
    for k in (60, 200):
        answer = thinned(M, y, k, base)
        balanced = l0np.calibrate(M, y, k, base, method="balanced", seed=0)
        assert worst(answer) < 1e-9
        assert not answer.missed
        assert len(balanced.missed) >= len(answer.missed)
    assert answer.diagnostics.effective_sample_size > 0.9 * 200


def test_a_target_of_0_whose_records_must_leave():
    M, y, base = problem()
    y[3] = 0.0  # a third of the records contribute to it, all with the same sign
    answer = thinned(M, y, 40, base)
    assert worst(answer) < 1e-9
    assert (M[3, answer.indices] == 0).all()


@pytest.mark.slow  # selects many times
@given(k=st.integers(1, 299), seed=st.integers(0, 2**63 - 1), n_zero=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_exactly_k_records_whatever_k_and_seed(k, seed, n_zero):
    M, y, base = problem()
    base[:n_zero] = 0.0
    y = M @ base * 1.05
    k = min(k, 300 - n_zero)
    answer = thinned(M, y, k, base, seed=seed)
    assert len(answer.indices) == np.count_nonzero(answer.weights) == k
    assert (answer.selected_weights > 0).all()
    assert answer.indices.min() >= n_zero
    if k >= 12:
        assert worst(answer) < 1e-9


@pytest.mark.parametrize("distance", ["chi-square", "raking", "logit"])
@pytest.mark.parametrize("bounds", [(0.05, 4.0), (0.3, 3.0), (0.3, 20.0)])
def test_bounds_are_kept_relative_to_the_reference_weights_of_the_answer(distance, bounds):
    M, y, base = problem()
    answer = thinned(M, y, 40, base, distance=distance, bounds=bounds)
    ratios = answer.selected_weights / answer.reference_weights
    assert ratios.min() >= bounds[0] * (1 - 1e-6)
    assert ratios.max() <= bounds[1] * (1 + 1e-6)
    np.testing.assert_allclose(answer.refit.ratios, ratios)
    assert worst(answer) < 1e-9


@pytest.mark.slow  # selects many times
@given(
    k=st.integers(1, 120),
    seed=st.integers(0, 2**63 - 1),
    lower=st.floats(1e-3, 0.9),
    width=st.floats(0.2, 20.0),
    distance=st.sampled_from(["chi-square", "raking", "logit"]),
)
@settings(max_examples=25, deadline=None)
def test_bounds_are_kept_whatever_they_are(k, seed, lower, width, distance):
    M, y, base = problem()
    bounds = (lower, 1.0 + width)
    answer = thinned(M, y, k, base, seed=seed, distance=distance, bounds=bounds)
    assert len(answer.indices) == np.count_nonzero(answer.weights) == k
    ratios = answer.selected_weights / answer.reference_weights
    assert ratios.min() >= bounds[0] * (1 - 1e-6)
    assert ratios.max() <= bounds[1] * (1 + 1e-6)
    assert (answer.reference_weights > 0).all()


def test_the_last_refit_uses_the_distance_that_was_asked_for():
    M, y, base = problem()
    chi_square, raking = (thinned(M, y, 60, base, distance=name) for name in ("chi-square", "raking"))
    np.testing.assert_array_equal(chi_square.indices, raking.indices)
    u = np.log(raking.refit.ratios)
    A = M[:, raking.indices].T
    assert np.abs(A @ np.linalg.lstsq(A, u)[0] - u).max() < 1e-8  # log g is a combination of the rows
    assert np.abs(A @ np.linalg.lstsq(A, chi_square.refit.ratios)[0] - chi_square.refit.ratios).max() < 1e-8


def test_excluded_targets_are_not_met_on_purpose():
    M, y, base = problem()
    y[3] *= 30.0
    answer = thinned(M, y, 50, base, exclude=[3])
    assert worst(answer) < 1e-9
    assert not answer.missed
    assert answer.diagnostics.held_out.worst > 0.5
    weightless = thinned(M, y, 50, base, target_weights=np.where(np.arange(8) == 3, 0.0, 1.0))
    np.testing.assert_array_equal(answer.indices, weightless.indices)


def test_totals_of_targets_and_a_fixed_total_are_met():
    M, y, base = problem()
    free = thinned(M[1:4], y[1:4], 40, base)
    state = l0np.Aggregate([0, 0, 0, None, 1, 1, 1, 1], totals=[y[:3].sum(), y[4:].sum()])
    sums = thinned(M, y, 12, base, exclude=[1, 2, 4, 5], aggregates=state)
    assert sums.diagnostics.aggregates.worst < 1e-9
    assert worst(sums) < 1e-9
    assert not sums.missed
    fixed = thinned(M[1:4], y[1:4], 5, base, total=0.9 * free.weights.sum())
    np.testing.assert_allclose(fixed.weights.sum(), 0.9 * free.weights.sum(), rtol=1e-9)
    assert worst(fixed) < 1e-9


def test_caps_and_unreachable_targets_take_what_all_records_reach():
    M, y, base = problem()
    y[3] *= 30.0  # out of reach
    capped = thinned(M, y, 50, base, caps=0.01, bounds=(0.3, 3.0))
    everyone = l0np.calibrate(M, y, None, base, caps=0.01, bounds=(0.3, 3.0))
    others = np.delete(np.abs(capped.targets.relative_error), 3)
    assert others.max() <= np.delete(np.abs(everyone.targets.relative_error), 3).max() + 1e-3
    assert np.count_nonzero(capped.weights) == 50


def test_tolerances_are_used_and_kept():
    M, y, base = problem()
    tolerance = 0.1 * np.abs(y)
    exact, tolerant = thinned(M, y, 30, base), thinned(M, y, 30, base, tolerances=tolerance)
    assert not tolerant.missed
    assert np.abs(tolerant.targets.relative_error).max() > 0.01
    sizes = [answer.diagnostics.effective_sample_size for answer in (exact, tolerant)]
    assert sizes[1] >= sizes[0]


@pytest.mark.parametrize("factor", [1e-8, 1e8])
@pytest.mark.parametrize("k", [6, 40])
def test_units_of_a_row_do_not_matter(factor, k):
    M, y, base = problem()
    units = np.where(np.arange(8) == 2, factor, 1.0)
    plain, other = thinned(M, y, k, base), thinned(M * units[:, None], y * units, k, base)
    np.testing.assert_array_equal(plain.indices, other.indices)
    np.testing.assert_allclose(other.weights, plain.weights, rtol=1e-6, atol=1e-9)


@pytest.mark.slow  # starts processes
@needs_numba
def test_the_number_of_threads_does_not_matter():
    import numba

    rng = np.random.default_rng(0)
    M = sparse.random_array((40, 25_000), density=0.1, format="csc", rng=rng)
    base = rng.lognormal(size=25_000)
    threads = numba.get_num_threads()
    answers = []
    for n in sorted({1, threads}):
        numba.set_num_threads(n)
        answers.append(thinned(M, M @ base, 100, base).weights)
    numba.set_num_threads(threads)
    assert all(np.array_equal(answers[0], other) for other in answers)


def test_seeds_repeat_and_differ():
    M, y, base = problem()
    np.testing.assert_array_equal(thinned(M, y, 40, base).weights, thinned(M, y, 40, base).weights)
    assert (thinned(M, y, 40, base).indices != thinned(M, y, 40, base, seed=1).indices).any()


@pytest.mark.parametrize("k", [3, 6])
def test_fewer_records_than_targets_come_near(k):
    M, y, base = problem()
    answer = thinned(M, y, k, base)
    losses = []
    for chance in (np.random.default_rng(seed).choice(300, k, replace=False) for seed in range(10)):
        reference = base[chance] * base.sum() / base[chance].sum()
        at_random = l0np.calibrate(M[:, chance], y, None, reference)
        losses.append((at_random.targets.relative_error**2).mean())
    assert (answer.targets.relative_error**2).mean() < np.mean(losses)
    assert np.count_nonzero(answer.weights) == k
