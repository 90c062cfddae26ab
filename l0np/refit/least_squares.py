"""Least squares on chosen columns: columns centred and scaled first, so that neither an intercept nor units cost digits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.inputs import validation
from l0np.matrix import ColumnMatrix

DENSE_ENTRIES, DENSE_COLUMNS = 20_000_000, 3000  # up to here columns are made dense and solved by singular values
DENSE_SHARE = 0.1  # of stored entries, from which on a matrix is kept dense
CONSTANT = 1e-10  # a column whose deviations from the mean are smaller than this part of it is constant
TOLERANCE = 1e-14  # of the iterative solver


@dataclass(frozen=True)
class LeastSquares:
    """Coefficients in the units of the matrix, and how they were found."""

    coefficients: NDArray[np.float64]  # of the chosen columns
    intercept: float
    rank: int | None  # None where an iterative solver was used, which does not know
    converged: bool


class Design:
    """A matrix seen as Z: each column centred (with an intercept) and scaled to length 1; a constant column becomes 0.

    Examples
    --------
    >>> import numpy as np
    >>> design = Design(ColumnMatrix.build(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]), np.float64), intercept=True)
    >>> design.columns(np.array([0, 1])).round(3)
    array([[-0.707,  0.   ],
           [ 0.   ,  0.   ],
           [ 0.707,  0.   ]])
    """

    def __init__(self, matrix: ColumnMatrix, *, intercept: bool) -> None:
        self.n, self.p = matrix.shape
        csc = matrix.to_scipy().astype(np.float64)
        validation.check_squarable("X", np.asarray(abs(csc).sum(axis=0)).ravel())
        counts = np.diff(csc.indptr)
        self.intercept = intercept
        self.means = np.asarray(csc.sum(axis=0)).ravel() / self.n if intercept else np.zeros(self.p)
        # the sum over the stored entries and over the zeros, each positive: nothing cancels
        owner = csc.tocoo().col
        deviations = (csc.data - self.means[owner]) ** 2
        squares = np.bincount(owner, deviations, self.p) + (self.n - counts) * self.means**2
        self.norms = np.sqrt(squares)
        self.usable = self.norms > CONSTANT * np.sqrt(self.n) * np.abs(self.means)
        self.scales = np.divide(1.0, self.norms, out=np.zeros(self.p), where=self.usable)
        self._csc = csc
        is_dense = matrix.nnz >= DENSE_SHARE * self.n * self.p
        self._dense = (csc.toarray(order="F") - self.means) * self.scales if is_dense else None

    def rows(self, chosen: NDArray[Any]) -> "Design":
        """Return the design of some of the rows, with means and scales of its own."""
        return Design(ColumnMatrix.build(self.unscaled(chosen), np.float64), intercept=self.intercept)

    def take(self, chosen: NDArray[Any]) -> "Design":
        """Return the design of some of the columns."""
        return Design(ColumnMatrix.build(self._csc[:, chosen], np.float64), intercept=self.intercept)

    def unscaled(self, rows: NDArray[Any]) -> Any:
        """Return some rows of the matrix itself, sparse."""
        return self._csc[rows]

    def columns(self, chosen: NDArray[Any]) -> NDArray[np.float64]:
        """Return chosen columns of Z, dense, shape (n, number of columns)."""
        if self._dense is not None:
            return np.asarray(self._dense[:, chosen])
        return np.asarray((self._csc[:, chosen].toarray() - self.means[chosen]) * self.scales[chosen])

    def products(self, b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Z @ b."""
        if self._dense is not None:
            return np.asarray(self._dense @ b)
        scaled = b * self.scales
        return np.asarray(self._csc @ scaled - self.means @ scaled)

    def correlations(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Z.T @ rows for one vector, or for each column of `rows`."""
        if self._dense is not None:
            return np.asarray(self._dense.T @ rows)
        shift = self.means if rows.ndim == 1 else self.means[:, None]
        scales = self.scales if rows.ndim == 1 else self.scales[:, None]
        return np.asarray((self._csc.T @ rows - shift * rows.sum(axis=0)) * scales)

    def in_units(self, chosen: NDArray[Any], b: NDArray[np.float64], mean: float) -> tuple[NDArray[np.float64], float]:
        """Return coefficients and intercept in the units of the matrix for coefficients b of Z."""
        coefficients = b * self.scales[chosen]
        return coefficients, mean - float(self.means[chosen] @ coefficients)

    def predictions(self, chosen: NDArray[Any], answer: LeastSquares) -> NDArray[np.float64]:
        """Return ``intercept + X @ coefficients``."""
        return np.asarray(self._csc[:, chosen] @ answer.coefficients + answer.intercept)

    def solve(self, y: NDArray[np.float64], chosen: NDArray[Any], lambda_l2: float = 0.0) -> LeastSquares:
        """Minimise ``|y - a - X b|^2 / n + lambda_l2 sum_j (sd_j b_j)^2`` over the chosen columns.

        With dependent columns and no penalty the answer is that of minimal norm (of the standardised coefficients).
        """
        mean = float(y.mean()) if self.intercept else 0.0
        if not len(chosen):
            return LeastSquares(np.zeros(0), mean, 0, True)
        if self.n * len(chosen) > DENSE_ENTRIES or len(chosen) > DENSE_COLUMNS:
            return self._solve_iteratively(y - mean, chosen, lambda_l2, mean)
        Z, r = self.columns(chosen), y - mean
        if lambda_l2:
            Z = np.vstack((Z, np.sqrt(lambda_l2) * np.eye(len(chosen))))
            r = np.concatenate((r, np.zeros(len(chosen))))
        b, _, rank, _ = np.linalg.lstsq(Z, r, rcond=None)
        return LeastSquares(*self.in_units(chosen, np.asarray(b, np.float64), mean), int(rank), True)

    def _solve_iteratively(self, r: NDArray[np.float64], chosen: NDArray[Any], lambda_l2: float, mean: float) -> LeastSquares:
        """Solve by LSMR (D. C. Fong, M. Saunders, SIAM J. Sci. Comput. 33, 2011), which needs products only."""
        from scipy.sparse.linalg import LinearOperator, lsmr

        part: Any = (self._dense if self._dense is not None else self._csc)[:, chosen]
        means = np.zeros(len(chosen)) if self._dense is not None else self.means[chosen]
        scales = np.ones(len(chosen)) if self._dense is not None else self.scales[chosen]

        def forward(b: NDArray[np.float64]) -> NDArray[np.float64]:
            scaled = b.ravel() * scales
            return np.asarray(part @ scaled - means @ scaled)

        def backward(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            rows = rows.ravel()
            return np.asarray((part.T @ rows - means * rows.sum()) * scales)

        operator = LinearOperator((self.n, len(chosen)), matvec=forward, rmatvec=backward, dtype=np.float64)
        answer = lsmr(operator, r, damp=float(np.sqrt(lambda_l2)), atol=TOLERANCE, btol=TOLERANCE, conlim=0, maxiter=10_000)
        return LeastSquares(*self.in_units(chosen, answer[0], mean), None, answer[1] != 7)
