"""The product A diag(c) A' by one pass over the columns of A, straight into dense blocks."""

from typing import Any

import numpy as np

from l0np._jit import jit


@jit
def gram(
    indptr: Any,
    indices: Any,
    values: Any,
    c: Any,
    position: Any,
    block: Any,
    start: Any,
    size: Any,
    offset: Any,
    inside: int,
    flat: Any,
    beside: Any,
    corner: Any,
) -> None:
    """Add A diag(c) A' to blocks, to what is beside them and to the corner of the border.

    `indptr`, `indices` and `values` hold A by columns; row i is at `position[i]` of the order. `flat` holds
    the lower triangle of each block, row by row, from `offset` on; block k starts at position `start[k]` and
    has `size[k]` rows. Positions from `inside` on are the border: `beside` has their columns beside the
    blocks, `corner` the lower triangle of the border itself.
    """
    for j in range(np.uint64(indptr.size - 1)):
        scale = c[j]
        if scale == 0.0:
            continue
        first, end = np.uint64(indptr[j]), np.uint64(indptr[j + np.uint64(1)])
        for p in range(first, end):
            r, value = position[indices[p]], scale * values[p]
            if r < inside:
                k = block[r]
                begin, width, base = start[k], size[k], offset[k]
                row = base + (r - begin) * width - begin
                for q in range(first, p + np.uint64(1)):
                    s = position[indices[q]]
                    if s >= inside:
                        beside[r, s - inside] += value * values[q]
                    elif s <= r:
                        flat[row + s] += value * values[q]
                    else:
                        flat[base + (s - begin) * width - begin + r] += value * values[q]
            else:
                for q in range(first, p + np.uint64(1)):
                    s = position[indices[q]]
                    if s < inside:
                        beside[s, r - inside] += value * values[q]
                    else:
                        corner[max(r, s) - inside, min(r, s) - inside] += value * values[q]
