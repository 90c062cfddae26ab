"""`csv_log`: the errors of each report in a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from l0np.callbacks.dispatch import FitCallback
from l0np.callbacks.progress import Progress, RunningFit, StageProgress
from l0np.inputs import validation

CSV_HEADER = ("epoch", "loss", "target_name", "target", "estimate", "error", "abs_error", "rel_abs_error")
LONGEST_LINE = 1 << 20  # bytes at the end of a log that are searched for the end of its last complete line


def csv_log(
    path: str | PathLike[str], *, worst: int | None = None, append: bool = False
) -> Callable[[Progress | StageProgress], None]:
    """Return a callback that writes a row for each target to a CSV file at each report.

    The header is ``epoch,loss,target_name,target,estimate,error,abs_error,rel_abs_error``. The error is
    ``estimate - target``; rel_abs_error is its absolute value over `target_scales` where given, else over
    ``|target|``, as in `TargetTable`. The rows of a report are written at once and the file is then closed,
    so that a reader of the file never sees half a report. Outside of training the name of the stage stands
    for the epoch, and the loss is empty; stages without estimates are not logged.

    When a fit is resumed from a checkpoint, the file is continued whatever `append` says: rows of later
    epochs than the checkpoint's, which are going to be trained again, are cut off.

    Parameters
    ----------
    path : str or path
        The file. This call creates it, with its header; a file that exists is erased at the first report.
    worst : int, optional
        Write only this many rows at each report, those with the largest relative errors, the worst first. By
        default all are written: with many targets and frequent reports the file becomes large.
    append : bool
        Continue an existing file instead of starting a new one; an incomplete last line is dropped.

    Returns
    -------
    callable
        The callback.

    Raises
    ------
    OSError
        If the file cannot be written.
    InputError, InputTypeError
        For other arguments that cannot be used.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from l0np import SparseCalibrationWeights
    >>> from l0np.callbacks import csv_log
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "log.csv"
    ...     model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    ...     _ = model.fit([[1.0, 1.0]], [2.0], epochs=2, verbose_freq=1, callbacks=[csv_log(path)])
    ...     print(path.read_text())
    epoch,loss,target_name,target,estimate,error,abs_error,rel_abs_error
    1,0,target 0,2,2,0,0,0
    2,0,target 0,2,2,0,0,0
    <BLANKLINE>
    """
    n_rows = None if worst is None else validation.integer("worst", worst, at_least=1)
    return CsvLog(Path(path), n_rows, validation.flag("append", append))


class CsvLog(FitCallback):
    """The callback that `csv_log` returns."""

    first_rank_only = True

    def __init__(self, file: Path, n_rows: int | None, append: bool) -> None:
        self._file, self._n_rows = file, n_rows
        with file.open("ab"):  # creates it, and fails at once if it cannot be written
            pass
        if append:
            _drop_unfinished_line(file)
        self._is_other = not append and file.stat().st_size > 0  # the log of an earlier run
        self._write_header()

    def start(self, fit: RunningFit, memory: Mapping[str, Any] | None) -> None:
        """Continue the log of a fit that is resumed, up to the epoch of its checkpoint."""
        if fit.resumed_from is not None:
            self._is_other = False
            _drop_unfinished_line(self._file)
            _drop_epochs_after(self._file, fit.start_epoch)
            self._write_header()

    def __call__(self, progress: Progress | StageProgress) -> None:
        """Write the rows of a report."""
        if self._is_other:
            self._file.write_bytes(b"")
            self._is_other = False
            self._write_header()
        table = progress.target_table
        if table is None:
            return
        table = table if self._n_rows is None else table.worst(self._n_rows)
        errors = table.error, np.abs(table.error), np.abs(table.relative_error)
        columns = (table.target, table.estimate, *errors)
        if isinstance(progress, StageProgress):
            head = (progress.label, "")
        else:
            head = (str(progress.epoch), f"{progress.loss:.9g}")
        rows = zip(table.name.tolist(), *(column.tolist() for column in columns), strict=True)
        lines = [(*head, name, *(f"{value:.9g}" for value in values)) for name, *values in rows]
        _append_rows(self._file, lines)

    def _write_header(self) -> None:
        if not self._file.stat().st_size:
            _append_rows(self._file, [CSV_HEADER])


def _append_rows(file: Path, rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with file.open("a", encoding="utf-8", newline="") as out:
        out.write(text.getvalue())


def _drop_unfinished_line(file: Path) -> None:
    with file.open("r+b") as out:
        tail_start = max(0, file.stat().st_size - LONGEST_LINE)
        out.seek(tail_start)
        out.truncate(tail_start + out.read().rfind(b"\n") + 1)


def _drop_epochs_after(file: Path, epoch: int) -> None:
    """Cut the file after its last row that is not of a later epoch."""
    position = end = 0
    with file.open("r+b") as log:
        row = b""
        for line in log:
            position += len(line)
            row += line
            if row.count(b'"') % 2:  # a name in quotes goes on in the next line
                continue
            first, row = row.partition(b",")[0], b""
            if not first.isdigit() or int(first) <= epoch:
                end = position
        log.truncate(end)
