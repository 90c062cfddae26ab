"""Statistical truth of thinned selections: how often records are selected, and totals that are no targets."""

from dataclasses import replace

import numpy as np
import pytest
from survey_problems import problem

from l0np.refit import DEFAULT_BOUNDS, distance_of
from l0np.selection.all_records import AllRecords
from l0np.selection.methods import METHODS
from l0np.selection.problem import GateTraining, SelectionProblem


def selections(n, q, k, n_seeds, seed):
    """Return probabilities, frequencies, and estimates of untargeted totals relative to these."""
    M, _, base = problem(n, q, seed)
    rng = np.random.default_rng(9)
    others = np.vstack([rng.random((4, n)) < 0.4, rng.lognormal(0, 0.7, (4, n))]).astype(float)
    distance, training = distance_of("chi-square", DEFAULT_BOUNDS), GateTraining.checked(60, 0.1, "cpu", None)
    checked = SelectionProblem.checked(M, M @ base, base, distance, None, training, 0, {})
    everyone, counts, ratios = AllRecords.calibrated(checked), np.zeros(n), []
    for seed_of_one in range(n_seeds):
        one = replace(everyone, problem=replace(checked, seed=seed_of_one))
        found = METHODS["thinned"](one, k)
        assert len(found.records) == k
        counts[found.records] += 1
        ratios.append(others[:, found.records] @ found.refit.weights / (others @ base))
    return everyone.inclusion(k).probabilities, counts / n_seeds, np.array(ratios)


@pytest.mark.slow  # 1,000 selections of each of two problems
@pytest.mark.parametrize(("n", "q", "k", "seed"), [(120, 4, 30, 0), (200, 6, 40, 1)])
def test_records_are_selected_nearly_as_often_as_their_probabilities_say(n, q, k, seed):
    """Thinning prefers records of little weight, so that single records deviate more than chance does."""
    p, frequency, _ = selections(n, q, k, 1000, seed)
    np.testing.assert_allclose(frequency.sum(), k)
    deviation = frequency - p
    assert np.sqrt((deviation**2).mean()) < 0.07  # chance alone: 0.013
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
        _, _, ratios = selections(120, 4, k, 300, 0)
        bias, error = ratios.mean(axis=0) - 1, ratios.std(axis=0) / np.sqrt(300)
        biases.append(np.sqrt((bias**2).mean()))
        assert np.abs(bias).max() < 1.5 / k + 4 * error.max()
    assert biases[2] < biases[1] < biases[0]
