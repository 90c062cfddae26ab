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

from l0np.refit.interior import MOST_STEPS, ConvexLoss, InteriorPoint, interior_point
from l0np.refit.penalty import STATIONARY, PenalisedProblem

Floats = NDArray[np.float64]

MODELS = 20  # convex models of a capped loss at most
FROM_ABOVE = 2  # of these are squares above the loss: steps may be long, and must not lead uphill
# Accuracy of a model's minimum: at first, and relative to what is left of the slope of the loss
ROUGH, REDUCTION = 1e-3, 1e-3
NEWTON_STEPS = 50
PROXIMITIES, WEAKER = 3, 0.01  # values of mu that are tried, and the factor between them
LITTLE = 1e-6, 1e-9  # relative decreases of the loss by a model at which Newton steps are tried
SETTLED = 1e-6  # largest change of a g-weight by the last Newton step where the method has converged
STILL = 1e-11  # largest change of a g-weight in a Newton step at which nothing is left to do
ACTIVE_SETS = 6  # that are tried for one Newton step
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
    is_limited = bool(problem.finite_sides.any() or problem.system.tolerance.any())
    point, steps, is_accurate = interior_point(problem, squares, most=MOST_STEPS if is_limited else 0)
    found = Descent(point.variables[: len(problem.reference)], False, steps)
    if not problem.has_caps:
        return _polished(problem, found, most, is_final=is_accurate)
    for little in LITTLE:
        found, point = _through_models(problem, found, point, (little, most))
        # Loss and distance may have several minima: a slope of nearly 0 is all that can be asked
        found = _polished(problem, found, most, is_final=True)
        if found.is_stationary or found.steps >= most:
            break
    return found


def _through_models(
    problem: PenalisedProblem, found: Descent, point: InteriorPoint, limits: tuple[float, int]
) -> tuple[Descent, InteriorPoint]:
    """Minimise convex models of a capped loss until one lowers the loss by little."""
    (ratios, _, steps), (little, most) = found, limits
    for model in range(MODELS):
        error = problem.errors(ratios)
        left = problem.residual(ratios, error)
        if left <= STATIONARY or steps >= most:
            break
        make = ConvexLoss.above if model < FROM_ABOVE else ConvexLoss.near
        start, accuracy = point._replace(variables=ratios), min(ROUGH, REDUCTION * left)
        most_steps = min(MOST_STEPS, most - steps)
        point, taken, _ = interior_point(problem, make(problem.terms(error)), start, accuracy, most_steps)
        steps += taken
        before = _loss(problem, ratios)
        ratios, _ = _lower(problem, ratios, error, point.variables[: len(ratios)])
        if before - _loss(problem, ratios) <= little * before:
            break
    return Descent(ratios, False, steps), point


def _polished(problem: PenalisedProblem, found: Descent, most: int, is_final: bool) -> Descent:
    """Return the weights after Newton steps; `is_final` if they need not settle to be stationary."""
    ratios, _, steps = found
    for _ in range(PROXIMITIES):
        left = min(max(most - steps, 1), NEWTON_STEPS)
        ratios, settled, taken = _projected_newton(problem, ratios, left)
        steps += taken
        is_stationary = problem.residual(ratios, problem.errors(ratios)) <= STATIONARY
        if is_stationary or not settled:
            break
        problem = replace(problem, proximity=WEAKER * problem.proximity)
    return Descent(ratios, is_stationary and (settled or is_final), steps)


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
    """Return the g-weights after Newton steps, whether they have settled, and the factorisations."""
    moved, steps = np.inf, 0
    while steps < most:
        problem.system.note(problem.reference * ratios)
        error = problem.errors(ratios)
        end, taken = _newton_end(problem, ratios, error, most - steps)
        steps += taken
        wanted = float(np.abs(end - ratios).max(initial=0.0))
        ratios, length = _lower(problem, ratios, error, end)
        if length == 0.0:
            break
        before, moved = moved, length * wanted
        if moved <= STILL or (moved <= SETTLED and moved > 0.5 * before):
            break
    return ratios, moved <= SETTLED, steps


def _newton_end(problem: PenalisedProblem, ratios: Floats, error: Floats, most: int) -> tuple[Floats, int]:
    """Return where a Newton step leads within the bounds, and the number of factorisations it took.

    Which weights are at their bounds and which errors are beyond their tolerances is found by an active-set
    iteration (M. Hintermueller, K. Ito, K. Kunisch: The primal-dual active set strategy as a semismooth
    Newton method, SIAM J. Optim. 13, 2002): each solution with one division says which weights would cross a
    bound or leave it for the inside, and which errors would cross the edge of their tolerance.
    """
    lower, upper = problem.distance.lower, problem.distance.upper
    system, tolerance = problem.system, problem.system.tolerance
    loss = ConvexLoss.near(problem.terms(error))
    pull, inertia = problem.movement(ratios)
    movement, inertia = problem.mu * pull, problem.mu * inertia / problem.reference
    side = np.where(np.abs(error) >= tolerance, np.sign(error), 0.0)
    # The Newton step of each weight alone: a weight stays at a bound that this step would cross
    gradient = problem.gradient(ratios, error)
    own = gradient / (problem.reference * (inertia + problem.own_curvature(np.where(side, loss.bend, 0.0))))
    low, high = ratios - own <= lower, ratios - own >= upper
    end, step = ratios, 0
    while step < min(most, ACTIVE_SETS):
        step += 1
        bend = np.where(side, loss.bend, 0.0)
        slope = np.where(side, loss.offset + loss.bend * (error - side * tolerance), 0.0)
        stays = low | high
        weights = problem.reference * np.where(low, lower - ratios, np.where(high, upper - ratios, 0.0))
        weights[~stays] = 0.0
        coupled = movement + system.pull(slope + bend * system.totals(weights))
        solve = problem.solver(bend, np.where(stays, np.inf, inertia))
        weights -= solve(np.where(stays, 0.0, coupled))
        change = system.totals(weights)
        left = movement + inertia * weights + system.pull(slope + bend * change)
        end = ratios + weights / problem.reference
        before = low, high, side
        low, high = np.where(low, left > 0, end < lower), np.where(high, left < 0, end > upper)
        side = np.where(np.abs(error + change) >= tolerance, np.sign(error + change), 0.0)
        if all((a == b).all() for a, b in zip(before, (low, high, side), strict=True)):
            break
    return np.clip(end, lower, upper), step
