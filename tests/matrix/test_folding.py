"""Rows that are sums of other rows: found, left out exactly, given back exactly."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import assert_canonical
from support import needs_numba

from l0np import ColumnMatrix
from l0np.errors import InputError, InputTypeError
from l0np.matrix import Fold, absolute_totals, column_entries, entry_blocks, weighted_totals
from l0np.matrix.fold import Columns
from l0np.matrix.fold_search import find_sums
from l0np.matrix.folding import fold_columns

AREAS, AGES = 12, 3


def survey(n=3000, *, dtype="float64", deviating=0.0, cells=False, extra=0, seed=0):
    """Rows of areas in 3 regions, of ages, and of the nation, for two variables; random rows besides."""
    rng = np.random.default_rng(seed)
    area, age = rng.integers(AREAS, size=n), rng.integers(AGES, size=n)
    parts = []
    for variable in range(2):
        amount = np.round(rng.lognormal(5, 1, n), 2) if variable else rng.integers(0, 4, n).astype(float)
        by_age = [amount * (age == a) for a in range(AGES)]
        areas = [amount * (area == a) for a in range(AREAS)]
        regions = [amount * (area % 3 == a) for a in range(3)]
        crossed = [amount * ((area == i) & (age == j)) for i in range(AREAS) for j in range(AGES)]
        parts += [*(crossed if cells else ()), *areas, *regions, *by_age, amount]
    parts += list(rng.normal(size=(extra, n)) * (rng.random((extra, n)) < 0.5))
    dense = np.array(parts)
    changes = (rng.random(dense.shape) < deviating) & (dense != 0)
    return np.where(changes, dense + 0.25, dense).astype(dtype)


def folded_of(dense, dtype="float64", fold=True):
    return ColumnMatrix.build(dense, dtype, fold=fold)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("deviating", [0.0, 0.02])
@pytest.mark.parametrize("cells", [False, True], ids=["one parent each", "several parents"])
def test_a_folded_matrix_is_the_same_matrix(dtype, deviating, cells):
    dense = survey(1500, dtype=dtype, deviating=deviating, cells=cells, extra=2)
    folded, whole = folded_of(dense, dtype), folded_of(dense, dtype, fold=False)
    assert whole.fold is None
    assert folded.n_stored < 0.8 * whole.n_stored
    assert folded.nnz == whole.nnz == np.count_nonzero(dense)
    assert np.array_equal(folded.to_scipy().toarray(), dense)
    assert np.array_equal(folded.row_lengths, whole.row_lengths)
    assert folded.extremes == whole.extremes == (dense[dense != 0].min(), dense.max())
    back = folded.folded(False)
    assert_canonical(back, dtype)
    assert np.array_equal(back.data, whole.data)
    assert np.array_equal(back.indices, whole.indices)
    columns = np.array([7, 3, 3, 1499])
    assert np.array_equal(folded.take(columns).toarray(), dense[:, columns].astype(float))
    for ours, expected in zip(column_entries(folded, columns), column_entries(whole, columns), strict=True):
        assert np.array_equal(ours, expected)
    for size in (1000, 1 << 18):
        ours, expected = (
            [np.concatenate(parts) for parts in zip(*entry_blocks(matrix, size), strict=True)]
            for matrix in (folded, whole)
        )
        assert all(len(block[0]) <= size for block in entry_blocks(folded, size))
        assert all(map(np.array_equal, ours, expected))
    weights = np.random.default_rng(1).normal(size=dense.shape[1])
    for total in (weighted_totals, absolute_totals):
        np.testing.assert_allclose(total(folded, weights), total(whole, weights), rtol=1e-12, atol=1e-9)
    form, rows = folded.product_form(), np.random.default_rng(2).normal(size=len(dense))
    assert form.nnz == folded.n_stored
    wide = dense.astype(float)
    np.testing.assert_allclose(form @ weights, wide @ weights, rtol=1e-12, atol=1e-8)
    np.testing.assert_allclose(form.T @ rows, wide.T @ rows, rtol=1e-12, atol=1e-8)


def test_all_sums_are_found():
    """Regions and nation are sums of areas; where areas and ages are crossed, all but the cells are sums."""
    simple = folded_of(survey())
    assert simple.n_stored == sum(
        np.count_nonzero(row) for row in survey()[[*range(12), *range(15, 18)]]
    ) + sum(np.count_nonzero(row) for row in survey()[[*range(19, 31), *range(34, 37)]])
    crossed = folded_of(survey(cells=True))
    assert crossed.fold.n_folded == 2 * (AREAS + 3 + AGES + 1)
    assert crossed.n_stored == 2 * 0 + np.count_nonzero(survey(cells=True)[:36]) + np.count_nonzero(
        survey(cells=True)[55:91]
    )


def test_single_entries_that_deviate_become_remainders():
    exact, deviating = folded_of(survey()), folded_of(survey(deviating=0.02))
    assert deviating.fold.n_folded == exact.fold.n_folded
    assert exact.n_stored < deviating.n_stored < 1.15 * exact.n_stored


def test_a_parent_without_an_entry_of_its_own_gets_a_remainder_in_order():
    dense = survey()
    dense[18, ::40] = 0.0  # the nation of the first variable
    folded = folded_of(dense)
    assert folded.fold.n_folded == 8
    assert_canonical_stored(folded)
    assert np.array_equal(folded.to_scipy().toarray(), dense)


def assert_canonical_stored(matrix):
    for first, last in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        assert (np.diff(matrix.indices[first:last].astype(int)) > 0).all()


def test_rows_whose_remainders_are_not_exact_are_not_folded():
    large = 1e8 * np.random.default_rng(0).uniform(1, 2, size=400).astype(np.float32)
    parent = np.where(np.arange(400) % 10, large, np.float32(1e-3))
    dense = np.vstack([large, parent])
    assert ColumnMatrix.build(dense, "float32", fold=True).fold is None  # 1e-3 - 1e8 is rounded in float32
    parent[::10] = large[::10] + 64.0
    narrow = ColumnMatrix.build(dense := np.vstack([large, parent]), "float32", fold=True)
    assert narrow.n_stored == 440
    assert np.array_equal(narrow.to_scipy().toarray(), dense)


def test_auto_leaves_small_matrices_and_those_without_sums():
    dense = survey()
    assert np.count_nonzero(dense) < 65_536
    assert ColumnMatrix.build(dense).fold is None
    assert ColumnMatrix.build(survey(20_000)).fold.n_folded == 8
    assert ColumnMatrix.build(survey(20_000), fold=False).fold is None
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(40, 4000)), 1.0 * (rng.random((40, 4000)) < 0.5)):
        matrix = ColumnMatrix.build(values)
        assert matrix.nnz > 65_536
        assert matrix.fold is None


def test_auto_wants_a_tenth_of_the_entries():
    dense = survey(20_000, extra=60)
    assert ColumnMatrix.build(dense).fold is None
    assert ColumnMatrix.build(dense, fold=True).fold.n_folded == 8


def test_nothing_found_or_nothing_to_search():
    for dense in (np.zeros((3, 4)), np.eye(5), np.ones((1, 1))):
        matrix = folded_of(dense)
        assert matrix.fold is None
        assert np.array_equal(matrix.to_scipy().toarray(), dense)


def test_equal_rows_are_sums_of_one_another_in_one_direction():
    row = np.random.default_rng(0).normal(size=50)
    folded = folded_of(np.vstack([row, row, row]))
    assert folded.fold.n_folded == 2
    assert folded.n_stored == 50


def test_a_folded_matrix_stays_folded_or_is_cast_as_a_whole():
    folded = folded_of(survey(20_000))
    assert ColumnMatrix.build(folded, "float64") is folded
    assert ColumnMatrix.of(folded) is folded
    assert folded.folded(True) is folded
    narrow = ColumnMatrix.build(folded, "float32")
    assert narrow.fold.n_folded == 8
    assert np.array_equal(narrow.to_scipy().toarray(), survey(20_000).astype("float32"))
    assert ColumnMatrix.build(folded, "float64", fold=False).fold is None


def test_repr_and_pickle():
    folded = folded_of(survey())
    assert "8 rows folded" in repr(folded)
    assert f"{folded.n_stored:,} entries stored" in repr(folded)
    back = pickle.loads(pickle.dumps(folded))
    assert np.array_equal(back.to_scipy().toarray(), survey())
    assert not back.fold.parents.flags.writeable


@pytest.mark.parametrize("fold", ["yes", None, 1, 2.0])
def test_unknown_choices_are_refused(fold):
    with pytest.raises(InputTypeError, match='fold must be "auto", True or False'):
        ColumnMatrix.build(np.eye(3), fold=fold)


@pytest.mark.parametrize(
    ("parents", "children", "message"),
    [
        ([3], [0], "out of range"),
        ([0, 1], [1, 0], "a part of"),
        ([2, 1], [1, 0], "sorted by the level"),
        ([1, 2], [0], "one length"),
    ],
)
def test_links_that_kernels_could_not_trust_are_refused(parents, children, message):
    with pytest.raises(InputError, match=message):
        Fold(np.array(parents), np.array(children), np.ones(3, int), (1.0, 1.0))


def test_a_fold_of_other_rows_is_refused():
    fold = Fold(np.array([2]), np.array([0]), np.ones(3, int), (1.0, 1.0))
    with pytest.raises(InputError, match="fold is of 3 rows, the matrix has 2"):
        ColumnMatrix(np.ones(1), np.zeros(1, int), np.array([0, 1]), (2, 1), fold=fold)


@given(st.integers(0, 2**32), st.sampled_from(["float32", "float64"]))
def test_whatever_is_found_every_entry_comes_back(seed, dtype):
    """Few values, so that chance sums abound: wrong candidates only cost entries."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(-2, 3, size=(rng.integers(2, 9), rng.integers(1, 40))).astype(dtype)
    dense[-1] = dense[: rng.integers(1, len(dense))].sum(axis=0)
    folded = folded_of(dense, dtype)
    assert np.array_equal(folded.to_scipy().toarray(), dense)
    weights = rng.normal(size=dense.shape[1])
    np.testing.assert_allclose(folded.product_form() @ weights, dense.astype(float) @ weights, atol=1e-10)


def columns_of(dense, dtype):
    matrix = ColumnMatrix.build(dense, dtype, fold=False)
    return Columns(matrix.data, matrix.indices, matrix.indptr, matrix.shape[0])


@needs_numba
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_agrees_with_scipy_bit_for_bit(dtype):
    dense = survey(deviating=0.02, cells=True, dtype=dtype)
    dense[54, ::40] = 0.0  # the nation, the last row of the first variable: a remainder follows other rows
    columns = columns_of(dense, dtype)
    ours, reference = (fold_columns(columns, thorough=True, compiled_from=n) for n in (0, 1 << 60))
    for one, other in zip(ours[0][:3], reference[0][:3], strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    for name in ("parents", "children", "row_lengths", "extremes"):
        assert np.array_equal(getattr(ours[1], name), getattr(reference[1], name))


def test_the_search_does_not_depend_on_numbers_of_rows_or_on_a_common_factor():
    dense = survey(cells=True)
    found = find_sums(columns_of(dense, "float64"), thorough=True)
    scaled = find_sums(columns_of(dense * 8.0, "float64"), thorough=True)
    assert np.array_equal(found.parents, scaled.parents)
    assert np.array_equal(found.children, scaled.children)
