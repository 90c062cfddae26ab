"""`MarginProblem`: M, y and all that belongs to them, made from two tables; and how functions take it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted, number
from l0np.errors import InputError
from l0np.matrix import ColumnMatrix
from l0np.targets import TargetOptions

MARGINS = 12  # margins that a printed problem lists
WIDTH = 100  # of its lines


@dataclass(frozen=True, eq=False)
class Keys:
    """How answers identify the columns of M, and which of its rows belong together.

    Attributes
    ----------
    kind : str or None
        The library of the frames in which answers are given.
    name : str or None
        The column of identifiers, under its own name; None if there is none.
    values : array of shape (N,) or None
        The identifiers.
    noun : str
        What a column of M is: "record" or "unit".
    margins : tuple of Q str, optional
        The margin of each target.
    """

    kind: str | None = None
    name: str | None = None
    values: NDArray[Any] | None = None
    noun: str = "record"
    margins: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class MarginProblem:
    """What `margins` makes of a table of records and a table of totals; it prints itself.

    `calibrate`, `l0_path`, `check_targets`, `diagnose`, `target_table` and the methods `fit`, `refit` and
    `predict` of `SparseCalibrationWeights` take it in the place of M and y.

    Attributes
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record, or unit, adds to each target for one unit of weight.
    y : array of shape (Q,)
        The targets.
    base_weights : array of shape (N,)
        The base weights.
    names : tuple of Q str
        The names of the targets.
    options : dict
        The target options that the totals give: names, and groups, weights, tolerances, scales, caps and
        excluded targets where there are any. See `l0np.TargetOptions`.
    keys : Keys
        The identifiers of records or units, and the kind of frames.
    notes : tuple of str
        What was done with missing values, and totals that disagree.
    margins : tuple of str
        The margin of each target.
    settings : dict
        The arguments of `margins` that are not tables.
    """

    matrix: ColumnMatrix
    y: NDArray[np.float64]
    base_weights: NDArray[np.float64]
    names: tuple[str, ...]
    options: TargetOptions
    keys: Keys
    notes: tuple[str, ...] = ()
    margins: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def ids(self) -> NDArray[Any] | None:
        """The identifiers of the columns of M; None if no column holds any."""
        return self.keys.values

    @property
    def shape(self) -> tuple[int, int]:
        """Number of targets and of records (or units)."""
        return self.matrix.shape

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Show sizes, margins and notes in a few lines."""
        n_targets, n_records = self.shape
        size = f"{counted(n_targets, 'target')}, {counted(n_records, self.keys.noun)}"
        count = Counter(self.margins)
        shown = [f"{name} ({n:,})" if n > 1 else name for name, n in list(count.items())[:MARGINS]]
        shown += [f"{len(count) - MARGINS:,} more"] if len(count) > MARGINS else []
        total = number(float(self.base_weights.sum()))
        wrapped = wrap(", ".join(shown), WIDTH, initial_indent="  margins       ", subsequent_indent=" " * 16)
        lines = [f"MarginProblem: {size}", *wrapped]
        lines += [f"  base weights  {total} in total", *(f"  note          {note}" for note in self.notes)]
        return "\n".join(lines)


def problem_parts(
    M: Any, y: Any, base_weights: Any, options: TargetOptions
) -> tuple[Any, Any, Any, TargetOptions, Keys | None]:
    """Return M, y, base weights, target options and keys: those of a `MarginProblem`, or what was given.

    What a user gives beside a problem goes before what the problem says.

    Raises
    ------
    InputError
        If y is given beside a problem.
    """
    if not isinstance(M, MarginProblem):
        return M, y, base_weights, options, None
    if y is not None:
        rule = "leave y out, and give other arguments by name, as in n_active=100"
        raise InputError(f"M is a MarginProblem, which has its own totals: {rule}")
    base = M.base_weights if base_weights is None else base_weights
    merged: Any = {**M.options, **options}
    return M.matrix, M.y, base, merged, M.keys
