"""The answer of `l0_regression_path`: its models, its predictions and how it prints itself."""

import re

import numpy as np
import pandas
import polars
import pytest
from linear_problems import ordinary, problem

from l0np import l0_regression_path
from l0np.errors import InputError


def test_without_an_intercept_and_with_a_ridge():
    X, y, _ = problem()
    plain = l0_regression_path(X, y, 3, fit_intercept=False, method="exchange")
    selected = plain.indices
    assert plain.intercept_ == 0
    expected = ordinary(X, y, selected, intercept=False)[0]
    np.testing.assert_allclose(plain.coef_[selected], expected, rtol=1e-9)
    ridge = l0_regression_path(X, y, 3, method="exchange", lambda_l2=1.0)
    assert np.abs(ridge.coef_).sum() < np.abs(l0_regression_path(X, y, 3, method="exchange").coef_).sum()


def test_the_docstring_lists_the_kinds_of_coefficients():
    (listed,) = re.findall(r"    coefficients : \{(.*)\}, optional", l0_regression_path.__doc__)
    X, y, _ = problem()
    with pytest.raises(InputError, match=re.escape(listed.replace('"', "'"))):
        l0_regression_path(X, y, coefficients="lasso")


def test_score_of_a_constant_response_is_that_of_scikit_learn():
    X = np.random.default_rng(0).normal(size=(30, 4))
    constant, varied = l0_regression_path(X, np.full(30, 2.0)), l0_regression_path(X, X[:, 0])
    assert constant.score(X, np.full(30, 2.0)) == 1.0
    assert constant.score(X, np.full(30, 3.0)) == 0.0
    assert varied.score(X, np.full(30, 2.0)) == 0.0
    assert constant.score(X, X[:, 0]) < 0.0


@pytest.mark.parametrize("n_active", [None, 2])
def test_weights_of_a_score_are_repeated_rows(n_active):
    X, y, _ = problem(noise=3.0)
    path, weights = l0_regression_path(X, y), np.random.default_rng(5).integers(0, 4, len(y))
    repeated = path.score(np.repeat(X, weights, axis=0), np.repeat(y, weights), n_active)
    assert path.score(X, y, n_active, sample_weight=weights) == pytest.approx(repeated, rel=1e-12)
    assert path.score(X, y, n_active, sample_weight=1.0) == path.score(X, y, n_active)
    assert path.score(X, y, n_active) != pytest.approx(repeated)
    only = np.where(np.arange(len(y)) == 7, 2.0, 0.0)  # of a constant response, if only rows that count do
    assert path.score(X, y, n_active, sample_weight=only) == 0.0
    with pytest.raises(InputError, match="sample_weight"):
        path.score(X, y, n_active, sample_weight=-weights)


@pytest.mark.parametrize("library", [pandas, polars])
def test_a_path_is_a_table_of_the_kind_that_came_in(library, tmp_path):
    X, y, _ = problem()
    path = l0_regression_path(
        library.DataFrame(dict(zip("abcdefgh", X.T, strict=True))), y, [1, 2, 4], method="exchange"
    )
    frame = path.to_frame()
    assert isinstance(frame, library.DataFrame)
    expected = {
        "features": [1, 2, 4],
        "squared_error": path.error.tolist(),
        "criterion": path.criterion.tolist(),
        "intercept": path.intercepts.tolist(),
    }
    assert {name: list(frame[name]) for name in expected} == expected
    assert [k for k, chosen in zip(frame["features"], frame["chosen"], strict=True) if chosen] == [
        path.n_active_
    ]
    assert np.isnan(frame["lambda_l0"].to_numpy()).all()
    path.write(tmp_path / "path.csv")
    assert polars.read_csv(tmp_path / "path.csv")["squared_error"].to_list() == path.error.tolist()


def test_a_path_prints_itself():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(90, 40))
    y = X[:, :3] @ [2.0, -3.0, 4.0] + 0.1 * rng.normal(size=90)
    path = l0_regression_path(X, y, n_active=range(16))
    lines = str(path).splitlines()
    assert repr(path) == str(path)
    assert lines[0] == "RegressionPath: 3 features of 40 selected: 0, 1, 2"
    assert lines[2].split() == ["features", "squared", "error", "criterion"]
    assert [line.split()[0] for line in lines[3:-1]] == [str(k) for k in range(10)]
    assert [line.split()[0] for line in lines if line.endswith("chosen")] == ["3"]
    assert lines[-1] == "... and 6 more sizes"
    one = l0_regression_path(X, X[:, 7], n_active=1)
    assert str(one).splitlines()[0] == "RegressionPath: 1 feature of 40 selected: 7"
    many = l0_regression_path(X, X.sum(axis=1), n_active=12, method="exchange")
    assert str(many).splitlines()[0].endswith(", ...")
    assert path == path  # by identity, because arrays have no one truth
    assert path != one
    assert len({path, path}) == 1


def test_integers_of_any_kind_are_sizes():
    X = np.random.default_rng(1).normal(size=(30, 5))
    for k in (2, 2.0, np.int32(2), np.float32(2), np.array(2), np.array(2.0), [2.0], (2, 2)):
        path = l0_regression_path(X, X[:, 0], n_active=k)
        assert path.n_active.tolist() == [2]
        assert path.features(2.0).size == 2
    for k in (2.5, -1, 3):
        with pytest.raises(InputError, match="n_active must be"):
            path.features(k)
