"""Weights on a fixed selection: targets met as closely as the bounds allow, and then as near to reference weights as can be.

J.-C. Deville, C.-E. Sarndal: Calibration estimators in survey sampling (JASA 87, 1992). Weights w = reference * F(u) with
u = M' lambda minimise a distance to the reference under M w = y. The multipliers lambda maximise a concave function, by
Newton's method. Targets that contradict each other or the bounds have no such lambda. Then the method of multipliers, whose
steps are the same Newton steps with a proximal term, leads to the weights of least squared error, and among them to the
nearest (A. Chiche, J. C. Gilbert: How the augmented Lagrangian algorithm can deal with an infeasible convex quadratic
optimization problem, Journal of Convex Analysis 23, 2016).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.distances import Distance
from l0np.matrix import ColumnMatrix
from l0np.targets import Targets

Floats = NDArray[np.float64]

DEFAULT_BOUNDS = (0.05, None)  # of weight / reference weight: no selected record is lost
MET = 1e-6  # errors below it, in units of the target's scale, are none
# The proximal term, in units of the mean curvature. Each multiplier step weakens it, and so brings the targets closer; but
# where they contradict each other the multipliers grow with its inverse, and with them the rounding errors of the weights.
FIRST_PROXIMITY, LAST_PROXIMITY, PROXIMITY_FACTOR = 1e-2, 1e-7, 0.1
SLACK_PRICE = 1e-6  # of moving inside a tolerance, in the same units: next to nothing
TOTAL_IMPORTANCE = 1e4  # how much more an error of the fixed total weighs than one of a target
MOST_REWEIGHTINGS, REWEIGHTED = 50, 1e-6  # for caps: refits, and the relative change at which they end
MOST_MULTIPLIER_STEPS = 60
MOST_NEWTON_STEPS = 100
SUFFICIENT_DECREASE = 1e-4  # of the dual function in a Newton step, as a share of what its slope promises
ROUNDING = 1e-14  # relative changes of the dual function below it say nothing
STILL = 1e-10  # relative change of the weights in a multiplier step at which they have come to rest
DENSE_TARGETS = 3000  # up to here the Newton system is a dense matrix
DENSE_SHARE = 0.1  # of non-zeros, from which a sparse matrix does not pay


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
        Whether the weights had come to rest.
    steps : int
        Newton steps taken.
    """

    weights: Floats
    ratios: Floats
    errors: Floats
    missed: NDArray[np.int64]
    converged: bool
    steps: int

    def __repr__(self) -> str:
        """Tell in words."""
        n = len(self.errors)
        missed = f"{len(self.missed)} of {n} targets missed" if len(self.missed) else f"all {n} targets met"
        state = "converged" if self.converged else "not converged"
        return f"Refit({len(self.weights)} weights, {state} in {self.steps} steps, {missed})"


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
    >>> from l0np.distances import chi_square
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
    missed = np.flatnonzero((importance > 0) & (np.abs(errors) > tolerance + MET * np.abs(scale)))
    return Refit(weights, ratios, errors, missed, converged, steps)


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
        if not np.isfinite(cap).any() or np.abs(squares - before).max() <= REWEIGHTED * max(squares.max(), MET):
            break
        counted, before = importance / (1.0 + squares / cap) ** 2, squares
    own = len(targets)
    return replace(refit, errors=refit.errors[:own], missed=refit.missed[refit.missed < own])


