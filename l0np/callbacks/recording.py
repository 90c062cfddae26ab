"""`history`: the figures of all reports, kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.callbacks.dispatch import FitCallback
from l0np.callbacks.progress import Progress, RunningFit, StageProgress

COLUMNS: dict[str, Callable[[Progress], float]] = {
    "epoch": lambda progress: progress.epoch,
    "loss": lambda progress: progress.loss,
    "test_time_loss": lambda progress: progress.test_time_loss,
    "mean_error": lambda progress: progress.mean_error,
    "worst_error": lambda progress: progress.worst_error,
    "active_count": lambda progress: progress.active_count,
    "l0_penalty": lambda progress: progress.l0_penalty,
    "lambda_l0": lambda progress: progress.lambda_l0,
    "seconds": lambda progress: progress.seconds,
}


def history() -> History:
    """Return a callback that keeps the figures of all reports of training.

    It is a mapping from the names of its columns to arrays with one element for each report: "epoch", "loss",
    "test_time_loss", "mean_error" and "worst_error" (of the relative errors of fitted rows), "active_count",
    "l0_penalty", "lambda_l0" and "seconds"; see `Progress`. ``pandas.DataFrame(dict(history))`` makes a
    table. A fit that is resumed from a checkpoint continues the history that the checkpoint keeps.

    Examples
    --------
    >>> from l0np import SparseCalibrationWeights
    >>> from l0np.callbacks import history
    >>> reports = history()
    >>> model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    >>> _ = model.fit([[1.0, 1.0]], [2.0], epochs=4, verbose_freq=2, callbacks=[reports])
    >>> reports["epoch"], reports["active_count"]
    (array([2, 4]), array([2, 2]))
    """
    return History()


class History(FitCallback, Mapping[str, NDArray[Any]]):
    """The callback that `history` returns."""

    def __init__(self) -> None:
        self._rows: list[list[float]] = []

    def start(self, fit: RunningFit, memory: Mapping[str, Any] | None) -> None:
        """Take over the reports that a checkpoint has kept."""
        if memory is not None:
            columns = [np.asarray(memory[name]).tolist() for name in COLUMNS]
            self._rows = [list(row) for row in zip(*columns, strict=True)]

    def __call__(self, progress: Progress | StageProgress) -> None:
        """Note the figures of a report."""
        if isinstance(progress, Progress):
            self._rows.append([read(progress) for read in COLUMNS.values()])

    def memory(self) -> dict[str, Any]:
        """Return the columns."""
        return dict(self)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column."""
        place = list(COLUMNS).index(name) if name in COLUMNS else None
        if place is None:
            raise KeyError(f"{name!r} is not one of {', '.join(COLUMNS)}")
        return np.array([row[place] for row in self._rows])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns."""
        return iter(COLUMNS)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(COLUMNS)

    def __bool__(self) -> bool:
        """Return whether there are reports."""
        return bool(self._rows)

    def __repr__(self) -> str:
        """Show how many reports there are, and the columns."""
        return f"History({len(self._rows)} reports of {', '.join(COLUMNS)})"
