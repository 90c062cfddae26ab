"""Selection if the targets cannot all be met: pursuit of the residual, then exchanges.

Fewer records than independent targets cannot meet them all; then the selection decides by how much they are
missed, and this module minimises that alone. Orthogonal matching pursuit with non-negative weights (A. M.
Bruckstein, M. Elad, M. Zibulevsky: On the uniqueness of nonnegative sparse solutions to underdetermined
systems of equations, IEEE Transactions on Information Theory 54, 2008) makes a start; then one record is
exchanged for the best other one, as long as that lowers the squared error (A. J. Miller: Subset selection in
regression, 2002, chapter 3). Exchanges may also lower the squared error and a multiple of the sum of squared
weights together, which is least where weights are even.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Report = Callable[[float | None], bool]

# Records whose exchange is tried, those that are cheapest to remove first, before a selection counts as best
MOST_REMOVED = 5
LEAST_ERROR = 1e-14  # squared error, relative to the targets' squares, below which nothing is left to improve
LEAST_GAIN = 1e-9  # relative decrease of the squared error from which an exchange is made
FREE = 1e-9  # a column cannot be removed if a ridge changes less than this of what it contributes
LOST = 1e12  # trace of A A' / ridge above which rounding hides the ridge, so that `exchange` has done it all
INDEPENDENT = 1e-9  # a column is no new direction if its residual keeps less than this of its square


def _nobody(fraction: float | None) -> bool:
    return False


def pursue(scaled: Floats, target: Floats, k: int, report: Report = _nobody) -> Integers:
    """Return k columns, added one by one, whose non-negative combinations come near the target.

    Parameters
    ----------
    scaled : array of shape (Q, N)
        What each record adds to each target, divided by the scales of the targets.
    target : array of shape (Q,)
        The targets divided by their scales.
    k : int
        Number of columns, at most N.
    report : callable
        Called with the fraction that is done. Once it returns True, the remaining columns are those that
        correlate most with the residual, all at once.

    Returns
    -------
    array of shape (k,)
        The columns, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> pursue(np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 1.0]]), np.array([5.0, 0.2]), 2)
    array([0, 2])
    """
    norms = np.sqrt(np.einsum("ij,ij->j", scaled, scaled))
    norms[norms == 0] = np.inf
    selected: list[int] = []
    residual = target
    for done in range(k):
        correlation = scaled.T @ residual / norms
        correlation[selected] = -np.inf
        if report(done / k):
            selected += np.argsort(-correlation, kind="stable")[: k - done].tolist()
            break
        selected.append(int(correlation.argmax()))
        residual = target - scaled[:, selected] @ _weights(scaled[:, selected], target)
    return np.sort(np.array(selected, np.int64))


def exchange(
    scaled: Floats, target: Floats, selected: Integers, most: int = 200, report: Report = _nobody
) -> Integers:
    """Return a selection after exchanges of one record for another, each of which lowers the squared error.

    Parameters
    ----------
    scaled, target
        As in `pursue`.
    selected : array of shape (k,)
        The columns to start from.
    most : int
        Largest number of exchanges.
    report : callable
        Called before each exchange with None, as nobody knows how many there will be; True ends them.

    Returns
    -------
    array of shape (k,)
        The columns, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> exchange(np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 1.0]]), np.array([5.0, 0.2]), np.array([1, 2]))
    array([0, 1])
    """
    squares = np.einsum("ij,ij->j", scaled, scaled)
    weights, error = _solution(scaled, target, selected)
    for _ in range(most):
        if report(None) or error <= LEAST_ERROR * float(target @ target):
            break
        for removed in np.argsort(_cost_of_removal(scaled[:, selected], weights))[:MOST_REMOVED]:
            rest = np.delete(selected, removed)
            trial = np.append(rest, best_addition(scaled, squares, target, rest))
            trial_weights, trial_error = _solution(scaled, target, trial)
            if trial_error < error * (1.0 - LEAST_GAIN):
                selected, weights, error = trial, trial_weights, trial_error
                break
        else:
            break
    return np.sort(selected)


def exchange_with_ridge(
    scaled: Floats,
    target: Floats,
    selected: Integers,
    ridge: float,
    most: int = 300,
    report: Report = _nobody,
) -> Integers:
    """Return a selection after exchanges, each of which lowers ``|A w - t|^2 + ridge |w|^2``.

    For selected columns A the least of that, by weights of any sign, is ``t' K^-1 t`` with
    ``K = I + A A' / ridge``. Without column r it is larger by
    ``(a_r' K^-1 t)^2 / (ridge - a_r' K^-1 a_r)``, and with another column j smaller by
    ``(a_j' K^-1 t)^2 / (ridge + a_j' K^-1 a_j)``; only columns whose weight is positive are added. K^-1 A of
    all columns is carried along by updates of rank one.

    Parameters
    ----------
    scaled, target, selected, report
        As in `exchange`.
    ridge : float
        Above 0.
    most : int
        Largest number of exchanges.

    Returns
    -------
    array of shape (k,)
        The columns, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> scaled = np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 1.0]])
    >>> exchange_with_ridge(scaled, np.array([5.0, 2.0]), np.array([0, 2]), 0.1)
    array([0, 1])
    """
    selected = np.array(selected)
    gram = scaled[:, selected] @ scaled[:, selected].T / ridge
    if np.trace(gram) > LOST:
        return np.sort(selected)
    solved = np.linalg.solve(np.eye(len(target)) + gram, scaled)
    cost = float(target @ np.linalg.solve(np.eye(len(target)) + gram, target))
    squares = np.einsum("ij,ij->j", scaled, solved)
    for _ in range(most):
        pull, own = target @ solved, squares[selected]
        loss = np.full(len(selected), np.inf)
        np.divide(pull[selected] ** 2, ridge - own, out=loss, where=own < (1.0 - FREE) * ridge)
        if report(None):
            break
        for removed in np.argsort(loss)[:MOST_REMOVED]:
            gone = selected[removed]
            along, free = scaled.T @ solved[:, gone], ridge - squares[gone]
            without, sizes = pull + along * (pull[gone] / free), squares + along**2 / free
            gain = np.where(without > 0, without**2 / (ridge + sizes), -1.0)
            gain[selected] = -1.0
            new = int(gain.argmax())
            if loss[removed] - gain[new] < -LEAST_GAIN * cost:
                break
        else:
            break
        cost += float(loss[removed] - gain[new])
        solved = solved + np.outer(solved[:, gone], along / free)
        along = scaled.T @ solved[:, new]
        squares = sizes - along**2 / (ridge + sizes[new])
        solved = solved - np.outer(solved[:, new], along / (ridge + sizes[new]))
        selected[removed] = new
    return np.sort(selected)


def best_addition(scaled: Floats, squares: Floats, target: Floats, selected: Integers) -> int:
    """Return the column whose addition lowers the squared error most, if the weights of the others adapt.

    The weight of the new column must be positive; the signs of the others are ignored. `squares` are the
    squared norms of all columns.

    Examples
    --------
    >>> import numpy as np
    >>> scaled = np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 1.0]])
    >>> best_addition(scaled, (scaled**2).sum(axis=0), np.array([5.0, 3.0]), np.array([0]))
    1
    """
    basis = np.linalg.qr(scaled[:, selected])[0]
    new = squares - np.einsum("ij,ij->j", basis.T @ scaled, basis.T @ scaled)
    residual = target - scaled[:, selected] @ _weights(scaled[:, selected], target)
    pull = scaled.T @ residual
    is_possible = (pull > 0) & (new > INDEPENDENT * squares)
    gain = np.where(is_possible, pull**2 / np.where(new > 0, new, 1.0), -1.0)
    gain[selected] = -np.inf
    return int(gain.argmax())


def _weights(scaled: Floats, target: Floats) -> Floats:
    from scipy.optimize import nnls

    if not scaled.shape[1]:  # without columns, nnls aborts the process
        return np.empty(0)
    return np.asarray(nnls(scaled, target, maxiter=30 * scaled.shape[1] + 100)[0])


def _solution(scaled: Floats, target: Floats, selected: Integers) -> tuple[Floats, float]:
    weights = _weights(scaled[:, selected], target)
    residual = target - scaled[:, selected] @ weights
    return weights, float(residual @ residual)


def _cost_of_removal(scaled: Floats, weights: Floats) -> Floats:
    """Return by how much the squared error grows when one record is removed and the others adapt."""
    spread = np.diag(np.linalg.pinv(scaled.T @ scaled, hermitian=True))
    # The cost is 0 for a record that contributes to no target
    return np.divide(weights**2, spread, out=np.zeros(len(weights)), where=spread > 0)
