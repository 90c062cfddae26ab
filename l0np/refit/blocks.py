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
COMPILED_PAIR = 1.5  # the same for a pair of entries in a compiled product
COMPILED_FROM = 5e5  # pairs: below, loading the kernel takes longer than it saves
LISTED_FROM, LISTED_TARGETS = 1e5, 512  # least pairs and most targets with which a list of pairs is kept
LISTED_PAIR = 0.7  # the same for a pair in that list
MOST_COST = 60e9  # largest cost of a factor
COLUMNS = 4096  # records whose entries are made dense at a time


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows in an order such that A diag(c) A' has dense blocks on the diagonal and a border after them.

    Attributes
    ----------
    scaled : sparse or dense
        A in that order; as it is where `by_column` is given.
    order : array of int
        The row of A at each position.
    bounds : array of int
        Where the blocks start and where the last one ends; the rows after it are the border.
    as_dense : bool
        Whether A diag(c) A' is computed as a product of dense matrices.
    cost, solution_cost : float
        Cost of a factor and of a solution with it, in nanoseconds.
    by_column : sparse, optional
        A' by rows, if a compiled kernel computes the product.
    pairs : sparse, optional
        The linear map from c to the lower triangle of A diag(c) A', if it is kept: see `_listed_pairs`.
    """

    scaled: Any
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    as_dense: bool
    cost: float
    solution_cost: float
    by_column: Any = None
    pairs: Any = None

    @classmethod
    def cheapest(cls, scaled: Any, most_cost: float = MOST_COST, transposed: Any = None) -> Blocks | None:
        """Return the cheapest division found; None if each costs more than `most_cost`.

        `transposed` is A' by rows, if A is sparse and a compiled kernel may compute the product.
        """
        from scipy import sparse

        n, k = scaled.shape
        found = []
        if n <= LARGEST_BLOCK:
            cost = FLOP * (float(n) ** 2 * k + n**3 / 3)
            found.append(cls(scaled, np.arange(n), np.array([0, n]), True, cost, 2 * DENSE_ENTRY * n**2))
        if sparse.issparse(scaled):
            is_given = transposed is not None
            lengths = np.diff(transposed.indptr) if is_given else np.bincount(scaled.indices, minlength=k)
            pairs = float((lengths.astype(np.float64) ** 2).sum())
            if LISTED_FROM <= pairs < COMPILED_FROM and n <= LISTED_TARGETS:
                cost = LISTED_PAIR * pairs + FLOP * n**3 / 3
                bounds, solution = np.array([0, n]), 2 * DENSE_ENTRY * n**2
                listed = _listed_pairs(scaled)
                found.append(cls(scaled, np.arange(n), bounds, False, cost, solution, pairs=listed))
            transposed = transposed if pairs >= COMPILED_FROM else None
            compiled, pairs = COMPILED_PAIR * pairs, PAIR * pairs
            if transposed is not None and FLOP * n**3 / 3 <= compiled:  # no division would be much cheaper
                cost = compiled + FLOP * n**3 / 3
                one = np.arange(n), np.array([0, n]), False, cost, 2 * DENSE_ENTRY * n**2, transposed
                found.append(cls(scaled, *one))
            elif not found or pairs < found[0].cost:
                for border in BORDERS:
                    # Beside a wide border the compiled product waits for memory at every entry
                    is_compiled = not border and transposed is not None
                    least = compiled if is_compiled else pairs
                    if border == 0 or (border < n and least < min(one.cost for one in found)):
                        found.append(cls.bordered(scaled, border, least, transposed if is_compiled else None))
        best = min(found, key=lambda blocks: blocks.cost, default=None)
        return best if best and best.cost <= most_cost else None

    @classmethod
    def bordered(cls, scaled: Any, border: int, pairs: float = 0.0, transposed: Any = None) -> Blocks:
        """Return the division in which the `border` longest rows of a sparse matrix are the border.

        `pairs` is the cost of the product.
        """
        n = scaled.shape[0]
        by_length = np.argsort(-np.diff(scaled.indptr), kind="stable")
        inner = by_length[border:]
        label = _groups(scaled[inner])
        bounds = _joined(np.bincount(label))
        sizes = np.diff(bounds).astype(np.float64)
        cost = pairs + FLOP * (((sizes + border) ** 3).sum() + border**3) / 3
        cost = cost if sizes.max() <= LARGEST_BLOCK else np.inf
        solution = 2 * DENSE_ENTRY * float((sizes**2).sum() + 2 * n * border + border**2)
        order = np.concatenate((inner[np.argsort(label, kind="stable")], by_length[:border]))
        in_order = scaled[order] if transposed is None else scaled
        return cls(in_order, order, bounds, False, cost, solution, transposed)

    def factor(self, curvature: Floats, diagonal: Floats) -> Solve:
        """Return a function that solves with the Cholesky factor of A diag(curvature) A' + diag(diagonal)."""
        from scipy.linalg.lapack import dtrtrs

        inside, blocks = int(self.bounds[-1]), []
        diagonal = diagonal[self.order]
        squares, beside, corner = self._parts(curvature)
        corner = np.tril(corner) + np.tril(corner, -1).T
        corner[np.diag_indices(len(corner))] += diagonal[inside:]
        for start, end, square in zip(self.bounds[:-1], self.bounds[1:], squares, strict=True):
            lower = _cholesky(square, diagonal[start:end])
            below = None
            if len(corner):
                below = dtrtrs(lower, beside[start:end], lower=1)[0]
                corner -= below.T @ below
            blocks.append((slice(start, end), lower, below))
        last = _cholesky(corner, np.zeros(len(corner))) if len(corner) else corner
        return _Factor(self.order, slice(inside, len(self.order)), blocks, last).solve

    def _parts(self, curvature: Floats) -> tuple[list[Floats], Floats, Floats]:
        """Return A diag(curvature) A' in parts, of symmetric ones the lower triangle.

        These are the blocks, what is beside them in the border, and the corner of the border.
        """
        inside, n = int(self.bounds[-1]), len(self.order)
        sizes = np.diff(self.bounds)
        if self.pairs is not None:
            return [(self.pairs @ curvature).reshape(n, n)], np.zeros((n, 0)), np.zeros((0, 0))
        if self.by_column is not None:
            from l0np.refit.gram_kernels import gram

            offset = np.concatenate(([0], np.cumsum(sizes**2)))
            position = np.empty(n, np.int64)
            position[self.order] = np.arange(n)
            block = np.repeat(np.arange(len(sizes)), sizes)
            flat = np.zeros(offset[-1])
            beside, corner = np.zeros((inside, n - inside)), np.zeros((n - inside, n - inside))
            csr = self.by_column  # A' by rows: A by columns
            entries = csr.indptr, csr.indices, csr.data, curvature
            places = position, block, self.bounds[:-1], sizes, offset, inside
            gram(*entries, *places, flat, beside, corner)
            squares = [flat[a:b].reshape(m, m) for a, b, m in zip(offset, offset[1:], sizes, strict=False)]
            return squares, beside, corner
        product = self._product(curvature)

        def part(rows: slice, columns: slice) -> Floats:
            found = product[rows, columns]
            return np.asarray(found if isinstance(found, np.ndarray) else found.toarray())

        border = slice(inside, n)
        slices = [slice(a, b) for a, b in zip(self.bounds[:-1], self.bounds[1:], strict=True)]
        squares = [np.ascontiguousarray(part(here, here)) for here in slices]
        return squares, part(slice(0, inside), border), part(border, border)

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
    blocks: list[tuple[slice, Floats, Floats | None]]
    corner: Floats  # the lower triangle of the border

    def solve(self, right: Floats) -> Floats:
        """Return the solution for one right-hand side: forwards and backwards through the blocks."""
        from scipy.linalg.lapack import dtrtrs

        x, border = right[self.order], self.border
        for here, lower, beside in self.blocks:
            x[here] = dtrtrs(lower, x[here], lower=1)[0]
            if beside is not None:
                x[border] -= beside.T @ x[here]
        if len(self.corner):
            x[border] = dtrtrs(self.corner, x[border], lower=1)[0]
            x[border] = dtrtrs(self.corner, x[border], lower=1, trans=1)[0]
        for here, lower, beside in self.blocks:
            rest = x[here] if beside is None else x[here] - beside @ x[border]
            x[here] = dtrtrs(lower, rest, lower=1, trans=1)[0]
        solution = np.empty_like(x)
        solution[self.order] = x
        return solution


