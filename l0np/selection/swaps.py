"""Better selections, a few records at a time: those that a refit has no use for leave, those that the errors call for join.

After a refit, a record whose weight has fallen far below its reference is in the way: of targets whose records are too many,
or too large. What is missed when such records have left is made up for as in matching pursuit, by records at weights near
their own references, so that the weights stay even. Each round costs one refit and one reading of the matrix.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix, column_entries, entry_blocks
from l0np.refit import Refit
from l0np.targets import Targets

MOST_ROUNDS = 12
FIRST_SHARE, LEAST_SHARE = 0.1, 0.02  # of the selection that is exchanged in a round; halved when a round brings little
LITTLE = 0.9  # of the loss before, above which a round has brought little
USELESS = 0.5  # weights below this share of their reference
NEAR = (0.05, 4.0)  # weights that a record may join with, in units of its reference
CANDIDATES = 50  # for each place

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choice:
    """Selected records, ascending; the weights to stay near to; those that the refit has found; the loss of its errors."""

    indices: Integers
    reference: Floats
    refit: Refit
    loss: float


class Swaps:
    """Exchanges in selections of one problem.

    Parameters
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each target for one unit of weight.
    targets : Targets
        Whose plain errors, beyond their tolerances, are to fall.
    reference : array of shape (N,)
        The weight that each record would stay near to, 0 for those that must not join.
    refit : callable
        What makes a `Choice` of indices.
    """

    def __init__(self, matrix: ColumnMatrix, targets: Targets, reference: Floats, refit: Callable[[Integers], Choice]) -> None:
        self.matrix, self.targets, self.reference, self.refit = matrix, targets, reference, refit
        self.factor = np.sqrt(targets.weights * targets.fitted) / targets.error_scale

    def improve(self, choice: Choice, suffices: Callable[[Choice], bool]) -> Choice:
        """Return the best choice that some rounds of exchanges lead to, the first that suffices."""
        share = FIRST_SHARE
        for _ in range(MOST_ROUNDS):
            if share < LEAST_SHARE or suffices(choice):
                break
            indices = self.exchanged(choice, share)
            if indices is None:
                break
            other = self.refit(indices)
            if not other.loss < LITTLE * choice.loss:
                share /= 2
            if other.loss < choice.loss:
                choice = other
        return choice

    def exchanged(self, choice: Choice, share: float) -> Integers | None:
        """Return a selection in which up to a share of the records is exchanged; None where there are none to exchange."""
        ratios, indices, error = choice.refit.ratios, choice.indices, choice.refit.errors
        most = max(1, int(share * len(indices)))
        leaving = np.argsort(ratios, kind="stable")[:most]
        leaving = leaving[ratios[leaving] < USELESS]
        residual = -np.sign(error) * np.maximum(np.abs(error) - self.targets.tolerance, 0.0) * self.factor
        residual += choice.refit.weights[leaving] @ self._columns(indices[leaving])
        joining = self._pursued(residual, indices, len(leaving))
        if not len(leaving) or len(joining) < len(leaving):
            return None
        return np.sort(np.concatenate((np.delete(indices, leaving), joining)))

    def _pursued(self, residual: Floats, taken: Integers, n: int) -> Integers:
        """Return n records that are not yet taken, each the one that lowers the squared residual most after those before."""
        pull = np.zeros(len(self.reference))
        for rows, records, values in entry_blocks(self.matrix):
            first = records[0]
            sums = np.bincount(records - first, values * (self.factor * residual)[rows])
            pull[first : first + len(sums)] += sums
        gain = _gain(pull, self._squares, self.reference)
        gain[taken] = 0.0
        most = min(max(CANDIDATES * n, 10 * CANDIDATES), len(gain))
        candidates = np.sort(np.argpartition(-gain, most - 1)[:most])
        candidates = candidates[gain[candidates] > 0]
        columns = self._columns(candidates)
        pull, squares, reference = pull[candidates], self._squares[candidates], self.reference[candidates]
        free, joining = np.ones(len(candidates), bool), []
        for _ in range(min(n, len(candidates))):
            best = int(np.where(free, _gain(pull, squares, reference), -np.inf).argmax())
            free[best] = False
            joining.append(best)
            weight = _weight(pull, squares, reference)[best]
            pull = pull - weight * (columns @ columns[[best]].toarray()[0])
        return candidates[joining]

    @cached_property
    def _squares(self) -> Floats:
        squares = np.zeros(len(self.reference))
        for rows, records, values in entry_blocks(self.matrix):
            first = records[0]
            sums = np.bincount(records - first, (values * self.factor[rows]) ** 2)
            squares[first : first + len(sums)] += sums
        return squares

    def _columns(self, records: Integers) -> Any:
        from scipy import sparse

        places, rows, values = column_entries(self.matrix, records)
        return sparse.csr_array((values * self.factor[rows], (places, rows)), shape=(len(records), len(self.factor)))


def _weight(pull: Floats, squares: Floats, reference: Floats) -> Floats:
    """Return the weights that lower the squared residual most, within reach of the references."""
    best = np.divide(pull, squares, out=np.zeros_like(pull), where=squares > 0)
    return np.clip(best, NEAR[0] * reference, NEAR[1] * reference)


def _gain(pull: Floats, squares: Floats, reference: Floats) -> Floats:
    """Return by how much the squared residual falls when one record joins with that weight."""
    weight = _weight(pull, squares, reference)
    return np.asarray((2.0 * pull - weight * squares) * weight)
