"""The method of multipliers for calibration: Newton's method on the dual function, with a proximal term.

Weights ``w = reference * F(A' lambda)`` minimise a distance to the reference weights under ``A w = target``.
The multipliers lambda maximise a concave function, by Newton's method. If targets contradict each other or
the bounds, there is no such lambda. Then the method of multipliers, whose steps are the same Newton steps
with a proximal term, leads to the weights of least squared error and, among these, to the nearest (A. Chiche,
J. C. Gilbert: How the augmented Lagrangian algorithm can deal with an infeasible convex quadratic
optimization problem, Journal of Convex Analysis 23, 2016).

Tolerances add ``tolerance' |lambda|`` to the function that is minimised. The kinks of this term are rounded
off (P. J. Huber: Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964): at
first so widely that Newton's method crosses them easily, then less and less, as the proximal term weakens,
each time starting from the multipliers found before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.refit.blocks import MOST_COST
from l0np.refit.distances import Distance
from l0np.refit.newton import NewtonSystems
from l0np.targets import metrics

Floats = NDArray[np.float64]

# The proximal term, in units of the mean curvature. Each multiplier step weakens it, and so brings the
# targets closer; but if targets contradict each other, the multipliers grow with its inverse, and so do the
# rounding errors of the weights.
FIRST_PROXIMITY, LAST_PROXIMITY = 1e-2, 1e-7
# Newton steps at once with the last proximity, and the part of the misfit that may be left after them
FIRST_TRIALS, PROMISING = 2, 1e-3
# Problems of so many records, and so many for each target, start from the multipliers of every so-manieth
# record: these are few enough to cost little, and enough that few steps remain
MANY_RECORDS, RECORDS_PER_TARGET, SAMPLED_PER_TARGET = 200_000, 2_000, 400
# Newton steps at once with the last proximity where the curvature changes, and after how many of them the
# misfit must have fallen to this part
MOST_AT_ONCE, FEW_AT_ONCE, NEAR = 12, 3, 0.3
LAST_WIDTH = 1e-12  # of the rounded kinks of tolerances, relative to the first width, the largest multiplier
# Factor on proximity and width after a multiplier step; with 0.1 the next step takes several times as many
# Newton steps
FACTOR = 0.3
# Gradient at which a multiplier step is accurate enough, relative to what the step has changed
INEXACT = 1e-2
ALONG = 0.1  # slope along a Newton step at which its length is right, relative to the slope at its start
MOST_LENGTHS = 60  # lengths that are tried for a Newton step
SURE = 1e-4  # gradient, relative to the targets, above which rounding errors need not be estimated
LITTLE = 1e-12  # the same, below which a step that does not halve it is one of rounding errors
ROUNDING = 4 * np.finfo(float).eps  # relative error of a sum
STILL = 1e-10  # relative change of the weights in a multiplier step at which nothing is left to do
AS_CLOSE = 1e-12  # relative change of the squared misfit at which unreachable targets come no closer
CONVERGED = 1e-6  # relative change of weights and misfits at which a run out of steps counts as converged


class RefitLimits(NamedTuple):
    """What a refit may cost.

    Attributes
    ----------
    multiplier_steps, newton_steps : int
        Of the method of multipliers.
    factor_cost : float
        Nanoseconds for one factorisation.
    factorisations : int
        Of the descent that follows where the method of multipliers does not find the weights.
    """

    multiplier_steps: int = 60
    newton_steps: int = 400
    factor_cost: float = MOST_COST
    factorisations: int = 200


LIMITS = RefitLimits()


class Stopped(Exception):  # noqa: N818  # no error: it ends a refit early
    """Ends a refit with the weights that it has reached."""

    def __init__(self, weights: Floats) -> None:
        self.weights = weights


@dataclass(frozen=True, eq=False)
class ScaledSystem:
    """The targets that count, divided by their scales: ``scaled @ w + slack = target``, |slack| <= tolerance.

    Attributes
    ----------
    scaled : sparse or dense, shape (Q, k)
        The matrix whose rows are divided by the scales.
    target, tolerance : arrays of shape (Q,)
        The targets and tolerances, divided by the scales.
    reference : array of shape (k,)
        Reference weights.
    mean_curvature : float
        Mean of the diagonal of ``scaled diag(reference) scaled'``: the unit of the proximal term.
    factor_cost : float
        See `RefitLimits`.
    report : callable, optional
        Called with the weights after each step; if it returns True, `Stopped` is raised with them.
    """

    scaled: Any
    target: Floats
    tolerance: Floats
    reference: Floats
    mean_curvature: float
    factor_cost: float = MOST_COST
    report: Callable[[Floats], bool] | None = None

    def note(self, weights: Floats) -> None:
        """Report the weights after a step.

        Raises
        ------
        Stopped
            If whoever gets the report wants no further steps.
        """
        if self.report is not None and self.report(weights):
            raise Stopped(weights)

    @cached_property
    def newton(self) -> NewtonSystems:
        """The systems of the Newton steps."""
        return NewtonSystems(self.scaled, self.factor_cost)

    @cached_property
    def sizes(self) -> Any:
        """The absolute values of `scaled`."""
        return self.scaled if self.scaled.min() >= 0 else abs(self.scaled)

    def size_of_pull(self, multipliers: Floats) -> Floats:
        """Return sizes.T @ |multipliers|: what the terms of a pull add up to without their signs."""
        by_record = self.newton.transposed if self.sizes is self.scaled else self.sizes.T
        return np.asarray(by_record @ np.abs(multipliers))

    def totals(self, weights: Floats) -> Floats:
        """Return scaled @ weights."""
        return np.asarray(self.scaled @ weights)

    def pull(self, multipliers: Floats) -> Floats:
        """Return scaled.T @ multipliers: the u of each record, from which its g-weight F(u) follows."""
        return np.asarray(self.newton.transposed @ multipliers)

    def slack(self, multipliers: Floats, width: float) -> tuple[Floats, Floats]:
        """Return the slack for some multipliers, and its derivative; no slack for an infinite width."""
        fraction = np.clip(multipliers / width, -1.0, 1.0)
        return self.tolerance * fraction, np.where(np.abs(fraction) < 1.0, self.tolerance / width, 0.0)

    def rounding(self, multipliers: Floats, weights: Floats, curvature: Floats) -> tuple[Floats, float]:
        """Return the possible rounding errors of the weights, and the norm of those of the gradient."""
        sizes = self.sizes
        noise = curvature * self.size_of_pull(multipliers)
        gradient = sizes @ (np.abs(weights) + noise) + np.abs(self.target)
        return ROUNDING * noise, ROUNDING * float(np.linalg.norm(gradient))


@dataclass(frozen=True, eq=False)
class _Point:
    """Multipliers, the width of the rounded kinks, and what follows from them."""

    multipliers: Floats
    width: float
    pull: Floats
    weights: Floats
    curvature: Floats  # derivatives of the weights with respect to the pull
    misfit: Floats  # totals + slack - targets: the gradient of the dual function
    slack_slope: Floats

    @classmethod
    def at(cls, system: ScaledSystem, distance: Distance, multipliers: Floats, width: float) -> _Point:
        """Return the point of some multipliers, with its weights and totals."""
        pull = system.pull(multipliers)
        (ratio, slope), (slack, slack_slope) = distance(pull), system.slack(multipliers, width)
        weights = system.reference * ratio
        misfit = system.totals(weights) + slack - system.target
        return cls(multipliers, width, pull, weights, system.reference * slope, misfit, slack_slope)

    def narrowed(self, system: ScaledSystem, distance: Distance, width: float) -> _Point:
        """Return a point of another width where every slack within the tolerance stays the same."""
        if width == self.width:
            return self
        scaled = self.multipliers * (width / self.width)
        multipliers = np.where(self.slack_slope > 0, scaled, self.multipliers)
        return _Point.at(system, distance, multipliers, width)


class _Progress(NamedTuple):
    """What a multiplier step has changed."""

    moved: float  # the largest change of a weight beyond rounding, relative to the largest weight
    comes_closer: bool  # whether targets that are missed have come closer
    is_as_close_as_possible: bool

    @classmethod
    def between(cls, system: ScaledSystem, before: _Point, after: _Point, proximity: float) -> _Progress:
        """Compare two points."""
        moves = np.abs(after.weights - before.weights)
        unsure, _ = system.rounding(after.multipliers, after.weights, after.curvature)
        largest = np.abs(after.weights).max(initial=0.0)
        moved = float(np.maximum(moves - unsure, 0.0).max(initial=0.0) / (largest or 1.0))
        missed, missed_before = float(after.misfit @ after.misfit), float(before.misfit @ before.misfit)
        change = abs(missed - missed_before)
        comes_closer = missed > metrics.MET**2 and change > CONVERGED * missed
        return cls(moved, comes_closer, proximity == LAST_PROXIMITY and change <= AS_CLOSE * missed)


def method_of_multipliers(
    system: ScaledSystem, distance: Distance, limits: RefitLimits
) -> tuple[Floats, bool, int]:
    """Return the multipliers, whether their weights have converged, and the number of Newton steps taken."""
    if not limits.newton_steps:
        return np.zeros_like(system.target), False, 0
    tolerant = system.tolerance > 0
    start = point = _Point.at(system, distance, np.zeros(len(system.target)), np.inf)
    proximity, steps, widest = FIRST_PROXIMITY, 0, 0.0
    found: _Point | None
    if distance.is_linear and not tolerant.any():
        # The first step leads to the end unless it crosses a bound or targets cannot be met
        found, steps = _newton(system, distance, start, LAST_PROXIMITY * system.mean_curvature, FIRST_TRIALS)
        left = np.linalg.norm(found.misfit) / (np.linalg.norm(start.misfit) or 1.0)
        if (found.curvature > 0).all() and left <= PROMISING:
            start, proximity = found, LAST_PROXIMITY
    elif not tolerant.any():
        found, steps = _at_once(system, distance, start, limits)
        if found is not None:
            start, proximity = found, LAST_PROXIMITY
    for _ in range(limits.multiplier_steps):
        before = point
        strength, most = proximity * system.mean_curvature, limits.newton_steps - steps
        point, taken = _newton(system, distance, start, strength, most)
        steps += taken
        change = _Progress.between(system, before, point, proximity)
        is_still = change.moved <= STILL and not change.comes_closer
        if steps >= limits.newton_steps or change.is_as_close_as_possible or is_still:
            break
        proximity = max(FACTOR * proximity, LAST_PROXIMITY)
        width = max(FACTOR * point.width, LAST_WIDTH * widest)
        if np.isinf(width):
            width = widest = float(np.abs(point.multipliers[tolerant]).max(initial=0.0)) or np.inf
        start = point.narrowed(system, distance, width)
    has_converged = change.is_as_close_as_possible or (change.moved <= CONVERGED and not change.comes_closer)
    return point.multipliers, has_converged, steps


def _at_once(
    system: ScaledSystem, distance: Distance, start: _Point, limits: RefitLimits
) -> tuple[_Point | None, int]:
    """Return where Newton steps with the last proximity lead, and their number.

    There is no point if they do not nearly meet the targets, or come closer too slowly.
    """
    first, strength = float(np.linalg.norm(start.misfit)), LAST_PROXIMITY * system.mean_curvature
    sampled = _of_sample(system, distance, limits)
    if sampled is not None:
        near = _Point.at(system, distance, sampled, np.inf)
        start = near if np.linalg.norm(near.misfit) <= NEAR * first else start
    point, steps, left = start, 0, np.inf
    most = min(MOST_AT_ONCE, limits.newton_steps)
    while steps < most:
        point, taken = _newton(system, distance, point, strength, min(FEW_AT_ONCE, most - steps))
        steps, before, left = steps + taken, left, float(np.linalg.norm(point.misfit))
        if left <= PROMISING * first:
            return point, steps
        if not taken or left > NEAR * min(before, first):
            break
    return None, steps


def _of_sample(system: ScaledSystem, distance: Distance, limits: RefitLimits) -> Floats | None:
    """Return the multipliers of a sample of records; None if there are too few records to leave some out.

    The sample stands for all records and has to change the totals by as much as all have to. So its
    multipliers differ from those of all records only as far as the curvature does.
    """
    n, k = system.scaled.shape
    if k < MANY_RECORDS or k < RECORDS_PER_TARGET * n:
        return None
    every = max(k // max(SAMPLED_PER_TARGET * n, MANY_RECORDS // 10), 2)
    by_record = system.newton.transposed[::every]
    reference = system.reference[::every] * (k / by_record.shape[0])
    scaled = by_record.T if isinstance(by_record, np.ndarray) else by_record.T.tocsr()
    target = system.target + np.asarray(scaled @ reference) - system.totals(system.reference)
    sample = replace(system, scaled=scaled, target=target, reference=reference, report=None)
    return method_of_multipliers(sample, distance, limits)[0]


def _newton(
    system: ScaledSystem, distance: Distance, centre: _Point, proximity: float, most: int
) -> tuple[_Point, int]:
    """Minimise the dual function plus ``proximity / 2 |multipliers - centre|^2``.

    Return the point and the number of steps taken.
    """
    point, size = centre, float(np.linalg.norm(system.target))
    before = np.inf
    for step in range(most):
        moved = point.multipliers - centre.multipliers
        gradient = point.misfit + proximity * moved
        left = float(np.linalg.norm(gradient))
        # What is left of the misfit if targets can be met; its last change if they cannot
        of_step = float(np.linalg.norm(moved))
        changed = min(proximity * of_step, float(np.linalg.norm(point.misfit - centre.misfit)))
        if left <= INEXACT * changed or (left <= LITTLE * size and left > 0.5 * before):
            return point, step
        before = left
        if (
            left <= SURE * size
            and left <= system.rounding(point.multipliers, point.weights, point.curvature)[1]
        ):
            return point, step
        direction = -system.newton.solve(point.curvature, point.slack_slope + proximity, gradient)
        offset, bend = proximity * float(moved @ direction), proximity * float(direction @ direction)
        length = _length(system, distance, point, direction, offset, bend)
        if length == 0.0:
            return point, step
        point = _Point.at(system, distance, point.multipliers + length * direction, point.width)
        system.note(point.weights)
    return point, most


def _length(
    system: ScaledSystem,
    distance: Distance,
    point: _Point,
    direction: Floats,
    offset: float,
    curvature: float,
) -> float:
    """Return the length of a Newton step at which the slope of the convex function is nearly 0.

    It is found by bisection and secants. Values of the function are not compared, because near its minimum
    slopes say more. The weights along the direction follow from two pulls without another product.
    """
    pull = system.pull(direction)

    def slope(length: float) -> float:
        weights = system.reference * distance(point.pull + length * pull)[0]
        slack = system.slack(point.multipliers + length * direction, point.width)[0]
        return float(weights @ pull + (slack - system.target) @ direction + offset + length * curvature)

    low, high, below, above = 0.0, np.inf, slope(0.0), np.inf
    enough, length = ALONG * abs(below), 1.0
    if below >= 0:  # within rounding errors the function falls no further
        return 0.0
    for trial in range(MOST_LENGTHS):
        here = slope(length)
        if abs(here) <= enough:
            return length
        if here < 0:
            low, below = length, here
        else:  # also if the slope is NaN, beyond the range of floats
            high, above = length, here
        if np.isinf(high):
            length *= 2.0
        elif trial % 2 and np.isfinite(above):
            length = low + (high - low) * below / (below - above)
        else:
            length = 0.5 * (low + high)
    return low
