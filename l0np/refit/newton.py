"""Newton systems of a calibration, ``(A diag(c) A' + diag(d)) x = b``: A is targets by records.

They are solved by conjugate gradients (M. R. Hestenes, E. Stiefel: Methods of conjugate gradients for solving linear systems,
1952), which need products with A and A' only. What decides is the preconditioner:

1. the diagonal. It is enough where the targets have little to do with each other.
2. a Cholesky factor in bordered blocks. National targets hang together by few rows, those of the nation and of the states;
   without them the others fall into groups of targets that share no record, so that the factor has dense blocks for these and
   a border, and costs little. Where the targets are few, one block holds them all. A factor serves later systems too.

The rule: iterations go on with what is at hand until they have cost as much as a new factor would, then one is made. Where a
factor costs too much, the diagonal has to do. Costs are estimated from sizes alone, so no answer depends on a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Solve = Callable[[Floats], Floats]

BORDERS = (0, 64, 256, 1024, 3000)  # longest rows that are tried as a border
LARGEST_BLOCK = 12_000  # targets in one dense block: 1.2 GB
# Costs in nanoseconds on one core, right to a factor of two or so: of an entry in a product, of a pair in A diag(c) A', and
# of a floating-point operation in dense blocks
SPARSE_ENTRY, DENSE_ENTRY, PAIR, FLOP = 1.7, 0.5, 12.0, 0.03
MOST_COST = 60e9  # of a factor
FEW_ITERATIONS = 30  # cost as much as a factor: then one is made at once
MOST_ITERATIONS = 3000  # without a factor
MOST_CORRECTIONS = 200  # with a fresh factor
ACCURACY = 1e-4  # of a solution: its residual, relative to the right-hand side
COLUMNS = 4096  # records whose entries are made dense at a time
SMALLEST_BLOCK = 64  # targets: smaller groups are joined


class NewtonSystems:
    """Solves systems with one A, sparse or dense, and changing c, d and b.

    Examples
    --------
    >>> import numpy as np
    >>> systems = NewtonSystems(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    >>> systems.solve(np.ones(3), np.zeros(2), np.array([3.0, 3.0]))
    array([1., 1.])
    """

    def __init__(self, rows: Any) -> None:
        from scipy import sparse

        self.rows = rows
        self.columns = rows.T.tocsr() if sparse.issparse(rows) else rows.T  # A'
        self._squares: Any = rows.multiply(rows) if sparse.issparse(rows) else None
        self._plan = _Blocks.cheapest(rows)
        self._factor: Solve | None = None
        product = 2 * (SPARSE_ENTRY * rows.nnz if sparse.issparse(rows) else DENSE_ENTRY * rows.size)
        self._patience = int(self._plan.cost / (product + self._plan.solution_cost)) if self._plan else MOST_ITERATIONS

    def diagonal(self, curvature: Floats) -> Floats:
        """Return the diagonal of A diag(curvature) A'."""
        if self._squares is not None:
            return np.asarray(self._squares @ curvature)
        return np.asarray(np.einsum("ij,ij,j->i", self.rows, self.rows, curvature, optimize=False))

    def solve(self, curvature: Floats, diagonal: Floats, right: Floats) -> Floats:
        """Return x to a relative residual of `ACCURACY`, or as near as the iterations came."""
        x = np.zeros_like(right)
        if self._patience > FEW_ITERATIONS:
            x, done = self._iterate(curvature, diagonal, right, x, self._patience)
            if done or self._plan is None:
                return x
        assert self._plan is not None
        self._factor = self._plan.factor(curvature, diagonal)
        return self._iterate(curvature, diagonal, right, x, MOST_CORRECTIONS)[0]

    def _iterate(self, curvature: Floats, diagonal: Floats, right: Floats, x: Floats, most: int) -> tuple[Floats, bool]:
        from scipy.sparse.linalg import LinearOperator, cg

        def product(x: Floats) -> Floats:
            return np.asarray(self.rows @ (curvature * (self.columns @ x)) + diagonal * x)

        precondition = self._factor
        if precondition is None:
            whole = self.diagonal(curvature) + diagonal
            whole[whole == 0] = 1.0  # a target in which no record takes part
            inverse = 1.0 / whole

            def precondition(x: Floats) -> Floats:
                return inverse * x

        shape = (len(right), len(right))
        x, missing = cg(
            LinearOperator(shape, matvec=product, dtype=np.float64), right, x, rtol=ACCURACY, maxiter=most,
            M=LinearOperator(shape, matvec=precondition, dtype=np.float64),
        )  # fmt: skip
        return x, not missing


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Rows in an order in which A diag(c) A' has dense blocks on the diagonal, and a border behind them.

    Attributes
    ----------
    rows : sparse or dense
        A in that order.
    order : array of int
        Which row of A each is.
    bounds : array of int
        Where the blocks start and where the last one ends.
    at_once : bool
        Whether A diag(c) A' is made as a product of dense matrices.
    cost, solution_cost : float
        Of a factor and of a solution with it, in nanoseconds.
    """

    rows: Any
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    at_once: bool
    cost: float
    solution_cost: float

    @classmethod
    def cheapest(cls, rows: Any) -> _Blocks | None:
        """Return the cheapest division found; None where each costs too much."""
        from scipy import sparse

        n, k = rows.shape
        found = []
        if n <= LARGEST_BLOCK:
            cost = FLOP * (float(n) ** 2 * k + n**3 / 3)
            found.append(cls(rows, np.arange(n), np.array([0, n]), True, cost, 2 * DENSE_ENTRY * n**2))
        if sparse.issparse(rows):
            found += [cls._bordered(rows, border) for border in BORDERS if border == 0 or border < n]
        best = min(found, key=lambda blocks: blocks.cost, default=None)
        return best if best and best.cost <= MOST_COST else None

    @classmethod
    def _bordered(cls, rows: Any, border: int) -> _Blocks:
        """Return the division in which the longest rows are the border."""
        n, k = rows.shape
        by_length = np.argsort(-np.diff(rows.indptr), kind="stable")
        inner = by_length[border:]
        label = _groups(rows[inner])
        bounds = _joined(np.bincount(label))
        sizes = np.diff(bounds).astype(np.float64)
        pairs = float((np.bincount(rows.indices, minlength=k).astype(np.float64) ** 2).sum())
        cost = PAIR * pairs + FLOP * (((sizes + border) ** 3).sum() + border**3) / 3
        solution = 2 * DENSE_ENTRY * float((sizes**2).sum() + 2 * n * border + border**2)
        order = np.concatenate((inner[np.argsort(label, kind="stable")], by_length[:border]))
        return cls(rows[order], order, bounds, False, cost if sizes.max() <= LARGEST_BLOCK else np.inf, solution)

    def factor(self, curvature: Floats, diagonal: Floats) -> Solve:
        """Return how to solve with the Cholesky factor of A diag(c) A' + diag(d): block by block, then the border."""
        from scipy.linalg import solve_triangular

        n, inside, diagonal = len(self.order), self.bounds[-1], diagonal[self.order]
        product = self._product(curvature)

        def part(rows: slice, columns: slice) -> Floats:
            block = product[rows, columns]
            return np.asarray(block if isinstance(block, np.ndarray) else block.toarray())

        edge, blocks = slice(inside, n), []
        corner = part(edge, edge) + np.diag(diagonal[edge])
        for start, end in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            place = slice(start, end)
            lower = _cholesky(part(place, place), diagonal[place])
            beside = solve_triangular(lower, part(place, edge), lower=True, check_finite=False)
            corner -= beside.T @ beside
            blocks.append((place, lower, beside))
        last = _cholesky(corner, 0.0)

        def solve(right: Floats) -> Floats:
            x = right[self.order]
            for place, lower, beside in blocks:
                x[place] = solve_triangular(lower, x[place], lower=True, check_finite=False)
                x[edge] -= beside.T @ x[place]
            x[edge] = solve_triangular(last, x[edge], lower=True, check_finite=False)
            x[edge] = solve_triangular(last, x[edge], lower=True, trans=1, check_finite=False)
            for place, lower, beside in blocks:
                x[place] = solve_triangular(lower, x[place] - beside @ x[edge], lower=True, trans=1, check_finite=False)
            answer = np.empty_like(x)
            answer[self.order] = x
            return answer

        return solve

    def _product(self, curvature: Floats) -> Any:
        """Return A diag(curvature) A', of a dense one the lower triangle only."""
        from scipy import sparse
        from scipy.linalg.blas import dsyrk

        if not self.at_once:
            return (self.rows @ sparse.diags_array(curvature) @ self.rows.T).tocsr()
        n, k = self.rows.shape
        columns = self.rows.tocsc() if sparse.issparse(self.rows) else self.rows
        product, roots = np.zeros((n, n), order="F"), np.sqrt(curvature)
        for start in range(0, k, COLUMNS):
            chosen = columns[:, start : start + COLUMNS]
            dense = chosen.toarray(order="F") if sparse.issparse(chosen) else np.asfortranarray(chosen)
            product = dsyrk(1.0, dense * roots[start : start + COLUMNS], 1.0, product, lower=1, overwrite_c=1)
        return product


def _groups(rows: Any) -> NDArray[np.int64]:
    """Return a label for each row; rows with different labels share no record, not even by way of other rows."""
    from scipy import sparse

    graph = sparse.block_array([[None, rows], [rows.T, None]], format="csr")
    label = sparse.csgraph.connected_components(graph, directed=False)[1][: rows.shape[0]]
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def _joined(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where blocks start and the last one ends, if groups of these sizes are joined until none is small."""
    bounds = [0]
    for end in np.cumsum(sizes).tolist():
        if end - bounds[-1] >= SMALLEST_BLOCK:
            bounds.append(end)
    return np.array(bounds if bounds[-1] == sizes.sum() else [*bounds, sizes.sum()], dtype=np.int64)


def _cholesky(matrix: Floats, diagonal: Floats | float) -> Floats:
    """Return the lower Cholesky factor of matrix + diag(diagonal), shifted where it is not definite to sixteen digits."""
    from scipy.linalg import LinAlgError, cholesky

    here = np.diag_indices(len(matrix))
    matrix[here] += diagonal
    size = float(matrix[here].max(initial=0.0))
    for shift in (0.0, *(size * 10.0**power for power in range(-15, 1, 3))):
        try:
            shifted = matrix.copy(order="F")
            shifted[here] += shift
            return np.asarray(cholesky(shifted, lower=True, overwrite_a=True, check_finite=False))
        except LinAlgError:
            continue
    return np.diag(np.sqrt(np.maximum(matrix[here], 1.0)))
