"""Large csr matrices, whose columns a compiled kernel makes without temporaries."""

import numpy as np
import pytest
from matrices import DENSE, RESULTS, arrays_of, dense_of
from scipy import sparse
from support import needs_numba, needs_speed

from l0np import ColumnMatrix
from l0np.errors import InputError


def shuffled_rows(csr, rng):
    """Return the same matrix with the entries of each row in another order."""
    result = csr.copy()
    for start, stop in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        order = rng.permutation(stop - start)
        result.data[start:stop] = csr.data[start:stop][order]
        result.indices[start:stop] = csr.indices[start:stop][order]
    return result


@pytest.mark.slow  # compiles the kernel for each pair of dtypes
@needs_numba
@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float64, np.float32, np.int8, bool])
def test_the_quick_way_leads_to_the_same_columns(values, index, result):
    given = sparse.csr_array(np.round(5 * DENSE).astype(values))
    given.indices, given.indptr = given.indices.astype(index), given.indptr.astype(index)
    expected = ColumnMatrix.build(given, result)
    for csr in (given, shuffled_rows(given, np.random.default_rng(0))):
        quick = ColumnMatrix.from_large_csr(csr, np.dtype(result), at_least=1)
        for ours, reference in zip(arrays_of(quick), arrays_of(expected), strict=True):
            assert ours.dtype == reference.dtype
            assert np.array_equal(ours, reference)


@needs_numba
@needs_speed
def test_matrices_of_a_million_entries_go_the_quick_way(monkeypatch):
    large = sparse.csr_array(np.arange(1.0, 1 + 2**20).reshape(1024, 1024))
    narrow = large.astype(np.float32)

    def long_way(*arguments):
        raise AssertionError("this is for small matrices")

    monkeypatch.setattr("l0np.matrix.column_matrix.canonical_csc", long_way)
    assert np.array_equal(ColumnMatrix.build(large, "float64").to_scipy().toarray(), large.toarray())
    assert ColumnMatrix.of(narrow).dtype == np.float32
    for other in (large.tocsc(), large[:, 1:]):  # another format, one entry too few
        with pytest.raises(AssertionError, match="small"):
            ColumnMatrix.build(other)


@needs_numba
@needs_speed
@pytest.mark.parametrize(("values", "total"), [([1.0, 2.0], 3.0), ([1.0, -1.0], 0.0), ([0.0, 2.0], 2.0)])
def test_duplicates_and_zeros_are_left_to_the_long_way(values, total):
    arrays = np.array([*values, 5.0]), np.array([1, 1, 2]), np.array([0, 2, 3])
    given = sparse.csr_array(arrays, shape=(2, 3))
    assert ColumnMatrix.from_large_csr(given, np.dtype(np.float32), at_least=1) is None
    assert dense_of(ColumnMatrix.build(given)).tolist() == [[0.0, total, 0.0], [0.0, 0.0, 5.0]]
    # and so it is where the matrix is large enough
    more = sparse.vstack([given, sparse.csr_array(np.ones((2**19, 3)))], format="csr")
    assert ColumnMatrix.build(more).take([1]).toarray()[:3, 0].tolist() == [total, 0.0, 1.0]


@needs_numba
@needs_speed
def test_what_is_broken_is_refused_before_the_kernel_reads_it():
    given = sparse.csr_array(np.ones((1024, 1024)))
    given.data[2] = np.nan
    with pytest.raises(InputError, match=r"M\[0, 2\] is nan"):
        ColumnMatrix.build(given)
    given.indices[0] = 1024
    with pytest.raises(InputError, match="out of range"):
        ColumnMatrix.build(given)


@needs_numba
@pytest.mark.parametrize("panel", [1, 7, 50, 100])
@pytest.mark.parametrize("ascending", [True, False])
def test_panels_of_columns_join_without_a_seam(panel, ascending):
    from l0np.matrix.csr_to_csc_kernels import narrow_columns

    rng = np.random.default_rng(3)
    csr = sparse.random_array((23, 50), density=0.3, format="csr", rng=rng)
    expected = csr.tocsc()
    given = csr if ascending else shuffled_rows(csr, rng)
    found = narrow_columns(given, np.dtype(np.float64), np.uint16, panel)
    for array, wanted in zip(found, (expected.data, expected.indices, expected.indptr), strict=True):
        assert np.array_equal(array, wanted)
