"""Settings of `fit` and options of functions that are refused."""

import numpy as np
import pytest
from bad_inputs import (
    DATES,
    GROUPS,
    NAN_AT,
    M,
    N,
    Y,
    assert_refused,
    at,
    both_kinds,
    broken,
    case,
    changed,
    from_epoch,
    trained,
)
from support import needs_numba

import l0np
from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError, InputTypeError

BAD_SETTINGS = [
    case("lambda_l0 negative", {"lambda_l0": -1e-9}, InputError, ["at least 0"]),
    case("lambda_l0 nan", {"lambda_l0": np.nan}, InputError, ["finite", "nan"]),
    case("lambda_l0 inf", {"lambda_l0": np.inf}, InputError, ["finite"]),
    case("lambda_l0 too large for a float", {"lambda_l0": 10**400}, InputError, ["finite"]),
    case("lambda_l0 string", {"lambda_l0": "0.1"}, InputTypeError, ["'0.1'"]),
    case("lambda_l0 bool", {"lambda_l0": True}, InputTypeError, ["True"]),
    case("lambda_l0 list", {"lambda_l0": [0.1]}, InputTypeError, ["list"]),
    case("lambda_l0 complex", {"lambda_l0": 0.1j}, InputTypeError, ["complex"]),
    case("lr 0", {"lr": 0}, InputError, ["above 0", "got 0"]),
    case("lr negative", {"lr": -0.1}, InputError, ["above 0", "-0.1"]),
    case("lr nan", {"lr": np.nan}, InputError, ["finite", "nan"]),
    case("lr inf", {"lr": np.inf}, InputError, ["finite"]),
    case("lr string", {"lr": "fast"}, InputTypeError, ["'fast'"]),
    case("lr None", {"lr": None}, InputTypeError, ["None"]),
    case("lr gives 0", {"lr": lambda epoch: 0.0}, InputError, ["lr(3)", "above 0"]),
    case("lr gives nan", {"lr": lambda epoch: np.nan}, InputError, ["lr(3)", "finite"]),
    case(
        "lr gives a negative number later",
        {"lr": from_epoch(7, -0.1), "epochs": 5},
        InputError,
        ["lr(7)", "above 0"],
    ),
    case("lr gives None", {"lr": lambda epoch: None}, InputTypeError, ["lr(3)", "None"]),
    case("epochs negative", {"epochs": -1}, InputError, ["at least 0", "-1"]),
    case("epochs 1.5", {"epochs": 1.5}, InputError, ["integer", "1.5"]),
    case("epochs nan", {"epochs": np.nan}, InputError, ["integer", "nan"]),
    case("epochs inf", {"epochs": np.inf}, InputError, ["integer", "inf"]),
    case("epochs string", {"epochs": "10"}, InputTypeError, ["integer", "'10'"]),
    case("epochs None", {"epochs": None}, InputTypeError, ["integer", "None"]),
    case("epochs bool", {"epochs": True}, InputTypeError, ["integer", "True"]),
    case("epochs array", {"epochs": np.array([10])}, InputTypeError, ["integer"]),
    case("verbose 2", {"verbose": 2}, InputTypeError, ["True or False"]),
    case("verbose_freq 0", {"verbose_freq": 0}, InputError, ["at least 1"]),
    case("verbose_freq negative", {"verbose_freq": -100}, InputError, ["at least 1"]),
    case("verbose_freq 0.5", {"verbose_freq": 0.5}, InputError, ["integer"]),
    case("verbose_freq string", {"verbose_freq": "often"}, InputTypeError, ["integer"]),
    case("callbacks bare function", {"callbacks": print}, InputTypeError, ["sequence", "list"]),
    case("callbacks number", {"callbacks": 5}, InputTypeError, ["sequence"]),
    case(
        "callbacks not callable", {"callbacks": [print, 5]}, InputTypeError, ["callbacks[1]", "callable", "5"]
    ),
    case("n_active 0", {"n_active": 0}, InputError, ["at least 1", "got 0"]),
    case("n_active negative", {"n_active": -3}, InputError, ["at least 1", "-3"]),
    case("n_active beyond the columns", {"n_active": N + 1}, InputError, ["at most 6", "got 7"]),
    case("n_active 2.5", {"n_active": 2.5}, InputError, ["integer", "2.5"]),
    case("n_active nan", {"n_active": np.nan}, InputError, ["integer", "nan"]),
    case("n_active string", {"n_active": "2"}, InputTypeError, ["integer", "'2'"]),
    case("n_active bool", {"n_active": True}, InputTypeError, ["integer", "True"]),
    case(
        "n_active and lambda_l0", {"n_active": 2, "lambda_l0": 0.1}, InputError, ["lambda_l0", "one of them"]
    ),
    case(
        "n_active and the default lambda_l0", {"n_active": 2, "lambda_l0": 0.01}, InputError, ["one of them"]
    ),
    case("callbacks string", {"callbacks": "report"}, InputTypeError, ["callbacks[0]", "callable"]),
]


