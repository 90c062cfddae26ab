"""The table of targets: rows for a reader, and the same as compact JSON for the script of the page.

Of 40,000 targets the page holds numbers with seven digits and each group once, and shows 25 rows at a time.
`shown_number` and `shown_error` are also in `templates/report.js`, which a test compares with them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import number, percentage
from l0np.targets import TargetTable, metrics

ROWS = 25  # that a page of the table shows
DIGITS = 7  # of numbers in the file
MISSED, MET, HELD_OUT, UNWEIGHTED = range(4)
STATUSES = ("missed", "met", "held out", "only scored")
TOTALS = "totals of targets"
SMALL = 0.00005  # relative errors that two decimals of a percentage show as 0


@dataclass(frozen=True)
class Row:
    """A row of the table of targets, as it is shown."""

    name: str
    group: str
    target: str
    before: str
    after: str
    error: str
    status: str


def all_rows(targets: TargetTable, totals: TargetTable | None) -> TargetTable:
    """Return the targets and the totals of targets, the worst first."""
    table = targets if totals is None else _with_totals(targets, totals)
    return table.worst(len(table))


def _with_totals(targets: TargetTable, totals: TargetTable) -> TargetTable:
    groups = np.full(len(targets), "") if targets.group is None else targets.group
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(targets, name), getattr(totals, name)])
        for name in ("name", "target", "estimate", "error", "relative_error", "within_tolerance")
    }
    joined |= {name: np.concatenate([getattr(targets, name), getattr(totals, name)]) for name in _STATE}
    label = np.array([f"{group}" for group in groups] + [TOTALS] * len(totals))
    before = None
    if targets.before is not None:
        unknown = np.full(len(totals), np.nan)
        before = np.concatenate([targets.before, unknown if totals.before is None else totals.before])
    return replace(TargetTable(**joined), group=label, before=before)


_STATE = ("fitted", "weight")


def statuses(table: TargetTable) -> NDArray[np.int64]:
    """Return what became of each target: positions in `STATUSES`."""
    found = np.where(table.missed, MISSED, MET)
    found = np.where(table.fitted & ~table.asked, UNWEIGHTED, found)
    return np.where(table.fitted, found, HELD_OUT)


def first_rows(table: TargetTable) -> list[Row]:
    """Return the rows that the page shows first."""
    status, before = statuses(table), _before(table)
    groups = None if table.group is None else table.group
    return [
        Row(
            name=str(table.name[i]),
            group="" if groups is None else str(groups[i]),
            target=shown_number(table.target[i]),
            before=shown_number(before[i]),
            after=shown_number(table.estimate[i]),
            error=shown_error(table.relative_error[i]),
            status=STATUSES[status[i]],
        )
        for i in range(min(ROWS, len(table)))
    ]


def json_of(table: TargetTable) -> str:
    """Return all rows by columns as JSON that can stand within a script element: no <, > or & is in it."""
    labels = [] if table.group is None else table.group.tolist()
    groups = sorted({str(label) for label in labels})
    position = {group: i for i, group in enumerate(groups)}
    content = {
        "name": table.name.tolist(),
        "group": [position[str(label)] for label in labels],
        "groups": groups,
        "target": _numbers(table.target),
        "before": _numbers(_before(table)),
        "after": _numbers(table.estimate),
        "error": _numbers(table.relative_error),
        "status": statuses(table).tolist(),
        "statuses": STATUSES,
        "rows": ROWS,
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # \u2028 and \u2029 end lines of scripts; the others could end or open an element
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def shown_number(value: float) -> str:
    """Return a number with four digits, or as an integer; a dash where there is none.

    Examples
    --------
    >>> shown_number(1234567.8), shown_number(0.5), shown_number(float("nan"))
    ('1,234,568', '0.5', '-')
    """
    return number(value) if np.isfinite(value) else "-"


def shown_error(value: float) -> str:
    """Return a relative error as a percentage with its sign; "<0.01%" where it is small but not met.

    Examples
    --------
    >>> shown_error(-0.1234), shown_error(1e-9), shown_error(2e-5)
    ('-12.34%', '0.00%', '<0.01%')
    """
    if not np.isfinite(value):
        return "-"
    if abs(value) < SMALL:
        return "0.00%" if abs(value) <= metrics.MET else "<0.01%"
    return percentage(value, 2)


def _before(table: TargetTable) -> NDArray[np.float64]:
    return np.full(len(table), np.nan) if table.before is None else table.before


def _numbers(values: NDArray[np.float64]) -> list[float | int | None]:
    """Return numbers with few digits; None where there is none, which JSON cannot say otherwise."""
    rounded = (float(f"{value:.{DIGITS}g}") for value in values.tolist())
    return [
        None if not np.isfinite(one) else int(one) if one.is_integer() and abs(one) < 1e15 else one
        for one in rounded
    ]
