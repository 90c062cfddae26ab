import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from support import needs_numba

from l0np import ColumnMatrix
from l0np.errors import InputError, InputTypeError, L0npError

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
COMPRESSED = ("csr", "csc", "bsr")
KINDS = {f"{name}_{kind}": getattr(sparse, f"{name}_{kind}") for name in FORMATS for kind in ("array", "matrix")}
DATA_DTYPES = ("bool", "int8", "uint8", "int64", "uint64", "float32", "float64", "longdouble")
RESULTS = ("float32", "float64")

# Two empty rows, two empty columns, a dense row and a dense column but for those; every value fits into every dtype.
DENSE = np.array(
    [
        [1.0, 0.0, 5.0, 2.0, 0.0, 7.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 3.0, 0.0, 0.0, 0.0],
        [9.0, 0.0, 8.0, 0.0, 0.0, 1.0],
        [0.0, 0.0, 4.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 2.0, 6.0, 0.0, 0.0],
        [1.0, 0.0, 1.0, 0.0, 0.0, 1.0],
    ]
)


def dense_of(matrix):
    """Read the three arrays naively, sharing nothing with the package or SciPy."""
    result = np.zeros(matrix.shape)
    for column in range(matrix.shape[1]):
        for entry in range(matrix.indptr[column], matrix.indptr[column + 1]):
            result[matrix.indices[entry], column] += matrix.data[entry]
    return result


def assert_canonical(matrix, dtype):
    assert matrix.data.dtype == matrix.dtype == np.dtype(dtype)
    assert matrix.indices.dtype == (np.uint16 if matrix.shape[0] <= 65_535 else np.int32)
    assert matrix.indptr.dtype == np.int64
    assert matrix.indptr[0] == 0
    assert matrix.indptr[-1] == len(matrix.data) == len(matrix.indices) == matrix.nnz
    assert (matrix.data != 0).all()
    for first, last in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        assert (np.diff(matrix.indices[first:last].astype(np.int64)) > 0).all()


def snapshot(matrix):
    """Everything that a SciPy object or an array holds: contents, identity and flags of the arrays, cached flags."""

    def seen(value):
        if isinstance(value, np.ndarray):
            contents = value.tolist() if value.dtype == object else value.tobytes()
            return id(value), contents, value.dtype, value.shape, value.flags.writeable
        if isinstance(value, tuple):
            return tuple(map(seen, value))
        return repr(value)

    return seen(matrix) if isinstance(matrix, np.ndarray) else {name: seen(value) for name, value in vars(matrix).items()}


def scipy_like(format_name, data, indices, indptr, shape):
    """Make a csr, csc or bsr array that holds exactly these arrays: SciPy's constructor would trim or check them."""
    zeros, data = np.zeros(shape), np.asarray(data)
    made = sparse.bsr_array(zeros, blocksize=(1, 1)) if format_name == "bsr" else sparse.csr_array(zeros).asformat(format_name)
    made.data = data.reshape(-1, 1, 1) if format_name == "bsr" else data
    made.indices, made.indptr = np.asarray(indices, np.int32), np.asarray(indptr, np.int32)
    return made


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
    wide = sparse.dia_array((data, [0, 50, -50]), shape=(3, 4))  # diagonals outside, and longer than the columns
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(wide)), np.eye(3, 4) * [1.0, 2.0, 3.0, 4.0])
    short = sparse.dia_array((data[:1, :2], [0]), shape=(3, 4))
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(short)), np.eye(3, 4) * [1.0, 2.0, 0.0, 0.0])


# --- duplicates, order, zeros


