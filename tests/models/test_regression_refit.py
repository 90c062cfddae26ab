"""`SparseL0Linear.refit`: least squares on the selected features, without gates."""

import numpy as np
import pytest
from linear_problems import ordinary, problem
from support import DEVICES, same_state

from l0np import ColumnMatrix, SparseL0Linear
from l0np.errors import InputError, InputTypeError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


@pytest.mark.slow  # trains before each refit
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("intercept", [True, False])
def test_refit_is_least_squares_on_the_selected(device, intercept):
    X, y, _ = problem()
    model = SparseL0Linear(8, fit_intercept=intercept, seed=0, device=device, dtype="float64")
    model.fit(X, y, n_active=4, lr=0.05, epochs=300)
    selected, log_alpha = model.get_selected_features(), model.log_alpha.copy()
    assert model.refit(X, y) is model
    b, a, fitted = ordinary(X, y, selected, intercept)
    np.testing.assert_allclose(model.get_coefficients()[selected], b, rtol=1e-10)
    assert np.count_nonzero(model.get_coefficients()) == 4
    assert model.bias == (pytest.approx(a, rel=1e-10) if intercept else None)
    np.testing.assert_allclose(model.predict(X), fitted, rtol=1e-9)
    assert np.array_equal(model.log_alpha, log_alpha)
    model.fit(X, y, lambda_l0=0.1, epochs=1, lr=1e-9)  # trains on from the refitted coefficients
    np.testing.assert_allclose(model.weight[selected], b, rtol=1e-6)


def test_refit_after_a_plain_fit_removes_the_bias_of_half_open_gates():
    X, y, _ = problem()
    model = SparseL0Linear(8, seed=0).fit(X, y, lambda_l0=0.5, lr=0.05, epochs=300)
    selected = model.get_selected_features()
    before = np.mean((y - model.predict(X)) ** 2)
    assert 0 < len(selected) < 8
    assert model.refit(X, y).get_selected_features().tolist() == selected.tolist()
    assert np.mean((y - model.predict(X)) ** 2) < before
    restored = SparseL0Linear(8, seed=0)
    restored.load_state_dict(model.state_dict())
    assert np.array_equal(restored.predict(X), model.predict(X))


def test_refit_of_nothing_and_of_dependent_features():
    X, y, _ = problem()
    nothing = SparseL0Linear(8, init_keep_prob=0.0).refit(X, y)
    assert nothing.get_selected_features().tolist() == []
    np.testing.assert_allclose(nothing.predict(X), y.mean(), rtol=1e-6)
    nothing.load_state_dict(nothing.state_dict())
    X[:, 6] = X[:, 4]
    with pytest.warns(RuntimeWarning, match="the 8 selected features have rank 7"):
        model = SparseL0Linear(8, init_keep_prob=1.0).refit(X, y)
    assert model.get_coefficients()[4] == pytest.approx(model.get_coefficients()[6])
    SparseL0Linear(8, init_keep_prob=1.0).refit(X, y, lambda_l2=1e-6)  # penalised, it is unique: no warning


def test_refit_reads_the_selected_columns_only():
    """A feature that is not selected may have entries whose squares overflow."""
    X, y, _ = problem()
    X[:, 5] *= 1e200
    model = SparseL0Linear(8, init_keep_prob=np.where(np.arange(8) == 5, 0.0, 1.0), dtype="float64")
    model.refit(ColumnMatrix.build(X, "float64"), y)
    b, a, _ = ordinary(X, y, [0, 1, 2, 3, 4, 6, 7])
    np.testing.assert_allclose(np.delete(model.get_coefficients(), 5), b, rtol=1e-9)
    assert model.bias == pytest.approx(a)


def test_refit_refuses_bad_input_and_leaves_the_model():
    X, y, _ = problem()
    model = SparseL0Linear(8, seed=0).fit(X, y, epochs=5)
    before = model.state_dict()
    for arguments, options, error in [
        ((X[:, :7], y), {}, InputError),
        ((X, y[:-1]), {}, InputError),
        ((X, y), {"lambda_l2": -1.0}, InputError),
        ((X, y), {"lambda_l2": "0"}, InputTypeError),
        ((X, 1e39 * y), {}, InputError),
        ((X, 1e160 * y), {}, InputError),
        ((1e200 * X, y), {}, InputError),
    ]:
        with pytest.raises(error):
            model.refit(*arguments, **options)
    assert same_state(before, model.state_dict())
