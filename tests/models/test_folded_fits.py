"""Fits to matrices with rows that are sums of others: folded or not, the answers are the same to rounding."""

import numpy as np
import pytest
from both_models import FIT, calibration
from crashes import crash
from support import DEVICES, needs_numba, same_state

import l0np
from l0np import Aggregate, ColumnMatrix, SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError, InputTypeError

pytestmark = [
    pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning"),  # short fits
    pytest.mark.filterwarnings("ignore::l0np.errors.PerformanceWarning"),  # losses without a CUDA graph
]
N = 400


def regions(n=N, n_areas=10):
    """Areas in 2 regions and the nation, for a count and an amount: 26 rows, 6 of which are sums."""
    rng = np.random.default_rng(0)
    area, parts = rng.integers(n_areas, size=n), []
    for amount in (rng.integers(1, 5, n).astype(float), rng.lognormal(3, 1, n)):
        areas = [amount * (area == a) for a in range(n_areas)]
        parts += [*areas, amount * (area % 2), amount * (1 - area % 2), amount]
    M = np.array(parts)
    return M, M @ rng.lognormal(1, 0.5, n)


def fitted(fold, device="numpy", epochs=60, M=None, **options):
    dense, y = regions()
    model = calibration(N, device=device, dtype="float64")
    return model.fit(dense if M is None else M, y, epochs=epochs, fold=fold, **FIT | options)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_active": 50, "lambda_l0": None},
        {"loss_type": "absolute", "caps": 0.5},
        {"aggregates": [Aggregate(["a", "b"] * 13)]},
        {"l2_anchor": "initial", "lambda_l2": 1e-4},
    ],
    ids=["plain", "exactly k", "absolute", "aggregates", "anchored"],
)
def test_answers_are_the_same_to_rounding(device, options):
    folded, whole = fitted(True, device, **options), fitted(False, "numpy", **options)
    assert folded.statistics_.folded_rows == 6
    assert whole.statistics_.folded_rows == 0
    assert folded.statistics_.gathered < 0.6 * whole.statistics_.gathered
    np.testing.assert_allclose(folded.log_weight, whole.log_weight, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(folded.log_alpha, whole.log_alpha, rtol=1e-6, atol=1e-6)
    M, _ = regions()
    np.testing.assert_allclose(folded.predict(M), M @ folded.get_weights(deterministic=True), rtol=1e-10)
    built = ColumnMatrix.build(M, "float64", fold=True)
    np.testing.assert_allclose(folded.predict(built), folded.predict(M), rtol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_a_regression_whose_observations_add_up(device):
    X, y = regions()
    models = [
        SparseL0Linear(N, seed=0, device=name, dtype="float64").fit(X, y, lr=0.01, epochs=40, fold=fold)
        for name, fold in ((device, True), ("numpy", False))
    ]
    assert models[0].statistics_.folded_rows == 6
    np.testing.assert_allclose(models[0].weight, models[1].weight, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(models[0].bias, models[1].bias, rtol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_fits_in_parts_and_resumed_ones_are_the_same_bit_for_bit(device, tmp_path):
    M, y = regions()
    whole = fitted(True, device, epochs=40)
    parts = calibration(N, device=device, dtype="float64")
    for _ in range(4):
        parts.fit(ColumnMatrix.build(M, "float64", fold=True), y, epochs=10, **FIT)
    assert same_state(whole.state_dict(), parts.state_dict())
    broken = calibration(N, device=device, dtype="float64")
    crash(broken, tmp_path, 27, epochs=40, problem=(M, y), fold=True, **FIT)
    resumed = SparseCalibrationWeights.resume(tmp_path, M, y)
    assert resumed.statistics_.folded_rows == 6
    assert same_state(whole.state_dict(), resumed.state_dict())


def test_a_fit_is_resumed_with_the_rows_that_it_had(tmp_path):
    M, y = regions()
    built = ColumnMatrix.build(M, "float64", fold=True)
    crash(calibration(N, dtype="float64"), tmp_path, 27, epochs=40, problem=(built, y), **FIT)
    with pytest.raises(InputError, match="M has 0 folded rows, in the interrupted fit it had 6"):
        SparseCalibrationWeights.resume(tmp_path, M, y)
    assert SparseCalibrationWeights.resume(tmp_path, built, y).epoch_ == 40


def test_fold_decides_whatever_was_built():
    M, _ = regions()
    built = ColumnMatrix.build(M, "float64", fold=True)
    assert fitted("auto", M=M).statistics_.folded_rows == 0  # too small
    assert fitted("auto", M=built).statistics_.folded_rows == 6
    assert fitted(False, M=built).statistics_.folded_rows == 0
    assert fitted(True, M=ColumnMatrix.build(M, "float64", fold=False)).statistics_.folded_rows == 6
    assert same_state(fitted(False, M=built).state_dict(), fitted(False).state_dict())
    with pytest.raises(InputTypeError, match='fold must be "auto", True or False'):
        fitted("no")


@needs_numba
def test_a_float32_matrix_large_enough_is_folded_without_being_asked():
    M, y = regions(20_000)
    model = SparseCalibrationWeights(20_000, seed=0).fit(M, y, epochs=2, loss_type="relative")
    assert model.statistics_.folded_rows == 6


def test_calibration_selection_and_diagnostics_take_folded_matrices():
    M, y = regions()
    M, built = M[:13], ColumnMatrix.build(M[:13], "float64", fold=True)
    assert built.fold.n_folded == 3
    base = np.full(N, y[12] / M[12].sum())
    for options in ({}, {"n_active": 60}, {"n_active": 60, "method": "gates"}):
        answers = [
            l0np.calibrate(given, y[:13], base_weights=base, seed=0, **options) for given in (M, built)
        ]
        np.testing.assert_allclose(answers[0].weights, answers[1].weights, rtol=1e-9)
    checks = [l0np.check_targets(given, y[:13], base) for given in (M, built)]
    assert str(checks[0]) == str(checks[1])
    tables = [l0np.diagnose(given, y[:13], base * 1.13, base) for given in (M, built)]
    assert str(tables[0]) == str(tables[1])
    model = calibration(N, dtype="float64").fit(built, y[:13], n_active=50, epochs=50, lr=0.1)
    np.testing.assert_allclose(model.refit(built, y[:13]).weights, model.refit(M, y[:13]).weights, rtol=1e-9)
    path = [l0np.l0_path(given, y[:13], n_active=[20, 40], base_weights=base, seed=0) for given in (M, built)]
    assert str(path[0]) == str(path[1])
