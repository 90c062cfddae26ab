"""What a running fit tells: `Progress`, computed only where it is asked for, and the printed reports made of it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l0np import metrics
from l0np.backends.base import Backend
from l0np.penalties import l0_penalty, l2_penalty
from l0np.state import Problem, State, test_time_weights


class Progress:
    """A report of a running fit. Each value is computed when it is first read.

    Attributes
    ----------
    epoch : int
        Epochs trained so far, over all fits of the model.
    data_loss : float
        Loss of the data with the gates just drawn for the next epoch, without penalties.
    """

    def __init__(self, backend: Backend, problem: Problem, state: State, data_loss: float) -> None:
        self.epoch = state.epoch
        self.data_loss = data_loss
        self._backend, self._problem, self._state = backend, problem, state
        self._gates = problem.gates(state.epoch) if problem.gates else None

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
        l0 = problem.lambda_l0 * self.l0_penalty if problem.lambda_l0 else 0.0
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
        """``|target - estimate| / |target + 1|`` of each row, shape (n_rows,)."""
        return metrics.relative_errors(self._problem.target, self.estimates)


class Callback(Protocol):
    """Called at each report epoch; True stops the fit."""

    def __call__(self, progress: Progress) -> bool | None:
        """Look at the progress; return True to stop."""


def calibration_report(groups: NDArray[Any] | None) -> Callable[[Progress], None]:
    """Return a callback that prints two lines: errors, loss and active count; then the spread of active weights."""

    def report(progress: Progress) -> None:
        errors, n_columns, active = progress.relative_errors, len(progress.weights), progress.active_count
        if groups is None:
            mean = f"mean_error={errors.mean():.4%}"
        else:
            mean = f"mean_group_mare={metrics.mean_group_error(errors, groups):.4%}"
        print(  # noqa: T201
            f"Epoch {progress.epoch:4d}: {mean}, max_error={errors.max():.1%}, total_loss={progress.loss:.3f}, "
            f"active={active:4d}/{n_columns} ({1 - active / n_columns:.1%} sparse)\n"
            f"         Weight dist: {_weight_distribution(progress.weights[progress.weights > 0])}",
            flush=True,
        )

    return report


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
