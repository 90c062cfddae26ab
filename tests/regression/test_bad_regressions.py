"""What `l0_regression_path` and its answer refuse, and what they say."""

import numpy as np
import pytest
from linear_problems import problem

from l0np import l0_regression_path
from l0np.errors import InputError, InputTypeError


@pytest.mark.parametrize(
    ("options", "error", "parts"),
    [
        ({"method": "lasso"}, InputError, ["method", "'inclusion'", "'exchange'", "'gates'", "'lasso'"]),
        ({"criterion": "aic"}, InputError, ["criterion", "'f1'", "'ebic'", "'aic'"]),
        ({"criterion": "f1", "method": "exchange"}, InputError, ["f1", "inclusion", "'exchange'"]),
        ({"criterion": "bic", "cv": 5}, InputError, ["cv", "criterion", "one of them"]),
        ({"cv": 1}, InputError, ["cv", "at least 2"]),
        ({"cv": 61}, InputError, ["cv", "at most 60"]),
        ({"n_active": 9}, InputError, ["n_active", "at most 8", "got 9"]),
        ({"n_active": [-1, 2]}, InputError, ["n_active", "at least 0"]),
        ({"n_active": []}, InputError, ["n_active"]),
        ({"n_active": "3"}, InputTypeError, ["n_active", "'3'"]),
        ({"n_active": 1.5}, InputError, ["n_active", "integer"]),
        ({"lambda_l2": -1}, InputError, ["lambda_l2"]),
        ({"seed": -1}, InputError, ["seed"]),
        (
            {"coefficients": "lasso"},
            InputError,
            ["coefficients", "'posterior'", "'least squares'", "'lasso'"],
        ),
        (
            {"coefficients": "posterior", "method": "exchange"},
            InputError,
            ["posterior", "inclusion", "'exchange'"],
        ),
        ({"coefficients": "posterior", "lambda_l2": 0.5}, InputError, ["posterior", "lambda_l2=0.5"]),
        ({"fit_intercept": 2}, InputTypeError, ["fit_intercept"]),
        ({"device": "gpu"}, InputError, ["device"]),
    ],
    ids=str,
)
def test_bad_settings_are_refused(options, error, parts):
    X, y, _ = problem()
    with pytest.raises(error) as raised:
        l0_regression_path(X, y, **options)
    assert all(part in str(raised.value) for part in parts), raised.value


def test_bad_data_is_refused():
    X, y, _ = problem()
    path = l0_regression_path(X, y)
    with pytest.raises(InputError, match="y must have one value for each row of X"):
        l0_regression_path(X, y[:-1])
    with pytest.raises(InputError, match=r"X\[2, 1\] is nan"):
        l0_regression_path(np.where(np.arange(480).reshape(60, 8) == 17, np.nan, X), y)
    units = np.where(np.arange(8) == 3, 1e200, 1.0)
    with pytest.raises(InputError, match=r"X\[:, 3\] is of the size .*use other units"):
        l0_regression_path(X * units, y)
    with pytest.raises(InputError, match=r"X\[:, 3\] is of the size .*use other units"):
        l0_regression_path(X / units, y)
    for unit in (1e-170, 1e160):
        with pytest.raises(InputError, match=r"y is of the size .*use other units"):
            l0_regression_path(X, unit * y)
    with pytest.raises(InputError, match="X must have n_features = 8 columns"):
        path.predict(X[:, :5])
    with pytest.raises(InputError, match="n_active must be on the path"):
        path.predict(X, n_active=80)
