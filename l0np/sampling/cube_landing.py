"""The landing of the cube method: what a flight leaves between 0 and 1 is decided, at the least expense of balance.

Each step moves one record and lets the others follow so that the totals change least, up or down by chance, until one more
record is decided: the walk of C. Harshaw, F. Savje, D. A. Spielman, P. Zhang (Balancing covariates in randomized experiments
with the Gram-Schmidt walk design, JASA 119, 2024). Expected steps are 0, so that every record keeps its probability; and the
errors spread over all totals, where giving up one total after the other (Deville and Tille 2004) piles them up in the first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.sampling.cube_flight import draw, room

RIDGE = 1e-9  # of the mean square of the columns: dependent records may be left over in large totals
DEPENDENT = 1e-10  # share of the largest exact total's freedom, below which a combination of exact totals is none
SHRINK = 0.75  # share of undecided records at which the matrix is cut down to them

Floats = NDArray[np.float64]


def land(columns: Any, exact: Floats, p: Floats, uniforms: Floats) -> Floats:
    """Return the probabilities after a walk to 0 and 1: all of them but as many as there are independent exact totals.

    Parameters
    ----------
    columns : scipy.sparse array of shape (n, r)
        What each record adds to the totals that should change little, in units in which their changes count alike.
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
    >>> twins = sparse.csr_array(np.array([[1.0], [1.0], [2.0], [2.0]]))  # two pairs: one of each pair is drawn
    >>> land(twins, np.ones((4, 1)), np.full(4, 0.5), np.array([0.3, 0.6, 0.1, 0.9]))
    array([1., 0., 1., 0.])
    """
    from scipy.linalg.blas import dger

    p = p.copy()
    alive = np.arange(len(p))  # the record of each row of `freedom`
    freedom, kept = _freedom(columns, exact)
    is_alive = np.ones(len(p), bool)
    for uniform in uniforms[: len(p) - kept]:
        own = np.where(is_alive, np.diag(freedom), 0.0)
        freest = int(own.argmax())
        if own[freest] <= 0.0:
            break
        moves = np.where(is_alive, freedom[:, freest] / own[freest], 0.0)
        at = p[alive]
        step, stopped = draw(float(uniform), room(at, moves), room(at, -moves))
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
    """Return the matrix F whose column ``F[:, j] / F[j, j]`` moves record j by 1 and changes the totals least; and a rank.

    F is the inverse of the Gram matrix of the columns, projected to where the exact totals do not change; the rank is theirs.
    When a record s is decided, ``F - F[:, s] F[s] / F[s, s]`` is that of the others.
    """
    from scipy import linalg

    gram = (columns @ columns.T).toarray()
    n = len(gram)
    gram[np.diag_indices(n)] += RIDGE * (np.trace(gram) / n or 1.0)
    inverse = linalg.inv(gram, overwrite_a=True, check_finite=False)
    follow = inverse @ exact
    values, vectors = np.linalg.eigh(exact.T @ follow)
    independent = values > DEPENDENT * values[-1]
    follow = follow @ (vectors[:, independent] / np.sqrt(values[independent]))
    return np.asfortranarray(inverse - follow @ follow.T), int(np.count_nonzero(independent))
