"""What one run on a CUDA device needs beside its state: buffers, constants, clock and graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from l0np.backends.cuda.matrix import CudaMatrix
from l0np.backends.cuda.source import Clock
from l0np.backends.numpy import N_CONSTANTS, epoch_constants
from l0np.engine import Problem


@dataclass(eq=False)
class CudaRun:
    """One run on a matrix: made by `start`, kept in the state, changed by every epoch."""

    clock: Any  # (len(Clock),), int64
    sums: Any  # (rows,), uint64, fixed-point: of the visit to the columns; 0 between any two visits
    gradient: Any  # (rows,), float64: the derivative of the loss with respect to each prediction
    scaled: Any  # (rows,), of the matrix's dtype: the gradient for the scaled rows
    partial_sums: Any  # (blocks,), float64: the gradient's sum over each block of rows, for the intercept
    schedule: Any  # (epochs, N_CONSTANTS), of the matrix's dtype
    for_stored: Any  # (rows,), float64: the derivative by each row's stored total; None if none is folded
    scheduled: range = range(0)  # the epochs in the schedule
    # Whether `gradient`, `scaled` and `partial_sums` belong to the current prediction: if the kernels know
    # the loss, a visit to the columns writes them and `row_step` uses them up.
    gradient_written: bool = False
    unattended: bool = False  # whether visits that must be repaired leave that to the visits that follow
    # The loop's body as CUDA graphs, by number of epochs; None if it has run only once, without a graph
    graphs: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def on(cls, matrix: CudaMatrix, epoch: int, most_scheduled: int) -> CudaRun:
        """Return a run that starts in `epoch`, with room for the constants of so many epochs."""
        cupy, n_rows = matrix.cupy, matrix.shape[0]
        return cls(
            clock=matrix.clock(epoch),
            sums=cupy.zeros(n_rows, np.uint64),
            gradient=cupy.empty(n_rows, np.float64),
            scaled=cupy.empty(n_rows, matrix.dtype),
            partial_sums=cupy.empty(matrix.row_blocks, np.float64),
            schedule=cupy.empty((most_scheduled, N_CONSTANTS), matrix.dtype),
            for_stored=cupy.empty(n_rows, np.float64) if matrix.links else None,
        )

    @property
    def first_bad(self) -> Any:
        """The first epoch with a number that is not finite, a view of the clock of shape (1,)."""
        return self.clock[Clock.FIRST_BAD : Clock.FIRST_BAD + 1]

    @property
    def counts(self) -> Any:
        """What was gathered, scattered and closed, a view of the clock of shape (1, 3)."""
        return self.clock[Clock.GATHERED : Clock.CLOSED + 1].reshape((1, 3))

    def set_constants(
        self, problem: Problem, lambda_l0: float, first_epoch: int, first_step: int, n_epochs: int = 1
    ) -> None:
        """Move the constants of these epochs to the device, unless they are there."""
        there = first_epoch in self.scheduled and first_epoch + n_epochs <= self.scheduled.stop
        if there or self.unattended:  # within a graph nothing is moved: `repeat` has done so
            return
        dtype = np.dtype(self.schedule.dtype)
        rows = epoch_constants(problem, lambda_l0, first_epoch, first_step, n_epochs, dtype)
        self.schedule[:n_epochs].set(rows)
        start = self.clock[Clock.SCHEDULE_START : Clock.SCHEDULE_START + 1]
        start.set(np.array([first_epoch], np.int64))
        self.scheduled = range(first_epoch, first_epoch + n_epochs)