def _listed_pairs(scaled: Any) -> Any:
    """Return the matrix whose product with c is A diag(c) A', row by row, of which the lower triangle counts.

    Its column j has one entry for each pair of entries of the j-th column of A.
    """
    from scipy import sparse

    n, k = scaled.shape
    by_column = scaled.tocsc()
    by_column.sort_indices()
    rows, values, starts = by_column.indices, by_column.data, by_column.indptr
    entry = np.arange(len(rows), dtype=np.int32)
    place = entry - np.repeat(starts[:-1], np.diff(starts))  # of an entry in its column
    ends = np.cumsum(place + 1, dtype=np.int32)
    # An entry makes a pair with each entry of its column from the first one to itself
    n_pairs = int(ends[-1])
    second = np.arange(n_pairs, dtype=np.int32) + np.repeat(entry - ends + 1, place + 1)
    listed = np.repeat(values, place + 1) * values[second], np.repeat(rows * n, place + 1) + rows[second]
    return sparse.csc_array((*listed, np.append(np.int32(0), ends)[starts]), shape=(n * n, k))


def _groups(rows: Any) -> NDArray[np.int64]:
    """Return a label for each row; rows of different labels share no record, not even through others."""
    from scipy import sparse

    n, k = rows.shape
    row = np.repeat(np.arange(n, dtype=np.int32), np.diff(rows.indptr))
    first = np.zeros(k, np.int32)
    first[rows.indices[::-1]] = row[::-1]  # of each record; the last of several values stays
    joined = first[rows.indices]
    is_new = joined != row
    edges = np.ones(int(is_new.sum()), np.int8), (row[is_new], joined[is_new])
    graph = sparse.coo_array(edges, shape=(n, n)).tocsr()
    return np.asarray(sparse.csgraph.connected_components(graph, directed=False)[1], dtype=np.int64)


def _joined(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the blocks start and the last one ends, after joining groups until none is small."""
    bounds = [0]
    for end in np.cumsum(sizes).tolist():
        if end - bounds[-1] >= SMALLEST_BLOCK:
            bounds.append(end)
    return np.array(bounds if bounds[-1] == sizes.sum() else [*bounds, sizes.sum()], dtype=np.int64)


def _cholesky(matrix: Floats, diagonal: Floats) -> Floats:
    """Return the lower Cholesky factor of a matrix plus diag(diagonal), of which the lower triangle is read.

    If the sum is not definite to sixteen digits, its diagonal is shifted by as little as is necessary.
    """
    from scipy.linalg.lapack import dpotrf

    here = np.diag_indices(len(matrix))
    matrix[here] += diagonal
    size = float(matrix[here].max(initial=0.0))
    for shift in (0.0, *(size * 10.0**power for power in range(-15, 1, 3))):
        shifted = matrix.copy(order="F")
        shifted[here] += shift
        lower, wrong = dpotrf(shifted, lower=1, clean=1, overwrite_a=1)
        if not wrong:
            return np.asarray(lower)
    return np.asfortranarray(np.diag(np.sqrt(np.maximum(matrix[here], 1.0))))
