"""What the fused kernels are told of each epoch: one vector of numbers, in the run's dtype so that arithmetic stays in it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine import Problem
from l0np.maths import BETA1, BETA2, EPSILON, LOG_ALPHA_BOUND, HardConcrete, step_sizes

N_CONSTANTS = 17  # their order is that of the names in numba_kernels.py and column_maths.cuh


def constants(
    problem: Problem, lambda_l0: float, first_epoch: int, first_step: int, n_epochs: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return a row for each epoch from `first_epoch` on: what the step up to it and the gates drawn in it need.

    Parameters
    ----------
    lambda_l0 : float
        The state's price of an open gate; where it is governed it holds for these epochs.
    first_epoch : int
        Epochs trained once the first step is done; 0, and any epoch at a start, only draws gates.
    first_step : int
        Adam's count of that step, 1 for the first.
    """
    fixed = (BETA1, 1.0 - BETA1, BETA2, 1.0 - BETA2, EPSILON, LOG_ALPHA_BOUND, float(np.finfo(dtype).max))
    gates, penalty_gates = None, None
    by_gates: tuple[float, ...] = ()
    rows: list[tuple[float, ...]] = []
    for epoch, step in zip(range(first_epoch, first_epoch + n_epochs), range(first_step, first_step + n_epochs), strict=True):
        done = max(epoch - 1, 0)
        if problem.gates is None:
            before, now = None, HardConcrete()
        else:
            before, now = problem.gates(done), problem.gates(epoch)
        if now is not gates or before is not penalty_gates:
            gates, penalty_gates, stretch = now, before, now.zeta - now.gamma
            shift = before.shift if before else 0.0
            by_gates = (now.shift, now.beta, now.gamma, stretch, stretch / now.beta, shift)
        sizes = step_sizes(problem.learning_rate(done), max(step, 1))
        rows.append((*by_gates, lambda_l0, problem.lambda_l2, *sizes, *fixed))
    return np.array(rows, dtype=dtype)
