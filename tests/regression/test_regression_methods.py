"""How features are selected: the table of methods, what each finds, and the screening of many columns."""

import re

import numpy as np
import pytest
from linear_problems import design_of, ordinary, problem, squares
from scipy import sparse
from support import CPU_DEVICES

from l0np import ColumnMatrix, l0_regression_path
from l0np.errors import InputError
from l0np.regression.gram import Products
from l0np.regression.methods import METHODS, Method, Supports, Task, select
from l0np.regression.spike_slab import sample

every_method = pytest.mark.parametrize("method", METHODS)


def task_of(X, y, seed=0, device="cpu"):
    return Task(design_of(X), y, seed, device, X.shape[1])


def test_the_docstring_lists_the_methods():
    (listed,) = re.findall(r"    method : \{(.*)\}", l0_regression_path.__doc__)
    assert listed.split(", ") == [f'"{name}"' for name in METHODS]
    for name in METHODS:
        assert l0_regression_path.__doc__.count(f'"{name}"') > 1  # and says something of each


def by_correlation(task, sizes):
    """A method as a maintainer would add one: the features of largest correlation with the response."""
    ranked = np.argsort(-np.abs(task.design.correlations(task.response)), kind="stable")
    sizes = task.usual_sizes() if sizes is None else sizes
    return Supports({int(k): np.sort(ranked[:k]) for k in sizes})


def test_a_method_of_ones_own_is_a_line_in_the_table(monkeypatch):
    monkeypatch.setitem(METHODS, "correlation", Method(by_correlation))
    X, y, _ = problem()
    order = np.argsort(-np.abs(np.corrcoef(X.T, y)[-1, :-1]))
    path = l0_regression_path(X, y, method="correlation")
    for k in range(1, len(path.n_active)):
        assert path.features(k).tolist() == sorted(order[:k])
        np.testing.assert_allclose(path.error[k], squares(X, y, order[:k]) / 60)
    by_hand = l0_regression_path(X, y, method="correlation", criterion="ebic")
    assert np.array_equal(path.criterion, by_hand.criterion)
    assert path.inclusion is None
    assert l0_regression_path(X, y, method="correlation", cv=3).n_active_ > 0
    with pytest.raises(
        InputError, match=r"one of 'inclusion', 'exchange', 'gates', 'correlation'; got 'lasso'"
    ):
        l0_regression_path(X, y, method="lasso")
    with pytest.raises(InputError, match=r'"f1" needs the probabilities of method="inclusion", got'):
        l0_regression_path(X, y, method="correlation", criterion="f1")


def test_a_method_of_ones_own_may_find_a_posterior(monkeypatch):
    monkeypatch.setitem(METHODS, "again", Method(METHODS["inclusion"].find, posterior=True))
    X, y, _ = problem(noise=3.0)
    one, other = (l0_regression_path(X, y, method=method) for method in ("inclusion", "again"))
    assert np.array_equal(one.criterion, other.criterion)
    assert np.array_equal(one.coef_, other.coef_)
    needed = r'"posterior" needs method="inclusion" or method="again" and no other shrinkage'
    with pytest.raises(InputError, match=needed):
        l0_regression_path(X, y, method="exchange", coefficients="posterior")


@every_method
def test_every_method_finds_a_clear_support_whatever_the_units(method):
    X, y, truth = problem(n=100, p=30)
    units = 10.0 ** np.random.default_rng(0).integers(-6, 6, 30)
    options = {"method": method, "seed": 1, "coefficients": "least squares"}
    path = l0_regression_path(X * units, 1e3 * y, range(7) if method == "gates" else None, **options)
    assert path.indices.tolist() == [1, 4, 6]
    b, a, fitted = ordinary(X, y, [1, 4, 6])
    np.testing.assert_allclose(path.coef_[[1, 4, 6]] * units[[1, 4, 6]], 1e3 * b, rtol=1e-8)
    assert np.count_nonzero(path.coef_) == path.n_active_ == np.count_nonzero(truth)
    assert path.intercept_ == pytest.approx(1e3 * a)
    np.testing.assert_allclose(path.predict(X * units), 1e3 * fitted, rtol=1e-8)
    explained = 1 - squares(X, y, [1, 4, 6]) / np.sum((y - y.mean()) ** 2)
    assert path.score(X * units, 1e3 * y) == pytest.approx(explained)
    assert np.isfinite(path.lambda_l0[1:]).all() if method == "gates" else np.isnan(path.lambda_l0).all()
    assert (path.inclusion is None) == (method != "inclusion")
    assert path.n_active.tolist() == list(range(len(path.n_active)))
    assert path.features(0).tolist() == []
    assert path.predict(X * units, n_active=0) == pytest.approx(np.full(100, 1e3 * y.mean()))


@pytest.mark.parametrize("method", ["inclusion", "exchange"])
def test_noise_alone_gives_no_features(method):
    rng = np.random.default_rng(5)
    path = l0_regression_path(rng.normal(size=(100, 20)), rng.normal(size=100), method=method)
    assert path.n_active_ == 0
    assert not path.coef_.any()


