"""How exactly k records are selected: the table of methods, and the rule by which "auto" chooses one.

The methods, by what `benchmarks/selection.py` measures:

1. "thinned": more records than k, drawn by a flight that gives up no target and lands no record, thinned out
   one by one: see `l0np.selection.thinned`. Targets are met wherever k records are found that meet them, and
   weights come out nearly equal. "auto" takes this selection whenever it meets the targets as closely as all
   records together do.
2. "balanced": a sample by the cube method, with probabilities in proportion to the weights with which all
   records meet the targets; each record's probability is at least the largest fraction of any one target that
   it holds. If the refit misses targets, records whose g-weight collapses to its bound are swapped for others
   that reduce the errors. "auto" tries it if thinning misses targets that all records can meet.
3. "exchange": pursuit of the residual, then exchanges; for selections of fewer records than there are
   independent targets, which cannot meet them all. Nothing is random. If both miss targets, "auto" tries it,
   if affordable (up to some hundred targets), and also exchanges records of the thinned selection as long as
   that lowers the sum by which selections are compared.
4. "gates": training with Hard Concrete gates, with the L0 multiplier controlled so that k stay open. If
   exchanges are too expensive but training is affordable, "auto" trains gates and swaps records as above.

Of several selections "auto" takes the best by `l0np.selection.ranking`. To add a method, write a function
that takes `AllRecords` and k and returns a `Selection`, and enter it in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from l0np.backends import uses_compiled_kernels
from l0np.sampling import balanced_sample
from l0np.selection.all_records import AllRecords, Inclusion
from l0np.selection.gates import GateRun
from l0np.selection.problem import SelectionProblem
from l0np.selection.pursuit import exchange, exchange_with_ridge, pursue
from l0np.selection.ranking import best_of
from l0np.selection.selections import Selection
from l0np.selection.swaps import Swaps
from l0np.selection.thinned import by_thinning

EXCHANGED = "thinned, exchanged"  # how "auto" calls exchanges from the thinned selection


def by_balanced_sample(all_records: AllRecords, k: int) -> Selection:
    """Draw balanced samples, swap if targets are missed; take the first that meets them, or the best."""
    problem, inclusion = all_records.problem, all_records.inclusion(k)
    best: Selection | None = None
    for attempt in range(_n_samples(problem, k)):
        if problem.stages.begin("sampling"):
            records = np.sort(np.argsort(-inclusion.probabilities, kind="stable")[:k])  # at once
        else:
            records = balanced_sample(
                problem.matrix,
                all_records.weights_before,
                inclusion.probabilities,
                problem.seed,
                attempt,
                compiled=uses_compiled_kernels(problem.training.device),
            )
        drawn = all_records.select(records, inclusion, "balanced")
        swapped = _with_swaps(all_records, drawn, inclusion)
        if best is None or swapped.loss < best.loss:
            best = swapped
        if problem.stages.stopped or all_records.are_matched_by(best):
            break
    assert best is not None
    return best


def by_exchange(all_records: AllRecords, k: int) -> Selection:
    """Pursue the residual, then exchange single records as long as that lowers the squared error."""
    problem, (scaled, target) = all_records.problem, _scaled(all_records.problem)
    problem.stages.begin("pursuit")
    pursued = pursue(scaled, target, k, report=problem.stages.report)
    problem.stages.begin("exchanges")
    selected = exchange(scaled, target, pursued, report=problem.stages.report)
    return all_records.select(problem.eligible[selected], all_records.inclusion(k), "exchange")


def _exchanged(all_records: AllRecords, selection: Selection) -> Selection:
    """Exchange records of a selection as long as that lowers the squared error and spread / ESS together.

    With weights whose sum is known, that is the least squares with a ridge.
    """
    problem, (scaled, target) = all_records.problem, _scaled(all_records.problem)
    counts = float((problem.targets.weights * problem.targets.fitted).sum())
    total = float(all_records.weights_before.sum()) if problem.refits.total is None else problem.refits.total
    problem.stages.begin("exchanges")
    start = np.searchsorted(problem.eligible, selection.records)
    ridge = problem.spread * counts / total**2
    selected = exchange_with_ridge(scaled, target, start, ridge, report=problem.stages.report)
    inclusion = all_records.inclusion(len(selected))
    return all_records.select(problem.eligible[selected], inclusion, EXCHANGED)


def _scaled(problem: SelectionProblem) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the columns of eligible records and the targets, scaled so that squares are the loss."""
    targets = problem.targets
    factor = np.sqrt(targets.weights * targets.fitted) / targets.error_scale
    return problem.matrix.take(problem.eligible).toarray() * factor[:, None], targets.value * factor


def by_gates(all_records: AllRecords, k: int) -> Selection:
    """Train gates until k stay open."""
    return GateRun(all_records).select(k)


def automatic(all_records: AllRecords, k: int) -> Selection:
    """Thin out; if that does not meet the targets as closely as all records do, compare it with others."""
    problem, tried = all_records.problem, [by_thinning(all_records, k)]
    may_compare = not (problem.stages.stopped or problem.requirements.are_given)
    if may_compare and not all_records.from_zero.are_matched_by(tried[0]):
        tried.append(by_balanced_sample(all_records, k))
        if problem.stages.stopped or all_records.are_matched_by(tried[1]):
            pass
        elif _can_exchange(problem, k):
            tried.append(by_exchange(all_records, k))
            if problem.spread and not problem.stages.stopped:
                tried.append(_exchanged(all_records, tried[0]))
        elif _can_train(problem):
            tried.append(_with_swaps(all_records, by_gates(all_records, k), all_records.inclusion(k)))
    return best_of(problem, tried)


METHODS: Mapping[str, Callable[[AllRecords, int], Selection]] = {
    "auto": automatic,
    "thinned": by_thinning,
    "balanced": by_balanced_sample,
    "exchange": by_exchange,
    "gates": by_gates,
}


def _with_swaps(all_records: AllRecords, selection: Selection, inclusion: Inclusion) -> Selection:
    """Return the selection after swaps, which are made only if it does not match all records."""

    def select(records: NDArray[np.int64]) -> Selection:
        return all_records.select(records, inclusion, selection.method, selection.lambda_l0)

    problem = all_records.problem
    swaps = Swaps(problem.matrix, problem.targets, inclusion.reference_weights, select)
    return swaps.improve(selection, lambda s: problem.stages.stopped or all_records.are_matched_by(s))


def _n_samples(problem: SelectionProblem, k: int) -> int:
    """Return how many samples may be drawn: several if the problem is small and k can meet the targets."""
    can_meet = k >= np.count_nonzero(problem.targets.fitted)  # k records rarely meet more than k targets
    is_small = problem.matrix.nnz <= problem.limits.samples_size
    return problem.limits.samples if can_meet and is_small else 1


def _can_exchange(problem: SelectionProblem, k: int) -> bool:
    """Return whether exchanges can be afforded and minimise the loss itself: plain squares of errors."""
    targets, limits = problem.targets, problem.limits
    n_targets, n_records = problem.matrix.shape
    size = float(n_targets) * n_records
    is_plain = targets.minimises_squares and not targets.aggregates and not targets.tolerance.any()
    return is_plain and size <= limits.exchange_size and size * float(k) ** 2 <= limits.exchange_cost


def _can_train(problem: SelectionProblem) -> bool:
    return problem.training.epochs * problem.matrix.nnz <= problem.limits.gates_cost
