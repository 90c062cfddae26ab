"""`TrainingSettings` and `train_on`: the one way into training, and what it refuses."""

import inspect

import numpy as np
import pytest
from both_models import FIT, calibration
from support import CUDA, DEVICES, same_state, small_problem

from l0np import ColumnMatrix, SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError, InputTypeError
from l0np.models import TrainingSettings
from l0np.targets import Targets

M, Y = small_problem()
MATRIX = ColumnMatrix.build(M)


def targets(dtype="float32"):
    return Targets.build(Y, 6, dtype=dtype, loss_type="relative")


# --- settings


def test_defaults_are_those_of_fit():
    settings = TrainingSettings.checked()
    assert settings == TrainingSettings(0.01, None, 0.0, None, 0.01, 1000, 100, ())
    named = inspect.signature(TrainingSettings.checked).parameters
    for model in (SparseCalibrationWeights, SparseL0Linear):
        of_fit = inspect.signature(model.fit).parameters
        for name in named.keys() - ({"lambda_l2", "l2_anchor"} if model is SparseL0Linear else set()):
            assert named[name].default == of_fit[name].default, name
            assert named[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_lambda_l0_is_found_for_n_active():
    assert TrainingSettings.checked(n_active=3).lambda_l0 is None
    assert TrainingSettings.checked(lambda_l0=0).lambda_l0 == 0.0


def test_settings_are_numbers_of_the_package():
    settings = TrainingSettings.checked(
        epochs=np.float32(7), lr=np.float32(0.5), n_active=np.int8(3), callbacks=[print]
    )
    assert (settings.epochs, settings.lr, settings.n_active, settings.callbacks) == (7, 0.5, 3, (print,))
    assert [type(value) for value in (settings.epochs, settings.lr, settings.n_active)] == [int, float, int]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"lambda_l0": -1}, InputError, "lambda_l0 must be at least 0"),
        ({"lambda_l2": np.nan}, InputError, "lambda_l2 must be finite"),
        ({"l2_anchor": "base"}, InputError, "l2_anchor must be one of None, 'initial'; got 'base'"),
        ({"lr": 0}, InputError, "lr must be above 0"),
        ({"lr": "fast"}, InputTypeError, "lr must be a number"),
        ({"epochs": -1}, InputError, "epochs must be at least 0"),
        ({"verbose_freq": 0}, InputError, "verbose_freq must be at least 1"),
        ({"callbacks": print}, InputTypeError, "callbacks must be a sequence"),
        ({"n_active": 0}, InputError, "n_active must be at least 1"),
        ({"n_active": 2, "lambda_l0": 0.1}, InputError, "n_active finds its own lambda_l0"),
    ],
    ids=str,
)
def test_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        TrainingSettings.checked(**settings)


# --- training


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "asked",
    [
        {"lambda_l0": 1e-2, "lambda_l2": 1e-6},
        {"lambda_l0": 1e-2, "lambda_l2": 1e-3, "l2_anchor": "initial"},
        {"n_active": 7},
    ],
    ids=str,
)
def test_train_on_is_what_fit_does(device, asked):
    fitted, trained = (calibration(device=device) for _ in range(2))
    settings = TrainingSettings.checked(lr=0.1, epochs=30, **asked)
    for _ in range(2):
        fitted.fit(M, Y, lr=0.1, epochs=30, loss_type="relative", **asked)
        assert trained.train_on(MATRIX, targets(), settings) is trained
        assert same_state(fitted.state_dict(), trained.state_dict())
    assert fitted.statistics_ == trained.statistics_


def test_train_on_is_what_fit_does_in_regression():
    fitted, trained = (SparseL0Linear(40, seed=3) for _ in range(2))
    fitted.fit(M, Y, epochs=30)
    response = Y.astype(np.float32).astype(np.float64)
    trained.train_on(MATRIX, Targets.plain(response, np.full(6, 1 / 6)), TrainingSettings.checked(epochs=30))
    assert same_state(fitted.state_dict(), trained.state_dict())


