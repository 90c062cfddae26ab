"""The flight without landing: totals stay, few records stay undecided, means are the probabilities."""

import numpy as np
import pytest
from scipy import sparse
from support import needs_numba

from l0np.matrix import ColumnMatrix, weighted_totals
from l0np.sampling import CubeLimits, balanced_flight


def nation(n=1200, n_districts=12, n_variables=3, seed=0):
    """Variables of districts and of the nation; weights and probabilities."""
    rng = np.random.default_rng(seed)
    district = rng.integers(0, n_districts, n)
    rows, columns, values = [], [], []
    for v in range(n_variables):
        on = np.flatnonzero(rng.random(n) < 0.7)
        x = rng.lognormal(size=on.size)
        for row in (district[on] * n_variables + v, np.full(on.size, n_districts * n_variables + v)):
            rows.append(row)
            columns.append(on)
            values.append(x)
    shape = ((n_districts + 1) * n_variables, n)
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    matrix = ColumnMatrix.build(sparse.coo_array(entries, shape=shape), "float64")
    return matrix, rng.lognormal(3, 0.5, size=n), rng.uniform(0.1, 0.5, size=n)


IN_LEVELS = CubeLimits(joint_flight_cost=0.0)


@pytest.mark.parametrize("limits", [CubeLimits(), IN_LEVELS, CubeLimits(most_rows=20)])
def test_totals_stay_and_few_records_stay_undecided(limits):
    matrix, weights, probabilities = nation()
    p = balanced_flight(matrix, weights, probabilities, 0, limits=limits)
    after = weighted_totals(matrix, weights / probabilities * p)
    np.testing.assert_allclose(after, weighted_totals(matrix, weights), rtol=1e-8)
    np.testing.assert_allclose(p.sum(), probabilities.sum())
    undecided = np.count_nonzero((p > 0) & (p < 1 - 1e-9))
    # One for each row that a stratum has, its number of records and its total weight
    assert undecided <= (matrix.shape[0] + 2 if limits == CubeLimits() else 12 * 8)


def test_strata_with_too_many_rows_do_not_fly():
    matrix, weights, probabilities = nation()
    p = balanced_flight(matrix, weights, probabilities, 0, limits=CubeLimits(most_rows=1, spare=np.inf))
    in_rows = np.diff(matrix.indptr) > 0
    np.testing.assert_array_equal(p[in_rows], probabilities[in_rows])
    flown = balanced_flight(matrix, weights, probabilities, 0, limits=CubeLimits(most_rows=1))
    assert np.count_nonzero((flown > 0) & (flown < 1 - 1e-9)) <= 5


@pytest.mark.slow  # draws many samples
@pytest.mark.parametrize("limits", [CubeLimits(), IN_LEVELS])
def test_means_are_the_probabilities(limits):
    matrix, weights, probabilities = nation(120, 3, 2)
    mean = np.mean(
        [balanced_flight(matrix, weights, probabilities, seed, limits=limits) for seed in range(300)], axis=0
    )
    deviation = (mean - probabilities) / np.sqrt(probabilities * (1 - probabilities) / 300)
    assert np.abs(deviation).max() < 4.5
    assert deviation.std() < 1.2


def test_attempts_differ_and_seeds_repeat():
    arguments = nation()
    first = balanced_flight(*arguments, 7)
    np.testing.assert_array_equal(first, balanced_flight(*arguments, 7))
    assert (first != balanced_flight(*arguments, 7, 1)).any()
    assert (first != balanced_flight(*arguments, 8)).any()


@needs_numba
@pytest.mark.parametrize("limits", [CubeLimits(), IN_LEVELS])
def test_the_compiled_flight_is_the_same(limits):
    arguments = nation()
    plain = balanced_flight(*arguments, 3, compiled=False, limits=limits)
    compiled = balanced_flight(*arguments, 3, limits=limits._replace(compiled_from=0))
    np.testing.assert_array_equal(plain, compiled)


def test_records_of_no_probability_stay_out():
    matrix, weights, probabilities = nation()
    weights[:50], probabilities[:50], probabilities[50:60] = 0.0, 0.0, 1.0
    p = balanced_flight(matrix, weights, probabilities, 0)
    assert not p[:50].any()
    assert (p[50:60] == 1.0).all()
