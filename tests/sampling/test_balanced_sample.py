"""Balanced samples: their size, their probabilities, and totals that stay what they are over all records."""

import numpy as np
import pytest
from support import needs_numba

from l0np import ColumnMatrix
from l0np.sampling import CubeLimits, balanced_sample, inclusion_probabilities
from l0np.sampling.strata import strata

COMPILED = CubeLimits(compiled_from=0)


def uneven(n=12, k=4):
    """A matrix, and probabilities that differ."""
    rng = np.random.default_rng(1)
    M = ColumnMatrix.build(rng.random((2, n)), "float64")
    return M, inclusion_probabilities(rng.lognormal(size=n), np.zeros(n), k)


@pytest.mark.slow  # draws thousands of samples, for their frequencies
def test_samples_have_their_size_and_their_probabilities():
    M, p = uneven()
    drawn, n_samples = np.zeros(12), 1500
    for seed in range(n_samples):
        sample = balanced_sample(M, np.ones(12), p, seed)
        assert len(np.unique(sample)) == 4
        drawn[sample] += 1
    deviation = (drawn / n_samples - p) / np.sqrt(np.maximum(p * (1 - p), 1e-4) / n_samples)
    assert np.abs(deviation).max() < 4.5


@pytest.mark.slow  # draws hundreds of samples
@pytest.mark.parametrize("arrivals", [1, 7])
def test_samples_do_not_depend_on_how_many_records_arrive_together(arrivals):
    M, p = uneven(30, 8)
    for seed in range(100):
        one = balanced_sample(M, np.ones(30), p, seed, limits=CubeLimits(arrivals=arrivals))
        np.testing.assert_array_equal(one, balanced_sample(M, np.ones(30), p, seed))


@pytest.mark.slow  # draws many samples
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_numba)])
def test_equal_probabilities_that_stop_together_keep_their_totals(compiled):
    regions = ColumnMatrix.build(np.repeat(np.eye(5), 4, axis=1))
    for seed in range(40):
        p = np.full(20, 0.5)
        drawn = balanced_sample(regions, np.ones(20), p, seed, compiled=compiled, limits=COMPILED)
        np.testing.assert_array_equal(np.bincount(drawn // 4, minlength=5), 2)


@needs_numba
@pytest.mark.parametrize("equal", [True, False])
def test_the_compiled_flight_is_that_of_numpy(equal):
    rng = np.random.default_rng(0)
    M = ColumnMatrix.build(rng.random((12, 600)) * (rng.random((12, 600)) < 0.4), "float64")
    sizes = np.ones(600) if equal else rng.lognormal(size=600)
    p = inclusion_probabilities(sizes, np.zeros(600), 90)
    ours, numpy = (
        balanced_sample(M, np.ones(600), p, seed=1, compiled=compiled, limits=COMPILED)
        for compiled in (True, False)
    )
    np.testing.assert_array_equal(ours, numpy)


@pytest.mark.slow  # draws many samples
def test_totals_are_balanced_as_the_rank_allows():
    rng = np.random.default_rng(2)
    n, k = 1000, 100
    dense = np.vstack([rng.lognormal(size=(5, n)), np.ones((1, n)), np.zeros((1, n))])  # with dependent rows
    M, p = ColumnMatrix.build(dense, "float64"), np.full(n, k / n)
    totals, ours, chance = dense[:5] @ np.ones(n), [], []
    for seed in range(20):
        drawn, rival = balanced_sample(M, np.ones(n), p, seed), rng.choice(n, k, replace=False)
        for errors, records in ((ours, drawn), (chance, rival)):
            errors.append(np.abs(n / k * dense[:5, records].sum(axis=1) / totals - 1).mean())
    assert np.mean(ours) < 0.25 * np.mean(chance)


@pytest.mark.slow  # draws many samples
def test_totals_are_balanced_where_weights_and_probabilities_differ():
    rng = np.random.default_rng(6)
    n, k = 800, 100
    dense, weights = rng.random((5, n)), rng.lognormal(0, 0.5, size=n)
    p = inclusion_probabilities(rng.lognormal(0, 0.5, size=n), np.zeros(n), k)
    M, totals, ours, plain = ColumnMatrix.build(dense, "float64"), dense @ weights, [], []
    counts = ColumnMatrix.build(np.ones((1, n)), "float64")
    for seed in range(10):
        drawn, rival = balanced_sample(M, weights, p, seed), balanced_sample(counts, p, p, seed)
        for errors, records in ((ours, drawn), (plain, rival)):
            errors.append(np.abs(dense[:, records] @ (weights / p)[records] / totals - 1).mean())
    assert np.mean(ours) < 0.35 * np.mean(plain)


def districts(n=4000):
    """Each of 3 rows in each of 20 districts, then their sums over all; and the district of each record."""
    rng = np.random.default_rng(3)
    district = rng.integers(20, size=n)
    member = (np.arange(20)[:, None] == district).astype(float)
    marks = [np.ones(n), *(rng.random((2, n)) < 0.4)]
    return np.vstack([*(member * mark for mark in marks), np.array(marks)]), district


def test_strata_are_balanced_where_there_are_too_many_rows():
    dense, district = districts()
    M, p = ColumnMatrix.build(dense, "float64"), np.full(4000, 0.1)
    sample = balanced_sample(M, np.ones(4000), p, seed=0, limits=CubeLimits(most_rows=8))
    assert len(sample) == 400
    sizes = np.bincount(district)
    assert np.abs(np.bincount(district[sample], minlength=20) - 0.1 * sizes).max() <= 4


def test_strata_are_records_that_share_their_rarest_rows():
    dense, district = districts()
    M = ColumnMatrix.build(dense, "float64")
    lengths, every = np.bincount(M.indices, minlength=63), np.arange(4000)
    found = list(strata(M, lengths, every, np.ones(63, bool)))
    assert sorted(len(stratum) for stratum in found) == sorted(np.bincount(district).tolist())
    assert all(len(np.unique(district[stratum])) == 1 for stratum in found)
    shared = np.repeat([False, True], [60, 3])  # rows of all districts join them
    assert len(list(strata(M, lengths, every, shared))) == 1


def test_the_same_seed_gives_the_same_sample_and_another_does_not():
    M, p = ColumnMatrix.build(np.random.default_rng(0).random((4, 100))), np.full(100, 0.2)
    asked = ((0, 0), (0, 0), (1, 0), (0, 1))
    samples = [balanced_sample(M, np.ones(100), p, seed, attempt) for seed, attempt in asked]
    np.testing.assert_array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])
    assert not np.array_equal(samples[0], samples[3])
