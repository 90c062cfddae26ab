"""`loss_type="absolute"`: gates and refits minimise it; what minimises squares is used with one warning."""

import warnings

import numpy as np
import pytest
from support import needs_speed
from survey_problems import problem

import l0np
from l0np.errors import L0npWarning
from l0np.maths import LOSSES, TargetLoss
from l0np.selection.methods import METHODS

M, Y, BASE = problem()
CALLS = {name: (l0np.calibrate, {"n_active": 20, "method": name}) for name in METHODS} | {
    "path": (l0np.l0_path, {"n_active": [5, 10, 20]}),
    "path of gates": (l0np.l0_path, {"n_active": [5, 10, 20], "method": "gates"}),
    "path of multipliers": (l0np.l0_path, {"lambda_l0": [1e-3, 1e-5]}),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_warning_for_each_call_in_the_name_of_its_caller(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call, options = CALLS[name]
        call(M, Y, base_weights=BASE, loss_type="absolute", epochs=20, seed=0, **options)
    assert [(warning.category, warning.filename) for warning in caught] == [(L0npWarning, __file__)]
    assert "minimise squared errors" in str(caught[0].message)


def test_no_warning_where_no_records_are_selected():
    l0np.calibrate(M, Y, base_weights=BASE, loss_type="absolute")  # warnings are errors


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("loss_type", ["mse", "relative"])
def test_no_warning_where_the_loss_is_squares(name, loss_type):
    call, options = CALLS[name]
    call(M, Y, base_weights=BASE, loss_type=loss_type, epochs=20, seed=0, **options)  # warnings are errors


class FourthPowers(TargetLoss):
    default_scale = staticmethod(np.abs)

    def value(self, prediction):
        return (self.weights * ((prediction - self.target) / self.scale) ** 4).sum()

    def gradient(self, prediction, out):
        out[...] = 4 * self.weights * ((prediction - self.target) / self.scale) ** 3 / self.scale


def test_the_refit_of_a_model_warns_of_a_loss_that_no_refit_minimises(monkeypatch):
    monkeypatch.setitem(LOSSES, "fourth", FourthPowers)
    model = l0np.SparseCalibrationWeights(300, seed=0)
    with pytest.warns(L0npWarning, match="refits minimise squared errors") as caught:
        model.refit(M, Y, loss_type="fourth")
    assert [warning.filename for warning in caught] == [__file__]
    model.refit(M, Y, loss_type="absolute")
    model.refit(M, Y)


@needs_speed
def test_gates_are_trained_with_the_loss_that_was_asked_for(monkeypatch):
    thrice, y = np.vstack([M, M[2], M[2]]), np.append(Y, [Y[2], 2 * Y[2]])  # three targets of one row
    trained, train_on = [], l0np.SparseCalibrationWeights.train_on

    def noting(model, matrix, targets, settings, **options):
        found = train_on(model, matrix, targets, settings, **options)
        trained.append(model.predict(thrice)[2] / y[2])
        return found

    monkeypatch.setattr(l0np.SparseCalibrationWeights, "train_on", noting)
    for loss_type in ("absolute", "mse"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", L0npWarning)
            options = {"method": "gates", "epochs": 600, "seed": 0, "loss_type": loss_type}
            l0np.calibrate(thrice, y, 30, BASE, **options)
    absolute, squared = trained
    assert absolute == pytest.approx(1.0, abs=0.03)  # the median
    assert squared == pytest.approx(2.5 / 2.25, abs=0.03)  # of 2 (r - 1)^2 + (r / 2 - 1)^2
