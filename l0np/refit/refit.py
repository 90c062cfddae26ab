"""Weights on a fixed selection: targets met as closely as bounds allow, by weights near reference weights.

J.-C. Deville, C.-E. Sarndal: Calibration estimators in survey sampling (JASA 87, 1992). The solver is
`l0np.refit.multipliers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted
from l0np.errors import L0npWarning, warn
from l0np.inputs import validation
from l0np.matrix import ColumnMatrix
from l0np.refit.distances import Distance
from l0np.refit.multipliers import LIMITS, RefitLimits, ScaledSystem, Stopped
from l0np.refit.penalty import SMALL, PenalisedProblem
from l0np.refit.solver import least_absolute_ratios, least_squares_ratios
from l0np.targets import Targets, metrics

Floats = NDArray[np.float64]
Report = Callable[[Floats], bool]

DEFAULT_BOUNDS = (0.05, None)  # of weight / reference weight: no selected record is lost
TOTAL_IMPORTANCE = 1e4  # weight of an error in the fixed total, relative to one in a target
MOST_AT_ONCE = 1_000_000  # entries for which an array is made beside the matrix
DENSE_FRACTION = 0.3  # of non-zeros, above which a sparse matrix is slower than a dense one
NO_SQUARES = (
    "the loss of these targets is neither a sum of squared errors nor one of absolute errors. Gates are "
    "trained with it, but refits minimise squared errors: weights that miss targets are those of least "
    "squares"
)


@dataclass(frozen=True)
class Refit:
    """The weights that a refit found.

    Attributes
    ----------
    weights : array of shape (k,)
        The new weights.
    ratios : array of shape (k,)
        Weights over reference weights, the g-weights of the survey literature.
    errors : array of shape (Q,)
        Estimate minus target, in the units of the targets; of targets that are held out too.
    missed : array of int
        The targets that were fitted and are missed by more than their tolerance.
    converged : bool
        Whether the weights have converged, or targets that cannot be met come no closer.
    steps : int
        Newton steps taken.
    at_lower, at_upper : int
        Number of weights at their lower and at their upper bound.
    total_error : float
        Sum of the weights over the total that it was to have, minus 1; 0 where no total was fixed.
    n_missed : int
        Number of the targets, and of the totals of targets, that are missed.
    stopped : bool
        Whether a callback ended the refit before it had converged.
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
    n_missed: int = 0
    stopped: bool = False

    def __repr__(self) -> str:
        """Summarise in one line."""
        n, steps = len(self.errors), counted(self.steps, "step")
        weights = counted(len(self.weights), "weight")
        missed = f"{len(self.missed)} of {n} targets missed" if len(self.missed) else f"all {n} targets met"
        return f"Refit({weights}, {self.state} in {steps}, {missed}{self.notes})"

    @property
    def state(self) -> str:
        """Whether the weights have converged, and so come as near to targets that are missed as any can."""
        if not self.converged:
            return "stopped by a callback" if self.stopped else "not converged"
        return "nearest weights found" if self.n_missed else "converged"

    @property
    def notes(self) -> str:
        """What a one-line summary adds about a missed total and weights at bounds, each after a comma."""
        parts = (
            [f"total missed by {self.total_error:+.3g} of it"] if abs(self.total_error) > metrics.MET else []
        )
        counts = {"lower": self.at_lower, "upper": self.at_upper}
        parts += [f"{count:,} at the {name} bound" for name, count in counts.items() if count]
        return "".join(f", {part}" for part in parts)


@dataclass(frozen=True, eq=False)
class WeightedTargets:
    """Targets as a refit takes them: arrays of shape (Q,).

    Attributes
    ----------
    value : array
        The targets.
    scale : array
        What errors are divided by.
    importance : array
        Factors on the squared errors; 0 leaves a target out. They matter only for targets that cannot all be
        met.
    tolerance : array
        Errors up to this size cost nothing, in the units of the targets.
    cap : array, optional
        The most that a target adds to the loss for each unit of its importance; by default there are none.
    absolute : bool
        Whether the loss is a sum of absolute errors, of which importance is a factor too, not of squares.
    """

    value: Floats
    scale: Floats
    importance: Floats
    tolerance: Floats
    cap: Floats | None = None
    absolute: bool = False

    def missed(self, errors: Floats, size: Floats) -> NDArray[np.int64]:
        """Return the targets that count and are missed; `size` is that of `metrics.is_met`."""
        met = metrics.is_met(errors, self.tolerance, self.scale, size)
        return np.flatnonzero((self.importance > 0) & ~met)


