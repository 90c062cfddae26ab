"""`Calibration`: the answer of `calibrate`, and how it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import NAME_WIDTH, counted, percent, shorten
from l0np.diagnostics import Diagnostics
from l0np.inputs import known_arguments, validation
from l0np.margin_tables import Keys
from l0np.matrix import absolute_totals, weighted_totals
from l0np.plots import answer_figure
from l0np.refit import Refit
from l0np.report import write_report
from l0np.selection.problem import SelectionProblem
from l0np.selection.ranking import measured
from l0np.selection.selections import Selection, Tried
from l0np.tables import frame_of, write_columns
from l0np.targets import TargetTable

Floats = NDArray[np.float64]

FEW_MISSED = 10  # targets: so many are named where an answer prints itself


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """Selected records, their weights, and how good these are.

    Attributes
    ----------
    weights : array of shape (N,)
        The weight of every record, 0 where it is not selected.
    indices : array of shape (k,)
        The selected records, ascending.
    refit : Refit
        How their weights were found: g-weights, how many are at a bound, steps taken.
    selected_weights : array of shape (k,)
        Their weights.
    reference_weights : array of shape (k,)
        What the weights stay near to: weight before selection / inclusion probability. By "thinned" a record
        may have to keep less than the lower bound; its reference weight is then reduced to weight / bound.
    targets : TargetTable
        Each target with its estimate and error.
    diagnostics : Diagnostics
        Effective sample size, g-weights with respect to the base weights, errors by group.
    missed : tuple of str
        Names of the targets, and then of the totals of targets, that should be met but are not within their
        tolerance.
    converged : bool
        Whether the refit converged.
    method : str
        How the records were selected: "all", "thinned", "balanced", "exchange" or "gates"; "thinned,
        exchanged" if "auto" exchanged records of the thinned selection.
    lambda_l0 : float or None
        The L0 multiplier at the end of training, if gates were trained.
    seed : int
        The seed that gives the same answer again.
    record_names : tuple of N str, optional
        The names of all records, in the order of `weights`: the columns of M, if M is a frame with names, or
        the identifiers of a MarginProblem.
    base_weights : array of shape (N,)
        The base weights.
    keys : Keys
        The column of identifiers, and the kind of frames that came in.
    settings : dict
        The arguments of `calibrate` that give this answer again, seed included:
        ``l0np.calibrate(problem, **answer.settings)``. It can be written as JSON, unless aggregates were
        given. Empty in the answers of a path, which has its own.
    stopped : bool
        Whether a callback stopped the run; the answer is then the best so far.
    tried : tuple of Tried
        Each method that was tried: its mean squared relative error (`squared_error`), spread / effective
        sample size (`spread`) and number of missed targets (`n_missed`).
    inclusion_probabilities : array of shape (N,), optional
        What the reference weights follow from: the probabilities with which "balanced" selects records (where
        it swaps none) and "thinned" starts. There over seeds the mean of a record's weight after the random
        part is its weight before selection; thinning, which is not at random, then moves the frequency with
        which a record is selected away from its probability (see `l0np.selection.thinned`). "exchange" and
        "gates" draw nothing. None if all records were calibrated.
    n_active_by_group : dict from label to int, optional
        How many records are selected in each area, if `groups_of_records` are given.
    selected_names : tuple of k str, optional
        The names of the selected records, in the order of `indices`.
    """

    weights: Floats
    indices: NDArray[np.int64]
    refit: Refit
    reference_weights: Floats
    targets: TargetTable
    diagnostics: Diagnostics
    missed: tuple[str, ...]
    method: str
    lambda_l0: float | None
    seed: int
    base_weights: Floats
    record_names: tuple[str, ...] | None = None
    keys: Keys = field(default_factory=Keys)
    settings: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False
    tried: tuple[Tried, ...] = ()
    inclusion_probabilities: Floats | None = None
    n_active_by_group: dict[Any, int] | None = None

    @known_arguments()
    def to_frame(self, all: bool = False) -> Any:
        """Return the selected records (or all) with their weights, as a frame of the kind that came in.

        The columns are the identifiers under their own name ("record" where there are none: names or numbers
        of columns of M), weight, base_weight and ratio (weight / base weight).

        Raises
        ------
        MissingPackageError
            If no frame came in and none of polars, pandas and pyarrow is installed.
        """
        return frame_of(self._columns(all), self.keys.kind)

    @known_arguments()
    def write(self, path: Any, all: bool = False) -> None:
        """Write the table of `to_frame` as CSV, Parquet or `.npz`, by the ending of the path.

        Raises
        ------
        InputError, MissingPackageError
            If the path cannot be written, or for Parquet where polars is not installed.
        """
        write_columns(path, self._columns(all))

    def plot(self) -> Any:
        """Draw how good the answer is: errors of the targets, estimates against targets, weights, g-weights.

        Errors are drawn by group too, where targets have groups or come from margins. `l0np.plots` has these
        plots one by one.

        Returns
        -------
        matplotlib.figure.Figure
            The figure. A notebook shows it, ``figure.savefig("answer.png")`` writes it; no window is opened.

        Raises
        ------
        MissingPackageError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import l0np
        >>> M = np.random.default_rng(0).lognormal(size=(9, 200))
        >>> answer = l0np.calibrate(M, M.sum(axis=1), n_active=40, seed=0)
        >>> [axes.get_title() for axes in answer.plot().axes][:2]
        ['Errors of the targets', 'Estimates against targets']
        """
        return answer_figure(self._grouped(), self.selected_weights, self.refit.ratios, "Calibration.plot")

    @known_arguments()
    def report(self, path: Any, *, title: str = "Calibration", repeat: str | None = None) -> None:
        """Write a report for people who do not compute: one HTML file, which needs no other.

        It says in words how many records were chosen, which targets are met, what the weights mean and what
        not, how the records were chosen, and how to repeat the run. Targets can be sorted and searched.

        Parameters
        ----------
        path : str or Path
            The file, which ends in .html. It is written under a temporary name and renamed.
        title : str
            The heading.
        repeat : str, optional
            The command that repeats the run; by default lines of Python with `settings`.

        Raises
        ------
        InputError, InputTypeError
            If the path cannot be written, or `title` or `repeat` is not a string.
        MissingPackageError
            If jinja2 or matplotlib is not installed (extra `report`).

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import l0np
        >>> M = np.random.default_rng(0).lognormal(size=(9, 200))
        >>> answer = l0np.calibrate(M, M.sum(axis=1), n_active=40, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     answer.report(Path(folder) / "report.html")
        ...     "All 9 targets are met." in (Path(folder) / "report.html").read_text(encoding="utf-8")
        True
        """
        write_report(path, self, self._grouped(), title, repeat)

    def _grouped(self) -> TargetTable:
        """Return the targets with their groups or, where they have none, with the margins they come from."""
        margins = self.keys.margins
        if self.targets.group is not None or margins is None:
            return self.targets
        return replace(self.targets, group=np.array(margins))

    def _columns(self, all_records: bool) -> dict[str, Any]:
        shown = np.arange(len(self.weights)) if validation.flag("all", all_records) else self.indices
        weight, base = self.weights[shown], self.base_weights[shown]
        names = self.keys.values
        if names is None and self.record_names is not None:
            names = np.array(self.record_names)
        ratio = np.divide(weight, base, out=np.full(len(shown), np.nan), where=base > 0)
        ids = shown if names is None else names[shown]
        return {self.keys.name or "record": ids, "weight": weight, "base_weight": base, "ratio": ratio}

    @property
    def selected_names(self) -> tuple[str, ...] | None:
        """The names of the selected records; None if records have no names."""
        return None if self.record_names is None else tuple(self.record_names[j] for j in self.indices)

    @property
    def selected_weights(self) -> Floats:
        """The weights of the selected records."""
        return self.refit.weights

    @property
    def converged(self) -> bool:
        """Whether the refit converged."""
        return self.refit.converged

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Say how the records were selected and whether the targets are met, then show the diagnostics."""
        size = f"{counted(len(self.indices), 'record')} ({self.method})"
        state = "stopped by a callback" if self.stopped else self.refit.state
        lines = [f"Calibration: {size}, {state}, {self.diagnostics.verdict}{self.refit.notes}"]
        if self.missed and self.converged:
            lines += ["These records cannot meet all targets together within the bounds."]
            lines += self._names_of_missed()
        elif self.missed and not self.stopped:
            lines += ["Weights that come nearer to the targets may exist."]
        return "\n".join([*lines, "", str(self.diagnostics)])

    def _names_of_missed(self) -> list[str]:
        """Return a line with the names of targets that are missed, the worst first, if they are few."""
        table = self.targets
        missed = np.flatnonzero(table.missed)
        if not 0 < len(missed) <= FEW_MISSED:
            return []
        worst_first = missed[np.argsort(-np.abs(table.relative_error[missed]), kind="stable")]
        named = (f"{shorten(str(table.name[i]), NAME_WIDTH)} ({self._error_of(i)})" for i in worst_first)
        return [f"Missed: {', '.join(named)}."]

    def _error_of(self, i: int) -> str:
        """Return the error of a target as a signed percentage."""
        table = self.targets
        return ("+" if table.error[i] > 0 else "-") + percent(abs(float(table.relative_error[i])))


def calibration_of(
    problem: SelectionProblem, selection: Selection, settings: Mapping[str, Any] | None = None
) -> Calibration:
    """Return the answer for a selection; `settings` are the arguments that give it again."""
    weights = np.zeros(problem.matrix.shape[1])
    weights[selection.records] = selection.refit.weights
    estimate = weighted_totals(problem.matrix, weights)
    sizes = absolute_totals(problem.matrix, weights)
    before = weighted_totals(problem.matrix, problem.base_weights)
    found = Diagnostics.of(problem.targets, estimate, weights, problem.base_weights, sizes, before)
    found = replace(found, targets=replace(found.targets, kind=problem.keys.kind))
    tables = (found.targets, found.totals) if found.totals else (found.targets,)
    return Calibration(
        weights=weights,
        indices=selection.records,
        refit=selection.refit,
        reference_weights=selection.reference_weights,
        targets=found.targets,
        diagnostics=found,
        missed=tuple(name for table in tables for name in table.name[table.missed].tolist()),
        method=selection.method,
        lambda_l0=selection.lambda_l0,
        seed=problem.seed,
        base_weights=problem.base_weights,
        record_names=problem.record_names,
        keys=problem.keys,
        settings=dict(settings or {}),
        stopped=problem.stages.stopped,
        tried=selection.tried or (measured(problem, selection),),
        inclusion_probabilities=selection.probabilities,
        n_active_by_group=problem.requirements.counts(selection.records),
    )
