"""Weights of rows: an integer weight is that row repeated, in every method, criterion and kind of matrix."""

import numpy as np
import pytest
from linear_problems import design_of, problem
from scipy import sparse
from support import CPU_DEVICES

from l0np import ColumnMatrix, l0_regression_path
from l0np.errors import InputError
from l0np.refit import Design

WEIGHTS = np.random.default_rng(3).integers(0, 4, 60)
both_densities = pytest.mark.parametrize("density", [1.0, 0.08], ids=["dense", "sparse"])


def both(density, n=60, p=8):
    """Return a matrix and a response, and both with each row repeated as often as its weight says."""
    X, y, truth = problem(n=n, p=p, noise=1.0)
    if density < 1:
        X = X * (np.random.default_rng(1).random(X.shape) < density)
        y = 2.0 + X @ truth + np.random.default_rng(2).normal(size=n)
    return X, y, np.repeat(X, WEIGHTS, axis=0), np.repeat(y, WEIGHTS)


OPTIONS = [{}, {"device": "numpy"}, {"criterion": "bic"}, {"coefficients": "least squares"}]
OPTIONS += [
    {"lambda_l2": 0.3},
    *({"method": "exchange", "criterion": name} for name in ("bic", "ebic", "gic")),
]


# Dense features with an intercept and sparse ones without, or the other way round
@pytest.mark.parametrize(
    ("options", "fit_intercept", "density"),
    [
        (options, with_intercept, 1.0 if with_intercept == bool(i % 2) else 0.08)
        for i, options in enumerate(OPTIONS)
        for with_intercept in (True, False)
    ],
    ids=str,
)
def test_integer_weights_are_repeated_rows(density, fit_intercept, options):
    X, y, X_repeated, y_repeated = both(density)
    options = {**options, "fit_intercept": fit_intercept}
    path = l0_regression_path(X, y, sample_weight=WEIGHTS, **options)
    repeated = l0_regression_path(X_repeated, y_repeated, **options)
    np.testing.assert_array_equal(path.n_active, repeated.n_active)
    np.testing.assert_allclose(path.criterion, repeated.criterion, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(path.error, repeated.error, rtol=1e-8)
    coefficients = path.coefficients.toarray()
    np.testing.assert_allclose(coefficients, repeated.coefficients.toarray(), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(path.intercepts, repeated.intercepts, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("device", CPU_DEVICES[-1:])
def test_gates_are_trained_with_weights(device):
    X, y, X_repeated, y_repeated = both(1.0)
    options = {"n_active": 3, "method": "gates", "device": device}
    path = l0_regression_path(X, y, sample_weight=WEIGHTS, **options)
    repeated = l0_regression_path(X_repeated, y_repeated, **options)
    assert path.indices.tolist() == repeated.indices.tolist()
    assert path.lambda_l0 == pytest.approx(repeated.lambda_l0, rel=1e-3)
    np.testing.assert_allclose(path.coef_, repeated.coef_, rtol=1e-9)


def test_weights_of_one_change_no_bit():
    X, y, _ = problem(noise=3.0)
    for weight in (1, 1.0, np.ones(60), [1] * 60):
        path, plain = l0_regression_path(X, y, sample_weight=weight), l0_regression_path(X, y)
        assert np.array_equal(path.coef_, plain.coef_)
        assert np.array_equal(path.criterion, plain.criterion)


def test_a_row_of_weight_0_takes_no_part_in_cross_validation():
    X, y, _ = problem()
    used = np.arange(60) % 5 != 0
    y = np.where(used, y, 1e6)
    path = l0_regression_path(X, y, sample_weight=used.astype(float), method="exchange", cv=4)
    without = l0_regression_path(X[used], y[used], method="exchange", cv=4)
    np.testing.assert_allclose(path.criterion, without.criterion, rtol=1e-12)


def test_errors_of_cross_validation_are_weighted():
    X, y, _ = problem(n=40)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 40)
    path = l0_regression_path(X, y, range(9), sample_weight=weights, method="exchange", cv=4, seed=2)
    fold = np.random.Generator(np.random.Philox(key=2)).permutation(np.arange(40) % 4)
    expected = np.zeros(9)
    for left_out in range(4):
        inside = fold != left_out
        arguments = X[inside], y[inside], range(9)
        part = l0_regression_path(*arguments, sample_weight=weights[inside], method="exchange")
        for k in range(9):
            squares = (y[~inside] - part.predict(X[~inside], k)) ** 2
            expected[k] += weights[~inside] @ squares / weights.sum()
    np.testing.assert_allclose(path.criterion, expected, rtol=1e-10)


@both_densities
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_iterative_solver_takes_weights(density, ridge):
    X, y, X_repeated, y_repeated = both(density)
    matrix, kept = ColumnMatrix.build(X[WEIGHTS > 0], np.float64), WEIGHTS > 0
    design = Design.of(matrix, intercept=True, weights=WEIGHTS[kept].astype(float))
    selected = np.array([1, 4, 6])
    expected = design_of(X_repeated).solve(y_repeated, selected, ridge)
    for entries in (0, 10**6):
        answer = design.solve(y[kept], selected, ridge, dense_entries=entries)
        np.testing.assert_allclose(answer.coefficients, expected.coefficients, rtol=1e-8)
        assert answer.intercept == pytest.approx(expected.intercept, rel=1e-8)


@pytest.mark.parametrize(
    ("weight", "part"),
    [
        (np.zeros(60), "sample_weight is zero for every row"),
        (np.full(60, 1 / 60), "must sum to at least 2, got 1: .* mean of 1"),
        (-1.0, "sample_weight must be at least 0"),
        (np.r_[np.ones(59), -2.0], r"sample_weight\[59\] = -2: must be at least 0"),
        (np.r_[np.ones(59), np.nan], r"sample_weight\[59\] is nan"),
        (np.r_[np.ones(59), 1e300], r"sample_weight\[59\] is of the size"),
        (np.ones(59), "sample_weight must have one value for each row of X"),
        (np.ones((60, 1)), "sample_weight must be one-dimensional"),
    ],
    ids=["zero", "small", "negative", "one negative", "nan", "huge", "short", "column"],
)
def test_bad_weights_are_refused(weight, part):
    X, y, _ = problem()
    with pytest.raises(InputError, match=part):
        l0_regression_path(sparse.csr_array(X), y, sample_weight=weight)


def test_weights_in_another_order_than_the_rows_are_refused():
    pandas = pytest.importorskip("pandas")
    X, y, _ = problem()
    rows = [f"row {i}" for i in range(60)]
    frame, weights = pandas.DataFrame(X, index=rows), pandas.Series(np.ones(60), index=rows)
    l0_regression_path(frame, y, sample_weight=weights)
    with pytest.raises(InputError, match=r"sample_weight has the labels of X.index in another order"):
        l0_regression_path(frame, y, sample_weight=weights[::-1])