def refit_weights(
    matrix: Any,
    targets: WeightedTargets,
    reference: Floats,
    distance: Distance,
    total: float | None = None,
    limits: RefitLimits = LIMITS,
    report: Report | None = None,
) -> Refit:
    """Return the weights that meet the targets as closely as bounds allow, the nearest to the reference.

    Parameters
    ----------
    matrix : scipy.sparse array of shape (Q, k)
        What each selected record adds to each target for one unit of weight, float64.
    targets : WeightedTargets
        Q targets.
    reference : array of shape (k,)
        Reference weights, above 0.
    distance : Distance
        With its bounds.
    total : float, optional
        A sum that the weights must have.
    limits : RefitLimits
        What it may cost; after so many steps it ends, converged or not.
    report : callable, optional
        Called after each step with the totals of the weights, shape (Q,); True ends the refit with these
        weights, which then count as not converged.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from l0np.refit.distances import chi_square
    >>> M, ones = sparse.csr_array([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]]), np.ones(2)
    >>> targets = WeightedTargets(np.array([6.0, 8.0]), scale=ones, importance=ones, tolerance=0 * ones)
    >>> refit_weights(M, targets, np.ones(3), chi_square(-np.inf, np.inf)).weights.round(6)
    array([1., 2., 3.])
    """
    problem = _problem(matrix, targets, reference, distance, (total, limits.factor_cost))
    if report is not None:
        system = replace(problem.system, report=lambda weights: report(matrix @ weights))
        problem = replace(problem, system=system)
    with np.errstate(all="ignore"):  # steps that leave the range of floats are shortened
        stopped = False
        try:
            find = least_absolute_ratios if targets.absolute else least_squares_ratios
            ratios, converged, steps = find(problem, limits)
        except Stopped as reached:
            ratios, converged, steps, stopped = reached.weights / reference, False, 0, True
    weights = reference * ratios
    errors = np.asarray(matrix @ weights - targets.value)
    total_error = 0.0 if total is None else float(weights.sum() / total - 1.0)
    sizes = matrix if matrix.data.min(initial=0.0) >= 0 else abs(matrix)
    missed = targets.missed(errors, np.asarray(sizes @ np.abs(weights)))
    at_lower, at_upper = distance.at_bounds(ratios)
    return Refit(
        weights,
        ratios,
        errors,
        missed,
        converged,
        steps,
        at_lower,
        at_upper,
        total_error,
        len(missed),
        stopped,
    )


def _problem(
    matrix: Any,
    targets: WeightedTargets,
    reference: Floats,
    distance: Distance,
    limits: tuple[float | None, float],
) -> PenalisedProblem:
    """Return the problem of the targets that count and, as one more row, of the fixed total."""
    from scipy import sparse

    total, factor_cost = limits
    matrix = sparse.csr_array(matrix)
    is_empty = np.diff(matrix.indptr) == 0  # no weight changes these rows
    used = np.flatnonzero((targets.importance > 0) & ~is_empty)
    importance = targets.importance[used]
    of_error = importance if targets.absolute else np.sqrt(importance)  # the factor on a relative error
    factor = of_error / np.abs(targets.scale[used])
    scaled = matrix if len(used) == matrix.shape[0] else matrix[used]
    entries = np.repeat(factor, np.diff(scaled.indptr))
    np.multiply(scaled.data, entries, out=entries)
    scaled = sparse.csr_array((entries, scaled.indices, scaled.indptr), shape=scaled.shape)
    value, tolerance = targets.value[used] * factor, targets.tolerance[used] * factor
    cap = np.full(len(used), np.inf) if targets.cap is None else targets.cap[used] * importance
    small = SMALL * of_error
    curvature = _mean_curvature(scaled, reference)
    if total is not None:
        row = sparse.csr_array(np.full((1, len(reference)), TOTAL_IMPORTANCE / total))
        scaled = sparse.vstack([scaled, row], format="csr")
        value, tolerance = np.append(value, TOTAL_IMPORTANCE), np.append(tolerance, 0.0)
        cap, small = np.append(cap, np.inf), np.append(small, SMALL * TOTAL_IMPORTANCE)
    is_dense = scaled.nnz > DENSE_FRACTION * scaled.shape[0] * scaled.shape[1]
    scaled = scaled.toarray() if is_dense else scaled
    system = ScaledSystem(scaled, value, tolerance, reference, curvature or 1.0, factor_cost)
    return PenalisedProblem(system, cap, small, distance)


