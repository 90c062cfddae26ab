"""What training works on: `Problem` does not change during a fit, `State` is all that changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.maths import HardConcrete, Link, Loss, Parameter
from l0np.targets import Targets

NEVER = np.iinfo(np.int64).max  # the first epoch with a number that is not finite, while there is none


@dataclass(frozen=True)
class Draw:
    """How the effective weight w z of each column moves, given the gates z of the current epoch.

    A function of the state's parameters, epoch and seed, so no checkpoint holds it. A column whose two slopes are 0 has a
    closed gate: it takes no part in this epoch's prediction and gets no gradient from the data.
    """

    theta_slope: Any  # z dw/dtheta
    log_alpha_slope: Any  # w dz/dlog_alpha


@dataclass(frozen=True)
class Statistics:
    """What a run did, added up over its epochs and its start."""

    gathered: int  # non-zeros read for gradients
    scattered: int  # non-zeros read for predictions
    closed: int  # gates drawn closed; a backend that skips them reads none of their non-zeros


@dataclass(frozen=True)
class GovernorMemory:
    """What the governor of lambda_l0 carries from one look at the gates to the next."""

    unit: float  # a small price, in units of the loss
    integral: float  # of the errors so far, in logarithms of the price
    log_reference: float  # logarithm of the count that is aimed at now, on its way to k


@dataclass
class State:
    """Parameters, moments and counters: all that a checkpoint needs."""

    theta: Parameter  # log_weight in calibration, weight in regression
    log_alpha: Parameter
    intercept: Parameter | None  # one element; row space, the same on every rank
    epoch: int  # epochs trained; the next gates are those of this epoch
    adam_step: int
    seed: int
    lambda_l0: float = 0.0  # price of one open gate; moved during a fit where it is governed
    governor: GovernorMemory | None = None  # None where lambda_l0 is given
    selection: Any = None  # bool, columns: the active ones, their gates exactly 1; None while the gates rule. Never on a device
    draw: Any = None  # a Draw; set by Backend.start and Backend.step
    counts: Any = None  # int64, rows of (gathered, scattered, closed): see Statistics
    first_bad: Any = None  # int64: epochs in which something first stopped being finite, NEVER where all is well

    def map(self, function: Callable[[Any], Any]) -> "State":
        """Return a state of the same numbers whose arrays went through `function` (a copy, a move to a device)."""

        def mapped(parameter: Parameter) -> Parameter:
            return Parameter(*(function(a) for a in (parameter.value, parameter.first_moment, parameter.second_moment)))

        intercept = None if self.intercept is None else mapped(self.intercept)
        return replace(
            self,
            theta=mapped(self.theta),
            log_alpha=mapped(self.log_alpha),
            intercept=intercept,
            draw=None,
            counts=None,
            first_bad=None,
        )


@dataclass(frozen=True)
class Problem:
    """What a fit minimises: loss(M @ (w z)) + lambda_l0 E[open gates] + lambda_l2 |w|^2."""

    matrix: Any  # the backend's own form of M, from Backend.matrix
    target: NDArray[np.float64]  # row space, on the host, for reports
    loss: Loss
    link: Link
    gates: Callable[[int], HardConcrete] | None  # by epoch, for beta may follow a schedule; None: all gates are 1
    lambda_l2: float
    learning_rate: Callable[[int], float]
    targets: Targets | None = None  # scales, names and held-out rows, for reports; None: all fitted, nothing known of them
    column_offset: int = 0  # number of the first column of this rank, for the noise
    ranks: int = 1  # that share the columns, and add up their predictions between two epochs


def test_time_weights(theta: Any, log_alpha: Any, link: Link, gates: HardConcrete | None) -> Any:
    """Return the weights that count after training: w times the test-time gate, w itself without gates."""
    weight, _ = link.weight(theta)
    return weight if gates is None else weight * gates.test_time_gate(log_alpha)


def selected_weights(theta: NDArray[Any], selection: NDArray[np.bool_], link: Link) -> NDArray[Any]:
    """Return the weights of selected columns, ungated and never 0, and 0 elsewhere."""
    weight, _ = link.weight(theta)
    smallest = np.finfo(weight.dtype).tiny
    lifted = np.where(np.abs(weight) < smallest, np.copysign(smallest, weight), weight)
    return np.asarray(np.where(selection, lifted, np.zeros_like(weight)))


test_time_weights.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name
