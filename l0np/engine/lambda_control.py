"""Exactly k: a controller moves lambda_l0 until k gates are expected to be open; at the end k are selected.

The constraint "expected open gates = k" has lambda_l0 as its Lagrange multiplier, moved by dual ascent while
Adam moves the gates (J. Gallego-Posada et al.: Controlled sparsity via constrained optimization,
arXiv:2208.04425). Plain ascent overshoots, and closed gates come back slowly. So the step is that of a
controller with a proportional and an integral part (M. Sohrabi et al.: On PI controllers for updating
Lagrange multipliers in constrained optimization, arXiv:2406.04558), and the count follows a reference that
moves to k by 0.6 % an epoch: gates close one after the other, as the data rank them, not all at once.

All that the controller remembers is in the state, and it acts at multiples of the model's own epoch. So a run
in chunks equals the run in one piece.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._namespace import array_namespace
from l0np.engine.communicator import Communicator
from l0np.engine.exact_sums import column_total
from l0np.engine.state import ControllerState, Problem, State
from l0np.maths import BETA2, l0_penalty

CONTROL_PERIOD = 5  # epochs between two updates; each waits for the device. Adam's own momentum lasts 10
REFERENCE_RATE = 0.006  # change of the log reference per epoch: from all gates to 0.5 % in 880 epochs
# The two parts of the controller, for errors in the logarithm of the count. That of the integral is per unit
# of learning rate, because a gate's logit moves by at most the learning rate in an epoch
PROPORTIONAL, INTEGRAL = 30.0, 10.0
LARGEST_INTEGRAL, LARGEST_OUTPUT = 20.0, 25.0  # so that lambda_l0 recovers from a count that is out of reach
SMALLEST_MULTIPLIER = 1e-3  # of the data's gradient: below it lambda_l0 is linear in the controller's output
SMALLEST_COUNT = 1e-9  # expected open gates that the controller tells from none


def control_lambda_l0(problem: Problem, state: State, n_active: int, communicator: Communicator) -> None:
    """Set `state.lambda_l0` for the epochs up to the next update. Waits for the device.

    It is ``unit * sinh(PROPORTIONAL * e + integral)``, where e is the logarithm of (expected open gates /
    reference): it grows by equal factors where it is large, because the gradient that closes a gate differs
    by orders of magnitude between problems and between columns, and it passes through 0 where it is small.
    It falls below 0 where gates must be held open.
    """
    if problem.gates is None:
        return
    gates, log_alpha = problem.gates(state.epoch), state.log_alpha.value
    penalty, slopes = l0_penalty(log_alpha, gates)
    if communicator.reproducible:
        penalty = column_total(communicator, gates.prob_open(log_alpha)[0])
    else:
        penalty = float(communicator.allreduce(penalty))
    # Above 0, for its logarithm: gates far closed may leave nothing of it
    count = max(penalty, SMALLEST_COUNT)
    before = state.controller or ControllerState(_unit(state, slopes, communicator), 0.0, math.log(count))
    time = problem.learning_rate(state.epoch - 1) * CONTROL_PERIOD
    furthest = REFERENCE_RATE * CONTROL_PERIOD
    reference = before.log_reference + _clip(math.log(n_active) - before.log_reference, furthest)
    error = math.log(count) - reference
    integral = _clip(before.integral + INTEGRAL * time * error, LARGEST_INTEGRAL)
    state.lambda_l0 = before.unit * math.sinh(_clip(PROPORTIONAL * error + integral, LARGEST_OUTPUT))
    state.controller = ControllerState(before.unit, integral, reference)


def _unit(state: State, slopes: Any, communicator: Communicator) -> float:
    """Return a small multiplier in units of the loss: SMALLEST_MULTIPLIER of the one that balances the data.

    At that one the penalty's gradient is as large as the data's, whose size is read from Adam's second
    moment: the geometric mean over columns whose second moment is not 0.
    """
    xp = array_namespace(state.log_alpha.value)
    size = xp.sqrt(xp.astype(state.log_alpha.second_moment, xp.float64) / (1.0 - BETA2**state.adam_step))
    moves = size > 0
    terms = [xp.log(xp.where(moves, size, 1.0)), xp.astype(moves, xp.float64)]
    terms += [slopes, xp.ones_like(size)]
    logarithms, moving, slope, columns = (
        column_total(communicator, term, lambda term: xp.sum(term, dtype=xp.float64)) for term in terms
    )
    data = math.exp(logarithms / moving) if moving else 1.0
    # Gates far beyond their bounds have no slope: the multiplier then moves nothing, whatever it is
    return SMALLEST_MULTIPLIER * data * columns / slope if slope else SMALLEST_MULTIPLIER * data


def _clip(x: float, largest: float) -> float:
    return min(max(x, -largest), largest)


def most_open(probability: NDArray[Any], weight: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Return a mask of the k columns most likely to be open; ties by larger |weight|, then by position.

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
