"""The one loop. Whatever trains gates, on any device and over any number of ranks, passes through `train`."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from l0np.engine.backend import Backend, with_intercept
from l0np.engine.communicator import Communicator
from l0np.engine.exchange import Exchange
from l0np.engine.interrupts import DelayedInterrupt
from l0np.engine.lambda_control import CONTROL_PERIOD, control_lambda_l0
from l0np.engine.loss_trend import LossTrend
from l0np.engine.state import NEVER, Problem, State
from l0np.errors import DivergenceError

MOST_EPOCHS = 512  # on a device between two looks at whether Ctrl-C was pressed


class _InterruptedError(Exception):
    """Ends the epochs of a backend before the next one starts."""


def train(
    backend: Backend,
    problem: Problem,
    state: State,
    stop: int,
    *,
    communicator: Communicator,
    report_every: Sequence[int],
    report: Callable[[float, Callable[[], bool]], bool],
    n_active: int | None = None,
    trend: LossTrend | None = None,
) -> bool:
    """Train `state`, in place, up to epoch `stop`; return whether a report stopped it before that.

    Parameters
    ----------
    backend : Backend
        Where the arrays of `problem` and `state` live.
    stop : int
        The epoch count to reach; training starts at ``state.epoch``.
    communicator : Communicator
        The ranks among which the columns are divided. All of them call `train` with the same arguments but
        for the columns.
    report_every : sequence of int
        Epochs between reports: a report is due at the multiples of each of them. There, at the end, where
        lambda_l0 is updated and where `trend` notes the loss the host waits for the device, and nowhere else.
    report : callable
        Called at every report and after the last epoch with the current data loss, once all numbers are known
        to be finite, and with a function that says whether Ctrl-C, which may be pressed meanwhile, interrupts
        the training here; it returns True to stop.
    n_active : int, optional
        The expected number of open gates that lambda_l0 is moved to reach (see `lambda_control`); without it
        lambda_l0 stays what the state says.
    trend : LossTrend, optional
        Notes the loss of the data at the epochs it wants.

    Raises
    ------
    DivergenceError
        When a number was not finite at a report or at the end.
    KeyboardInterrupt
        After Ctrl-C: once the current epoch is complete and reported.
    """
    xp, first_epoch, interrupt = backend.xp, state.epoch + 1, DelayedInterrupt()
    exchange = Exchange(backend, problem, state, communicator, lambda: interrupt.requested)
    problem, prediction = exchange.problem, exchange.prediction
    row_space = xp.empty_like(prediction)

    def epoch() -> None:
        if exchange.interrupted and not backend.on_device:  # there the epochs of a graph cannot be divided
            raise _InterruptedError
        gradient = backend.row_step(problem, state, exchange.total_before_step(), out=row_space)
        exchange.prepare_step()
        backend.step(problem, state, gradient, out=prediction)

    def data_loss() -> float:
        return float(problem.loss.value(with_intercept(exchange.total(), state)))

    def finite_data_loss() -> float:
        bad, loss = exchange.first_bad_epoch(), data_loss()
        if bad != NEVER or not math.isfinite(loss):
            bad = max(min(bad, state.epoch), first_epoch)  # the loss was already infinite at the start
            raise DivergenceError(bad, problem.learning_rate(max(bad - 1, 0)), loss)
        return loss

    def pause() -> int:
        """Return the epoch up to which nothing but epochs is to be done."""
        pauses = [stop, *(_next_multiple(period, state.epoch) for period in report_every)]
        pauses += [] if n_active is None else [_next_multiple(CONTROL_PERIOD, state.epoch)]
        pauses += [state.epoch + MOST_EPOCHS] if backend.on_device else []
        pauses += [trend.next_after(state.epoch) or stop] if trend else []
        return min(pauses)

    updated = reported = state.epoch  # an interrupted epoch comes after what was done at the last one
    with interrupt:
        with np.errstate(all="ignore"):  # finite_data_loss reports what overflows, once
            backend.start(problem, state, out=prediction)
        while state.epoch < stop:
            with np.errstate(all="ignore"):
                with suppress(_InterruptedError):
                    backend.repeat(epoch, pause() - state.epoch, problem, state)
                if n_active is not None and state.epoch % CONTROL_PERIOD == 0 and state.epoch != updated:
                    control_lambda_l0(problem, state, n_active, communicator)
                    updated = state.epoch
                if trend and state.epoch in trend.epochs:
                    trend.note(state.epoch, data_loss(), problem.learning_rate(state.epoch - 1))
                is_due = any(state.epoch % period == 0 for period in report_every)
                if not is_due and state.epoch != stop and not exchange.interrupted:
                    continue
                loss = finite_data_loss()
            stopped = state.epoch != reported and report(loss, lambda: exchange.interrupted)
            reported = state.epoch
            if exchange.interrupted:
                rule = "the model keeps what was trained"
                raise KeyboardInterrupt(f"training ended after epoch {state.epoch}; {rule}")
            if stopped:
                return True
    return False


def _next_multiple(period: int, epoch: int) -> int:
    return epoch + period - epoch % period
