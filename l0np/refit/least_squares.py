"""Least squares on selected columns, centred and scaled first, so that means and units cost no digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.inputs import validation
from l0np.matrix import ColumnMatrix

# Up to these sizes the selected columns are made dense, and singular values solve the problem
DENSE_ENTRIES, DENSE_COLUMNS = 20_000_000, 3000
DENSE_FRACTION = 0.1  # a matrix of which at least this fraction is stored is kept dense
CONSTANT = 1e-10  # a column is constant if its deviations are smaller than this, relative to its mean
TOLERANCE = 1e-14  # tolerance of the iterative solver


@dataclass(frozen=True)
class LeastSquares:
    """Coefficients in the units of the matrix, and how they were found."""

    coefficients: NDArray[np.float64]  # one for each selected column
    intercept: float
    rank: int | None  # None if an iterative solver was used, which does not find the rank
    converged: bool


class Design:
    """A matrix X seen as Z, whose columns are centred (with an intercept) and scaled to length 1.

    Constant columns become 0.

    Parameters
    ----------
    csc : scipy.sparse.csc_array of shape (n, p)
        X in float64, canonical and finite, with squares that neither overflow nor vanish. `Design.of` makes a
        design from a `ColumnMatrix`.
    intercept : bool
        Whether columns are centred.
    weights : array of shape (n,), optional
        How many rows each row counts as, 0 or more: means are weighted, and so is every inner product over
        the rows, so that a weight of 2 is that row twice. None means 1 each.

    Attributes
    ----------
    n, p : int
        Rows and columns.
    count : int or float
        The number of rows or, with weights, their sum.
    means, norms, scales : arrays of shape (p,)
        What is subtracted from each column (0 without an intercept), the length of what remains, and its
        inverse, which is 0 for a constant column.
    usable : bool array of shape (p,)
        Which columns are not constant.
    is_dense : bool
        Whether Z is kept as a dense array, which it is if at least a tenth of the matrix is stored.

    Examples
    --------
    >>> import numpy as np
    >>> design = Design.of(ColumnMatrix.build([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]), intercept=True)
    >>> design.columns(np.array([0, 1])).round(3)
    array([[-0.707,  0.   ],
           [ 0.   ,  0.   ],
           [ 0.707,  0.   ]])
    """

    def __init__(self, csc: Any, *, intercept: bool, weights: NDArray[np.float64] | None = None) -> None:
        self.n: int = csc.shape[0]
        self.p: int = csc.shape[1]
        self.intercept, self.weights = intercept, weights
        self.count: int | float = self.n if weights is None else float(weights.sum())
        sums, counts, owner = csc.sum(axis=0), np.diff(csc.indptr), csc.tocoo().col
        if weights is not None:
            of_entries = weights[csc.indices]
            sums, counts = weights @ csc, np.bincount(owner, of_entries, self.p)
        self.means = np.asarray(sums).ravel() / self.count if intercept else np.zeros(self.p)
        # The sum over the stored entries plus the sum over the zeros: both are positive, so nothing cancels
        deviations = (csc.data - self.means[owner]) ** 2
        if weights is not None:
            deviations *= of_entries
        squares = np.bincount(owner, deviations, self.p) + np.maximum(self.count - counts, 0) * self.means**2
        self.norms = np.sqrt(squares)
        self.usable = self.norms > CONSTANT * np.sqrt(self.count) * np.abs(self.means)
        self.scales = np.divide(1.0, self.norms, out=np.zeros(self.p), where=self.usable)
        self.is_dense = csc.nnz >= DENSE_FRACTION * self.n * self.p
        self._csc = csc
        self._dense = (csc.toarray(order="F") - self.means) * self.scales if self.is_dense else None

    @classmethod
    def of(
        cls,
        matrix: ColumnMatrix,
        columns: NDArray[Any] | None = None,
        *,
        intercept: bool,
        weights: NDArray[np.float64] | None = None,
    ) -> Design:
        """Return the design of a matrix called X, or of some of its columns only.

        Raises
        ------
        InputError
            If the squares of a column leave the range of float64.
        """
        csc = matrix.to_scipy().astype(np.float64) if columns is None else matrix.take(columns)
        sizes = np.zeros(matrix.shape[1])
        sizes[slice(None) if columns is None else columns] = np.asarray(abs(csc).sum(axis=0)).ravel()
        validation.check_squarable("X", sizes)
        return cls(csc, intercept=intercept, weights=weights)

    def rows(self, selected: NDArray[Any]) -> Design:
        """Return the design of some of the rows, ascending, with means and scales of its own."""
        weights = None if self.weights is None else self.weights[selected]
        return Design(self.unscaled(selected), intercept=self.intercept, weights=weights)

    def take(self, selected: NDArray[Any]) -> Design:
        """Return the design of some of the columns."""
        return Design(self._csc[:, selected], intercept=self.intercept, weights=self.weights)

    def unscaled(self, rows: NDArray[Any]) -> Any:
        """Return some rows of the matrix itself, sparse."""
        return self._csc[rows]

    def mean(self, values: NDArray[np.float64]) -> float:
        """Return the mean of one value for each row, weighted if rows have weights."""
        return float(values.mean() if self.weights is None else self.weights @ values / self.count)

    def weighted(self, values: NDArray[np.float64], rows: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """Return values of all rows, or of some, shape (rows,) or (rows, k), times the rows' weights."""
        if self.weights is None:
            return values
        weights = self.weights if rows is None else self.weights[rows]
        return values * (weights if values.ndim == 1 else weights[:, None])

    def columns(self, selected: NDArray[Any]) -> NDArray[np.float64]:
        """Return selected columns of Z, dense, shape (n, number of columns)."""
        if self._dense is not None:
            return np.asarray(self._dense[:, selected])
        centred = self._csc[:, selected].toarray() - self.means[selected]
        return np.asarray(centred * self.scales[selected])

    def scaled(self) -> Any:
        """Return the matrix with columns divided by their standard deviations, sparse and not centred."""
        from scipy import sparse

        return self._csc @ sparse.diags_array(self.scales * np.sqrt(self.count))

    def products(self, b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Z @ b, shape (n,)."""
        if self._dense is not None:
            return np.asarray(self._dense @ b)
        scaled = b * self.scales
        return np.asarray(self._csc @ scaled - self.means @ scaled)

    def correlations(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Z.T @ rows, weighted, for one vector, shape (p,), or for each column of `rows`."""
        rows = self.weighted(rows)
        if self._dense is not None:
            return np.asarray(self._dense.T @ rows)
        shift = self.means if rows.ndim == 1 else self.means[:, None]
        scales = self.scales if rows.ndim == 1 else self.scales[:, None]
        return np.asarray((self._csc.T @ rows - shift * rows.sum(axis=0)) * scales)

    def in_units(
        self, selected: NDArray[Any], b: NDArray[np.float64], mean: float
    ) -> tuple[NDArray[np.float64], float]:
        """Return coefficients and intercept in the units of the matrix for coefficients b of Z."""
        coefficients = b * self.scales[selected]
        return coefficients, mean - float(self.means[selected] @ coefficients)

    def predictions(self, selected: NDArray[Any], answer: LeastSquares) -> NDArray[np.float64]:
        """Return ``intercept + X @ coefficients``, shape (n,)."""
        return np.asarray(self._csc[:, selected] @ answer.coefficients + answer.intercept)

    def solve(
        self,
        y: NDArray[np.float64],
        selected: NDArray[Any],
        lambda_l2: float = 0.0,
        *,
        dense_entries: int = DENSE_ENTRIES,
    ) -> LeastSquares:
        """Minimise ``|y - a - X b|^2 / n + lambda_l2 sum_j (sd_j b_j)^2`` over the selected columns.

        With weights, the first term is the weighted mean of the squares, and sd_j is weighted too.
        With dependent columns and no penalty the answer has minimal norm (of the standardised coefficients).
        If the selected columns have more than `dense_entries` elements, an iterative solver is used.
        """
        mean = self.mean(y) if self.intercept else 0.0
        if not len(selected):
            return LeastSquares(np.zeros(0), mean, 0, True)
        if self.n * len(selected) > dense_entries or len(selected) > DENSE_COLUMNS:
            found, converged = self._solve_iteratively(y - mean, selected, lambda_l2)
            return LeastSquares(*self.in_units(selected, found, mean), None, converged)
        Z, r = self.columns(selected), y - mean
        if self.weights is not None:
            roots = np.sqrt(self.weights)
            Z, r = Z * roots[:, None], r * roots
        if lambda_l2:
            Z = np.vstack((Z, np.sqrt(lambda_l2) * np.eye(len(selected))))
            r = np.concatenate((r, np.zeros(len(selected))))
        b, _, rank, _ = np.linalg.lstsq(Z, r, rcond=None)
        return LeastSquares(*self.in_units(selected, np.asarray(b, np.float64), mean), int(rank), True)

    def _solve_iteratively(
        self, r: NDArray[np.float64], selected: NDArray[Any], lambda_l2: float
    ) -> tuple[NDArray[np.float64], bool]:
        """Return coefficients of Z by LSMR, from products only, and whether they converged.

        D. C. Fong, M. Saunders, SIAM J. Sci. Comput. 33, 2011.
        """
        from scipy.sparse.linalg import LinearOperator, lsmr

        part: Any = (self._dense if self._dense is not None else self._csc)[:, selected]
        means = np.zeros(len(selected)) if self._dense is not None else self.means[selected]
        scales = np.ones(len(selected)) if self._dense is not None else self.scales[selected]
        roots = 1.0 if self.weights is None else np.sqrt(self.weights)

        def forward(b: NDArray[np.float64]) -> NDArray[np.float64]:
            scaled = b.ravel() * scales
            return np.asarray(roots * (part @ scaled - means @ scaled))

        def backward(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            rows = rows.ravel() * roots
            return np.asarray((part.T @ rows - means * rows.sum()) * scales)

        operator = LinearOperator((self.n, len(selected)), matvec=forward, rmatvec=backward, dtype=np.float64)
        damp = float(np.sqrt(lambda_l2))
        answer = lsmr(
            operator, r * roots, damp=damp, atol=TOLERANCE, btol=TOLERANCE, conlim=0, maxiter=10_000
        )
        return answer[0], answer[1] != 7  # 7: the limit of iterations was reached


def r_squared(
    y: NDArray[np.float64], prediction: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> float:
    """Return 1 minus the squared error over that of the mean of y, all weighted if there are weights.

    If y is constant, it is 1 if every prediction is exact, else 0.
    """
    if weights is None:
        error, spread = np.sum((y - prediction) ** 2), np.sum((y - y.mean()) ** 2)
    else:
        counts = weights > 0  # rows of weight 0 take no part, whatever they hold
        y, prediction, weights = y[counts], prediction[counts], weights[counts]
        mean = np.average(y, weights=weights)
        error, spread = np.sum(weights * (y - prediction) ** 2), np.sum(weights * (y - mean) ** 2)
    return 1.0 - float(error) / float(spread) if spread else float(not error)