def with_duplicates(format_name, values):
    """Return a 2 x 3 matrix whose place (0, 1) is stored once for each value, and place (1, 2) once."""
    values = np.asarray(values)
    data, n = np.append(values, values[0]), len(values)
    if format_name == "coo":
        return sparse.coo_array((data, ([0] * n + [1], [1] * n + [2])), shape=(2, 3))
    indices, indptr = ([0] * n + [1], [0, 0, n, n + 1]) if format_name == "csc" else ([1] * n + [2], [0, n, n + 1])
    return scipy_like(format_name, data, indices, indptr, (2, 3))


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("format_name", [*COMPRESSED, "coo"])
@pytest.mark.parametrize(
    ("values", "total"),
    [
        pytest.param(np.array([100, 100], np.int8), 200.0, id="int8 wraps around"),
        pytest.param(np.array([200, 200], np.uint8), 400.0, id="uint8 wraps around"),
        pytest.param(np.array([2**62, 2**62], np.int64), 2.0**63, id="int64 wraps around"),
        pytest.param(np.array([True, True, True]), 3.0, id="bool saturates"),
        pytest.param(np.array([1.5, 2.5], np.float32), 4.0, id="float32"),
        pytest.param(np.array([1.5, 2.5, -1.0]), 3.0, id="float64"),
        pytest.param(np.array([60000, 60000], np.float16), 120_000.0, id="float16 overflows"),
        pytest.param(np.array([1e39, -1e39, 1.0]), 1.0, id="too large for float32, but not the sum"),
        pytest.param(np.array([2**24, 1, -(2**24)], np.int64), 1.0, id="int64 summed before it is rounded"),
    ],
)
def test_duplicates_are_summed_exactly_once_and_before_the_cast(values, total, format_name, result):
    given = with_duplicates(format_name, values.astype(np.float32) if values.dtype == np.float16 else values)
    given.data = given.data.astype(values.dtype)  # SciPy lets nobody make a matrix of halves, but it can be there
    if float(values[0]) == 1e39 and result == "float32":
        given.data[-1] = 0  # the lone value cannot be held by float32
    before = snapshot(given)
    matrix = ColumnMatrix.build(given, result)
    assert_canonical(matrix, result)
    assert dense_of(matrix)[0].tolist() == [0.0, total, 0.0]
    assert dense_of(matrix)[1, 2] == float(given.data.ravel()[-1])
    assert snapshot(given) == before


@pytest.mark.parametrize("format_name", [*COMPRESSED, "coo"])
def test_duplicates_that_cancel_leave_no_entry(format_name):
    matrix = ColumnMatrix.build(with_duplicates(format_name, [2.0, -3.0, 1.0]))
    assert matrix.nnz == 1
    assert_canonical(matrix, "float32")


@pytest.mark.parametrize("format_name", COMPRESSED)
def test_unsorted_indices_are_sorted_in_a_copy(format_name):
    # csr and bsr: row 0 holds columns 2, 0, 1 in this order; csc: column 0 holds rows 2, 0, 1.
    given = scipy_like(format_name, [3.0, 1.0, 2.0, 4.0], [2, 0, 1, 1], [0, 3, 3, 4], (3, 3))
    expected = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    before = snapshot(given)
    matrix = ColumnMatrix.build(given, "float64")
    assert_canonical(matrix, "float64")
    np.testing.assert_array_equal(dense_of(matrix), expected.T if format_name == "csc" else expected)
    assert snapshot(given) == before
    assert given.indices.tolist() == [2, 0, 1, 1]


