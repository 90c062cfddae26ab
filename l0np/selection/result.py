"""`Calibration`: the answer of `calibrate`, and how it is put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted
from l0np.diagnostics import Diagnostics
from l0np.matrix import absolute_totals, weighted_totals
from l0np.refit import Refit
from l0np.selection.problem import SelectionProblem
from l0np.selection.selections import Selection
from l0np.targets import TargetTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """Selected records, their weights, and how good these are.

    Attributes
    ----------
    weights : array of shape (N,)
        The weight of every record, 0 where it is not selected.
    indices : array of shape (k,)
        The selected records, ascending.
    refit : Refit
        How their weights were found: g-weights, how many are at a bound, steps taken.
    selected_weights : array of shape (k,)
        Their weights.
    reference_weights : array of shape (k,)
        What the weights stay near to: weight before selection / inclusion probability. By "thinned" a record
        may have to keep less than the lower bound; its reference weight is then reduced to weight / bound.
    targets : TargetTable
        Each target with its estimate and error.
    diagnostics : Diagnostics
        Effective sample size, g-weights with respect to the base weights, errors by group.
    missed : tuple of str
        Names of the targets, and then of the totals of targets, that should be met but are not within their
        tolerance.
    converged : bool
        Whether the refit converged.
    method : str
        How the records were selected: "all", "thinned", "balanced", "exchange" or "gates".
    lambda_l0 : float or None
        The L0 multiplier at the end of training, if gates were trained.
    seed : int
        The seed that gives the same answer again.
    record_names : tuple of N str, optional
        The names of all records, in the order of `weights`: the columns of M, if M is a frame with names.
    selected_names : tuple of k str, optional
        The names of the selected records, in the order of `indices`.
    """

    weights: Floats
    indices: NDArray[np.int64]
    refit: Refit
    reference_weights: Floats
    targets: TargetTable
    diagnostics: Diagnostics
    missed: tuple[str, ...]
    method: str
    lambda_l0: float | None
    seed: int
    record_names: tuple[str, ...] | None = None

    @property
    def selected_names(self) -> tuple[str, ...] | None:
        """The names of the selected records; None if records have no names."""
        return None if self.record_names is None else tuple(self.record_names[j] for j in self.indices)

    @property
    def selected_weights(self) -> Floats:
        """The weights of the selected records."""
        return self.refit.weights

    @property
    def converged(self) -> bool:
        """Whether the refit converged."""
        return self.refit.converged

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Say how the records were selected and whether the targets are met, then show the diagnostics."""
        size = f"{counted(len(self.indices), 'record')} ({self.method})"
        found = f"{self.refit.state}, {self.diagnostics.verdict}{self.refit.notes}"
        return f"Calibration: {size}, {found}\n\n{self.diagnostics}"


def calibration_of(problem: SelectionProblem, selection: Selection) -> Calibration:
    """Return the answer for a selection."""
    weights = np.zeros(problem.matrix.shape[1])
    weights[selection.records] = selection.refit.weights
    estimate = weighted_totals(problem.matrix, weights)
    sizes = absolute_totals(problem.matrix, weights)
    found = Diagnostics.of(problem.targets, estimate, weights, problem.base_weights, sizes)
    tables = (found.targets, found.totals) if found.totals else (found.targets,)
    return Calibration(
        weights=weights,
        indices=selection.records,
        refit=selection.refit,
        reference_weights=selection.reference_weights,
        targets=found.targets,
        diagnostics=found,
        missed=tuple(name for table in tables for name in table.name[table.missed].tolist()),
        method=selection.method,
        lambda_l0=selection.lambda_l0,
        seed=problem.seed,
        record_names=problem.record_names,
    )
