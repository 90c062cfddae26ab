"""What each command does, by the public functions; results go to stdout."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import l0np
from l0np import Calibration, MarginProblem, TargetTable
from l0np._text import NAME_WIDTH, SHOWN, columns, counted, number, percentage, shorten
from l0np.cli.requirements import required_of
from l0np.cli.settings import Settings, settings_file
from l0np.cli.steps import Steps
from l0np.cli.stored import calibrate_stored, ranks_of_run
from l0np.matrix import ColumnMatrix, is_saved
from l0np.report import check_report
from l0np.tables import check_writable

FINE, SHORT_OF_IT = 0, 1  # exit statuses
PACKAGES = [
    "numpy",
    "scipy",
    "numba",
    "narwhals",
    "polars",
    "pandas",
    "pyarrow",
    "duckdb",
    "cupy",
    "rich",
    "typer",
    "mpi4py",
    "matplotlib",
    "jinja2",
]


def calibrate(settings: Settings, steps: Steps) -> int:
    """Calibrate; print the problem, the answer and the worst targets; write what was asked for."""
    _check_files(settings)
    if is_saved(settings.table("records")):
        return _calibrate_stored(settings, steps)
    problem = _problem(settings, steps)
    required = required_of(settings, problem)
    with steps.stage(_selecting(settings, problem.shape[1], _nouns(problem))) as show:
        callbacks = settings.callbacks(show)
        answer = l0np.calibrate(problem, **settings.arguments, **required, callbacks=callbacks)
    _print(problem, "", answer, "", *_table(answer.targets))
    return _written(settings, steps, answer, _without(required, answer.settings), _nouns(problem))


def _calibrate_stored(settings: Settings, steps: Steps) -> int:
    """Calibrate a saved matrix, on all ranks that share its columns; the first one prints and writes."""
    ranks = ranks_of_run()
    if ranks.rank:
        steps.silence()
    folder, k = settings.table("records"), settings.arguments.get("n_active")
    what = "calibrating all records" if k is None else f"selecting {k} records"
    with steps.stage(f"{what} of {folder.name}, {counted(ranks.size, 'rank')}") as show:
        answer = calibrate_stored(settings, ranks, show)
    if ranks.rank:
        return FINE
    ids = ColumnMatrix.stored_ids(folder)
    if ids is not None:
        answer = replace(answer, keys=replace(answer.keys, name="id", values=ids))
    _print(answer, "", *_table(answer.targets))
    return _written(settings, steps, answer, settings.arguments | {"seed": answer.seed}, "records")


def _selecting(settings: Settings, n_records: int, nouns: str) -> str:
    k = settings.arguments.get("n_active")
    return "calibrating all records" if k is None else f"selecting {k} of {n_records:,} {nouns}"


def _written(
    settings: Settings, steps: Steps, answer: Calibration, arguments: dict[str, Any], nouns: str
) -> int:
    """Write weights, targets and settings; return the exit status."""
    if settings.output is not None:
        answer.write(settings.output)
        file = settings_file(settings.output)
        settings.write(file, arguments)
        _print("", f"{settings.output}: {len(answer.indices):,} of {len(answer.weights):,} {nouns}")
        steps.line(f"--config {file} repeats this run")
    if settings.targets is not None:
        answer.targets.write(settings.targets)
    if settings.report is not None:
        with steps.stage(f"writing {settings.report}"):
            _write_report(settings, settings.report, answer)
    errors = np.abs(answer.targets.relative_error[answer.targets.asked])
    if not answer.converged:
        steps.line("the refit did not converge")
        return SHORT_OF_IT
    if settings.max_error is not None and errors.max(initial=0.0) > settings.max_error:
        worst = answer.targets[answer.targets.asked].worst(1).name[0]
        steps.line(f"{worst} is farther from its target than --max-error: {errors.max():.3%}")
        return SHORT_OF_IT
    return FINE


def path(settings: Settings, steps: Steps) -> int:
    """Select several numbers of records; print the path and, with a largest error, what suffices for it."""
    _check_files(settings)
    problem = _problem(settings, steps)
    required = required_of(settings, problem)
    with steps.stage("selecting records for each size") as show:
        found = l0np.l0_path(problem, **settings.arguments, **required, callbacks=[show])
    _print(problem, "", found)
    if settings.output is not None:
        found.write(settings.output)
        settings.write(settings_file(settings.output), _without(required, found.settings))
    if settings.max_error is None:
        return FINE
    enough = found.smallest_adequate(max_error=settings.max_error)
    if enough is None:
        steps.line(f"no size has all targets within {settings.max_error:.3%}")
        return SHORT_OF_IT
    _print("", f"enough for {settings.max_error:.3%}: {len(enough.indices):,} records")
    return FINE


def check(settings: Settings, steps: Steps) -> int:
    """Print the problem, and what keeps its targets from being met."""
    problem = _problem(settings, steps)
    with steps.stage("checking the targets"):
        found = l0np.check_targets(problem, **settings.arguments)
    _print(problem, "", found)
    return FINE if found.ok else SHORT_OF_IT


def info() -> int:
    """Print versions and devices, for reports of errors."""
    from l0np.backends import why_unavailable

    _print(f"l0np {l0np.__version__}", f"Python {platform.python_version()}, {platform.platform()}")
    _print(f"{os.cpu_count()} cores")
    for package in PACKAGES:
        installed = importlib.util.find_spec(package) is not None
        _print(f"{package:<9} {_version(package) if installed else 'not installed'}")
    _print(f"cuda      {why_unavailable(0) or 'available'}")
    return FINE


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "installed"  # under another name, as CuPy is


def _without(required: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments without what `--certainty` and `--at-least` stand for, of an entry a record."""
    return {name: value for name, value in arguments.items() if name not in required}


