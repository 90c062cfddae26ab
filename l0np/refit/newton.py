"""Newton systems of a calibration, ``(A diag(c) A' + diag(d)) x = b``.

A has a row per target and a column per record.

They are solved by conjugate gradients (M. R. Hestenes, E. Stiefel: Methods of conjugate gradients for solving
linear systems, 1952), which need products with A and A' only. What matters is the preconditioner:

1. the diagonal. It is enough if targets share few records.
2. a Cholesky factor in bordered blocks (`l0np.refit.blocks`). One factor serves later systems too.

Iterations continue with the current preconditioner until they have cost as much as a new factor would; then
one is computed. If a factor costs too much, only the diagonal is used. Costs are estimated from sizes alone,
so no result depends on the machine.
"""

from __future__ import annotations

from functools import cached_property, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.refit.blocks import DENSE_ENTRY, MOST_COST, SPARSE_ENTRY, Blocks, Solve

Floats = NDArray[np.float64]

FEW_ITERATIONS = 30  # a factor that costs no more than this many iterations is computed at once
MOST_ITERATIONS = 3000  # iterations without a factor
MOST_CORRECTIONS = 200  # iterations with a new factor
CHEAP = 1e7  # nanoseconds of a factor that is computed anew rather than used again
ACCURACY = 1e-4  # residual of a solution, relative to the right-hand side


class NewtonSystems:
    """Solves systems with one matrix A, sparse or dense, and changing c, d and b.

    Parameters
    ----------
    scaled : scipy.sparse array or array of shape (Q, k)
        A: the matrix whose rows are divided by the scales of the targets.
    most_cost : float
        Nanoseconds that a factor may cost; above this limit only the diagonal is used.

    Examples
    --------
    >>> import numpy as np
    >>> systems = NewtonSystems(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    >>> systems.solve(np.ones(3), np.zeros(2), np.array([3.0, 3.0]))
    array([1., 1.])
    """

    def __init__(self, scaled: Any, most_cost: float = MOST_COST) -> None:
        from scipy import sparse

        self.scaled = scaled
        is_sparse = sparse.issparse(scaled)
        self.transposed = scaled.T.tocsr() if is_sparse else scaled.T  # A'
        is_compiled = is_sparse and find_spec("numba") is not None
        self._blocks = Blocks.cheapest(scaled, most_cost, self.transposed if is_compiled else None)
        self._factor: Solve | None = None
        self._of: Floats | None = None  # the curvature and the diagonal that the factor belongs to
        self._beside: Floats | None = None
        product = 2 * (SPARSE_ENTRY * scaled.nnz if is_sparse else DENSE_ENTRY * scaled.size)
        self._patience = MOST_ITERATIONS
        if self._blocks:
            self._patience = int(self._blocks.cost / (product + self._blocks.solution_cost))

    @cached_property
    def _squares(self) -> Any:
        return self.scaled.power(2)

    @property
    def factor_cost(self) -> float:
        """Nanoseconds that a factor costs; infinite where it costs more than `most_cost`."""
        return np.inf if self._blocks is None else self._blocks.cost

    @property
    def has_factor(self) -> bool:
        """Whether a factor costs no more than `most_cost`."""
        return self._blocks is not None

    def diagonal(self, curvature: Floats) -> Floats:
        """Return the diagonal of A diag(curvature) A'."""
        if not isinstance(self.scaled, np.ndarray):
            return np.asarray(self._squares @ curvature)
        return np.asarray(np.einsum("ij,ij,j->i", self.scaled, self.scaled, curvature, optimize=False))

    def solve(self, curvature: Floats, diagonal: Floats, right: Floats) -> Floats:
        """Return x with a relative residual of `ACCURACY`, or the smallest that the iterations reached."""
        x = np.zeros_like(right)
        is_current = self._of is not None and np.array_equal(self._of, curvature)
        if is_current and self._beside is not None and np.array_equal(self._beside, diagonal):
            direct, done = self._direct(curvature, diagonal, right)
            if done:
                return direct
        # A factor that costs little is not worth keeping for another diagonal
        is_current = is_current and self.factor_cost > CHEAP
        if self._patience > FEW_ITERATIONS or is_current:
            most = FEW_ITERATIONS if is_current else self._patience
            x, done = self._iterate(curvature, diagonal, right, x, most)
            if done or self._blocks is None:
                return x
        assert self._blocks is not None
        self._factor = self._blocks.factor(curvature, diagonal)
        self._of, self._beside = curvature, diagonal
        direct, done = self._direct(curvature, diagonal, right)
        if done:
            return direct
        return self._iterate(curvature, diagonal, right, x, MOST_CORRECTIONS)[0]

    def prepared(self, curvature: Floats, diagonal: Floats) -> Solve:
        """Return a function that solves for several right-hand sides, by a new factor if one is affordable.

        For methods whose curvature changes so much from system to system that no factor serves twice.
        """
        self._factor = None if self._blocks is None else self._blocks.factor(curvature, diagonal)
        self._of = None
        most = MOST_ITERATIONS if self._blocks is None else MOST_CORRECTIONS
        return lambda right: self._iterate(curvature, diagonal, right, np.zeros_like(right), most, 1e-6)[0]

    def _iterate(
        self,
        curvature: Floats,
        diagonal: Floats,
        right: Floats,
        x: Floats,
        most: int,
        accuracy: float = ACCURACY,
    ) -> tuple[Floats, bool]:
        """Return x after conjugate gradients, and whether it is accurate."""
        from scipy.sparse.linalg import LinearOperator, cg

        shape = (len(right), len(right))
        matvec = partial(self._product, curvature, diagonal)
        system = LinearOperator(shape, matvec=matvec, dtype=np.float64)
        precondition = self._factor or self._by_diagonal(curvature, diagonal)
        inverse = LinearOperator(shape, matvec=precondition, dtype=np.float64)
        x, missing = cg(system, right, x, rtol=accuracy, maxiter=most, M=inverse)
        return x, not missing

    def _direct(self, curvature: Floats, diagonal: Floats, right: Floats) -> tuple[Floats, bool]:
        """Return what the factor takes for the solution, and whether it is accurate."""
        assert self._factor is not None
        x = self._factor(right)
        left = right - self._product(curvature, diagonal, x)
        return x, bool(np.linalg.norm(left) <= ACCURACY * np.linalg.norm(right))

    def _product(self, curvature: Floats, diagonal: Floats, x: Floats) -> Floats:
        return np.asarray(self.scaled @ (curvature * (self.transposed @ x)) + diagonal * x)

    def _by_diagonal(self, curvature: Floats, diagonal: Floats) -> Solve:
        whole = self.diagonal(curvature) + diagonal
        whole[whole == 0] = 1.0  # a target to which no record contributes
        inverse = 1.0 / whole
        return lambda right: inverse * right
