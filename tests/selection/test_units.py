"""No verdict depends on the units in which a row and its target are given."""

import numpy as np
import pytest

import l0np

FACTORS = [1e-8, 1e-3, 1e8]


def problem(seed=0):
    """Counts, a mean-zero row whose target is 0, an amount; the last cannot be met within the bounds."""
    rng = np.random.default_rng(seed)
    M = np.vstack([np.ones(120), rng.random((2, 120)) < 0.3, rng.normal(size=120), rng.lognormal(8, 1, 120)])
    base = rng.lognormal(size=120)
    y = M @ (base * rng.uniform(0.8, 1.25, 120))
    y[3] = 0.0
    return M, y, base


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("row", range(5))
def test_verdicts_scores_and_records_do_not_change_with_units(row, factor):
    M, y, base = problem()
    y[4] *= 40  # out of reach
    units = np.ones(5)
    units[row] = factor
    plain = l0np.calibrate(M, y, 60, base, method="balanced", bounds=(0.1, 4.0), seed=0)
    other = l0np.calibrate(
        M * units[:, None], y * units, 60, base, method="balanced", bounds=(0.1, 4.0), seed=0
    )
    assert np.array_equal(plain.indices, other.indices)
    assert plain.missed == other.missed
    assert plain.converged == other.converged
    np.testing.assert_allclose(other.weights, plain.weights, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(
        other.targets.relative_error, plain.targets.relative_error, rtol=1e-4, atol=1e-7
    )
    assert str(plain.diagnostics.verdict) == str(other.diagnostics.verdict)


@pytest.mark.parametrize("factor", FACTORS)
def test_checks_do_not_change_with_units(factor):
    M, y, base = problem()
    y[1] *= 50
    plain, other = l0np.check_targets(M, y, base), l0np.check_targets(M * factor, y * factor, base)
    assert str(plain) == str(other)


def test_tiny_targets_that_are_far_off_are_missed():
    answer = l0np.calibrate(np.ones((2, 5)), [1e-7, 9e-7], None, 2e-7)
    assert len(answer.missed) == 2
    assert "2 of 2 targets missed" in str(answer)
    assert l0np.diagnose([[1.0, 1.0]], [1e-6], [4e-7, 4e-7]).targets.missed.tolist() == [True]


def test_a_target_of_0_is_compared_with_the_size_of_its_row():
    M = np.array([[1e6, -1e6], [1.0, 1.0]])
    near = l0np.diagnose(M, [0.0, 2.0], [1.0 + 1e-7, 1.0 - 1e-7], base_weights=1.0)
    far = l0np.diagnose(M, [0.0, 2.0], [1.0 + 1e-5, 1.0 - 1e-5], base_weights=1.0)
    assert near.targets.within_tolerance.all()
    assert far.targets.within_tolerance.tolist() == [False, True]
    assert far.targets.relative_error[0] == pytest.approx(1e-5)


def test_an_aggregate_of_0_is_compared_with_the_size_of_what_it_adds_up():
    M = np.array([[1e6, 0.0], [0.0, -1e6], [1.0, 1.0]])
    aggregate = l0np.Aggregate(["net", "net", None], totals=[0.0])
    found = l0np.diagnose(M, [1e6, -1e6, 2.0], [1.0 + 1e-7, 1.0], base_weights=1.0, aggregates=aggregate)
    assert found.totals.within_tolerance.all()
    assert found.totals.relative_error[0] == pytest.approx(5e-8)


def test_rounding_where_large_terms_cancel_is_no_miss():
    """A total of 1e-9 as the difference of numbers near 1e6: it is known to no more than 1e-10."""
    M, weights = np.array([[1e6, -1e6, 1e-9]]), np.array([1.0, 1.0 - 1e-16, 1.0])
    error = 5e-15
    found = l0np.diagnose(M, [1e-9 + error], weights)
    assert found.targets.within_tolerance.all()
    assert not l0np.diagnose([[1e-9]], [1e-9 + error], [1.0]).targets.within_tolerance.all()
