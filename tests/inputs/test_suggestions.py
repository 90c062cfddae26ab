"""Unknown arguments, options and names: the error says which was probably meant."""

import inspect
import pydoc
from functools import partial

import numpy as np
import pytest
from bad_inputs import M, N, Q, Y, assert_refused, case

import l0np
from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError, InputTypeError
from l0np.inputs import known_arguments
from l0np.inputs.suggestions import ARGUMENTS, VALUES, closest

CALIBRATION = SparseCalibrationWeights(N, device="numpy")
REGRESSION = SparseL0Linear(N, device="numpy")
CALLS = {
    "calibrate": partial(l0np.calibrate, M, Y),
    "l0_path": partial(l0np.l0_path, M, Y),
    "margins": l0np.margins,
    "diagnose": partial(l0np.diagnose, M, Y, np.ones(N)),
    "target_table": partial(l0np.target_table, M, Y, np.ones(N)),
    "l0_regression_path": partial(l0np.l0_regression_path, M, Y),
    "SparseCalibrationWeights": SparseCalibrationWeights,
    "SparseCalibrationWeights.fit": partial(CALIBRATION.fit, M, Y),
    "SparseCalibrationWeights.refit": partial(CALIBRATION.refit, M, Y),
    "SparseCalibrationWeights.predict": CALIBRATION.predict,
    "SparseL0Linear": SparseL0Linear,
    "SparseL0Linear.fit": partial(REGRESSION.fit, M, Y),
    "SparseL0Linear.refit": partial(REGRESSION.refit, M, Y),
    "SparseL0Linear.predict": REGRESSION.predict,
}


@pytest.mark.parametrize(
    ("function", "given", "meant"),
    [
        ("calibrate", "k", "n_active"),
        ("calibrate", "n_records", "n_active"),
        ("calibrate", "weights", "base_weights"),
        ("calibrate", "d", "base_weights"),
        ("calibrate", "init_weights", "base_weights"),
        ("calibrate", "learning_rate", "lr"),
        ("calibrate", "max_iter", "epochs"),
        ("calibrate", "loss", "loss_type"),
        ("calibrate", "tolerance", "tolerances"),
        ("calibrate", "random_state", "seed"),
        ("l0_path", "lambda", "lambda_l0"),
        ("margins", "weights", "weight"),
        ("diagnose", "design_weights", "base_weights"),
        ("target_table", "cap", "caps"),
        ("l0_regression_path", "alpha", "lambda_l2"),
        ("l0_regression_path", "M", "X"),
        ("SparseCalibrationWeights", "n_records", "n_features"),
        ("SparseCalibrationWeights", "w", "init_weights"),
        ("SparseCalibrationWeights.fit", "n_iter", "epochs"),
        ("SparseCalibrationWeights.fit", "penalty", "lambda_l0"),
        ("SparseCalibrationWeights.fit", "lambda", "lambda_l0"),
        ("SparseCalibrationWeights.fit", "target_weight", "target_weights"),
        ("SparseCalibrationWeights.refit", "weights", "reference"),
        ("SparseCalibrationWeights.predict", "X", "M"),
        ("SparseL0Linear", "intercept", "fit_intercept"),
        ("SparseL0Linear.fit", "Lambda_L0", "lambda_l0"),
        ("SparseL0Linear.fit", "x_sparse", "X"),
        ("SparseL0Linear.refit", "ridge", "lambda_l2"),
        ("SparseL0Linear.predict", "x", "X"),
    ],
)
def test_the_argument_that_was_meant(function, given, meant):
    message = f'{function} has no argument "{given}": did you mean {meant}?'
    assert_refused(lambda: CALLS[function](**{given: 1}), InputTypeError, [message])


def test_the_matrix_and_the_targets_by_other_names():
    for call in (
        lambda: l0np.calibrate(X=M, y=Y, n_active=3),
        lambda: l0np.l0_path(X=M, y=Y, n_active=[3]),
        lambda: SparseCalibrationWeights(N, device="numpy").fit(X=M, y=Y),
    ):
        assert_refused(call, InputTypeError, ['has no argument "X": did you mean M?'])
    assert_refused(
        lambda: l0np.calibrate(M, targets=Y), InputTypeError, ['no argument "targets": did you mean y?']
    )


