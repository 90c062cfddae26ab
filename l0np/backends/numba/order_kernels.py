"""Kernels that find an order of columns and move their entries into it."""

from typing import Any

import numpy as np

from l0np._jit import jit

U64 = np.uint64
ONE = U64(1)


@jit
def rarest_rows(indices: Any, indptr: Any, lengths: Any, out: Any) -> None:
    """Write, for each column, its row with the fewest entries in the matrix; `lengths` must be zeros."""
    for k in range(U64(indices.size)):
        lengths[indices[k]] += 1
    for j in range(U64(out.size)):
        fewest = np.int64(2**62)
        for k in range(indptr[j], indptr[j + ONE]):
            length = lengths[indices[k]]
            if length < fewest:
                fewest, out[j] = length, indices[k]


@jit
def ordered_entries(data: Any, indices: Any, indptr: Any, order: Any, out: Any) -> None:
    """Write the columns in another order to the data, indices and indptr of `out`."""
    out_data, out_indices, out_indptr = out
    position = U64(0)
    out_indptr[0] = 0
    for place in range(U64(order.size)):
        for k in range(indptr[order[place]], indptr[order[place] + ONE]):
            out_data[position], out_indices[position] = data[k], indices[k]
            position += ONE
        out_indptr[place + ONE] = position
