"""The constants of an epoch: the one list that defines Numba's argument and CUDA's `enum Constant`."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.engine import Problem
from l0np.maths import BETA1, BETA2, EPSILON, LOG_ALPHA_BOUND, HardConcrete, step_sizes

# The smallest and the largest argument of exp, and the largest if it may overflow, as it may for weights
EXPONENTS = {np.dtype(np.float32): (-86.0, 86.0, 89.0), np.dtype(np.float64): (-700.0, 700.0, 710.0)}


class EpochConstants(NamedTuple):
    """What the kernels need for one epoch: numbers of the run's dtype, so that their arithmetic stays in it.

    If you add a field here, add its value to `epoch_constants`; nothing else lists them.
    """

    # The gates that are drawn in the epoch: s = sigmoid((logit u + log_alpha) / beta), z = clip(stretch s +
    # gamma)
    shift: Any  # plus log_alpha: the logit of the probability that a gate is open
    beta: Any  # temperature
    gamma: Any  # lower end of the stretched interval, below 0
    stretch: Any  # zeta - gamma, the length of the stretched interval
    slope: Any  # stretch / beta, the factor on s (1 - s) in dz / dlog_alpha
    # The penalties, as they are differentiated in the step that leads to the epoch
    penalty_shift: Any  # the shift of the gates of the previous epoch
    lambda_l0: Any  # the L0 multiplier
    lambda_l2: Any  # 0 if the problem has an anchor
    lambda_anchor: Any  # lambda_l2 if it has one, else 0
    # Adam, in the step that leads to the epoch
    step_size: Any  # learning rate / (1 - decay1^step)
    root_factor: Any  # 1 / sqrt(1 - decay2^step), the factor on the root of the second moment
    decay1: Any
    gain1: Any  # 1 - decay1
    decay2: Any
    gain2: Any  # 1 - decay2
    epsilon: Any
    # The same in every epoch
    bound: Any  # largest |log_alpha| at which a gate moves
    largest_number: Any  # largest finite number of the dtype
    zero: Any  # numbers of the dtype for Numba's kernels, in which a literal would be float64
    one: Any
    two: Any
    smallest_exponent: Any  # exp is evaluated between these two
    largest_exponent: Any
    largest_log_weight: Any  # above it exp returns infinity, so that an infinite weight is noticed


N_CONSTANTS = len(EpochConstants._fields)


def epoch_constants(
    problem: Problem, lambda_l0: float, first_epoch: int, first_step: int, n_epochs: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return one row of `EpochConstants` for each epoch from `first_epoch` on, shape (n_epochs, N_CONSTANTS).

    Parameters
    ----------
    lambda_l0 : float
        The state's L0 multiplier, which holds for all these epochs.
    first_epoch : int
        Number of epochs trained once the first of these steps is done. At the start of a run, and for epoch
        0, there is no step: the row serves to draw gates.
    first_step : int
        Number of Adam's first step among these, 1 for the very first.
    dtype : dtype
        The run's dtype, float32 or float64.
    """
    adam = (BETA1, 1.0 - BETA1, BETA2, 1.0 - BETA2, EPSILON)
    fixed = (*adam, LOG_ALPHA_BOUND, float(np.finfo(dtype).max), 0.0, 1.0, 2.0, *EXPONENTS[dtype])
    anchored = problem.l2_anchor is not None
    l2 = (0.0, problem.lambda_l2) if anchored else (problem.lambda_l2, 0.0)
    gates, penalty_gates = None, None
    by_gates: tuple[float, ...] = ()
    rows: list[tuple[float, ...]] = []
    for i in range(n_epochs):
        epoch, step = first_epoch + i, first_step + i
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
        rows.append((*by_gates, lambda_l0, *l2, *sizes, *fixed))
    return np.array(rows, dtype=dtype)
