"""Matrices and readers that the tests of this room share."""

import numpy as np
from scipy import sparse

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
COMPRESSED = ("csr", "csc", "bsr")
KINDS = {
    f"{name}_{kind}": getattr(sparse, f"{name}_{kind}") for name in FORMATS for kind in ("array", "matrix")
}
RESULTS = ("float32", "float64")

# Two empty rows, two empty columns, else one dense row and one dense column; every dtype holds each value
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
    """What a SciPy object or an array holds: contents, identity and flags of the arrays, cached flags."""

    def seen(value):
        if isinstance(value, np.ndarray):
            contents = value.tolist() if value.dtype == object else value.tobytes()
            return id(value), contents, value.dtype, value.shape, value.flags.writeable
        if isinstance(value, tuple):
            return tuple(map(seen, value))
        return repr(value)

    if isinstance(matrix, np.ndarray):
        return seen(matrix)
    return {name: seen(value) for name, value in vars(matrix).items()}


def scipy_like(format_name, data, indices, indptr, shape):
    """Make a csr, csc or bsr array of exactly these arrays: SciPy's constructor would trim or check them."""
    if format_name == "bsr":
        made = sparse.bsr_array(np.zeros(shape), blocksize=(1, 1))
        made.data = np.asarray(data).reshape(-1, 1, 1)
    else:
        made = sparse.csr_array(np.zeros(shape)).asformat(format_name)
        made.data = np.asarray(data)
    made.indices, made.indptr = np.asarray(indices, np.int32), np.asarray(indptr, np.int32)
    return made


def arrays_of(matrix):
    return np.array(matrix.data), np.array(matrix.indices), np.array(matrix.indptr)
