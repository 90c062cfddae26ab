"""`diagnose`: how well weights meet their targets, and how uneven they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np._text import NAME_WIDTH, columns, counted, number, percent, shorten
from l0np.engine import Communicator
from l0np.errors import InputError
from l0np.inputs import validation
from l0np.margin_tables import MarginProblem, problem_parts
from l0np.matrix import SharedMatrix, absolute_totals, weighted_totals
from l0np.tables import frame_of, kind_of, write_columns
from l0np.targets import TargetOptions, Targets, TargetTable, metrics, takes_target_options

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
WITHIN = (0.05, 0.10, 0.25)  # relative errors for which the fraction of targets is reported
WORST = 3  # targets that a summary names


@dataclass(frozen=True)
class Errors:
    """A summary of absolute relative errors.

    Attributes
    ----------
    n : int
        Number of targets.
    mean, median, worst : float
        Of the absolute relative errors; NaN for no targets.
    within : tuple of float
        Fraction of targets with an error of up to 5, 10 and 25 % (`WITHIN`).
    met : float
        Fraction of targets within their tolerance.
    worst_names : tuple of str
        The targets with the largest errors, the worst first.
    """

    n: int
    mean: float
    median: float
    worst: float
    within: tuple[float, ...]
    met: float
    worst_names: tuple[str, ...]

    @classmethod
    def of(cls, table: TargetTable) -> Errors:
        """Summarise a table."""
        errors = np.abs(table.relative_error)
        if not len(table):
            return cls(0, np.nan, np.nan, np.nan, (np.nan,) * len(WITHIN), np.nan, ())
        return cls(
            n=len(table),
            mean=float(errors.mean()),
            median=float(np.median(errors)),
            worst=float(errors.max()),
            within=tuple(float((errors <= limit).mean()) for limit in WITHIN),
            met=float(table.within_tolerance.mean()),
            worst_names=tuple(str(name) for name in table.worst(WORST).name),
        )


@dataclass(frozen=True, eq=False, repr=False)
class Diagnostics:
    """How good weights are: how many, how even, how far from base weights, and how well the targets are met.

    Attributes
    ----------
    n_records, n_active : int
        Records, and those whose weight is not 0.
    total_weight : float
        Sum of the weights.
    effective_sample_size : float
        Kish's ``(sum w)^2 / sum w^2``.
    design_effect : float
        ``n_active / effective_sample_size = 1 + cv^2`` of the active weights (Kish 1965).
    top_share : float
        Fraction of the total weight that the largest 1 % of the active weights hold (at least one weight).
    ratio_quantiles : tuple of float, or None
        Quantiles 0, .01, .05, .25, .5, .75, .95, .99 and 1 (`QUANTILES`) of weight / base weight (the
        g-weight) over the active records; None without base weights.
    fitted : Errors
        Of the targets that were to be met.
    held_out, unweighted : Errors or None
        Of the targets that were only scored: excluded, or of weight 0.
    by_group : dict from label to Errors
        Of the targets that were to be met in each group; empty without groups.
    aggregates : Errors or None
        Of the totals of targets, where there are any.
    targets : TargetTable
        All targets one by one.
    totals : TargetTable or None
        All totals of targets one by one, where there are any.
    """

    n_records: int
    n_active: int
    total_weight: float
    effective_sample_size: float
    design_effect: float
    top_share: float
    ratio_quantiles: tuple[float, ...] | None
    fitted: Errors
    held_out: Errors | None
    unweighted: Errors | None
    by_group: dict[Any, Errors]
    aggregates: Errors | None
    targets: TargetTable
    totals: TargetTable | None

    @classmethod
    def of(
        cls,
        targets: Targets,
        estimate: NDArray[np.float64],
        weights: NDArray[np.float64],
        base_weights: NDArray[np.float64] | None = None,
        sizes: NDArray[np.float64] | float = 0.0,
        before: NDArray[np.float64] | None = None,
    ) -> Diagnostics:
        """Return the diagnostics of targets, their estimates, all weights and, if known, base weights.

        `sizes` are ``sum_j |M_ij| |w_j|``, for what rounding allows; `before` are the estimates under the
        base weights.
        """
        table, active = replace(TargetTable.of(targets, estimate, size=sizes), before=before), weights != 0
        asked, idle = table.asked, table.fitted & ~table.asked
        ratios = None
        if base_weights is not None and active.any():
            ratios = tuple(np.quantile(weights[active] / base_weights[active], QUANTILES).tolist())
        labels = [] if table.group is None else np.unique(table.group[asked]).tolist()
        totals = [
            TargetTable.of(
                a.totals,
                weighted_totals(a.matrix, estimate),
                a.weight,
                absolute_totals(a.matrix, np.broadcast_to(sizes, estimate.shape)),
            )
            for a in targets.aggregates
        ]
        all_totals = _joined(totals) if totals else None
        return cls(
            n_records=len(weights),
            n_active=int(active.sum()),
            total_weight=float(weights.sum()),
            effective_sample_size=metrics.effective_sample_size(weights),
            design_effect=metrics.design_effect(weights),
            top_share=metrics.top_share(weights),
            ratio_quantiles=ratios,
            fitted=Errors.of(table[asked]),
            held_out=None if table.fitted.all() else Errors.of(table[~table.fitted]),
            unweighted=Errors.of(table[idle]) if idle.any() else None,
            by_group={label: Errors.of(table[asked & (table.group == label)]) for label in labels},
            aggregates=Errors.of(all_totals) if all_totals else None,
            targets=table,
            totals=all_totals,
        )

    @property
    def verdict(self) -> str:
        """Whether the targets and their totals are met, and how many targets were only scored, in words."""
        parts = [_verdict(self.targets, "target")]
        parts += [] if self.totals is None else [_verdict(self.totals, "aggregate")]
        parts += [f"{self.held_out.n:,} held out"] if self.held_out else []
        parts += [f"{self.unweighted.n:,} of weight 0"] if self.unweighted else []
        return ", ".join(parts)

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Return a few aligned lines."""
        return "\n".join([*self._weight_lines(), "", *self._error_lines()])

    def _weight_lines(self) -> Iterator[str]:
        size = self.effective_sample_size
        fraction = size / self.n_active if self.n_active else np.nan
        yield f"{'records':<26}{self.n_active:>12,} of {self.n_records:,}"
        yield f"{'total weight':<26}{number(self.total_weight):>12}"
        yield f"{'effective sample size':<26}{size:>12,.1f} ({percent(fraction)} of the records; Kish)"
        yield f"{'design effect':<26}{number(self.design_effect):>12}"
        yield f"{'largest 1% of records':<26}{percent(self.top_share):>12} of the total weight"
        if self.ratio_quantiles is not None:
            names = ["min", *(f"{q:.0%}" for q in QUANTILES[1:-1]), "max"]
            rows = [
                ["weight / base weight", *names],
                ["", *(f"{ratio:.4g}" for ratio in self.ratio_quantiles)],
            ]
            yield from columns(rows, (-26, *(9 for _ in names)))

    def to_frame(self) -> Any:
        """Return the errors as a frame: a row for all targets, for each group, and for those only scored.

        The columns are targets, number, median, mean, worst (absolute relative errors), within_5, within_10
        and within_25 (fractions of targets within so many percent), met (the fraction met) and worst_name.

        Raises
        ------
        MissingPackageError
            If no frame came in and none of polars, pandas and pyarrow is installed.
        """
        return frame_of(self._columns(), self.targets.kind)

    def write(self, path: Any) -> None:
        """Write the table of `to_frame` as CSV, Parquet or `.npz`, by the ending of the path.

        Raises
        ------
        InputError, MissingPackageError
            If the path cannot be written, or for Parquet where polars is not installed.
        """
        write_columns(path, self._columns())

    def _columns(self) -> dict[str, Any]:
        rows = self._parts()
        columns: dict[str, Any] = {"targets": [name.strip() for name in rows]}
        columns["number"] = [errors.n for errors in rows.values()]
        columns |= {
            name: [getattr(errors, name) for errors in rows.values()] for name in ("median", "mean", "worst")
        }
        columns |= {
            f"within_{100 * limit:.0f}": [errors.within[i] for errors in rows.values()]
            for i, limit in enumerate(WITHIN)
        }
        columns["met"] = [errors.met for errors in rows.values()]
        columns["worst_name"] = ["".join(errors.worst_names[:1]) for errors in rows.values()]
        return columns

    def _parts(self) -> dict[str, Errors]:
        rows: dict[str, Errors] = {"targets": self.fitted}
        rows |= {f"  {label}": errors for label, errors in self.by_group.items()}
        rows |= {"aggregates": self.aggregates} if self.aggregates else {}
        rows |= {"held out": self.held_out} if self.held_out else {}
        rows |= {"weight 0": self.unweighted} if self.unweighted else {}
        return rows

    def _error_lines(self) -> Iterator[str]:
        rows = self._parts()
        limits = [f"<= {limit:.0%}" for limit in WITHIN]
        cells = [["relative errors", "number", "median", "mean", "worst", *limits, "  worst"]]
        for name, errors in rows.items():
            sizes = [percent(error) for error in (errors.median, errors.mean, errors.worst)]
            fractions = [percent(fraction, 0) for fraction in errors.within]
            worst = shorten(", ".join(errors.worst_names[:1]), NAME_WIDTH)
            cells.append([shorten(name, NAME_WIDTH), f"{errors.n:,}", *sizes, *fractions, f"  {worst}"])
        yield from columns(cells, (-24, 8, 9, 9, 9, *(8 for _ in limits), -1))


