"""How Newton's method starts: with the last proximity, and from a sample where there are many records."""

import numpy as np
import pytest
from refit_problems import random_problem, refit


def many_records(k=210_000):
    rng = np.random.default_rng(0)
    category = rng.integers(4, size=k)
    M = np.vstack([np.ones(k), category == 1, category == 2, rng.lognormal(size=k)]).astype(float)
    reference = rng.lognormal(1, 0.5, size=k)
    return M, M @ (reference * rng.lognormal(0, 0.3, size=k) * (1.0 + 0.2 * category)), reference


def assert_calibrated_by_raking(M, y, found, reference):
    """The targets are met, and the logarithms of the g-weights are a combination of the rows."""
    assert found.converged
    np.testing.assert_allclose(M @ found.weights, y, rtol=1e-11)
    pull = np.log(found.weights / reference)
    multipliers = np.linalg.lstsq(M.T, pull, rcond=None)[0]
    np.testing.assert_allclose(M.T @ multipliers, pull, atol=1e-9)


def test_the_weights_of_many_records_do_not_depend_on_the_sample():
    M, y, reference = many_records()
    found = refit(M, y, reference, "raking", (None, None))
    assert_calibrated_by_raking(M, y, found, reference)
    assert found.steps <= 5


def test_a_target_to_which_no_sampled_record_contributes():
    M, y, reference = many_records()
    rare = np.zeros(M.shape[1])
    rare[1:4000:4] = 1.0
    M, y = np.vstack([M, rare]), np.append(y, 1.3 * reference[1:4000:4].sum())
    assert_calibrated_by_raking(M, y, refit(M, y, reference, "raking", (None, None)), reference)


@pytest.mark.parametrize("distance", ["raking", "logit"])
def test_targets_that_can_be_met_take_few_steps(distance):
    M, y, reference = random_problem(0, n_targets=20, k=400)
    found = refit(M, y, reference, distance, (0.05, 20.0))
    assert found.converged
    assert found.steps <= 8
    np.testing.assert_allclose(M @ found.weights, y, rtol=1e-12)
