"""`Selection`: exactly k records, the weights that a refit gave them, and the loss that is left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from l0np.refit import Refit
from l0np.selection.problem import SelectionProblem

ALL = "all"  # the method of classical calibration

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Tried:
    """How good a selection is that was made on the way to an answer.

    Attributes
    ----------
    method : str
        How the records were selected.
    squared_error : float
        Mean squared relative error of the targets and of their totals, beyond tolerances, with their weights
        and caps. Errors of targets of 0 are relative to the size of their rows under the base weights.
    spread : float
        ``spread / effective sample size``.
    n_missed : int
        How many targets are missed.
    """

    method: str
    squared_error: float
    spread: float
    n_missed: int

    @property
    def total(self) -> float:
        """The sum of both parts, which the best selection has the least of."""
        return self.squared_error + self.spread


@dataclass(frozen=True, eq=False)
class Selection:
    """Selected records with their weights.

    Attributes
    ----------
    records : array of shape (k,)
        Their columns in M, ascending.
    reference_weights : array of shape (k,)
        The weights that their weights stay near to.
    refit : Refit
        Their weights, as a refit found them.
    loss : float
        Loss of the targets and of their totals under these weights.
    method : str
        How they were selected, one of the values of `Calibration.method`.
    lambda_l0 : float or None
        The L0 multiplier at the end of training, if gates were trained.
    tried : tuple of Tried
        Measures of this selection and of those that it was compared with; empty before any comparison.
    probabilities : array of shape (N,), optional
        The inclusion probabilities of all records, from which the reference weights follow.
    """

    records: Integers
    reference_weights: Floats
    refit: Refit
    loss: float
    method: str
    lambda_l0: float | None = None
    tried: tuple[Tried, ...] = ()
    probabilities: Floats | None = None

    @classmethod
    def refitted(
        cls,
        problem: SelectionProblem,
        records: Integers,
        reference_weights: Floats,
        method: str,
        lambda_l0: float | None = None,
    ) -> Self:
        """Return the selection of these records with the weights that a refit gives them."""
        problem.stages.begin("calibrating all records" if method == ALL else "refit")
        watch = partial(problem.stages.report, None) if problem.stages.callbacks else None
        refit = problem.refits.refit(records, reference_weights, watch)
        estimates = problem.targets.value + refit.errors
        problem.stages.report(1.0, estimates)
        loss = problem.loss(estimates)
        return cls(records, reference_weights, refit, loss, method, lambda_l0)

    @classmethod
    def of_all(cls, problem: SelectionProblem) -> Self:
        """Return the selection of all records with a base weight: classical calibration."""
        return cls.refitted(problem, problem.eligible, problem.base_weights[problem.eligible], ALL)