def test_the_matrix_is_cast_to_the_dtype_of_the_model():
    one, other = calibration(), calibration()
    settings = TrainingSettings.checked(epochs=5)
    one.train_on(ColumnMatrix.build(M, "float64"), targets(), settings)
    other.train_on(MATRIX, targets(), settings)
    assert same_state(one.state_dict(), other.state_dict())


def test_callbacks_and_reports():
    epochs = []
    settings = TrainingSettings.checked(
        epochs=50, verbose_freq=10, callbacks=[lambda p: epochs.append(p.epoch), lambda p: p.epoch == 30]
    )
    assert calibration().train_on(MATRIX, targets(), settings).epoch_ == 30
    assert epochs == [10, 20, 30]


SETTINGS = TrainingSettings.checked(epochs=5)
REFUSED = [
    (
        (MATRIX, targets(), TrainingSettings.checked(n_active=41)),
        InputError,
        "n_active must be at most 40, got 41",
    ),
    (
        (MATRIX, targets(), TrainingSettings.checked(lr=lambda e: 2.0 - e)),
        InputError,
        r"lr\(2\) must be above 0",
    ),
    ((MATRIX, targets(), {"epochs": 5}), InputTypeError, "settings must be of the class TrainingSettings"),
    ((MATRIX, Y, SETTINGS), InputTypeError, "targets must be of the class Targets"),
    ((MATRIX, Targets.build(Y[:5], 5), SETTINGS), InputError, r"5 targets.*\(6, 40\)"),
    ((ColumnMatrix.build(M[:, :39]), targets(), SETTINGS), InputError, "n_features = 40 columns"),
    ((M, targets(), SETTINGS), InputTypeError, "matrix must be a ColumnMatrix"),
    ((M.toarray(), targets(), SETTINGS), InputTypeError, "matrix must be a ColumnMatrix"),
    ((None, targets(), SETTINGS), InputTypeError, "matrix must be a ColumnMatrix"),
]


@pytest.mark.parametrize("device", ["numpy", CUDA])
@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED, ids=[case[2] for case in REFUSED])
def test_what_does_not_fit_is_refused(arguments, error, message, device):
    model = calibration(device=device)
    before = model.state_dict()
    with pytest.raises(error, match=message):
        model.train_on(*arguments)
    assert same_state(before, model.state_dict())


def test_n_active_without_gates_is_refused():
    model = calibration(use_gates=False)
    with pytest.raises(InputError, match="n_active requires gates"):
        model.train_on(MATRIX, targets(), TrainingSettings.checked(n_active=3))


def test_an_anchor_of_coefficients_that_start_near_0_is_refused():
    model, settings = SparseL0Linear(40, seed=3), TrainingSettings.checked(epochs=5, l2_anchor="initial")
    before = model.state_dict()
    with pytest.raises(InputError, match="positive initial weights"):
        model.train_on(MATRIX, targets(), settings)
    assert same_state(before, model.state_dict())


def test_a_schedule_is_checked_for_the_epochs_of_each_training_before_it_starts():
    seen = []

    def lr(epoch):
        seen.append(epoch)
        return 0.1 if epoch < 15 else -1.0

    model = calibration().train_on(MATRIX, targets(), TrainingSettings.checked(lr=lr, epochs=10))
    assert seen == list(range(10))
    before = model.state_dict()
    with pytest.raises(InputError, match=r"lr\(15\) must be above 0"):
        model.train_on(MATRIX, targets(), TrainingSettings.checked(lr=lr, epochs=10))
    assert same_state(before, model.state_dict())


@pytest.mark.parametrize("device", [CUDA])
def test_a_refused_fit_leaves_where_answers_live(device):
    """A fit on host arrays gives answers on the host; one that is refused changes nothing."""
    import cupy

    model = calibration(device=device).fit(M, Y, epochs=2, **FIT)
    with pytest.raises(InputError, match="n_active"):
        model.fit(cupy.asarray(M.toarray()), Y, n_active=41)
    assert isinstance(model.log_alpha, np.ndarray)
    model.fit(cupy.asarray(M.toarray()), Y, epochs=1)
    assert isinstance(model.log_alpha, cupy.ndarray)
    model.train_on(MATRIX, targets(), SETTINGS)
    assert isinstance(model.log_alpha, np.ndarray)
