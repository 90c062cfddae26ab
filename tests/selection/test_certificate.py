"""The bound of the effective sample size holds for every selection, and is exact where all are selected."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

import l0np


def small(n=9, q=2, seed=0):
    """Targets that weights which differ much meet."""
    rng = np.random.default_rng(seed)
    M = np.vstack([np.ones(n), rng.lognormal(size=(q - 1, n))])
    return M, M @ rng.lognormal(0, 1.5, size=n)


def best_size(M, y):
    """The largest effective sample size of weights of 0 or more that meet the targets; 0 if none do."""
    start = linprog(np.ones(M.shape[1]), A_eq=M, b_eq=y)
    if not start.success:
        return 0.0
    found = minimize(
        lambda w: (w**2).sum() / w.sum() ** 2,
        start.x,
        bounds=[(0, None)] * M.shape[1],
        constraints={"type": "eq", "fun": lambda w: (M @ w - y) / y},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return found.x.sum() ** 2 / (found.x**2).sum() if np.abs(M @ found.x / y - 1).max() < 1e-6 else 0.0


@pytest.mark.slow  # enumerates all selections
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [3, 4, 6])
def test_the_bound_holds_for_every_selection(seed, k):
    M, y = small(seed=seed)
    best = max(best_size(M[:, list(chosen)], y) for chosen in combinations(range(9), k))
    bound = l0np.evenness_bound(M, y, k)
    assert best / k <= bound * (1 + 1e-6) <= 1 + 1e-6


def test_the_bound_says_something_where_targets_require_uneven_weights():
    rng = np.random.default_rng(1)
    M = np.vstack([np.ones(40), rng.lognormal(0, 1.5, size=(3, 40))])
    y = M @ np.where(M[1] > np.quantile(M[1], 0.8), 5.0, 0.1)  # records of large values count fifty times
    bound = l0np.evenness_bound(M, y, 30)
    assert bound < 0.9
    whole = best_size(M, y) / 40
    np.testing.assert_allclose(l0np.evenness_bound(M, y, 40, steps=5000), whole, rtol=2e-3)  # k = N is exact


def test_every_bound_on_the_way_holds():
    M, y = small(60, 6)
    bounds = [l0np.evenness_bound(M, y, 30, steps=steps) for steps in (1, 3, 10, 100, 3000)]
    answer = l0np.calibrate(M, y, 30, seed=0, method="thinned", bounds=(1e-6, None))
    assert not answer.missed
    assert min(bounds) == pytest.approx(bounds[-1], rel=1e-6)
    assert answer.diagnostics.effective_sample_size / 30 <= bounds[-1]


def test_units_do_not_matter():
    M, y = small(60, 6)
    units = 10.0 ** np.arange(-3, 3)
    plain = l0np.evenness_bound(M, y, 20)
    assert l0np.evenness_bound(M * units[:, None], y * units, 20) == pytest.approx(plain, rel=1e-4)
    assert l0np.evenness_bound(M, 1e6 * y, 20) == pytest.approx(plain, rel=1e-4)


def test_equal_weights_that_meet_the_targets_have_a_bound_of_1():
    M, _ = small(60, 6)
    assert l0np.evenness_bound(M, M.sum(axis=1), 20) == 1.0


@pytest.mark.parametrize(
    ("k", "options", "words"),
    [
        (0, {}, "n_active must be at least 1"),
        (61, {}, "at most 60"),
        (31, {"base_weights": np.r_[np.ones(30), np.zeros(30)]}, "at most 30"),
        (5, {"steps": 0}, "steps"),
    ],
)
def test_what_cannot_be_bounded_is_refused(k, options, words):
    M, y = small(60, 6)
    with pytest.raises(l0np.errors.InputError, match=words):
        l0np.evenness_bound(M, y, k, **options)