@pytest.mark.parametrize("y", [np.full(60, 2.5), np.zeros(60)], ids=["constant", "zero"])
@every_method
def test_a_constant_response(method, y):
    path = l0_regression_path(problem()[0], y, method=method)
    assert path.n_active_ == 0
    assert path.intercept_ == pytest.approx(y[0])


def test_sparse_dense_and_column_matrices_give_the_same_path():
    rng = np.random.default_rng(6)
    X = sparse.random_array((80, 25), density=0.05, format="csr", rng=rng)
    y = X @ rng.normal(size=25) + 0.1 * rng.normal(size=80)
    kinds = (X, X.toarray(), ColumnMatrix.build(X, np.float64))
    one, *others = (l0_regression_path(matrix, y) for matrix in kinds)
    for other in others:
        np.testing.assert_allclose(one.inclusion, other.inclusion, atol=1e-9)
        np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-9)


# --- shrunken coefficients


@pytest.mark.slow  # computes forty paths
def test_shrunken_coefficients_predict_better_where_the_noise_is_large():
    """Risk over twenty draws; each support is the same, and so are the models of no features."""
    risk = np.zeros(2)
    for seed in range(20):
        X, y, truth = problem(n=40, p=100, seed=seed, noise=4.0)
        paths = [l0_regression_path(X, y, coefficients=kind) for kind in ("posterior", "least squares")]
        for i, path in enumerate(paths):
            assert path.coefficients.nnz == path.n_active.sum()
            risk[i] += np.sum((path.coef_ - truth) ** 2)
        assert np.array_equal(paths[0].indices, paths[1].indices)
    assert risk[0] < 0.8 * risk[1]


def test_the_posterior_of_all_features_is_what_it_expects():
    """With all features to select from, the nearest to the averaged predictions are these."""
    X, y, _ = problem(noise=3.0)
    design = design_of(X)
    posterior = sample(Products.of(design, y), 0, compiled=False)
    path = l0_regression_path(X, y, 8, device="numpy")
    np.testing.assert_allclose(path.coef_ / design.scales, posterior.mean, rtol=1e-8)
    np.testing.assert_allclose(path.predict(X), y.mean() + design.products(posterior.mean), rtol=1e-10)
    assert path.error[0] == pytest.approx(np.mean((y - path.predict(X)) ** 2))


# --- many columns


def hidden_feature():
    """Return features of which the first is uncorrelated with y: what it and its correlate x1 add cancels."""
    rng = np.random.default_rng(8)
    X = rng.normal(size=(400, 200))
    X[:, 1] = X[:, 0] + rng.normal(size=400)
    y = 2.0 * X[:, 1] - 2.0 * X[:, 0] + 0.3 * rng.normal(size=400)
    r = y - y.mean()
    X[:, 0] -= 0.98 * (X[:, 0] @ r / (r @ r)) * r
    assert abs(np.corrcoef(X[:, 0], y)[0, 1]) < 0.02
    return X, y


@pytest.mark.parametrize("method", ["inclusion", "exchange"])
def test_a_feature_that_only_what_is_left_shows_comes_through_the_screening(method):
    X, y = hidden_feature()
    seen = []

    def find(task, sizes):
        seen.append(task.design.p)
        return METHODS[method].find(task, sizes)

    found = select(Method(find), task_of(X, y), np.array([2]), most_columns=20)
    assert found.features[2].tolist() == [0, 1]
    assert seen[0] == 20
    assert 1 < len(seen) <= 5
    assert (found.inclusion is None) == (method != "inclusion")
    assert method != "inclusion" or found.inclusion.shape == (200,)
    whole = select(METHODS[method], task_of(X, y), np.array([2]))
    assert whole.features[2].tolist() == [0, 1]


@pytest.mark.parametrize("method", ["inclusion", "exchange"])
def test_more_columns_than_methods_see_at_once(method):
    rng = np.random.default_rng(7)
    X = sparse.random_array((300, 3000), density=0.05, format="csc", rng=rng)
    y = X[:, [5, 50, 500]] @ np.array([3.0, -4.0, 5.0]) + 0.1 * rng.normal(size=300)
    path = l0_regression_path(X, y, method=method)
    assert path.indices.tolist() == [5, 50, 500]
    if method == "inclusion":
        assert path.inclusion.shape == (3000,)
        assert path.inclusion[[5, 50, 500]].min() > 0.9
        assert np.delete(path.inclusion, [5, 50, 500]).sum() < 1.0


@pytest.mark.parametrize("device", CPU_DEVICES)
def test_a_seed_fixes_the_answer(device):
    X, y, _ = problem(noise=3.0)
    one, two, other = (l0_regression_path(X, y, seed=seed, device=device) for seed in (1, 1, 2))
    assert np.array_equal(one.inclusion, two.inclusion)
    assert not np.array_equal(one.inclusion, other.inclusion)


def test_a_size_without_any_independent_feature():
    """Exchanges find nothing in constant features; any will do."""
    path = l0_regression_path(np.ones((10, 3)), np.arange(10.0), [1], method="exchange")
    assert path.n_active.tolist() == [1]
    assert np.allclose(path.predict(np.ones((2, 3))), 4.5)
