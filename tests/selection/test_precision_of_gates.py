"""The dtype in which gates are trained: that of the matrix, or `dtype`; refits use the exact entries."""

import numpy as np
import pytest
from scipy import sparse
from survey_problems import problem

import l0np


@pytest.fixture
def dtypes(monkeypatch):
    """The dtypes of models and matrices in training."""
    seen, train_on = [], l0np.SparseCalibrationWeights.train_on

    def noting(model, matrix, targets, settings, **options):
        seen.append((model.dtype.name, matrix.dtype.name))
        return train_on(model, matrix, targets, settings, **options)

    monkeypatch.setattr(l0np.SparseCalibrationWeights, "train_on", noting)
    return seen


KINDS = {
    "array": lambda M: M,
    "csr": sparse.csr_array,
    "ColumnMatrix": lambda M: l0np.ColumnMatrix.build(M, M.dtype),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", ["float32", "float64"])
@pytest.mark.parametrize("asked", [None, "float32", "float64", np.float32])
def test_gates_are_trained_in_the_dtype_of_the_matrix_or_in_that_asked_for(dtypes, kind, given, asked):
    M, y, base = problem()
    M = KINDS[kind](M.astype(given))
    l0np.calibrate(M, y, 20, base, method="gates", epochs=5, dtype=asked, seed=0)
    l0np.l0_path(M, y, [20], base_weights=base, method="gates", epochs=5, dtype=asked, seed=0)
    expected = given if asked is None else np.dtype(asked).name
    assert dtypes == [(expected, expected)] * 2


def test_refits_use_the_exact_entries():
    M, y, base = problem()
    answer = l0np.calibrate(M, y, 30, base, method="gates", epochs=60, dtype="float32", seed=0)
    assert np.abs(M @ answer.weights / y - 1).max() < 1e-9
    assert np.abs(M.astype(np.float32) @ answer.weights / y - 1).max() > 1e-9
    assert answer.weights.dtype == np.float64


@pytest.mark.parametrize("method", ["balanced", "exchange"])
def test_the_dtype_changes_nothing_where_no_gates_are_trained(method):
    M, y, base = problem()
    one, other = (
        l0np.calibrate(M, y, 20, base, method=method, dtype=dtype, seed=0) for dtype in ("float32", None)
    )
    np.testing.assert_array_equal(one.weights, other.weights)


def test_a_float32_matrix_gives_what_its_entries_give_in_float64():
    M, y, base = problem()
    narrow = M.astype(np.float32)
    one, other = (
        l0np.calibrate(sparse.csr_array(given), y, 40, base, seed=0).weights
        for given in (narrow, narrow.astype(np.float64))
    )
    np.testing.assert_array_equal(one, other)