@takes_target_options
def diagnose(
    M: Any,
    y: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    base_weights: ArrayLike | None = None,
    *,
    communicator: Communicator | None = None,
    **options: Unpack[TargetOptions],
) -> Diagnostics:
    """Report how well weights meet their targets and how uneven they are.

    Parameters
    ----------
    M : MarginProblem, ColumnMatrix, scipy.sparse array or matrix, array, list of lists or DataFrame, (Q, N)
        What each record adds to each target for one unit of weight; or what `margins` returned, which stands
        for M, y, base weights and target options: ``diagnose(problem, weights)``. Of a DataFrame the order
        counts: Series of other arguments must have the labels of its rows or columns in that order, or no
        labels but a default index.
    y : array of shape (Q,)
        The targets; left out with a MarginProblem.
    weights : array of shape (N,)
        The weights to judge, 0 for records that are not selected.
    base_weights : float or array of shape (N,), optional
        What the weights are compared with; above 0 where a weight is not 0. By default those of a
        MarginProblem.
    communicator : Communicator, optional
        `l0np.mpi.World()`, if ranks share the records: M and weights are the rank's own, the answer
        is of all.
    **options
        Target options, see `l0np.TargetOptions`: `names`, `target_groups` for errors by group,
        `target_scales` for what relative errors are relative to (``|y|`` by default), `tolerances`,
        `aggregates`, `exclude` for targets whose errors are reported apart.

    Returns
    -------
    Diagnostics
        It prints itself.

    Raises
    ------
    InputError, InputTypeError
        For anything that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import diagnose
    >>> M = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0], [20.0, 30.0, 60.0, 50.0]])
    >>> names = ["people", "men", "age"]
    >>> y, weights, options = [10, 5, 400], [4.0, 3.0, 0.0, 3.0], {"names": names, "exclude": ["age"]}
    >>> found = diagnose(M, y, weights, base_weights=2.5, **options)
    >>> found.n_active, round(found.effective_sample_size, 2), found.held_out.worst, found.ratio_quantiles[-1]
    (3, 2.94, 0.2, 1.6)
    >>> print(diagnose(M, y, weights, **options))
    records                              3 of 4
    total weight                        10
    effective sample size              2.9 (98.04% of the records; Kish)
    design effect                     1.02
    largest 1% of records           40.00% of the total weight
    <BLANKLINE>
    relative errors           number   median     mean    worst   <= 5%  <= 10%  <= 25%  worst
    targets                        2   10.00%   10.00%   20.00%     50%     50%    100%  men
    held out                       1   20.00%   20.00%   20.00%      0%      0%    100%  age
    """
    if isinstance(M, MarginProblem) and weights is None:
        y, weights = None, y  # diagnose(problem, weights)
    kind = M.keys.kind if isinstance(M, MarginProblem) else kind_of(M)
    M, y, base_weights, options, _ = problem_parts(M, y, base_weights, options)
    for name, value, after in (("y", y, "M"), ("weights", weights, "M and y")):
        if value is None:
            raise InputError(f"{name} is missing: it comes after {after}, or weights after a MarginProblem")
    matrix, targets = Targets.of(M, y, options)
    n_records = matrix.shape[1]
    validation.check_order("weights", weights, "M", M, axis="columns")
    checked = validation.vector("weights", weights, n_records, np.dtype(np.float64), per="column of M")
    base = None
    if base_weights is not None:
        base = validation.column_values("base_weights", base_weights, "M", M, n_records, at_least=0.0)
        validation.check_order("base_weights", base_weights, "weights", weights)  # where M has no labels
        validation.check_elements(
            "base_weights", base, (base == 0) & (checked != 0), "must be above 0 where a weight is not 0"
        )
    if communicator is not None:
        shared: Any = SharedMatrix(matrix, communicator)
        matrix, checked = shared, shared.joined(checked)
        base = None if base is None else shared.joined(base)
    targets = targets.sized(matrix, checked if base is None else base)
    targets.check_sizes(matrix, "weights", checked)
    estimate, sizes = weighted_totals(matrix, checked), absolute_totals(matrix, checked)
    before = None if base is None else weighted_totals(matrix, base)
    found = Diagnostics.of(targets, estimate, checked, base, sizes, before)
    return replace(found, targets=replace(found.targets, kind=kind))


@takes_target_options
def target_table(
    M: Any,
    y: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    **options: Unpack[TargetOptions],
) -> TargetTable:
    """Return the estimate and the error of each target: arguments as for `diagnose`.

    Examples
    --------
    >>> from l0np import target_table
    >>> table = target_table([[1.0, 1.0], [0.0, 2.0]], [10, 8], weights=[5.0, 5.0], names=["people", "cars"])
    >>> table.relative_error
    array([0.  , 0.25])
    >>> print(table)
                    target        estimate         error  relative
    cars                 8              10             2    25.00%
    people              10              10             0     0.00%
    """
    return diagnose(M, y, weights, **options).targets


def _verdict(table: TargetTable, noun: str) -> str:
    missed, asked = int(table.missed.sum()), int(table.asked.sum())
    if missed:
        return f"{missed:,} of {counted(asked, noun)} missed"
    return f"all {noun}s met" if asked else f"no {noun} to meet"


def _joined(tables: list[TargetTable]) -> TargetTable:
    required = [field.name for field in fields(TargetTable) if field.default is MISSING]
    joined: Any = {name: np.concatenate([getattr(table, name) for table in tables]) for name in required}
    return TargetTable(**joined)
