"""The compiled twin of `cube_flight.arrive`; tests compare the two bit for bit."""

from typing import Any

import numpy as np

from l0np._jit import helper, jit


@helper
def longest_step(at: Any, column: Any, basic: Any, direction: float, smallest: float) -> tuple[float, int]:
    """See `cube_flight.longest_step`, for the moves ``direction * column`` of the basic records."""
    least, first = np.inf, 0
    for i in range(column.size):
        move = direction * column[i]
        if basic[i] >= 0 and abs(move) > smallest:
            length = (1.0 - at[i] if move > 0 else at[i]) / abs(move)
            if length < least:
                least, first = length, i
    return max(least, 0.0), first


@helper
def free_total(column: Any, basic: Any, smallest: float) -> int:
    """See `cube_flight.free_total`."""
    largest, outside, total = 0.0, 0.0, 0
    for i in range(column.size):
        size = abs(column[i])
        largest = max(largest, size)
        if basic[i] < 0 and size > outside:
            outside, total = size, i
    if basic[0] < 0 and column[0] != 0.0:
        outside, total = abs(column[0]), 0
    return total if outside > smallest * max(1.0, largest) else -1


@jit
def arrive(arrivals: Any, work: Any, basic: Any, changed: Any, p: Any, uniforms: Any, smallest: float) -> int:
    """See `cube_flight.arrive`."""
    n_arrivals, n_rows, n_changed = arrivals.size, basic.size, 0
    carried, at, change = np.full(n_rows, -1), np.zeros(n_rows), np.empty(n_rows)
    for i in range(n_rows):
        if basic[i] >= 0:
            at[i] = p[basic[i]]
    for number in range(n_arrivals):
        record, column = arrivals[number], work[number]
        total = free_total(column, basic, smallest)
        if total < 0:
            up, up_at = longest_step(at, column, basic, -1.0, smallest)
            down, down_at = longest_step(at, column, basic, 1.0, smallest)
            highest, lowest = min(up, 1.0 - p[record]), min(down, p[record])
            if uniforms[number] * (highest + lowest) < lowest:
                step, stopped, alone = highest, up_at, up >= 1.0 - p[record]
            else:
                step, stopped, alone = -lowest, down_at, down >= p[record]
            for i in range(n_rows):
                if basic[i] >= 0:
                    at[i] -= step * column[i]
            p[record] += step
            if alone:
                p[record] = np.round(p[record])
                continue
            p[basic[stopped]] = np.round(at[stopped])
            total = stopped
        basic[total], at[total] = record, p[record]
        if carried[total] < 0:
            carried[total] = n_arrivals + n_changed
            changed[n_changed] = total
            work[carried[total], total] = 1.0
            n_changed += 1
        pivot = column[total]
        for i in range(n_rows):
            change[i] = column[i] / pivot
        change[total] -= 1.0 / pivot
        for later in range(number + 1, n_arrivals + n_changed):
            factor = work[later, total]
            if factor != 0.0:
                for i in range(n_rows):
                    work[later, i] -= factor * change[i]
    for i in range(n_rows):
        if basic[i] >= 0:
            p[basic[i]] = at[i]
    return n_changed
