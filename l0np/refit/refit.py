"""Weights on a fixed selection: targets met as closely as the bounds allow, and then as near to reference weights as can be.

J.-C. Deville, C.-E. Sarndal: Calibration estimators in survey sampling (JASA 87, 1992). Weights w = reference * F(u) with
u = M' lambda minimise a distance to the reference under M w = y. The multipliers lambda maximise a concave function, by
Newton's method. Targets that contradict each other or the bounds have no such lambda. Then the method of multipliers, whose
steps are the same Newton steps with a proximal term, leads to the weights of least squared error, and among them to the
nearest (A. Chiche, J. C. Gilbert: How the augmented Lagrangian algorithm can deal with an infeasible convex quadratic
optimization problem, Journal of Convex Analysis 23, 2016).

Tolerances add tolerance' |lambda| to what is minimised. Its kinks are rounded off (P. J. Huber: Robust estimation of a location
parameter, Annals of Mathematical Statistics 35, 1964), at first so widely that Newton's method crosses them with ease, then
less and less, together with the proximal term, each time starting from the multipliers found before.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted
from l0np.matrix import ColumnMatrix
from l0np.refit.distances import Distance
from l0np.refit.newton import NewtonSystems
from l0np.targets import Targets, metrics

Floats = NDArray[np.float64]

DEFAULT_BOUNDS = (0.05, None)  # of weight / reference weight: no selected record is lost
# The proximal term, in units of the mean curvature. Each multiplier step weakens it, and so brings the targets closer; but
# where they contradict each other the multipliers grow with its inverse, and with them the rounding errors of the weights.
FIRST_PROXIMITY, LAST_PROXIMITY = 1e-2, 1e-7
LAST_WIDTH = 1e-12  # of the rounded kinks of tolerances, relative to the first, the largest multiplier
FACTOR = 0.3  # of both after a multiplier step: with 0.1 the next one takes several times as many Newton steps
TOTAL_IMPORTANCE = 1e4  # how much more an error of the fixed total weighs than one of a target
MOST_REWEIGHTINGS, REWEIGHTED = 50, 1e-6  # for caps: refits, and the relative change at which they end
MOST_MULTIPLIER_STEPS, MOST_NEWTON_STEPS = 60, 400  # in all
INEXACT = 1e-2  # gradient at which a multiplier step is good enough, relative to what the step has changed
ALONG = 0.1  # slope along a Newton step at which its length is right, relative to the slope at its start
MOST_LENGTHS = 60  # tried for a Newton step
ROUNDING = 4 * np.finfo(float).eps  # relative error of a sum
STILL = 1e-10  # relative change of the weights in a multiplier step at which nothing is left to do
AS_CLOSE = 1e-12  # relative change of the squared misfit at which targets that are out of reach come no closer
AT_REST = 1e-6  # that of weights and of misfits at which they count as being at rest, if nothing more could be done
DENSE_SHARE = 0.3  # of non-zeros, from which a sparse matrix does not pay


@dataclass(frozen=True)
class Refit:
    """What a refit found.

    Attributes
    ----------
    weights : array of shape (k,)
        The new weights.
    ratios : array of shape (k,)
        Weights over reference weights, the g-weights of the survey literature.
    errors : array of shape (Q,)
        Estimate minus target, in the units of the targets; of those left out too.
    missed : array of int
        The targets that were fitted and are further away than their tolerance.
    converged : bool
        Whether the weights had come to rest, or targets that cannot be met came no closer.
    steps : int
        Newton steps taken.
    at_lower, at_upper : int
        Weights that lie at their lower and at their upper bound.
    total_error : float
        Sum of the weights over the total that it was to have, minus 1; 0 where no total was fixed.
    """

    weights: Floats
    ratios: Floats
    errors: Floats
    missed: NDArray[np.int64]
    converged: bool
    steps: int
    at_lower: int
    at_upper: int
    total_error: float = 0.0

    def __repr__(self) -> str:
        """Tell in words."""
        n = len(self.errors)
        missed = f"{len(self.missed)} of {n} targets missed" if len(self.missed) else f"all {n} targets met"
        told = f"{missed}{self.told_total()}{self.told_bounds()}"
        return f"Refit({counted(len(self.weights), 'weight')}, {self.state} in {counted(self.steps, 'step')}, {told})"

    @property
    def state(self) -> str:
        """Whether it converged, in words."""
        return "converged" if self.converged else "not converged"

    def told_total(self) -> str:
        """Return what is to be told of a fixed total that was missed, with a comma before it; nothing where it was not."""
        if abs(self.total_error) <= metrics.MET:
            return ""
        return f", total missed by {self.total_error:+.3g} of it"

    def told_bounds(self) -> str:
        """Return what is to be told of weights at bounds, with a comma before it; nothing where there are none."""
        counts = {"lower": self.at_lower, "upper": self.at_upper}
        return "".join(f", {count:,} at the {name} bound" for name, count in counts.items() if count)


def refit_weights(
    matrix: Any,
    target: Floats,
    reference: Floats,
    distance: Distance,
    *,
    scale: Floats,
    importance: Floats,
    tolerance: Floats,
    total: float | None = None,
) -> Refit:
    """Return the weights nearest to the reference among those that meet the targets as closely as the bounds allow.

    Parameters
    ----------
    matrix : scipy.sparse array of shape (Q, k)
        What each selected record adds to each target for one unit of weight, float64.
    target, scale, importance, tolerance : arrays of shape (Q,)
        The targets; what an error is divided by; what its square is multiplied with, 0 leaves the target out; the error that
        counts as none. Only targets that cannot all be met are weighed against each other.
    reference : array of shape (k,)
        Reference weights, above 0.
    distance : Distance
        With its bounds.
    total : float, optional
        A sum that the weights must have.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from l0np.refit.distances import chi_square
    >>> M, ones = sparse.csr_array([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]]), np.ones(2)
    >>> refit = refit_weights(M, np.array([6.0, 8.0]), np.ones(3), chi_square(-np.inf, np.inf),
    ...                       scale=ones, importance=ones, tolerance=0 * ones)
    >>> refit.weights.round(6)
    array([1., 2., 3.])
    """
    system = _System.build(matrix, target, reference, scale, importance, tolerance, total)
    with np.errstate(all="ignore"):  # steps that leave the numbers' range are shortened
        multipliers, converged, steps = _method_of_multipliers(system, distance)
    ratios = distance(system.rows.T @ multipliers)[0]
    weights = reference * ratios
    errors = np.asarray(matrix @ weights - target)
    missed = np.flatnonzero((importance > 0) & ~metrics.is_met(errors, tolerance, scale))
    total_error = 0.0 if total is None else float(weights.sum() / total - 1.0)
    return Refit(weights, ratios, errors, missed, converged, steps, *distance.at_bounds(ratios), total_error)


def refit_to_targets(
    matrix: ColumnMatrix,
    records: NDArray[np.int64],
    targets: Targets,
    reference: Floats,
    distance: Distance,
    total: float | None = None,
) -> Refit:
    """Refit some records to all that `targets` asks for: their weights, tolerances, totals of targets and caps.

    A cap makes the loss of a target ``s / (1 + s / cap)`` of its squared error s. It is minimised by refits in which the target
    counts ``1 / (1 + s / cap)^2`` as much (iteratively reweighted least squares, Holland and Welsch 1977).
    """
    from scipy import sparse

    rows, parts = [sparse.csr_array(matrix.to_scipy()[:, records].astype(np.float64))], [(targets, 1.0)]
    for aggregate in targets.aggregates:
        rows.append(sparse.csr_array(aggregate.matrix.to_scipy().astype(np.float64) @ rows[0]))
        parts.append((aggregate.totals, aggregate.weight))
    stacked = sparse.vstack(rows, format="csr")
    value, tolerance, cap, scales = (
        np.concatenate([getattr(part, name) for part, _ in parts]) for name in ("value", "tolerance", "cap", "error_scale")
    )
    importance = np.concatenate([part.weights * part.fitted * weight for part, weight in parts])
    counted, before = importance, np.full(len(value), np.inf)
    for _ in range(MOST_REWEIGHTINGS):
        refit = refit_weights(
            stacked, value, reference, distance, scale=scales, importance=counted, tolerance=tolerance, total=total
        )
        squares = (np.maximum(np.abs(refit.errors) - tolerance, 0.0) / scales) ** 2
        if not np.isfinite(cap).any() or np.abs(squares - before).max() <= REWEIGHTED * max(squares.max(), metrics.MET):
            break
        counted, before = importance / (1.0 + squares / cap) ** 2, squares
    own = len(targets)
    return replace(refit, errors=refit.errors[:own], missed=refit.missed[refit.missed < own])


@dataclass(frozen=True, eq=False)
class _System:
    """The targets that count, divided by their scales: rows @ w + slack = target, with |slack| <= tolerance."""

    rows: Any  # sparse or dense
    target: Floats
    tolerance: Floats
    reference: Floats
    mean_curvature: float

    @classmethod
    def build(
        cls,
        matrix: Any,
        target: Floats,
        reference: Floats,
        scale: Floats,
        importance: Floats,
        tolerance: Floats,
        total: float | None,
    ) -> "_System":
        from scipy import sparse

        matrix = sparse.csr_array(matrix)
        used = np.flatnonzero((importance > 0) & (np.diff(matrix.indptr) > 0))  # no weight changes an empty row
        factor = np.sqrt(importance[used]) / np.abs(scale[used])
        rows = sparse.diags_array(factor) @ matrix[used]
        goal, slack = target[used] * factor, tolerance[used] * factor
        curvature = float((rows.multiply(rows) @ reference).mean()) if len(used) else 1.0
        if total is not None:
            factor = np.append(factor, TOTAL_IMPORTANCE / total)
            rows = sparse.vstack([rows, sparse.csr_array(np.full((1, len(reference)), factor[-1]))], format="csr")
            goal, slack = np.append(goal, TOTAL_IMPORTANCE), np.append(slack, 0.0)
        dense = rows.nnz > DENSE_SHARE * rows.shape[0] * rows.shape[1]
        return cls(rows.toarray() if dense else rows, goal, slack, reference, curvature or 1.0)

    @cached_property
    def newton(self) -> NewtonSystems:
        """The systems of the Newton steps."""
        return NewtonSystems(self.rows)

    @cached_property
    def _sizes(self) -> Any:
        return self.rows if self.rows.min() >= 0 else abs(self.rows)

    def totals(self, weights: Floats) -> Floats:
        """Return rows @ weights."""
        return np.asarray(self.rows @ weights)

    def pull(self, multipliers: Floats) -> Floats:
        """Return rows.T @ multipliers: what the targets together ask of each record."""
        return np.asarray(self.newton.columns @ multipliers)

    def slack(self, multipliers: Floats, width: float) -> tuple[Floats, Floats]:
        """Return the slack that the multipliers call for, and its derivative: none if the width is infinite."""
        share = np.clip(multipliers / width, -1.0, 1.0)
        return self.tolerance * share, np.where(np.abs(share) < 1.0, self.tolerance / width, 0.0)

    def rounding(self, multipliers: Floats, weights: Floats, curvature: Floats) -> tuple[Floats, float]:
        """Return the rounding errors that the weights may have, and that which the gradient may have, in the Euclidean norm."""
        sizes = self._sizes
        noise = curvature * (sizes.T @ np.abs(multipliers))
        gradient = sizes @ (np.abs(weights) + noise) + np.abs(self.target)
        return ROUNDING * noise, ROUNDING * float(np.linalg.norm(gradient))


def _method_of_multipliers(system: _System, distance: Distance) -> tuple[Floats, bool, int]:
    """Return multipliers, whether their weights have come to rest, and how many Newton steps that took."""
    if not len(system.target):  # nothing is asked for
        return np.zeros(0), True, 0
    tolerant = system.tolerance > 0
    start = point = _Point.at(system, distance, np.zeros(len(system.target)), np.inf)
    proximity, steps, widest = FIRST_PROXIMITY, 0, 0.0
    for _ in range(MOST_MULTIPLIER_STEPS):
        before = point
        point, taken = _newton(system, distance, start, proximity * system.mean_curvature, MOST_NEWTON_STEPS - steps)
        steps += taken
        moves = np.abs(point.weights - before.weights)
        unsure, _ = system.rounding(point.multipliers, point.weights, point.curvature)
        largest = np.abs(point.weights).max(initial=0.0)
        moved = float(np.maximum(moves - unsure, 0.0).max(initial=0.0) / (largest or 1.0))
        missed, missed_before = float(point.misfit @ point.misfit), float(before.misfit @ before.misfit)
        as_close_as_can_be = proximity == LAST_PROXIMITY and abs(missed - missed_before) <= AS_CLOSE * missed
        comes_closer = missed > metrics.MET**2 and abs(missed - missed_before) > AT_REST * missed
        if steps >= MOST_NEWTON_STEPS or as_close_as_can_be or (moved <= STILL and not comes_closer):
            break
        proximity = max(FACTOR * proximity, LAST_PROXIMITY)
        width = max(FACTOR * point.width, LAST_WIDTH * widest)
        if np.isinf(width):
            width = widest = float(np.abs(point.multipliers[tolerant]).max(initial=0.0)) or np.inf
        start = point.narrowed(system, distance, width)
    return point.multipliers, as_close_as_can_be or (moved <= AT_REST and not comes_closer), steps


@dataclass(frozen=True, eq=False)
class _Point:
    """Multipliers, the width of their kinks, and what follows from them."""

    multipliers: Floats
    width: float
    pull: Floats
    weights: Floats
    curvature: Floats  # derivatives of the weights by the pull
    misfit: Floats  # totals + slack - targets: the gradient of the dual function
    slack_slope: Floats

    @classmethod
    def at(cls, system: _System, distance: Distance, multipliers: Floats, width: float) -> "_Point":
        """Follow multipliers to weights and totals."""
        pull = system.pull(multipliers)
        (ratio, slope), (slack, slack_slope) = distance(pull), system.slack(multipliers, width)
        weights = system.reference * ratio
        misfit = system.totals(weights) + slack - system.target
        return cls(multipliers, width, pull, weights, system.reference * slope, misfit, slack_slope)

    def narrowed(self, system: _System, distance: Distance, width: float) -> "_Point":
        """Return a point with another width at which no slack has changed but where it was all used up."""
        if width == self.width:
            return self
        multipliers = np.where(self.slack_slope > 0, self.multipliers * (width / self.width), self.multipliers)
        return _Point.at(system, distance, multipliers, width)


def _newton(system: _System, distance: Distance, centre: _Point, proximity: float, most: int) -> tuple[_Point, int]:
    """Minimise the dual function plus ``proximity / 2 |multipliers - centre|^2``; return the point and the steps taken."""
    point = centre
    for step in range(most):
        moved = point.multipliers - centre.multipliers
        gradient = point.misfit + proximity * moved
        left = float(np.linalg.norm(gradient))
        _, unsure = system.rounding(point.multipliers, point.weights, point.curvature)
        # what is left of the misfit where targets are met; its last change where they cannot be
        news = min(proximity * float(np.linalg.norm(moved)), float(np.linalg.norm(point.misfit - centre.misfit)))
        if left <= max(INEXACT * news, unsure):
            return point, step
        direction = -system.newton.solve(point.curvature, point.slack_slope + proximity, gradient)
        offset, bend = proximity * float(moved @ direction), proximity * float(direction @ direction)
        length = _length(system, distance, point, direction, offset, bend)
        if length == 0.0:
            return point, step
        point = _Point.at(system, distance, point.multipliers + length * direction, point.width)
    return point, most


def _length(system: _System, distance: Distance, point: _Point, direction: Floats, offset: float, curvature: float) -> float:
    """Return how far to go along a direction: to where the slope of the convex function is next to 0: bisection and secants.

    Values of the function are not looked at: near its minimum they say less than slopes. The weights along the direction follow
    from two pulls without another product.
    """
    pull = system.pull(direction)

    def slope(length: float) -> float:
        weights = system.reference * distance(point.pull + length * pull)[0]
        slack = system.slack(point.multipliers + length * direction, point.width)[0]
        return float(weights @ pull + (slack - system.target) @ direction + offset + length * curvature)

    low, high, below, above = 0.0, np.inf, slope(0.0), np.inf
    enough, length = ALONG * abs(below), 1.0
    if below >= 0:  # but for rounding errors there is no way down
        return 0.0
    for trial in range(MOST_LENGTHS):
        here = slope(length)
        if abs(here) <= enough:
            return length
        if here < 0:
            low, below = length, here
        else:  # or beyond the range of numbers
            high, above = length, here
        if np.isinf(high):
            length *= 2.0
        elif trial % 2 and np.isfinite(above):
            length = low + (high - low) * below / (below - above)
        else:
            length = 0.5 * (low + high)
    return low
