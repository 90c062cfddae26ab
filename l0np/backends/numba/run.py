"""What one run needs beside its state, and the state's columns in the order in which the run visits them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.backends.numba.kernels import Columns, Entries, WorkSpace
from l0np.backends.numba.pace import Pace
from l0np.engine import Problem, State


@dataclass(eq=False)
class NumbaRun:
    """What one run needs beside the state: made by `start`, changed by every epoch."""

    entries: Entries
    own: Columns | None  # copies of the state's vectors in the order of the entries, if these have one
    sums: NDArray[np.float64]  # (chunks, rows): the prediction of each chunk
    work: WorkSpace
    pace: Pace
    gradient: NDArray[np.float64] | None  # (rows,), for the rows that are stored; None if none is folded
    unattended: bool = False  # whether the state may lag behind the run's own columns for now

    def update(self, state: State) -> None:
        """Bring the state up to date with the run's own vectors, each column at its own number again."""
        if self.own is None or self.unattended:
            return
        for own, array in zip(self.own[:-1], _columns_of(state, None)[:-1], strict=True):
            array[self.entries.order] = own


def columns_for(problem: Problem, state: State) -> Columns:
    """Return the vectors of the state, and the anchor, as kernels take them."""
    # The kernel is compiled for one type of anchor, an array
    return _columns_of(state, state.theta.value if problem.l2_anchor is None else problem.l2_anchor)


def columns_in_order(problem: Problem, state: State, order: NDArray[np.uint64]) -> Columns | None:
    """Return copies of them in an order; None where columns have their own."""
    return Columns(*(array[order] for array in columns_for(problem, state))) if len(order) else None


def _columns_of(state: State, anchor: Any) -> Columns:
    theta, log_alpha, slopes = state.theta, state.log_alpha, state.slopes
    return Columns(
        theta.value, theta.first_moment, theta.second_moment,
        log_alpha.value, log_alpha.first_moment, log_alpha.second_moment,
        slopes.theta_slope, slopes.log_alpha_slope, anchor,
    )  # fmt: skip
