"""Can weights within bounds meet the targets? One by one in closed form, together by linear programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix, entry_blocks
from l0np.targets import metrics

PRICED = 1e-7  # a target with a larger shadow price conflicts with those that are missed


def row_ranges(
    matrix: ColumnMatrix, lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the largest total of each row for ``lower <= w <= upper``; upper may be infinite.

    Examples
    --------
    >>> import numpy as np
    >>> M = ColumnMatrix.build(np.array([[1.0, 0.0], [1.0, -2.0]]), "float64")
    >>> row_ranges(M, lower=np.array([1.0, 1.0]), upper=np.array([3.0, np.inf]))
    (array([  1., -inf]), array([3., 1.]))
    """
    n_rows = matrix.shape[0]
    least, most = np.zeros(n_rows), np.zeros(n_rows)
    for rows, columns, values in entry_blocks(matrix):
        at_lower, at_upper = values * lower[columns], values * upper[columns]
        least += np.bincount(rows, np.minimum(at_lower, at_upper), minlength=n_rows)
        most += np.bincount(rows, np.maximum(at_lower, at_upper), minlength=n_rows)
    return least, most


@dataclass(frozen=True, eq=False)
class Feasibility:
    """The result of the linear programme.

    Attributes
    ----------
    violated : array of row indices
        The targets that are missed when the sum of all relative misses is smallest; empty if all can be met.
    misses : array of float64
        Estimate minus target beyond the tolerance, relative to the scale, for each of these.
    opposed : array of row indices
        The targets that are met only because those are missed: their shadow price is not 0.
    """

    violated: NDArray[np.intp]
    misses: NDArray[np.float64]
    opposed: NDArray[np.intp]


def feasibility(
    rows: Any,
    target: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    scale: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    seconds: float,
) -> Feasibility | str:
    """Minimise the sum of scaled ``|M w - y|`` beyond tolerances, within bounds; or return why that failed.

    The variables are the weights, an excess and a shortfall of each target and, for targets with a tolerance,
    an error within it: ``M w - excess + shortfall + error = y``. The solver is HiGHS (Huangfu and Hall 2018),
    which is stopped after `seconds`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> rows = sparse.csr_array(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> target, none, one = np.array([2.0, 3.0, 7.0]), np.zeros(3), np.ones(3)
    >>> found = feasibility(rows, target, none, one, none[:2], np.full(2, np.inf), seconds=10.0)
    >>> len(found.violated), float(abs(found.misses).sum().round(6)), len(found.opposed)
    (1, 2.0, 2)
    """
    from scipy import optimize, sparse

    n_rows, n_columns = rows.shape
    width = np.flatnonzero(tolerance)
    identity = sparse.eye_array(n_rows, format="csr")
    scaled = sparse.diags_array(1.0 / scale, format="csr") @ rows
    within = (tolerance / scale)[width]
    lowest = np.concatenate((lower, np.zeros(2 * n_rows), -within))
    highest = np.concatenate((upper, np.full(2 * n_rows, np.inf), within))
    problem: dict[str, Any] = {
        "c": np.concatenate((np.zeros(n_columns), np.ones(2 * n_rows), np.zeros(len(width)))),
        "A_eq": sparse.hstack((scaled, -identity, identity, identity[:, width]), format="csc"),
        "b_eq": target / scale,
        "bounds": np.column_stack((lowest, highest)),
    }
    solved: Any = optimize.linprog(**problem, method="highs", options={"time_limit": seconds})
    if solved.status != 0:
        return (
            f"not solved in {seconds:g} s" if solved.status == 1 else f"the solver gave up: {solved.message}"
        )
    miss = solved.x[n_columns : n_columns + n_rows] - solved.x[n_columns + n_rows : n_columns + 2 * n_rows]
    violated = np.abs(miss) > metrics.MET  # the solver's own errors are a thousandth of that
    priced = np.abs(solved.eqlin.marginals) > PRICED
    return Feasibility(
        np.flatnonzero(violated), miss[violated], np.flatnonzero(priced & ~violated & bool(violated.any()))
    )
