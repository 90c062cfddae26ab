"""`early_stopping`: a fit ends when the error of the test-time weights stops falling, at its best state."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from l0np.callbacks.dispatch import FitCallback
from l0np.callbacks.progress import Progress, RunningFit, StageProgress
from l0np.inputs import validation

ERRORS: dict[str, Callable[[Progress], float]] = {
    "loss": lambda progress: progress.test_time_loss,
    "mean": lambda progress: progress.mean_error,
    "worst": lambda progress: progress.worst_error,
}


def early_stopping(
    error: str | Callable[[Progress], float] = "loss",
    *,
    patience: int = 500,
    min_change: float = 0.0,
    target: float | None = None,
    max_active: int | None = None,
) -> Callable[[Progress | StageProgress], bool]:
    """Return a callback that stops a fit when its error stops falling, and leaves the model at its best.

    The error is that of the test-time weights, in which nothing is random. The fit stops when `patience`
    epochs have not improved on the best report; the model then returns to the state of that report: its
    parameters, Adam's moments and its epoch. It does so too where the fit ends by itself. With `n_active`
    the records or features are selected from that state. Each fit starts anew; a fit that is resumed from a
    checkpoint goes on from the best report that the checkpoint keeps.

    While gates close, the error often rises: the best report is then an early one, with many active columns.
    `max_active` excludes it.

    Parameters
    ----------
    error : {"loss", "mean", "worst"} or callable
        The loss of the data with the test-time weights (in regression the mean squared error); the mean or
        the largest relative error of the fitted rows; or a function of the `Progress`.
    patience : int
        Epochs without improvement after which the fit stops, 1 or more.
    min_change : float
        An error is better if it is lower by more than this, 0 or more, in the units of the error.
    target : float, optional
        Stop as soon as the error is at most this.
    max_active : int, optional
        Reports with more active columns than this neither count as the best nor stop the fit.

    Returns
    -------
    callable
        The callback.

    Raises
    ------
    InputError, InputTypeError
        For arguments that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import SparseCalibrationWeights
    >>> from l0np.callbacks import early_stopping
    >>> M = np.random.default_rng(0).uniform(size=(3, 50))
    >>> model = SparseCalibrationWeights(50, seed=0)
    >>> stop = early_stopping("worst", target=0.01, max_active=25)
    >>> model = model.fit(
    ...     M, M.sum(axis=1), lr=0.05, epochs=5000, loss_type="relative", verbose_freq=10, callbacks=[stop]
    ... )
    >>> model.epoch_ < 5000, model.get_active_weights()["count"] <= 25
    (True, True)
    """
    measure = error if callable(error) else validation.one_of("error", error, ERRORS)
    return EarlyStopping(
        measure,
        patience=validation.integer("patience", patience, at_least=1),
        min_change=validation.real_number("min_change", min_change, at_least=0.0),
        target=None if target is None else validation.real_number("target", target),
        max_active=None if max_active is None else validation.integer("max_active", max_active, at_least=0),
    )


@dataclass(frozen=True)
class BestReport:
    """The best report so far."""

    epoch: int
    error: float
    state: Mapping[str, Any]


class EarlyStopping(FitCallback):
    """The callback that `early_stopping` returns."""

    def __init__(
        self,
        error: Callable[[Progress], float],
        *,
        patience: int,
        min_change: float,
        target: float | None,
        max_active: int | None,
    ) -> None:
        self._error, self._patience, self._min_change = error, patience, min_change
        self._target, self._max_active = target, max_active
        self._best: BestReport | None = None

    def start(self, fit: RunningFit, memory: Mapping[str, Any] | None) -> None:
        """Forget the best report of another fit, or take over that of a checkpoint."""
        self._best = None
        if memory is not None:
            epoch = validation.integer("epoch", memory["epoch"], at_least=0)
            self._best = BestReport(epoch, validation.real_number("error", memory["error"]), memory["state"])

    def __call__(self, progress: Progress | StageProgress) -> bool:
        """Compare the report with the best; return whether the fit is to stop."""
        if isinstance(progress, StageProgress):
            return False
        if self._max_active is None or progress.active_count <= self._max_active:
            error = float(self._error(progress))
            if not math.isfinite(error):  # it may overflow while the weights are far off
                return False
            if self._best is None or error < self._best.error - self._min_change:
                self._best = BestReport(progress.epoch, error, progress.state_dict())
        if self._best is None or not self._stops(self._best, progress):
            return False
        if self._best.epoch != progress.epoch:
            progress.restore(self._best.state)
        return True

    def _stops(self, best: BestReport, progress: Progress) -> bool:
        reached = self._target is not None and best.error <= self._target
        waited = progress.epoch - best.epoch >= self._patience
        return reached or waited or progress.epoch == progress.last_epoch

    def memory(self) -> dict[str, Any]:
        """Return the best report."""
        return {} if self._best is None else asdict(self._best)
