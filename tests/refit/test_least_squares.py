"""Least squares on selected columns of a design, whatever their units and means."""

import numpy as np
import pytest
from linear_problems import design_of, ordinary, problem

from l0np import ColumnMatrix
from l0np.errors import InputError
from l0np.refit import Design

both_densities = pytest.mark.parametrize("density", [1.0, 0.05], ids=["dense", "sparse"])


@pytest.mark.parametrize("intercept", [True, False])
@both_densities
def test_least_squares_in_units_of_any_size(density, intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 30)) * (rng.random((200, 30)) < density)
    X = np.where(X != 0, X + 1.0, 0.0)
    y, units = 7.0 + X @ rng.normal(size=30) + rng.normal(size=200), np.logspace(-8, 8, 30)
    selected = np.array([0, 3, 11, 29])
    b, a, fitted = ordinary(X, y, selected, intercept)
    design = design_of(X * units, intercept)
    assert design.is_dense == (density > 0.1)
    answer = design.solve(y, selected)
    np.testing.assert_allclose(answer.coefficients * units[selected], b, rtol=1e-9)
    assert answer.intercept == pytest.approx(a, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(design.predictions(selected, answer), fitted, rtol=1e-9)
    assert (answer.rank, answer.converged) == (4, True)


@both_densities
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_iterative_solver_gives_the_same(density, ridge):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 40)) * (rng.random((300, 40)) < density)
    y, selected = 5.0 + X.sum(axis=1) + rng.normal(size=300), np.arange(2, 30)
    design = design_of(X)
    direct, iterated = design.solve(y, selected, ridge), design.solve(y, selected, ridge, dense_entries=0)
    np.testing.assert_allclose(iterated.coefficients, direct.coefficients, rtol=1e-8)
    assert iterated.intercept == pytest.approx(direct.intercept, rel=1e-10)
    assert iterated.converged
    assert (direct.rank, iterated.rank) == (28, None)


@both_densities
def test_standardised_columns(density):
    rng = np.random.default_rng(3)
    X = (3.0 + rng.normal(size=(50, 20))) * (rng.random((50, 20)) < density)
    X[:, 4] = 0.1  # constant, though its mean is not exact
    for intercept, centred in ((True, X - X.mean(axis=0)), (False, X)):
        design = design_of(X, intercept)
        lengths = np.linalg.norm(centred, axis=0)
        usable = lengths > 1e-9 if not intercept else (lengths > 1e-9) & (np.arange(20) != 4)
        assert design.usable.tolist() == usable.tolist()
        expected = np.divide(centred, lengths, out=np.zeros_like(X), where=usable)
        np.testing.assert_allclose(design.columns(np.arange(20)), expected, atol=1e-14)
        np.testing.assert_allclose(design.correlations(X), expected.T @ X, atol=1e-12)
        b = rng.normal(size=20)
        np.testing.assert_allclose(design.products(b), expected @ b, atol=1e-12)


@both_densities
def test_some_columns_and_some_rows_are_standardised_by_themselves(density):
    rng = np.random.default_rng(5)
    X = (3.0 + rng.normal(size=(50, 20))) * (rng.random((50, 20)) < density)
    columns, rows = np.array([7, 2, 11]), np.arange(0, 50, 3)
    matrix = ColumnMatrix.build(X, np.float64)
    one, other, expected = (
        Design.of(matrix, columns, intercept=True),
        design_of(X).take(columns),
        design_of(X[:, columns]),
    )
    for design in (one, other):
        assert (design.n, design.p) == (50, 3)
        np.testing.assert_array_equal(design.columns(np.arange(3)), expected.columns(np.arange(3)))
        np.testing.assert_array_equal(design.means, expected.means)
    part = design_of(X).rows(rows)
    np.testing.assert_array_equal(part.columns(columns), design_of(X[rows]).columns(columns))


def test_a_large_mean_costs_no_digits():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(100, 3))
    y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=100)
    moved = design_of(X + 1e6).solve(y, np.arange(3))
    np.testing.assert_allclose(moved.coefficients, ordinary(X, y, [0, 1, 2])[0], rtol=1e-8)


def test_ridge_shrinks_standardised_coefficients():
    X, y, _ = problem()
    selected, penalty = np.array([1, 4, 6]), 0.7
    Z = (X[:, selected] - X[:, selected].mean(axis=0)) / X[:, selected].std(axis=0)
    b = np.linalg.solve(Z.T @ Z / len(y) + penalty * np.eye(3), Z.T @ (y - y.mean()) / len(y))
    answer = design_of(X).solve(y, selected, penalty)
    np.testing.assert_allclose(answer.coefficients * X[:, selected].std(axis=0), b, rtol=1e-10)


def test_no_columns_leave_the_mean():
    X, y, _ = problem()
    nothing = np.zeros(0, np.int64)
    for design in (design_of(X), Design.of(ColumnMatrix.build(X, np.float64), nothing, intercept=True)):
        answer = design.solve(y, nothing)
        assert answer.intercept == pytest.approx(y.mean())
        np.testing.assert_allclose(design.predictions(nothing, answer), y.mean())


def test_a_column_whose_squares_overflow_is_named_by_its_number_in_the_matrix():
    X = np.ones((5, 4)) * np.array([1.0, 1.0, 1e200, 1.0])
    matrix = ColumnMatrix.build(X, np.float64)
    for columns in (None, np.array([3, 2])):
        with pytest.raises(InputError, match=r"X\[:, 2\] is of the size"):
            Design.of(matrix, columns, intercept=True)
    Design.of(matrix, np.array([3, 0]), intercept=True)
