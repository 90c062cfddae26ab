"""How kernels read the entries of a block of columns: which, when to prefetch them, gather and scatter.

Counters are unsigned, as in `kernels`.
"""

import numpy as np

from l0np._jit import helper
from l0np.backends.numba.vector_instructions import add_fours, dot_fours, prefetch, with_bits

U64 = np.uint64
ZERO, ONE, TWO, FOUR = (U64(number) for number in (0, 1, 2, 4))
LINE = U64(16)  # entries in a cache line, about
PREFETCHED = U64(512)  # entries ahead of their turn: at 0.5 ns each, the time that memory takes to answer
LONG_COLUMN = U64(128)  # entries; where all columns are open and this long, the processor prefetches them


# --- which columns to read, and when to prefetch them
#
# The columns whose gate is open are listed first, and their entries are prefetched before their turn: the
# processor can predict neither where the next one lies nor where it ends, and would wait for each.


@helper
def list_open(is_open, first, n, listed):
    """List the columns that `is_open` marks by numbers above 0; return how many. One more ends the list."""
    n_open = ZERO
    for i in range(n):
        listed[n_open] = first + i
        n_open += U64(is_open[i] > 0)
    listed[n_open] = first
    return n_open


@helper
def prefetch_column(entries, column, n_lines):
    """Prefetch the first entries of a column, in `n_lines` pairs of cache lines."""
    data, indices = entries.data, entries.indices
    k = entries.indptr[column]
    for _ in range(n_lines):
        prefetch(data, k)
        prefetch(data, k + LINE)
        prefetch(indices, k)
        k += LINE + LINE


@helper
def prefetch_first(entries, first, n, listed, n_open):
    """Prefetch the first columns listed; return how far ahead to prefetch columns, and how many lines."""
    mean = (entries.indptr[first + n] - entries.indptr[first]) // max(n, ONE)
    n_lines = (mean + TWO * LINE - ONE) // (TWO * LINE)
    if n_open == n and mean > LONG_COLUMN:
        n_lines = ZERO
    ahead = ONE + PREFETCHED // (mean + ONE)
    for position in range(ZERO, min(ahead, n_open)):
        prefetch_column(entries, listed[position], n_lines)
    return ahead, n_lines


@helper
def prefetch_not_gathered(entries, first, listed, n_open, gathered, n_lines):
    """Prefetch the listed columns from which nothing was gathered."""
    for position in range(ZERO, n_open):
        if gathered[listed[position] - first] == 0:
            prefetch_column(entries, listed[position], n_lines)


# --- gather and scatter
#
# Entries are taken in fours. The last one to three entries of a column are then handled without a loop, whose
# end the processor could not predict: an entry that is read there may belong to the next column, and then 0
# is added in its place.


@helper
def gather(entries, first, n, rows, listed, n_open, ahead, n_lines, out):
    """Write M_j . rows for each listed column, 0 for the others; return the number of entries read.

    The borders of a column are read while the one before it is summed, and its entries are prefetched `ahead`
    columns before.
    """
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    size, read = U64(data.size), ZERO
    for i in range(n):
        out[i] = 0
    j = listed[0]
    k, stop = indptr[j], indptr[j + ONE]
    for position in range(ZERO, n_open):
        following = listed[position + ONE]
        k_following, stop_following = indptr[following], indptr[following + ONE]
        if position + ahead < n_open:
            prefetch_column(entries, listed[position + ahead], n_lines)
        read += stop - k
        n_fours = (stop - k) // FOUR
        total = dot_fours(data, indices, rows, k, n_fours)
        k += FOUR * n_fours
        if stop + FOUR <= size:
            t0 = data[k] * rows[indices[k]]
            t1 = data[k + ONE] * rows[indices[k + ONE]]
            t2 = data[k + TWO] * rows[indices[k + TWO]]
            t0, t1 = (t0 if k < stop else 0.0), (t1 if k + ONE < stop else 0.0)
            total += t0 + t1 + (t2 if k + TWO < stop else 0.0)
        elif entries.bits == ZERO:  # the last columns of the matrix, after which there may be nothing to read
            while k < stop:
                total += data[k] * rows[indices[k]]
                k += ONE
        else:  # those of a rank, which are added up as if they were not the last
            t0 = data[k] * rows[indices[k]] if k < stop else 0.0
            t1 = data[k + ONE] * rows[indices[k + ONE]] if k + ONE < stop else 0.0
            t2 = data[k + TWO] * rows[indices[k + TWO]] if k + TWO < stop else 0.0
            total += t0 + t1 + t2
        out[j - first] = total
        j, k, stop = following, k_following, stop_following
    return np.int64(read)


@helper
def scatter(entries, first, coefficients, listed, n_open, out):
    """Add coefficient_j M_j to `out` for each listed column; return the number of entries read."""
    data, indices, indptr, bits = entries.data, entries.indices, entries.indptr, entries.bits
    size, read = U64(data.size), ZERO
    j = listed[0]
    k, stop = indptr[j], indptr[j + ONE]
    for position in range(ZERO, n_open):
        following = listed[position + ONE]
        k_following, stop_following = indptr[following], indptr[following + ONE]
        read += stop - k
        coefficient = np.float64(coefficients[j - first])
        n_fours = (stop - k) // FOUR
        last = stop - U64(stop > k)  # 0 is added to this row for each entry that is beyond the column's end
        add_fours(data, indices, coefficient, k, n_fours, bits, out)
        k += FOUR * n_fours
        if stop + FOUR <= size:
            t0 = with_bits(coefficient * data[k], bits)
            t1 = with_bits(coefficient * data[k + ONE], bits)
            t2 = with_bits(coefficient * data[k + TWO], bits)
            r0 = indices[k if k < stop else last]
            r1 = indices[k + ONE if k + ONE < stop else last]
            r2 = indices[k + TWO if k + TWO < stop else last]
            out[r0] += t0 if k < stop else 0.0
            out[r1] += t1 if k + ONE < stop else 0.0
            out[r2] += t2 if k + TWO < stop else 0.0
        else:  # as in `gather`
            while k < stop:
                out[indices[k]] += with_bits(coefficient * data[k], bits)
                k += ONE
        j, k, stop = following, k_following, stop_following
    return np.int64(read)


# Where all columns of a block are open, and neighbours are of about the same length, they are read one after
# the other, without a list; the processor predicts where each one ends.


@helper
def gather_all(entries, first, n, rows, out):
    """Write M_j . rows for each column of a block, as `gather` does; return the entries read."""
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    for i in range(n):
        k, stop = indptr[first + i], indptr[first + i + ONE]
        n_fours = (stop - k) // FOUR
        total, tail = dot_fours(data, indices, rows, k, n_fours), 0.0
        for last in range(k + FOUR * n_fours, stop):
            tail += data[last] * rows[indices[last]]
        out[i] = total + tail
    return np.int64(indptr[first + n] - indptr[first])


@helper
def scatter_all(entries, first, n, coefficients, out):
    """Add coefficient_j M_j to `out` for each column of a block; return the entries read."""
    data, indices, indptr = entries.data, entries.indices, entries.indptr
    for i in range(n):
        k, stop, coefficient = indptr[first + i], indptr[first + i + ONE], np.float64(coefficients[i])
        n_fours = (stop - k) // FOUR
        add_fours(data, indices, coefficient, k, n_fours, entries.bits, out)
        for last in range(k + FOUR * n_fours, stop):
            out[indices[last]] += with_bits(coefficient * data[last], entries.bits)
    return np.int64(indptr[first + n] - indptr[first])
