"""`TargetTable`: what weights make of each target; and how numbers are printed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np import metrics
from l0np.targets import Targets

SHOWN = 10  # rows that a printed table has room for
NAME_WIDTH = 40


@dataclass(frozen=True, eq=False, repr=False)
class TargetTable:
    """What each target is and what the weights make of it: arrays of one length, a row for each target.

    Attributes
    ----------
    name : array of str
        Names, or numbers where targets have none.
    target, estimate, error : arrays of float64
        The target, ``M @ weights``, and ``estimate - target``.
    relative_error : array of float64
        Error divided by the target's scale: `target_scales` where given, else ``max(|target|, 1)``.
    within_tolerance : array of bool
        Whether the error exceeds the tolerance (0 by default) by no more than a millionth of the scale, as in a refit.
    fitted : array of bool
        False for targets that were held out.
    group : array, optional
        The label of each target's group.
    """

    name: NDArray[np.str_]
    target: NDArray[np.float64]
    estimate: NDArray[np.float64]
    error: NDArray[np.float64]
    relative_error: NDArray[np.float64]
    within_tolerance: NDArray[np.bool_]
    fitted: NDArray[np.bool_]
    group: NDArray[Any] | None = None

    @classmethod
    def of(cls, targets: Targets, estimate: NDArray[np.float64]) -> TargetTable:
        """Return the table of targets and what was estimated for them."""
        scale = targets.error_scale
        error = estimate - targets.value
        return cls(
            name=np.array([targets.name(i) for i in range(len(targets))]),
            target=targets.value,
            estimate=estimate,
            error=error,
            relative_error=error / scale,
            within_tolerance=metrics.is_met(error, targets.tolerance, scale),
            fitted=targets.fitted,
            group=targets.groups,
        )

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.name)

    def __getitem__(self, rows: Any) -> TargetTable:
        """Return the rows that a slice, a mask or an array of indices picks."""
        picked: dict[str, Any] = {name: None if array is None else array[rows] for name, array in self._columns().items()}
        return TargetTable(**picked)

    def worst(self, n: int) -> TargetTable:
        """Return the n rows with the largest relative errors, the worst first."""
        return self[np.argsort(-np.abs(self.relative_error), kind="stable")[:n]]

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame; pandas must be installed."""
        import pandas as pd

        return pd.DataFrame({name: column for name, column in self._columns().items() if column is not None})

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Show the worst targets."""
        shown = self.worst(SHOWN)
        width = min(max(len(name) for name in (*shown.name, "target")), NAME_WIDTH)
        lines = [f"{'':{width}}{'target':>16}{'estimate':>16}{'error':>14}{'relative':>10}"]
        for i in range(len(shown)):
            note = "" if shown.fitted[i] else "  held out"
            numbers = f"{number(shown.target[i]):>16}{number(shown.estimate[i]):>16}{number(shown.error[i]):>14}"
            lines.append(f"{shorten(shown.name[i], width):{width}}{numbers}{percent(shown.relative_error[i]):>10}{note}")
        rest = len(self) - len(shown)
        if rest:
            lines.append(f"... and {rest:,} more, each within {percent(np.abs(self.worst(SHOWN + 1).relative_error[-1]))}")
        return "\n".join(lines)


def number(value: float) -> str:
    """Return a number as a reader likes it: whole from 1,000 on, else with four digits; "-" for NaN."""
    if np.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def percent(value: float, digits: int = 2) -> str:
    """Return a share as a percentage; tiny ones as a power of ten, for 0.00% would claim too much; "-" for NaN."""
    if np.isnan(value):
        return "-"
    if value and abs(value) < 0.5 * 10.0 ** -(digits + 2):
        return f"{100 * value:.0e}%"
    return f"{value:.{digits}%}"


def shorten(text: str, width: int) -> str:
    """Return the text, cut to the width where it is longer."""
    return text if len(text) <= width else text[: width - 3] + "..."
