"""Exactly k: the price lambda_l0 that holds the expected number of open gates at k, and the choice of the k at the end.

The constraint "expected open gates = k" has lambda_l0 as its multiplier, moved by dual ascent while Adam moves the gates
(J. Gallego-Posada et al.: Controlled sparsity via constrained optimization, arXiv:2208.04425). Plain ascent overshoots, and
closed gates come back slowly; so the step is that of a controller with a proportional and an integral part (M. Sohrabi et
al.: On PI controllers for updating Lagrange multipliers in constrained optimization, arXiv:2406.04558), and the count is led
to k along a reference that moves 0.6 % an epoch: gates close one after the other, as the data rank them, not all at once.

All that the governor remembers is in the state, and it acts at multiples of the model's own epoch: a run in chunks is the
run in one piece.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._namespace import array_namespace
from l0np.engine.communicator import Communicator
from l0np.engine.state import GovernorMemory, Problem, State
from l0np.maths import BETA2, l0_penalty

GOVERNED_EVERY = 5  # epochs between two looks at the gates; each waits for the device. Adam's own momentum lasts 10.
REFERENCE_RATE = 0.006  # of the logarithm of the reference, an epoch: from all gates to 0.5 % of them in 880 epochs
# The two parts of the controller, for errors in the logarithm of the count; the integral's is per unit of learning rate,
# because a gate's logit moves by at most the learning rate in an epoch.
PROPORTIONAL, INTEGRAL = 30.0, 10.0
LARGEST_INTEGRAL, LARGEST = 20.0, 25.0  # so that a count out of reach does not wind the price up beyond recovery
SMALLEST_PRICE = 1e-3  # in units of the data's gradient: where the price stops being linear in the controller's output


def govern(problem: Problem, state: State, n_active: int, communicator: Communicator) -> None:
    """Set `state.lambda_l0` for the epochs up to the next look. Waits for the device.

    The price is ``unit * sinh(PROPORTIONAL * e + integral)``, e the logarithm of expected open gates over reference: by equal
    factors where it is large, for what closes a gate differs by orders of magnitude between problems and between columns; and
    through 0 where it is small. It falls below 0 where gates must be held open.
    """
    if problem.gates is None:
        return
    penalty, slopes = l0_penalty(state.log_alpha.value, problem.gates(state.epoch))
    count = float(communicator.allreduce(penalty))
    memory = state.governor or GovernorMemory(_unit(state, slopes, communicator), 0.0, math.log(count))
    time = problem.learning_rate(state.epoch - 1) * GOVERNED_EVERY
    furthest = REFERENCE_RATE * GOVERNED_EVERY
    reference = memory.log_reference + _clip(math.log(n_active) - memory.log_reference, furthest)
    error = math.log(count) - reference
    integral = _clip(memory.integral + INTEGRAL * time * error, LARGEST_INTEGRAL)
    state.lambda_l0 = memory.unit * math.sinh(_clip(PROPORTIONAL * error + integral, LARGEST))
    state.governor = GovernorMemory(memory.unit, integral, reference)


def _unit(state: State, slopes: Any, communicator: Communicator) -> float:
    """Return a small price in the units of the loss: at 1 / SMALLEST_PRICE of it the penalty's gradient is like the data's.

    The size of the data's gradient is that of Adam's second moment, its geometric mean over the columns that have one.
    """
    xp = array_namespace(state.log_alpha.value)
    size = xp.sqrt(xp.astype(state.log_alpha.second_moment, xp.float64) / (1.0 - BETA2**state.adam_step))
    moves = size > 0
    sums = [xp.sum(xp.log(xp.where(moves, size, 1.0))), xp.sum(xp.astype(moves, xp.float64))]
    sums += [xp.sum(slopes, dtype=xp.float64), xp.sum(xp.ones_like(size))]
    logarithms, moving, slope, columns = (float(communicator.allreduce(a)) for a in sums)
    data = math.exp(logarithms / moving) if moving else 1.0
    return SMALLEST_PRICE * data * columns / slope


def _clip(x: float, largest: float) -> float:
    return min(max(x, -largest), largest)


def most_open(probability: NDArray[Any], weight: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Return a mask of the k columns most likely to be open; of equal ones the larger |weight|, then the first.

    Examples
    --------
    >>> import numpy as np
    >>> most_open(np.array([0.9, 0.2, 0.5, 0.5]), np.array([1.0, 9.0, 1.0, -2.0]), k=2)
    array([ True, False, False,  True])
    """
    least = np.partition(probability, len(probability) - k)[len(probability) - k]
    mask = np.asarray(probability > least)
    ties = np.flatnonzero(probability == least)
    order = np.argsort(-np.abs(weight[ties]), kind="stable")
    mask[ties[order[: k - np.count_nonzero(mask)]]] = True
    return mask
