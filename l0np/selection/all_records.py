"""`AllRecords`: the calibration of all records, which a selection of k records has to represent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from l0np.callbacks import Progress
from l0np.matrix import weighted_totals
from l0np.models import TrainingSettings
from l0np.refit import DISTANCES, RefitProblem
from l0np.sampling import largest_fractions
from l0np.selection.problem import SelectionProblem
from l0np.selection.selections import Selection
from l0np.targets import metrics

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EPOCHS, LEARNING_RATE = 300, 0.05  # of the training without gates that replaces the refit of all records
ENOUGH, LOOK = 1e-3, 50  # root mean square error at which that training ends, and epochs between checks
NONE = 1e-6  # weight relative to the base weight below which a record counts as one of weight 0
AS_GOOD = 1.01  # times the loss that all records leave: a selection whose loss is at most this is as good


class Sizes(NamedTuple):
    """What inclusion probabilities follow from, both of shape (N,).

    The sizes that they are in proportion to, weights before selection (0 for records that must not be drawn),
    and the least probabilities.
    """

    sizes: Floats
    least: Floats


class Inclusion(NamedTuple):
    """How likely each record is to be selected, and its reference weight if it is; both of shape (N,).

    The reference weight is (weight before selection) / (inclusion probability), so that k records represent
    all.
    """

    probabilities: Floats
    reference_weights: Floats


@dataclass(frozen=True, eq=False)
class AllRecords:
    """A problem with the weights with which all records meet the targets.

    Attributes
    ----------
    problem : SelectionProblem
        The problem.
    weights : array of shape (N,)
        These weights; 0 for records without a base weight.
    selection : Selection or None
        The refit that found them; None if there were too many records, so that weights were trained.
    """

    problem: SelectionProblem
    weights: Floats
    selection: Selection | None

    @classmethod
    def calibrated(cls, problem: SelectionProblem) -> Self:
        """Calibrate all records: by a refit or, if that costs too much, by training without gates."""
        weights = problem.base_weights.copy()
        if _n_pairs(problem) <= problem.limits.full_refit_cost:
            selection = Selection.of_all(problem)
            weights[problem.eligible] = selection.refit.weights
            return cls(problem, weights, selection)
        weights[problem.eligible] = _trained_weights(problem)[problem.eligible]
        return cls(problem, weights, None)

    def inclusion(self, k: int) -> Inclusion:
        """Return inclusion probabilities for k records, in proportion to the weights before selection."""
        p = self.problem.requirements.probabilities(*self.sizes(k), k)
        return Inclusion(p, self.weights_before / np.where(p > 0, p, k / len(p)))

    def sizes(self, k: int) -> Sizes:
        """Return what inclusion probabilities for k records follow from."""
        if np.count_nonzero(self._positive_weights) >= k and self._can_hold_what_is_required:
            return Sizes(self._positive_weights, self._largest_fractions)
        base = (
            self.problem.base_weights
        )  # weights may be negative without bounds, and trained weights may be 0
        return Sizes(base, largest_fractions(self.problem.matrix, base))

    @cached_property
    def _can_hold_what_is_required(self) -> bool:
        """Whether records of positive weight are enough in each group."""
        required = self.problem.requirements
        if required.group is None:
            return True
        held = np.bincount(required.group[self._positive_weights > 0], minlength=len(required.least))
        return bool((held >= required.least).all())

    @cached_property
    def from_zero(self) -> AllRecords:
        """The calibration of all records with g-weights down to 0: a record of weight 0 is not selected.

        A lower bound above 0 would keep targets out of reach that a selection can meet: one of 0, for
        instance.
        """
        problem, found = self.problem, self.selection
        if found is None and _n_pairs(problem) > problem.limits.refit_from_zero_cost:
            return self
        if found is not None and not (found.refit.at_lower or found.refit.n_missed):
            return self
        distance = DISTANCES["chi-square"](0.0, problem.refits.distance.upper)
        refits = RefitProblem(problem.matrix, problem.targets, distance, problem.refits.total)
        selection = Selection.of_all(replace(problem, refits=refits))
        weights = problem.base_weights.copy()
        kept = selection.refit.weights.copy()
        kept[kept < NONE * problem.base_weights[problem.eligible]] = 0.0
        weights[problem.eligible] = kept
        return replace(self, weights=weights, selection=selection)

    @cached_property
    def weights_before(self) -> Floats:
        """The weights before selection, above 0 wherever base weights are."""
        return np.where(self.weights > 0, self.weights, self.problem.base_weights)

    def select(
        self, records: Integers, inclusion: Inclusion, method: str, lambda_l0: float | None = None
    ) -> Selection:
        """Return the selection of these records, refitted near to their reference weights."""
        reference = inclusion.reference_weights[records]
        selection = Selection.refitted(self.problem, records, reference, method, lambda_l0)
        return replace(selection, probabilities=inclusion.probabilities)

    def are_matched_by(self, selection: Selection) -> bool:
        """Return whether a selection meets the targets as closely as all records together do."""
        out_of_reach = 0 if self.selection is None else self.selection.refit.n_missed
        return selection.refit.n_missed <= out_of_reach or selection.loss <= self._matching_loss

    @cached_property
    def _positive_weights(self) -> Floats:
        return np.maximum(self.weights, 0.0)

    @cached_property
    def _largest_fractions(self) -> Floats:
        return largest_fractions(self.problem.matrix, self._positive_weights)

    @cached_property
    def _matching_loss(self) -> float:
        """The loss that all records leave, plus the loss of errors that count as within tolerance."""
        left = self.problem.loss(weighted_totals(self.problem.matrix, self.weights))
        return AS_GOOD * left + metrics.MET**2 * float(self.problem.targets.weights.sum())


def _n_pairs(problem: SelectionProblem) -> float:
    """Return the number of pairs of entries in the same column."""
    return float((np.diff(problem.matrix.indptr).astype(np.float64) ** 2).sum())


def _trained_weights(problem: SelectionProblem) -> Floats:
    """Return the weights of all records after training without gates."""
    model, targets = problem.model(problem.base_weights, use_gates=False), problem.training_targets
    power = 2 if targets.minimises_squares else 1  # any other loss is assumed to scale like absolute errors
    enough = ENOUGH**power * float(targets.weights.sum())
    reached: list[bool] = []

    def is_enough(progress: Progress) -> bool:
        reached.append(progress.data_loss <= enough)
        return reached[-1]

    stages = problem.stages
    epochs, callbacks = (1, ()) if stages.begin("calibrating all records") else (EPOCHS, stages.callbacks)
    # What resumes from a checkpoint must not replace it here
    callbacks = tuple(one for one in callbacks if getattr(one, "resumes_from", None) is None)
    settings = TrainingSettings.checked(
        lr=LEARNING_RATE, epochs=epochs, verbose_freq=LOOK, callbacks=[is_enough, *callbacks]
    )
    model.train_on(problem.training_matrix, targets, settings, communicator=problem.ranks)
    stages.stopped |= model.epoch_ < epochs and not reached[-1]
    return np.asarray(problem.of_all(model.get_weights(deterministic=True)), np.float64)