@dataclass(frozen=True)
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

        used = np.flatnonzero(importance > 0)
        factor = np.sqrt(importance[used]) / np.abs(scale[used])
        rows = sparse.diags_array(factor) @ sparse.csr_array(matrix)[used]
        goal, slack = target[used] * factor, tolerance[used] * factor
        if total is not None:
            factor = np.append(factor, TOTAL_IMPORTANCE / total)
            rows = sparse.vstack([rows, sparse.csr_array(np.full((1, len(reference)), factor[-1]))], format="csr")
            goal, slack = np.append(goal, TOTAL_IMPORTANCE), np.append(slack, 0.0)
        curvature = float((rows.multiply(rows) @ reference).mean()) if len(used) else 1.0
        dense = rows.nnz > DENSE_SHARE * rows.shape[0] * rows.shape[1]
        return cls(rows.toarray() if dense else rows, goal, slack, reference, curvature or 1.0)

    def slack(self, multipliers: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the slack that the multipliers call for, its derivative and its integral."""
        price = SLACK_PRICE * self.mean_curvature
        wanted = multipliers / price
        slack = np.clip(wanted, -self.tolerance, self.tolerance)
        slope = np.where((slack == wanted) & (self.tolerance > 0), 1.0 / price, 0.0)
        return slack, slope, slack * multipliers - 0.5 * price * slack**2


def _method_of_multipliers(system: _System, distance: Distance) -> tuple[Floats, bool, int]:
    """Return multipliers, whether their weights have come to rest, and how many Newton steps that took."""
    multipliers, steps, before = np.zeros(len(system.target)), 0, system.reference
    proximity = FIRST_PROXIMITY
    for _ in range(MOST_MULTIPLIER_STEPS):
        multipliers, taken, settled = _newton(system, distance, multipliers, proximity * system.mean_curvature)
        steps += taken
        weights = system.reference * distance(system.rows.T @ multipliers)[0]
        if settled and np.abs(weights - before).max() <= STILL * np.abs(weights).max():
            return multipliers, True, steps
        before, proximity = weights, max(PROXIMITY_FACTOR * proximity, LAST_PROXIMITY)
    return multipliers, False, steps


def _newton(system: _System, distance: Distance, centre: Floats, proximity: float) -> tuple[Floats, int, bool]:
    """Minimise the dual function with a proximal term around `centre`; return the point, the steps, whether it is settled."""

    def dual(at: Floats) -> tuple[float, Floats, Floats, Floats]:
        ratio, slope, integral = distance(system.rows.T @ at)
        slack, slack_slope, slack_integral = system.slack(at)
        moved = at - centre
        value = system.reference @ integral + slack_integral.sum() - at @ system.target + 0.5 * proximity * moved @ moved
        gradient = system.rows @ (system.reference * ratio) + slack - system.target + proximity * moved
        return float(value), gradient, system.reference * slope, slack_slope + proximity

    at = centre
    value, gradient, curvature, diagonal = dual(at)
    for step in range(MOST_NEWTON_STEPS):
        direction = -solve_newton_system(system.rows, curvature, diagonal, gradient)
        descent, length = float(gradient @ direction), 1.0
        while -length * descent > ROUNDING * abs(value):
            trial = dual(at + length * direction)
            if trial[0] <= value + SUFFICIENT_DECREASE * length * descent:
                break
            length *= 0.5
        else:  # the values can tell no more, but the gradients may
            length, trial = 1.0, dual(at + direction)
            if np.abs(trial[1]).max(initial=0.0) >= 0.5 * np.abs(gradient).max(initial=0.0):
                return at, step, True
        at = at + length * direction
        value, gradient, curvature, diagonal = trial
    return at, MOST_NEWTON_STEPS, False


def solve_newton_system(rows: Any, curvature: Floats, diagonal: Floats, right: Floats) -> Floats:
    """Solve (rows diag(curvature) rows' + diag(diagonal)) x = right, symmetric and positive definite."""
    from scipy import sparse

    n = len(right)
    if not sparse.issparse(rows):
        product = (rows * curvature) @ rows.T
        product[np.diag_indices(n)] += diagonal
        return _solve_dense(product, right)
    product = (rows @ sparse.diags_array(curvature) @ rows.T).tocsc() + sparse.diags_array(diagonal, format="csc")
    if n <= DENSE_TARGETS:
        return _solve_dense(product.toarray(), right)
    options = {"SymmetricMode": True}
    return np.asarray(sparse.linalg.splu(product, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options).solve(right))


def _solve_dense(matrix: Floats, right: Floats) -> Floats:
    from scipy import linalg

    try:
        return np.asarray(linalg.cho_solve(linalg.cho_factor(matrix, check_finite=False), right, check_finite=False))
    except linalg.LinAlgError:  # definite, but not to sixteen digits
        return np.asarray(linalg.lstsq(matrix, right, check_finite=False)[0])
