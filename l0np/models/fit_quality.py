"""Whether the result of a fit is one that no user can want, and if so why, and what to try."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np._text import percent
from l0np.engine import Backend, Communicator, LossTrend, Problem, State, exact_totals, with_intercept
from l0np.errors import PoorFitWarning, warn
from l0np.maths import philox
from l0np.models.active_columns import weights_at_test_time
from l0np.models.ranks import total
from l0np.models.settings import TrainingSettings
from l0np.targets import Targets

FEWEST_EPOCHS = 100  # below which nothing is judged
# From these on a fit is poor
LARGE_ERROR = 0.5  # median relative error of the targets
LARGE_FALL = 0.1  # fraction by which the loss still falls in the last tenth of the epochs
NEGLIGIBLE = 1e-4  # of the loss of a model that predicts 0: a loss below it need not fall any more
LARGE_DIFFERENCE = (
    0.1  # median relative difference between totals with the gates at test time and in training
)
LARGE_FACTOR = 10.0  # between the sum of the weights and what the targets ask for, up or down
DRAWS = 4  # of the gates, over which totals in training are averaged

Floats = NDArray[np.float64]


class Fault(NamedTuple):
    """What is wrong with a fit."""

    kind: str  # each kind is reported once
    finding: str
    cures: Sequence[str]


@dataclass(frozen=True)
class FitEnd:
    """The end of a fit. What takes a product with M is computed when it is first read.

    Attributes
    ----------
    backend : Backend
        The backend that trained.
    problem : Problem
        What was minimised.
    targets : Targets
        The targets.
    settings : TrainingSettings
        What was asked of the training.
    state : State
        Its end, in NumPy arrays.
    trend : LossTrend
        The loss of the data in the last fifth of the epochs.
    ranks : Communicator
        The ranks that share the columns, which look for faults together: whatever is not said to be the
        rank's own is of all columns.
    """

    backend: Backend
    problem: Problem
    targets: Targets
    settings: TrainingSettings
    state: State
    trend: LossTrend
    ranks: Communicator

    @cached_property
    def weights(self) -> NDArray[Any]:
        """The rank's own test-time weights, shape (N,)."""
        gates = self.problem.gates and self.problem.gates(self.state.epoch)
        return weights_at_test_time(self.state, gates, self.problem.link)

    def __post_init__(self) -> None:
        """Compute at once what all ranks compute together."""
        if self.ranks.reproducible:
            self.__dict__["estimates"] = self.totals(self.weights)

    @property
    def is_active(self) -> bool:
        """Whether any weight is not 0."""
        return total(self.ranks, int(np.count_nonzero(self.weights))) > 0

    @cached_property
    def estimates(self) -> Floats:
        """What the test-time weights give for each row, shape (Q,)."""
        return self.totals(self.weights)

    def totals(self, weights: NDArray[Any]) -> Floats:
        """Return what weights, the rank's own ones, give for each row."""
        columns = weights.astype(self.state.theta.value.dtype)
        with self.backend.active():
            columns = self.backend.asarray(columns)
            totals = exact_totals(self.backend, self.problem.matrix, columns, self.ranks)
            return np.asarray(with_intercept(totals, self.state))

    @property
    def fall(self) -> float:
        """By which fraction the loss still falls; 0 if that is unknown, or if the loss is negligible.

        It is compared with the loss of a model that predicts 0.
        """
        fall, last = self.trend.fall, self.trend.last
        if fall is None or last is None:
            return 0.0
        with self.backend.active():
            nothing = self.backend.asarray(np.zeros(self.problem.n_rows))
            return fall if last > NEGLIGIBLE * float(self.problem.loss.value(nothing)) else 0.0

    def difference(self, scale: Floats) -> float:
        """Return the median difference between totals with the gates at test time and in training.

        It is relative to `scale`; in training means the mean of a few draws. After a selection, when no gate
        is left, it is 0.
        """
        if self.problem.gates is None or self.state.selection is not None:
            return 0.0
        gates, state, n_columns = self.problem.gates(self.state.epoch), self.state, len(self.weights)
        gate = np.zeros(n_columns)
        for epoch in range(state.epoch, state.epoch + DRAWS):
            first = self.problem.column_offset
            uniform = philox.uniform(np, state.seed, philox.GATES, epoch, first, n_columns)
            gate += gates.sample(state.log_alpha.value, uniform)[0] / DRAWS
        with np.errstate(all="ignore"):  # weights may underflow
            weights = self.problem.link.weight(state.theta.value)[0] * gate
        difference = np.abs(self.estimates - self.totals(weights)) / scale
        return float(np.median(difference[self.targets.fitted]))


