"""Inner products of the standardised columns of a design among themselves and with the response."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.refit import Design


@dataclass(frozen=True)
class GramLimits:
    """Sizes up to which inner products are made and kept; no answer depends on them."""

    at_once: int = 2000  # number of columns up to which all inner products are made at the start
    entries: int = 20_000_000  # entries of the columns that are made dense together
    memory: int = 1 << 28  # bytes of rows to start with, if not all are made


DEFAULT_LIMITS = GramLimits()
# Decimals that are kept of products of columns of length 1: what differs only by rounding, such as rows with
# weights and the same rows repeated, gives the same products, hence the same draws and the same selection
DECIMALS = 12


class Gram:
    """Rows of Z.T @ Z, made when they are first needed, or all at the start if there are few.

    Attributes
    ----------
    rows : array of shape (capacity, p)
        Rows of Z.T @ Z, in the order in which they were made.
    slots : int array of shape (p,)
        Position in `rows` of each column's row; -1 if it has not been made.
    """

    def __init__(self, design: Design, limits: GramLimits = DEFAULT_LIMITS) -> None:
        self._design, p = design, design.p
        self.slots = np.full(p, -1)
        self._count = 0
        if p <= limits.at_once:
            self.rows, together = np.empty((p, p)), max(1, limits.entries // design.n)
            # In parts: all at once, a long sparse matrix would be dense a second time
            for first in range(0, p, together):
                columns = np.arange(first, min(first + together, p))
                self.rows[:, columns] = np.round(design.correlations(design.columns(columns)), DECIMALS)
            self.slots[:] = np.arange(p)
        else:
            self.rows = np.empty((min(p, max(64, limits.memory // (8 * p))), p))

    def of(self, columns: Sequence[int] | NDArray[Any]) -> NDArray[np.float64]:
        """Return the rows of some columns, shape (number of columns, p)."""
        columns = np.asarray(columns, dtype=np.int64)
        for j in columns[self.slots[columns] < 0]:
            self.make(int(j), keep=columns)
        return np.asarray(self.rows[self.slots[columns]])

    def make(self, column: int, keep: NDArray[Any]) -> None:
        """Make one more row; if there is no room, first drop all rows but those of `keep`, or grow."""
        if self._count == len(self.rows):
            known = keep[self.slots[keep] >= 0]
            rows = self.rows[self.slots[known]]
            if len(known) > len(self.rows) // 2:
                self.rows = np.empty((2 * len(self.rows), self._design.p))
            self.slots[:] = -1
            self.rows[: len(known)], self.slots[known], self._count = rows, np.arange(len(known)), len(known)
        vector = self._design.columns(np.array([column]))[:, 0]
        self.rows[self._count] = np.round(self._design.correlations(vector), DECIMALS)
        self.slots[column] = self._count
        self._count += 1


@dataclass(frozen=True)
class Products:
    """Everything the likelihood of a linear model needs: inner products of columns and response.

    Attributes
    ----------
    gram : Gram
        Inner products of the standardised columns Z.
    response : array of shape (p,)
        Z.T @ y, for the centred response y; weighted by row, as is `gram`, if rows have weights.
    total : float
        y @ y, likewise.
    degrees : int or float
        Degrees of freedom of the response: its length (the sum of the weights, if rows have any), minus 1 for
        an intercept.
    """

    gram: Gram
    response: NDArray[np.float64]
    total: float
    degrees: int | float

    @classmethod
    def of(cls, design: Design, y: NDArray[np.float64], limits: GramLimits = DEFAULT_LIMITS) -> "Products":
        """Return the inner products of a design and a response, centred if there is an intercept."""
        centred = y - design.mean(y) if design.intercept else y
        gram, degrees = Gram(design, limits), max(design.count - design.intercept, 1)
        length = float(f"{np.sqrt(design.weighted(centred) @ centred):.{DECIMALS}g}")
        correlations = design.correlations(centred) / (length or 1.0)
        return cls(gram, np.round(correlations, DECIMALS) * length, length**2, degrees)
