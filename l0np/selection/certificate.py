"""`evenness_bound`: how large the effective sample size of k records that meet the targets can be at most.

The bound comes from the perspective relaxation (O. Gunluk, J. Linderoth: Perspective reformulations of mixed
integer nonlinear programs with indicator variables, Mathematical Programming 124, 2010). With u = w / sum(w),
1 / (effective sample size) is at least the least of ``sum u^2 / z`` under ``M u = s y``, ``sum u = 1``,
``sum z = k``, ``0 <= z <= 1``, u >= 0 and s >= 0. Its dual function, with ``a = max(M' m + n, 0)``, is
``n - (sum of the k largest a^2) / 4``: each n, and each m with m'y >= 0, gives a bound. So the bound holds
even where the search for the best one has ended early.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np.errors import InputError
from l0np.inputs import known_arguments, validation
from l0np.matrix import ColumnMatrix

Floats = NDArray[np.float64]

STEPS = 500  # of the search, at most


@known_arguments()
def evenness_bound(
    M: Any, y: ArrayLike, n_active: int, base_weights: ArrayLike = 1.0, *, steps: int = STEPS
) -> float:
    """Return an upper bound of (effective sample size) / k for any k records whose weights meet the targets.

    Whatever their weights are relative to reference weights: only that they are 0 or more is used.

    Parameters
    ----------
    M, y
        As in `calibrate`; every target is to be met exactly.
    n_active : int
        The number of records k.
    base_weights : float or array of shape (N,)
        Design weights; records of weight 0 are never selected.
    steps : int
        Steps of the search for the least bound; each bound on the way holds.

    Returns
    -------
    float
        At most 1; 0 if the search finds that no weights can meet the targets.

    Raises
    ------
    InputError, InputTypeError
        For unusable arguments, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> rng = np.random.default_rng(0)
    >>> M = np.vstack([np.ones(1000), rng.lognormal(size=(6, 1000))])
    >>> y = M @ rng.lognormal(size=1000)
    >>> answer = l0np.calibrate(M, y, 30, seed=0)
    >>> bound = l0np.evenness_bound(M, y, 30)
    >>> 0.8 * bound < answer.diagnostics.effective_sample_size / 30 <= bound <= 1
    True
    """
    from scipy.optimize import minimize

    matrix = ColumnMatrix.of(M)
    validation.check_rows("M", matrix.shape, "y", y)
    value = validation.vector("y", y, matrix.shape[0], np.dtype(np.float64), per="row of M")
    base = validation.column_values("base_weights", base_weights, "M", M, matrix.shape[1], at_least=0.0)
    eligible = np.flatnonzero(base)
    k = validation.integer("n_active", n_active, at_least=1, at_most=matrix.shape[1])
    if k > len(eligible):
        raise InputError(
            f"n_active must be at most {len(eligible)}, the number of records with a base weight"
        )
    most = validation.integer("steps", steps, at_least=1)
    dual = _Dual(matrix.take(eligible), value, k)
    found = minimize(
        dual.value_and_gradient,
        dual.start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": most, "maxcor": 30, "ftol": 1e-12},
    )
    return float(min(dual.bound(np.asarray(found.x)), 1.0))


class _Dual:
    """The dual function with multipliers in units of the rows, so that no row's unit matters."""

    def __init__(self, matrix: Any, value: Floats, k: int) -> None:
        from scipy import sparse

        self.k, rows = k, sparse.csr_array(matrix)
        n = rows.shape[1]
        lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel() / n)
        scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        self.rows = sparse.csr_array(sparse.diags_array(scale) @ rows)
        target = value * scale
        self.target = target / (np.linalg.norm(target) or 1.0)
        # The sum of u is 1: at multipliers of 0 and n = 2 / k the value is 1 / k, an effective size of k
        self.start = np.append(np.zeros(len(value)), 1.0)

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        """Return minus the dual value, in units of 1 / k, and its gradient.

        x holds m and n in units of 2 / k.
        """
        feasible, shift = self._feasible(x[:-1])
        a = np.maximum(self.rows.T @ feasible + x[-1], 0.0)
        largest = np.argpartition(-a, self.k - 1)[: self.k]
        value = 2.0 * x[-1] - float((a[largest] ** 2).sum()) / self.k
        active = np.zeros(len(a))
        active[largest] = a[largest] * (2.0 / self.k)
        pull = -(self.rows @ active)
        if shift:  # the multipliers are projected, and so is the gradient
            pull -= self.target * float(self.target @ pull)
        return -value, -np.append(pull, 2.0 - active.sum())

    def bound(self, x: Floats) -> float:
        """Return the bound of ESS / k: the inverse of the dual value, scaled by its best factor."""
        feasible, _ = self._feasible(x[:-1])
        a = np.maximum(self.rows.T @ feasible + x[-1], 0.0)
        squares = float(np.partition(a**2, len(a) - self.k)[len(a) - self.k :].sum()) / self.k
        if x[-1] <= 0.0:
            return 1.0
        # value(t x) = 2 t n - t^2 squares has its maximum n^2 / squares
        return squares / float(x[-1]) ** 2

    def _feasible(self, m: Floats) -> tuple[Floats, bool]:
        """Return the nearest multipliers with m'y >= 0, and whether they differ from the given ones."""
        along = float(self.target @ m)
        return (m, False) if along >= 0 else (m - along * self.target, True)
