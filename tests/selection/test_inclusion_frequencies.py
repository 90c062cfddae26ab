"""Statistical truth of selections: what has the mean that it should have, over many seeds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from survey_problems import problem

from l0np.refit import DEFAULT_BOUNDS, distance_of
from l0np.selection.all_records import AllRecords
from l0np.selection.methods import METHODS
from l0np.selection.problem import GateTraining, SelectionProblem
from l0np.selection.thinned import Thinning

PROBLEMS = pytest.mark.parametrize(("n", "q", "k", "problem_seed"), [(120, 4, 30, 0), (200, 6, 40, 1)])


def all_records(n, q, problem_seed, meets_targets=False):
    """All records, calibrated; a function gives them with another seed of the selection."""
    M, y, base = problem(n, q, problem_seed)
    y = M @ base if meets_targets else y
    distance, training = distance_of("chi-square", DEFAULT_BOUNDS), GateTraining.checked(60, 0.1, "cpu", None)
    checked = SelectionProblem.checked(M, y, base, distance, None, training, 0, {})
    everyone = AllRecords.calibrated(checked)
    return everyone, lambda seed: replace(everyone, problem=replace(checked, seed=seed))


def assert_means(mean, expected, error):
    """The deviations are what chance makes them: the sum of their squares, and the largest."""
    varies = error > 1e-9 * expected.max()
    np.testing.assert_allclose(mean[~varies], expected[~varies], rtol=1e-6)
    z = (mean - expected)[varies] / error[varies]
    assert stats.chi2.sf((z**2).sum(), len(z)) > 1e-3
    assert np.abs(z).max() < stats.norm.isf(5e-4 / len(z))


@pytest.mark.slow  # 1,000 samples of each of two problems
@PROBLEMS
def test_balanced_selects_records_with_their_probabilities(n, q, k, problem_seed):
    everyone, with_seed = all_records(n, q, problem_seed)
    p, count = everyone.inclusion(k).probabilities, np.zeros(n)
    for seed in range(1000):
        found = METHODS["balanced"](with_seed(seed), k)
        assert len(found.records) == k
        count[found.records] += 1
    assert_means(count / 1000, p, np.sqrt(p * (1 - p) / 1000))


@pytest.mark.slow  # 1,000 walks of each of two problems
@PROBLEMS
def test_weights_after_the_walk_have_the_weights_before_selection_as_means(n, q, k, problem_seed):
    everyone, with_seed = all_records(n, q, problem_seed)
    weights = np.zeros((1000, n))
    for seed in range(1000):
        records, weights[seed, records] = Thinning(with_seed(seed), k).drawn()
        assert len(records) >= k
    error = weights.std(axis=0) / np.sqrt(1000)
    assert_means(weights.mean(axis=0), everyone.weights_before, error)


def thinned(n, q, k, n_seeds, problem_seed):
    """Return probabilities, frequencies, and estimates of untargeted totals relative to these."""
    everyone, with_seed = all_records(n, q, problem_seed, meets_targets=True)
    rng, counts, ratios = np.random.default_rng(9), np.zeros(n), []
    others = np.vstack([rng.random((4, n)) < 0.4, rng.lognormal(0, 0.7, (4, n))]).astype(float)
    for seed in range(n_seeds):
        found = METHODS["thinned"](with_seed(seed), k)
        assert len(found.records) == k
        counts[found.records] += 1
        estimates = others[:, found.records] @ found.refit.weights
        ratios.append(estimates / (others @ everyone.weights_before))
    return everyone.inclusion(k).probabilities, counts / n_seeds, np.array(ratios)


@pytest.mark.slow  # 1,000 selections of each of two problems
@PROBLEMS
def test_thinned_records_are_selected_about_as_often_as_their_probabilities_say(n, q, k, problem_seed):
    """Thinning is not at random, so that single records deviate more than chance does."""
    p, frequency, _ = thinned(n, q, k, 1000, problem_seed)
    np.testing.assert_allclose(frequency.sum(), k)
    deviation = frequency - p
    assert np.sqrt((deviation**2).mean()) < 0.05  # chance alone: 0.013
    assert np.abs(deviation).max() < 0.3
    assert np.corrcoef(frequency, p)[0, 1] > 0.93
    assert (frequency > 0).mean() > 0.98  # hardly any record is out of reach
    thirds = np.array_split(np.argsort(p), 3)  # and no kind of record is preferred on the whole
    for part in thirds:
        assert abs(frequency[part].mean() / p[part].mean() - 1) < 0.15


@pytest.mark.slow  # 300 selections of each of three sizes
def test_the_bias_of_untargeted_totals_shrinks_with_k():
    biases = []
    for k in (15, 30, 60):
        _, _, ratios = thinned(120, 4, k, 300, 0)
        bias, error = ratios.mean(axis=0) - 1, ratios.std(axis=0) / np.sqrt(300)
        biases.append(np.sqrt((bias**2).mean()))
        assert np.abs(bias).max() < 1.5 / k + 4 * error.max()
    assert biases[2] < biases[1] < biases[0]
