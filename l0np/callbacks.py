"""What a running fit tells: `Progress`, computed only where it is asked for, and the printed reports made of it."""

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
from l0np.engine import Backend, Problem, State, test_time_weights
from l0np.inputs import validation
from l0np.maths import l0_penalty, l2_penalty
from l0np.targets import Targets, TargetTable, metrics

CSV_HEADER = ("epoch", "loss", "target_name", "target", "estimate", "error", "abs_error", "rel_abs_error")
LONGEST_LINE = 1 << 20  # bytes at the end of a log that are searched for the end of its last whole line


class Progress:
    """A report of a running fit. Each value is computed when it is first read.

    Attributes
    ----------
    epoch : int
        Epochs trained so far, over all fits of the model.
    data_loss : float
        Loss of the data with the gates just drawn for the next epoch, without penalties.
    targets : Targets
        What the rows are to add up to, with their scales and names.
    """

    def __init__(self, backend: Backend, problem: Problem, state: State, data_loss: float) -> None:
        self.epoch = state.epoch
        self.data_loss = data_loss
        self._backend, self._problem, self._state = backend, problem, state
        self._gates = problem.gates(state.epoch) if problem.gates else None
        self.targets = problem.targets or Targets.plain(problem.target, np.ones(len(problem.target)))

    def __repr__(self) -> str:
        """Tell epoch, loss and active count."""
        return f"Progress(epoch={self.epoch}, loss={self.loss:.6g}, active_count={self.active_count})"

    @cached_property
    def l0_penalty(self) -> float:
        """Expected number of open gates; 0 without gates."""
        return float(l0_penalty(self._state.log_alpha.value, self._gates)[0]) if self._gates else 0.0

    @cached_property
    def loss(self) -> float:
        """The objective: data loss and penalties."""
        problem = self._problem
        l0 = self._state.lambda_l0 * self.l0_penalty if self._state.lambda_l0 else 0.0
        l2 = problem.lambda_l2 * float(l2_penalty(self._state.theta.value, problem.link)[0]) if problem.lambda_l2 else 0.0
        return self.data_loss + l0 + l2

    @cached_property
    def weights(self) -> NDArray[Any]:
        """Test-time weights, shape (n_columns,)."""
        weights = test_time_weights(self._state.theta.value, self._state.log_alpha.value, self._problem.link, self._gates)
        return np.asarray(weights)

    @cached_property
    def active_count(self) -> int:
        """Number of weights that are not 0."""
        return int(np.count_nonzero(self.weights))

    @cached_property
    def estimates(self) -> NDArray[np.float64]:
        """What the test-time weights predict for each row, shape (n_rows,)."""
        backend = self._backend
        with backend.active():
            estimates = backend.to_numpy(backend.matvec(self._problem.matrix, backend.asarray(self.weights)))
        return estimates if self._state.intercept is None else estimates + self._state.intercept.value

    @cached_property
    def relative_errors(self) -> NDArray[np.float64]:
        """``|target - estimate|`` of each row, held out or not, over its given scale or ``|target + 1|``, shape (n_rows,)."""
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
    """Called at each report epoch; True stops the fit."""

    def __call__(self, progress: Progress) -> bool | None:
        """Look at the progress; return True to stop."""


def calibration_report(groups: NDArray[Any] | None) -> Callable[[Progress], None]:
    """Return a callback that prints two lines: errors, loss and active count; then the spread of active weights.

    Where targets are held out, a third line tells their errors, which are not in the first.
    """

    def report(progress: Progress) -> None:
        fitted, n_columns, active = progress.fitted, len(progress.weights), progress.active_count
        errors, held_out = progress.relative_errors[fitted], progress.relative_errors[~fitted]
        if groups is None:
            mean = f"mean_error={errors.mean():.4%}"
        else:
            mean = f"mean_group_mare={metrics.mean_group_error(errors, groups[fitted]):.4%}"
        print(  # noqa: T201
            f"Epoch {progress.epoch:4d}: {mean}, max_error={errors.max():.1%}, total_loss={progress.loss:.3f}, "
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


def csv_log(path: str | PathLike[str], *, worst: int | None = None, append: bool = False) -> Callable[[Progress], None]:
    """Return a callback that writes, at each report, a row for each target to a CSV file.

    The header is ``epoch,loss,target_name,target,estimate,error,abs_error,rel_abs_error``; error is ``estimate - target``, and
    rel_abs_error is the absolute error over `target_scales` where given, else over ``max(|target|, 1)``. The rows of a report
    are written at once and the file is closed after them, so that a reader never waits for half of them.

    Parameters
    ----------
    path : str or path
        The file; it is made, with its header, by this call.
    worst : int, optional
        Write only so many rows at each report, those with the largest relative errors, the worst first. All by default: with
        many targets and frequent reports such files become large.
    append : bool
        Go on with a file that exists instead of starting it anew; a last line that was cut off is dropped.

    Raises
    ------
    OSError
        Where the file cannot be written.

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
    n_rows = None if worst is None else validation.whole_number("worst", worst, at_least=1)
    if validation.flag("append", append) and file.exists():
        _drop_unfinished_line(file)
    else:
        file.write_bytes(b"")
    if not file.stat().st_size:
        _append_rows(file, [CSV_HEADER])

    def log(progress: Progress) -> None:
        table = progress.target_table if n_rows is None else progress.target_table.worst(n_rows)
        columns = (table.target, table.estimate, table.error, np.abs(table.error), np.abs(table.relative_error))
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
    shares = metrics.weight_histogram(active) / active.size
    return f"[{', '.join(f'{name}: {share:.1%}' for name, share in zip(metrics.WEIGHT_CLASSES, shares, strict=True))}]"
