"""Paths keep the names of features: they report them, and predict from frames by name."""

import numpy as np
import pytest
from linear_problems import problem

from l0np import l0_regression_path
from l0np.errors import InputError

NAMES = tuple("abcdefgh")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_features_are_reported_and_used_by_name(library):
    module = pytest.importorskip(library)
    X, y, _ = problem()
    frame = module.DataFrame({name: X[:, j] for j, name in enumerate(NAMES)})
    path, plain = l0_regression_path(frame, y), l0_regression_path(X, y)
    assert path.feature_names == NAMES
    assert plain.feature_names is plain.selected_names is None
    assert np.array_equal(path.indices, plain.indices)
    assert path.selected_names == tuple(NAMES[j] for j in path.indices)
    assert f"selected: {', '.join(path.selected_names)}" in str(path)
    other = frame[list(NAMES[::-1])]
    for given in (frame, other, X):
        assert np.array_equal(path.predict(given), plain.predict(X))
        assert path.score(given, y) == plain.score(X, y)
    with pytest.raises(InputError, match=r'X has other columns than at the fit: missing "a", "b"$'):
        path.predict(frame[list(NAMES[2:])])


def test_the_response_of_a_score_is_in_the_order_of_the_rows():
    pandas = pytest.importorskip("pandas")
    X, y, _ = problem()
    rows = [f"row {i}" for i in range(len(y))]
    frame, series = pandas.DataFrame(X, index=rows), pandas.Series(y, index=rows)
    path = l0_regression_path(frame, series)
    assert path.score(frame, series) == path.score(X, y)
    with pytest.raises(InputError, match=r"y has the labels of X.index in another order"):
        path.score(frame, series[::-1])
