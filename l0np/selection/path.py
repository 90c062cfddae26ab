"""`l0_path`: one problem answered for many numbers of records, and the smallest that is good enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from l0np._text import columns, percentage
from l0np.engine import Communicator
from l0np.errors import InputError
from l0np.inputs import known_arguments, validation
from l0np.models import checked_communicator
from l0np.plots import path_figure
from l0np.refit import DEFAULT_BOUNDS
from l0np.selection.all_records import AllRecords
from l0np.selection.api import NO_ZERO, checked_problem
from l0np.selection.gates import GateRun
from l0np.selection.methods import METHODS
from l0np.selection.problem import SelectionProblem
from l0np.selection.ranks import own_part
from l0np.selection.result import Calibration, calibration_of
from l0np.selection.selections import Selection
from l0np.selection.settings import settings_of
from l0np.tables import frame_of, write_columns
from l0np.targets import TargetOptions, takes_target_options


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationPath:
    """Answers for growing numbers of records.

    Attributes
    ----------
    answers : tuple of Calibration
        One for each size, the smallest first.
    n_active : array of int
        Number of records of each.
    lambda_l0 : array of float
        The L0 multiplier at the end of training of each, NaN if no gates were trained.
    mean_error, worst_error : arrays of float
        Mean and largest absolute relative error of the targets that were to be met.
    within : array of shape (number of answers, 3)
        Fraction of these targets within 5, 10 and 25 %.
    effective_sample_size : array of float
        Kish's, of each answer.
    stopped : bool
        Whether a callback stopped the run, so that later sizes are missing.
    settings : dict
        The arguments of `l0_path` that give this path again, as `Calibration.settings`.
    """

    answers: tuple[Calibration, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def n_active(self) -> NDArray[np.int64]:  # noqa: D102  # see the class
        return np.array([answer.diagnostics.n_active for answer in self.answers])

    @property
    def lambda_l0(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([np.nan if answer.lambda_l0 is None else answer.lambda_l0 for answer in self.answers])

    @property
    def mean_error(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.fitted.mean for answer in self.answers])

    @property
    def worst_error(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.fitted.worst for answer in self.answers])

    @property
    def within(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.fitted.within for answer in self.answers])

    @property
    def effective_sample_size(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.effective_sample_size for answer in self.answers])

    @property
    def stopped(self) -> bool:  # noqa: D102
        return any(answer.stopped for answer in self.answers)

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Show one line for each size."""
        rows = [["records", "  method", "mean error", "worst", "<= 10%", "eff. size"]]
        for answer in self.answers:
            found, errors = answer.diagnostics, answer.diagnostics.fitted
            sizes = [percentage(errors.mean, 2), percentage(errors.worst, 1)]
            sizes += [percentage(errors.within[1], 0), f"{found.effective_sample_size:,.1f}"]
            rows.append([f"{len(answer.indices):,}", f"  {answer.method}", *sizes])
        return "\n".join(columns(rows, (9, -11, 12, 10, 8, 11)))

    def to_frame(self) -> Any:
        """Return a row for each answer, as a frame of the kind that came in.

        The columns are records, method, lambda_l0, mean_error, worst_error, within_5, within_10, within_25
        and effective_sample_size.

        Raises
        ------
        MissingPackageError
            If no frame came in and none of polars, pandas and pyarrow is installed.
        """
        return frame_of(self._columns(), self.answers[0].keys.kind)

    def write(self, path: Any) -> None:
        """Write the table of `to_frame` as CSV, Parquet or `.npz`, by the ending of the path.

        Raises
        ------
        InputError, MissingPackageError
            If the path cannot be written, or for Parquet where polars is not installed.
        """
        write_columns(path, self._columns())

    def plot(self) -> Any:
        """Draw errors of the targets and effective sample size against the number of records.

        Returns
        -------
        matplotlib.figure.Figure
            The figure, as of `Calibration.plot`; `l0np.plots` has both plots one by one.

        Raises
        ------
        MissingPackageError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import l0np
        >>> M = np.random.default_rng(0).lognormal(size=(9, 200))
        >>> path = l0np.l0_path(M, M.sum(axis=1), n_active=[5, 20, 80], seed=0)
        >>> [axes.get_title() for axes in path.plot().axes]
        ['Errors of the targets', 'Effective sample size (Kish)']
        """
        return path_figure(self, "CalibrationPath.plot")

    def _columns(self) -> dict[str, Any]:
        return {
            "records": self.n_active,
            "method": [answer.method for answer in self.answers],
            "lambda_l0": self.lambda_l0,
            "mean_error": self.mean_error,
            "worst_error": self.worst_error,
            **{f"within_{percent}": self.within[:, i] for i, percent in enumerate((5, 10, 25))},
            "effective_sample_size": self.effective_sample_size,
        }

    @known_arguments()
    def smallest_adequate(
        self,
        max_error: float | None = None,
        share_within: tuple[float, float] | None = None,
        *,
        all_met: bool = False,
        effective_sample_size: float | None = None,
    ) -> Calibration | None:
        """Return the answer with the fewest records that suffices; None if no answer does.

        Parameters
        ----------
        max_error : float, optional
            No target that was to be met may have a larger relative error.
        share_within : (float, float), optional
            The fraction of these targets that must be within a relative error, and that error: (0.95, 0.1)
            for 95 % within 10 %.
        all_met : bool
            Whether no target may be missed, with its tolerance (`Calibration.missed`).
        effective_sample_size : float, optional
            Kish's effective sample size must be at least this.

        Raises
        ------
        InputError, InputTypeError
            If nothing is asked for, or something unusable.
        """
        met_only = validation.flag("all_met", all_met)
        if max_error is None and share_within is None and effective_sample_size is None and not met_only:
            wanted = "max_error, share_within, all_met=True or effective_sample_size"
            raise InputError(f"smallest_adequate needs at least one of {wanted}")
        least_size = 0.0
        if effective_sample_size is not None:
            least_size = validation.real_number("effective_sample_size", effective_sample_size, at_least=0.0)
        most = np.inf if max_error is None else validation.real_number("max_error", max_error, at_least=0.0)
        least_fraction, limit = 0.0, np.inf
        if share_within is not None:
            given = validation.pair(
                "share_within", share_within, "a pair (fraction of targets, relative error)"
            )
            least_fraction = validation.real_number("share_within[0]", given[0], at_least=0.0, at_most=1.0)
            limit = validation.real_number("share_within[1]", given[1], at_least=0.0)
        for answer in self.answers:
            if answer.diagnostics.effective_sample_size < least_size or (met_only and answer.missed):
                continue
            errors = np.abs(answer.targets.relative_error[answer.targets.asked])
            if not errors.size or (errors.max() <= most and (errors <= limit).mean() >= least_fraction):
                return answer
        return None


