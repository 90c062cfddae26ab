"""The best subset of each size: no exchange of one column for another lowers its squared error.

The errors after all k (p - k) exchanges of a subset follow from one factorisation, through the orthogonal
directions of the selected columns. Exchanging until nothing improves is the idea of the splicing algorithm
(J. Zhu et al., PNAS 117, 2020), which evaluates exchanges one side at a time; sizes are warm-started from
below and from above.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l0np.regression.gram import Products

# A column is dependent if at most this fraction of its squared length is orthogonal to the selected ones
DEPENDENT = 1e-9
GAIN = 1e-9  # relative to the total sum of squares: smaller gains are rounding
MOST_EXCHANGES = 100  # at one size; each lowers the error, so only very slow searches end here


@dataclass(frozen=True)
class Scan:
    """The error of a subset, and how it changes with one column, from one factorisation.

    Attributes
    ----------
    selected : int array of shape (k,)
        The columns, ascending.
    squares : float
        Residual sum of squares.
    add : array of shape (p,)
        How much adding each column would lower `squares`; 0 for selected and dependent columns.
    drop : array of shape (k,)
        How much leaving out each of `selected` would raise `squares`.
    exchange : array of shape (k, p)
        How much column j in exchange for the i-th selected one would lower `squares`.
    """

    selected: NDArray[np.int64]
    squares: float
    add: NDArray[np.float64]
    drop: NDArray[np.float64]
    exchange: NDArray[np.float64]


class Subsets:
    """Squared errors of subsets of the columns of a design, for one response.

    Parameters
    ----------
    products : Products
        Inner products of the standardised columns and the centred response.
    """

    def __init__(self, products: Products) -> None:
        self._gram, self._products, self._total = products.gram, products.response, products.total
        self._scans: dict[bytes, Scan] = {}

    def path(
        self, sizes: NDArray[np.int64], report: Callable[[float], bool] = lambda fraction: False
    ) -> dict[int, NDArray[np.int64]]:
        """Return a subset of each size for which there are enough independent columns.

        `report` is called with the fraction of the work that is done; if it returns True, the subsets found
        so far are returned.
        """
        best: dict[int, Scan] = {0: self.scan(np.zeros(0, np.int64))}
        largest = int(sizes.max(initial=0))
        up_to, down_from = range(1, largest + 1), range(largest - 1, 0, -1)
        steps = [(True, up_to), (False, down_from), (True, up_to)]
        for number, (up, ks) in enumerate(steps):
            for k in ks:
                if report((number + (k if up else largest - k) / largest) / len(steps)):
                    return {int(k): best[k].selected for k in sizes if k in best} or _last(best)
                neighbour = best.get(k - 1 if up else k + 1)
                if neighbour is None:
                    continue
                start = _grown(neighbour) if up else np.delete(neighbour.selected, np.argmin(neighbour.drop))
                if start is None:
                    break
                scan = self._exchanged(self.scan(start))
                if k not in best or scan.squares < best[k].squares:
                    best[k] = scan
        return {int(k): best[k].selected for k in sizes if k in best}

    def _exchanged(self, scan: Scan) -> Scan:
        for _ in range(MOST_EXCHANGES):
            i, j = divmod(int(np.argmax(scan.exchange)), scan.exchange.shape[1])
            if scan.exchange[i, j] <= GAIN * self._total:
                break
            scan = self.scan(np.sort(np.append(np.delete(scan.selected, i), j)))
        return scan

    def scan(self, selected: NDArray[np.int64]) -> Scan:
        """Return the errors of a subset and of all that differ from it by one column.

        Let v_i be the unit vector along the i-th selected column minus its projection on the other selected
        ones, and t_i = v_i . y. Leaving out column i raises the error by t_i^2, and adds v_i back to the
        residuals of every other column and of y.
        """
        key = selected.tobytes()
        if key in self._scans:
            return self._scans[key]
        rows, products = self._gram.of(selected), self._products
        inverse = np.linalg.inv(rows[:, selected])
        b = inverse @ products[selected]
        projected = inverse @ rows
        left = self._length - np.einsum("ij,ij->j", rows, projected)
        left[selected] = 0.0
        residual = products - b @ rows
        lengths = np.sqrt(np.diag(inverse))
        t, directions = b / lengths, projected / lengths[:, None]
        squares = max(self._total - float(products[selected] @ b), 0.0)
        add = _gain(residual, left)
        exchange = _gain(residual + directions * t[:, None], left + directions**2) - (t**2)[:, None]
        exchange[:, selected] = -np.inf
        self._scans[key] = Scan(selected, squares, add, t**2, exchange)
        return self._scans[key]

    @property
    def _length(self) -> NDArray[np.float64]:
        """Squared lengths of the columns: 1, or 0 for a constant one, whose product with y is 0 too."""
        return np.where(self._products != 0, 1.0, 0.0)


def _last(best: dict[int, Scan]) -> dict[int, NDArray[np.int64]]:
    largest = max(best)
    return {largest: best[largest].selected}


def _grown(scan: Scan) -> NDArray[np.int64] | None:
    """Return the subset with the column that lowers the error most; None if no column lowers it."""
    j = int(np.argmax(scan.add))
    return np.sort(np.append(scan.selected, j)) if scan.add[j] > 0 else None


def _gain(residual: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(residual**2, left, out=np.zeros_like(left), where=left > DEPENDENT)
