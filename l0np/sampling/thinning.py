"""Thinning: records leave a weighted sample one by one; the others make up for each, so that totals stay.

Weights w with totals ``A w`` and reference weights r are near to r in the chi-square distance
``sum (w - r)^2 / (2 r)``. The move that changes ``w[j]`` by 1 and keeps all totals at the least distance is
``F[:, j] / F[j, j]`` with ``F = R - R A' (A R A')^-1 A R`` and R = diag(r); to move record j to 0 costs
``w[j]^2 / F[j, j]``. The cheapest record walks to 0; if another one reaches 0 on the way, that one leaves
instead. Then its row and column leave F by an update of rank one. This is the optimal brain surgeon (B.
Hassibi, D. G. Stork: Second order derivatives for network pruning, NIPS 5, 1993) under constraints. With
fewer records than independent totals no such move is left; then a ridge in F lets totals change, and the cost
of a record is loss.

Records that share no total, not even by way of others, are in different blocks, each with an F of its own. In
large blocks F holds only the records of least weight, the candidates; the others follow.
"""

import heapq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LOCKED = 1e-5  # freedom F[j, j] of a record, relative to its reference weight, below which it cannot move
ROUNDING = 1e-12  # added to the diagonal of A R A' of rows of length 1, because rows may depend on each other
STILL = 1e-12  # relative move of a record below which it is rounding
AT_LARGEST = 1e-9  # relative distance from the largest weight at which a weight counts as at it
LEAST_LEFT = 1e-2  # a candidate stays if its walk leaves less than this of the weight of one that follows
MOST_BEHIND = 16  # removals after which those that follow move
DENSE_FRACTION = 0.1  # of non-zeros in A R A' above which its Cholesky factor is dense

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class ThinningLimits(NamedTuple):
    """Sizes of F.

    Attributes
    ----------
    candidates, least_candidates : int
        Largest number of candidates in a block, and the smallest to which many blocks reduce it.
    entries : float
        Elements of F, of all blocks together.
    """

    candidates: int = 600
    least_candidates: int = 60
    entries: float = 3e7


LIMITS = ThinningLimits()


def thin_out(
    rows: Any,
    weights: Floats,
    reference: Floats,
    n: int,
    *,
    ridge: float = 0.0,
    largest: Floats | None = None,
    stays: NDArray[np.bool_] | None = None,
    limits: ThinningLimits = LIMITS,
) -> Floats:
    """Return weights of which n more are 0, with the same totals, as near to the reference as may be.

    Parameters
    ----------
    rows : scipy.sparse array of shape (Q, k)
        A: what each record adds to each total; divided by the scales of the totals if there is a ridge.
    weights, reference : arrays of shape (k,)
        Weights and reference weights, above 0.
    n : int
        How many records leave; fewer do if no other can.
    ridge : float
        0 keeps the totals; else the objective is half of ``sum dw^2 / r + |A dw|^2 / ridge`` for a change dw.
    largest : array of shape (k,), optional
        Upper bounds of the weights.
    stays : bool array of shape (k,), optional
        Records that must not leave: they keep at least a hundredth of their weight.
    limits : ThinningLimits
        Sizes of F.

    Returns
    -------
    array of shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> rows = sparse.csr_array(np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]]))
    >>> thinned = thin_out(rows, np.array([2.0, 2.0, 0.5, 2.0]), np.full(4, 2.0), 1)
    >>> thinned.round(2), (rows @ thinned).round(9)
    (array([2.07, 2.14, 0.  , 2.29]), array([6.5, 9. ]))
    """
    top = np.full(len(weights), np.inf) if largest is None else largest
    least = np.zeros(len(weights)) if stays is None else np.where(stays, LEAST_LEFT * weights, 0.0)
    blocks, new = _blocks(rows, (weights, reference, least, top), ridge, limits), weights.copy()
    cheapest = [(*block.cheapest(), i) for i, block in enumerate(blocks)]
    heap = [(cost, i, j) for cost, j, i in cheapest if np.isfinite(cost)]
    heapq.heapify(heap)
    while heap and n > 0:
        _, i, j = heapq.heappop(heap)
        n -= blocks[i].remove(j)
        returned = blocks[i].let_follow(at_least=MOST_BEHIND)
        if n <= 0 or not heap:
            returned += sum(block.let_follow() for block in blocks)
        n += returned
        cost, j = blocks[i].cheapest()
        if np.isfinite(cost):
            heapq.heappush(heap, (cost, i, j))
    for block in blocks:
        new[block.records] = block.weights
    return new


