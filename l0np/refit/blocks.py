"""Cholesky factors of A diag(c) A' + diag(d) in bordered blocks; A has a row per target.

Targets of a whole nation are coupled through few rows: those of the nation and of the states. Without these,
the other rows fall into groups that share no record. So the factor has a dense block for each group and a
border for the long rows, and costs little. If there are few targets, one block holds them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Solve = Callable[[Floats], Floats]

BORDERS = (0, 64, 256, 1024, 3000)  # numbers of longest rows that are tried as a border
LARGEST_BLOCK = 12_000  # targets in one dense block: 1.2 GB
SMALLEST_BLOCK = 64  # targets: smaller groups are joined
# Costs in nanoseconds on one core, within a factor of about two: for an entry in a sparse and in a dense
# product, for a pair of entries in A diag(c) A', and for a floating-point operation in dense blocks
SPARSE_ENTRY, DENSE_ENTRY, PAIR, FLOP = 1.7, 0.5, 12.0, 0.03
MOST_COST = 60e9  # largest cost of a factor
COLUMNS = 4096  # records whose entries are made dense at a time


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows in an order such that A diag(c) A' has dense blocks on the diagonal and a border after them.

    Attributes
    ----------
    scaled : sparse or dense
        A in that order.
    order : array of int
        The row of A at each position.
    bounds : array of int
        Where the blocks start and where the last one ends; the rows after it are the border.
    as_dense : bool
        Whether A diag(c) A' is computed as a product of dense matrices.
    cost, solution_cost : float
        Cost of a factor and of a solution with it, in nanoseconds.
    """

    scaled: Any
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    as_dense: bool
    cost: float
    solution_cost: float

    @classmethod
    def cheapest(cls, scaled: Any, most_cost: float = MOST_COST) -> Blocks | None:
        """Return the cheapest division found; None if each costs more than `most_cost`."""
        from scipy import sparse

        n, k = scaled.shape
        found = []
        if n <= LARGEST_BLOCK:
            cost = FLOP * (float(n) ** 2 * k + n**3 / 3)
            found.append(cls(scaled, np.arange(n), np.array([0, n]), True, cost, 2 * DENSE_ENTRY * n**2))
        if sparse.issparse(scaled):
            found += [cls.bordered(scaled, border) for border in BORDERS if border == 0 or border < n]
        best = min(found, key=lambda blocks: blocks.cost, default=None)
        return best if best and best.cost <= most_cost else None

    @classmethod
    def bordered(cls, scaled: Any, border: int) -> Blocks:
        """Return the division in which the `border` longest rows of a sparse matrix are the border."""
        n, k = scaled.shape
        by_length = np.argsort(-np.diff(scaled.indptr), kind="stable")
        inner = by_length[border:]
        label = _groups(scaled[inner])
        bounds = _joined(np.bincount(label))
        sizes = np.diff(bounds).astype(np.float64)
        pairs = float((np.bincount(scaled.indices, minlength=k).astype(np.float64) ** 2).sum())
        cost = PAIR * pairs + FLOP * (((sizes + border) ** 3).sum() + border**3) / 3
        cost = cost if sizes.max() <= LARGEST_BLOCK else np.inf
        solution = 2 * DENSE_ENTRY * float((sizes**2).sum() + 2 * n * border + border**2)
        order = np.concatenate((inner[np.argsort(label, kind="stable")], by_length[:border]))
        return cls(scaled[order], order, bounds, False, cost, solution)

    def factor(self, curvature: Floats, diagonal: Floats) -> Solve:
        """Return a function that solves with the Cholesky factor of A diag(curvature) A' + diag(diagonal)."""
        from scipy.linalg import solve_triangular

        product, diagonal = self._product(curvature), diagonal[self.order]

        def part(rows: slice, columns: slice) -> Floats:
            block = product[rows, columns]
            return np.asarray(block if isinstance(block, np.ndarray) else block.toarray())

        border, blocks = slice(self.bounds[-1], len(self.order)), []
        corner = part(border, border) + np.diag(diagonal[border])
        for start, end in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            here = slice(start, end)
            lower = _cholesky(part(here, here), diagonal[here])
            beside = solve_triangular(lower, part(here, border), lower=True, check_finite=False)
            corner -= beside.T @ beside
            blocks.append((here, lower, beside))
        return _Factor(self.order, border, blocks, _cholesky(corner, 0.0)).solve

    def _product(self, curvature: Floats) -> Any:
        """Return A diag(curvature) A'; if it is dense, the lower triangle only."""
        from scipy import sparse
        from scipy.linalg.blas import dsyrk

        if not self.as_dense:
            return (self.scaled @ sparse.diags_array(curvature) @ self.scaled.T).tocsr()
        n, k = self.scaled.shape
        by_column = self.scaled.tocsc() if sparse.issparse(self.scaled) else self.scaled
        product, roots = np.zeros((n, n), order="F"), np.sqrt(curvature)
        for start in range(0, k, COLUMNS):
            panel = by_column[:, start : start + COLUMNS]
            dense = panel.toarray(order="F") if sparse.issparse(panel) else np.asfortranarray(panel)
            weighted = dense * roots[start : start + COLUMNS]
            product = dsyrk(1.0, weighted, 1.0, product, lower=1, overwrite_c=1)
        return product


@dataclass(frozen=True, eq=False)
class _Factor:
    """A Cholesky factor: for each block its slice, its lower triangle and what is below it in the border."""

    order: NDArray[np.int64]
    border: slice
    blocks: list[tuple[slice, Floats, Floats]]
    corner: Floats  # the lower triangle of the border

    def solve(self, right: Floats) -> Floats:
        """Return the solution for one right-hand side: forwards and backwards through the blocks."""
        from scipy.linalg import solve_triangular

        x, border = right[self.order], self.border
        for here, lower, beside in self.blocks:
            x[here] = solve_triangular(lower, x[here], lower=True, check_finite=False)
            x[border] -= beside.T @ x[here]
        x[border] = solve_triangular(self.corner, x[border], lower=True, check_finite=False)
        x[border] = solve_triangular(self.corner, x[border], lower=True, trans=1, check_finite=False)
        for here, lower, beside in self.blocks:
            rest = x[here] - beside @ x[border]
            x[here] = solve_triangular(lower, rest, lower=True, trans=1, check_finite=False)
        solution = np.empty_like(x)
        solution[self.order] = x
        return solution


def _groups(rows: Any) -> NDArray[np.int64]:
    """Return a label for each row; rows of different labels share no record, not even through others."""
    from scipy import sparse

    graph = sparse.block_array([[None, rows], [rows.T, None]], format="csr")
    label = sparse.csgraph.connected_components(graph, directed=False)[1][: rows.shape[0]]
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def _joined(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the blocks start and the last one ends, after joining groups until none is small."""
    bounds = [0]
    for end in np.cumsum(sizes).tolist():
        if end - bounds[-1] >= SMALLEST_BLOCK:
            bounds.append(end)
    return np.array(bounds if bounds[-1] == sizes.sum() else [*bounds, sizes.sum()], dtype=np.int64)


def _cholesky(matrix: Floats, diagonal: Floats | float) -> Floats:
    """Return the lower Cholesky factor of matrix + diag(diagonal).

    If the sum is not definite to sixteen digits, its diagonal is shifted by as little as is necessary.
    """
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
