"""The penalised problem of a refit: least loss of the targets, plus a little of the distance.

Where targets cannot all be met, a refit minimises their loss and, among the weights that do, the distance to
the reference weights. Both are one problem if the distance gets a small factor, the proximity mu::

    minimise  mu D(w) + 1/2 sum_i phi_i(e_i)   within the bounds of the g-weights,   e = A w - target,
    phi_i(e) = s / (1 + s / cap_i),   s = max(|e| - tolerance_i, 0)^2.

This module holds the problem, its derivatives and the test whether weights are stationary: that no weight
can be moved within its bounds so that the loss falls, to first order. `l0np.refit.descent` solves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.refit.distances import Distance
from l0np.refit.multipliers import ScaledSystem
from l0np.refit.newton import NewtonSystems

Floats = NDArray[np.float64]

# Derivative of the loss by a weight that counts as 0, relative to the sum of its terms' absolute values
STATIONARY = 3e-5
SMALL = 0.01  # relative error: see `PenalisedProblem.small`
NEAR = 3e-5  # distance of a g-weight from its bound that counts as none
PROXIMITY = 1e-8  # of the penalised problem, in units of the mean curvature
HUGE = 1e150  # stands for a bound that is infinite
CORRECTIONS, ACCURACY = 5, 1e-10  # of a solution, and the relative residual at which they end
SMALLEST = 1e-12  # curvature of a target, relative to the largest, below which it is left out of a system


class Terms(NamedTuple):
    """The loss of scaled errors: each of shape (Q,).

    Attributes
    ----------
    beyond : array
        Errors beyond the tolerance, with their signs.
    value : array
        phi of each error.
    slope : array
        Half of its derivative.
    bend : array
        Half of its second derivative, below 0 where the cap is near.
    weight : array
        slope / beyond: the curvature of the square that touches phi and lies above it.
    """

    beyond: Floats
    value: Floats
    slope: Floats
    bend: Floats
    weight: Floats


@dataclass(frozen=True, eq=False)
class PenalisedProblem:
    """The problem of this module.

    Attributes
    ----------
    system : ScaledSystem
        A, targets and tolerances.
    cap : array of shape (Q,)
        The most that each target adds to the loss, in the units of its row of A; infinite without a cap.
    small : array of shape (Q,)
        Errors of 1 %, in the same units: what derivatives of the loss are compared with where errors are
        smaller.
    distance : Distance
        With its bounds.
    proximity : float
        mu, in units of the mean curvature.
    """

    system: ScaledSystem
    cap: Floats
    small: Floats
    distance: Distance
    proximity: float = PROXIMITY

    @property
    def reference(self) -> Floats:
        """Reference weights, shape (k,)."""
        return self.system.reference

    @cached_property
    def _squares(self) -> Any:
        transposed = self.system.newton.transposed
        return transposed**2 if isinstance(transposed, np.ndarray) else transposed.power(2)

    def own_curvature(self, bend: Floats) -> Floats:
        """Return the diagonal of A' diag(bend) A."""
        return np.asarray(self._squares @ bend)

    @cached_property
    def has_caps(self) -> bool:
        """Whether any target has a cap."""
        return bool(np.isfinite(self.cap).any())

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The bounds of the g-weights, with huge numbers for infinite ones."""
        return max(self.distance.lower, -HUGE), min(self.distance.upper, HUGE)

    @cached_property
    def finite_sides(self) -> NDArray[np.bool_]:
        """Whether there is a lower and an upper bound, shape (2, 1)."""
        return np.isfinite([[self.distance.lower], [self.distance.upper]])

    def room(self, ratios: Floats) -> Floats:
        """Return the distances from the lower and from the upper bound, shape (2, k)."""
        lower, upper = self.bounds
        return np.stack([ratios - lower, upper - ratios])

    @property
    def mu(self) -> float:
        """The factor on the distance."""
        return self.proximity * self.system.mean_curvature

    def errors(self, ratios: Floats) -> Floats:
        """Return the scaled errors of some g-weights."""
        return self.system.totals(self.reference * ratios) - self.system.target

    def by_weight(self, slope: Floats) -> Floats:
        """Return A' slope: half of the derivative of the loss by each weight."""
        return self.system.pull(slope)

    def size_by_weight(self, slope: Floats) -> Floats:
        """Return the sums of the absolute values of the terms of `by_weight`."""
        return self.system.size_of_pull(slope)

    def terms(self, error: Floats) -> Terms:
        """Return the loss of scaled errors and its derivatives."""
        beyond = error - np.clip(error, -self.system.tolerance, self.system.tolerance)
        square = beyond * beyond
        relative = square / self.cap
        factor = 1.0 / (1.0 + relative)
        weight = factor * factor
        outside = np.abs(error) >= self.system.tolerance
        bend = np.where(outside, (1.0 - 3.0 * relative) * weight * factor, 0.0)
        return Terms(beyond, square * factor, weight * beyond, bend, weight)

    def gradient(self, ratios: Floats, error: Floats) -> Floats:
        """Return the derivative of the objective by each weight."""
        return self.mu * self.distance.pull_of(ratios) + self.by_weight(self.terms(error).slope)

    def movement(self, ratios: Floats) -> tuple[Floats, Floats]:
        """Return the derivative of the distance by each weight, and its derivative by the g-weight."""
        u = self.distance.pull_of(ratios)
        return u, 1.0 / self.distance.function(u)[1]

    def moved(self, start: Floats, end: Floats) -> float:
        """Return the change of the distance between g-weights, by Simpson's rule."""
        pulls = [self.distance.pull_of(ratios) for ratios in (start, 0.5 * (start + end), end)]
        mean = (pulls[0] + 4.0 * pulls[1] + pulls[2]) / 6.0
        return float((self.reference * (end - start)) @ mean)

    def residual(self, ratios: Floats, error: Floats) -> float:
        """Return how far g-weights are from a stationary point of the loss: see `STATIONARY`.

        For each weight this is the derivative of the loss relative to the sum of its terms' absolute values,
        or the distance from the bound that keeps it from falling, whichever is less.
        """
        slope = self.terms(error).slope
        gradient = self.by_weight(slope)
        size = self.size_by_weight(np.maximum(np.abs(slope), self.small))
        relative = np.divide(np.abs(gradient), size, out=np.zeros_like(size), where=size > 0)
        down, up = ratios - self.distance.lower, self.distance.upper - ratios
        room = np.where(gradient > 0, down, up) / np.maximum(np.abs(ratios), 1.0) * (STATIONARY / NEAR)
        return float(np.minimum(relative, room).max(initial=0.0))

    @cached_property
    def fewer_records(self) -> bool:
        """Whether there are fewer records than targets, so that systems have a row for each record."""
        n, k = self.system.scaled.shape
        return bool(k < n)

    @cached_property
    def systems(self) -> NewtonSystems:
        """The systems with a row for each record if these are fewer, else those of `ScaledSystem.newton`."""
        newton = self.system.newton
        return NewtonSystems(newton.transposed, self.system.factor_cost) if self.fewer_records else newton

    @property
    def has_factor(self) -> bool:
        """Whether a factorisation of the systems is affordable."""
        return self.systems.has_factor

    def solver(self, bend: Floats, inertia: Floats) -> Any:
        """Return a function that solves ``(A' diag(bend) A + diag(inertia)) x = b``.

        Parameters
        ----------
        bend : array of shape (Q,)
            0 or more.
        inertia : array of shape (k,)
            Above 0; infinite for weights that stay where they are.

        Notes
        -----
        The system has a row for each record. With more records than targets the equivalent system with a row
        for each target is solved instead (Woodbury's identity).
        """
        inverse = 1.0 / inertia
        moves = inverse > 0
        if self.fewer_records:
            largest = inverse.max(initial=0.0) or 1.0
            solve = self.systems.prepared(bend, 1.0 / np.maximum(inverse, SMALLEST**2 * largest))

            def once(right: Floats) -> Floats:
                return np.where(moves, solve(np.where(moves, right, 0.0)), 0.0)
        else:
            largest = bend.max(initial=0.0) or 1.0
            solve = self.systems.prepared(inverse, 1.0 / np.maximum(bend, SMALLEST * largest))

            def once(right: Floats) -> Floats:
                moved = inverse * right
                return moved - inverse * self.system.pull(solve(self.system.totals(moved)))

        stiffness = np.where(moves, inertia, 0.0)

        def refined(right: Floats) -> Floats:
            """Correct the solution while that brings it closer: small inertia costs digits."""
            right = np.where(moves, right, 0.0)
            x, rest, size = np.zeros_like(right), right, float(np.linalg.norm(right))
            before = np.inf
            for _ in range(CORRECTIONS):
                left = float(np.linalg.norm(rest))
                if not ACCURACY * size < left < 0.5 * before:
                    break
                before, x = left, x + once(rest)
                rest = right - stiffness * x - self.system.pull(bend * self.system.totals(x))
                rest[~moves] = 0.0
            return x

        return refined