@pytest.mark.parametrize("format_name", COMPRESSED)
def test_stale_flags_are_not_believed(format_name):
    given = scipy_like(format_name, [3.0, 1.0, 2.0, 4.0], [2, 0, 2, 1], [0, 3, 3, 4], (3, 3))
    given.has_sorted_indices = True
    if format_name != "bsr":
        given.has_canonical_format = True
    before = snapshot(given)
    matrix = ColumnMatrix.build(given)
    assert_canonical(matrix, "float32")
    expected = np.array([[1.0, 0.0, 5.0], [0.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    np.testing.assert_array_equal(dense_of(matrix), expected.T if format_name == "csc" else expected)
    assert snapshot(given) == before


def test_a_stale_flag_of_coo_is_not_believed():
    given = with_duplicates("coo", [2.0, 3.0])
    given.has_canonical_format = True
    before = snapshot(given)
    matrix = ColumnMatrix.build(given)
    assert_canonical(matrix, "float32")
    assert dense_of(matrix)[0, 1] == 5.0
    assert snapshot(given) == before


@pytest.mark.parametrize("format_name", COMPRESSED)
def test_what_lies_beyond_the_last_pointer_is_ignored(format_name):
    given = scipy_like(format_name, [2.0, 1.0, np.nan, np.inf], [1, 0, 99, -7], [0, 1, 2], (2, 2))
    before = snapshot(given)
    matrix = ColumnMatrix.build(given)
    np.testing.assert_array_equal(dense_of(matrix), [[0.0, 1.0], [2.0, 0.0]] if format_name == "csc" else [[0, 2], [1, 0]])
    assert snapshot(given) == before


@pytest.mark.parametrize("format_name", [*COMPRESSED, "coo"])
def test_explicit_zeros_are_dropped(format_name):
    given = sparse.csr_array(DENSE).asformat(format_name)
    given.data = given.data.copy()
    given.data[given.data == 1.0] = 0.0
    before = snapshot(given)
    matrix = ColumnMatrix.build(given)
    assert_canonical(matrix, "float32")
    np.testing.assert_array_equal(dense_of(matrix), np.where(DENSE == 1.0, 0.0, DENSE))
    assert snapshot(given) == before


@pytest.mark.parametrize("kind", ["dense", "csr", "csc", "coo"])
def test_what_becomes_zero_in_float32_is_dropped(kind):
    values = np.array([[1e-50, 1e-40], [-1e-50, 2.0]])
    given = values if kind == "dense" else sparse.csr_array(values).asformat(kind)
    narrow, wide = ColumnMatrix.build(given, "float32"), ColumnMatrix.build(given, "float64")
    assert_canonical(narrow, "float32")
    assert narrow.indptr.tolist() == [0, 0, 2]
    assert (narrow.data == np.array([1e-40, 2.0], np.float32)).all()
    np.testing.assert_array_equal(dense_of(wide), values)


# --- 16 and 32 bits


@pytest.mark.parametrize(("n_rows", "wanted"), [(65_535, np.uint16), (65_536, np.int32)])
@pytest.mark.parametrize("way", ["csr", "csc", "coo", "dense", "from_coo", "constructor"])
def test_row_indices_take_16_bits_where_they_suffice(way, n_rows, wanted):
    rows, last = np.array([0, 1, n_rows - 1]), n_rows - 1
    if way == "from_coo":
        matrix = ColumnMatrix.from_coo(rows, [0, 0, 0], [1.0, 2.0, 3.0], (n_rows, 1))
    elif way == "constructor":
        matrix = ColumnMatrix(np.array([1.0, 2.0, 3.0]), rows, np.array([0, 3]), (n_rows, 1))
    else:
        coo = sparse.coo_array(([1.0, 2.0, 3.0], (rows, [0, 0, 0])), shape=(n_rows, 1))
        matrix = ColumnMatrix.build(coo.toarray() if way == "dense" else coo.asformat(way))
    assert matrix.indices.dtype == wanted
    assert matrix.indices.tolist() == [0, 1, last]
    assert matrix.to_scipy()[[last], [0]] == 3.0


# --- from_coo


def test_from_coo_sums_duplicates_and_sorts():
    matrix = ColumnMatrix.from_coo([2, 0, 2, 1], [1, 1, 1, 0], np.array([100, 5, 100, 7], np.int8), (3, 2), "float64")
    assert_canonical(matrix, "float64")
    np.testing.assert_array_equal(dense_of(matrix), [[0.0, 5.0], [7.0, 0.0], [0.0, 200.0]])


@pytest.mark.parametrize("empty", [[], np.array([], np.int64)], ids=["list", "int array"])
def test_from_coo_without_triplets_is_a_matrix_of_zeros(empty):
    matrix = ColumnMatrix.from_coo(empty, empty, empty, (3, 2))
    assert (matrix.nnz, matrix.shape) == (0, (3, 2))


@pytest.mark.parametrize(
    ("rows", "columns", "values", "shape", "error", "part"),
    [
        pytest.param([0, 3], [0, 1], [1.0, 2.0], (3, 2), InputError, "rows", id="row too large"),
        pytest.param([0, -1], [0, 1], [1.0, 2.0], (3, 2), InputError, "rows holds -1", id="negative row"),
        pytest.param([0, 1], [0, 2], [1.0, 2.0], (3, 2), InputError, "columns holds 2", id="column too large"),
        pytest.param([0, 1], [-2, 0], [1.0, 2.0], (3, 2), InputError, "columns holds -2", id="negative column"),
        pytest.param([0], [0, 1], [1.0, 2.0], (3, 2), InputError, "rows", id="too few rows"),
        pytest.param([0, 1], [0, 1], [1.0], (3, 2), InputError, "one length", id="too few values"),
        pytest.param([[0, 1]], [[0, 1]], [[1.0, 2.0]], (3, 2), InputError, "one-dimensional", id="two dimensions"),
        pytest.param([0.0, 1.0], [0, 1], [1.0, 2.0], (3, 2), InputTypeError, "rows must hold integers", id="float rows"),
        pytest.param([0, 1], ["a", "b"], [1.0, 2.0], (3, 2), InputTypeError, "columns", id="text columns"),
        pytest.param([0, 1], [0, 1], [1.0, 2.0j], (3, 2), InputTypeError, "values", id="complex values"),
        pytest.param([0, 1], [0, 1], [1.0, np.nan], (3, 2), InputError, "nan", id="nan"),
        pytest.param(np.arange(0), np.arange(0), [], (0, 2), InputError, "shape", id="no rows"),
        pytest.param([0], [0], [1.0], (3, 2, 1), InputError, "shape", id="three dimensions"),
        pytest.param([0], [0], [1.0], 3, L0npError, "shape", id="shape is a number"),
        pytest.param([0], [0], [1.0], (2.5, 2), L0npError, "shape", id="fractional shape"),
    ],
)
def test_from_coo_refuses(rows, columns, values, shape, error, part):
    with pytest.raises(error, match=part):
        ColumnMatrix.from_coo(rows, columns, values, shape)


# --- the constructor


def arrays_of(matrix):
    return np.array(matrix.data), np.array(matrix.indices), np.array(matrix.indptr)


def test_constructor_takes_canonical_arrays_of_any_index_dtype():
    reference = ColumnMatrix.build(DENSE)
    data, indices, indptr = arrays_of(reference)
    for index_dtype in (np.uint8, np.uint16, np.int32, np.int64, np.uint64):
        matrix = ColumnMatrix(data, indices.astype(index_dtype), indptr.astype(index_dtype), DENSE.shape)
        assert_canonical(matrix, "float32")
        np.testing.assert_array_equal(dense_of(matrix), DENSE)


def test_constructor_turns_other_numbers_into_float32():
    for values in ([1, 2], np.array([1, 2], np.int8), np.array([1, 2], np.float16), np.array([1, 2], np.longdouble)):
        assert ColumnMatrix(values, [0, 1], [0, 1, 2], (2, 2)).data.tolist() == [1.0, 2.0]
        assert ColumnMatrix(values, [0, 1], [0, 1, 2], (2, 2)).dtype == np.float32


ONES = [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("data", "indices", "indptr", "shape", "error", "part"),
    [
        pytest.param(ONES, [1, 0, 0], [0, 2, 3], (3, 2), InputError, "ascend", id="unsorted"),
        pytest.param(ONES, [1, 1, 0], [0, 2, 3], (3, 2), InputError, "ascend", id="duplicates"),
        pytest.param([1.0, 0.0, 1.0], [0, 1, 0], [0, 2, 3], (3, 2), InputError, "explicit zeros", id="explicit zero"),
        pytest.param([1.0, np.nan, 1.0], [0, 1, 0], [0, 2, 3], (3, 2), InputError, "finite", id="nan"),
        pytest.param([1.0, -np.inf, 1.0], [0, 1, 0], [0, 2, 3], (3, 2), InputError, "finite", id="infinite"),
        pytest.param(np.full(3, 1e39, np.longdouble), [0, 1, 0], [0, 2, 3], (3, 2), InputError, "finite", id="too large"),
        pytest.param(ONES, [0, 3, 0], [0, 2, 3], (3, 2), InputError, "out of range", id="row too large"),
        pytest.param(ONES, [0, 65_536, 0], [0, 2, 3], (3, 2), InputError, "out of range", id="row wraps around in 16 bits"),
        pytest.param(ONES, [-1, 0, 0], [0, 2, 3], (3, 2), InputError, "out of range", id="negative row"),
        pytest.param(ONES, [0, 1, 0], [1, 2, 3], (3, 2), InputError, "start at 0", id="indptr starts late"),
        pytest.param(ONES, [0, 1, 2], [0, 3, 2, 3], (3, 3), InputError, "never fall", id="indptr falls"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 4], (3, 2), InputError, "ends at 4", id="indptr ends past the data"),
        pytest.param(ONES, [0, 1, 0], [0, 1, 2], (3, 2), InputError, "ends at 2", id="indptr ends before the data"),
        pytest.param(ONES, [0, 1], [0, 1, 2], (3, 2), InputError, "ends at 2", id="more data than indices"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], (3, 3), InputError, "indptr", id="indptr too short"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], (3, 1), InputError, "indptr", id="indptr too long"),
        pytest.param(ONES, [0, 1, 0], [[0, 2, 3]], (3, 2), InputError, "indptr", id="indptr with two dimensions"),
        pytest.param(ONES, [[0, 1, 0]], [0, 2, 3], (3, 2), InputError, "indices", id="indices with two dimensions"),
        pytest.param([[1.0]] * 3, [0, 1, 0], [0, 2, 3], (3, 2), InputError, "data", id="data with two dimensions"),
        pytest.param(1.0, [0, 1, 0], [0, 2, 3], (3, 2), InputError, "data", id="data is a number"),
        pytest.param(ONES, [0.0, 1.0, 0.0], [0, 2, 3], (3, 2), InputTypeError, "integers", id="float indices"),
        pytest.param(ONES, [0, 1, 0], [0.0, 2.0, 3.0], (3, 2), InputTypeError, "integers", id="float indptr"),
        pytest.param([1j, 1, 1], [0, 1, 0], [0, 2, 3], (3, 2), InputTypeError, "data", id="complex data"),
        pytest.param(["a", "b", "c"], [0, 1, 0], [0, 2, 3], (3, 2), InputTypeError, "data", id="text data"),
        pytest.param([], [], [0], (3, 0), InputError, "shape", id="no columns"),
        pytest.param([], [], [0, 0], (0, 1), InputError, "shape", id="no rows"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], (2**31, 2), InputError, "rows", id="too many rows"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], (3, 2, 1), InputError, "shape", id="three dimensions"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], 3, L0npError, "shape", id="shape is a number"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], (3.5, 2), InputError, "shape", id="fractional shape"),
    ],
)
def test_constructor_refuses(data, indices, indptr, shape, error, part):
    with pytest.raises(error, match=part):
        ColumnMatrix(np.asarray(data), np.asarray(indices), np.asarray(indptr), shape)


