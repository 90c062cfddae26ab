"""`margins`: from a table of records and a table of totals to a problem of calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from l0np.errors import L0npWarning, warn
from l0np.inputs import known_arguments, validation
from l0np.margin_tables.problem import Keys, MarginProblem
from l0np.margin_tables.records import Records
from l0np.margin_tables.rows import disagreements, matrix_of, rows_of
from l0np.margin_tables.totals import Total, totals_of
from l0np.tables import Table
from l0np.targets import TargetOptions

MISSING = {"error": False, "zero": True}  # whether missing values are taken as 0
# What columns of base weights are often called
WEIGHTS = ("weight", "weights", "wt", "base_weight", "design_weight", "sampling_weight", "survey_weight")
UNCOVERED = {"error": False, "allow": True}


@known_arguments()
def margins(
    records: Any,
    totals: Any,
    weight: str | None = None,
    id: str | None = None,
    *,
    unit: str | None = None,
    missing: str = "error",
    uncovered: str = "error",
) -> MarginProblem:
    """Make a problem of calibration from a table of records and a table of totals.

    `totals` is a long table, one target a row, with the column `value`. Every column that is not listed below
    must be a column of the records, and says which records count: an empty cell means all; a value, those
    that have it; ``a|b``, those that have either. In a column of numbers ``0-17`` is a closed range and
    ``65+`` means from there on. So counts by level, crossed levels, sums, and sums within domains are one
    table::

        region  age   variable  value
        north                   9000     records in the north
        north   0-17            2000     children in the north
                      income    3.1e8    the sum of income
        south         income    1.2e8    the sum of income in the south

    Parameters
    ----------
    records : frame or path
        One row for each record: a frame of pandas, polars, pyarrow or DuckDB, or a file of CSV or Parquet,
        which polars reads (extra `frames`). Answers are frames of the same library; of polars for files, and
        of pyarrow for DuckDB.
    totals : frame, path or mapping
        The totals. Other columns may be: `variable`, the column of the records that is added up (empty: a
        count); `name`; `group`; `importance`, `tolerance`, `scale`, `cap` and `exclude`, the `target_groups`,
        `target_weights`, `tolerances`, `target_scales`, `caps` and `exclude` of `l0np.TargetOptions`; and
        `counts`, "records" (the default) or "units"; columns of the records with these names must be renamed
        if they are to say which records count. In short form a mapping: from a column, or a tuple of
        columns, to totals by level (a mapping or a pandas Series), and from a column to its sum.
    weight : str, optional
        The column of base weights; by default every record weighs 1.
    id : str, optional
        The column that identifies records; answers have it (with `unit`: that column instead).
    unit : str, optional
        The column that says to which unit, such as a household, each record (person) belongs. Then weights
        belong to units: columns of M are units, in order of first appearance, conditions look at records,
        and what holds is added up within the unit. ``counts="units"`` counts the units that have at least one
        such record.
    missing : {"error", "zero"}
        What missing values in columns that targets ask for are: an error, or 0 in sums and no level
        elsewhere. How many there were is a note of the problem.
    uncovered : {"error", "allow"}
        What it is if a margin has totals for most records but not for all levels that records have.

    Returns
    -------
    MarginProblem
        What `calibrate`, `l0_path`, `check_targets`, `diagnose` and `SparseCalibrationWeights.fit` take in
        the place of M and y; it prints itself.

    Raises
    ------
    InputError, InputTypeError
        For columns and levels that one of the tables does not have (with what was probably meant), text in
        columns of numbers, missing values, ids that are there twice, and weights that differ within a unit.
    MissingPackageError
        If a package that reads the tables is not installed.

    Warns
    -----
    L0npWarning
        If the totals of two complete margins have different sums, so that they cannot all be met.

    Examples
    --------
    >>> import pandas as pd
    >>> import l0np
    >>> people = pd.DataFrame(
    ...     {"id": [1, 2, 3, 4], "region": ["n", "n", "s", "s"], "age": [5, 40, 70, 30], "weight": 25.0}
    ... )
    >>> totals = pd.DataFrame(
    ...     {"region": ["n", "s", None], "age": [None, None, "0-17"], "value": [60, 50, 20]}
    ... )
    >>> problem = l0np.margins(people, totals, weight="weight", id="id")
    >>> problem
    MarginProblem: 3 targets, 4 records
      margins       region (2), age
      base weights  100 in total
    >>> l0np.calibrate(problem).to_frame()[["id", "weight"]].round(6)
       id  weight
    0   1    20.0
    1   2    40.0
    2   3    25.0
    3   4    25.0
    """
    zero_missing = validation.one_of("missing", missing, MISSING)
    allow_uncovered = validation.one_of("uncovered", uncovered, UNCOVERED)
    exact = [column for column in (id, unit) if isinstance(column, str)]
    table = Table.of("records", records, exact=exact)
    read = Records.of(table, weight, id, unit, zero_missing=zero_missing)
    listed = totals_of(totals, table)
    rows, complete = rows_of(listed, read, allow_uncovered=allow_uncovered)
    apart = disagreements(complete)
    if apart:
        found = f"{apart[0]}{validation.and_more(len(apart))}"
        warn(f"totals disagree, so that not all can be met: {found}", L0npWarning)
    settings = {"weight": weight, "id": id, "unit": unit, "missing": missing, "uncovered": uncovered}
    margins_of_targets = tuple(total.margin for total in listed)
    noun = "record" if unit is None else "unit"
    return MarginProblem(
        matrix=matrix_of(rows, read.n_columns),
        y=np.array([total.value for total in listed]),
        base_weights=read.weights,
        names=tuple(total.name for total in listed),
        options=_options(listed),
        keys=Keys(table.kind, read.key, read.ids, noun, margins_of_targets),
        notes=(
            *_unused_weights(table, weight, listed),
            *read.notes,
            *(f"totals disagree: {one}" for one in apart),
        ),
        margins=margins_of_targets,
        settings=settings,
    )


def _unused_weights(table: Table, weight: str | None, totals: Sequence[Total]) -> list[str]:
    """Return a note if no weights were named though a column looks like them."""
    used = {column for total in totals for column, _ in total.conditions} | {one.variable for one in totals}
    likely = [
        column
        for column in table.columns
        if column.lower() in WEIGHTS and column not in used and table.is_numeric(column)
    ]
    if weight is not None or not likely:
        return []
    return [f'every base weight is 1, the column "{likely[0]}" is not used: weight="{likely[0]}" uses it']


def _options(totals: Sequence[Total]) -> TargetOptions:
    """Return the target options that the totals give, without those that no total gives."""
    options: TargetOptions = {"names": [total.name for total in totals]}
    if any(total.group is not None for total in totals):
        options["target_groups"] = [total.margin if total.group is None else total.group for total in totals]
    if any(total.importance is not None for total in totals):
        options["target_weights"] = [
            1.0 if total.importance is None else total.importance for total in totals
        ]
    if any(total.tolerance is not None for total in totals):
        options["tolerances"] = [total.tolerance or 0.0 for total in totals]
    if any(total.scale is not None for total in totals):
        options["target_scales"] = [total.scale or abs(total.value) or 1.0 for total in totals]
    if any(total.cap is not None for total in totals):
        options["caps"] = [np.inf if total.cap is None else total.cap for total in totals]
    if any(total.exclude for total in totals):
        options["exclude"] = np.array([total.exclude for total in totals])
    return options
