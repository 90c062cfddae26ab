"""The table of totals: one target a row, read and checked by itself."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from l0np.errors import InputError, InputTypeError
from l0np.inputs import did_you_mean, validation
from l0np.tables import Table

NUMBERS: dict[str, dict[str, float]] = {  # columns of numbers, and their bounds
    "value": {},
    "importance": {"at_least": 0.0},
    "tolerance": {"at_least": 0.0},
    "scale": {"above": 0.0},
    "cap": {"above": 0.0},
}
RESERVED = (*NUMBERS, "variable", "name", "group", "exclude", "counts")
COUNTS = ("records", "units")
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Condition = tuple[str, Any]  # a column of the records, and what it must be


@dataclass(frozen=True)
class Total:
    """One target: what is counted or added up, over which records, and the total.

    Attributes
    ----------
    place : str
        How messages refer to it.
    value : float
        The total.
    conditions : tuple of (str, object)
        Columns of the records, each with the level, levels or range that counts.
    variable : str or None
        The column that is added up; None for a count.
    counts : str
        "records" or "units": what a count counts.
    name : str
        What the target is called.
    group : str or None
        The label of its group, if it has one.
    importance, tolerance, scale, cap : float or None
        Target options, where they are given.
    exclude : bool
        Whether it is only scored.
    """

    place: str
    value: float
    conditions: tuple[Condition, ...]
    variable: str | None
    counts: str
    name: str
    group: str | None = None
    importance: float | None = None
    tolerance: float | None = None
    scale: float | None = None
    cap: float | None = None
    exclude: bool = False

    @property
    def family(self) -> tuple[tuple[str, ...], str | None, str]:
        """What the levels of one margin have in common: columns, variable, and what is counted."""
        return tuple(column for column, _ in self.conditions), self.variable, self.counts

    @property
    def margin(self) -> str:
        """The name of its margin, as messages show it."""
        columns = " by ".join(column for column, _ in self.conditions)
        if self.variable is None:
            return columns or f"the number of {self.counts}"
        return f"{self.variable} by {columns}" if columns else f"the sum of {self.variable}"


def totals_of(given: Any, records: Table) -> list[Total]:
    """Read the totals: a long table, a file of one, or a mapping in short form.

    Raises
    ------
    InputError, InputTypeError
        For columns that the records do not have, for anything but numbers in columns of numbers, and for
        targets that are there twice.
    """
    totals = list(_of_mapping(given, records) if isinstance(given, Mapping) else _of_table(given, records))
    if not totals:
        raise InputError("totals holds no target")
    first: dict[Any, Total] = {}
    for total in totals:
        key = (frozenset((column, _text(cell)) for column, cell in total.conditions), *total.family[1:])
        if key in first:
            raise InputError(f"{first[key].place} and {total.place} are the same target: {total.name}")
        first[key] = total
    return totals


def _of_table(given: Any, records: Table) -> Iterator[Total]:
    table = Table.of("totals", given, as_text=True)
    columns = [column for column in table.columns if column not in RESERVED]
    if "value" not in table.columns:
        guess = did_you_mean("value", columns)
        raise InputError(f'{table.name} must have a column "value", it has {", ".join(table.columns)}{guess}')
    for column in columns:
        if column not in records.columns:
            known = [*records.columns, *(name for name in RESERVED if name not in table.columns)]
            guess = did_you_mean(column, known)
            listed = guess or f": columns of the records are {', '.join(records.columns)}"
            what = f"is neither a column of {records.name} nor one of {', '.join(RESERVED)}"
            raise InputError(f'the column "{column}" of {table.name} {what}{listed}')
    cells = {column: table.cells(column) for column in table.columns}
    for i in range(len(table)):
        place = table.row(i)
        row = {column: values[i] for column, values in cells.items()}
        if all(cell is None for cell in row.values()):
            continue  # an empty line
        found = {
            name: _number(place, name, row[name], bounds) for name, bounds in NUMBERS.items() if name in row
        }
        value = found.pop("value")
        if value is None:
            raise InputError(f"{place} has no value")
        counts = "records" if row.get("counts") is None else str(row["counts"]).strip()
        if counts not in COUNTS:
            raise InputError(f'counts in {place} is "{counts}": it must be records or units')
        variable = None if row.get("variable") is None else str(row["variable"]).strip()
        conditions = tuple((column, row[column]) for column in columns if row[column] is not None)
        yield Total(
            place,
            value,
            conditions,
            _variable(place, variable, counts, records),
            counts,
            name=str(row["name"]) if row.get("name") is not None else _name(conditions, variable, counts),
            group=None if row.get("group") is None else str(row["group"]),
            exclude=_truth(place, row.get("exclude")),
            **found,
        )


def _of_mapping(given: Mapping[Any, Any], records: Table) -> Iterator[Total]:
    """Read ``{"region": series, ("sex", "age"): series, "income": 1.2e9}``."""
    for key, values in given.items():
        columns = key if isinstance(key, tuple) else (key,)
        place = f"totals[{key!r}]"
        if isinstance(values, numbers.Real | np.number):
            variable = None if key == "" else key
            value = validation.real_number(place, values)
            _variable(place, variable, "records", records)
            yield Total(place, value, (), variable, "records", _name((), variable, "records"))
            continue
        for column in columns:
            records.check_column(place, column)
        if not isinstance(values, Mapping):
            if not (hasattr(values, "index") and hasattr(values, "items")):
                wanted = (
                    "a number, a mapping from level to total, or a pandas Series with levels as its index"
                )
                raise validation.wrong_kind(place, wanted, values)
            values = dict(values.items())
        for label, value in values.items():
            levels = label if isinstance(label, tuple) else (label,)
            where = f"{place}[{label!r}]"
            if len(levels) != len(columns):
                raise InputError(f"{where} must name a level of each of {', '.join(columns)}")
            conditions = tuple(zip(columns, levels, strict=True))
            checked = validation.real_number(where, value)
            yield Total(where, checked, conditions, None, "records", _name(conditions, None, "records"))


def _variable(place: str, variable: Any, counts: str, records: Table) -> str | None:
    if variable is None:
        return None
    records.check_column(f"the variable in {place}", variable)
    if counts != "records":
        rule = f'counts="{counts}" is for counts, whose variable is empty'
        raise InputError(f"{place} adds up {variable}: {rule}")
    return str(variable)


def _number(place: str, name: str, cell: Any, bounds: Mapping[str, float]) -> float | None:
    if cell is None:
        return None
    if isinstance(cell, str):
        try:
            cell = float(cell)
        except ValueError as reason:
            kind = "text" if any(c.isalpha() for c in cell) else "not a plain number, such as 1234.5"
            raise InputTypeError(
                f'{name} in {place} must be a number, "{cell.strip()}" is {kind}'
            ) from reason
    return float(validation.real_number(f"{name} in {place}", cell, **bounds))


def _truth(place: str, cell: Any) -> bool:
    if cell is None:
        return False
    found = TRUTH.get(_text(cell).lower())
    if found is None:
        raise InputError(f'exclude in {place} must be yes or no, got "{cell}"')
    return found


def _name(conditions: tuple[Condition, ...], variable: str | None, counts: str) -> str:
    levels = ", ".join(f"{column} = {_text(cell)}" for column, cell in conditions)
    if variable is not None:
        return f"sum of {variable}" + (f", {levels}" if levels else "")
    if not levels:
        return f"number of {counts}"
    return levels if counts == "records" else f"{levels} (units)"


def _text(cell: Any) -> str:
    """Return a cell as text, an integer without decimals: missing values make floats of integers."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()
