"""Reports of a running fit: `Progress`, which callbacks get, and how it is printed and logged."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted
from l0np.engine import Backend, Problem, State, TrainingProgress
from l0np.inputs import validation
from l0np.targets import Targets, TargetTable, metrics

CSV_HEADER = ("epoch", "loss", "target_name", "target", "estimate", "error", "abs_error", "rel_abs_error")
LONGEST_LINE = 1 << 20  # bytes at the end of a log that are searched for the end of its last complete line


class Progress(TrainingProgress):
    """A report of a running fit, as callbacks get it. Each value is computed when it is first read.

    Attributes
    ----------
    epoch : int
        Epochs trained so far, over all fits of the model.
    data_loss : float
        Loss of the data with the gates just drawn for the next epoch, without penalties.
    loss : float
        The objective: data loss and penalties.
    l0_penalty : float
        Expected number of open gates; 0 without gates.
    weights : array of shape (n_columns,)
        Test-time weights.
    active_count : int
        Number of weights that are not 0.
    estimates : array of shape (n_rows,)
        What the test-time weights predict for each row.
    targets : Targets
        The targets, with their scales and names; in regression the observations.

    Examples
    --------
    >>> from l0np import SparseCalibrationWeights
    >>> model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    >>> def show(progress):
    ...     print(progress.epoch, progress.active_count, progress.estimates)
    >>> _ = model.fit([[1.0, 1.0]], [2.0], epochs=4, verbose_freq=2, callbacks=[show])
    2 2 [2.]
    4 2 [2.]
    """

    def __init__(
        self, backend: Backend, problem: Problem, state: State, data_loss: float, targets: Targets
    ) -> None:
        super().__init__(backend, problem, state, data_loss)
        self.targets = targets

    @cached_property
    def relative_errors(self) -> NDArray[np.float64]:
        """Absolute errors over the given scales or ``|target + 1|``, shape (n_rows,), also if held out."""
        return metrics.relative_errors(self.targets.value, self.estimates, self.targets.given_scale)

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Whether each row is fitted, shape (n_rows,); False for targets that are excluded."""
        return self.targets.fitted

    @cached_property
    def target_table(self) -> TargetTable:
        """Target, estimate and errors of each row, by name."""
        return TargetTable.of(self.targets, self.estimates)


class Callback(Protocol):
    """What is called at each report; True stops the fit."""

    def __call__(self, progress: Progress) -> bool | None:
        """Look at the progress; return True to stop."""


def calibration_report(groups: NDArray[Any] | None) -> Callable[[Progress], None]:
    """Return a callback that prints errors, loss and active count, then the spread of active weights.

    If targets are held out, a third line shows their errors, which the first leaves out.
    """

    def report(progress: Progress) -> None:
        fitted, n_columns, active = progress.fitted, len(progress.weights), progress.active_count
        errors, held_out = progress.relative_errors[fitted], progress.relative_errors[~fitted]
        if groups is None:
            mean = f"mean_error={errors.mean():.4%}"
        else:
            mean = f"mean_group_mare={metrics.mean_group_error(errors, groups[fitted]):.4%}"
        print(  # noqa: T201
            f"Epoch {progress.epoch:4d}: {mean}, max_error={errors.max():.1%}, "
            f"total_loss={progress.loss:.3f}, "
            f"active={active:4d}/{n_columns} ({1 - active / n_columns:.1%} sparse)\n"
            f"         Weight dist: {_weight_distribution(progress.weights[progress.weights > 0])}",
            flush=True,
        )
        if held_out.size:
            print(  # noqa: T201
                f"         Held out: {counted(held_out.size, 'target')}, mean_error={held_out.mean():.4%}, "
                f"max_error={held_out.max():.1%}",
                flush=True,
            )

    return report


def csv_log(
    path: str | PathLike[str], *, worst: int | None = None, append: bool = False
) -> Callable[[Progress], None]:
    """Return a callback that writes a row for each target to a CSV file at each report.

    The header is ``epoch,loss,target_name,target,estimate,error,abs_error,rel_abs_error``. The error is
    ``estimate - target``; rel_abs_error is its absolute value over `target_scales` where given, else over
    ``|target|``, as in `TargetTable`. The rows of a report are written at once and the file is then closed,
    so that a reader of the file never sees half a report.

    Parameters
    ----------
    path : str or path
        The file; this call creates it, with its header.
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
    file = Path(path)
    n_rows = None if worst is None else validation.integer("worst", worst, at_least=1)
    if validation.flag("append", append) and file.exists():
        _drop_unfinished_line(file)
    else:
        file.write_bytes(b"")
    if not file.stat().st_size:
        _append_rows(file, [CSV_HEADER])

    def log(progress: Progress) -> None:
        table = progress.target_table if n_rows is None else progress.target_table.worst(n_rows)
        errors = table.error, np.abs(table.error), np.abs(table.relative_error)
        columns = (table.target, table.estimate, *errors)
        head = (str(progress.epoch), f"{progress.loss:.9g}")
        rows = zip(table.name.tolist(), *(column.tolist() for column in columns), strict=True)
        _append_rows(file, [(*head, name, *(f"{value:.9g}" for value in values)) for name, *values in rows])

    return log


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


def regression_report(progress: Progress) -> None:
    """Print one line: loss, its two parts and the active count."""
    print(  # noqa: T201
        f"Epoch {progress.epoch:4d}: loss={progress.loss:.4f}, mse={progress.data_loss:.4f}, "
        f"l0={progress.l0_penalty:.2f}, active={progress.active_count}",
        flush=True,
    )


def _weight_distribution(active: NDArray[Any]) -> str:
    if not active.size:
        return "[no active weights]"
    proportions = metrics.weight_histogram(active) / active.size
    parts = [f"{name}: {part:.1%}" for name, part in zip(metrics.WEIGHT_CLASSES, proportions, strict=True)]
    return f"[{', '.join(parts)}]"
