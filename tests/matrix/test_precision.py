"""`ColumnMatrix.of`: exactly the numbers that were given, in float32 where they came in float32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matrices import COMPRESSED, DENSE, FORMATS, KINDS, dense_of, scipy_like, snapshot
from scipy import sparse
from support import needs_numba, needs_speed

from l0np import ColumnMatrix, SparseL0Linear, check_targets, diagnose, l0_regression_path, target_table
from l0np.errors import InputError

TENTHS = (DENSE / 10).astype(np.float32)  # not in float64, where a tenth is another number


def assert_holds(matrix, dense, dtype):
    assert matrix.dtype == np.dtype(dtype)
    assert np.array_equal(dense_of(matrix), dense)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_matrices_keep_their_dtype_and_their_numbers(kind, dtype):
    dense = (DENSE / 10).astype(dtype)
    matrix = KINDS[kind](dense)
    before = snapshot(matrix)
    assert_holds(ColumnMatrix.of(matrix), dense.astype(np.float64), dtype)
    assert snapshot(matrix) == before


@pytest.mark.parametrize(
    "matrix",
    [
        pytest.param(TENTHS, id="array"),
        pytest.param(np.asfortranarray(TENTHS), id="Fortran order"),
        pytest.param(TENTHS.astype(">f4"), id="other byte order"),
        pytest.param(np.asmatrix(TENTHS), id="np.matrix"),
        pytest.param(list(TENTHS), id="list of arrays"),
        pytest.param(ColumnMatrix.build(TENTHS, "float32"), id="ColumnMatrix"),
    ],
)
def test_dense_float32_stays_float32(matrix):
    assert_holds(ColumnMatrix.of(matrix), TENTHS.astype(np.float64), "float32")


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "longdouble", ">f8"])
@pytest.mark.parametrize("kind", ["array", "csr", "coo"])
def test_all_else_becomes_float64(kind, dtype):
    matrix = DENSE.astype(bool).astype(dtype)
    if kind != "array":
        matrix = sparse.csr_array(DENSE.astype(bool)).asformat(kind)
        matrix.data = matrix.data.astype(dtype)
    assert_holds(ColumnMatrix.of(matrix), (DENSE != 0) * 1.0, "float64")
    assert ColumnMatrix.of(TENTHS.tolist()).dtype == np.float64


def test_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TENTHS)
    assert_holds(ColumnMatrix.of(frame), TENTHS.astype(np.float64), "float32")
    assert_holds(ColumnMatrix.of(frame.T), TENTHS.T.astype(np.float64), "float32")
    mixed = frame.assign(**{"5": DENSE[:, 5] / 10})
    assert ColumnMatrix.of(mixed).dtype == np.float64
    assert np.array_equal(dense_of(ColumnMatrix.of(mixed))[:, -1], DENSE[:, 5] / 10)


def twice(format_name, values):
    """Return a 1 x 2 matrix that stores its first element once for each value, and then 0.1."""
    data, n = np.array([*values, 0.1], np.float32), len(values)
    if format_name == "coo":
        return sparse.coo_array((data, ([0] * (n + 1), [0] * n + [1])), shape=(1, 2))
    indices = [0] * n + ([0] if format_name == "csc" else [1])
    return scipy_like(
        format_name, data, indices, [0, n, n + 1] if format_name == "csc" else [0, n + 1], (1, 2)
    )


@pytest.mark.parametrize("format_name", [*COMPRESSED, "coo"])
@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        pytest.param([1.0, 2.0], "float32", id="sum that float32 holds"),
        pytest.param([2.0**24, 1.0], "float64", id="sum of more digits"),
        pytest.param([3e38, 3e38], "float64", id="sum beyond the range"),
        pytest.param([2.0**24, 1.0, -(2.0**24)], "float32", id="sum that float32 would round on the way"),
        pytest.param([1.0, 0.0], "float32", id="explicit zero"),
    ],
)
def test_duplicates_are_summed_without_loss(values, dtype, format_name):
    matrix = twice(format_name, values)
    expected = float(np.sum(np.array(values, np.float32), dtype=np.float64))
    assert_holds(ColumnMatrix.of(matrix), [[expected, float(np.float32(0.1))]], dtype)


@needs_numba
@needs_speed
def test_duplicates_in_a_large_csr_matrix_are_summed_without_loss():
    large = sparse.csr_array(np.ones((1024, 1024), np.float32))
    assert ColumnMatrix.of(large).dtype == np.float32
    large.data[0], large.indices[1] = 2.0**24, 0
    matrix = ColumnMatrix.of(large)
    assert matrix.dtype == np.float64
    assert matrix.data[0] == 2.0**24 + 1


@given(arrays(np.float32, (4, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_no_number_changes(dense):
    for matrix in (dense, *(sparse.csr_array(dense).asformat(name) for name in FORMATS)):
        assert_holds(ColumnMatrix.of(matrix), dense.astype(np.float64), "float32")


@pytest.mark.parametrize("kind", ["array", "csr", "coo"])
def test_what_is_not_finite_is_named(kind):
    broken = TENTHS.copy()
    broken[3, 2] = np.inf
    with pytest.raises(InputError, match=r"A\[3, 2\] is inf"):
        ColumnMatrix.of(broken if kind == "array" else sparse.csr_array(broken).asformat(kind), name="A")


# --- what is exact does not depend on how the same numbers are stored


def dependent_rows():
    """Rows of which one is the sum of two others but for a millionth, which float32 stores exactly."""
    M = np.round(np.random.default_rng(0).uniform(1e5, 2e5, (5, 40))).astype(np.float32)
    M[4] = M[0] + M[1]
    M[4, 7] += 1.0
    return M


@pytest.mark.parametrize(
    "kind", [np.asarray, sparse.csr_array, sparse.csc_array], ids=["array", "csr", "csc"]
)
def test_reports_on_targets_do_not_depend_on_the_dtype(kind):
    M, weights = dependent_rows(), np.linspace(1.0, 2.0, 40)
    y = M.astype(np.float64) @ weights
    narrow, wide = kind(M), kind(M.astype(np.float64))
    assert str(diagnose(narrow, y, weights)) == str(diagnose(wide, y, weights))
    assert np.array_equal(target_table(narrow, y, weights).estimate, target_table(wide, y, weights).estimate)
    found, expected = check_targets(narrow, y), check_targets(wide, y)
    assert str(found) == str(expected)
    assert found.rank == expected.rank == 5


@pytest.mark.parametrize(
    "kind", [np.asarray, sparse.csr_array, sparse.csc_array], ids=["array", "csr", "csc"]
)
def test_regressions_do_not_depend_on_the_dtype(kind):
    rng = np.random.default_rng(1)
    X = (rng.normal(size=(50, 9)) * (rng.random((50, 9)) < 0.7)).astype(np.float32)
    y = 1.0 + X[:, [2, 5]] @ [2.0, -3.0] + rng.normal(size=50)
    narrow, wide = kind(X), kind(X.astype(np.float64))
    for method in ("inclusion", "exchange"):
        found, expected = (l0_regression_path(matrix, y, method=method) for matrix in (narrow, wide))
        assert np.array_equal(found.coefficients.toarray(), expected.coefficients.toarray())
        assert np.array_equal(found.criterion, expected.criterion)
        assert np.array_equal(found.predict(narrow), expected.predict(wide))
    models = [SparseL0Linear(9, init_keep_prob=1.0, seed=0, dtype="float64") for _ in range(2)]
    for model, matrix in zip(models, (narrow, wide), strict=True):
        model.refit(matrix, y)
    assert np.array_equal(models[0].weight, models[1].weight)
