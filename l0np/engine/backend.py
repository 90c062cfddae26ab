"""What a backend is: the products with M and the two halves of an epoch in column space."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l0np.engine.state import Problem, State, Statistics


class Backend(Protocol):
    """What the training loop and the models need of a backend. Arrays are of the namespace `xp`."""

    name: str
    xp: Any
    on_device: bool  # whether its arrays live in a memory of their own, so that answers may be given there

    def active(self) -> AbstractContextManager[Any]:
        """Return a context in which arrays made by `xp` live on this backend's device."""

    def matrix(self, matrix: Any) -> Any:
        """Return this backend's form of a ColumnMatrix, or itself where `adopt` has made it.

        It may hold work space, so each run makes its own.
        """

    def adopt(self, name: str, matrix: Any, dtype: np.dtype[Any]) -> Any:
        """Return this backend's form of a matrix that lives on its device, checked; None for any other matrix."""

    def asarray(self, array: NDArray[Any]) -> Any:
        """Return a copy of a NumPy array that this backend computes with."""

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return a NumPy copy of one of this backend's arrays."""

    def matvec(self, matrix: Any, columns: Any) -> Any:
        """Return M @ columns in float64."""

    def rmatvec(self, matrix: Any, rows: Any) -> Any:
        """Return M.T @ rows in float64."""

    def start(self, problem: Problem, state: State, out: Any) -> None:
        """Draw the gates of the state's epoch and write M @ (w z) into `out`, float64: the forward half of `step`."""

    def step(self, problem: Problem, state: State, gradient: Any, out: Any) -> None:
        """Train one epoch, given the loss's gradient by each prediction; leave the next gates and prediction."""

    def row_step(self, problem: Problem, state: State, prediction: Any, out: Any) -> Any:
        """Train the intercept, if there is one; return the loss's gradient by each prediction: `out` or a buffer of its own."""

    def repeat(self, body: Callable[[], None], n: int, problem: Problem, state: State) -> None:
        """Run `body`, an epoch, n times; a device may capture it once and replay it."""


def with_intercept(prediction: Any, state: State) -> Any:
    """Return what the model predicts for each row, given what the columns predict."""
    return prediction if state.intercept is None else prediction + state.intercept.value


def first_bad_epoch(backend: Backend, state: State) -> int:
    """Return the first epoch in which a backend saw a number that is not finite, or NEVER. Waits for the device."""
    return int(np.min(backend.to_numpy(state.first_bad)))


def statistics(backend: Backend, state: State) -> Statistics:
    """Return what a run did so far. Waits for the device."""
    return Statistics(*(int(count) for count in np.sum(backend.to_numpy(state.counts), axis=0)))