def _mean_curvature(scaled: Any, reference: Floats) -> float:
    """Return the mean of the diagonal of ``scaled diag(reference) scaled'``, 0 without rows."""
    total = 0.0
    for start in range(0, scaled.nnz, MOST_AT_ONCE):
        here = slice(start, start + MOST_AT_ONCE)
        values = scaled.data[here]
        total += float(np.einsum("i,i,i->", values, values, reference[scaled.indices[here]]))
    return total / max(int(scaled.shape[0]), 1)


class RefitProblem:
    """Refits of different selections to the same targets: with tolerances, totals of targets and caps.

    Parameters
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each target for one unit of weight.
    targets : Targets
        Checked targets.
    distance : Distance
        With its bounds.
    total : float, optional
        A sum that the weights of each selection must have.
    limits : RefitLimits
        What a refit may cost; weights that are not found within these limits have not converged.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.refit import distance_of
    >>> M = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    >>> targets = Targets.build([8.0, 10.0], 2)
    >>> problem = RefitProblem(ColumnMatrix.of(M), targets, distance_of("chi-square", (0.05, None)))
    >>> problem.refit(np.array([0, 1, 3]), np.full(3, 2.0))
    Refit(3 weights, converged in 3 steps, all 2 targets met)
    """

    def __init__(
        self,
        matrix: ColumnMatrix,
        targets: Targets,
        distance: Distance,
        total: float | None = None,
        limits: RefitLimits = LIMITS,
    ) -> None:
        self.matrix, self.targets, self.distance, self.total = matrix, targets, distance, total
        self._limits = limits
        self._adding = [a.matrix.to_scipy().astype(np.float64) for a in targets.aggregates]
        parts = [(targets, 1.0), *((a.totals, a.weight) for a in targets.aggregates)]
        value, scale, tolerance, cap = (
            np.concatenate([getattr(part, name) for part, _ in parts])
            for name in ("value", "error_scale", "tolerance", "cap")
        )
        importance = np.concatenate([part.weights * part.fitted * weight for part, weight in parts])
        absolute = targets.minimises_absolute_errors
        self._weighted = WeightedTargets(value, scale, importance, tolerance, cap, absolute)

    def refit(self, records: NDArray[np.int64], reference: Floats, report: Report | None = None) -> Refit:
        """Return the weights of selected records, near to their reference weights.

        `report` is called after each step with the estimates of the targets; True ends the refit.

        A cap makes the loss of a target ``s / (1 + s / cap)`` of its squared error s. Where caps
        matter, because not all targets can be met, the weights are those of a local minimum.
        """
        matrix, n = self._rows_of(records), len(self.targets)
        of_targets = None if report is None else lambda totals: report(totals[:n])
        weighted, distance = self._weighted, self.distance
        refit = refit_weights(matrix, weighted, reference, distance, self.total, self._limits, of_targets)
        return replace(refit, errors=refit.errors[:n], missed=refit.missed[refit.missed < n])

    def _rows_of(self, records: NDArray[np.int64]) -> Any:
        """Return the rows of the targets, then those of their totals, for some records."""
        from scipy import sparse

        is_all = np.array_equal(records, np.arange(self.matrix.shape[1]))
        taken = self.matrix.to_scipy() if is_all else self.matrix.take(records)  # the first copies less
        rows = [sparse.csr_array(taken).astype(np.float64, copy=False)]
        del taken
        rows += [sparse.csr_array(adding @ rows[0]) for adding in self._adding]
        return sparse.vstack(rows, format="csr") if len(rows) > 1 else rows[0]


def warn_if_not_minimised(targets: Targets) -> None:
    """Warn where refits do not minimise the loss of the targets, but squares.

    Whoever checks what a user gave calls this, once; the refits of a run are silent.
    """
    if not (targets.minimises_squares or targets.minimises_absolute_errors):
        warn(NO_SQUARES, L0npWarning)


def refit_to_targets(
    matrix: ColumnMatrix,
    records: NDArray[np.int64],
    targets: Targets,
    reference: Floats,
    distance: Distance,
    total: float | None = None,
    report: Report | None = None,
) -> Refit:
    """Refit one selection: see `RefitProblem`; warn as `warn_if_not_minimised` does."""
    warn_if_not_minimised(targets)
    return RefitProblem(matrix, targets, distance, total).refit(records, reference, report)


def checked_total(total: Any) -> float | None:
    """Check the sum that weights must have, if any."""
    if total is None:
        return None
    number = validation.real_number("total", total, above=0.0)
    validation.check_squarable("total", number, validation.DIVISIBLE)
    return number