@both_kinds
@pytest.mark.parametrize(("settings", "error", "parts"), BAD_SETTINGS)
def test_setting_of_fit_is_refused(kind, settings, error, parts):
    model, name = trained(kind), next(iter(settings))
    assert_refused(lambda: model.fit(M, Y, **({"epochs": 2} | settings)), error, [name, *parts], model)


BAD_CALIBRATION_SETTINGS = [
    case("lambda_l2 negative", {"lambda_l2": -1.0}, InputError, ["at least 0"]),
    case("lambda_l2 nan", {"lambda_l2": np.nan}, InputError, ["finite"]),
    case("lambda_l2 inf", {"lambda_l2": np.inf}, InputError, ["finite"]),
    case("lambda_l2 None", {"lambda_l2": None}, InputTypeError, ["None"]),
    case("l2_anchor unknown", {"l2_anchor": "base"}, InputError, ["None", "'initial'", "'base'"]),
    case("l2_anchor number", {"l2_anchor": 1.0}, InputError, ["None", "'initial'", "1.0"]),
    case("l2_anchor list", {"l2_anchor": ["initial"]}, InputError, ["None", "'initial'"]),
    case("loss_type unknown", {"loss_type": "mae"}, InputError, ["'mse'", "'relative'", "'mae'"]),
    case("loss_type None", {"loss_type": None}, InputError, ["'mse'", "'relative'", "None"]),
    case("loss_type list", {"loss_type": ["mse"]}, InputError, ["'mse'", "'relative'"]),
    case("normalize_groups string", {"normalize_groups": "yes"}, InputTypeError, ["True or False"]),
    case(
        "target_groups short",
        {"target_groups": GROUPS[:-1]},
        InputError,
        ["each row of M", "9 wanted", "(8,)"],
    ),
    case("target_groups long", {"target_groups": [*GROUPS, 3]}, InputError, ["each row of M", "(10,)"]),
    case("target_groups number", {"target_groups": 1}, InputError, ["each row of M", "()"]),
    case(
        "target_groups (Q, 1)",
        {"target_groups": np.array(GROUPS)[:, None]},
        InputError,
        ["each row of M", "(9, 1)"],
    ),
    case(
        "target_groups nan",
        {"target_groups": changed(GROUPS, 4, np.nan)},
        InputError,
        ["target_groups[4]", "missing"],
    ),
    case("target_groups None inside", {"target_groups": [*GROUPS[:-1], None]}, InputTypeError, ["object"]),
    case("target_groups dates", {"target_groups": DATES[:, 0]}, InputTypeError, ["datetime64"]),
    case(
        "target_groups complex", {"target_groups": np.array(GROUPS, complex)}, InputTypeError, ["complex128"]
    ),
    case("target_groups ragged", {"target_groups": [[1], [1, 2], *GROUPS[2:]]}, InputError, []),
    case(
        "target_groups masked", {"target_groups": np.ma.masked_equal(GROUPS, 2)}, InputTypeError, ["masked"]
    ),
    case("group_multipliers alone", {"group_multipliers": {1: 2.0}}, InputError, ["target_groups"]),
    case("group_multipliers empty and alone", {"group_multipliers": {}}, InputError, ["target_groups"]),
    *(
        case(f"group_multipliers {name}", {"group_multipliers": given, "target_groups": GROUPS}, error, parts)
        for name, given, error, parts in [
            ("unknown number", {1: 2.0, 4: 2.0}, InputError, ["4", "1, 2, 3"]),
            ("unknown string", {"a": 2.0}, InputError, ["'a'", "1, 2, 3"]),
            ("unknown None", {None: 2.0}, InputError, ["None", "1, 2, 3"]),
            ("unknown tuple", {(1, 2): 2.0}, InputError, ["(1, 2)", "1, 2, 3"]),
            ("unknown tuple that fits", {tuple(GROUPS): 2.0}, InputError, ["1, 2, 3"]),
            ("negative", {1: 1.0, 2: -0.5}, InputError, ["group_multipliers[2]", "at least 0", "-0.5"]),
            ("nan", {1: np.nan}, InputError, ["group_multipliers[1]", "finite"]),
            ("inf", {1: np.inf}, InputError, ["group_multipliers[1]", "finite"]),
            ("string", {1: "2"}, InputTypeError, ["group_multipliers[1]", "'2'"]),
            ("list", [1.0, 2.0, 3.0], InputTypeError, ["mapping"]),
            ("number", 2.0, InputTypeError, ["mapping"]),
        ]
    ),
]


