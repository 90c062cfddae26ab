"""Duplicates, order and explicit zeros of sparse matrices, which SciPy allows."""

import numpy as np
import pytest
from matrices import COMPRESSED, DENSE, RESULTS, assert_canonical, dense_of, scipy_like, snapshot
from scipy import sparse

from l0np import ColumnMatrix


def with_duplicates(format_name, values):
    """Return a 2 x 3 matrix whose place (0, 1) is stored once for each value, and place (1, 2) once."""
    values = np.asarray(values)
    data, n = np.append(values, values[0]), len(values)
    if format_name == "coo":
        return sparse.coo_array((data, ([0] * n + [1], [1] * n + [2])), shape=(2, 3))
    indices, indptr = (
        ([0] * n + [1], [0, 0, n, n + 1]) if format_name == "csc" else ([1] * n + [2], [0, n, n + 1])
    )
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
    given.data = given.data.astype(
        values.dtype
    )  # SciPy lets nobody make a matrix of halves, but it can be there
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


def test_float32_duplicates_are_summed_in_the_wanted_dtype():
    given = sparse.coo_array((np.full(2, 3e38, np.float32), ([0, 0], [0, 0])), shape=(1, 1))
    assert ColumnMatrix.build(given, "float64").data[0] == pytest.approx(6e38)


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
    np.testing.assert_array_equal(
        dense_of(matrix), [[0.0, 1.0], [2.0, 0.0]] if format_name == "csc" else [[0, 2], [1, 0]]
    )
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
