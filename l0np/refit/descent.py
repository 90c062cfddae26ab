"""Descent to a stationary point of the penalised problem of `l0np.refit.penalty`.

Three methods follow one another:

1. the interior-point method, for the loss without caps;
2. where there are caps, which make the problem nonconvex, the same method for one convex model of the loss
   after the other, each around the weights found before, with a line search;
3. projected Newton steps on the weights off their bounds, which give the last digits (D. P. Bertsekas:
   Projected Newton methods for optimization problems with simple constraints, SIAM J. Control Optim. 20,
   1982).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.refit.interior import MOST_STEPS, ConvexLoss, interior_point
from l0np.refit.penalty import STATIONARY, PenalisedProblem

Floats = NDArray[np.float64]

MODELS = 12  # convex models of a capped loss at most
FROM_ABOVE = 2  # of these are squares above the loss: steps may be long, and must not lead uphill
# Accuracy of a model's minimum: at first, relative to what is left of the slope of the loss, and at last
ROUGH, REDUCTION, FINE = 1e-3, 1e-3, 1e-9
NEWTON_STEPS = 50
PROXIMITIES, WEAKER = 3, 0.01  # values of mu that are tried, and the factor between them
LITTLE = 1e-6  # relative decrease of the loss by a model at which no other model follows
SETTLED = 1e-6  # largest change of a g-weight by the last Newton step where the method has converged
STILL = 1e-11  # largest change of a g-weight in a Newton step at which nothing is left to do
HALVINGS = 40  # of a step that does not lower the objective
ARMIJO = 1e-4  # part of the predicted decrease that a step must reach
# Relative change of the objective that may be rounding: then slopes say more, and must fall by a factor
ROUNDING, FLATTER = 1e-11, 0.5


class Descent(NamedTuple):
    """The g-weights that `descend` found, whether they are stationary, and the factorisations it took."""

    ratios: Floats
    is_stationary: bool
    steps: int


def descend(problem: PenalisedProblem, most: int) -> Descent:
    """Return g-weights that are stationary for the loss and near to 1.

    With caps they are a local minimum, reached from the weights that are best without caps. `most` limits the
    factorisations; weights that are not stationary after so many are returned as such.
    """
    squares = ConvexLoss.squares(len(problem.system.target))
    point, steps = interior_point(problem, squares, most=MOST_STEPS if problem.finite_sides.any() else 0)
    ratios = point.ratios
    for model in range(MODELS if problem.has_caps else 0):
        error = problem.errors(ratios)
        left = problem.residual(ratios, error)
        if left <= STATIONARY or steps >= most:
            break
        make = ConvexLoss.above if model < FROM_ABOVE else ConvexLoss.near
        accuracy = max(min(ROUGH, REDUCTION * left), FINE)
        start = point._replace(ratios=ratios)
        point, taken = interior_point(problem, make(problem.terms(error)), start, accuracy)
        steps += taken
        before = ratios
        ratios, _ = _lower(problem, ratios, error, point.ratios)
        if _loss(problem, before) - _loss(problem, ratios) <= LITTLE * _loss(problem, before):
            break
    for _ in range(PROXIMITIES):
        left = min(max(most - steps, 1), NEWTON_STEPS)
        ratios, settled, taken = _projected_newton(problem, ratios, left)
        steps += taken
        stationary = problem.residual(ratios, problem.errors(ratios)) <= STATIONARY
        if stationary or not settled:
            break
        problem = replace(problem, proximity=WEAKER * problem.proximity)
    return Descent(ratios, settled and stationary, steps)


def _loss(problem: PenalisedProblem, ratios: Floats) -> float:
    return float(problem.terms(problem.errors(ratios)).value.sum())


def _lower(problem: PenalisedProblem, ratios: Floats, error: Floats, end: Floats) -> tuple[Floats, float]:
    """Return g-weights on the way to `end` where the objective is lower, and the part of the way to them.

    The part is 0 if the objective falls nowhere within rounding.
    """
    lower, upper = problem.distance.lower, problem.distance.upper
    value, gradient = problem.terms(error).value, problem.gradient(ratios, error)
    rounding = ROUNDING * float(value.sum())
    length = 1.0
    for _ in range(HALVINGS):
        tried = np.clip(ratios + length * (end - ratios), lower, upper)
        error = problem.errors(tried)
        change = problem.mu * problem.moved(ratios, tried)
        change += 0.5 * float((problem.terms(error).value - value).sum())
        step = problem.reference * (tried - ratios)
        predicted = float(gradient @ step)
        if change <= ARMIJO * predicted:
            return tried, length
        slope = float(problem.gradient(tried, error) @ step) if abs(change) <= rounding else np.inf
        if abs(slope) <= -FLATTER * predicted:
            return tried, length
        length *= 0.5
    return ratios, 0.0


def _projected_newton(problem: PenalisedProblem, ratios: Floats, most: int) -> tuple[Floats, bool, int]:
    """Return the g-weights after Newton steps, whether they have settled, and the number of steps."""
    lower, upper = problem.distance.lower, problem.distance.upper
    moved, steps = np.inf, 0
    for steps in range(1, most + 1):  # noqa: B007  (returned)
        error = problem.errors(ratios)
        gradient = problem.gradient(ratios, error)
        bend = np.maximum(problem.terms(error).bend, 0.0)
        inertia = problem.mu * problem.movement(ratios)[1] / problem.reference
        # The Newton step of each weight alone: a weight stays at a bound that this step would cross
        own = gradient / (problem.reference * (inertia + problem.own_curvature(bend)))
        stays = (ratios - own <= lower) | (ratios - own >= upper)
        solve = problem.solver(bend, np.where(stays, np.inf, inertia))
        move = -solve(np.where(stays, 0.0, gradient)) / problem.reference
        end = np.where(stays, np.where(gradient > 0, lower, upper), ratios + move)
        wanted = float(np.abs(np.clip(end, lower, upper) - ratios).max(initial=0.0))
        ratios, length = _lower(problem, ratios, error, end)
        moved = length * wanted  # 0 where rounding hides any descent
        if moved <= STILL:
            break
    return ratios, moved <= SETTLED, steps
