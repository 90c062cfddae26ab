"""Inner products of the standardised columns of a design, made when they are asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.refit import Design


class Gram:
    """Rows of Z.T @ Z, made when they are first asked for: all at once where that is cheap.

    Attributes
    ----------
    rows : array of shape (capacity, p)
    place : int array of shape (p,)
        Where in `rows` a column's row is; -1 where it is not.
    """

    AT_ONCE = 2000  # columns
    ENTRIES = 20_000_000  # of columns that are made dense together
    MEMORY = 1 << 28  # bytes to start with

    def __init__(self, design: Design) -> None:
        self._design, p = design, design.p
        self.place = np.full(p, -1)
        self._count = 0
        if p <= self.AT_ONCE:
            self.rows, some = np.empty((p, p)), max(1, self.ENTRIES // design.n)
            for first in range(0, p, some):  # all at once, a long and sparse matrix would be dense a second time
                columns = np.arange(first, min(first + some, p))
                self.rows[:, columns] = design.correlations(design.columns(columns))
            self.place[:] = np.arange(p)
        else:
            self.rows = np.empty((min(p, max(64, self.MEMORY // (8 * p))), p))

    def of(self, chosen: Sequence[int] | NDArray[Any]) -> NDArray[np.float64]:
        """Return the rows of the chosen columns, shape (number, p)."""
        chosen = np.asarray(chosen, dtype=np.int64)
        for j in chosen[self.place[chosen] < 0]:
            self.make(int(j), keep=chosen)
        return np.asarray(self.rows[self.place[chosen]])

    def make(self, column: int, keep: NDArray[Any]) -> None:
        """Make one more row; where there is no room, forget all that are not in `keep`, or make room."""
        if self._count == len(self.rows):
            kept = keep[self.place[keep] >= 0]
            held = self.rows[self.place[kept]]
            if len(kept) > len(self.rows) // 2:
                self.rows = np.empty((2 * len(self.rows), self._design.p))
            self.place[:] = -1
            self.rows[: len(kept)], self.place[kept], self._count = held, np.arange(len(kept)), len(kept)
        vector = self._design.columns(np.array([column]))[:, 0]
        self.rows[self._count] = self._design.correlations(vector)
        self.place[column] = self._count
        self._count += 1