@pytest.mark.parametrize("block", [1, 2, 3, 5])
def test_constructor_checks_across_the_borders_of_its_blocks(block, monkeypatch):
    monkeypatch.setattr("l0np.matrix.column_matrix.BLOCK", block)
    data, indices, indptr = arrays_of(ColumnMatrix.build(DENSE))
    ColumnMatrix(data.copy(), indices.copy(), indptr.copy(), DENSE.shape)
    for entry in range(1, len(data)):
        if entry in indptr:
            continue
        repeated, value, zero = indices.copy(), data.copy(), data.copy()
        repeated[entry], value[entry], zero[entry] = repeated[entry - 1], np.nan, 0.0
        for broken in ((data, repeated), (value, indices), (zero, indices)):
            with pytest.raises(InputError):
                ColumnMatrix(*broken, indptr, DENSE.shape)


# --- immutable


@pytest.mark.parametrize("way", ["dense", "csr", "csc", "from_coo", "constructor", "other dtype"])
def test_arrays_and_attributes_cannot_be_changed(way):
    coo = sparse.coo_array(DENSE)
    makers = {
        "dense": lambda: ColumnMatrix.build(DENSE),
        "csr": lambda: ColumnMatrix.build(sparse.csr_array(DENSE)),
        "csc": lambda: ColumnMatrix.build(sparse.csc_array(DENSE), "float64"),
        "from_coo": lambda: ColumnMatrix.from_coo(coo.row, coo.col, coo.data, DENSE.shape),
        "constructor": lambda: ColumnMatrix(*arrays_of(ColumnMatrix.build(DENSE)), DENSE.shape),
        "other dtype": lambda: ColumnMatrix.build(ColumnMatrix.build(DENSE), "float64"),
    }
    matrix = makers[way]()
    for name in ("data", "indices", "indptr"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(matrix, name)[0] = 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(matrix, name, np.zeros(3))


@pytest.mark.parametrize("kind", ["dense", "csr", "csc", "coo", "bsr", "dia"])
def test_a_later_change_of_the_input_does_not_reach_the_matrix(kind):
    given = DENSE.astype(np.float32) if kind == "dense" else sparse.csr_array(DENSE.astype(np.float32)).asformat(kind)
    matrix = ColumnMatrix.build(given)
    (given if kind == "dense" else given.data)[...] = np.nan
    np.testing.assert_array_equal(dense_of(matrix), DENSE)


def test_constructor_copies_views_that_somebody_else_could_write_to():
    owner = np.array([1.0, 2.0, 3.0], np.float32)
    matrix = ColumnMatrix(owner[:2], np.array([0, 1], np.uint16), np.array([0, 1, 2]), (2, 2))
    owner[0] = np.nan
    assert matrix.data.tolist() == [1.0, 2.0]


def test_constructor_copies_unless_it_is_given_the_arrays():
    data, indices, indptr = np.array([1.0, 2.0], np.float32), np.array([0, 1], np.uint16), np.array([0, 1, 2])
    copied = ColumnMatrix(data, indices, indptr, (2, 2))
    indices[:] = 60_000  # would read beyond every array
    assert copied.indices.tolist() == [0, 1]
    indices[:] = 0, 1
    matrix = ColumnMatrix(data, indices, indptr, (2, 2), copy=False)
    for kept, passed in ((matrix.data, data), (matrix.indices, indices), (matrix.indptr, indptr)):
        assert np.shares_memory(kept, passed)
        assert not passed.flags.writeable


# --- build again, and what it refuses


def test_building_again_costs_nothing_or_changes_the_dtype():
    matrix = ColumnMatrix.build(DENSE)
    assert ColumnMatrix.build(matrix) is matrix
    wide = ColumnMatrix.build(matrix, "float64")
    assert_canonical(wide, "float64")
    np.testing.assert_array_equal(dense_of(wide), DENSE)


def test_building_again_in_float32_names_what_is_too_large_and_drops_what_is_too_small():
    with pytest.raises(InputError, match=r"A\[1, 0\] is inf after the cast of 1e\+39 to float32"):
        ColumnMatrix.build(ColumnMatrix.build([[1.0], [1e39]], "float64"), "float32", name="A")
    matrix = ColumnMatrix.build(ColumnMatrix.build([[1.0, 1e-50]], "float64"), "float32")
    assert matrix.indptr.tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", ["dense", "csr_array", "csc_array", "coo_matrix", "bsr_array", "dia_array", "dok_array"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_place_of_a_number_that_is_not_finite_is_named(kind, value):
    dense = DENSE.copy()
    dense[3, 2] = dense[6, 2] = value
    with pytest.raises(InputError, match=rf"^A\[3, 2\] is {value}.*\b2\b"):
        ColumnMatrix.build(dense if kind == "dense" else KINDS[kind](dense), name="A")


@pytest.mark.parametrize("dtype", ["int32", "float16", "longdouble", ">f4", "complex64", "no such dtype", None, object])
def test_only_two_dtypes_are_offered(dtype):
    with pytest.raises(InputError, match=r"dtype must be 'float32' or 'float64'"):
        ColumnMatrix.build(DENSE, dtype)


# --- properties

NUMBERS = st.one_of(st.just(0.0), st.floats(-1e6, 1e6, width=32))
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
DENSE_MATRICES = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=NUMBERS))


