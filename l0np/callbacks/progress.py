"""What callbacks get: `Progress` while gates are trained, `StageProgress` in the other stages of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l0np.engine import Backend, Checkpoint, Communicator, Problem, Serial, State, TrainingProgress
from l0np.targets import Targets, TargetTable, metrics


@dataclass(frozen=True)
class RunningFit:
    """The fit that a report belongs to, and how its model's state is read and replaced; the model makes it.

    Attributes
    ----------
    first_epoch : int
        Epochs that the model had trained before the fit; of a resumed fit, before the interrupted one.
    start_epoch : int
        The epoch at which this training starts; more than `first_epoch` if it is resumed.
    last_epoch : int
        The epoch at which the fit ends unless a callback stops it.
    resumed_from : Path or None
        The folder of the checkpoints from which an interrupted fit is resumed.
    state_dict : callable
        Returns the model's `state_dict` for a state.
    restore : callable
        Loads a `state_dict` into the model.
    checkpoint : callable
        Returns the checkpoint of a state.
    began : float
        When the training began, on the clock of `time.monotonic`.
    ranks : Communicator
        The ranks that share the columns.
    """

    first_epoch: int
    start_epoch: int
    last_epoch: int
    resumed_from: Path | None
    state_dict: Callable[[State], dict[str, Any]]
    restore: Callable[[Mapping[str, Any]], None]
    checkpoint: Callable[[State], Checkpoint]
    began: float = field(default_factory=time.monotonic)
    ranks: Communicator = field(default_factory=Serial)


class Progress(TrainingProgress):
    """A report of a running fit, as callbacks get it. Each value is computed when it is first read.

    Attributes
    ----------
    stage : str
        Always "training".
    epoch : int
        Epochs trained so far, over all fits of the model.
    last_epoch : int
        The epoch at which the fit ends, unless a callback stops it.
    seconds : float
        Time since the training began or was resumed.
    data_loss : float
        Loss of the data with the gates just drawn for the next epoch, without penalties.
    test_time_loss : float
        Loss of the data with the test-time weights, without penalties; nothing in it is random.
    loss : float
        The objective: data loss and penalties.
    l0_penalty : float
        Expected number of open gates; 0 without gates.
    lambda_l0 : float
        The L0 multiplier, which moves during a fit with `n_active`.
    weights : array of shape (n_columns,)
        Test-time weights; where ranks share the columns, those of the rank.
    active_count, n_columns : int
        Number of weights that are not 0, and of all columns.
    n_ranks : int
        Number of ranks that share the columns.
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

    stage: ClassVar[str] = "training"

    def __init__(
        self,
        backend: Backend,
        problem: Problem,
        state: State,
        data_loss: float,
        targets: Targets,
        fit: RunningFit,
        *,
        interrupted: Callable[[], bool] = lambda: False,
        communicator: Communicator | None = None,
    ) -> None:
        super().__init__(backend, problem, state, data_loss, communicator)
        self.targets = targets
        self.first_epoch, self.start_epoch, self.last_epoch = fit.first_epoch, fit.start_epoch, fit.last_epoch
        self.seconds = time.monotonic() - fit.began
        self._is_interrupted, self._fit = interrupted, fit

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has been pressed, so that the fit is interrupted after this report."""
        return self._is_interrupted()

    @property
    def fraction(self) -> float:
        """Which part of the fit's epochs is trained, from 0 to 1."""
        return (self.epoch - self.first_epoch) / (self.last_epoch - self.first_epoch)

    @cached_property
    def relative_errors(self) -> NDArray[np.float64]:
        """Absolute errors over the given scales or ``|target + 1|``, shape (n_rows,), also if held out."""
        return metrics.relative_errors(self.targets.value, self.estimates, self.targets.given_scale)

    @property
    def worst_error(self) -> float:
        """The largest of the relative errors of rows that are fitted."""
        return float(self.relative_errors[self.fitted].max())

    @property
    def mean_error(self) -> float:
        """The mean of the relative errors of rows that are fitted."""
        return float(self.relative_errors[self.fitted].mean())

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Whether each row is fitted, shape (n_rows,); False for targets that are excluded."""
        return self.targets.fitted

    @cached_property
    def target_table(self) -> TargetTable:
        """Target, estimate and errors of each row, by name."""
        return TargetTable.of(self.targets, self.estimates)

    def state_dict(self) -> dict[str, Any]:
        """Return the model's state at this report: copies, as the model's `state_dict` returns them."""
        return self._fit.state_dict(self._state)

    def restore(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state into the model, for a callback that returns True and so stops the fit.

        Raises
        ------
        InputError, InputTypeError
            For a state that is not one of the model's.
        """
        self._fit.restore(state_dict)

    def checkpoint(self) -> Checkpoint:
        """Return all that is needed to resume the fit after this report."""
        return self._fit.checkpoint(self._state)


@dataclass(frozen=True, eq=False)
class StageProgress:
    """A report of a stage in which no gates are trained, as callbacks get it.

    Parameters
    ----------
    stage : str
        What is being done: "calibrating all records", "sampling", "thinning", "refit".
    fraction : float, optional
        Which part of the stage is done, from 0 to 1; None if nobody knows.
    seconds : float
        Time since the stage began.
    targets : Targets, optional
        The targets; in regression the observations.
    estimates : array of shape (Q,), optional
        The current estimate of each target, where there is one.
    size, n_sizes : int, optional
        On a path: which of its sizes is computed, from 1, and how many there are.

    Examples
    --------
    >>> from l0np.callbacks import StageProgress
    >>> StageProgress("refit", fraction=0.5, seconds=2.0, size=3, n_sizes=10).label
    'refit (size 3 of 10)'
    """

    stage: str
    fraction: float | None = None
    seconds: float = 0.0
    targets: Targets | None = None
    estimates: NDArray[np.float64] | None = None
    size: int | None = None
    n_sizes: int | None = None

    @property
    def label(self) -> str:
        """The stage and, on a path, the size that is computed."""
        return self.stage if self.size is None else f"{self.stage} (size {self.size} of {self.n_sizes})"

    @property
    def target_table(self) -> TargetTable | None:
        """Target, estimate and errors of each row, by name; None without estimates."""
        if self.targets is None or self.estimates is None:
            return None
        return TargetTable.of(self.targets, self.estimates)

    @property
    def worst_error(self) -> float | None:
        """The largest relative error of a fitted target, as `Progress` has it; None without estimates."""
        if self.targets is None or self.estimates is None:
            return None
        errors = metrics.relative_errors(self.targets.value, self.estimates, self.targets.given_scale)
        return float(errors[self.targets.fitted].max())
