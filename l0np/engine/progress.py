"""`TrainingProgress`: where a training stands at a report."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine.backend import Backend
from l0np.engine.communicator import Communicator, Serial
from l0np.engine.exact_sums import column_total
from l0np.engine.state import Problem, State, test_time_weights
from l0np.maths import l2_penalty

# What is of all columns, in an order in which each is computed from those before it
TOGETHER = ("l0_penalty", "loss", "n_columns", "active_count", "estimates")


class TrainingProgress:
    """Where a training stands at a report. Each value is computed when it is first read.

    Parameters
    ----------
    backend : Backend
        The backend that trains.
    problem : Problem
        What is minimised.
    state : State
        The state to report, in NumPy arrays.
    data_loss : float
        Its loss of the data.
    communicator : Communicator
        The ranks that share the columns. Then all values but the weights, which are the rank's own, are those
        of all columns; they are computed at once, because all ranks must take part.

    Attributes
    ----------
    epoch : int
        Epochs trained so far, over all fits of the model.
    data_loss : float
        Loss of the data with the gates just drawn for the next epoch, without penalties.
    """

    def __init__(
        self,
        backend: Backend,
        problem: Problem,
        state: State,
        data_loss: float,
        communicator: Communicator | None = None,
    ) -> None:
        self.epoch = state.epoch
        self.data_loss = data_loss
        self._backend, self._problem, self._state = backend, problem, state
        self._gates = problem.gates(state.epoch) if problem.gates else None
        self._ranks = communicator or Serial()
        self.n_ranks = self._ranks.size
        if self._ranks.reproducible:
            for name in TOGETHER:
                self.__dict__[name] = getattr(type(self), name).func(self)

    def __repr__(self) -> str:
        """Show epoch, loss and active count."""
        name = type(self).__name__
        return f"{name}(epoch={self.epoch}, loss={self.loss:.6g}, active_count={self.active_count})"

    @cached_property
    def l0_penalty(self) -> float:
        """Expected number of open gates; 0 without gates."""
        if self._gates is None:
            return 0.0
        log_alpha = self._state.log_alpha.value
        if self._ranks.reproducible:
            return column_total(self._ranks, self._gates.prob_open(log_alpha)[0])
        return float(self._gates.expected_open(log_alpha))

    @property
    def lambda_l0(self) -> float:
        """The L0 multiplier."""
        return self._state.lambda_l0

    @cached_property
    def loss(self) -> float:
        """The objective: data loss and penalties."""
        state, lambda_l2 = self._state, self._problem.lambda_l2
        l0 = state.lambda_l0 * self.l0_penalty if state.lambda_l0 else 0.0
        return self.data_loss + l0 + (lambda_l2 * self._l2_penalty() if lambda_l2 else 0.0)

    def _l2_penalty(self) -> float:
        backend, problem, anchor = self._backend, self._problem, self._problem.l2_anchor
        if anchor is not None:
            with backend.active():
                anchor = backend.to_numpy(anchor)  # the state is on the host, the problem where it is trained
        with np.errstate(all="ignore"):  # the gradient may overflow; it is not used
            penalty = l2_penalty(self._state.theta.value, problem.link, anchor)[0]
        return float(self._ranks.allreduce(np.array([float(penalty)]))[0])

    @cached_property
    def weights(self) -> NDArray[Any]:
        """Test-time weights, shape (n_columns,)."""
        theta, log_alpha = self._state.theta.value, self._state.log_alpha.value
        if self._gates is None:
            return np.asarray(test_time_weights(theta, log_alpha, self._problem.link, None))
        weights: NDArray[Any] = np.zeros_like(
            theta
        )  # late in a fit most columns are closed, and cost nothing
        near = np.flatnonzero(self._gates.may_be_active(log_alpha))
        weights[near] = test_time_weights(theta[near], log_alpha[near], self._problem.link, self._gates)
        return weights

    @cached_property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self._ranks.allreduce(np.array([len(self._state.theta.value)]))[0])

    @cached_property
    def active_count(self) -> int:
        """Number of weights that are not 0."""
        return int(self._ranks.allreduce(np.array([np.count_nonzero(self.weights)]))[0])

    @cached_property
    def estimates(self) -> NDArray[np.float64]:
        """What the test-time weights predict for each row, shape (n_rows,)."""
        backend, intercept = self._backend, self._state.intercept
        with backend.active():
            weights, starts = backend.asarray(self.weights), self._problem.row_starts
            if starts is None:
                product = backend.matvec(self._problem.matrix, weights)
            else:  # their sums stay within the bounds of the sums in training, where gates may all be 1
                product = backend.exact_matvec(self._problem.matrix, weights, starts)
            estimates = backend.to_numpy(self._ranks.allreduce(product))
        return estimates if intercept is None else estimates + intercept.value

    @cached_property
    def test_time_loss(self) -> float:
        """Loss of the data with the test-time weights, without penalties; nothing in it is random."""
        with self._backend.active():
            return float(self._problem.loss.value(self._backend.asarray(self.estimates)))
