"""The rows of M, one for each total, and the checks of whole margins: who is in none, whose sums disagree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted, percent
from l0np.errors import InputError
from l0np.margin_tables.records import Records
from l0np.margin_tables.totals import Total
from l0np.matrix import ColumnMatrix, index_dtype

COVERED = 0.5  # a margin with more than this fraction of the records is meant to be complete
LEFT_OUT = 3  # levels that a message names
BLOCK = 1 << 16  # columns whose entries are written together, so that these stay in the cache
THREADS = 4  # that write blocks, at most
AGREE = 1e-6  # relative difference up to which two sums are the same

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Row:
    """The entries of a row of M: columns, ascending, and values (None for ones)."""

    columns: NDArray[np.int32]
    values: NDArray[np.float64] | None


@dataclass(frozen=True)
class Margin:
    """A complete margin: each record is in exactly one of its totals, so that these have a known sum.

    Attributes
    ----------
    name : str
        What messages call it.
    kind : (str or None, str)
        What it adds up, and what it counts: margins of one kind must have the same sum.
    total, tolerance : float
        The sum of its totals and of their tolerances.
    verb: str
        What messages say between its name and its sum.
    """

    name: str
    kind: tuple[str | None, str]
    total: float
    tolerance: float
    verb: str = "adds up to"


def rows_of(
    totals: Sequence[Total], records: Records, *, allow_uncovered: bool
) -> tuple[list[Row], list[Margin]]:
    """Return the rows of M in the order of the totals, and the margins that are complete.

    Raises
    ------
    InputError
        For a level that no record has, and for levels of records without a total in a margin that otherwise
        covers its columns, unless these are allowed.
    """
    families: dict[Any, list[int]] = {}
    for q, total in enumerate(totals):
        families.setdefault(total.family, []).append(q)
    rows: dict[int, Row] = {}
    margins = []
    for members in families.values():
        times = np.zeros(len(records.table), np.uint16)  # in how many totals of the margin each record is
        for q in members:
            mask = _mask(totals[q], records)
            if mask is None:
                times += 1
            else:
                times += mask
            rows[q] = _row(totals[q], mask, records)
        family = [totals[q] for q in members]
        if not allow_uncovered:
            _check_covered(family, times, records)
        is_fitted = not any(total.exclude for total in family)
        if is_fitted and family[0].counts == "records" and (times == 1).all():
            margins.append(
                Margin(
                    family[0].margin,
                    (family[0].variable, family[0].counts),
                    sum(one.value for one in family),
                    sum(one.tolerance or 0.0 for one in family),
                    "adds up to" if len(family) > 1 else "is",
                )
            )
    return [rows[q] for q in range(len(totals))], margins


def disagreements(margins: Sequence[Margin]) -> list[str]:
    """Return one sentence for each two complete margins whose totals have different sums.

    Examples
    --------
    >>> same = (None, "records")
    >>> disagreements([Margin("region", same, 1000.0, 0.0), Margin("sex", same, 1020.0, 0.0)])
    ['region adds up to 1,000, sex adds up to 1,020 (1.96% apart)']
    """
    found = []
    for kind in dict.fromkeys(margin.kind for margin in margins):
        first, *others = [margin for margin in margins if margin.kind == kind]
        for other in others:
            size, gap = max(abs(first.total), abs(other.total)), abs(first.total - other.total)
            if gap > AGREE * size + first.tolerance + other.tolerance:
                sums = ", ".join(f"{one.name} {one.verb} {one.total:,.10g}" for one in (first, other))
                found.append(f"{sums} ({percent(gap / size)} apart)")
    return found


def matrix_of(rows: Sequence[Row], n_columns: int) -> ColumnMatrix:
    """Return the matrix with these rows, in float64.

    Examples
    --------
    >>> one = np.array([0, 2], np.int32)
    >>> matrix_of([Row(one, None), Row(one, np.array([5.0, 6.0]))], 3).to_scipy().toarray()
    array([[1., 0., 1.],
           [5., 0., 6.]])
    """
    starts = np.arange(0, n_columns, BLOCK)
    bounds = [_bounds(row, starts) for row in rows]
    counts = np.zeros(n_columns, np.int64)

    def count(number: int) -> None:
        start = number * BLOCK
        of_block = counts[start : start + BLOCK]
        for row, bound in zip(rows, bounds, strict=True):
            of_block[_within(row, bound, number, start)] += 1  # the columns of a row differ

    def write(number: int) -> None:
        start = number * BLOCK
        end = min(start + BLOCK, n_columns)
        data[indptr[start] : indptr[end]] = 1.0
        free = indptr[start:end].copy()  # where the next entry of each column goes: rows come in order
        for q, (row, bound) in enumerate(zip(rows, bounds, strict=True)):
            columns = _within(row, bound, number, start)
            places = free[columns]
            indices[places] = q
            if row.values is not None:
                data[places] = row.values[bound[number] : bound[number + 1]]
            places += 1
            free[columns] = places

    # Blocks share no entry, and NumPy releases the interpreter while it reads and writes by indices
    with ThreadPoolExecutor(min(os.cpu_count() or 1, THREADS)) as pool:
        list(pool.map(count, range(len(starts))))
        indptr = np.concatenate(([0], np.cumsum(counts)))
        data, indices = np.empty(indptr[-1]), np.empty(indptr[-1], index_dtype(len(rows)))
        list(pool.map(write, range(len(starts))))
    return ColumnMatrix(data, indices, indptr, (len(rows), n_columns), copy=False)


def _bounds(row: Row, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the columns of each block start among those of a row, and their number at the end."""
    found = np.searchsorted(row.columns, starts.astype(row.columns.dtype))
    return np.append(found, len(row.columns))


