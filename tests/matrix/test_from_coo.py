"""Matrices from triplets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import assert_canonical, dense_of
from scipy import sparse

from l0np import ColumnMatrix
from l0np.errors import InputError, InputTypeError, L0npError

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def test_from_coo_sums_duplicates_and_sorts():
    matrix = ColumnMatrix.from_coo(
        [2, 0, 2, 1], [1, 1, 1, 0], np.array([100, 5, 100, 7], np.int8), (3, 2), "float64"
    )
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
        pytest.param(
            [0, 1], [0, 2], [1.0, 2.0], (3, 2), InputError, "columns holds 2", id="column too large"
        ),
        pytest.param(
            [0, 1], [-2, 0], [1.0, 2.0], (3, 2), InputError, "columns holds -2", id="negative column"
        ),
        pytest.param([0], [0, 1], [1.0, 2.0], (3, 2), InputError, "rows", id="too few rows"),
        pytest.param([0, 1], [0, 1], [1.0], (3, 2), InputError, "one length", id="too few values"),
        pytest.param(
            [[0, 1]], [[0, 1]], [[1.0, 2.0]], (3, 2), InputError, "one-dimensional", id="two dimensions"
        ),
        pytest.param(
            [0.0, 1.0], [0, 1], [1.0, 2.0], (3, 2), InputTypeError, "rows must hold integers", id="float rows"
        ),
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
