"""`ColumnMatrix.build` from every format, dtype and kind of matrix."""

import numpy as np
import pytest
from matrices import DENSE, KINDS, RESULTS, assert_canonical, dense_of, snapshot
from scipy import sparse

from l0np import ColumnMatrix
from l0np.errors import InputError

DATA_DTYPES = ("bool", "int8", "uint8", "int64", "uint64", "float32", "float64", "longdouble")


@pytest.mark.parametrize("dtype", DATA_DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_scipy_format_and_dtype_equals_the_dense_matrix(kind, dtype):
    expected = DENSE.astype(dtype)
    given = KINDS[kind](expected)
    before = snapshot(given)
    for result in RESULTS:
        matrix = ColumnMatrix.build(given, result)
        assert_canonical(matrix, result)
        np.testing.assert_array_equal(dense_of(matrix), expected.astype(float))
    assert snapshot(given) == before


@pytest.mark.parametrize("format_name", ["csr", "csc", "coo", "bsr"])
def test_sparse_matrices_of_halves_which_scipy_cannot_compute_with(format_name):
    given = sparse.csr_array(DENSE).asformat(format_name)
    given.data = given.data.astype(np.float16)
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(given)), DENSE)


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("dtype", [*DATA_DTYPES, "float16"])
def test_dense_arrays_of_every_dtype(dtype, result):
    given = DENSE.astype(dtype)
    before = snapshot(given)
    matrix = ColumnMatrix.build(given, result)
    assert_canonical(matrix, result)
    np.testing.assert_array_equal(dense_of(matrix), given.astype(float))
    assert snapshot(given) == before


@pytest.mark.parametrize("format_name", ["dense", "csr", "csc", "coo"])
def test_numbers_in_the_other_byte_order(format_name):
    given = DENSE.astype(">f8")
    if format_name != "dense":
        given = sparse.csr_array(DENSE).asformat(format_name)
        given.data = given.data.astype(">f8")
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(given, "float64")), DENSE)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(DENSE.tolist(), id="list of lists"),
        pytest.param([list(map(int, row)) for row in DENSE], id="list of lists of int"),
        pytest.param(tuple(map(tuple, DENSE)), id="tuple of tuples"),
        pytest.param(list(DENSE), id="list of arrays"),
        pytest.param(np.asfortranarray(DENSE), id="Fortran order"),
        pytest.param(np.repeat(DENSE, 2, axis=1)[:, ::2], id="strided view"),
        pytest.param(np.asmatrix(DENSE), id="np.matrix"),
    ],
)
def test_dense_matrices_of_other_kinds(given):
    matrix = ColumnMatrix.build(given)
    assert matrix.shape == DENSE.shape
    np.testing.assert_array_equal(dense_of(matrix), DENSE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_matrix_of_zeros_has_no_entries(kind):
    matrix = ColumnMatrix.build(KINDS[kind](np.zeros((3, 4))))
    assert_canonical(matrix, "float32")
    assert (matrix.nnz, matrix.shape) == (0, (3, 4))


def test_index_arrays_of_64_bits_are_taken():
    given = sparse.csc_array(DENSE)
    given.indices, given.indptr = given.indices.astype(np.int64), given.indptr.astype(np.int64)
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(given)), DENSE)


def test_dia_may_hold_more_or_less_than_the_matrix():
    data = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [6.0] * 5, [7.0] * 5])
    wide = sparse.dia_array(
        (data, [0, 50, -50]), shape=(3, 4)
    )  # diagonals outside, and longer than the columns
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(wide)), np.eye(3, 4) * [1.0, 2.0, 3.0, 4.0])
    short = sparse.dia_array((data[:1, :2], [0]), shape=(3, 4))
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(short)), np.eye(3, 4) * [1.0, 2.0, 0.0, 0.0])


@pytest.mark.parametrize("kind", ["dense", "csr", "csc", "coo"])
def test_what_becomes_zero_in_float32_is_dropped(kind):
    values = np.array([[1e-50, 1e-40], [-1e-50, 2.0]])
    given = values if kind == "dense" else sparse.csr_array(values).asformat(kind)
    narrow, wide = ColumnMatrix.build(given, "float32"), ColumnMatrix.build(given, "float64")
    assert_canonical(narrow, "float32")
    assert narrow.indptr.tolist() == [0, 0, 2]
    assert (narrow.data == np.array([1e-40, 2.0], np.float32)).all()
    np.testing.assert_array_equal(dense_of(wide), values)


def test_underflow_that_the_caller_wants_raised_is_none_of_ours():
    with np.errstate(all="raise"):
        assert ColumnMatrix.build([[1e-50, 1.0]]).nnz == 1


@pytest.mark.parametrize(
    "kind", ["dense", "csr_array", "csc_array", "coo_matrix", "bsr_array", "dia_array", "dok_array"]
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_place_of_a_number_that_is_not_finite_is_named(kind, value):
    dense = DENSE.copy()
    dense[3, 2] = dense[6, 2] = value
    with pytest.raises(InputError, match=rf"^A\[3, 2\] is {value}.*\b2\b"):
        ColumnMatrix.build(dense if kind == "dense" else KINDS[kind](dense), name="A")


@pytest.mark.parametrize(
    "dtype", ["int32", "float16", "longdouble", ">f4", "complex64", "no such dtype", None, object]
)
def test_only_two_dtypes_are_offered(dtype):
    with pytest.raises(InputError, match=r"dtype must be 'float32' or 'float64'"):
        ColumnMatrix.build(DENSE, dtype)