@takes_target_options
def l0_path(
    M: Any,
    y: ArrayLike | None = None,
    n_active: Sequence[int] | None = None,
    lambda_l0: Sequence[float] | None = None,
    base_weights: ArrayLike | None = None,
    *,
    method: str = "auto",
    spread: float = 1.0,
    certainty: Any = None,
    at_least: Mapping[Any, int] | None = None,
    groups_of_records: ArrayLike | None = None,
    distance: str = "chi-square",
    bounds: tuple[float | None, float | None] = DEFAULT_BOUNDS,
    total: float | None = None,
    epochs: int = 1500,
    lr: float = 0.1,
    device: str = "cpu",
    dtype: DTypeLike | None = None,
    seed: int | None = None,
    callbacks: Sequence[Callable[[Any], bool | None]] = (),
    verbose: bool = False,
    communicator: Communicator | None = None,
    **options: Unpack[TargetOptions],
) -> CalibrationPath:
    """Answer one problem for several numbers of records, or for several L0 multipliers.

    All records are calibrated once. With `method="gates"` and with L0 multipliers, training continues from
    the gates of the previous size: from many records to few, from a small multiplier to a large one.

    Parameters
    ----------
    M, y, base_weights, method, spread, certainty, at_least, groups_of_records, distance, bounds, total
        As in `calibrate`.
    epochs, lr, device, dtype, seed, callbacks, verbose, communicator, **options
        As in `calibrate`; when training continues from size to size, sizes after the first take a third of
        `epochs`. The smaller of the `bounds` must be above 0.
    n_active : sequence of int
        Numbers of records to select. Give this or `lambda_l0`.
    lambda_l0 : sequence of float
        L0 multipliers with which gates are trained; the records that are active at the end are selected.

    Returns
    -------
    CalibrationPath
        The smallest number of records first; it prints itself.

    Raises
    ------
    InputError, InputTypeError
        For unusable arguments, before any work.

    Warns
    -----
    L0npWarning
        As in `calibrate`, once for the whole path.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> rng = np.random.default_rng(0)
    >>> M = np.vstack([np.ones(500), rng.random((4, 500)) < 0.3, rng.lognormal(size=500)])
    >>> path = l0np.l0_path(M, M @ np.ones(500), n_active=[3, 20, 100], seed=0)
    >>> path.n_active
    array([  3,  20, 100])
    >>> len(path.smallest_adequate(max_error=0.001).indices)
    20
    """
    if (n_active is None) == (lambda_l0 is None):
        found = "neither" if n_active is None else "both"
        raise InputError(f"l0_path needs exactly one of n_active and lambda_l0, got {found}")
    given: dict[str, Any] = {
        "method": method,
        "spread": spread,
        "certainty": certainty,
        "at_least": at_least,
        "groups_of_records": groups_of_records,
        "distance": distance,
        "bounds": bounds,
        "total": total,
        "epochs": epochs,
        "lr": lr,
        "device": device,
        "dtype": dtype,
        "seed": seed,
    }
    ranks = communicator and checked_communicator(communicator)
    problem = checked_problem(M, y, base_weights, given, options, NO_ZERO, ranks).watched(callbacks, verbose)
    multipliers = [
        validation.real_number(name, value, at_least=0.0) for name, value in _named("lambda_l0", lambda_l0)
    ]
    sizes = {problem.checked_count(name, k) for name, k in _named("n_active", n_active)}
    if not multipliers and not sizes:
        raise InputError("l0_path needs at least one size")
    problem.warn_of_squares()
    wanted = {"n_active": None if multipliers else sorted(sizes), "lambda_l0": sorted(multipliers) or None}
    settings = settings_of({**wanted, "base_weights": base_weights, **given, "seed": problem.seed, **options})
    with problem.stages as stages:
        all_records = AllRecords.calibrated(problem)
        if multipliers:
            run = GateRun(all_records)
            selections = (run.select_at(value) for value in stages.each(sorted(multipliers)))
        elif method == "gates":
            run = GateRun(all_records)
            selections = (run.select(k) for k in stages.each(sorted(sizes, reverse=True)))
        else:
            selections = (METHODS[method](all_records, k) for k in stages.each(sorted(sizes)))
        return _path(problem, settings, selections)


def _named(name: str, values: Any) -> list[tuple[str, Any]]:
    """Return the elements of a sequence, each with its name in messages."""
    if values is None:
        return []
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise validation.wrong_kind(name, "a sequence of numbers", values)
    return [(f"{name}[{i}]", value) for i, value in enumerate(values)]


def _path(
    problem: SelectionProblem, settings: dict[str, Any], selections: Iterable[Selection]
) -> CalibrationPath:
    answers = [own_part(problem, calibration_of(problem, selection)) for selection in selections]
    answers.sort(key=lambda answer: answer.diagnostics.n_active)
    return CalibrationPath(tuple(answers), settings)
