"""`Aggregate`: totals of targets as a user asks for them, and the matrix that adds them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from l0np.errors import InputError
from l0np.inputs import index_names, partial_labels
from l0np.matrix import ColumnMatrix

FLOAT = np.dtype(np.float64)


@dataclass(frozen=True, eq=False)
class Aggregate:
    """Totals of targets to be met as well, for example of states made of districts; M needs no extra rows.

    They add ``weight * loss(A @ M @ w)`` to the loss, A being the G x Q matrix that adds targets up, with
    errors of the kind that `loss_type` says.

    Parameters
    ----------
    members : array of Q labels, or matrix of shape (G, Q)
        Labels: one total for each label, the sum of the targets that bear it, in the order of the sorted
        labels; None, NaN and, among numbers, -1 stand for no total. A matrix, sparse or dense: one total for
        each row.
    totals : array of shape (G,), optional
        What the totals are to be. By default what the targets add up to, ``A @ y``, and then excluded targets
        have no part in them, so that nothing is learnt from what is held out.
    weight : float
        Factor on the loss of these totals, 0 or more.
    scales, tolerances, caps : float or array of shape (G,), optional
        For these totals, as `target_scales`, `tolerances` and `caps` are for the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import Aggregate, SparseCalibrationWeights
    >>> M = np.random.default_rng(0).uniform(size=(3, 40))  # people of 3 districts, 2 of them in one state
    >>> state = Aggregate(["VT", "VT", None], weight=2.0, tolerances=0.5)
    >>> model = SparseCalibrationWeights(40, seed=0)
    >>> model = model.fit(M, M.sum(axis=1), lr=0.1, epochs=50, loss_type="relative", aggregates=state)
    """

    members: Any
    totals: ArrayLike | None = None
    weight: float = 1.0
    scales: ArrayLike | None = None
    tolerances: ArrayLike | None = None
    caps: ArrayLike | None = None


def listed(name: str, given: Any) -> list[tuple[str, Aggregate]]:
    """Return the aggregates that a user gives, one or several, each with its name in messages."""
    if isinstance(given, list | tuple) and len(given) > 0 and not _is_label(given[0]):
        return [(f"{name}[{i}]", _as_aggregate(one)) for i, one in enumerate(given)]
    return [(name, _as_aggregate(given))]


def _as_aggregate(given: Any) -> Aggregate:
    return given if isinstance(given, Aggregate) else Aggregate(given)


def _is_label(value: Any) -> bool:
    return (
        value is None or isinstance(value, str) or (not isinstance(value, Aggregate) and np.ndim(value) == 0)
    )


def adding_matrix(name: str, members: Any, n_targets: int) -> tuple[ColumnMatrix, tuple[str, ...] | None]:
    """Return the matrix that adds targets up and, where they have any, the names of its rows."""
    if len(getattr(members, "shape", np.shape(members) if isinstance(members, list | tuple) else ())) == 2:
        matrix = ColumnMatrix.build(members, FLOAT, name=name, fold=False)
        if matrix.shape[1] != n_targets:
            raise InputError(
                f"{name} must have one column for each row of M, {n_targets}; it has shape {matrix.shape}"
            )
        return matrix, index_names(members)
    labels, present = partial_labels(name, members, n_targets, per="row of M")
    if not labels.size:
        raise InputError(f"{name} gives no target a label")
    groups, rows = np.unique(labels, return_inverse=True)
    shape = (len(groups), n_targets)
    matrix = ColumnMatrix.from_coo(rows, np.flatnonzero(present), np.ones(len(rows)), shape, FLOAT)
    return matrix, tuple(str(group) for group in groups.tolist())
