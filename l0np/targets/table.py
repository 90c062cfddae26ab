"""`TargetTable`: each target beside its estimate and error."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import NAME_WIDTH, SHOWN, columns, number, percent, shorten
from l0np.tables import frame_of, write_columns
from l0np.targets import metrics
from l0np.targets.targets import Targets


@dataclass(frozen=True, eq=False, repr=False)
class TargetTable:
    """Each target beside its estimate and error: arrays of one length, a row for each target.

    Attributes
    ----------
    name : array of str
        Names, or numbers where targets have none.
    target, estimate, error : arrays of float64
        The target, ``M @ weights``, and ``estimate - target``.
    relative_error : array of float64
        Error divided by the target's scale: `target_scales` where given, else ``|target|``. The scale of a
        target of 0 is the size of its row under the base weights, ``sum_j |M_ij| w_j``, or 1 where that is
        unknown or 0.
    within_tolerance : array of bool
        Whether the error exceeds the tolerance (0 by default) by no more than a millionth of the scale, as in
        a refit.
    fitted : array of bool
        False for targets that were held out.
    weight : array of float64
        Weight of the error in what was minimised; 0 where the target was only scored.
    group : array, optional
        The label of each target's group.
    tolerance : array of float64, optional
        Errors that cost nothing, in the units of the target.
    before : array of float64, optional
        The estimate under the base weights.
    kind : str, optional
        The library of the frame that `to_frame` returns.
    scale : array of float64, optional
        What errors are divided by.
    relative_before : array of float64
        Relative error under the base weights; NaN where these are unknown.
    """

    name: NDArray[np.str_]
    target: NDArray[np.float64]
    estimate: NDArray[np.float64]
    error: NDArray[np.float64]
    relative_error: NDArray[np.float64]
    within_tolerance: NDArray[np.bool_]
    fitted: NDArray[np.bool_]
    weight: NDArray[np.float64]
    group: NDArray[Any] | None = None
    tolerance: NDArray[np.float64] | None = None
    before: NDArray[np.float64] | None = None
    kind: str | None = None
    scale: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        targets: Targets,
        estimate: NDArray[np.float64],
        factor: float = 1.0,
        size: NDArray[np.float64] | float = 0.0,
    ) -> TargetTable:
        """Return the table of targets and what was estimated for them.

        `factor` is one on their weights; `size` is ``sum_j |M_ij| |w_j|``, for what rounding allows.
        """
        scale = targets.error_scale
        error = estimate - targets.value
        return cls(
            name=np.array([targets.name(i) for i in range(len(targets))]),
            target=targets.value,
            estimate=estimate,
            error=error,
            relative_error=error / scale,
            within_tolerance=metrics.is_met(error, targets.tolerance, scale, size),
            fitted=targets.fitted,
            weight=targets.weights * factor,
            group=targets.groups,
            tolerance=targets.tolerance,
            scale=np.asarray(scale, np.float64),
        )

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.name)

    def __getitem__(self, rows: Any) -> TargetTable:
        """Return the rows that a slice, a mask or an array of indices picks."""
        picked: dict[str, Any] = {
            name: None if array is None else array[rows] for name, array in self._columns().items()
        }
        return TargetTable(**picked, kind=self.kind)

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Whether each target was to be met: neither held out nor of weight 0."""
        return self.fitted & (self.weight > 0)

    @property
    def missed(self) -> NDArray[np.bool_]:
        """Whether each target was to be met and is not within its tolerance."""
        return self.asked & ~self.within_tolerance

    @property
    def relative_before(self) -> NDArray[np.float64]:  # noqa: D102  # see the class
        if self.before is None:
            return np.full(len(self), np.nan)
        scale = np.where(self.target == 0, 1.0, np.abs(self.target)) if self.scale is None else self.scale
        return (self.before - self.target) / scale

    def worst(self, n: int) -> TargetTable:
        """Return the n rows with the largest relative errors, the worst first."""
        return self[np.argsort(-np.abs(self.relative_error), kind="stable")[:n]]

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame; pandas must be installed."""
        import pandas as pd

        hidden = ("tolerance", "before", "scale")
        shown = {name: column for name, column in self._columns().items() if name not in hidden}
        return pd.DataFrame({name: column for name, column in shown.items() if column is not None})

    def to_frame(self) -> Any:
        """Return the table as a frame of the kind that the problem came in.

        The columns are name, group, target, before (the estimate under the base weights), after, error
        (after - target), tolerance and met.

        Raises
        ------
        MissingPackageError
            If no frame came in and none of polars, pandas and pyarrow is installed.

        Examples
        --------
        >>> from l0np import calibrate
        >>> import pandas as pd
        >>> M = pd.DataFrame([[1.0, 1.0], [0.0, 2.0]], index=["people", "cars"])
        >>> table = calibrate(M, [10.0, 8.0], base_weights=5.0).targets.to_frame()
        >>> table[["name", "target", "before", "after", "met"]].round(6)
             name  target  before  after   met
        0  people    10.0    10.0   10.0  True
        1    cars     8.0    10.0    8.0  True
        """
        return frame_of(self._shown(), self.kind)

    def write(self, path: Any) -> None:
        """Write the table of `to_frame` as CSV, Parquet or `.npz`, by the ending of the path.

        Raises
        ------
        InputError, MissingPackageError
            If the path cannot be written, or for Parquet where polars is not installed.
        """
        write_columns(path, self._shown())

    def _shown(self) -> dict[str, Any]:
        n = len(self)
        return {
            "name": self.name,
            "group": np.full(n, None) if self.group is None else self.group,
            "target": self.target,
            "before": np.full(n, np.nan) if self.before is None else self.before,
            "after": self.estimate,
            "error": self.error,
            "tolerance": np.zeros(n) if self.tolerance is None else self.tolerance,
            "met": self.within_tolerance,
        }

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "kind"}

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Show the worst targets."""
        shown, notes = self.worst(SHOWN), {(False, False): "  held out", (True, False): "  weight 0"}
        rows = [["", "target", "estimate", "error", "relative", ""]]
        for i in range(len(shown)):
            numbers = [number(column[i]) for column in (shown.target, shown.estimate, shown.error)]
            note = notes.get((bool(shown.fitted[i]), bool(shown.asked[i])), "")
            rows.append(
                [shorten(shown.name[i], NAME_WIDTH), *numbers, percent(shown.relative_error[i]), note]
            )
        lines = columns(rows, (-len("target"), 16, 16, 14, 10, -1))
        rest = len(self) - len(shown)
        if rest:
            largest = float(np.abs(self.worst(SHOWN + 1).relative_error[-1]))
            lines.append(f"... and {rest:,} more, each within {percent(largest)}")
        return "\n".join(lines)