@pytest.mark.parametrize(("settings", "error", "parts"), BAD_CALIBRATION_SETTINGS)
def test_setting_of_calibration_is_refused(settings, error, parts):
    model, name = trained(SparseCalibrationWeights), next(iter(settings))
    assert_refused(lambda: model.fit(M, Y, epochs=2, **settings), error, [name, *parts], model)


@pytest.mark.parametrize(
    ("settings", "error", "parts"),
    [
        case(
            "both spellings", {"lambda_reg": 0.1, "lambda_l0": 0.1}, InputError, ["lambda_reg", "lambda_l0"]
        ),
        case(
            "lambda_reg and n_active",
            {"lambda_reg": 0.1, "n_active": 2},
            InputError,
            ["n_active", "one of them"],
        ),
        case("lambda_reg negative", {"lambda_reg": -0.1}, InputError, ["lambda_reg", "at least 0"]),
        case("lambda_reg nan", {"lambda_reg": np.nan}, InputError, ["lambda_reg", "finite"]),
        case("lambda_reg string", {"lambda_reg": "a"}, InputTypeError, ["lambda_reg"]),
    ],
)
def test_setting_of_regression_is_refused(settings, error, parts):
    model = trained(SparseL0Linear)
    assert_refused(lambda: model.fit(M, Y, epochs=2, **settings), error, parts, model)


def test_n_active_without_gates_is_refused():
    model = trained(SparseCalibrationWeights, use_gates=False)
    assert_refused(
        lambda: model.fit(M, Y, epochs=2, n_active=2), InputError, ["n_active", "use_gates=False"], model
    )


@pytest.mark.parametrize("threshold", [-0.01, 1.01, np.nan, np.inf], ids=str)
@pytest.mark.parametrize("method", ["get_coefficients", "get_selected_features"])
def test_threshold_outside_0_and_1_is_refused(method, threshold):
    model = trained(SparseL0Linear)
    assert_refused(lambda: getattr(model, method)(threshold), InputError, ["threshold"], model)
    assert_refused(lambda: getattr(model, method)("low"), InputTypeError, ["threshold", "'low'"], model)


@pytest.mark.parametrize("threshold", [0, 1, 0.5])
def test_threshold_from_0_to_1_is_taken(threshold):
    assert trained(SparseL0Linear).get_coefficients(threshold).shape == (N,)


@needs_numba
@both_kinds
@pytest.mark.parametrize(
    ("arguments", "settings", "parts"),
    [
        case("columns", (M[:, :-1], Y), {}, ["n_features = 6"]),
        case("nan", (NAN_AT, Y), {}, ["[2, 3] is nan"]),
        case("csr index", (broken("csr", indices=at(0, N)), Y), {}, ["out of range"]),
        case("csc indptr", (broken("csc", indptr=at(-1, 10**6)), Y), {}, ["indptr"]),
        case("y", (M, Y[:-1]), {}, ["y must have"]),
        case("lr", (M, Y), {"lr": 0}, ["lr must be above 0"]),
    ],
)
def test_numba_refuses_alike(kind, arguments, settings, parts):
    model = trained(kind, "numba")
    assert_refused(lambda: model.fit(*arguments, **settings), InputError, parts, model)


@pytest.mark.parametrize(
    "function", ["calibrate", "l0_path", "check_targets", "diagnose", "target_table", "refit"]
)
@pytest.mark.parametrize(
    ("option", "end"),
    [
        ("precision", "tolerances, caps, aggregates, exclude, names"),
        ("tolerance", "did you mean tolerances?"),
    ],
)
def test_unknown_options_are_refused_in_the_name_of_the_function(function, option, end):
    model = SparseCalibrationWeights(N, seed=1, device="numpy")
    call = {
        "l0_path": lambda **options: l0np.l0_path(M, Y, [3], **options),
        "diagnose": lambda **options: l0np.diagnose(M, Y, np.ones(N), **options),
        "target_table": lambda **options: l0np.target_table(M, Y, np.ones(N), **options),
        "calibrate": lambda **options: l0np.calibrate(
            np.zeros(3), Y, **options
        ),  # before anything is looked at
        "check_targets": lambda **options: l0np.check_targets(M, Y, **options),
        "refit": lambda **options: model.refit(M, Y, **options),
    }[function]
    parts = [f'{function} has no argument "{option}": ', end]
    assert_refused(lambda: call(**{option: 1}), InputTypeError, parts, model)