@given(DENSE_MATRICES, st.sampled_from([np.array, *KINDS.values()]), st.sampled_from(RESULTS))
def test_round_trip(dense, kind, result):
    matrix = ColumnMatrix.build(kind(dense), result)
    assert_canonical(matrix, result)
    back = matrix.to_scipy()
    assert (back.format, back.dtype, back.shape) == ("csc", np.dtype(result), dense.shape)
    np.testing.assert_array_equal(back.toarray(), dense)
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(back, result)), dense)


@given(DENSE_MATRICES, st.data())
def test_permuting_columns_and_rows_permutes_the_matrix(dense, data):
    columns = data.draw(st.permutations(range(dense.shape[1])))
    rows = data.draw(st.permutations(range(dense.shape[0])))
    matrix = ColumnMatrix.build(sparse.csc_array(dense)[:, columns][rows])
    np.testing.assert_array_equal(dense_of(matrix), dense_of(ColumnMatrix.build(dense))[:, columns][rows])


@given(SHAPES, st.data())
def test_triplets_in_any_order_add_up(shape, data):
    triplet = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1), st.integers(-128, 127))
    triplets = np.array(data.draw(st.lists(triplet, min_size=1, max_size=40)))
    rows, columns, values = triplets.T
    expected = np.zeros(shape)
    np.add.at(expected, (rows, columns), values)
    matrix = ColumnMatrix.from_coo(rows, columns, values.astype(np.int8), shape)
    assert_canonical(matrix, "float32")
    np.testing.assert_array_equal(dense_of(matrix), expected)
    coo = sparse.coo_array((values.astype(np.int8), (rows, columns)), shape=shape)
    np.testing.assert_array_equal(dense_of(ColumnMatrix.build(coo)), expected)


