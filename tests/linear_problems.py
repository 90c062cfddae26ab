"""Small regressions, and least squares as a user would write it: what the tests of regressions share."""

import numpy as np

from l0np import ColumnMatrix
from l0np.refit import Design


def problem(n=60, p=8, seed=0, noise=0.5, active=(1, 4, 6)):
    """Return correlated features, a response of three of them, and the true coefficients."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 0.6 * rng.normal(size=(n, 1))
    truth = np.zeros(p)
    truth[list(active)] = 1.0, -2.0, 1.5
    return X, 4.0 + X @ truth + noise * rng.normal(size=n), truth


def ordinary(X, y, columns, intercept=True):
    """Return coefficients, intercept and predictions of least squares on some columns."""
    A = np.column_stack((np.ones(len(y)), X[:, columns])) if intercept else X[:, columns]
    b = np.linalg.lstsq(A, y, rcond=None)[0]
    return (b[1:], b[0], A @ b) if intercept else (b, 0.0, A @ b)


def squares(X, y, columns):
    """Return the residual sum of squares of least squares on some columns."""
    return float(np.sum((y - ordinary(X, y, list(columns))[2]) ** 2))


def design_of(X, intercept=True):
    """Return the standardised design of an array."""
    return Design.of(ColumnMatrix.build(X, np.float64), intercept=intercept)
