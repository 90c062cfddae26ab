"""Swaps: batches of selected records are replaced by others that reduce the errors, followed by a refit.

After a refit, a record whose g-weight has collapsed towards its lower bound does harm: its targets already
have too many records, or too large ones. Some such records are removed. What is then missed is made up for as
in matching pursuit, by records with weights near their own reference weights, so that the weights stay even.
Each round costs one refit and one pass over the matrix.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix, column_entries, column_sums
from l0np.selection.selections import Selection
from l0np.targets import Targets

COLLAPSED = 0.5  # g-weights below this may be removed
NEAR = (0.05, 4.0)  # range of the weight that an added record may take, in units of its reference weight
CANDIDATES = 50  # candidates that are considered for each record to be added

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class SwapLimits(NamedTuple):
    """How many records are swapped, and for how long.

    Attributes
    ----------
    rounds : int
        Number of rounds at most.
    first_fraction, least_fraction : float
        Fraction of the selection that a round swaps: it starts at the first and is halved when a round gains
        little; when it falls below the least, swapping ends.
    little : float
        A round gains little if the loss stays above this fraction of the previous loss.
    """

    rounds: int = 12
    first_fraction: float = 0.1
    least_fraction: float = 0.02
    little: float = 0.9


LIMITS = SwapLimits()


class Swaps:
    """Swaps in selections of one problem.

    Parameters
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each target for one unit of weight.
    targets : Targets
        Targets whose squared errors beyond tolerance are to be reduced.
    reference : array of shape (N,)
        The reference weight of each record, 0 for those that must not be added.
    select : callable
        Returns the refitted `Selection` of some records.
    limits : SwapLimits
        How many records are swapped, and for how long.
    """

    def __init__(
        self,
        matrix: ColumnMatrix,
        targets: Targets,
        reference: Floats,
        select: Callable[[Integers], Selection],
        limits: SwapLimits = LIMITS,
    ) -> None:
        self.matrix, self.targets, self.reference = matrix, targets, reference
        self.select, self.limits = select, limits
        self.factor = np.sqrt(targets.weights * targets.fitted) / targets.error_scale

    def improve(self, selection: Selection, suffices: Callable[[Selection], bool]) -> Selection:
        """Return the best selection that some rounds of swaps lead to, or the first that suffices."""
        fraction = self.limits.first_fraction
        for _ in range(self.limits.rounds):
            if fraction < self.limits.least_fraction or suffices(selection):
                break
            records = self.swapped(selection, fraction)
            if records is None:
                break
            other = self.select(records)
            if not other.loss < self.limits.little * selection.loss:
                fraction /= 2
            if other.loss < selection.loss:
                selection = other
        return selection

    def swapped(self, selection: Selection, fraction: float) -> Integers | None:
        """Return the records after swapping at most this fraction of them; None if none can be swapped."""
        ratios, records, error = selection.refit.ratios, selection.records, selection.refit.errors
        most = max(1, int(fraction * len(records)))
        removed = np.argsort(ratios, kind="stable")[:most]
        removed = removed[ratios[removed] < COLLAPSED]
        beyond = np.maximum(np.abs(error) - self.targets.tolerance, 0.0)
        residual = -np.sign(error) * beyond * self.factor
        residual += selection.refit.weights[removed] @ self._scaled_columns(records[removed])
        added = self.pursued(residual, records, len(removed))
        if not len(removed) or len(added) < len(removed):
            return None
        return np.sort(np.concatenate((np.delete(records, removed), added)))

    def pursued(self, residual: Floats, selected: Integers, n: int) -> Integers:
        """Return n more records, each of which lowers the squared residual most after those before it.

        Parameters
        ----------
        residual : array of shape (Q,)
            What is missed, divided by the scales of the targets.
        selected : array of int
            Records that are selected already.
        n : int
            How many to add; fewer are returned if no others lower the residual.
        """
        scaled = self.factor * residual
        pull = column_sums(self.matrix, lambda rows, values: values * scaled[rows])
        gain = _gain(pull, self._squares, self.reference)
        gain[selected] = 0.0
        most = min(max(CANDIDATES * n, 10 * CANDIDATES), len(gain))
        candidates = np.sort(np.argpartition(-gain, most - 1)[:most])
        candidates = candidates[gain[candidates] > 0]
        columns = self._scaled_columns(candidates)
        pull, squares, reference = pull[candidates], self._squares[candidates], self.reference[candidates]
        is_free, added = np.ones(len(candidates), bool), []
        for _ in range(min(n, len(candidates))):
            best = int(np.where(is_free, _gain(pull, squares, reference), -np.inf).argmax())
            is_free[best] = False
            added.append(best)
            weight = _best_weight(pull, squares, reference)[best]
            pull = pull - weight * (columns @ columns[[best]].toarray()[0])
        return candidates[added]

    @cached_property
    def _squares(self) -> Floats:
        """Squared norms of the scaled columns."""
        return column_sums(self.matrix, lambda rows, values: (values * self.factor[rows]) ** 2)

    def _scaled_columns(self, records: Integers) -> Any:
        """Return the scaled columns of some records as rows of a sparse array."""
        from scipy import sparse

        positions, rows, values = column_entries(self.matrix, records)
        shape = (len(records), len(self.factor))
        return sparse.csr_array((values * self.factor[rows], (positions, rows)), shape=shape)


def _best_weight(pull: Floats, squares: Floats, reference: Floats) -> Floats:
    """Return the weights near the reference weights that lower the squared residual most."""
    best = np.divide(pull, squares, out=np.zeros_like(pull), where=squares > 0)
    return np.clip(best, NEAR[0] * reference, NEAR[1] * reference)


def _gain(pull: Floats, squares: Floats, reference: Floats) -> Floats:
    """Return by how much the squared residual falls when one record is added with its best weight."""
    weight = _best_weight(pull, squares, reference)
    return np.asarray((2.0 * pull - weight * squares) * weight)
