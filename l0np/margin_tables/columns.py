"""Columns of the records that targets ask for: which records have a level, or are in a range."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import did_you_mean
from l0np.tables import Table

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"\s*({NUMBER})\s*(?:-|\u2013|\.\.)\s*({NUMBER})\s*")  # a closed range, as in 0-17
FROM = re.compile(rf"\s*({NUMBER})\s*\+\s*")  # from a number on, as in 65+
EITHER = "|"
SHOWN = 5  # levels that a message lists

Mask = NDArray[np.bool_]


class Column(Protocol):
    """What the rows of M need of a column of the records."""

    @property
    def missing(self) -> Mask:
        """Which records have no value."""

    def where(self, cell: Any, place: str) -> Mask:
        """Return which records a cell of the totals asks for; refuse a level that no record has."""

    def level(self, i: int) -> str:
        """Return the value of a record, as messages show it."""


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of strings, truth values or dates.

    Attributes
    ----------
    name : str
        The column.
    codes : array of int, shape (records,)
        Which level each record has; -1 where it is missing.
    levels : dict from str to int
        The code of each level.
    """

    name: str
    codes: NDArray[Any]
    levels: dict[str, int]

    @classmethod
    def of(cls, table: Table, name: str) -> Categories:
        """Read a column."""
        codes, levels = table.codes(name)
        return cls(name, codes, {level: code for code, level in enumerate(levels)})

    @property
    def missing(self) -> Mask:
        """Which records have no value."""
        return self.codes < 0

    def where(self, cell: Any, place: str) -> Mask:
        """Return which records have the level, or one of the levels that "|" separates."""
        text = _level(cell)
        parts = [text] if text in self.levels else [part.strip() for part in text.split(EITHER)]
        mask: Mask | None = None
        for part in parts:
            code = self._code(part)
            if code is None:
                raise InputError(f'{place}: no record has {self.name} "{part}"{self._instead(part)}')
            found = self.codes == code
            mask = found if mask is None else mask | found
        return np.zeros(len(self.codes), bool) if mask is None else mask

    def _instead(self, part: str) -> str:
        """Return what a message says of a level that no record has: which was meant, or what there is."""
        text = [level for level in self.levels if not re.fullmatch(NUMBER, level.strip())]
        if (RANGE.fullmatch(part) or FROM.fullmatch(part)) and text and len(text) < len(self.levels):
            return f': {self.name} has no ranges, because it holds text such as "{text[0]}"'
        return did_you_mean(part, list(self.levels)) or f": its levels are {_listed(list(self.levels))}"

    def _code(self, level: str) -> int | None:
        # pandas writes True, polars and DuckDB true
        others = (
            (level, level.lower(), level.capitalize()) if level.lower() in ("true", "false") else (level,)
        )
        return next((self.levels[one] for one in others if one in self.levels), None)

    def level(self, i: int) -> str:
        """Return the level of a record."""
        code = int(self.codes[i])
        return next((level for level, one in self.levels.items() if one == code), "missing")


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of numbers.

    Attributes
    ----------
    name : str
        The column.
    values : array of shape (records,)
        The numbers, NaN where they are missing.
    """

    name: str
    values: NDArray[Any]

    @property
    def missing(self) -> Mask:
        """Which records have no value."""
        return np.isnan(self.values) if self.values.dtype.kind == "f" else np.zeros(len(self.values), bool)

    def where(self, cell: Any, place: str) -> Mask:
        """Return which records have the number, one of several, or are in a range."""
        mask: Mask | None = None
        for part in str(cell).split(EITHER):
            found = self._part(part.strip(), place)
            if not found.any():
                present = np.unique(self.values[~self.missing])
                size = f"{present[0]:g} to {present[-1]:g}" if len(present) > SHOWN else _listed(present)
                raise InputError(f"{place}: no record has {self.name} {part.strip()}: its values are {size}")
            mask = found if mask is None else mask | found
        return np.zeros(len(self.values), bool) if mask is None else mask

    def _part(self, part: str, place: str) -> Mask:
        span, start = RANGE.fullmatch(part), FROM.fullmatch(part)
        if span:
            low, high = _number(span[1]), _number(span[2])
            if low > high:
                raise InputError(
                    f"{place}: {self.name} {part} is no range, because {low:g} is above {high:g}"
                )
            return np.asarray((self.values >= low) & (self.values <= high))
        if start:
            return np.asarray(self.values >= _number(start[1]))
        try:
            return np.asarray(self.values == _number(part))
        except ValueError:
            rule = f"{self.name} holds numbers, so write a number, a range such as 0-17, or 65+"
            raise InputError(f'{place}: "{part}" is no number: {rule}') from None

    def level(self, i: int) -> str:
        """Return the number of a record."""
        return f"{self.values[i]:g}"


def _number(text: str) -> float:
    """Return a number, an integer where it is one: then small integers need not be cast to be compared."""
    value = float(text)
    return int(value) if value.is_integer() else value


def column_of(table: Table, name: str) -> Column:
    """Read a column of the records, as numbers if it holds numbers."""
    return Numbers(name, table.numbers(name)) if table.is_numeric(name) else Categories.of(table, name)


def _level(cell: Any) -> str:
    """Return a level as text: 1.0 is "1", because missing values make floats of integers."""
    is_whole = isinstance(cell, float | np.floating) and float(cell).is_integer()
    return str(int(cell)) if is_whole else str(cell).strip()


def _listed(levels: Any) -> str:
    shown = ", ".join(f"{level:g}" if not isinstance(level, str) else level for level in levels[:SHOWN])
    return f"{shown} and {len(levels) - SHOWN:,} more" if len(levels) > SHOWN else shown
