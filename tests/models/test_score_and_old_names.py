"""`SparseL0Linear.score`, and the name that l0-python gives to X."""

import numpy as np
import pytest
from linear_problems import problem
from scipy import sparse

from l0np import SparseL0Linear
from l0np.errors import InputError, InputTypeError


def fitted(*arguments, **named):
    return SparseL0Linear(8, seed=0, device="numpy").fit(*arguments, epochs=50, **named)


def test_x_by_its_old_name():
    X, y, _ = problem()
    X = sparse.csr_array(X)
    model, old = fitted(X, y), fitted(X_sparse=X, y=y)
    assert np.array_equal(old.weight, model.weight)
    assert np.array_equal(old.predict(X_sparse=X), model.predict(X))
    assert old.score(X_sparse=X, y=y) == model.score(X, y)
    model.refit(X, y)
    assert np.array_equal(old.refit(X_sparse=X, y=y).weight, model.weight)


def test_x_by_both_names_is_refused():
    X, y, _ = problem()
    message = "SparseL0Linear.fit: X_sparse is the old name of X: give one of them"
    with pytest.raises(InputTypeError, match=message):
        fitted(X, y, X_sparse=X)
    with pytest.raises(InputTypeError, match=message):
        fitted(X=X, y=y, X_sparse=X)


def test_score_is_r_squared_by_hand():
    X, y, _ = problem(noise=1.0)
    model = fitted(X, y)
    squares = np.sum((y - model.predict(X)) ** 2)
    assert model.score(X, y) == pytest.approx(1 - squares / np.sum((y - y.mean()) ** 2))
    model.refit(X, y)
    assert model.score(X, y) > 0.5
    assert model.score(X, np.full(60, 3.0)) == 0.0
    with pytest.raises(InputError, match="y must have one value for each row of X"):
        model.score(X, y[:-1])


def test_score_uses_columns_by_name_and_rows_in_order():
    pandas = pytest.importorskip("pandas")
    X, y, _ = problem()
    frame = pandas.DataFrame(X, columns=list("abcdefgh"), index=[f"row {i}" for i in range(60)])
    model = fitted(frame, y)
    assert model.score(frame[list("hgfedcba")], y) == model.score(X, y)
    with pytest.raises(InputError, match=r"y has the labels of X.index in another order"):
        model.score(frame, pandas.Series(y, index=frame.index)[::-1])
