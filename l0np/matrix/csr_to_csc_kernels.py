"""From rows to columns in two passes over the entries, without a temporary copy of any of them."""

from typing import Any

import numpy as np

from l0np._jit import jit

PANEL = 1 << 16  # columns that are filled at a time, so that the positions where they grow stay in the cache


@jit
def columns_from_rows(
    indptr: Any,
    indices: Any,
    data: Any,
    out_indptr: Any,
    out_indices: Any,
    out_data: Any,
    next_entry: Any,
    panel: int,
) -> None:
    """Write the columns of a checked csr matrix.

    `out_indptr` must be zeros, one for each column and one more. Within a column the rows are written
    ascending; duplicates stay neighbours. `next_entry` is work space, one number for each row. If the columns
    of some row do not ascend, all columns are filled in one panel.
    """
    n_columns, ascending = out_indptr.size - 1, True
    for i in range(indptr.size - 1):
        next_entry[i], before = indptr[i], 0
        for k in range(indptr[i], indptr[i + 1]):
            out_indptr[indices[k] + 1] += 1
            ascending &= indices[k] >= before
            before = indices[k]
    for j in range(n_columns):
        out_indptr[j + 1] += out_indptr[j]
    step = panel if ascending else n_columns
    for end in range(step, n_columns + step, step):
        for i in range(indptr.size - 1):
            k, stop = next_entry[i], indptr[i + 1]
            while k < stop and indices[k] < end:
                position = out_indptr[indices[k]]
                out_indices[position] = i
                out_data[position] = data[k]
                out_indptr[indices[k]] = position + 1
                k += 1
            next_entry[i] = k
    for j in range(n_columns, 0, -1):  # each number has become the start of the next column
        out_indptr[j] = out_indptr[j - 1]
    out_indptr[0] = 0


def narrow_columns(
    csr: Any, dtype: np.dtype[Any], index_dtype: Any, panel: int = PANEL
) -> tuple[Any, Any, Any]:
    """Return data, indices and indptr of a checked csr matrix by columns."""
    nnz, (n_rows, n_columns) = int(csr.indptr[-1]), csr.shape
    indptr, next_entry = np.zeros(n_columns + 1, np.int64), np.empty(n_rows, np.int64)
    indices, data = np.empty(nnz, index_dtype), np.empty(nnz, dtype)
    columns_from_rows(csr.indptr, csr.indices, csr.data, indptr, indices, data, next_entry, panel)
    return data, indices, indptr