def _within(row: Row, bound: NDArray[np.int64], number: int, start: int) -> NDArray[np.intp]:
    """Return the columns of a row that are in a block, counted from its start."""
    columns = row.columns[bound[number] : bound[number + 1]]
    return np.subtract(columns, start, dtype=np.intp)  # NumPy would cast other integers at each use


def _mask(total: Total, records: Records) -> Mask | None:
    """Return which records a total counts; None for all."""
    mask: Mask | None = None
    for name, cell in total.conditions:
        found = records.column(name).where(cell, total.place)
        mask = found if mask is None else mask & found
    if mask is not None and total.value and not mask.any():
        levels = " and ".join(f'{name} "{cell}"' for name, cell in total.conditions)
        raise InputError(f"{total.place}: no record has {levels}, but the total is {total.value:,.10g}")
    return mask


def _row(total: Total, mask: Mask | None, records: Records) -> Row:
    chosen = np.arange(len(records.table)) if mask is None else np.flatnonzero(mask)
    values = None if total.variable is None else records.amounts(total.variable)[chosen]
    if records.units is None:
        if values is not None:
            is_entry = values != 0
            chosen, values = chosen[is_entry], values[is_entry]
        return Row(chosen.astype(np.int32), values)
    sums = np.bincount(records.units.codes[chosen], weights=values, minlength=records.n_columns)
    columns = np.flatnonzero(sums)
    if total.counts == "units":
        return Row(columns.astype(np.int32), None)
    return Row(columns.astype(np.int32), sums[columns].astype(np.float64))


def _check_covered(family: Sequence[Total], times: NDArray[np.uint16], records: Records) -> None:
    """Refuse a margin of several totals that leaves out some records, though it has most of them."""
    names = [name for name, _ in family[0].conditions]
    if len(family) < 2 or not names:
        return
    left = times == 0
    for name in names:
        left &= ~records.column(name).missing
    rows = np.flatnonzero(left)
    if not rows.size or len(rows) >= (1 - COVERED) * len(times):
        return
    columns = [records.column(name) for name in names]
    levels: dict[str, int] = {}
    for i in rows[: 100 * LEFT_OUT].tolist():  # enough to name some; how many there are is known
        level = ", ".join(f'{name} "{column.level(i)}"' for name, column in zip(names, columns, strict=True))
        levels[level] = levels.get(level, 0) + 1
    named = "; ".join(list(levels)[:LEFT_OUT]) + ("; ..." if len(levels) > LEFT_OUT else "")
    found = f"{counted(len(rows), 'record')} have {named}"
    found = found.replace("1 record have", "1 record has")
    cure = 'add their totals, or allow it with uncovered="allow"'
    raise InputError(f"{found}, for which the totals of {family[0].margin} have no row: {cure}")
