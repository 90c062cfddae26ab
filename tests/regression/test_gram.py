"""Inner products of standardised columns, made at once or when they are asked for."""

import numpy as np
import pytest
from linear_problems import design_of, problem

from l0np.regression.gram import Gram, GramLimits, Products


def test_all_rows_are_correlations():
    X, _, _ = problem(p=40)
    np.testing.assert_allclose(Gram(design_of(X)).rows, np.corrcoef(X.T), atol=1e-13)


@pytest.mark.parametrize("entries", [1, 60, 60 * 7, 10**9])
def test_columns_are_made_dense_a_few_at_a_time(entries):
    X, _, _ = problem(p=40)
    design = design_of(X)
    np.testing.assert_allclose(Gram(design, GramLimits(entries=entries)).rows, Gram(design).rows, atol=1e-14)


def test_rows_are_made_and_dropped_where_memory_is_short():
    X, _, _ = problem(p=200)
    design = design_of(X)
    whole, few = Gram(design), Gram(design, GramLimits(at_once=0, memory=0))
    assert len(few.rows) == 64
    for columns in ([3, 4], range(2, 60), [70, 3], range(61, 70), range(100, 180), [8, 3], [199]):
        np.testing.assert_allclose(few.of(columns), whole.of(columns), atol=1e-14)
        assert set(few.slots[list(columns)]) <= set(range(len(few.rows)))
    assert len(few.rows) == 128  # 80 rows were asked for together


def test_products_with_a_response():
    X, y, _ = problem()
    for intercept in (True, False):
        products = Products.of(design_of(X, intercept), y)
        centred = X - X.mean(axis=0) if intercept else X
        r = y - y.mean() if intercept else y
        expected = centred.T @ r / np.linalg.norm(centred, axis=0)
        np.testing.assert_allclose(products.response, expected, atol=1e-12 * np.linalg.norm(r))
        assert products.total == pytest.approx(r @ r)
        assert products.degrees == 60 - intercept
