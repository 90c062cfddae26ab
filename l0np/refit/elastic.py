"""Least sum of absolute errors: few targets are given up where targets contradict each other.

Where targets cannot all be met, a refit to a sum of squares misses each by a little; the least sum of
absolute errors meets most of them and misses a few, as a linear programme does. Among the weights of least
sum those nearest to the reference weights are wanted. Both are one problem if the distance gets a factor mu
that is small enough (M. P. Friedlander, P. Tseng: Exact regularization of convex programs, SIAM J. Optim. 18,
2007)::

    minimise  mu D(w) + sum_i max(|e_i| - tolerance_i, 0)   within the bounds,   e = A w - target.

The multiplier of a target lies between -1 and 1, and only that of a target that is missed reaches an end. An
interior-point method (S. Mehrotra: On the implementation of a primal-dual interior point method, SIAM J.
Optim. 2, 1992) finds which targets are met and which weights are at a bound; then the weights off the bounds
are calibrated to the targets that are met, which gives the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.refit.multipliers import LIMITS, ScaledSystem, method_of_multipliers
from l0np.refit.penalty import PenalisedProblem

Floats = NDArray[np.float64]

PROXIMITY = 1e-7  # mu, in units of the mean curvature
MOST_STEPS = 100
FINE = 1e-3  # last mean product of a multiplier and its room, in units of mu times the mean reference weight
LEAST_PRODUCT = 1e-14  # the same in the units of the loss: below, rounding errors of the targets decide
ACCURATE = 1e-9  # residual of the targets, relative to their sizes
FLAT = 1e-10  # slope of the Lagrangian that counts as 0, relative to the sum of its terms' absolute values
TO_BOUND = 0.9  # least part of the way to the nearest bound that a step may go
LEAST_CENTRING = 1e-6
SHORT, MOST_SHORT = 1e-6, 5  # a step that is as short leads nowhere; so many in succession end a run
FIRST_ROOM, FIRST_MULTIPLIER = 0.1, 0.1
MET = 1e-9  # scaled error beyond the tolerance that counts as none
NO_WORSE = 1e-9  # relative increase of the loss that is allowed to a calibration of what the method found
MOST_GIVEN_UP = 20  # rounds in which capped targets are given up
SIGNS = np.array([[1.0], [-1.0]])


class Elastic(NamedTuple):
    """The g-weights of least absolute errors, whether they have converged, and the factorisations."""

    ratios: Floats
    converged: bool
    steps: int


def least_absolute(problem: PenalisedProblem, ratios: Floats) -> Elastic:
    """Return g-weights of least ``sum_i min(max(|e_i| - tolerance_i, 0), cap_i)``, the nearest to 1 of them.

    With caps they are a local minimum: targets that cost their caps are given up, and counted again if their
    errors fall below the caps, until none changes.

    Parameters
    ----------
    problem : PenalisedProblem
        Rows of A are divided by the scales and multiplied by the importance of the targets.
    ratios : array of shape (k,)
        Where to start.
    """
    counts, steps = np.ones(len(problem.cap), bool), 0
    best, least, converged = ratios, _capped_loss(problem, ratios), False
    for _ in range(MOST_GIVEN_UP):
        found = _without_caps(_of_rows(problem, counts), best)
        steps, loss = steps + found.steps, _capped_loss(problem, found.ratios)
        if loss <= least:
            best, converged = found.ratios, found.converged
        beyond = _beyond(problem.system, problem.errors(best))
        before, counts = counts, beyond < problem.cap
        if (counts == before).all() or loss >= least * (1.0 - NO_WORSE):
            break
        least = loss
    return Elastic(best, converged, steps)


def _beyond(system: ScaledSystem, error: Floats) -> Floats:
    return np.maximum(np.abs(error) - system.tolerance, 0.0)


def _capped_loss(problem: PenalisedProblem, ratios: Floats) -> float:
    beyond = _beyond(problem.system, problem.errors(ratios))
    return float(np.minimum(beyond, problem.cap).sum())


def _of_rows(problem: PenalisedProblem, rows: NDArray[np.bool_]) -> PenalisedProblem:
    """Return the problem of some targets, without caps."""
    if rows.all():
        return problem
    whole = problem.system
    system = replace(
        whole, scaled=whole.scaled[rows], target=whole.target[rows], tolerance=whole.tolerance[rows]
    )
    return replace(problem, system=system, cap=problem.cap[rows], small=problem.small[rows])


def _without_caps(problem: PenalisedProblem, ratios: Floats) -> Elastic:
    """Minimise the sum of absolute errors by the interior-point method and a calibration after it."""
    point = _Point.first(problem, ratios)
    point, steps, converged = _interior(problem, point)
    lower, upper = problem.bounds
    inside = np.clip(point.ratios, lower, upper)
    refined = _calibrated(problem, point)
    before, after = (float(_beyond(problem.system, problem.errors(x)).sum()) for x in (inside, refined))
    is_as_good = after <= before * (1.0 + NO_WORSE) + MET
    return Elastic(refined if is_as_good else inside, converged, steps)


@dataclass(frozen=True, eq=False)
class _Point:
    """Variables strictly between their bounds, and the multipliers of these.

    Attributes
    ----------
    ratios : array of shape (k,)
        g-weights.
    at_ratio : array of shape (2, k)
        Multipliers of their lower and upper bounds, 0 where there is none.
    y : array of shape (Q,)
        Multipliers of the targets, between -1 and 1.
    missed : array of shape (2, Q)
        By how much estimates exceed targets and tolerance, and by how much they fall short of them.
    slack : array of shape (T,)
        Of each target with a tolerance, the part of the error within it.
    at_slack : array of shape (2, T)
        Multipliers of the lower and upper bounds of `slack`.
    """

    ratios: Floats
    at_ratio: Floats
    y: Floats
    missed: Floats
    slack: Floats
    at_slack: Floats

    @classmethod
    def first(cls, problem: PenalisedProblem, ratios: Floats) -> _Point:
        """Return a point near some g-weights."""
        lower, upper = problem.bounds
        margin = min(FIRST_ROOM, 0.25 * (upper - lower))
        ratios = np.clip(ratios, lower + margin, upper - margin)
        tolerance = problem.system.tolerance
        tolerance = tolerance[tolerance > 0]
        error = problem.errors(ratios)
        size = problem.reference * problem.size_by_weight(np.ones(len(error)))
        excess = np.stack([np.maximum(error, 0.0), np.maximum(-error, 0.0)])
        missed = excess + FIRST_ROOM * (float(np.abs(error).mean()) if len(error) else 1.0) + MET
        finite = problem.finite_sides
        mean = float(size.mean()) or 1.0
        at_ratio = np.where(finite, FIRST_MULTIPLIER * np.maximum(size, mean), 0.0)
        at_slack = np.full((2, len(tolerance)), FIRST_MULTIPLIER)
        return cls(ratios, at_ratio, np.zeros(len(error)), missed, np.zeros(len(tolerance)), at_slack)

    def fields(self) -> tuple[Floats, ...]:
        """Return all variables in the order of their declaration."""
        return self.ratios, self.at_ratio, self.y, self.missed, self.slack, self.at_slack

    def moved(self, change: _Point, length: float) -> _Point:
        """Return the point after a step."""
        pairs = zip(self.fields(), change.fields(), strict=True)
        return _Point(*(value + length * by for value, by in pairs))


class _Pairs(NamedTuple):
    """Multipliers and rooms, whose products all approach 0: of ratios, of targets and of slacks."""

    ratios: tuple[Floats, Floats]
    targets: tuple[Floats, Floats]
    slacks: tuple[Floats, Floats]

    @classmethod
    def of(cls, problem: PenalisedProblem, point: _Point) -> _Pairs:
        """Return those of a point."""
        tolerance = problem.system.tolerance
        tolerance = tolerance[tolerance > 0]
        rooms = np.stack([point.slack + tolerance, tolerance - point.slack])
        return cls(
            (point.at_ratio, problem.room(point.ratios)),
            (point.missed, 1.0 - SIGNS * point.y),
            (point.at_slack, rooms),
        )

    @classmethod
    def of_change(cls, change: _Point) -> _Pairs:
        """Return by how much a step changes them."""
        return cls(
            (change.at_ratio, SIGNS * change.ratios),
            (change.missed, -SIGNS * change.y),
            (change.at_slack, SIGNS * change.slack),
        )

    def products(self, finite: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
        """Return the products, 0 for bounds that do not exist."""
        first, second, third = (a * b for a, b in self)
        return np.where(finite, first, 0.0), second, third

    def longest(self, change: _Pairs) -> float:
        """Return the part of a step, at most 1 / TO_BOUND, after which one of them would be 0."""
        longest = 1.0 / TO_BOUND
        for values, changes in zip(self, change, strict=True):
            for value, by in zip(values, changes, strict=True):
                falling = by < 0
                if falling.any():
                    longest = min(longest, float((value[falling] / -by[falling]).min()))
        return longest


def _interior(problem: PenalisedProblem, point: _Point) -> tuple[_Point, int, bool]:
    """Return the point, the number of factorisations, and whether the point is accurate."""
    finite = np.broadcast_to(problem.finite_sides, point.at_ratio.shape)
    n_products = int(finite.sum()) + point.missed.size + point.at_slack.size
    enough = max(FINE * problem.mu * float(problem.reference.mean()), LEAST_PRODUCT)
    short = 0
    for step in range(MOST_STEPS):
        problem.system.note(problem.reference * point.ratios)
        pairs, newton = _Pairs.of(problem, point), _Step(problem, point)
        products = pairs.products(finite)
        mean = sum(float(one.sum()) for one in products) / n_products
        if mean <= enough and newton.is_feasible:
            return point, step, True
        if short >= MOST_SHORT:
            break
        predicted = newton.towards(tuple(-one for one in products))  # type: ignore[arg-type]
        change = _Pairs.of_change(predicted)
        length = min(pairs.longest(change), 1.0)
        ahead = _Pairs.of(problem, point.moved(predicted, length)).products(finite)
        mean_ahead = sum(float(one.sum()) for one in ahead) / n_products
        centring = min(max((mean_ahead / mean) ** 3, LEAST_CENTRING), 1.0)
        wanted = max(centring * mean, 0.1 * enough)
        # Far from the central path, where steps are short, the whole second-order correction misleads
        curved = change.products(finite)
        part = min(1.0, 10.0 * length)
        aims = tuple(wanted - one - part * two for one, two in zip(products, curved, strict=True))
        move = newton.towards((np.where(finite, aims[0], 0.0), aims[1], aims[2]))
        longest = pairs.longest(_Pairs.of_change(move))
        length = min(max(TO_BOUND, 1.0 - mean) * longest, 1.0)
        short = short + 1 if length < SHORT else 0
        point = point.moved(move, length)
    return point, MOST_STEPS, False


class _Step:
    """The systems of one step: several right-hand sides, one factorisation."""

    def __init__(self, problem: PenalisedProblem, point: _Point) -> None:
        self.problem, self.point = problem, point
        system, reference = problem.system, problem.reference
        self.tolerant = np.flatnonzero(system.tolerance)
        pairs = _Pairs.of(problem, point)
        self.room, self.beside, self.slack_room = (rooms for _, rooms in pairs)
        pull, inertia = problem.movement(point.ratios)
        stiffness = (point.at_ratio / self.room).sum(axis=0)
        self.hold = reference * problem.mu * inertia + stiffness
        by_target = reference * system.pull(point.y)
        self.slope = reference * problem.mu * pull + by_target - (SIGNS * point.at_ratio).sum(axis=0)
        error = problem.errors(point.ratios)
        error[self.tolerant] -= point.slack
        self.left = error - (SIGNS * point.missed).sum(axis=0)
        self.slack_slope = -point.y[self.tolerant] - (SIGNS * point.at_slack).sum(axis=0)
        self.slack_hold = (point.at_slack / self.slack_room).sum(axis=0)
        self.give = (point.missed / self.beside).sum(axis=0)  # by how much an error changes with y
        self.give[self.tolerant] += 1.0 / self.slack_hold
        terms = reference * problem.size_by_weight(np.abs(point.y)) + point.at_ratio.sum(axis=0)
        sizes = np.abs(system.target) + np.abs(error) + system.tolerance + 1.0
        self.is_feasible = bool(
            (np.abs(self.slope) <= FLAT * terms + FINE * reference * problem.mu).all()
            and (np.abs(self.left) <= ACCURATE * sizes).all()
            and (np.abs(self.slack_slope) <= ACCURATE).all()
        )
        self.solve = self._by_records() if problem.fewer_records else self._by_targets()

    def _by_targets(self) -> Any:
        system, reference = self.problem.system, self.problem.reference
        once = system.newton.prepared(reference**2 / self.hold, self.give)

        def solve(on_ratio: Floats, on_target: Floats) -> tuple[Floats, Floats]:
            y = once(system.totals(reference * on_ratio / self.hold) - on_target)
            return (on_ratio - reference * system.pull(y)) / self.hold, y

        return solve

    def _by_records(self) -> Any:
        system, reference, bend = self.problem.system, self.problem.reference, 1.0 / self.give
        once = self.problem.systems.prepared(bend, self.hold / reference**2)

        def solve(on_ratio: Floats, on_target: Floats) -> tuple[Floats, Floats]:
            weights = once(on_ratio / reference + system.pull(bend * on_target))
            return weights / reference, bend * (system.totals(weights) - on_target)

        return solve

    def towards(self, aims: tuple[Floats, Floats, Floats]) -> _Point:
        """Return the step that changes the products by the aims, to first order."""
        point, (ratios, targets, slacks) = self.point, aims
        push = (SIGNS * slacks / self.slack_room).sum(axis=0)
        on_ratio = (SIGNS * ratios / self.room).sum(axis=0) - self.slope
        on_target = (SIGNS * targets / self.beside).sum(axis=0) - self.left
        on_target[self.tolerant] += (push - self.slack_slope) / self.slack_hold
        change, y = self.solve(on_ratio, on_target)
        slack = (y[self.tolerant] + push - self.slack_slope) / self.slack_hold
        return _Point(
            change,
            (ratios - SIGNS * point.at_ratio * change) / self.room,
            y,
            (targets + SIGNS * point.missed * y) / self.beside,
            slack,
            (slacks - SIGNS * point.at_slack * slack) / self.slack_room,
        )


def _calibrated(problem: PenalisedProblem, point: _Point) -> Floats:
    """Return the weights nearest to the reference that miss what the point misses, and nothing else.

    Of two numbers whose product is nearly 0 the larger one says on which side a constraint is: weights whose
    multiplier is larger than their room stay at their bound, targets whose multiplier has more room than
    their error are met.
    """
    system, reference, (lower, upper) = problem.system, problem.reference, problem.bounds
    size = reference * problem.size_by_weight(np.ones(len(point.y)))
    at = point.at_ratio > problem.room(point.ratios) * np.where(size > 0, size, 1.0)
    ratios = np.where(at[0], lower, np.where(at[1], upper, np.clip(point.ratios, lower, upper)))
    free = ~at.any(axis=0)
    met = (point.missed < 1.0 - SIGNS * point.y).all(axis=0)
    if not free.any():
        return ratios
    if not met.any():
        return np.where(free, np.clip(1.0, lower, upper), ratios)
    target, tolerance = system.target.copy(), system.tolerance.copy()
    tolerant = np.flatnonzero(tolerance)
    rooms = np.stack([point.slack + tolerance[tolerant], tolerance[tolerant] - point.slack])
    at_edge = point.at_slack > rooms  # its error is as large as its tolerance
    for side, sign in ((0, -1.0), (1, 1.0)):
        here = tolerant[at_edge[side]]
        target[here] += sign * tolerance[here]
        tolerance[here] = 0.0
    fixed = np.where(free, 0.0, reference * ratios)
    rows = np.flatnonzero(met)
    scaled = system.scaled[rows][:, np.flatnonzero(free)]
    target = target[rows] - system.totals(fixed)[rows]
    part = ScaledSystem(
        scaled, target, tolerance[rows], reference[free], system.mean_curvature, system.factor_cost
    )
    multipliers = method_of_multipliers(part, problem.distance, LIMITS)[0]
    ratios[free] = problem.distance(part.pull(multipliers))[0]
    return ratios
