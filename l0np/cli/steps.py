"""Steps of a run on stderr: with a running clock on a terminal, as plain lines in a pipe and in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from l0np.callbacks import Progress, StageProgress
from l0np.errors import InputError


class Steps:
    """Says what is being done, and how long it took.

    Parameters
    ----------
    log : Path, optional
        A file to which the lines are added, each with the time of day.
    min_seconds : float
        Least time between two lines that say how far a step has come.

    Raises
    ------
    InputError
        If the log cannot be written.
    """

    def __init__(self, log: Path | None = None, min_seconds: float = 5.0) -> None:
        self._log, self._min_seconds, self._is_silent = log, min_seconds, False
        if log is not None:
            try:
                log.open("a").close()
            except OSError as reason:
                raise InputError(f"cannot write the log {log}: {reason.strerror}") from reason

    def silence(self) -> None:
        """Say nothing from now on, because another rank does."""
        self._is_silent = True

    @contextmanager
    def stage(self, what: str) -> Iterator[Callable[[Progress | StageProgress], None]]:
        """Say what is being done, and afterwards how long that took.

        What it gives is a callback for the functions of l0np: it shows how far they have come, and the time
        left where that is known.
        """
        start = time.monotonic()
        if sys.stderr.isatty() and not self._is_silent:
            with _bar(what) as show:
                yield show
        else:
            yield self._lines(what)
        self.line(f"{what}: {time.monotonic() - start:.1f} s")

    def _lines(self, what: str) -> Callable[[Progress | StageProgress], None]:
        """Return a callback that writes a line now and then."""
        written = time.monotonic()

        def show(progress: Progress | StageProgress) -> None:
            nonlocal written
            if time.monotonic() - written >= self._min_seconds:
                written = time.monotonic()
                self.line(f"{what}: {_label(progress)}{_left(progress)}")

        return show

    def line(self, text: str) -> None:
        """Write a line to stderr and to the log."""
        if self._is_silent:
            return
        print(text, file=sys.stderr, flush=True)  # noqa: T201
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[Progress | StageProgress], None]]:
    """Show a bar on the terminal, with the time left."""
    from rich import progress as rich
    from rich.console import Console

    columns = (rich.SpinnerColumn(), rich.TextColumn("{task.description}"), rich.BarColumn(20))
    clocks = (rich.TimeElapsedColumn(), rich.TextColumn("{task.fields[left]}"))
    with rich.Progress(*columns, *clocks, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, left="")

        def show(progress: Progress | StageProgress) -> None:
            part = progress.fraction
            bar.update(
                task,
                description=f"{what}: {_label(progress)}",
                total=None if part is None else 1.0,
                completed=part or 0.0,
                left=_left(progress),
            )

        yield show


def _label(progress: Progress | StageProgress) -> str:
    return progress.stage if isinstance(progress, Progress) else progress.label


def _left(progress: Progress | StageProgress) -> str:
    """Return the time left of a stage in words, if it can be estimated."""
    part = progress.fraction
    if not part or part >= 1:
        return ""
    seconds = progress.seconds * (1 - part) / part
    return f", {part:.0%}, {seconds:,.0f} s left"
