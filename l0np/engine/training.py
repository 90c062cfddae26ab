"""The one loop. Whatever trains gates, on any device and over any number of ranks, passes through `train`."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from l0np.engine.backend import Backend, first_bad_epoch, with_intercept
from l0np.engine.communicator import Communicator
from l0np.engine.lambda_control import GOVERNED_EVERY, govern
from l0np.engine.state import NEVER, Problem, State
from l0np.errors import DivergenceError


def train(
    backend: Backend,
    problem: Problem,
    state: State,
    stop: int,
    *,
    communicator: Communicator,
    report_every: int,
    report: Callable[[float], bool],
    n_active: int | None = None,
) -> bool:
    """Train `state`, in place, up to epoch `stop`; return whether a report stopped it before.

    Parameters
    ----------
    backend : Backend
        Where the arrays of `problem` and `state` live.
    stop : int
        The epoch count to reach; the state goes on from its own.
    report_every : int
        `report` is called with the current data loss at every multiple of it, once all numbers are known to be finite. Only
        there, at the end, and where lambda_l0 is governed, is the device waited for. It returns True to stop.
    n_active : int, optional
        The number of open gates at which lambda_l0 is to hold their expectation (see `governor`); without it lambda_l0
        stays what the state says.

    Raises
    ------
    DivergenceError
        When a number was not finite at a report or at the end.
    """
    problem = replace(problem, ranks=communicator.size)
    xp, first_epoch = backend.xp, state.epoch + 1
    prediction = xp.empty(problem.target.shape, dtype=xp.float64)
    row_space = xp.empty_like(prediction)

    def epoch() -> None:
        gradient = backend.row_step(problem, state, communicator.allreduce(prediction), out=row_space)
        backend.step(problem, state, gradient, out=prediction)

    def finite_data_loss() -> float:
        total = with_intercept(communicator.allreduce(prediction), state)
        bad, loss = first_bad_epoch(backend, state), float(problem.loss.value(total))
        if bad != NEVER or not math.isfinite(loss):
            bad = max(min(bad, state.epoch), first_epoch)  # what was infinite from the start shows in the first epoch
            raise DivergenceError(bad, problem.learning_rate(max(bad - 1, 0)), loss)
        return loss

    with np.errstate(all="ignore"):
        backend.start(problem, state, out=prediction)
    while state.epoch < stop:
        look = stop if n_active is None else _next_multiple(GOVERNED_EVERY, state.epoch)
        look_or_report = min(look, _next_multiple(report_every, state.epoch))
        with np.errstate(all="ignore"):  # what overflows is told once, by finite_data_loss
            backend.repeat(epoch, min(look_or_report, stop) - state.epoch, problem, state)
            if n_active is not None and state.epoch == look:
                govern(problem, state, n_active, communicator)
            if state.epoch % report_every and state.epoch != stop:
                continue
            loss = finite_data_loss()
        if state.epoch % report_every == 0 and report(loss):
            return True
    return False


def _next_multiple(period: int, epoch: int) -> int:
    return epoch + period - epoch % period
