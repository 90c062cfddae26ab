"""What ranks exchange in an epoch: their predictions and, in the same sum, what all of them must do next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from l0np.engine.backend import Backend, first_bad_epoch
from l0np.engine.communicator import Communicator
from l0np.engine.exact_sums import ExactSums
from l0np.engine.state import Problem, State


class Exchange:
    """The prediction of this rank, and its sum over all ranks.

    Parameters
    ----------
    backend : Backend
        The backend that trains.
    problem : Problem
        What is minimised, with the rank's own columns.
    state : State
        What is trained.
    communicator : Communicator
        The ranks.
    interrupt : callable
        Returns whether this rank shall end after the epoch.

    Attributes
    ----------
    problem : Problem
        The problem, with what the ranks make of it.
    prediction : array of shape (Q,)
        What `Backend.start` and `Backend.step` write to.
    """

    def __init__(
        self,
        backend: Backend,
        problem: Problem,
        state: State,
        communicator: Communicator,
        interrupt: Callable[[], bool],
    ) -> None:
        self._backend, self._state, self._communicator = backend, state, communicator
        self._interrupt, self._is_interrupted, self._is_used_up = interrupt, False, False
        self._together = communicator.reproducible
        self.problem = replace(problem, ranks=communicator.size)
        self._sums: ExactSums | None = None
        n_rows, xp = problem.n_rows, backend.xp
        self._buffer = xp.zeros(n_rows + 2 * self._together, dtype=xp.float64)  # and two flags
        self.prediction = self._buffer[:n_rows]
        if problem.row_starts is not None:
            self._sums = ExactSums(backend, self.problem, communicator)
            self._sums.refer_to(state)

    @property
    def interrupted(self) -> bool:
        """Whether the training ends after the epoch: on all ranks or on none, once the epoch is trained."""
        return self._is_interrupted if self._together else self._interrupt()

    def total(self) -> Any:
        """Return the sum of the predictions of all ranks, which the next exchange may overwrite."""
        return self._communicator.allreduce(self._buffer)[: self.problem.n_rows]

    def total_before_step(self) -> Any:
        """Return the same, and see to it that ranks agree on what comes before the step."""
        if not self._together:
            return self.total()
        n_rows = self.problem.n_rows
        self._buffer[n_rows] = float(self._sums is not None and self._sums.is_used_up(self._state))
        self._buffer[n_rows + 1] = float(self._interrupt())
        total = self._communicator.allreduce(self._buffer)
        used_up, interrupted = self._backend.to_numpy(total[n_rows:])
        self._is_used_up, self._is_interrupted = bool(used_up), bool(interrupted)
        return total[:n_rows]

    def prepare_step(self) -> None:
        """Take a new reference for exact sums where any rank needs one."""
        if self._is_used_up and self._sums is not None:
            self._sums.renew(self._state)
            self._is_used_up = False

    def first_bad_epoch(self) -> int:
        """Return the first epoch in which a number of any rank was not finite, or NEVER."""
        bad = first_bad_epoch(self._backend, self._state)
        return int(np.min(self._communicator.allgather(np.array([bad]))))
