"""A matrix without the rows that are sums of other rows, in one pass over its entries."""

from typing import Any

import numpy as np

from l0np._jit import helper, jit

U64 = np.uint64
ZERO, ONE = U64(0), U64(1)


@helper
def sort_rows(data: Any, indices: Any, first: Any, end: Any) -> None:
    """Sort the entries from `first` to before `end` by row; all but the last few are sorted already."""
    at: Any
    for k in range(first + ONE, end):
        value, row, at = data[k], indices[k], k
        while at > first and indices[at - ONE] > row:
            data[at], indices[at] = data[at - ONE], indices[at - ONE]
            at -= ONE
        data[at], indices[at] = value, row


@jit
def subtract_sums(
    data: Any,
    indices: Any,
    indptr: Any,
    starts: Any,
    parents: Any,
    is_parent: Any,
    out_data: Any,
    out_indices: Any,
    out_indptr: Any,
    counts: Any,
    extremes: Any,
) -> None:
    """Write the entries of rows that are not parents, and what those of parents have beyond their children.

    Row r is a child of the parents ``parents[starts[r] : starts[r + 1]]``. `counts`, (3, n_rows) and 0 at
    first, becomes the entries that each row needs, those of them that are not exact, and the row's length;
    `extremes` the smallest and the largest entry. Entries for which there is no room are only counted.
    """
    n_rows, room = is_parent.size, U64(out_data.size)
    total, seen = np.zeros(n_rows), np.zeros(n_rows, np.int64)  # seen: the last column, from 1, with a total
    rounded = np.zeros(1, data.dtype)
    smallest, largest, position = np.inf, -np.inf, ZERO
    for j in range(U64(indptr.size - 1)):
        n_open = 0  # parents with a total that have not met an entry of their own
        mark, first, begin, end = np.int64(j + ONE), position, U64(indptr[j]), U64(indptr[j + ONE])
        for k in range(begin, end):
            value, row = np.float64(data[k]), indices[k]
            smallest, largest = min(smallest, value), max(largest, value)
            counts[2, row] += 1
            for link in range(starts[row], starts[row + 1]):
                parent = parents[link]
                if seen[parent] != mark:
                    seen[parent], total[parent] = mark, 0.0
                    n_open += 1
                total[parent] += value
        for k in range(begin, end):
            value, row = np.float64(data[k]), indices[k]
            if is_parent[row] and seen[row] == mark:
                seen[row] = 0
                n_open -= 1
                if value == total[row]:
                    continue
                rounded[0] = value - total[row]
                counts[1, row] += 0 if np.float64(rounded[0]) + total[row] == value else 1
                value = np.float64(rounded[0])
            counts[0, row] += 1
            if position < room:
                out_data[position], out_indices[position] = value, row
            position += ONE
        out_indptr[j + ONE] = np.int64(position)
        if n_open == 0:
            continue
        for k in range(begin, end):
            row = indices[k]
            for link in range(starts[row], starts[row + 1]):
                parent = parents[link]
                if seen[parent] != mark:
                    continue
                seen[parent] = 0
                if total[parent] == 0:
                    continue
                rounded[0] = -total[parent]
                counts[0, parent] += 1
                counts[1, parent] += 0 if np.float64(rounded[0]) + total[parent] == 0 else 1
                if position < room:
                    out_data[position], out_indices[position] = rounded[0], parent
                position += ONE
        sort_rows(out_data, out_indices, first, min(position, room))
        out_indptr[j + ONE] = np.int64(position)
    extremes[0], extremes[1] = smallest, largest
