"""Steps of a run on stderr: with a running clock on a terminal, as plain lines in a pipe and in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from l0np.errors import InputError


class Steps:
    """Says what is being done, and how long it took.

    Parameters
    ----------
    log : Path, optional
        A file to which the lines are added, each with the time of day.

    Raises
    ------
    InputError
        If the log cannot be written.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log, self._start = log, time.monotonic()
        if log is not None:
            try:
                log.open("a").close()
            except OSError as reason:
                raise InputError(f"cannot write the log {log}: {reason.strerror}") from reason

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        """Say what is being done, and afterwards how long that took."""
        start = time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            shown = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
                progress.add_task(what, total=None)
                yield
        else:
            yield
        self.line(f"{what}: {time.monotonic() - start:.1f} s")

    def line(self, text: str) -> None:
        """Write a line to stderr and to the log."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
