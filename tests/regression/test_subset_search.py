"""The best subset of each size, found by exchanges of two columns."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear_problems import design_of, problem, squares

from l0np import l0_regression_path
from l0np.regression.gram import Products
from l0np.regression.subset_search import Subsets


def subsets_of(X, y):
    return Subsets(Products.of(design_of(X), y))


@given(st.integers(0, 10_000))
def test_a_scan_evaluates_every_subset_that_differs_by_one_column(seed):
    rng = np.random.default_rng(seed)
    X, y, _ = problem(n=15, p=6, seed=seed, active=(0, 1, 2))
    selected = np.sort(rng.choice(6, size=rng.integers(1, 6), replace=False))
    scan, here = subsets_of(X, y).scan(selected), squares(X, y, selected)
    assert scan.squares == pytest.approx(here, rel=1e-6)
    for i, j in itertools.product(range(len(selected)), range(6)):
        others = np.delete(selected, i)
        assert scan.drop[i] == pytest.approx(squares(X, y, others) - here, rel=1e-5, abs=1e-8)
        if j not in selected:
            added, exchanged = squares(X, y, [*selected, j]), squares(X, y, [*others, j])
            assert scan.add[j] == pytest.approx(here - added, rel=1e-5, abs=1e-8)
            assert scan.exchange[i, j] == pytest.approx(here - exchanged, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_exchange_finds_the_best_subset_of_each_size(seed):
    X, y, _ = problem(n=40, p=9, seed=seed, noise=2.0)
    path = l0_regression_path(X, y, range(10), method="exchange")
    for k in range(10):
        best = min(squares(X, y, columns) for columns in itertools.combinations(range(9), k))
        assert len(path.features(k)) == k
        assert squares(X, y, path.features(k)) == pytest.approx(best, rel=1e-9)
        assert path.error[k] == pytest.approx(best / 40, rel=1e-9)


def test_exchange_beats_growing_one_by_one():
    """The classic trap: x0 is nearly x1 + x2, which make y; alone, x0 is the best."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 3))
    X[:, 0] = X[:, 1] + X[:, 2] + 0.3 * rng.normal(size=200)
    y = X[:, 1] + X[:, 2]
    path = l0_regression_path(X, y, [1, 2], method="exchange")
    assert path.features(1).tolist() == [0]
    assert path.features(2).tolist() == [1, 2]
    assert path.n_active_ == 2


def test_sizes_learn_from_those_above_and_below():
    """The best of a size is not worse than its neighbours without, or with, the column that matters most."""
    correlations = 0.8 ** np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 40)) @ np.linalg.cholesky(correlations).T
        y = X @ rng.normal(size=40) + 3.0 * rng.normal(size=60)
        search = subsets_of(X, y)
        found = [search.scan(selected) for selected in search.path(np.arange(13)).values()]
        for smaller, larger in itertools.pairwise(found):
            assert smaller.squares <= (larger.squares + larger.drop.min()) * (1 + 1e-12)
            assert larger.squares <= (smaller.squares - smaller.add.max()) * (1 + 1e-12)


def test_constant_and_repeated_features():
    X, y, _ = problem()
    X = np.column_stack((np.full(60, 3.0), X, X[:, 4]))
    for method in ("exchange", "inclusion"):
        path = l0_regression_path(X, y, [1, 3, 9, 10], method=method, coefficients="least squares")
        assert [len(path.features(k)) for k in (1, 3, 9, 10)] == [1, 3, 9, 10]
        assert np.isfinite(path.coefficients.data).all()
        assert path.error[-1] == pytest.approx(squares(X, y, range(10)) / 60)
