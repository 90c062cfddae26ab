"""What a selection must hold, from the command line: records of certainty, and least numbers by area."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np import MarginProblem
from l0np.cli.settings import Settings
from l0np.errors import InputError
from l0np.inputs import did_you_mean, validation
from l0np.tables import Table

AT_LEAST = re.compile(r"([^:=]+?)(?::(.+?))?=\s*(\d+)\s*")
USAGE = "COLUMN:LEVEL=NUMBER, such as region:north=5, or COLUMN=NUMBER for every level"
NO = ("", "0", "0.0", "false", "no", "n")  # in a column that marks records of certainty; anything else is yes


def required_of(settings: Settings, problem: MarginProblem) -> dict[str, Any]:
    """Return the arguments of `calibrate` and `l0_path` that `--certainty` and `--at-least` stand for.

    Raises
    ------
    InputError
        For columns, levels and identifiers that the records do not have.
    """
    if settings.certainty is None and not settings.at_least:
        return {}
    key, unit = settings.margins.get("id"), settings.margins.get("unit")
    exact = [column for column in (key, unit) if column is not None]
    table = Table.of("records", settings.table("records"), exact=exact)
    place = _places(table, problem, unit)
    arguments: dict[str, Any] = {}
    if settings.certainty is not None:
        arguments["certainty"] = _certain(settings.certainty, table, problem, place)
    if settings.at_least:
        column, least = _least(settings.at_least, table)
        areas = np.empty(problem.shape[1], dtype=object)
        cells = np.array(_levels(table, column), dtype=object)
        areas[place] = cells
        if (differs := np.flatnonzero(areas[place] != cells)).size:
            where = table.row(int(differs[0]))
            raise InputError(f'--at-least: "{column}" in {where} is another than in the rest of its unit')
        if None in least:
            least = dict.fromkeys(sorted(set(areas)), least[None]) | {
                level: number for level, number in least.items() if level is not None
            }
        arguments |= {"groups_of_records": areas, "at_least": least}
    return arguments


def _places(table: Table, problem: MarginProblem, unit: str | None) -> NDArray[np.int64]:
    """Return the column of M of each record: its own or, with units, that of its unit."""
    if unit is None or problem.ids is None:
        return np.arange(len(table))
    order = np.argsort(problem.ids, kind="stable")
    units = np.asarray(table.frame[unit].to_numpy())
    return np.asarray(order[np.searchsorted(problem.ids, units, sorter=order)], np.int64)


def _certain(given: str, table: Table, problem: MarginProblem, place: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which columns of M are of certainty, from a column of the records or a file of identifiers."""
    mask = np.zeros(problem.shape[1], bool)
    if given in table.columns:
        cells = table.cells(given)
        marked = [cell is not None and str(cell).strip().lower() not in NO for cell in cells]
        mask[place[np.array(marked, bool)]] = True
        return mask
    if not Path(given).is_file():
        guess = did_you_mean(given, table.columns)
        raise InputError(f'--certainty: "{given}" is neither a column of {table.name} nor a file{guess}')
    name = problem.keys.name
    if name is None or problem.ids is None:
        raise InputError("--certainty: a file names records by their identifiers: give their column by --id")
    listed = Table.of("--certainty", given, as_text=True)
    if name not in listed.columns and len(listed.columns) > 1:
        raise InputError(f'--certainty: {listed.name} must have the column "{name}", or only one column')
    column = name if name in listed.columns else listed.columns[0]
    wanted = np.array([str(cell).strip() for cell in listed.cells(column) if cell is not None], dtype=str)
    known = problem.ids.astype(str)
    unknown = wanted[~np.isin(wanted, known)]
    if unknown.size:
        more = validation.and_more(len(unknown))
        raise InputError(f'--certainty: no record has {name} "{unknown[0]}", which {listed.name} lists{more}')
    return np.isin(known, wanted)


def _least(given: Sequence[str], table: Table) -> tuple[str, dict[str | None, int]]:
    """Return the column of the areas, and the least number by level; that of None is for every level."""
    least: dict[str | None, int] = {}
    columns: list[str] = []
    for text in given:
        found = AT_LEAST.fullmatch(text.strip())
        if found is None:
            raise InputError(f'--at-least must be {USAGE}, got "{text}"')
        columns.append(table.check_column("--at-least", found[1].strip()))
        level = None if found[2] is None else found[2].strip()
        if level in least:
            raise InputError(f'--at-least gives two numbers for "{text.rpartition("=")[0]}"')
        least[level] = int(found[3])
    if len(set(columns)) > 1:
        names = " and ".join(dict.fromkeys(columns))
        raise InputError(f"--at-least must be of one column, got {names}")
    known = set(_levels(table, columns[0]))
    for level in least:
        if level is not None and level not in known:
            guess = did_you_mean(level, sorted(known))
            raise InputError(f'--at-least: no record has {columns[0]} "{level}"{guess}')
    return columns[0], least


def _levels(table: Table, column: str) -> list[str]:
    """Return the level of each record as a string; none may be missing."""
    codes, levels = table.codes(column)
    lacking = np.flatnonzero(np.asarray(codes) < 0)
    if lacking.size:
        more = validation.and_more(len(lacking))
        raise InputError(f'--at-least: "{column}" is missing in {table.row(int(lacking[0]))}{more}')
    return [levels[code] for code in np.asarray(codes).tolist()]
