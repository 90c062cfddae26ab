"""Selection by a flight without landing, and thinning: no target is given up on the way to k records.

1. Records are drawn by the flight of the cube method with about half as many as there are targets too few;
   those that the flight leaves undecided stay in, at the fraction of their reference weight that the walk has
   left them. So the totals are exactly those of all records (J.-C. Deville, Y. Tille: Efficient balanced
   sampling, Biometrika 91, 2004; G. Chauvet, Y. Tille: A fast algorithm for balanced sampling, Computational
   Statistics 21, 2006).
2. A refit to these totals makes the weights even. Its lower bounds lie below the walked weights, record by
   record, so that it can meet all totals.
3. The surplus over k is thinned out (`l0np.sampling.thinning`), half of it at a time, with a refit after each
   half.
4. A last refit goes to the targets themselves, with their tolerances and caps.

What chance does here is the flight: over seeds, the mean of the weights that it leaves to a record is the
record's weight before selection, so that totals of any kind are unbiased so far. Thinning is not at random.
It prefers records that others can make up for, so that a record is selected more or less often than its
inclusion probability says, and has less or more weight where it is selected: estimates of totals that are no
targets have a bias, which is that of calibration and falls as k grows. Where each record has to be selected
with its probability, method "balanced" does that.

The refits on the way use the chi-square distance; the last one uses the distance and the bounds that were
asked for wherever a weight of that kind is known to exist, and otherwise those of step 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.backends import uses_compiled_kernels
from l0np.matrix import ColumnMatrix, row_lengths, weighted_totals
from l0np.refit import DISTANCES, Refit, RefitProblem
from l0np.sampling import CubeLimits, balanced_flight, thin_out
from l0np.selection.all_records import AllRecords, Inclusion
from l0np.selection.ranking import best_of
from l0np.selection.selections import Selection
from l0np.targets import Targets

NAME = "thinned"
LEAST_OF_REFERENCE = 0.05  # lower bound of weights relative to their reference weights, at most
OF_WALKED = 0.5  # lower bound relative to the weight that the walk, or thinning, has left
SMALLEST = 1e-9  # lower bound relative to the reference weight, at least
RIDGE = 1e-6  # relative to the median of what a total's reference weights add to A R A'
EXTRA = 1.0  # records to be drawn at least, whatever there is to be thinned out

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class ThinningPlan(NamedTuple):
    """How many records are drawn, and how the surplus leaves.

    Attributes
    ----------
    least_surplus, most_surplus : float
        Fractions of k between which lies the number of records that are drawn beside the k wanted. Estimates
        of totals that are no targets become biased as it grows, for thinning is not at random.
    of_totals, of_many_totals : float
        The same as a fraction of the number of targets, and for more than `many` targets.
    many : int
        A large number of targets.
    most_of_k : float
        Fraction of k up to which a walk may leave more records than k, if that is not exceeded by half as
        much again as was wanted.
    walks : int
        Walks at most, until the number of records is right.
    at_once, at_once_of_k : int and float
        Records that leave together at least, and as a fraction of k.
    fraction : float
        Fraction of the surplus that leaves before the next refit.
    near : float
        Records for each target below which several selections of a small problem are compared.
    of_totals_near : float
        The surplus of a further one of these, as a fraction of the number of targets: as many records as a
        flight leaves undecided. With hardly more records than targets, weights are much more even then.
    """

    least_surplus: float = 0.02
    most_surplus: float = 0.1
    of_totals: float = 0.25
    of_many_totals: float = 0.05
    many: int = 1000
    most_of_k: float = 0.06
    walks: int = 3
    at_once: int = 30
    at_once_of_k: float = 0.005
    fraction: float = 0.5
    near: float = 1.1
    of_totals_near: float = 0.5


PLAN = ThinningPlan()
CUBE = CubeLimits(compiled_from=4000)  # several walks of a few thousand records pay for loading the kernel


@dataclass(frozen=True, eq=False)
class _Kept:
    """Selected records with weights, and per record the least weight that a refit may give."""

    records: Integers
    least: Floats
    refit: Refit


@dataclass(frozen=True, eq=False)
class Thinning:
    """The selection of k records by walks and thinning.

    Attributes
    ----------
    all_records : AllRecords
        The calibration of all records, with weights down to 0.
    k : int
        How many are wanted.
    plan : ThinningPlan
        How many are drawn.
    attempt : int
        Number of the selection, from 0: each gives another one for the same seed.
    """

    all_records: AllRecords
    k: int
    plan: ThinningPlan = PLAN
    attempt: int = 0

    def select(self) -> Selection:
        """Return the selection."""
        records, walked = self.drawn()
        reference = self._reference[records]
        least = np.minimum(self._least_fraction * reference, OF_WALKED * walked)
        kept = self._refitted(records, np.maximum(least, SMALLEST * reference), self._reached)
        return self._final(self._thinned(kept))

    @property
    def n_attempts(self) -> int:
        """How many selections are to be compared."""
        limits = self.all_records.problem.limits
        is_small = self._rows.nnz <= limits.samples_size
        return limits.samples + 1 if is_small and self.k < self.plan.near * self._n_totals else 1

    def drawn(self) -> tuple[Integers, Floats]:
        """Return at least k records and their weights after the walk, which keep the totals.

        Over seeds, a record's weight, 0 where it is not drawn, has the weight before selection as its mean.
        """
        problem, size = self.all_records.problem, self.all_records.sizes(self.k)
        n_possible = int(np.count_nonzero(size.sizes))
        surplus = self._surplus()
        wanted = float(np.minimum(self.k + surplus, n_possible))
        most = self.k + max(1.5 * surplus, self.plan.most_of_k * self.k) + 5
        expected = wanted - 0.5 * float(np.minimum(self._n_totals, self.k))
        for walk in range(self.plan.walks):
            if problem.stages.begin("sampling"):
                weights = np.zeros(len(size.sizes))  # the likeliest records, at once
                break
            expected = float(np.clip(expected, EXTRA, n_possible))
            p = problem.requirements.probabilities(*size, expected)
            before = np.divide(size.sizes, p, out=np.zeros(len(p)), where=p > 0)
            after = balanced_flight(
                self._rows,
                size.sizes,
                p,
                problem.seed,
                self.attempt * self.plan.walks + walk,
                compiled=uses_compiled_kernels(problem.training.device),
                limits=CUBE,
            )
            weights, count = before * after, int(np.count_nonzero(after))
            n_undecided = int(np.count_nonzero(after < 1.0)) - int(np.count_nonzero(after == 0.0))
            if self.k <= count <= most or n_undecided >= wanted:  # fewer cannot be reached
                break
            expected -= count - wanted
        return self._filled_up(weights)

    def _surplus(self) -> float:
        """Return how many records more than k are drawn."""
        if self.attempt >= self.all_records.problem.limits.samples:
            return self.plan.of_totals_near * self._n_totals
        plan, is_many = self.plan, self._n_totals > self.plan.many
        of_totals = (plan.of_many_totals if is_many else plan.of_totals) * self._n_totals
        return float(np.clip(of_totals, plan.least_surplus * self.k, plan.most_surplus * self.k))

    @cached_property
    def _n_totals(self) -> int:
        """The number of totals that a record contributes to."""
        return int(np.count_nonzero(row_lengths(self._rows)))

    def _filled_up(self, weights: Floats) -> tuple[Integers, Floats]:
        """Return the records of a walk, with the likeliest others at no weight where records are missing.

        They are missing if there are fewer than k, or fewer than are required.
        """
        p, is_in = self._inclusion.probabilities, weights > 0
        is_in |= self.all_records.problem.requirements.missing(is_in, p)
        n_missing = self.k - np.count_nonzero(is_in)
        if n_missing > 0:
            is_in[np.argsort(np.where(is_in, 0.0, -p), kind="stable")[:n_missing]] = True
        records = np.flatnonzero(is_in)
        return records, weights[records]

    def _thinned(self, kept: _Kept) -> _Kept:
        """Return exactly k records."""
        ridge, stages, first = 0.0, self.all_records.problem.stages, len(kept.records) - self.k
        if first:
            stages.begin("thinning")
        while len(kept.records) > self.k:
            surplus = len(kept.records) - self.k
            if stages.report(1.0 - surplus / first):
                ratios = kept.refit.weights / self._reference[kept.records]
                heaviest = np.sort(np.argsort(-ratios, kind="stable")[: self.k])
                return self._refitted(kept.records[heaviest], kept.least[heaviest], self._reached)
            fewest = max(self.plan.at_once, int(self.plan.at_once_of_k * self.k))
            n = min(surplus, max(fewest, int(np.ceil(self.plan.fraction * surplus))))
            rows, reference = self._scaled_rows(kept.records), self._reference[kept.records]
            if ridge:
                squares = rows.multiply(rows) @ reference
                ridge = RIDGE * float(np.median(squares[squares > 0]))
            ratios = kept.refit.weights / reference
            must_stay = self.all_records.problem.requirements.staying(kept.records, ratios)
            weights = thin_out(
                rows,
                kept.refit.weights,
                reference,
                n,
                ridge=ridge,
                largest=self._upper * reference,
                stays=must_stay,
            )
            stays = weights > 0
            if stays.all():
                if ridge:  # bounds leave nothing to move
                    free = np.flatnonzero(~must_stay)
                    stays[free[np.argsort(ratios[free], kind="stable")[:n]]] = False
                ridge = 1.0
                if stays.all():
                    continue
            bounds = np.minimum(kept.least, OF_WALKED * weights)[stays]
            bounds = np.maximum(bounds, SMALLEST * reference[stays])
            kept = self._refitted(kept.records[stays], bounds, self._reached)
        return kept

    def _final(self, kept: _Kept) -> Selection:
        """Return the selection with its last refit, to the targets themselves."""
        problem, records = self.all_records.problem, kept.records
        reference = self._reference[records]
        if (kept.refit.weights >= problem.refits.distance.lower * reference).all():
            return self.all_records.select(records, self._inclusion, NAME)
        refit = self._refitted(records, kept.least, problem.targets).refit
        # The reference weight of a record that keeps less than the bounds allow is reduced
        least = max(problem.refits.distance.lower, SMALLEST)
        reference = np.minimum(reference, refit.weights / least)
        ratios = refit.weights / reference
        at_lower = int(np.count_nonzero(ratios <= least * (1.0 + 1e-6)))
        refit = replace(refit, ratios=ratios, at_lower=at_lower)
        loss = problem.loss(problem.targets.value + refit.errors)
        return Selection(records, reference, refit, loss, NAME, probabilities=self._inclusion.probabilities)

    def _refitted(self, records: Integers, least: Floats, targets: Targets) -> _Kept:
        """Refit with a lower bound for each record: the weights above it are fitted to what is left.

        The weights less their bounds stay near the reference weights less the bounds, at 0 or above.
        """
        problem, reference = self.all_records.problem, self._reference[records]
        matrix, bound = problem.matrix, np.zeros(problem.matrix.shape[1])
        bound[records] = least
        stages, before = problem.stages, weighted_totals(matrix, bound)
        left = _less(targets, before)
        total = None if problem.refits.total is None else problem.refits.total - float(least.sum())
        refits = RefitProblem(matrix, left, DISTANCES["chi-square"](0.0, self._upper), total)
        watch = (lambda totals: stages.report(None, totals + before)) if stages.callbacks else None
        refit = refits.refit(records, reference - least, watch)
        weights = refit.weights + least
        return _Kept(records, least, replace(refit, weights=weights, ratios=weights / reference))

    @cached_property
    def _least_fraction(self) -> float:
        return float(np.clip(self.all_records.problem.refits.distance.lower, 0.0, LEAST_OF_REFERENCE))

    @property
    def _upper(self) -> float:
        return self.all_records.problem.refits.distance.upper

    @cached_property
    def _inclusion(self) -> Inclusion:
        return self.all_records.inclusion(self.k)

    @property
    def _reference(self) -> Floats:
        return self._inclusion.reference_weights

    @cached_property
    def _reached(self) -> Targets:
        """Totals of all records as targets: these can be met, without tolerances and caps."""
        problem = self.all_records.problem
        targets = problem.targets
        totals = weighted_totals(problem.matrix, self.all_records.sizes(self.k).sizes)
        aggregates = tuple(
            replace(a, totals=_met_at(a.totals, weighted_totals(a.matrix, totals)))
            for a in targets.aggregates
        )
        return replace(_met_at(targets, totals), aggregates=aggregates)

    @cached_property
    def _counts(self) -> NDArray[np.bool_]:
        """The targets that count; all if none does."""
        targets = self.all_records.problem.targets
        counts = targets.weights * targets.fitted > 0
        return counts if counts.any() else np.ones(len(counts), bool)

    @cached_property
    def _rows(self) -> Any:
        """The rows of the targets that count and of their totals, as the walk balances them."""
        problem = self.all_records.problem
        if self._counts.all() and not problem.targets.aggregates:
            return problem.matrix
        if problem.shared:
            return problem.shared.mapped(
                lambda own: ColumnMatrix.build(self._by_row(own), np.float64, fold=False)
            )
        return ColumnMatrix.build(self._by_row(problem.matrix), np.float64, fold=False)

    def _by_row(self, columns: ColumnMatrix) -> Any:
        """Return them, for some columns, as a sparse array by rows."""
        from scipy import sparse

        problem = self.all_records.problem
        targets, matrix = problem.targets, columns.to_scipy().astype(np.float64).tocsr()
        parts = [matrix[self._counts]]
        parts += [a.matrix.to_scipy().astype(np.float64).tocsr() @ matrix for a in targets.aggregates]
        return sparse.vstack(parts, format="csr")

    @cached_property
    def _factor(self) -> Floats:
        """What the rows are multiplied by, so that squared errors are those of the loss."""
        targets = self.all_records.problem.targets
        parts = [np.sqrt(targets.weights[self._counts]) / targets.error_scale[self._counts]]
        parts += [np.sqrt(a.totals.weights * a.weight) / a.totals.error_scale for a in targets.aggregates]
        return np.concatenate(parts)

    def _scaled_rows(self, records: Integers) -> Any:
        """Return the rows of some records, and that of a fixed total."""
        from scipy import sparse

        total = self.all_records.problem.refits.total
        rows = sparse.csr_array(self._rows.take(records).multiply(self._factor[:, None]))
        if total is None:
            return rows
        return sparse.vstack([rows, np.full((1, len(records)), 1.0 / total)], format="csr")


def by_thinning(all_records: AllRecords, k: int) -> Selection:
    """Draw more than k records by a flight without landing, and thin them out.

    Near the number of targets and below it, chance decides how much is lost; there a small problem is solved
    several times, and the best answer is taken.
    """
    first = Thinning(all_records.from_zero, k)
    found = [replace(first, attempt=i).select() for i in range(first.n_attempts)]
    return replace(best_of(all_records.problem, found), tried=())


def _met_at(targets: Targets, totals: Floats) -> Targets:
    """Return targets at these totals, to be met exactly, with errors divided by the same scales."""
    return replace(
        targets,
        value=totals,
        scale=targets.error_scale,
        scales_given=True,
        tolerance=np.zeros(len(targets)),
        cap=np.full(len(targets), np.inf),
    )


def _less(targets: Targets, totals: Floats) -> Targets:
    """Return targets of what is left after these totals, with errors divided by the same scales."""
    aggregates = tuple(
        replace(a, totals=_less(a.totals, weighted_totals(a.matrix, totals))) for a in targets.aggregates
    )
    value, scale = targets.value - totals, targets.error_scale
    return replace(targets, value=value, scale=scale, scales_given=True, aggregates=aggregates)
