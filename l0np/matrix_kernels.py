"""From rows to columns in two passes over the entries, without a temporary copy of any of them."""

from typing import Any

import numpy as np

from l0np.jit import jit


@jit
def columns_from_rows(indptr: Any, indices: Any, data: Any, out_indptr: Any, out_indices: Any, out_data: Any) -> None:
    """Write the columns of a checked csr matrix; `out_indptr` comes as zeros, one for each column and one more.

    Within a column rows come out ascending; duplicates stay neighbours.
    """
    n_columns = out_indptr.size - 1
    for k in range(indptr[0], indptr[-1]):
        out_indptr[indices[k] + 1] += 1
    for j in range(n_columns):
        out_indptr[j + 1] += out_indptr[j]
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            place = out_indptr[indices[k]]
            out_indices[place] = i
            out_data[place] = data[k]
            out_indptr[indices[k]] = place + 1
    for j in range(n_columns, 0, -1):  # each entry has become the start of the next column
        out_indptr[j] = out_indptr[j - 1]
    out_indptr[0] = 0


def narrow_columns(csr: Any, dtype: np.dtype[Any], index_dtype: Any) -> tuple[Any, Any, Any]:
    """Return data, indices and indptr of a checked csr matrix by columns."""
    nnz = int(csr.indptr[-1])
    indptr = np.zeros(csr.shape[1] + 1, np.int64)
    indices, data = np.empty(nnz, index_dtype), np.empty(nnz, dtype)
    columns_from_rows(csr.indptr, csr.indices, csr.data, indptr, indices, data)
    return data, indices, indptr
