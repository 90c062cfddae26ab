"""The page of a report: everything is put into the template, and written."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from l0np._text import percent
from l0np.errors import MissingPackageError
from l0np.inputs import validation
from l0np.report import repetition, words
from l0np.report.answer import ReportedAnswer
from l0np.report.pictures import pictures
from l0np.report.rows import STATUSES, all_rows, first_rows, json_of, shown_error, statuses
from l0np.tables import check_place, table_format, write_text
from l0np.targets import TargetTable

TEMPLATES = Path(__file__).parent / "templates"
ENDINGS = ("html", "htm")
MOST_GROUPS = 300  # rows of the table of groups
NEEDED = ("jinja2", "matplotlib")


def check_report(name: str, path: Path) -> None:
    """Refuse a path to which no report can be written, before any work.

    Raises
    ------
    InputError
        For another ending than .html or .htm, a folder, or a folder that does not exist.
    MissingPackageError
        If jinja2 or matplotlib is not installed.
    """
    table_format(name, path, ENDINGS)
    check_place(path)
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError("a report", package, "report")


def write_report(
    path: Any, answer: ReportedAnswer, targets: TargetTable, title: Any, repeat: Any = None
) -> None:
    """Write the report of an answer.

    Parameters
    ----------
    path : str or Path
        The file, which ends in .html.
    answer : Calibration
        The answer.
    targets : TargetTable
        Its targets, with the groups by which the report shows them.
    title : str
        The heading.
    repeat : str, optional
        What repeats the run; by default lines of Python.

    Raises
    ------
    InputError, InputTypeError
        If the path cannot be written, or `title` or `repeat` is not a string.
    MissingPackageError
        If jinja2 or matplotlib is not installed.
    """
    for name, value in (("title", title), ("repeat", "" if repeat is None else repeat)):
        if not isinstance(value, str):
            raise validation.wrong_kind(name, "a string", value)
    path = Path(path)
    check_report("path", path)
    write_text(path, page(answer, targets, title, repeat))


def page(answer: ReportedAnswer, targets: TargetTable, title: str, repeat: str | None) -> str:
    """Return the page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    script, style = ((TEMPLATES / name).read_text("utf-8") for name in ("report.js", "report.css"))
    table = all_rows(targets, answer.diagnostics.totals)
    return environment.get_template("report.html").render(
        answer=answer,
        title=title,
        noun=answer.keys.noun,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        words=words,
        tiles=words.tiles(answer),
        errors=_errors(answer),
        rows=first_rows(table),
        n_rows=len(table),
        groups=_groups(table),
        most_groups=MOST_GROUPS,
        statuses=[STATUSES[i] for i in sorted({*_present(table)})],
        pictures=[(picture, Markup(picture.svg)) for picture in pictures(answer, targets)],
        tried=answer.tried,
        areas=answer.n_active_by_group,
        repeat=repeat or (repetition.python_lines(answer) if answer.settings else ""),
        settings=repetition.settings_rows(answer.settings),
        versions=repetition.versions(),
        data=Markup(json_of(table)),
        script=Markup(script),
        style=Markup(style),
        # The only script that the page may run is its own
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _errors(answer: ReportedAnswer) -> list[list[str]]:
    """Return rows that sum up errors: name, number, median, worst, within 5 %, met."""
    found = answer.diagnostics
    parts = {"targets to be met": found.fitted, "totals of targets": found.aggregates}
    parts |= {"targets held out": found.held_out, "targets only scored": found.unweighted}
    return [
        [
            name,
            f"{e.n:,}",
            shown_error(e.median),
            shown_error(e.worst),
            *(percent(f, 0) for f in (e.within[0], e.met)),
        ]
        for name, e in parts.items()
        if e is not None and e.n
    ]


def _groups(table: TargetTable) -> list[tuple[str, int, int, str]]:
    """Return (name, targets, missed, worst error) of each group, the group with the worst target first."""
    if table.group is None:
        return []
    labels, first, member = np.unique(table.group.astype(str), return_index=True, return_inverse=True)
    counts = np.bincount(member)
    missed = np.bincount(member, weights=table.missed).astype(int)
    # the table is sorted, so that the first target of a group is its worst
    order = np.argsort(first, kind="stable")
    worst = [shown_error(abs(float(table.relative_error[i]))) for i in first]
    return [(str(labels[i]), int(counts[i]), int(missed[i]), worst[i]) for i in order]


def _present(table: TargetTable) -> list[int]:
    return [int(one) for one in np.unique(statuses(table))]
