"""How exactly k records are selected: the table of methods, and the rule by which "auto" takes one of them.

The rule follows measurements, `benchmarks/selection.py`:

1. "balanced": a sample by the cube method, with probabilities in proportion to the weights with which all
   records meet the targets, but no record less likely than the largest fraction that it holds of any one
   target. Weights come out nearly equal, so the effective sample size is the highest. Where the refit misses
   targets, records whose g-weight collapses to its bound are swapped for others that reduce the errors.
   "auto" takes it wherever it meets the targets as closely as all records together do.
2. "exchange": where fewer records than independent targets cannot meet them all: pursuit of the residual,
   then exchanges. Nothing is random. "auto" tries it then if its cost allows (up to some hundred targets).
3. "gates": training with Hard Concrete gates, with the L0 multiplier controlled so that k stay open. Where
   exchanges cost too much and training does not, "auto" trains them and swaps records as above.

Of several selections "auto" takes the one of least loss. To add a method, write a function that takes
`AllRecords` and k and returns a `Selection`, and enter it in `METHODS`.
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
from l0np.selection.pursuit import exchange, pursue
from l0np.selection.selections import Selection
from l0np.selection.swaps import Swaps


def by_balanced_sample(all_records: AllRecords, k: int) -> Selection:
    """Draw balanced samples, swap where targets are missed; take the first that meets them, or the best."""
    problem, inclusion = all_records.problem, all_records.inclusion(k)
    best: Selection | None = None
    for attempt in range(_n_samples(problem, k)):
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
        if all_records.are_matched_by(best):
            break
    assert best is not None
    return best


def by_exchange(all_records: AllRecords, k: int) -> Selection:
    """Pursue the residual, then exchange single records as long as that lowers the squared error."""
    problem = all_records.problem
    targets, eligible = problem.targets, problem.eligible
    factor = np.sqrt(targets.weights * targets.fitted) / targets.error_scale
    scaled = problem.matrix.take(eligible).toarray() * factor[:, None]
    target = targets.value * factor
    selected = eligible[exchange(scaled, target, pursue(scaled, target, k))]
    return all_records.select(selected, all_records.inclusion(k), "exchange")


def by_gates(all_records: AllRecords, k: int) -> Selection:
    """Train gates until k stay open."""
    return GateRun(all_records).select(k)


def automatic(all_records: AllRecords, k: int) -> Selection:
    """Take a balanced sample if it meets the targets as closely as all records do, else the better of two."""
    sample = by_balanced_sample(all_records, k)
    if all_records.are_matched_by(sample):
        return sample
    if _can_exchange(all_records.problem, k):
        other = by_exchange(all_records, k)
    elif _can_train(all_records.problem):
        other = _with_swaps(all_records, by_gates(all_records, k), all_records.inclusion(k))
    else:
        return sample
    return other if other.loss < sample.loss else sample


METHODS: Mapping[str, Callable[[AllRecords, int], Selection]] = {
    "auto": automatic,
    "balanced": by_balanced_sample,
    "exchange": by_exchange,
    "gates": by_gates,
}


def _with_swaps(all_records: AllRecords, selection: Selection, inclusion: Inclusion) -> Selection:
    """Return the selection after swaps, which are made only where it does not match all records."""

    def select(records: NDArray[np.int64]) -> Selection:
        return all_records.select(records, inclusion, selection.method, selection.lambda_l0)

    problem = all_records.problem
    swaps = Swaps(problem.matrix, problem.targets, inclusion.reference_weights, select)
    return swaps.improve(selection, all_records.are_matched_by)


def _n_samples(problem: SelectionProblem, k: int) -> int:
    """Return how many samples may be drawn: more than one where records are few and can meet the targets."""
    can_meet = k >= np.count_nonzero(problem.targets.fitted)  # fewer records than targets rarely do
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
