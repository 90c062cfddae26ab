"""`check_targets`: what is wrong with targets, before time is spent on a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np._text import counted
from l0np.diagnostics.exclusive_rows import families_that_count_the_same
from l0np.diagnostics.feasibility import feasibility, row_ranges
from l0np.diagnostics.findings import INCONSISTENT, Rows, TargetChecks
from l0np.diagnostics.row_dependence import Dependence, proportional_rows, row_dependence
from l0np.inputs import validation
from l0np.margin_tables import problem_parts
from l0np.matrix import ColumnMatrix, weighted_totals
from l0np.refit import DEFAULT_BOUNDS, distance_of
from l0np.targets import TargetOptions, Targets, takes_target_options

ROUNDING = 1e-9  # relative difference of two numbers that are meant to be the same
SMALLEST_GROUP = 5  # usable targets a group needs for its own median and MAD
OUTLYING = 3.5  # robust z-score of an outlier (Iglewicz and Hoaglin 1993)
NORMAL_MAD = 0.6745  # the MAD of a standard normal variable
OUTLYING_FACTOR = 2.0  # an outlier's ratio is also at least this times the median, or at most 1/this of it
Floats = NDArray[np.float64]


class CheckLimits(NamedTuple):
    """Sizes beyond which a check is skipped.

    Attributes
    ----------
    rank_targets, rank_nonzeros : int
        Largest sizes for the decomposition, which takes some seconds and 32 MB for 2,000 rows.
    family_nonzeros : int
        Largest number of entries for the search for families of rows, some seconds.
    lp_targets, lp_nonzeros : int
        Largest sizes for the linear programme, which takes minutes beyond them.
    lp_seconds : float
        Time after which the linear programme is given up.
    """

    rank_targets: int = 2_000
    rank_nonzeros: int = 20_000_000
    family_nonzeros: int = 50_000_000
    lp_targets: int = 1_000
    lp_nonzeros: int = 1_000_000
    lp_seconds: float = 20.0


LIMITS = CheckLimits()


@dataclass(frozen=True, eq=False)
class BoundedProblem:
    """Checked targets and the weights that may meet them.

    Attributes
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each target for one unit of weight.
    targets : Targets
        The Q targets.
    base_weights, lower, upper : arrays of shape (N,)
        Base weights, and the bounds of weights.
    rounded : dtype
        The dtype to which entries may have been rounded; it decides which rows count as dependent.
    """

    matrix: ColumnMatrix
    targets: Targets
    base_weights: Floats
    lower: Floats
    upper: Floats
    rounded: np.dtype[Any]


@takes_target_options
def check_targets(
    M: Any,
    y: ArrayLike | None = None,
    base_weights: ArrayLike | None = None,
    *,
    bounds: tuple[float | None, float | None] = DEFAULT_BOUNDS,
    **options: Unpack[TargetOptions],
) -> TargetChecks:
    """Look for targets that cannot be met, or not together, and for those that look wrong, before training.

    A few passes over the entries check each row by itself, and whether the totals of variables agree whose
    levels count the same records (up to 50 million entries). A decomposition finds rank and dependent rows
    (up to 2,000 targets); a linear programme finds whether all targets can be met together (up to 1,000
    targets, a million entries and 20 seconds). If these are skipped, `rank_skipped` and
    `linear_programme_skipped` say why. Excluded targets are not checked.

    Parameters
    ----------
    M : MarginProblem, ColumnMatrix, scipy.sparse array or matrix, array, list of lists or DataFrame, (Q, N)
        What each record adds to each target for one unit of weight; or what `margins` returned, which stands
        for M, y, base weights and target options. In a DataFrame the order counts: Series
        given as other arguments must have the labels of its rows or columns in that order, or a default
        index.
    y : array of shape (Q,)
        The targets; left out with a MarginProblem.
    base_weights : float or array of shape (N,), optional
        Weights to start from, 0 or more; by default those of a MarginProblem, else 1. They set the expected
        size of each target and the bounds.
    bounds : (float or None, float or None)
        Smallest and largest ratio of a weight to its base weight, None for no bound: those of `calibrate`,
        with the same default. (0, None) asks whether any non-negative weights meet the targets, such as those
        of a selection.
    **options
        Target options, see `l0np.TargetOptions`. Tolerances widen the range within which a target is met,
        `target_scales` are what misses are relative to (``|y|`` by default), `target_groups` are the
        groups within which sizes are compared.

    Returns
    -------
    TargetChecks
        The findings, which print themselves; ``.ok`` is False if some target cannot be met.

    Raises
    ------
    InputError, InputTypeError
        For anything that cannot be used.

    Examples
    --------
    >>> from l0np import check_targets
    >>> levels = ["tenure: own", "tenure: rent", "region: north", "region: south"]
    >>> M = [[1, 1, 0, 1], [0, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    >>> print(check_targets(M, [700, 320, 600, 400], names=levels))
    4 targets, 4 records: they cannot all be met
      totals disagree           1   tenure adds up to 1,020, region adds up to 1,000 (1.96% apart)
      not met together          1   tenure: own (missed by -0.0286)
        at odds with            3   tenure: rent, region: north, region: south
      rank                      3 of 4 rows
      dependent rows            1   region: south
    >>> M = [[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 2, 2, 0]]
    >>> found = check_targets(M, [3, 5, 7, 15], names=["north", "nowhere", "south", "cars"])
    >>> found.ok
    False
    >>> print(found)
    4 targets, 4 records: they cannot all be met
      unreachable               1   nowhere (no record contributes to it)
      contradictory             1   south ~ cars
      not met together          1   cars (missed by -0.0667)
        at odds with            1   south
      rank                      2 of 4 rows
      dependent rows            1   cars
      records in no target      1   3
    """
    within = distance_of("chi-square", bounds)
    M, y, base_weights, options, _ = problem_parts(M, y, base_weights, options)
    matrix, targets = Targets.of(M, y, options)
    n_records = matrix.shape[1]
    base = 1.0 if base_weights is None else base_weights
    base = validation.column_values("base_weights", base, "M", M, n_records, at_least=0.0)
    targets = targets.sized(matrix, base)
    targets.check_sizes(matrix, "base_weights", base)
    lower, upper = (
        np.multiply(ratio, base, out=np.zeros(n_records), where=base > 0)
        for ratio in (within.lower, within.upper)
    )
    # a ColumnMatrix in float32 may have been rounded when it was made; entries given in float32 are exact
    rounded = matrix.dtype if matrix is M else np.dtype(np.float64)
    return checks_of(BoundedProblem(matrix, targets, base, lower, upper, rounded))


def checks_of(problem: BoundedProblem, limits: CheckLimits = LIMITS) -> TargetChecks:
    """Run all checks whose cost the limits allow."""
    matrix, targets = problem.matrix, problem.targets
    alone = _rows_alone(problem)
    multiples = _multiples(targets, matrix)
    return TargetChecks(
        targets,
        matrix.shape[1],
        unused_records=np.flatnonzero(np.diff(matrix.indptr) == 0),
        **alone,
        **multiples,
        **_sizes(targets, weighted_totals(matrix, problem.base_weights)),
        **_families(problem, limits),
        **_rank(problem, multiples, limits),
        **_together(problem, alone["unreachable"], limits),
    )


def _rows_alone(problem: BoundedProblem) -> dict[str, Any]:
    """Compare each target with the range that its row reaches within the bounds."""
    targets = problem.targets
    bottom, top = row_ranges(problem.matrix, problem.lower, problem.upper)
    rounding = ROUNDING * np.maximum(np.abs(targets.value), 1.0)
    slack = targets.tolerance + rounding
    low, high = targets.value < bottom - slack, targets.value > top + slack
    unreachable = np.flatnonzero((low | high) & targets.fitted)
    touches = (targets.value <= bottom + rounding) | (targets.value >= top - rounding)
    at_bound = touches & ~(low | high) & (targets.tolerance == 0) & (bottom < top) & targets.fitted
    why = tuple(_why(bottom[i], top[i], bool(low[i])) for i in unreachable)
    return {"unreachable": unreachable, "unreachable_why": why, "at_bound": np.flatnonzero(at_bound)}


def _why(bottom: float, top: float, below: bool) -> str:
    if bottom == top == 0:
        return "no record contributes to it"
    if below:
        return (
            "all contributions are positive"
            if bottom == 0
            else f"weights within the bounds give at least {bottom:.6g}"
        )
    return (
        "all contributions are negative" if top == 0 else f"weights within the bounds give at most {top:.6g}"
    )


def _multiples(targets: Targets, matrix: ColumnMatrix) -> dict[str, Any]:
    """Compare the targets of rows that are multiples of one another, each divided by its row's factor."""
    contradictory: list[Rows] = []
    redundant: list[Rows] = []
    for rows, factors in proportional_rows(matrix):
        fitted = targets.fitted[rows]
        rows, factors = rows[fitted], factors[fitted]
        if len(rows) < 2:
            continue
        implied, width = targets.value[rows] / factors, targets.tolerance[rows] / np.abs(factors)
        gap = (implied - width).max() - (implied + width).min()
        (redundant if gap <= ROUNDING * np.abs(implied).max() else contradictory).append(rows)
    return {"contradictory": tuple(contradictory), "redundant": tuple(redundant)}


def _families(problem: BoundedProblem, limits: CheckLimits) -> dict[str, Any]:
    """Compare the sums of targets of families of rows that count the same."""
    targets, matrix = problem.targets, problem.matrix
    if matrix.nnz > limits.family_nonzeros:
        return {}
    disagreeing = []
    for families in families_that_count_the_same(matrix.to_scipy().tocsr(), targets):
        total = np.array([targets.value[rows].sum() for rows in families])
        width = np.array([targets.tolerance[rows].sum() for rows in families])
        if (total - width).max() - (total + width).min() > INCONSISTENT * np.abs(total).max():
            disagreeing.append(tuple(families))
    return {"disagreeing": tuple(disagreeing)}


def _sizes(targets: Targets, totals: Floats) -> dict[str, Any]:
    """Compare each target's ratio to its total under the base weights with the median ratio of its group.

    The unit is the median absolute deviation (MAD), on the logarithmic scale.
    """
    usable = np.flatnonzero(targets.fitted & (targets.value != 0) & (totals != 0))
    if not usable.size:
        return {}
    ratio = targets.value[usable] / totals[usable]
    logarithm = np.log10(np.abs(ratio))
    centre, spread = (np.full(len(usable), statistic) for statistic in _median_and_mad(logarithm))
    if targets.groups is not None:
        labels = targets.groups[usable]
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            if len(members) >= SMALLEST_GROUP:
                centre[members], spread[members] = _median_and_mad(logarithm[members])
    distance = np.abs(logarithm - centre)
    unlike = (NORMAL_MAD * distance > OUTLYING * spread) & (distance > np.log10(OUTLYING_FACTOR))
    return {"outliers": usable[unlike], "outlier_factors": (ratio / 10.0**centre)[unlike]}


def _median_and_mad(values: Floats) -> tuple[float, float]:
    median = float(np.median(values))
    return median, float(np.median(np.abs(values - median)))


def _rank(problem: BoundedProblem, multiples: dict[str, Any], limits: CheckLimits) -> dict[str, Any]:
    """Find the rank of the fitted rows, the rows that depend on others, and contradictions of their targets.

    Empty rows are left out, and so are all but the first of rows that are multiples of one another.
    """
    targets, matrix = problem.targets, problem.matrix
    groups = (*multiples["contradictory"], *multiples["redundant"])
    repeated = np.concatenate([rows[1:] for rows in groups]) if groups else np.zeros(0, np.intp)
    wanted = targets.fitted & (matrix.row_lengths > 0)
    wanted[repeated] = False
    rows = np.flatnonzero(wanted)
    if len(rows) > limits.rank_targets or matrix.nnz > limits.rank_nonzeros:
        return {"rank_skipped": _too_large(rows, matrix, limits.rank_targets, limits.rank_nonzeros)}
    if not rows.size:
        return {"rank": 0}
    parts = row_dependence(matrix.to_scipy().astype(np.float64).tocsr()[rows], problem.rounded)
    dependent = np.sort(np.concatenate((rows[parts.dependent], repeated)))
    inconsistent = tuple(_inconsistent(parts, targets.value[rows], targets.tolerance[rows], rows))
    return {"rank": parts.rank, "dependent": dependent, "inconsistent": inconsistent}


def _inconsistent(parts: Dependence, value: Floats, tolerance: Floats, rows: Rows) -> Iterator[Rows]:
    """Yield inconsistent rows: a dependent row, then the rows on which it depends.

    The target of an inconsistent row differs from the same combination of the others' targets.
    """
    sums, sizes = parts.coefficients.T, np.abs(parts.coefficients.T)
    gap = np.abs(value[parts.dependent] - sums @ value[parts.independent])
    size = np.abs(value[parts.dependent]) + sizes @ np.abs(value[parts.independent])
    wrong = gap > INCONSISTENT * size + tolerance[parts.dependent] + sizes @ tolerance[parts.independent]
    for position in np.flatnonzero(wrong):
        takes_part = sizes[position] > INCONSISTENT * sizes[position].max()
        others = np.sort(rows[parts.independent[takes_part]])
        yield np.concatenate((rows[parts.dependent[[position]]], others))


def _together(problem: BoundedProblem, unreachable: Rows, limits: CheckLimits) -> dict[str, Any]:
    """Find whether weights within the bounds can meet all fitted targets that are reachable."""
    targets, matrix = problem.targets, problem.matrix
    rows = np.setdiff1d(np.flatnonzero(targets.fitted), unreachable)
    if len(rows) > limits.lp_targets or matrix.nnz > limits.lp_nonzeros:
        return {"linear_programme_skipped": _too_large(rows, matrix, limits.lp_targets, limits.lp_nonzeros)}
    if not rows.size:
        return {}
    result = feasibility(
        matrix.to_scipy().astype(np.float64).tocsr()[rows],
        targets.value[rows],
        targets.tolerance[rows],
        targets.error_scale[rows],
        problem.lower,
        problem.upper,
        limits.lp_seconds,
    )
    if isinstance(result, str):
        return {"linear_programme_skipped": result}
    return {"infeasible": rows[result.violated], "misses": result.misses, "opposed": rows[result.opposed]}


def _too_large(rows: Rows, matrix: ColumnMatrix, most_targets: int, most_nonzeros: int) -> str:
    size = f"{counted(len(rows), 'target')} and {matrix.nnz:,} non-zeros"
    return f"{size}; done up to {most_targets:,} and {most_nonzeros:,}"
