"""An interior-point method for the penalised problem of a refit, with a convex loss.

S. Mehrotra: On the implementation of a primal-dual interior point method (SIAM J. Optim. 2, 1992). The number
of steps hardly depends on how many bounds are active in the end, which methods that follow the boundary have
to find step by step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.refit.penalty import PenalisedProblem, Terms

Floats = NDArray[np.float64]

MOST_STEPS = 50
TO_BOUND = 0.9  # least part of the way to the nearest bound that a step may go
MOST_CENTRING, LEAST_CENTRING = 0.9, 1e-6
LEAST_GAP = 0.01  # mean product of multiplier and room that a step aims at, relative to the accuracy
WARM = 1e-3  # distance from the bounds, and least multiplier of a bound, at which a run starts again
FIRST_MULTIPLIER = 0.1  # of the bounds at the first start, relative to the slope of the loss
SIGNS = np.array([[1.0], [-1.0]])  # of what the multipliers of the lower and of the upper bounds push


class ConvexLoss(NamedTuple):
    """Half slopes ``offset_i + bend_i * (error beyond the tolerance)``, both of shape (Q,)."""

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

    def slope(self, problem: PenalisedProblem, error: Floats) -> tuple[Floats, Floats]:
        """Return the half slope and the half curvature of each target's loss."""
        beyond = error - np.clip(error, -problem.system.tolerance, problem.system.tolerance)
        outside = np.abs(error) >= problem.system.tolerance
        return self.offset + self.bend * beyond, np.where(outside, self.bend, 0.0)


class InteriorPoint(NamedTuple):
    """G-weights between their bounds, shape (k,), and the multipliers of the two bounds, shape (2, k)."""

    ratios: Floats
    multipliers: Floats

    def moved(self, direction: InteriorPoint, length: float) -> InteriorPoint:
        """Return the point after a step."""
        return InteriorPoint(
            self.ratios + length * direction.ratios, self.multipliers + length * direction.multipliers
        )


def interior_point(
    problem: PenalisedProblem,
    loss: ConvexLoss,
    start: InteriorPoint | None = None,
    accuracy: float = 1e-9,
    most: int = MOST_STEPS,
) -> tuple[InteriorPoint, int]:
    """Minimise the distance times mu plus a convex loss; return the point and the number of steps.

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
        distance from its bound exceeds this part of the slope of the loss at the start.
    most : int
        Steps at most; each takes one factorisation.
    """
    reference, total = problem.reference, float(problem.reference.sum())
    first = np.ones_like(reference) if start is None else start.ratios
    scale = float(problem.size_by_weight(loss.slope(problem, problem.errors(first))[0]).max(initial=0.0))
    scale = scale or 1.0
    point = _started(problem, start, scale)
    sides = int(problem.finite_sides.sum())
    for step in range(most):
        pull, inertia = problem.movement(point.ratios)
        slope, bend = loss.slope(problem, problem.errors(point.ratios))
        gradient = problem.mu * pull + problem.by_weight(slope)
        room = problem.room(point.ratios)
        gap = room * point.multipliers
        left = np.abs(gradient - (SIGNS * point.multipliers).sum(axis=0)).max(initial=0.0)
        if max(left, gap.max(initial=0.0)) <= accuracy * scale:
            return point, step
        stiffness = point.multipliers / room
        solve = problem.solver(bend, (problem.mu * inertia + stiffness.sum(axis=0)) / reference)

        def towards(products: Floats) -> InteriorPoint:
            """Return the step after which multipliers times rooms are these products, to first order."""
            wanted = products / room  # noqa: B023  (called before the next step changes what it reads)
            change = solve((SIGNS * wanted).sum(axis=0) - gradient) / reference  # noqa: B023
            return InteriorPoint(change, wanted - point.multipliers - SIGNS * stiffness * change)  # noqa: B023

        predicted = towards(np.zeros_like(gap))
        length = _longest(point, room, predicted)
        after = point.moved(predicted, length)
        mean, ahead = (
            float((p.multipliers * problem.room(p.ratios)).sum(axis=0) @ reference) / (sides * total)
            if sides
            else 0.0
            for p in (point, after)
        )
        centring = min(max((ahead / mean) ** 3, LEAST_CENTRING), MOST_CENTRING) if mean else 0.0
        # Far from the central path, where steps are short, the whole second-order correction misleads
        second_order = min(1.0, 10.0 * length) * SIGNS * predicted.ratios * predicted.multipliers
        wanted = max(centring * mean, LEAST_GAP * accuracy * scale)
        move = towards(np.where(problem.finite_sides, wanted - second_order, 0.0))
        length = max(TO_BOUND, 1.0 - mean / scale) * _longest(point, room, move)
        point = point.moved(move, min(length, 1.0))
    return point, most


def _started(problem: PenalisedProblem, start: InteriorPoint | None, scale: float) -> InteriorPoint:
    """Return a point off the bounds."""
    n = len(problem.reference)
    if start is None:
        ratios, multipliers = np.ones(n), np.full((2, n), FIRST_MULTIPLIER * scale)
        margin = np.full(n, 0.1)
    else:
        ratios, multipliers = start.ratios, np.maximum(start.multipliers, WARM * scale)
        margin = np.full(n, WARM)
    lower, upper = problem.bounds
    margin = np.minimum(margin, 0.25 * (upper - lower))
    return InteriorPoint(
        np.clip(ratios, lower + margin, upper - margin), np.where(problem.finite_sides, multipliers, 0.0)
    )


def _longest(point: InteriorPoint, room: Floats, move: InteriorPoint) -> float:
    """Return the part of a step, at most 1/TO_BOUND, after which a room or a multiplier would be 0."""
    longest = 1.0 / TO_BOUND
    for value, change in ((room, SIGNS * move.ratios), (point.multipliers, move.multipliers)):
        falling = change < 0
        if falling.any():
            longest = min(longest, float((value[falling] / -change[falling]).min()))
    return longest
