"""An interior-point method for the penalised problem of a refit, with a convex loss.

S. Mehrotra: On the implementation of a primal-dual interior point method (SIAM J. Optim. 2, 1992). The number
of steps hardly depends on how many bounds are active in the end, which methods that follow the boundary have
to find step by step.

The variables are the g-weights and, for each target with a tolerance, the slack: the part of its error within
the tolerance, which costs nothing. Both have bounds; arrays of variables hold the g-weights first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.refit.penalty import HUGE, PenalisedProblem, Terms

Floats = NDArray[np.float64]

MOST_STEPS = 50
FINE = 1e-4  # accuracy of the slope of the distance, relative to that of a g-weight of 2
NO_ROOM, NEARLY = 2e-16, 100.0  # distance from a bound that rounding hides; factor on the accuracy then
TO_BOUND = 0.9  # least part of the way to the nearest bound that a step may go
MOST_CENTRING, LEAST_CENTRING = 0.9, 1e-6
LEAST_GAP = 0.01  # mean product of multiplier and room that a step aims at, relative to the accuracy
WARM = 1e-3  # distance from the bounds, and least multiplier of a bound, at which a run starts again
FIRST_MULTIPLIER = 0.1  # of the bounds at the first start, relative to the slope of the loss
SIGNS = np.array([[1.0], [-1.0]])  # of what the multipliers of the lower and of the upper bounds push


class ConvexLoss(NamedTuple):
    """Half slopes ``offset_i + bend_i * (error - slack)``, both of shape (Q,)."""

    offset: Floats
    bend: Floats

    @classmethod
    def squares(cls, n: int) -> ConvexLoss:
        """Return the loss without caps."""
        return cls(np.zeros(n), np.ones(n))

    @classmethod
    def above(cls, terms: Terms) -> ConvexLoss:
        """Return the squares that touch a capped loss at its errors and lie above it elsewhere."""
        return cls(np.zeros_like(terms.weight), terms.weight)

    @classmethod
    def near(cls, terms: Terms) -> ConvexLoss:
        """Return a loss with the slopes of a capped one, and with its curvature where that is positive."""
        bend = np.where(terms.beyond == 0, terms.weight, np.maximum(terms.bend, 0.0))
        return cls(terms.slope - bend * terms.beyond, bend)


class InteriorPoint(NamedTuple):
    """Variables between their bounds, and the multipliers of these, shape (2, number of variables)."""

    variables: Floats
    multipliers: Floats

    def moved(self, direction: InteriorPoint, length: float) -> InteriorPoint:
        """Return the point after a step."""
        return InteriorPoint(
            self.variables + length * direction.variables, self.multipliers + length * direction.multipliers
        )


class Variables:
    """The variables of a problem.

    Attributes
    ----------
    n : int
        Number of g-weights.
    tolerant : array of int
        The targets that have slacks.
    lower, upper : arrays
        Bounds, huge where there is none.
    finite : bool array of shape (2, number of variables)
        Which lower and which upper bounds there are.
    weight : array
        Factors on the barrier of each variable: the reference weights; for the slacks a number such that all
        have the same total.
    """

    def __init__(self, problem: PenalisedProblem) -> None:
        self.n, self.tolerant = len(problem.reference), np.flatnonzero(problem.system.tolerance)
        tolerance = problem.system.tolerance[self.tolerant]
        lower, upper = problem.bounds
        self.lower = np.concatenate([np.full(self.n, lower), -tolerance])
        self.upper = np.concatenate([np.full(self.n, upper), tolerance])
        self.finite = np.abs(np.stack([self.lower, self.upper])) < HUGE
        self.slack_weight = float(problem.reference.sum()) / max(len(tolerance), 1)
        slack_weights = np.full(len(tolerance), self.slack_weight)
        self.weight = np.concatenate([problem.reference, slack_weights])

    def room(self, variables: Floats) -> Floats:
        """Return the distances from the lower and from the upper bounds."""
        return np.stack([variables - self.lower, self.upper - variables])

    def start(self, problem: PenalisedProblem, ratios: Floats, scale: float) -> InteriorPoint:
        """Return the point at which a first run starts."""
        slack = np.zeros(len(self.tolerant))
        point = np.concatenate([ratios, slack])
        return self._off_bounds(point, np.full((2, len(point)), FIRST_MULTIPLIER * scale), 0.1)

    def restart(self, problem: PenalisedProblem, last: InteriorPoint, scale: float) -> InteriorPoint:
        """Return the point at which a run starts that follows another one."""
        slack = problem.errors(last.variables[: self.n])[self.tolerant]
        point = np.concatenate([last.variables[: self.n], slack])
        return self._off_bounds(point, np.maximum(last.multipliers, WARM * scale), WARM)

    def _off_bounds(self, variables: Floats, multipliers: Floats, margin: float) -> InteriorPoint:
        margins = np.minimum(margin, 0.25 * (self.upper - self.lower))
        inside = np.clip(variables, self.lower + margins, self.upper - margins)
        return InteriorPoint(inside, np.where(self.finite, multipliers, 0.0))


def interior_point(
    problem: PenalisedProblem,
    loss: ConvexLoss,
    start: InteriorPoint | None = None,
    accuracy: float = 0.0,
    most: int = MOST_STEPS,
) -> tuple[InteriorPoint, int, bool]:
    """Minimise the distance times mu plus a convex loss.

    Return the point, the number of steps, and whether the point is accurate.

    Parameters
    ----------
    problem : PenalisedProblem
        The problem; its caps do not count.
    loss : ConvexLoss
        The loss.
    start : InteriorPoint, optional
        Where an earlier run for a similar loss ended; by default g-weights of 1.
    accuracy : float
        The run ends when neither the slope of the Lagrangian nor the product of a multiplier with the
        distance from its bound exceeds this part of the slope of the loss at the start, or `FINE` of the
        slope of the distance for a g-weight of 2.
    most : int
        Steps at most; each takes one factorisation.
    """
    variables = Variables(problem)
    first = np.ones(variables.n) if start is None else start.variables[: variables.n]
    scale = _scale(problem, loss, first)
    if start is None:
        point = variables.start(problem, first, scale)
    else:
        point = variables.restart(problem, start, scale)
    enough = max(accuracy * scale, FINE * problem.mu)
    sides = float((variables.finite * variables.weight).sum())
    for step in range(most):
        problem.system.note(problem.reference * point.variables[: variables.n])
        newton = _NewtonStep(problem, loss, variables, point)
        gap = newton.room * point.multipliers
        worst = max(newton.residual(), float(gap.max(initial=0.0)))
        if worst <= enough:
            return point, step, True
        if newton.room.min(initial=np.inf) < NO_ROOM:  # nor can rounding errors be told from what is left
            return point, step, worst <= NEARLY * enough
        predicted = newton.towards(np.zeros_like(gap))
        length = _longest(point, newton.room, predicted)
        after = point.moved(predicted, length)
        ahead = variables.room(after.variables) * after.multipliers
        mean, mean_ahead = (float((g * variables.weight).sum()) / (sides or 1.0) for g in (gap, ahead))
        centring = min(max((mean_ahead / mean) ** 3, LEAST_CENTRING), MOST_CENTRING) if mean else 0.0
        # Far from the central path, where steps are short, the whole second-order correction misleads
        second_order = min(1.0, 10.0 * length) * SIGNS * predicted.variables * predicted.multipliers
        wanted = max(centring * mean, LEAST_GAP * enough)
        move = newton.towards(np.where(variables.finite, wanted - second_order, 0.0))
        length = max(TO_BOUND, 1.0 - mean / scale) * _longest(point, newton.room, move)
        point = point.moved(move, min(length, 1.0))
    return point, most, False


class _NewtonStep:
    """The systems of one step: several right-hand sides, one factorisation."""

    def __init__(
        self, problem: PenalisedProblem, loss: ConvexLoss, variables: Variables, point: InteriorPoint
    ) -> None:
        self.problem, self.variables, self.point = problem, variables, point
        n, tolerant, reference = variables.n, variables.tolerant, problem.reference
        self.room = variables.room(point.variables)
        self.stiffness = point.multipliers / self.room
        stiffness = self.stiffness.sum(axis=0)
        pull, inertia = problem.movement(point.variables[:n])
        slack = np.zeros(len(loss.bend))
        slack[tolerant] = point.variables[n:]
        self.slope = loss.offset + loss.bend * (problem.errors(point.variables[:n]) - slack)
        self.movement, self.bend = problem.mu * pull, loss.bend
        # Where there is a slack, it takes its part of every change of an error
        self.hold = np.full(len(loss.bend), np.inf)
        self.hold[tolerant] = variables.slack_weight * stiffness[n:]
        self.part = np.ones(len(loss.bend))  # of a change of the error that the slope feels
        self.part[tolerant] = self.hold[tolerant] / (loss.bend + self.hold)[tolerant]
        self.solve = problem.solver(loss.bend * self.part, (problem.mu * inertia + stiffness[:n]) / reference)

    def residual(self) -> float:
        """Return the largest slope of the Lagrangian by a variable, for each unit of its weight."""
        push, n = (SIGNS * self.point.multipliers).sum(axis=0), self.variables.n
        by_weight = self.movement + self.problem.by_weight(self.slope) - push[:n]
        by_slack = self.slope[self.variables.tolerant] / self.variables.slack_weight + push[n:]
        return max(float(np.abs(by).max(initial=0.0)) for by in (by_weight, by_slack))

    def towards(self, products: Floats) -> InteriorPoint:
        """Return the step after which multipliers times rooms are these products, to first order."""
        n, tolerant, system = self.variables.n, self.variables.tolerant, self.problem.system
        wanted = products / self.room
        push = (SIGNS * wanted).sum(axis=0)
        on_slack = self.variables.slack_weight * push[n:]
        slope = self.part * self.slope
        slope[tolerant] -= (1.0 - self.part[tolerant]) * on_slack
        weights = self.solve(push[:n] - self.movement - self.problem.by_weight(slope))
        by_error = (self.slope + self.bend * system.totals(weights))[tolerant]
        slack = (by_error + on_slack) / (self.bend + self.hold)[tolerant]
        change = np.concatenate([weights / self.problem.reference, slack])
        return InteriorPoint(change, wanted - self.point.multipliers - SIGNS * self.stiffness * change)


def _scale(problem: PenalisedProblem, loss: ConvexLoss, ratios: Floats) -> float:
    """Return the largest slope of the loss by a weight, each term taken with its absolute value."""
    error = problem.errors(ratios)
    beyond = error - np.clip(error, -problem.system.tolerance, problem.system.tolerance)
    return float(problem.size_by_weight(loss.offset + loss.bend * beyond).max(initial=0.0)) or 1.0


def _longest(point: InteriorPoint, room: Floats, move: InteriorPoint) -> float:
    """Return the part of a step, at most 1/TO_BOUND, after which a room or a multiplier would be 0."""
    longest = 1.0 / TO_BOUND
    for value, change in ((room, SIGNS * move.variables), (point.multipliers, move.multipliers)):
        falling = change < 0
        if falling.any():
            longest = min(longest, float((value[falling] / -change[falling]).min()))
    return longest
