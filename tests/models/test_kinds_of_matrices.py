"""Every kind of matrix gives the same run, and none is mistaken for another."""

import numpy as np
import pytest
from both_models import FIT, both_models, calibration
from scipy import sparse
from support import DEVICES, same_state, small_problem

from l0np import ColumnMatrix, SparseCalibrationWeights


@pytest.mark.parametrize("device", DEVICES)
def test_a_second_matrix_of_equal_shape_and_non_zeros_is_not_mistaken_for_the_first(device):
    M, y = small_problem()
    other = M.copy()
    other.data = other.data[::-1].copy()
    for model, fit in both_models(40, device):
        model.fit(M, y, epochs=5, **fit)
        weights = (
            model.get_weights(True)
            if isinstance(model, SparseCalibrationWeights)
            else model.get_coefficients(0.0)
        )
        bias = getattr(model, "bias", 0.0)
        for matrix in (M, other, M):
            np.testing.assert_allclose(
                model.predict(matrix), matrix @ weights.astype(float) + bias, rtol=1e-6
            )
        state = model.state_dict()
        model.fit(other, y, epochs=5, **fit)
        after_other = model.state_dict()
        model.load_state_dict(state)
        model.fit(M, y, epochs=5, **fit)
        assert not same_state(after_other, model.state_dict())
        M.data[:] = M.data[::-1].copy()  # changed in place: still not mistaken
        model.load_state_dict(state)
        model.fit(M, y, epochs=5, **fit)
        assert same_state(after_other, model.state_dict())
        M.data[:] = M.data[::-1].copy()


FORMATS = ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"]


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_scipy_format_gives_the_same_run(name, kind):
    M, y = small_problem(5, 20)
    given = getattr(sparse, f"{name}_{kind}")(M)
    for (one, fit), (two, _) in zip(both_models(20, "cpu"), both_models(20, "cpu"), strict=True):
        assert same_state(
            one.fit(M, y, epochs=5, **fit).state_dict(), two.fit(given, y, epochs=5, **fit).state_dict()
        )
        assert np.array_equal(one.predict(M), two.predict(given))


def test_dense_arrays_lists_and_column_matrices_give_the_same_run():
    M, y = small_problem(5, 20)
    runs = [
        calibration(20).fit(given, y, epochs=5, **FIT)
        for given in (
            M,
            M.toarray(),
            M.toarray().tolist(),
            np.asfortranarray(M.toarray()),
            ColumnMatrix.build(M),
        )
    ]
    assert all(same_state(run.state_dict(), runs[0].state_dict()) for run in runs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("device", DEVICES)
def test_dtype_is_that_of_the_parameters(device, dtype):
    M, y = small_problem()
    for model, fit in both_models(40, device, dtype=dtype):
        model.fit(M, y, epochs=3, **fit)
        assert model.log_alpha.dtype == model.get_deterministic_gates().dtype == np.dtype(dtype)
        assert model.predict(M).dtype == np.float64
