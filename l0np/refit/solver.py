"""Which method finds the weights of a refit, and when another one takes over.

The method of multipliers is the fastest where targets can be met. Where they cannot, the descent ends sooner
for a loss of squares, and a sum of absolute errors has a method of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l0np.refit.descent import descend
from l0np.refit.elastic import least_absolute
from l0np.refit.multipliers import RefitLimits, method_of_multipliers
from l0np.refit.penalty import SMALL, STATIONARY, PenalisedProblem
from l0np.targets import metrics

Floats = NDArray[np.float64]

# Newton steps before another method takes over, where a factor is cheap (nanoseconds) and where it is not:
# the method of multipliers meets targets in few steps if they can be met, and else may take hundreds
CHEAP, FEW_STEPS = 1e7, (60, 10)
COSTLY, MOST_COSTLY = 1e9, 80  # nanoseconds of a costly factor, and how many of them a descent may take


def least_squares_ratios(problem: PenalisedProblem, limits: RefitLimits) -> tuple[Floats, bool, int]:
    """Return the g-weights of the least loss of squares, whether they have converged, and the steps taken."""
    system, distance = problem.system, problem.distance
    if not len(system.target):
        return np.ones_like(problem.reference), True, 0
    is_limited = bool(problem.finite_sides.any() or system.tolerance.any() or problem.has_caps)
    may_descend = is_limited and limits.factorisations > 0 and problem.has_factor
    if may_descend:
        limits = limits._replace(newton_steps=min(limits.newton_steps, _patience(problem)))
    multipliers, converged, steps = method_of_multipliers(system, distance, limits)
    ratios = distance(system.pull(multipliers))[0]
    converged = converged and problem.residual(ratios, problem.errors(ratios)) <= STATIONARY
    if converged or not may_descend:
        return ratios, converged, steps
    is_costly = system.newton.factor_cost > COSTLY
    found = descend(problem, min(limits.factorisations, MOST_COSTLY) if is_costly else limits.factorisations)
    return found.ratios, found.is_stationary, steps + found.steps


def least_absolute_ratios(problem: PenalisedProblem, limits: RefitLimits) -> tuple[Floats, bool, int]:
    """Return the same for a sum of absolute errors, which differs where targets cannot all be met."""
    system = problem.system
    if not len(system.target):
        return np.ones_like(problem.reference), True, 0
    few = limits._replace(newton_steps=min(limits.newton_steps, _patience(problem)))
    multipliers, converged, steps = method_of_multipliers(system, problem.distance, few)
    ratios = problem.distance(system.pull(multipliers))[0]
    beyond = np.abs(problem.errors(ratios)) - system.tolerance
    if converged and (beyond <= metrics.MET / SMALL * problem.small).all():
        return ratios, True, steps
    found = least_absolute(problem, ratios)
    return found.ratios, found.converged, steps + found.steps


def _patience(problem: PenalisedProblem) -> int:
    """Return the Newton steps after which the descent takes over from the method of multipliers."""
    if problem.system.newton.factor_cost <= CHEAP:
        return FEW_STEPS[0]
    n, k = problem.system.scaled.shape
    # Many more targets than records cannot all be met, and the systems of the descent are smaller
    return 0 if k < n / 2 else FEW_STEPS[1]
