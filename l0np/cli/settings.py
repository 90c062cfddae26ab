"""Settings of a run: from the command line and from a file, and written beside the output."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import l0np
from l0np.callbacks import checkpoint
from l0np.errors import InputError
from l0np.inputs import did_you_mean, validation
from l0np.tables import write_text

FILES = ("records", "totals", "output", "targets", "report")  # paths, relative to the folder of the settings
MARGINS = ("weight", "id", "unit", "missing", "uncovered")  # arguments that have an option
ARGUMENTS = ("n_active", "method", "spread", "distance", "bounds", "total", "epochs", "device", "seed")
CHECKPOINT_SECONDS = 30.0
KEYS = ("l0np", "command", *FILES, "margins", "arguments", "certainty", "at_least", "max_error")


@dataclass
class Settings:
    """What a run needs; None and missing keys are defaults.

    Attributes
    ----------
    command : str
        "calibrate", "path" or "check".
    records, totals, output, targets, report : Path or None
        The files that are read and written.
    margins : dict
        The arguments of `margins`.
    arguments : dict
        The arguments of `calibrate`, `l0_path` or `check_targets`.
    max_error : float or None
        The largest relative error that is good enough.
    certainty : str or None
        What is always selected: a column of the records that marks it, or a file of identifiers.
    at_least : list of str
        The least numbers to be selected, such as "region:north=5".
    checkpoint : Path or None
        A folder for checkpoints; not written to files of settings.
    resume : bool
        Whether to go on from what is in that folder.
    """

    command: str
    records: Path | None = None
    totals: Path | None = None
    output: Path | None = None
    targets: Path | None = None
    report: Path | None = None
    margins: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    max_error: float | None = None
    certainty: str | None = None
    at_least: list[str] = field(default_factory=list)
    checkpoint: Path | None = None
    resume: bool = False

    @classmethod
    def read(cls, file: Path, command: str) -> Self:
        """Read what `write` wrote.

        Raises
        ------
        InputError
            If there is no such file, or it holds something else.
        """
        try:
            given = json.loads(file.read_text(encoding="utf-8"))
        except OSError as reason:
            raise InputError(f"--config: cannot read {file}: {reason.strerror}") from reason
        except ValueError as reason:
            raise InputError(f"--config: {file} is not JSON: {reason}") from reason
        if not isinstance(given, dict):
            raise InputError(
                f"--config: {file} does not hold settings, as l0np writes them beside its output"
            )
        for key in given:
            if key not in KEYS:
                raise InputError(f'--config: {file} has the unknown key "{key}"{did_you_mean(key, KEYS)}')
        if given.get("command", command) != command:
            raise InputError(f"--config: {file} is of l0np {given['command']}, not of l0np {command}")
        kinds = {"margins": dict, "arguments": dict, "certainty": str, "at_least": list}
        for key, kind in {**dict.fromkeys(FILES, str), **kinds}.items():
            if given.get(key) is not None and not isinstance(given[key], kind):
                raise InputError(f'--config: "{key}" in {file} must be {_KIND[kind]}, got {given[key]!r}')
        if given.get("max_error") is not None:
            given["max_error"] = validation.real_number(
                f"max_error in {file}", given["max_error"], at_least=0.0
            )
        paths = {key: file.parent / given[key] for key in FILES if given.get(key) is not None}
        rest = {key: given[key] for key in (*kinds, "max_error") if given.get(key) is not None}
        rest["at_least"] = [str(one) for one in rest.get("at_least", [])]
        beside = file.parent / str(rest.get("certainty"))
        if beside.is_file():
            rest["certainty"] = str(beside)
        return cls(command, **paths, **rest)

    def updated(self, files: dict[str, Path | None], **options: dict[str, Any]) -> None:
        """Put what the command line gave in the place of what was there."""
        for name, path in files.items():
            if path is not None:
                setattr(self, name, path)
        for name, given in options.items():
            getattr(self, name).update({key: value for key, value in given.items() if value is not None})

    def callbacks(self, show: Any) -> list[Any]:
        """Return the callbacks of a run: what shows its steps and, if asked, what writes checkpoints."""
        if self.checkpoint is None:
            return [show]
        return [show, checkpoint(self.checkpoint, seconds=CHECKPOINT_SECONDS, resume=self.resume)]

    def required(self, certainty: str | None, at_least: list[str] | None) -> None:
        """Put what the command line requires of a selection in the place of what was there."""
        self.certainty = self.certainty if certainty is None else certainty
        self.at_least = at_least or self.at_least

    def table(self, name: str) -> Path:
        """Return the file of records or of totals.

        Raises
        ------
        InputError
            If neither the command line nor the settings name it.
        """
        path: Path | None = getattr(self, name)
        if path is None:
            usage = f"l0np {self.command} RECORDS TOTALS, two files of CSV or Parquet"
            raise InputError(f"the file of {name} is missing: {usage}")
        return path

    def write(self, file: Path, arguments: dict[str, Any]) -> None:
        """Write what repeats the run: `arguments` are those of the answer, seed included."""
        folder = file.parent.resolve()
        paths = {
            key: os.path.relpath(Path(getattr(self, key)).resolve(), folder)
            for key in FILES
            if getattr(self, key) is not None
        }
        content: dict[str, Any] = {"l0np": l0np.__version__, "command": self.command, **paths}
        content |= {"margins": self.margins, "arguments": arguments, "max_error": self.max_error}
        if self.certainty is not None:
            is_file = Path(self.certainty).is_file()
            certainty = os.path.relpath(Path(self.certainty).resolve(), folder) if is_file else self.certainty
            content["certainty"] = certainty
        if self.at_least:
            content["at_least"] = self.at_least
        write_text(file, json.dumps(content, indent=2) + "\n")

    def command_line(self, seed: int, config: Path) -> str:
        """Return the command that repeats a run with its seed.

        `config` is the file of settings that the run has written, for settings that have no option.
        """
        options = {name: self.arguments.get(name) for name in ARGUMENTS} | {"seed": seed}
        if set(self.margins) - set(MARGINS) or set(self.arguments) - set(ARGUMENTS):
            return shlex.join(["l0np", self.command, "--config", str(config)])
        if options["bounds"] is not None:
            options["bounds"] = ",".join("none" if end is None else str(end) for end in options["bounds"])
        files = {name: getattr(self, name) for name in ("output", "targets", "report")}
        given = {**self.margins, **options, "max_error": self.max_error, **files}
        words = ["l0np", self.command, str(self.records), str(self.totals)]
        for name, value in given.items():
            words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
        words += [] if self.certainty is None else ["--certainty", self.certainty]
        words += [word for one in self.at_least for word in ("--at-least", one)]
        return shlex.join(words)


_KIND = {str: "a string", dict: "an object", list: "a list"}


def settings_file(output: Path) -> Path:
    """Return the file of settings beside an output.

    Examples
    --------
    >>> settings_file(Path("weights.csv")).name
    'weights.settings.json'
    """
    return output.with_suffix(".settings.json")


def bounds_of(text: str | None) -> tuple[float | None, float | None] | None:
    """Return the bounds that "0.1,10", "0.1,none" or "0.1," stands for.

    Examples
    --------
    >>> bounds_of("0.1,10"), bounds_of("none,3"), bounds_of(None)
    ((0.1, 10.0), (None, 3.0), None)
    """
    if text is None:
        return None
    parts = [part.strip().lower() for part in text.split(",")]
    try:
        lower, upper = (None if part in ("", "none") else float(part) for part in parts)
    except ValueError:
        wanted = "two numbers, smallest and largest g-weight, such as 0.1,10 or 0.1,none"
        raise InputError(f'--bounds must be {wanted}, got "{text}"') from None
    return lower, upper


def error_of(text: str | None) -> float | None:
    """Return the relative error that "0.01" or "1%" stands for.

    Examples
    --------
    >>> error_of("1%"), error_of("0.01")
    (0.01, 0.01)
    """
    if text is None:
        return None
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise InputError(f'--max-error must be a relative error, such as 0.01 or 1%, got "{text}"') from None
    return validation.real_number("--max-error", value, at_least=0.0)


def sizes_of(text: str | None) -> list[int] | None:
    """Return the numbers of records that "100,200,400" stands for.

    Examples
    --------
    >>> sizes_of("100,200,400")
    [100, 200, 400]
    """
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f'--n-active must be numbers of records, such as 100,200,400, got "{text}"'
        ) from None