def test_pickled_matrices_come_back_checked_and_locked():
    matrix = pickle.loads(pickle.dumps(ColumnMatrix.build(DENSE)))
    np.testing.assert_array_equal(dense_of(matrix), DENSE)
    assert not any(array.flags.writeable for array in (matrix.data, matrix.indices, matrix.indptr))


def test_float32_duplicates_are_summed_in_the_wanted_dtype():
    given = sparse.coo_array((np.full(2, 3e38, np.float32), ([0, 0], [0, 0])), shape=(1, 1))
    assert ColumnMatrix.build(given, "float64").data[0] == pytest.approx(6e38)


def test_underflow_that_the_caller_wants_raised_is_none_of_ours():
    with np.errstate(all="raise"):
        assert ColumnMatrix.build([[1e-50, 1.0]]).nnz == 1


@needs_numba
@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float64, np.float32, np.int8, bool])
def test_large_csr_matrices_go_the_quick_way_to_the_same_columns(values, index, result, monkeypatch):
    given = sparse.csr_array(np.round(5 * DENSE).astype(values))
    given.indices, given.indptr = given.indices.astype(index), given.indptr.astype(index)
    unsorted = given.copy()
    for start, stop in zip(given.indptr[:-1], given.indptr[1:], strict=True):
        unsorted.indices[start:stop], unsorted.data[start:stop] = given.indices[start:stop][::-1], given.data[start:stop][::-1]
    expected = ColumnMatrix.build(given, result)
    monkeypatch.setattr("l0np.matrix.column_matrix.LARGE", 1)
    from l0np.matrix import csr_to_csc_kernel

    quick, narrow_columns = [], csr_to_csc_kernel.narrow_columns
    monkeypatch.setattr(csr_to_csc_kernel, "narrow_columns", lambda *a: quick.append(1) or narrow_columns(*a))
    for matrix in (ColumnMatrix.build(given, result), ColumnMatrix.build(unsorted, result)):
        for ours, reference in zip(arrays_of(matrix), arrays_of(expected), strict=True):
            assert ours.dtype == reference.dtype
            assert np.array_equal(ours, reference)
    assert len(quick) == 2


