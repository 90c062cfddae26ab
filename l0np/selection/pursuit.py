"""Selection where the targets cannot all be met: pursuit of the residual, then exchanges.

Fewer records than independent targets cannot meet them; then the selection decides how far they are missed, and it is chosen
for that alone. Orthogonal matching pursuit with non-negative weights (A. M. Bruckstein, M. Elad, M. Zibulevsky: On the
uniqueness of nonnegative sparse solutions to underdetermined systems of equations, IEEE Transactions on Information Theory 54,
2008) makes a start; then a record is put out and the best one taken in, as long as that brings the targets closer
(A. J. Miller: Subset selection in regression, 2002, chapter 3).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CANDIDATES_OUT = 5  # records tried for exchange before a selection counts as the best: those that are missed least
LEAST_ERROR = 1e-14  # squared, relative to the targets' squares, below which nothing is left to better
LEAST_GAIN = 1e-9  # relative fall of the squared error for which an exchange is made
INDEPENDENT = 1e-9  # a record whose column keeps less than this of its square is no new direction


def pursue(rows: Floats, target: Floats, k: int) -> NDArray[np.int64]:
    """Return k columns whose non-negative combinations come near the target, taken in one after the other.

    Parameters
    ----------
    rows : array of shape (Q, N)
        What each record adds to each target, divided by the scales of the targets.
    target : array of shape (Q,)
        The targets in units of their scales.
    k : int
        Number of columns, at most N.

    Examples
    --------
    >>> import numpy as np
    >>> pursue(np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 1.0]]), np.array([5.0, 0.2]), 2)
    array([0, 2])
    """
    norms = np.sqrt(np.einsum("ij,ij->j", rows, rows))
    norms[norms == 0] = np.inf
    chosen: list[int] = []
    residual = target
    for _ in range(k):
        correlation = rows.T @ residual / norms
        correlation[chosen] = -np.inf
        chosen.append(int(correlation.argmax()))
        residual = target - rows[:, chosen] @ _weights(rows[:, chosen], target)
    return np.sort(np.array(chosen, np.int64))


def exchange(rows: Floats, target: Floats, selected: NDArray[np.int64], most: int = 200) -> NDArray[np.int64]:
    """Return a selection of the same size that no exchange of one of its least needed records betters; arguments as above.

    Examples
    --------
    >>> import numpy as np
    >>> exchange(np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 1.0]]), np.array([5.0, 0.2]), np.array([1, 2]))
    array([0, 1])
    """
    squares = np.einsum("ij,ij->j", rows, rows)
    weights, error = _solution(rows, target, selected)
    for _ in range(most):
        if error <= LEAST_ERROR * float(target @ target):
            break
        for out in np.argsort(_price_of_leaving(rows[:, selected], weights))[:CANDIDATES_OUT]:
            rest = np.delete(selected, out)
            trial = np.append(rest, _best_to_join(rows, squares, target, rest))
            trial_weights, trial_error = _solution(rows, target, trial)
            if trial_error < error * (1.0 - LEAST_GAIN):
                selected, weights, error = trial, trial_weights, trial_error
                break
        else:
            break
    return np.sort(selected)


def _weights(rows: Floats, target: Floats) -> Floats:
    from scipy.optimize import nnls

    if not rows.shape[1]:  # nnls aborts the process
        return np.empty(0)
    return np.asarray(nnls(rows, target, maxiter=30 * rows.shape[1] + 100)[0])


def _solution(rows: Floats, target: Floats, selected: NDArray[np.int64]) -> tuple[Floats, float]:
    weights = _weights(rows[:, selected], target)
    residual = target - rows[:, selected] @ weights
    return weights, float(residual @ residual)


def _price_of_leaving(rows: Floats, weights: Floats) -> Floats:
    """Return by how much the squared error grows when a record leaves and the others take over."""
    spread = np.diag(np.linalg.pinv(rows.T @ rows, hermitian=True))
    return np.divide(weights**2, spread, out=np.zeros(len(weights)), where=spread > 0)  # 0 for a record in no target


def _best_to_join(rows: Floats, squares: Floats, target: Floats, selected: NDArray[np.int64]) -> int:
    """Return the record that lowers the squared error most when the others adapt, as long as their signs allow it."""
    basis = np.linalg.qr(rows[:, selected])[0]
    new = squares - np.einsum("ij,ij->j", basis.T @ rows, basis.T @ rows)
    residual = target - rows[:, selected] @ _weights(rows[:, selected], target)
    pull = rows.T @ residual
    gain = np.where((pull > 0) & (new > INDEPENDENT * squares), pull**2 / np.where(new > 0, new, 1.0), -1.0)
    gain[selected] = -np.inf
    return int(gain.argmax())
