"""`SparseCalibrationWeights.refit`: the selection stays, its weights meet the targets."""

import numpy as np
import pytest

import l0np
from l0np.errors import InputError, InputTypeError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


def model_and_problem():
    rng = np.random.default_rng(0)
    M = rng.random((8, 60)) * (rng.random((8, 60)) < 0.5)
    return l0np.SparseCalibrationWeights(60, seed=0, dtype="float64"), M, M @ rng.lognormal(1, 0.3, size=60)


def test_the_model_keeps_its_selection_and_meets_the_targets():
    model, M, y = model_and_problem()
    before = model.fit(M, y, n_active=20, epochs=200, lr=0.1).get_active_weights()["indices"]
    found = model.refit(M, y)
    after = model.get_active_weights()
    np.testing.assert_array_equal(after["indices"], before)
    np.testing.assert_allclose(after["values"], found.weights, rtol=1e-12)
    assert after["count"] == 20
    np.testing.assert_allclose(model.predict(M), y, rtol=1e-9)
    assert found.ratios.min() >= 0.05
    reference = found.weights / found.ratios
    assert np.isclose(reference.sum(), 60)  # the initial weights are 1, and keep their total


def test_refit_after_lambda_keeps_the_active_records():
    model, M, y = model_and_problem()
    active = model.fit(M, y, lambda_l0=0.5, epochs=300, lr=0.1, loss_type="relative").get_active_weights()[
        "indices"
    ]
    model.refit(M, y)
    np.testing.assert_array_equal(model.get_active_weights()["indices"], active)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"distance": "euclid"}, InputError, "distance"),
        ({"distance": "logit"}, InputError, "finite bounds"),
        ({"bounds": (0.0, None)}, InputError, r"bounds\[0\] must be above 0"),
        ({"bounds": 3}, InputTypeError, "bounds"),
        ({"bounds": (1.5, 2.0)}, InputError, r"bounds\[0\]"),
        ({"bounds": (0.5, 0.9)}, InputError, r"bounds\[1\]"),
        ({"total": -1}, InputError, "total"),
        ({"reference": 0.0}, InputError, "reference"),
        ({"reference": np.ones(7)}, InputError, "reference"),
        ({"target_scales": 0.0}, InputError, "target_scales"),
    ],
)
def test_refit_refuses_and_leaves_the_model_as_it_was(options, error, text):
    model, M, y = model_and_problem()
    before = model.fit(M, y, n_active=20, epochs=5).state_dict()
    with pytest.raises(error, match=text):
        model.refit(M, y, **options)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_initial_weights_that_the_caller_changes_later_change_nothing():
    M = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    base = np.array([1.0, 2.0, 3.0, 4.0])
    refits = []
    for change in (False, True):
        given = base.copy()
        model = l0np.SparseCalibrationWeights(4, init_weights=given, seed=0)
        model.fit(M, [8.0, 10.0], n_active=3, epochs=20)
        if change:
            given[:] = [9.0, 0.5, 7.0, 0.1]
        refits.append(model.refit(M, [8.0, 10.0]).weights)
    assert np.array_equal(*refits)
