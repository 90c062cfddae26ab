"""The lines that repeat a run, its settings in short, and the versions it ran on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Mapping
from typing import Any

from l0np._text import shorten
from l0np.report.answer import ReportedAnswer

PACKAGES = ("l0np", "numpy", "scipy", "numba")
MOST_ELEMENTS = 8  # of a list that is written out
WIDTH = 200  # characters of a value that are written out


def python_lines(answer: ReportedAnswer) -> str:
    """Return the lines of Python that give an answer again, from the same matrix and targets, or tables."""
    from_tables, noun = answer.keys.margins is not None, answer.keys.noun
    size = f"{len(answer.targets):,} targets, {len(answer.weights):,} {noun}s"
    if from_tables:
        lines = [f"# records and totals: the two tables of this run ({size})", "import l0np", ""]
        lines += ["problem = l0np.margins(records, totals)  # with the arguments of this run"]
    else:
        lines = [f"# M, y: the matrix and the targets of this run ({size})", "import l0np", ""]
    lines += ["answer = l0np.calibrate(", "    problem," if from_tables else "    M,", *[]]
    lines += [] if from_tables else ["    y,"]
    for name, value in answer.settings.items():
        if is_long(value):
            lines.append(f"    {name}={name},  # {in_short(value)}, as in this run")
        else:
            lines.append(f"    {name}={value!r},")
    return "\n".join([*lines, ")", 'answer.report("report.html")'])


def settings_rows(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings with their values in short."""
    return [(name, in_short(value)) for name, value in settings.items()]


def is_long(value: Any) -> bool:
    """Return whether a value is too long to be written out, or has no literal."""
    if isinstance(value, Mapping | list | tuple):
        parts = list(value.values()) if isinstance(value, Mapping) else list(value)
        return len(parts) > MOST_ELEMENTS or any(is_long(part) for part in parts)
    return not isinstance(value, str | int | float | bool | None) or len(repr(value)) > WIDTH


def in_short(value: Any) -> str:
    """Return a value in short.

    Examples
    --------
    >>> in_short([0.05, None]), in_short("auto"), in_short([1.5] * 2000), in_short({"north": 3})
    ('0.05, none', 'auto', '2,000 values', 'north: 3')
    """
    if isinstance(value, Mapping):
        if len(value) > MOST_ELEMENTS:
            return f"{len(value):,} values"
        return ", ".join(f"{key}: {in_short(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        if len(value) > MOST_ELEMENTS:
            return f"{len(value):,} values"
        return ", ".join(in_short(one) for one in value)
    if value is None:
        return "none"
    return shorten(str(value) if isinstance(value, str | int | float) else type(value).__name__, WIDTH)


def versions() -> list[tuple[str, str]]:
    """Return the versions of what the numbers depend on."""
    found = [(name, _version(name)) for name in PACKAGES]
    return [*found, ("Python", platform.python_version()), ("system", platform.platform(terse=True))]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
