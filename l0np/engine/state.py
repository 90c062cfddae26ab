"""What training works on: `Problem` does not change during a fit, `State` is all that changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.maths import HardConcrete, Link, Loss, Parameter

NEVER = np.iinfo(np.int64).max  # the value of `first_bad` while all numbers are finite


@dataclass(frozen=True)
class Slopes:
    """How the effective weight w z of each column moves, given the gates z of the current epoch.

    A function of the state's parameters, epoch and seed, so no checkpoint holds it. A column whose two slopes
    are 0 has a closed gate: it takes no part in this epoch's prediction and gets no gradient from the data.
    """

    theta_slope: Any  # z dw/dtheta
    log_alpha_slope: Any  # w dz/dlog_alpha


@dataclass(frozen=True)
class Statistics:
    """What a run did, added up over its epochs and its start."""

    gathered: int  # entries read for gradients
    scattered: int  # entries read for predictions
    closed: int  # gates drawn closed; a backend that skips them reads none of their entries
    folded_rows: int = 0  # of the matrix: sums of other rows, whose entries no epoch reads


@dataclass(frozen=True)
class ControllerState:
    """What the controller of lambda_l0 carries from one update to the next."""

    unit: float  # a small multiplier, in units of the loss
    integral: float  # accumulated error, in units of the log multiplier
    log_reference: float  # logarithm of the count that is aimed at now, on its way to k


@dataclass(frozen=True)
class SumReference:
    """Parameters from which bounds of the sums over columns follow, where ranks share the columns."""

    theta: Any  # (N,), those of some epoch
    room: float  # how far parameters may move from these before others are taken


@dataclass
class State:
    """Parameters, moments and counters: all that a checkpoint needs."""

    theta: Parameter  # what the link turns into weights
    log_alpha: Parameter
    intercept: Parameter | None  # one element; row space, the same on every rank
    epoch: int  # epochs trained; the next gates are those of this epoch
    adam_step: int
    seed: int
    lambda_l0: float = 0.0  # multiplier of the expected number of open gates; the controller moves it
    controller: ControllerState | None = None  # None if lambda_l0 is given
    # Selected columns (bool), whose gates are exactly 1; None while the gates decide. Always a NumPy array
    selection: Any = None
    sum_reference: SumReference | None = None  # set by the loop where ranks share the columns (`exact_sums`)
    slopes: Any = None  # Slopes; set by Backend.start and Backend.step
    counts: Any = None  # int64, rows of (gathered, scattered, closed): see Statistics
    first_bad: Any = None  # int64: first epochs with a number that is not finite; NEVER if there is none
    run: Any = None  # whatever else the backend keeps for this run; set by Backend.start, private to it

    def map(self, function: Callable[[Any], Any]) -> "State":
        """Return the state with each array passed through `function`, for instance copied to a device."""

        def mapped(parameter: Parameter) -> Parameter:
            arrays = parameter.value, parameter.first_moment, parameter.second_moment
            return Parameter(*map(function, arrays))

        intercept = None if self.intercept is None else mapped(self.intercept)
        sums = self.sum_reference
        return replace(
            self,
            theta=mapped(self.theta),
            log_alpha=mapped(self.log_alpha),
            intercept=intercept,
            sum_reference=None if sums is None else SumReference(function(sums.theta), sums.room),
            slopes=None,
            counts=None,
            first_bad=None,
            run=None,
        )


@dataclass(frozen=True)
class Problem:
    """What a fit minimises: loss(M @ (w z)) + lambda_l0 E[open gates] + lambda_l2 (L2 penalty).

    The L2 penalty is |w|^2 or, with an anchor, |w / w0 - 1|^2 (`l2_penalty`).
    """

    matrix: Any  # the backend's own form of M, from Backend.matrix
    n_rows: int
    loss: Loss
    link: Link
    gates: Callable[[int], HardConcrete] | None  # by epoch, because beta may be a schedule; None: all are 1
    lambda_l2: float
    learning_rate: Callable[[int], float]
    column_offset: int = 0  # number of the first column of this rank, for the noise
    ranks: int = 1  # number of ranks that share the columns, and add up their predictions in each epoch
    # (N,), an array of the backend of the run's dtype: log w0. Requires the exponential link; None: no anchor
    l2_anchor: Any = None
    # (Q,), float64: what the sum of each row starts at, which the loop finds, where the number of ranks must
    # not matter (`exact_sums`); else None
    row_starts: Any = None


def test_time_weights(theta: Any, log_alpha: Any, link: Link, gates: HardConcrete | None) -> Any:
    """Return the weights after training: w times the test-time gate, w itself without gates."""
    weight, _ = link.weight(theta)
    return weight if gates is None else weight * gates.test_time_gate(log_alpha)


def selected_weights(theta: NDArray[Any], selection: NDArray[np.bool_], link: Link) -> NDArray[Any]:
    """Return the weights of selected columns, ungated and never 0, and 0 elsewhere."""
    weight, _ = link.weight(theta)
    smallest = np.finfo(weight.dtype).tiny
    lifted = np.where(np.abs(weight) < smallest, np.copysign(smallest, weight), weight)
    return np.asarray(np.where(selection, lifted, np.zeros_like(weight)))


test_time_weights.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name
