"""The best subset of each size, by exact exchanges: no exchange of one chosen column for another lowers its squared error.

All k (p - k) exchanges of a subset are priced at once from one factorisation: the error after each follows from the
orthogonal directions of the chosen columns. The idea of exchanging until nothing improves is that of the splicing algorithm
(J. Zhu et al., PNAS 117, 2020), which prices exchanges one side at a time; sizes are warm-started from below and from above.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l0np.regression.gram import Gram

DEPENDENT = 1e-9  # of a column's squared length left outside of the chosen ones: below, it counts as dependent on them
GAIN = 1e-9  # of the total sum of squares: smaller gains are rounding
MOST_EXCHANGES = 100  # at one size; each lowers the error, so this ends only what hardly moves


@dataclass(frozen=True)
class Scan:
    """What one factorisation of a subset tells."""

    chosen: NDArray[np.int64]  # columns, ascending
    squares: float  # residual sum of squares
    add: NDArray[np.float64]  # by how much each column would lower it; 0 for chosen and dependent ones, shape (p,)
    drop: NDArray[np.float64]  # by how much leaving out each of `chosen` would raise it
    exchange: NDArray[np.float64]  # by how much putting column j for chosen i would lower it, shape (k, p)


class Subsets:
    """Squared errors of subsets of the columns of a design, for one response.

    Parameters
    ----------
    gram : Gram
        Inner products of the standardised columns.
    products : array of shape (p,)
        Inner products of the standardised columns with the centred response.
    total : float
        Sum of squares of the centred response.
    """

    def __init__(self, gram: Gram, products: NDArray[np.float64], total: float) -> None:
        self._gram, self._products, self._total = gram, products, total
        self._scans: dict[bytes, Scan] = {}

    def path(self, sizes: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
        """Return a subset of each of the sizes that has one with independent columns."""
        best: dict[int, Scan] = {0: self._scan(np.zeros(0, np.int64))}
        largest = int(sizes.max(initial=0))
        for up in (True, False, True):
            for k in range(1, largest + 1) if up else range(largest - 1, 0, -1):
                neighbour = best.get(k - 1 if up else k + 1)
                if neighbour is None:
                    continue
                start = self._grown(neighbour) if up else np.delete(neighbour.chosen, np.argmin(neighbour.drop))
                if start is None:
                    break
                scan = self._exchanged(self._scan(start))
                if k not in best or scan.squares < best[k].squares:
                    best[k] = scan
        return {int(k): best[k].chosen for k in sizes if k in best}

    @staticmethod
    def _grown(scan: Scan) -> NDArray[np.int64] | None:
        j = int(np.argmax(scan.add))
        return np.sort(np.append(scan.chosen, j)) if scan.add[j] > 0 else None

    def _exchanged(self, scan: Scan) -> Scan:
        for _ in range(MOST_EXCHANGES):
            i, j = divmod(int(np.argmax(scan.exchange)), scan.exchange.shape[1])
            if scan.exchange[i, j] <= GAIN * self._total:
                break
            scan = self._scan(np.sort(np.append(np.delete(scan.chosen, i), j)))
        return scan

    def _scan(self, chosen: NDArray[np.int64]) -> Scan:
        """Return the errors of all subsets that differ by one column.

        With v_i the unit vector along chosen column i less its projection on the other chosen ones, t_i = v_i . y: leaving
        out i raises the error by t_i^2, and puts v_i back into what is left of every other column and of y.
        """
        key = chosen.tobytes()
        if key in self._scans:
            return self._scans[key]
        rows, products = self._gram.of(chosen), self._products
        inverse = np.linalg.inv(rows[:, chosen])
        b = inverse @ products[chosen]
        projected = inverse @ rows
        left = self._length - np.einsum("ij,ij->j", rows, projected)
        left[chosen] = 0.0
        residual = products - b @ rows
        lengths = np.sqrt(np.diag(inverse))
        t, directions = b / lengths, projected / lengths[:, None]
        squares = max(self._total - float(products[chosen] @ b), 0.0)
        add = _gain(residual, left)
        exchange = _gain(residual + directions * t[:, None], left + directions**2) - (t**2)[:, None]
        exchange[:, chosen] = -np.inf
        self._scans[key] = Scan(chosen, squares, add, t**2, exchange)
        return self._scans[key]

    @property
    def _length(self) -> NDArray[np.float64]:
        """Squared lengths of the columns: 1, or 0 for a constant one, whose product with the response is 0 too."""
        return np.where(self._products != 0, 1.0, 0.0)


def _gain(residual: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(residual**2, left, out=np.zeros_like(left), where=left > DEPENDENT)
