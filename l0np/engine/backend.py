"""What a backend is: the products with M and the two halves of an epoch in column space."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l0np.engine.state import Problem, State, Statistics


class Backend(Protocol):
    """What the training loop and the models need of a backend.

    A run is one call of `start` and then, for every epoch, `row_step` and `step`, which the loop hands to
    `repeat`::

        start(problem, state, out=prediction)
        repeat n times:
            gradient = row_step(problem, state, prediction, out=buffer)     # row space: loss, intercept
            step(problem, state, gradient, out=prediction)                  # column space: everything else

    `l0np.backends.numpy` is the reference: what any other backend leaves in the state, and returns, agrees
    with it up to rounding, and exactly in which gates are closed. Column space has one element for each of
    the N columns of M, row space one for each of its Q rows.

    Attributes
    ----------
    name : str
        For users to read. The other attributes say what a backend can do, so that nobody compares names.
    xp : module
        The array API namespace of its arrays.
    on_device : bool
        Whether its arrays live in a memory of their own, so that answers may be given there.
    exact : bool
        Whether its sums may start at given numbers, so that they are exact: `exact_matvec`, `row_extents`,
        and where the problem has `row_starts`, `start` and `step`. Required only for results that do not
        depend on the number of ranks.

    Notes
    -----
    *Folded rows.* A ColumnMatrix may hold only the remainders of rows that are sums of others
    (`l0np.matrix.Fold`). Row space remains that of all Q rows: a backend adds the folded rows to each
    prediction, and to the gradient of the stored rows what the chain rule gives, or unfolds the matrix.

    *Problem and state.* The problem's `matrix` comes from `matrix` or `adopt`, and its loss and its
    `l2_anchor` are of this backend's arrays. The state's parameters are such arrays too, all float32 or all
    float64, of shape (N,), or (1,) for the intercept. A backend changes them in place. Whatever else it needs
    for a run, `start` keeps in ``state.run``: one matrix may serve several runs, and the problem may be
    replaced by one with other `ranks` before a run.

    *Who writes what.* `out` belongs to the caller, is float64 of shape (Q,), and is written in full; what it
    held before means nothing. A backend never changes `prediction`, `gradient` or the matrix.

    *Waiting.* Within a run nothing is read back from a device, except by `repeat`.
    """

    name: str
    xp: Any
    on_device: bool
    exact: bool

    def active(self) -> AbstractContextManager[Any]:
        """Return a context in which `xp` makes arrays on this backend's device; the rest is called within."""

    def matrix(self, matrix: Any) -> Any:
        """Return this backend's form of a ColumnMatrix, or the matrix itself if `adopt` made it.

        The result is not changed afterwards, and may serve any number of products and runs.
        """

    def adopt(self, name: str, matrix: Any, dtype: np.dtype[Any]) -> Any:
        """Return this backend's form of a matrix that lives on its device, checked; None for any other.

        Errors call the matrix `name`. The matrix itself is not changed.
        """

    def asarray(self, array: NDArray[Any]) -> Any:
        """Return a copy of a NumPy array that this backend computes with."""

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return a NumPy copy of one of this backend's arrays; waits for the device."""

    def matvec(self, matrix: Any, columns: Any) -> Any:
        """Return M @ columns, a new float64 array of shape (Q,), for `columns` of shape (N,)."""

    def rmatvec(self, matrix: Any, rows: Any) -> Any:
        """Return M.T @ rows, a new float64 array of shape (N,), for `rows` of shape (Q,)."""

    def exact_matvec(self, matrix: Any, columns: Any, starts: Any, *, absolute: bool = False) -> Any:
        """Return M @ columns, with the sum of each row starting at `starts`, and less these at the end.

        The last bit of each product is set. `absolute` means abs(M) @ abs(columns).
        """

    def row_extents(self, matrix: Any) -> tuple[Any, Any]:
        """Return the number of entries of each row, as float64, and the size of its largest one."""

    def start(self, problem: Problem, state: State, out: Any) -> None:
        """Draw the gates of epoch ``state.epoch`` and write M @ (w z) into `out`: the forward half of `step`.

        Sets four fields, and relies on nothing that an earlier run left in them: ``state.slopes`` to the
        slopes of w z for these gates; ``state.counts`` to what this start has read and drawn, int64 rows as
        in `Statistics`, to be summed; ``state.first_bad`` to ``state.epoch`` if a weight or the prediction is
        not finite, else to NEVER (an int64 array, of which the smallest element counts); and ``state.run`` to
        whatever else the run needs, or None. The draws are ``philox.uniform(xp, state.seed, GATES,
        state.epoch, problem.column_offset, N)``.
        """

    def row_step(self, problem: Problem, state: State, prediction: Any, out: Any) -> Any:
        """Train the intercept, if there is one; return the gradient of the loss, for `step`.

        The gradient is with respect to each prediction, before the intercept moved. Of the state only
        ``state.intercept`` changes, by Adam's step ``state.adam_step + 1``, and ``state.first_bad``, if the
        intercept is not finite.

        Parameters
        ----------
        prediction : array, (Q,)
            What the last `start` or `step` wrote, without the intercept; if ``problem.ranks > 1``, its sum
            over all ranks.

        Returns
        -------
        array, (Q,), or None
            `out`, with the gradient in it; or None if the backend keeps the gradient in ``state.run``, in
            which case `out` may not have been written. Pass either to the next `step` as it is.
        """

    def step(self, problem: Problem, state: State, gradient: Any, out: Any) -> None:
        """Train the columns for one epoch, draw the next gates and write the next M @ (w z) into `out`.

        Updates theta and, if there are gates, log_alpha, each with both moments, by the gradients of the loss
        and of the penalties; adds 1 to ``state.epoch`` and ``state.adam_step``; sets ``state.slopes`` to the
        slopes for the new gates; adds to ``state.counts``; and notes in ``state.first_bad`` the first epoch
        in which something was not finite. Relies on what `start` and the last `step` have set. A column whose
        two slopes are 0 has a closed gate: it gets no gradient from the data, whatever its entries are.

        Parameters
        ----------
        gradient : array, (Q,), or None
            What `row_step` returned, or any other gradient with respect to each prediction.
        """

    def repeat(self, body: Callable[[], None], n: int, problem: Problem, state: State) -> None:
        """Train n epochs; `body` is one, a `row_step` and a `step` on this problem and this state.

        Calling `body` n times is always right. A device may instead capture what `body` launches and replay
        it; for this, `body` does nothing but these two calls. Afterwards ``state.epoch`` and
        ``state.adam_step`` have grown by n, and the prediction is that of the last epoch.
        """


def with_intercept(prediction: Any, state: State) -> Any:
    """Return what the model predicts for each row, given what the columns predict."""
    return prediction if state.intercept is None else prediction + state.intercept.value


def first_bad_epoch(backend: Backend, state: State) -> int:
    """Return the first epoch in which a number was not finite, or NEVER. Waits for the device."""
    return int(np.min(backend.to_numpy(state.first_bad)))


def statistics(backend: Backend, state: State) -> Statistics:
    """Return what a run did so far. Waits for the device."""
    return Statistics(*(int(count) for count in np.sum(backend.to_numpy(state.counts), axis=0)))