def warn_of_faults(faults: Iterable[Fault], known: set[str], *, silent: bool = False) -> None:
    """Give one warning of all faults whose kind is not known yet, and add their kinds to `known`.

    If `silent`, only the kinds are added: another rank warns.
    """
    new = [fault for fault in faults if fault.kind not in known]
    if new:
        known.update(fault.kind for fault in new)
        cures = list(dict.fromkeys(cure for fault in new for cure in fault.cures))
        lines = [*(f"- {fault.finding}" for fault in new), "What may help:", *(f"- {cure}" for cure in cures)]
        if not silent:
            warn("\n".join(["the result of this fit is poor:", *lines]), PoorFitWarning)


def faults_of_calibration(end: FitEnd, initial_weights: Floats) -> Iterator[Fault]:
    """Yield what is wrong with calibrated weights."""
    targets, settings = end.targets, end.settings
    fitted = targets.fitted & (targets.weights > 0)
    value, scale = targets.value[fitted], targets.error_scale[fitted]
    wanted = _factor(value, end.totals(initial_weights)[fitted])
    cures = []
    if not 1 / LARGE_FACTOR <= wanted <= LARGE_FACTOR:
        cures.append(
            f"give init_weights of the right size, for a survey its base weights (with the initial weights, "
            f"totals are {1 / wanted:.2g} times the targets in the median)"
        )
    if settings.lambda_l2 and settings.l2_anchor is None:
        why = "lambda_l2 penalises squared weights in their own units"
        cures.append(f'use l2_anchor="initial", or a smaller lambda_l2: {why}')
    if not end.is_active:
        cures.append("use a smaller lambda_l0, or n_active=k to select exactly k records")
        yield Fault("none active", "no record is active", cures)
        return
    sums = float(np.sum(end.weights, dtype=np.float64)), float(initial_weights.sum())
    found, asked = (total(end.ranks, number) for number in sums)
    asked *= wanted
    factor = found / asked if asked else 1.0
    if not 1 / LARGE_FACTOR <= factor <= LARGE_FACTOR:
        finding = f"the weights add up to {found:.4g}, {factor:.2g} times what the targets ask for"
        yield Fault("sum of weights", finding, cures or ["train for more epochs"])
    error = float(np.median(np.abs(end.estimates[fitted] - value) / scale))
    if error > LARGE_ERROR:
        if end.state.selection is not None:
            cures.append("call refit(M, y), which fits the weights of the selected records")
        elif not cures:
            cures.append("use a smaller lambda_l0")
        cures.append("call check_targets(M, y) to see whether the targets can be met")
        yield Fault("error", f"the median error of the targets is {percent(error)}", cures)
    yield from _faults_of_training(end, end.difference(targets.error_scale), "totals")


def faults_of_regression(end: FitEnd) -> Iterator[Fault]:
    """Yield what is wrong with a regression."""
    if not end.is_active:
        cures = ["use a smaller lambda_l0, or n_active=k to select exactly k features"]
        yield Fault("none active", "no feature is active", cures)
        return
    spread = float(np.std(end.targets.value)) or 1.0
    yield from _faults_of_training(end, end.difference(np.full(len(end.targets), spread)), "predictions")


def _faults_of_training(end: FitEnd, difference: float, what: str) -> Iterator[Fault]:
    if end.fall > LARGE_FALL:
        finding = f"the loss still falls, by {percent(end.fall, 0)} in the last tenth of the epochs"
        yield Fault("fall", finding, ["train for more epochs"])
    if difference > LARGE_DIFFERENCE:
        change = f"change the {what} by {percent(difference)} in the median"
        cures = ["train for more epochs", "use a larger lambda_l0, or n_active=k and then refit"]
        yield Fault("gates", f"gates are undecided: those of test time {change}", cures)


def _factor(value: Floats, total: Floats) -> float:
    """Return the median ratio of targets to totals, of those that are not 0 and have one sign; else 1."""
    comparable = value * total > 0
    return float(np.median(value[comparable] / total[comparable])) if comparable.any() else 1.0
