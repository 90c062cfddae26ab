"""Targets that are refused, and those that only one dtype or loss refuses."""

import re

import numpy as np
import pytest
from bad_inputs import DATES, M, N, Y, assert_refused, both_kinds, case, changed, trained
from scipy import sparse

from l0np import SparseCalibrationWeights
from l0np.errors import InputError, InputTypeError

BAD_TARGETS = [
    case("too short", Y[:-1], InputError, ["one value for each row of", "9 wanted", "(8,)"]),
    case("too long", np.append(Y, 1.0), InputError, ["one value for each row of", "9 wanted", "(10,)"]),
    case("as long as the columns", Y[:N], InputError, ["one value for each row of", "(6,)"]),
    case("empty", [], InputError, ["one value for each row of", "(0,)"]),
    case("number", 1.0, InputError, ["one value for each row of", "()"]),
    case("NumPy number", np.float32(1.0), InputError, ["one value for each row of", "()"]),
    case("(Q, 1)", Y[:, None], InputError, ["(9, 1)", "squeeze"]),
    case("(1, Q)", Y[None], InputError, ["(1, 9)", "squeeze"]),
    case("(Q, 2)", np.column_stack([Y, Y]), InputError, ["(9, 2)", "squeeze"]),
    case("(Q, 1) list", Y[:, None].tolist(), InputError, ["(9, 1)", "squeeze"]),
    case("np.matrix", np.asmatrix(Y), InputError, ["(1, 9)", "squeeze"]),
    case("nan", changed(Y, 7, np.nan), InputError, ["y[7] is nan"]),
    case("inf", changed(Y, 0, np.inf), InputError, ["y[0] is inf"]),
    case("several", changed(Y, slice(3, 6), np.nan), InputError, ["y[3] is nan", "2 more"]),
    case("1e39", changed(Y, 4, -1e39), InputError, ["y[4] is -inf", "-1e+39", "float32"]),
    case("complex", Y.astype(complex), InputTypeError, ["complex128"]),
    case("object", Y.astype(object), InputTypeError, ["object"]),
    case("string", Y.astype(str), InputTypeError, ["<U"]),
    case("dates", DATES[:, 0], InputTypeError, ["datetime64"]),
    case("list with None", [*Y[:-1], None], InputTypeError, ["object"]),
    case("ragged", [[1.0], [1.0, 2.0]], InputError, ["cannot be read as an array"]),
    case("None", None, InputTypeError, ["None"]),
    case("str", "targets", InputTypeError, ["'targets'"]),
    case("sparse", sparse.coo_array(Y), InputTypeError, ["real numbers"]),
    case("masked", np.ma.masked_greater(Y, 9.0), InputTypeError, ["masked array"]),
]


@both_kinds
@pytest.mark.parametrize(("target", "error", "parts"), BAD_TARGETS)
def test_y_is_refused(kind, target, error, parts):
    model = trained(kind)
    assert_refused(lambda: model.fit(M, target), error, ["y", *parts], model)


def test_one_target_is_still_an_array():
    model = SparseCalibrationWeights(N, device="numpy", seed=1)
    assert_refused(
        lambda: model.fit(M[:1], 1.0), InputError, ["y must have one value for each row of M"], model
    )


def test_targets_of_minus_one_are_all_counted_and_the_first_five_named():
    model, target = trained(SparseCalibrationWeights), changed(Y, [0, 2, 3, 4, 5, 6, 8], -1.0)
    shown = "y[0] = -1, y[2] = -1, y[3] = -1, y[4] = -1, y[5] = -1 (and 2 more)"
    assert_refused(
        lambda: model.fit(M, target, loss_type="relative"), InputError, [shown, "relative", "mse"], model
    )
    with pytest.raises(InputError) as caught:
        model.fit(M, target, loss_type="relative")
    assert not re.search(r"y\[[16-8]\]", str(caught.value))
    model.fit(M, target, loss_type="mse", epochs=1)


def test_targets_that_become_minus_one_in_float32():
    target = changed(Y, 3, -1 + 1e-9)
    model = trained(SparseCalibrationWeights)
    assert_refused(
        lambda: model.fit(M, target, loss_type="relative"), InputError, ["y[3] = -1", "y + 1"], model
    )
    wide = trained(SparseCalibrationWeights, dtype="float64")
    assert wide.fit(M, target, loss_type="relative", epochs=1, lr=1e-3).epoch_ == 4


@both_kinds
def test_1e39_is_a_number_in_float64(kind):
    model = kind(N, device="numpy", seed=1, dtype="float64", init_keep_prob=1.0)
    model.fit(changed(M, (2, 3), 1e39), changed(Y, 2, 1e39), epochs=2)
    assert model.epoch_ == 2
    assert all(np.isfinite(value).all() for value in model.state_dict().values())
