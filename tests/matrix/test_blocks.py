"""Matrices read in blocks of entries."""

import numpy as np
import pytest
from matrices import DENSE, dense_of
from scipy import sparse

from l0np import ColumnMatrix
from l0np.matrix import absolute_totals, entry_blocks, weighted_totals


@pytest.mark.parametrize("size", [1, 2, 3, 7, 17, 18, 10**6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_hold_every_entry_once_in_storage_order(size, dtype):
    matrix = ColumnMatrix.build(DENSE, dtype)
    blocks = list(entry_blocks(matrix, size))
    rows, columns, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    assert max(len(block[0]) for block in blocks) <= size
    assert values.dtype == np.float64
    assert np.array_equal(values, matrix.data)
    assert np.array_equal(rows, matrix.indices)
    found = np.zeros(DENSE.shape)
    np.add.at(found, (rows, columns), values)
    assert np.array_equal(found, dense_of(matrix))


def test_a_matrix_without_entries_has_no_blocks():
    assert list(entry_blocks(ColumnMatrix.build(np.zeros((2, 3))))) == []


def test_totals_of_rows_in_more_than_one_block():
    rng = np.random.default_rng(0)
    M = sparse.random_array((7, 3000), density=0.5, format="csc", rng=rng, data_sampler=rng.normal)
    M = sparse.hstack([M] * 30, format="csc")  # 315,000 entries
    weights = rng.normal(size=M.shape[1])
    matrix = ColumnMatrix.build(M, "float64")
    np.testing.assert_allclose(weighted_totals(matrix, weights), M @ weights, rtol=1e-9)
    np.testing.assert_allclose(absolute_totals(matrix, weights), abs(M) @ np.abs(weights), rtol=1e-12)
