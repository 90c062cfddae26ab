"""The landing of the cube method: records that a flight leaves undecided are decided.

The totals change little.

Each step moves one record, up or down by chance, and the others so that the totals change least, until one
more probability is 0 or 1: the walk of C. Harshaw, F. Savje, D. A. Spielman, P. Zhang (Balancing covariates
in randomized experiments with the Gram-Schmidt walk design, JASA 119, 2024). Steps are 0 on average, so that
every record keeps its probability; and the errors spread over all totals, whereas dropping one total after
the other (Deville and Tille 2004) concentrates them in the totals that are dropped first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.sampling.cube_flight import longest_step, random_step

# Added to the Gram matrix, times the mean square of the columns, because records may depend on each other
RIDGE = 1e-9
DEPENDENT = 1e-10  # times the largest eigenvalue: below it, combinations of exact totals are dependent
INEXACT = 1e-6  # change of an exact total, relative to the largest move, that is not due to rounding
SHRINK = 0.75  # fraction of undecided records at which the matrix is cut down to them

Floats = NDArray[np.float64]


def land(columns: Any, exact: Floats, p: Floats, uniforms: Floats) -> Floats:
    """Return the probabilities after a walk to 0 and 1.

    As many as there are independent exact totals may end between 0 and 1.

    Parameters
    ----------
    columns : scipy.sparse array of shape (n, r)
        What each record adds to the totals that should change little, in units that make changes comparable.
    exact : array of shape (n, e)
        What each record adds to the totals that must not change.
    p : array of shape (n,)
        The probabilities.
    uniforms : array of shape (n,)
        A uniform number for each step.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> pairs = sparse.csr_array(np.array([[1.0], [1.0], [2.0], [2.0]]))
    >>> drawn = land(pairs, np.ones((4, 1)), np.full(4, 0.5), np.array([0.3, 0.6, 0.1, 0.9]))
    >>> drawn.reshape(2, 2).sum(axis=1).round(9)  # one of each pair
    array([1., 1.])
    """
    from scipy.linalg.blas import dger

    p = p.copy()
    alive = np.arange(len(p))  # the record of each row of `freedom`
    freedom, rank = _freedom(columns, exact)
    is_alive = np.ones(len(p), bool)
    for uniform in uniforms[: len(p) - rank]:
        own = np.where(is_alive, np.diag(freedom), 0.0)
        freest = int(own.argmax())
        if own[freest] <= 0.0:
            break
        moves = np.where(is_alive, freedom[:, freest] / own[freest], 0.0)
        at = p[alive]
        step, stopped = random_step(float(uniform), longest_step(at, moves), longest_step(at, -moves))
        p[alive] = at + step * moves
        p[alive[stopped]] = np.round(p[alive[stopped]])
        is_alive[stopped] = False
        if own[stopped] > 0.0:
            column = freedom[:, stopped].copy()
            freedom = dger(-1.0 / own[stopped], column, column, a=freedom, overwrite_a=True)
        if np.count_nonzero(is_alive) < SHRINK * len(is_alive):
            alive, freedom = alive[is_alive], np.asfortranarray(freedom[np.ix_(is_alive, is_alive)])
            is_alive = np.ones(len(alive), bool)
    return np.clip(p, 0.0, 1.0)


def _freedom(columns: Any, exact: Floats) -> tuple[Floats, int]:
    """Return the matrix F of best moves, and the rank of the exact totals.

    ``F[:, j] / F[j, j]`` moves record j by 1 and changes the totals least. F is the inverse of the Gram
    matrix of the columns, projected onto the moves that change no exact total. When record s is decided, F
    becomes ``F - F[:, s] F[s] / F[s, s]``.
    """
    from scipy import linalg

    gram = (columns @ columns.T).toarray()
    n = len(gram)
    gram[np.diag_indices(n)] += RIDGE * (np.trace(gram) / n or 1.0)
    inverse = linalg.inv(gram, check_finite=False)
    follow = inverse @ exact
    values, vectors = np.linalg.eigh(exact.T @ follow)
    independent = values > DEPENDENT * values[-1]
    follow = follow @ (vectors[:, independent] / np.sqrt(values[independent]))
    freedom = inverse - follow @ follow.T
    change = np.abs(exact.T @ freedom).max(axis=0) / np.abs(freedom).max(initial=np.finfo(float).tiny)
    # If eigenvalues spread too far, small ones cannot be distinguished from 0
    if change.max() > INEXACT * np.abs(exact).max():
        return _freedom_in_null_space(gram, exact)
    return np.asfortranarray(freedom), int(np.count_nonzero(independent))


def _freedom_in_null_space(gram: Floats, exact: Floats) -> tuple[Floats, int]:
    """Return the same from a basis of the moves that change no exact total: accurate, but slower."""
    from scipy import linalg

    basis = linalg.null_space(exact.T, rcond=DEPENDENT)
    inner = linalg.inv(basis.T @ gram @ basis, check_finite=False) if basis.shape[1] else np.empty((0, 0))
    return np.asfortranarray(basis @ inner @ basis.T), len(gram) - basis.shape[1]
