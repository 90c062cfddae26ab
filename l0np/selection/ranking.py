"""Which of several selections is best: their targeted totals and their untargeted ones, in one sum.

Of the answers found the one with the least *mean squared relative error of the targets + spread / ESS* is
taken. The first is what targeted totals are off by for certain, the second, with the effective sample size of
Kish and a spread of 1, the relative variance of an untargeted total whose coefficient of variation is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import weighted_totals
from l0np.selection.problem import SelectionProblem
from l0np.selection.selections import Selection, Tried
from l0np.targets import Targets, metrics

DIGITS = 9  # to which sums are compared: beyond them, fewer missed targets decide, then evenness
ROUNDING = 1e-20  # squared relative error that counts as none, so that rounding does not choose

Floats = NDArray[np.float64]


def best_of(problem: SelectionProblem, selections: Sequence[Selection]) -> Selection:
    """Return the best of some selections, with what was measured of each of them, in the order given."""
    tried = [measured(problem, selection) for selection in selections]
    best = min(range(len(tried)), key=lambda i: _rank(tried[i], selections[i]))
    return replace(selections[best], tried=tuple(tried))


def measured(problem: SelectionProblem, selection: Selection) -> Tried:
    """Return both parts of the sum for a selection."""
    parts = [_weighted_squares(problem.targets, selection.refit.errors)]
    for aggregate in problem.targets.aggregates:
        totals = weighted_totals(aggregate.matrix, problem.targets.value + selection.refit.errors)
        squares, weights = _weighted_squares(aggregate.totals, totals - aggregate.totals.value)
        parts.append((aggregate.weight * squares, aggregate.weight * weights))
    weight = sum(weight for _, weight in parts)
    size = metrics.effective_sample_size(selection.refit.weights)
    return Tried(
        selection.method,
        sum(squares for squares, _ in parts) / weight if weight else 0.0,
        problem.spread / size if size else np.inf,
        selection.refit.n_missed,
    )


def _rank(tried: Tried, selection: Selection) -> tuple[float, int, float]:
    """Return what selections are compared by: the sum, the number of targets missed, the evenness."""
    total = tried.spread + (tried.squared_error if tried.squared_error > ROUNDING else 0.0)
    size = metrics.effective_sample_size(selection.refit.weights)
    return float(f"{total:.{DIGITS}g}"), tried.n_missed, -size


def _weighted_squares(targets: Targets, errors: Floats) -> tuple[float, float]:
    """Return the weighted sum of capped squares of relative errors beyond tolerance, and that of weights."""
    squares = (np.maximum(np.abs(errors) - targets.tolerance, 0.0) / targets.error_scale) ** 2
    weights = targets.weights * targets.fitted
    capped = squares / (1.0 + squares / targets.cap)
    return float(weights @ capped), float(weights.sum())