def _blocks(
    rows: Any,
    sizes: tuple[Floats, ...],
    ridge: float,
    limits: ThinningLimits,
) -> list["_Block"]:
    """Return the connected blocks of the records."""
    from scipy import sparse

    rows = sparse.csc_array(rows)
    n_rows = rows.shape[0]
    graph = sparse.block_array([[None, rows], [rows.T, None]], format="csr")
    label = sparse.csgraph.connected_components(graph, directed=False)[1]
    of_rows, of_records = label[:n_rows], label[n_rows:]
    row_order, order = np.argsort(of_rows, kind="stable"), np.argsort(of_records, kind="stable")
    ordered = sparse.csr_array(rows[:, order])[row_order]
    labels = np.arange(label.max() + 2)
    first_rows = np.searchsorted(of_rows[row_order], labels)
    firsts = np.searchsorted(of_records[order], labels)
    n_blocks = np.count_nonzero(np.diff(firsts))
    most = int(np.clip(np.sqrt(limits.entries / n_blocks), limits.least_candidates, limits.candidates))
    blocks = []
    for i in np.flatnonzero(np.diff(firsts)):
        here = order[firsts[i] : firsts[i + 1]]
        inner = ordered[first_rows[i] : first_rows[i + 1]][:, firsts[i] : firsts[i + 1]]
        blocks.append(_Block(inner, here, tuple(size[here] for size in sizes), ridge, most))
    return blocks


class _Block:
    """Connected records: their weights, and F for the candidates among them.

    Attributes
    ----------
    records : array of int
        The records of the block.
    weights : array
        Their weights.
    """

    def __init__(
        self, rows: Any, records: Integers, sizes: tuple[Floats, ...], ridge: float, most: int
    ) -> None:
        self.records, (weights, reference, self._least, self._largest) = records, sizes
        self.weights, n = weights.copy(), len(records)
        # Without a reference weight a record does not move
        self._reference = np.where(weights < (1.0 - AT_LARGEST) * self._largest, reference, 0.0)
        self._candidates = np.arange(n)
        if n > most:
            ratios = np.where(self._least > 0, np.inf, weights / reference)
            self._candidates = np.sort(np.argpartition(ratios, most - 1)[:most])
        self._followers = np.setdiff1d(np.arange(n), self._candidates)
        self._locked = ROUNDING if ridge else LOCKED
        if ridge and not len(self._followers) and n <= rows.shape[0]:
            self._freedom = _freedom_by_records(rows, self._reference, ridge)
        else:
            self._freedom, solved, rows = _freedom_by_rows(rows, self._reference, self._candidates, ridge)
            if len(self._followers):  # those move by -R A' (A R A')^-1 A R of the candidates, downdated
                self._solved, self._downdated = solved, np.asfortranarray(np.eye(len(self._candidates)))
                self._follow = rows[:, self._followers].T.tocsr()
        self._moves = np.ones(len(self._candidates), bool)
        self._is_barred = np.zeros(len(self._candidates), bool)
        self._is_careful, self._removals = False, 0
        self._ahead, self._before = np.zeros(len(self._candidates)), self._state()

    def cheapest(self) -> tuple[float, int]:
        """Return the least cost of a removal, infinite if none is possible, and the candidate."""
        own, here = np.diag(self._freedom), self._candidates
        is_free = self._moves & ~self._is_barred & (self._least[here] == 0.0)
        is_free &= own > self._locked * self._reference[here]
        cost = np.full(len(own), np.inf)
        np.divide(self.weights[here] ** 2, own, out=cost, where=is_free)
        j = int(cost.argmin())
        return float(cost[j]), j

    def remove(self, j: int) -> bool:
        """Walk candidate j to 0; return whether a record has left.

        If another one is at 0 before, that one leaves; if one is at its largest weight before, the walk ends,
        and that one moves no more.
        """
        here, own = self._candidates, self._freedom[j, j]
        falls, weights = np.where(self._moves, self._freedom[:, j] / own, 0.0), self.weights[here]
        least = STILL * self._reference[here] / self._reference[here[j]]
        lengths = np.full(len(here), np.inf)
        np.divide(weights - self._least[here], falls, out=lengths, where=falls > least)
        np.divide(weights - self._largest[here], falls, out=lengths, where=falls < -least)
        lengths[j] = min(lengths[j], weights[j])
        stopped = j if lengths[j] <= lengths.min() else int(lengths.argmin())
        step, leaves = lengths[stopped], bool(falls[stopped] > 0 and not self._least[here[stopped]])
        if len(self._followers):
            self._removals += 1
            self._last, self._ahead = j, self._ahead + self._downdated[:, j] * (step / own)
        after = np.maximum(weights - step * falls, 0.0)
        bound = self._least if falls[stopped] > 0 else self._largest
        after[stopped] = bound[here[stopped]]
        self.weights[here] = after
        self._moves[stopped] = False
        self._downdate(stopped)
        return leaves

    def let_follow(self, at_least: int = 1) -> int:
        """Let the records that are no candidates make up for removals, once there are at least so many.

        If their bounds do not allow it, the removals are undone, and are then made one at a time; those that
        cannot be made are barred. Return how many records have come back.
        """
        if not self._removals or (self._removals < at_least and not self._is_careful):
            return 0
        rest, back = self._followers, 0
        before, moves = self.weights[rest], self._follow @ (self._solved @ self._ahead)
        after = before + self._reference[rest] * moves
        if (after >= LEAST_LEFT * before).all() and (after <= np.maximum(self._largest[rest], before)).all():
            self.weights[rest] = after
        else:
            gone = np.count_nonzero(self.weights[self._candidates] == 0)
            weights, self._moves, self._freedom, self._downdated = self._before
            self.weights[self._candidates] = weights
            back = int(gone - np.count_nonzero(weights == 0))
            self._is_barred[self._last] |= self._is_careful
            self._is_careful = True
        self._removals, self._ahead = 0, np.zeros(len(self._candidates))
        self._before = self._state()
        return back

    def _state(self) -> tuple[Floats, ...]:
        """Return a copy of what removals change, if there are records that follow."""
        if not len(self._followers):
            return ()
        parts = self.weights[self._candidates], self._moves, self._freedom, self._downdated
        return tuple(part.copy(order="F") for part in parts)

    def _downdate(self, gone: int) -> None:
        """Take a record out of F."""
        from scipy.linalg.blas import dger

        own = self._freedom[gone, gone]
        if own <= 0.0:
            return
        column = self._freedom[:, gone].copy()
        if len(self._followers):
            before = self._downdated[:, gone].copy()
            self._downdated = dger(-1.0 / own, before, column, a=self._downdated, overwrite_a=True)
        self._freedom = dger(-1.0 / own, column, column, a=self._freedom, overwrite_a=True)