def test_without_a_near_name_all_are_listed():
    parts = ['calibrate has no argument "zzz" (and 1 more): its arguments are M, y, n_active, ', ", names"]
    assert_refused(lambda: l0np.calibrate(M, Y, zzz=1, yyy=2), InputTypeError, parts)
    # weights of records are given to the constructor: target_weights, which is near, is something else
    parts = ['SparseCalibrationWeights.fit has no argument "weights": its arguments are M, y, ']
    assert_refused(lambda: CALIBRATION.fit(M, Y, weights=1), InputTypeError, parts)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        case(
            "loss", lambda: CALIBRATION.fit(M, Y, loss_type="relativ"), "loss_type: did you mean 'relative'?"
        ),
        case("case", lambda: CALIBRATION.fit(M, Y, loss_type="MSE"), "loss_type: did you mean 'mse'?"),
        case("synonym", lambda: CALIBRATION.fit(M, Y, loss_type="mae"), "did you mean 'absolute'?"),
        case("method", lambda: l0np.calibrate(M, Y, 3, method="balance"), "did you mean 'balanced'?"),
        case("distance", lambda: l0np.calibrate(M, Y, distance="chi2"), "did you mean 'chi-square'?"),
        case("criterion", lambda: l0np.l0_regression_path(M, Y, criterion="BIC"), "did you mean 'bic'?"),
        case(
            "coefficients",
            lambda: l0np.l0_regression_path(M, Y, coefficients="ols"),
            "did you mean 'least squares'?",
        ),
    ],
)
def test_the_value_that_was_meant_comes_first(call, meant):
    assert_refused(call, InputError, [f"{meant} It must be one of '"])


def test_names_of_targets_and_groups():
    names = ["people", "income", "rent", *"abcdef"]
    for given, end in (("incme", ': did you mean "income"?'), ("zzzz", "not the name of a target")):
        with pytest.raises(InputError) as caught:
            l0np.diagnose(M, Y, np.ones(N), names=names, exclude=[given])
        assert str(caught.value).endswith(end)
    groups = ["north"] * 5 + ["south"] * (Q - 5)
    parts = ["names the group 'nort'", ': did you mean "north"?']
    assert_refused(
        lambda: l0np.diagnose(M, Y, np.ones(N), target_groups=groups, group_multipliers={"nort": 2.0}),
        InputError,
        parts,
    )


def test_synonyms_name_what_there_is():
    known = {p for f in CALLS.values() for p in inspect.signature(f).parameters}
    known |= set(l0np.TargetOptions.__annotations__) | {"M", "X", "y"}
    assert {meant for several in ARGUMENTS.values() for meant in several} <= known
    assert not {given for given in ARGUMENTS if closest(given, [given], ARGUMENTS) == given} - {"M", "X"}
    assert all(VALUES.values())


def test_decorated_functions_look_as_they_are_written():
    for function in (l0np.calibrate, l0np.l0_regression_path, SparseL0Linear.fit):
        assert inspect.signature(function) == inspect.signature(inspect.unwrap(function))
    assert "arguments" not in str(inspect.signature(SparseL0Linear))
    assert "calibrate(M: 'Any', y: 'ArrayLike | None' = None, n_active:" in pydoc.plain(
        pydoc.render_doc(l0np.calibrate)
    )

    @known_arguments({"extra": None})
    def function(value, *, factor=1, **options):
        return value, factor, options

    assert function(1, factor=2, extra=3) == (1, 2, {"extra": 3})
    with pytest.raises(InputTypeError, match="did you mean extra"):
        function(1, extras=3)


def test_old_names_are_accepted():
    X, y = np.eye(3), [1.0, 2.0, 3.0]
    model = SparseL0Linear(3, seed=0).fit(X_sparse=X, y=y, epochs=5)
    same = SparseL0Linear(3, seed=0).fit(X, y, epochs=5)
    assert np.array_equal(model.weight, same.weight)
    assert np.array_equal(model.predict(X_sparse=X), same.predict(X))
    for call in (lambda: model.predict(X, X_sparse=X), lambda: model.fit(y=y, X=X, X_sparse=X)):
        with pytest.raises(InputTypeError, match="X_sparse is the old name of X: give one of them"):
            call()