def _check_files(settings: Settings) -> None:
    """Refuse outputs that cannot be written, before any work."""
    for name in ("output", "targets"):
        file = getattr(settings, name)
        if file is not None:
            check_writable(f"--{name}", file)
    if settings.report is not None:
        check_report("--report", settings.report)


def _write_report(settings: Settings, path: Path, answer: Calibration) -> None:
    """Write the report, and the settings beside it if they are not beside the weights already."""
    file = settings_file(path if settings.output is None else settings.output)
    if settings.output is None:
        settings.write(file, answer.settings)
    command = settings.command_line(answer.seed, file)
    title = f"Calibration of {settings.table('records').name} to {settings.table('totals').name}"
    answer.report(path, title=title, repeat=command)


def _problem(settings: Settings, steps: Steps) -> MarginProblem:
    records, totals = settings.table("records"), settings.table("totals")
    with steps.stage(f"reading {records.name} and {totals.name}"):
        return l0np.margins(records, totals, **settings.margins)


def _table(targets: TargetTable) -> list[str]:
    """Return lines with the missed targets, the worst first, then those that were farthest before."""
    before = np.zeros(len(targets)) if targets.before is None else targets.before
    scale = np.where(targets.target == 0, 1.0, np.abs(targets.target))
    moved, missed = np.abs(before - targets.target) / scale, np.abs(targets.relative_error) * targets.missed
    order = np.lexsort((-moved, -missed))
    rows = [["", "target", "before", "after", "error"]]
    for i in order[:SHOWN]:
        numbers = [number(column[i]) for column in (targets.target, before, targets.estimate)]
        rows.append([shorten(targets.name[i], NAME_WIDTH), *numbers, _error(targets, int(i))])
    lines = columns(rows, (-len("target"), 16, 16, 16, 10))
    if len(targets) > SHOWN:
        lines.append(f"... and {len(targets) - SHOWN:,} more")
    return lines


def _error(targets: TargetTable, i: int) -> str:
    """Return the relative error of a target; 0.00% where it is met but for rounding."""
    return percentage(abs(targets.relative_error[i]) * np.sign(round(targets.relative_error[i], 4)), 2)


def _nouns(problem: MarginProblem) -> str:
    return f"{problem.keys.noun}s"


def _print(*things: Any) -> None:
    for thing in things:
        print(thing, flush=True)  # noqa: T201
