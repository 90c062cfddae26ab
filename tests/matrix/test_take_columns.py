"""Some columns of a matrix, gathered without a copy of all others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from l0np import ColumnMatrix
from l0np.errors import InputError, InputTypeError
from l0np.matrix import column_entries

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
NUMBERS = st.one_of(st.just(0.0), st.floats(-1e6, 1e6, width=32))
DENSE_MATRICES = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=NUMBERS))


@given(DENSE_MATRICES, st.sampled_from(["float32", "float64"]), st.data())
def test_columns_come_in_the_order_given_and_may_repeat(dense, dtype, data):
    columns = data.draw(st.lists(st.integers(0, dense.shape[1] - 1), max_size=12))
    taken = ColumnMatrix.build(dense, dtype).take(columns)
    assert isinstance(taken, sparse.csc_array)
    assert taken.dtype == np.float64
    assert np.array_equal(taken.toarray(), dense[:, columns])
    # What is claimed of the order of its entries is true: SciPy finds the same when it looks
    looked_at = sparse.csc_array((taken.data, taken.indices, taken.indptr), shape=taken.shape)
    assert looked_at.has_canonical_format
    assert taken.has_canonical_format


@pytest.mark.parametrize("n_rows", [65_535, 65_536], ids=["uint16", "int32"])
def test_row_indices_of_both_widths(n_rows):
    rows, columns, values = [0, n_rows - 1, 40_000, n_rows - 1], [0, 0, 2, 3], [1.0, 2.0, 3.0, 4.0]
    matrix = ColumnMatrix.from_coo(rows, columns, values, (n_rows, 4))
    taken = matrix.take([3, 1, 0])
    assert taken.shape == (n_rows, 3)
    assert taken.indices.tolist() == [n_rows - 1, 0, n_rows - 1]
    assert taken.indices.dtype == np.int32
    assert taken.indptr.tolist() == [0, 1, 1, 3]
    assert taken.data.tolist() == [4.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "empty", [[], (), np.zeros(0, int), np.zeros(0)], ids=["list", "tuple", "int", "float"]
)
def test_no_columns_are_a_matrix_of_no_columns(empty):
    taken = ColumnMatrix.build(np.ones((3, 2))).take(empty)
    assert (taken.shape, taken.nnz, taken.dtype) == ((3, 0), 0, np.float64)


def test_columns_without_entries():
    taken = ColumnMatrix.build([[0.0, 1.0, 0.0], [0.0, 2.0, 0.0]]).take([0, 2, 1, 0])
    assert taken.indptr.tolist() == [0, 0, 0, 2, 2]
    assert ColumnMatrix.build(np.zeros((2, 3))).take([1, 1]).nnz == 0


def test_changes_of_what_was_taken_do_not_reach_the_matrix():
    matrix = ColumnMatrix.build(np.eye(3), "float64")
    taken = matrix.take([0, 1, 2])
    taken.data[:] = 7.0
    assert matrix.data.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint64])
def test_integers_of_every_kind_name_columns(dtype):
    assert ColumnMatrix.build(np.eye(3)).take(np.array([2, 0], dtype)).indices.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("columns", "error", "part"),
    [
        ([0, 3], InputError, "columns holds 3, which is out of range: 0 to 2 wanted"),
        ([0, -1], InputError, "columns holds -1"),
        ([[0, 1]], InputError, "columns must be one-dimensional"),
        (1, InputError, "columns must be one-dimensional"),
        ([0.0, 1.0], InputTypeError, "columns must hold integers"),
        ([True, False, True], InputTypeError, "columns must hold integers"),
        (["a"], InputTypeError, "columns must hold real numbers"),
        (None, InputTypeError, "columns must be an array"),
    ],
    ids=str,
)
def test_columns_that_there_are_not(columns, error, part):
    with pytest.raises(error, match=part):
        ColumnMatrix.build(np.eye(3)).take(columns)


@given(DENSE_MATRICES, st.data())
def test_entries_of_columns(dense, data):
    columns = np.array(data.draw(st.lists(st.integers(0, dense.shape[1] - 1), max_size=12)), dtype=np.int64)
    positions, rows, values = column_entries(ColumnMatrix.build(dense), columns)
    found = np.zeros((dense.shape[0], len(columns)))
    found[rows, positions] = values
    assert np.array_equal(found, dense[:, columns])
    assert (np.diff(positions) >= 0).all()