def _freedom_by_records(rows: Any, reference: Floats, ridge: float) -> Floats:
    """Return F = (R^-1 + A' A / ridge)^-1, for fewer records than rows."""
    roots = np.sqrt(reference)
    scaled = rows.multiply(roots[None, :]).tocsr()
    gram = (scaled.T @ scaled).toarray() / ridge
    gram[np.diag_indices(len(gram))] += 1.0
    return np.asfortranarray(np.linalg.inv(gram) * np.outer(roots, roots))


def _freedom_by_rows(
    rows: Any, reference: Floats, candidates: Integers, ridge: float
) -> tuple[Floats, Floats, Any]:
    """Return F of the candidates, ``(A R A')^-1 A R`` of these, and A in the units of that."""
    from scipy import sparse

    lengths = np.sqrt(np.asarray(rows.multiply(rows) @ reference))
    used = lengths > 0
    rows, lengths = rows[used], lengths[used]
    if not ridge:
        rows, ridge = sparse.csr_array(sparse.diags_array(1.0 / lengths) @ rows), ROUNDING
    right = np.asfortranarray(rows[:, candidates].toarray() * reference[candidates])
    solved = _solve(sparse.csr_array(rows @ sparse.diags_array(reference) @ rows.T), ridge, right)
    return np.asfortranarray(np.diag(reference[candidates]) - right.T @ solved), solved, rows


def _solve(gram: Any, ridge: float, right: Floats) -> Floats:
    """Return ``(gram + ridge)^-1 right``: by a dense Cholesky factor, or a sparse one of few entries."""
    from scipy import linalg, sparse
    from scipy.sparse.linalg import splu, spsolve_triangular

    n = gram.shape[0]
    if not n:
        return right
    if gram.nnz > DENSE_FRACTION * n**2 or n <= 200:
        dense = gram.toarray()
        dense[np.diag_indices(n)] += ridge
        factor = linalg.cho_factor(dense, lower=True, overwrite_a=True, check_finite=False)
        return np.asarray(linalg.cho_solve(factor, right, check_finite=False))
    shifted = (gram + ridge * sparse.eye_array(n)).tocsc()
    factor = splu(shifted, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    # Two triangular solutions: `factor.solve` takes ten times as long for many right-hand sides
    permuted = np.empty_like(right, order="C")
    permuted[factor.perm_r] = right
    lower = spsolve_triangular(factor.L.tocsr(), permuted, lower=True, unit_diagonal=True)
    return np.asarray(spsolve_triangular(factor.U.tocsr(), lower, lower=False)[factor.perm_c])
