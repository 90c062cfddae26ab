"""The table of records: base weights, identifiers, units, and the columns that targets ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted
from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation
from l0np.margin_tables.columns import Column, column_of
from l0np.tables import Table

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Units:
    """Which unit (household) each record (person) belongs to.

    Attributes
    ----------
    codes : array of int, shape (records,)
        The number of each record's unit, in order of first appearance.
    first : array of int, shape (units,)
        The first record of each unit.
    """

    codes: NDArray[Any]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, table: Table, column: str) -> Self:
        """Read the column that names the units."""
        if not table.is_numeric(column):
            codes, levels = table.codes(column)
            first = np.zeros(len(levels), np.int64)
            first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several, the last assignment stays
            return cls(codes, first)
        _, first, inverse = np.unique(table.numbers(column), return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return cls(place[inverse], first[order].astype(np.int64))


@dataclass(frozen=True, eq=False)
class Records:
    """The records, checked as far as weights and identifiers go; columns are read when a target needs them.

    Attributes
    ----------
    table : Table
        The table.
    weights : array of shape (columns of M,)
        Base weights of the records, or of the units.
    key : str or None
        The column that identifies the columns of M.
    ids : array or None
        Its values, one for each column of M.
    units : Units or None
        The units, if weights belong to these.
    zero_missing : bool
        Whether missing values count as 0 and as no level; if not they are refused.
    notes : list of str
        What was done with missing values.
    """

    table: Table
    weights: Floats
    key: str | None
    ids: NDArray[Any] | None
    units: Units | None
    zero_missing: bool
    notes: list[str] = field(default_factory=list)
    _columns: dict[str, Column] = field(default_factory=dict)
    _amounts: dict[str, Floats] = field(default_factory=dict)
    _labels: tuple[str, str] | None = None

    @classmethod
    def of(cls, table: Table, weight: Any, key: Any, unit: Any, *, zero_missing: bool) -> Self:
        """Check weights, identifiers and units.

        Raises
        ------
        InputError, InputTypeError
            For columns that are not there, missing or negative weights, duplicate identifiers, and weights
            that differ within a unit.
        """
        for argument, column in (("weight", weight), ("id", key), ("unit", unit)):
            if column is not None:
                table.check_column(argument, column)
        for column in (key, unit):
            if column is not None:
                lacking = np.flatnonzero(table.missing(column))
                if lacking.size:
                    rows = f"{table.row(int(lacking[0]))}{validation.and_more(len(lacking))}"
                    raise InputError(f'"{column}" is missing in {rows}: every record needs one')
        if key is not None and unit is None:
            _check_unique(table, key)
        units = None if unit is None else Units.of(table, unit)
        name = unit if unit is not None else key
        found = cls(table, np.ones(0), name, None, units, zero_missing, _labels=_label_of(key, unit))
        weights = found._checked_weights(weight)
        ids = None if name is None else np.asarray(table.frame[name].to_numpy())
        if units is not None and ids is not None:
            ids = ids[units.first]
        return cls(table, weights, name, ids, units, zero_missing, _labels=found._labels)

    @property
    def n_columns(self) -> int:
        """Columns of M: records or units."""
        return len(self.table) if self.units is None else len(self.units.first)

    def column(self, name: str) -> Column:
        """Return a column whose levels are asked for, read once."""
        if name not in self._columns:
            column = column_of(self.table, name)
            self._check_missing(name, column.missing, "no level")
            self._columns[name] = column
        return self._columns[name]

    def amounts(self, name: str) -> Floats:
        """Return a column that is added up, read once; missing values are 0.

        Raises
        ------
        InputError, InputTypeError
            For text, infinite numbers, and missing values unless these count as 0.
        """
        if name not in self._amounts:
            values = self._numbers(name)
            is_missing = np.isnan(values)
            self._check_missing(name, is_missing, "0")
            if is_missing.any():
                values = np.where(is_missing, 0.0, values)
            if not np.isfinite(values).all():
                i = int(np.flatnonzero(~np.isfinite(values))[0])
                raise InputError(f'"{name}" of {self.record(i)} is {values[i]}: it must be finite')
            self._amounts[name] = values
        return self._amounts[name]

    def record(self, i: int) -> str:
        """Return how a message refers to a record: by its identifier, if it has one, else by its row."""
        if self._labels is None:
            return self.table.row(i)
        column, what = self._labels
        return f'{what} "{self.table.frame[column][i]}"'

    def _numbers(self, name: str) -> Floats:
        if self.table.is_numeric(name):
            return self.table.numbers(name).astype(np.float64)
        cells = self.table.cells(name)
        for i, cell in enumerate(cells):
            if isinstance(cell, str) and not _is_number(cell):
                where = f'"{name}" of {self.record(i)} is "{cell}"'
                raise InputTypeError(
                    f'{where}: "{name}" must hold numbers; leave cells empty if they are missing'
                )
        if any(isinstance(cell, str) for cell in cells):
            raise InputTypeError(f'"{name}" of {self.table.name} holds numbers as strings: convert them')
        try:
            return np.array([np.nan if cell is None else float(cell) for cell in cells])
        except TypeError:
            kind = self.table.frame.schema[name]
            raise InputTypeError(
                f'"{name}" of {self.table.name} holds {kind}, it must hold numbers'
            ) from None

    def _check_missing(self, name: str, missing: NDArray[np.bool_], becomes: str) -> None:
        count = int(np.count_nonzero(missing))
        if not count:
            return
        if not self.zero_missing:
            where = f'"{name}" is missing in {counted(count, "record")} of {self.table.name}'
            first = self.record(int(np.flatnonzero(missing)[0]))
            cure = f'missing="zero" takes them as {becomes}'
            raise InputError(f"{where}, the first is {first}: complete or drop them; {cure}")
        self.notes.append(f'"{name}": {counted(count, "missing value")} taken as {becomes}')

    def _checked_weights(self, weight: str | None) -> Floats:
        if weight is None:
            return np.ones(self.n_columns)
        values = self._numbers(weight)
        wrong = ~(np.isfinite(values) & (values >= 0))
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            found = "missing" if np.isnan(values[i]) else f"{values[i]:g}"
            more = validation.and_more(int(wrong.sum()))
            raise InputError(f'"{weight}" of {self.record(i)} is {found}{more}: a weight must be 0 or more')
        if not values.any():
            raise InputError(f'"{weight}" is 0 in all records: there is nothing to calibrate')
        if self.units is None:
            return values
        of_unit = values[self.units.first]
        differs = np.flatnonzero(of_unit[self.units.codes] != values)
        if differs.size:
            i = int(differs[0])
            first = of_unit[self.units.codes[i]]
            found = f'"{weight}" is {first:g} and {values[i]:g} in {self.record(i)}'
            raise InputError(f"{found}{validation.and_more(len(differs))}: it must be the same within a unit")
        return of_unit


def _label_of(key: str | None, unit: str | None) -> tuple[str, str] | None:
    """Return the column by which messages name a record, and what they call it."""
    if unit is not None:
        return unit, unit
    return None if key is None else (key, "record")


def _check_unique(table: Table, key: str) -> None:
    series = table.frame[key]
    if series.n_unique() == len(series):
        return
    repeated = np.flatnonzero(np.asarray(series.is_duplicated().to_numpy(), bool))
    label = series[int(repeated[0])]
    n = len(repeated) - len(series.filter(series.is_duplicated()).unique())
    found = f'"{key}" is "{label}" in several rows of {table.name} ({counted(n, "duplicate")})'
    raise InputError(f"{found}: ids must be unique; if records are members of units, name these with unit")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