@needs_numba
@pytest.mark.parametrize(("values", "total"), [([1.0, 2.0], 3.0), ([1.0, -1.0], 0.0), ([0.0, 2.0], 2.0)])
def test_large_csr_matrices_with_duplicates_and_zeros_go_the_long_way(values, total, monkeypatch):
    monkeypatch.setattr("l0np.matrix.column_matrix.LARGE", 1)
    given = sparse.csr_array((np.array([*values, 5.0]), np.array([1, 1, 2]), np.array([0, 2, 3])), shape=(2, 3))
    assert dense_of(ColumnMatrix.build(given)).tolist() == [[0.0, total, 0.0], [0.0, 0.0, 5.0]]
    given.data[2] = np.nan
    with pytest.raises(InputError, match=r"M\[1, 2\] is nan"):
        ColumnMatrix.build(given)
    given.indices[0] = 3
    with pytest.raises(InputError, match="out of range"):
        ColumnMatrix.build(given)


@needs_numba
@pytest.mark.parametrize("panel", [1, 7, 50, 100])
@pytest.mark.parametrize("ascending", [True, False])
def test_panels_of_columns_join_without_a_seam(panel, ascending):
    from l0np.matrix.csr_to_csc_kernel import narrow_columns

    rng = np.random.default_rng(3)
    csr = sparse.random_array((23, 50), density=0.3, format="csr", rng=rng)
    expected = csr.tocsc()
    if not ascending:
        for start, stop in zip(csr.indptr, csr.indptr[1:], strict=False):
            order = rng.permutation(stop - start)
            csr.data[start:stop], csr.indices[start:stop] = csr.data[start:stop][order], csr.indices[start:stop][order]
    data, indices, indptr = narrow_columns(csr, np.dtype(np.float64), np.uint16, panel)
    for found, part in zip((data, indices, indptr), (expected.data, expected.indices, expected.indptr), strict=True):
        assert np.array_equal(found, part)
