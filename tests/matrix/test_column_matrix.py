"""The constructor of a ColumnMatrix and what it guarantees: canonical, immutable, the same numbers."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matrices import DENSE, KINDS, RESULTS, arrays_of, assert_canonical, dense_of
from scipy import sparse

from l0np import ColumnMatrix
from l0np.errors import InputError, InputTypeError, L0npError
from l0np.matrix.checks import check_canonical

ONES = [1.0, 1.0, 1.0]
NUMBERS = st.one_of(st.just(0.0), st.floats(-1e6, 1e6, width=32))
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
DENSE_MATRICES = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=NUMBERS))


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


def test_constructor_takes_canonical_arrays_of_any_index_dtype():
    reference = ColumnMatrix.build(DENSE)
    data, indices, indptr = arrays_of(reference)
    for index_dtype in (np.uint8, np.uint16, np.int32, np.int64, np.uint64):
        matrix = ColumnMatrix(data, indices.astype(index_dtype), indptr.astype(index_dtype), DENSE.shape)
        assert_canonical(matrix, "float32")
        np.testing.assert_array_equal(dense_of(matrix), DENSE)


def test_constructor_turns_other_numbers_into_float32():
    for values in (
        [1, 2],
        np.array([1, 2], np.int8),
        np.array([1, 2], np.float16),
        np.array([1, 2], np.longdouble),
    ):
        assert ColumnMatrix(values, [0, 1], [0, 1, 2], (2, 2)).data.tolist() == [1.0, 2.0]
        assert ColumnMatrix(values, [0, 1], [0, 1, 2], (2, 2)).dtype == np.float32


@pytest.mark.parametrize(
    ("data", "indices", "indptr", "shape", "error", "part"),
    [
        pytest.param(ONES, [1, 0, 0], [0, 2, 3], (3, 2), InputError, "ascend", id="unsorted"),
        pytest.param(ONES, [1, 1, 0], [0, 2, 3], (3, 2), InputError, "ascend", id="duplicates"),
        pytest.param(
            [1.0, 0.0, 1.0], [0, 1, 0], [0, 2, 3], (3, 2), InputError, "explicit zeros", id="explicit zero"
        ),
        pytest.param([1.0, np.nan, 1.0], [0, 1, 0], [0, 2, 3], (3, 2), InputError, "finite", id="nan"),
        pytest.param([1.0, -np.inf, 1.0], [0, 1, 0], [0, 2, 3], (3, 2), InputError, "finite", id="infinite"),
        pytest.param(
            np.full(3, 1e39, np.longdouble),
            [0, 1, 0],
            [0, 2, 3],
            (3, 2),
            InputError,
            "finite",
            id="too large",
        ),
        pytest.param(ONES, [0, 3, 0], [0, 2, 3], (3, 2), InputError, "out of range", id="row too large"),
        pytest.param(
            ONES,
            [0, 65_536, 0],
            [0, 2, 3],
            (3, 2),
            InputError,
            "out of range",
            id="row wraps around in 16 bits",
        ),
        pytest.param(ONES, [-1, 0, 0], [0, 2, 3], (3, 2), InputError, "out of range", id="negative row"),
        pytest.param(ONES, [0, 1, 0], [1, 2, 3], (3, 2), InputError, "start at 0", id="indptr starts late"),
        pytest.param(ONES, [0, 1, 2], [0, 3, 2, 3], (3, 3), InputError, "never fall", id="indptr falls"),
        pytest.param(
            ONES, [0, 1, 0], [0, 2, 4], (3, 2), InputError, "ends at 4", id="indptr ends past the data"
        ),
        pytest.param(
            ONES, [0, 1, 0], [0, 1, 2], (3, 2), InputError, "ends at 2", id="indptr ends before the data"
        ),
        pytest.param(ONES, [0, 1], [0, 1, 2], (3, 2), InputError, "ends at 2", id="more data than indices"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], (3, 3), InputError, "indptr", id="indptr too short"),
        pytest.param(ONES, [0, 1, 0], [0, 2, 3], (3, 1), InputError, "indptr", id="indptr too long"),
        pytest.param(
            ONES, [0, 1, 0], [[0, 2, 3]], (3, 2), InputError, "indptr", id="indptr with two dimensions"
        ),
        pytest.param(
            ONES, [[0, 1, 0]], [0, 2, 3], (3, 2), InputError, "indices", id="indices with two dimensions"
        ),
        pytest.param(
            [[1.0]] * 3, [0, 1, 0], [0, 2, 3], (3, 2), InputError, "data", id="data with two dimensions"
        ),
        pytest.param(1.0, [0, 1, 0], [0, 2, 3], (3, 2), InputError, "data", id="data is a number"),
        pytest.param(
            ONES, [0.0, 1.0, 0.0], [0, 2, 3], (3, 2), InputTypeError, "integers", id="float indices"
        ),
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
def test_entries_are_checked_across_the_borders_of_blocks(block):
    data, indices, indptr = arrays_of(ColumnMatrix.build(DENSE))
    check_canonical(data, indices, indptr, block)
    for entry in range(1, len(data)):
        if entry in indptr:
            continue
        repeated, value, zero = indices.copy(), data.copy(), data.copy()
        repeated[entry], value[entry], zero[entry] = repeated[entry - 1], np.nan, 0.0
        for broken in ((data, repeated), (value, indices), (zero, indices)):
            with pytest.raises(InputError):
                check_canonical(*broken, indptr, block)


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
    given = (
        DENSE.astype(np.float32)
        if kind == "dense"
        else sparse.csr_array(DENSE.astype(np.float32)).asformat(kind)
    )
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


def test_pickled_matrices_come_back_checked_and_locked():
    matrix = pickle.loads(pickle.dumps(ColumnMatrix.build(DENSE)))
    np.testing.assert_array_equal(dense_of(matrix), DENSE)
    assert not any(array.flags.writeable for array in (matrix.data, matrix.indices, matrix.indptr))
