"""`TargetChecks`: what was found wrong with targets, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from l0np._text import NAME_WIDTH, counted, percent, shorten
from l0np.diagnostics.exclusive_rows import describe_family
from l0np.targets import Targets

NAMED = 5  # targets that a printed line names
TOGETHER = 3  # targets of one group that a printed line names
INCONSISTENT = 1e-6  # relative difference from which on two sums are not the same

Rows = NDArray[np.intp]


def _none() -> Rows:
    return np.zeros(0, np.intp)


@dataclass(frozen=True, eq=False, repr=False)
class TargetChecks:
    """What `check_targets` found. Targets are given by their row in M; `name` returns the name of a row.

    Attributes
    ----------
    unreachable : array of rows
        Targets that no weights within the bounds can meet, even alone: no record contributes to them, or all
        contributions have the wrong sign, or the bounds are too narrow.
    at_bound : array of rows
        Targets that are met only if each of their records has its smallest (or its largest) weight, such as a
        target of 0 to which records contribute: all these records would have to be dropped.
    contradictory : tuple of arrays of rows
        Groups of rows that are multiples of one another while their targets are not the same multiples.
    disagreeing : tuple of tuples of arrays of rows
        Families of mutually exclusive rows, such as the levels of one variable, that count the same records
        while their targets have different sums. A family may be a single row, such as the number of records.
    redundant : tuple of arrays of rows
        Groups of rows that are multiples of one another whose targets agree: one of the targets would do.
    outliers : array of rows
        Targets whose ratio to the total under the base weights is unusual in their group: at least twice or
        at most half the median, and 3.5 robust standard deviations from it on the logarithmic scale.
    outlier_factors : array of float64
        Ratio of each outlier, divided by the median ratio of its group; negative for the wrong sign.
    unused_records : array of columns
        Records that contribute to no target.
    rank : int or None
        Numerical rank of the fitted rows of M; None if the check was skipped.
    dependent : array of rows
        Rows that are linear combinations of other rows: without them the rank is the same. If several rows
        depend on each other, the decomposition decides which of them are listed.
    inconsistent : tuple of arrays of rows
        For each dependent row whose target is not the same combination of the targets of the other rows: the
        row itself, then those rows.
    infeasible : array of rows
        The targets that are missed when the sum of all relative misses is as small as possible; empty if all
        can be met.
    misses : array of float64
        Their misses beyond the tolerance, relative to the scale.
    opposed : array of rows
        Targets that are met then, but only at the expense of those that are missed.
    rank_skipped, linear_programme_skipped : str
        Why rank and dependence, or whether all can be met together, were not checked; empty if they were.
    """

    targets: Targets
    n_records: int
    unreachable: Rows = field(default_factory=_none)
    unreachable_why: tuple[str, ...] = ()
    at_bound: Rows = field(default_factory=_none)
    contradictory: tuple[Rows, ...] = ()
    disagreeing: tuple[tuple[Rows, ...], ...] = ()
    redundant: tuple[Rows, ...] = ()
    outliers: Rows = field(default_factory=_none)
    outlier_factors: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    unused_records: Rows = field(default_factory=_none)
    rank: int | None = None
    dependent: Rows = field(default_factory=_none)
    inconsistent: tuple[Rows, ...] = ()
    infeasible: Rows = field(default_factory=_none)
    misses: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    opposed: Rows = field(default_factory=_none)
    rank_skipped: str = ""
    linear_programme_skipped: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing was found that keeps all targets from being met together."""
        sums = self.contradictory or self.disagreeing or self.inconsistent
        return not (len(self.unreachable) or sums or len(self.infeasible))

    def name(self, row: int) -> str:
        """Return the name of the target in a row of M."""
        return self.targets.name(row)

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Return the findings, one line for each check that found something."""
        verdict = "nothing keeps them from being met together" if self.ok else "they cannot all be met"
        fitted = int(self.targets.fitted.sum())
        return "\n".join(
            [f"{counted(fitted, 'target')}, {counted(self.n_records, 'record')}: {verdict}", *self._lines()]
        )

    def _lines(self) -> Iterator[str]:
        reasons = [
            f"{self.name(i)} ({why})" for i, why in zip(self.unreachable, self.unreachable_why, strict=True)
        ]
        yield from _line("unreachable", reasons)
        yield from _line("contradictory", [" ~ ".join(self._names(rows)) for rows in self.contradictory])
        yield from _line(
            "totals disagree", [self._sums(families) for families in self.disagreeing], separator="; "
        )
        explained = [set(np.concatenate(families).tolist()) for families in self.disagreeing]
        sums = [
            f"{self.name(rows[0])} against {', '.join(self._names(rows[1:]))}"
            for rows in self.inconsistent
            if not any(explained_rows.issuperset(rows.tolist()) for explained_rows in explained)
        ]
        yield from _line("inconsistent sums", sums, separator="; ")
        order = np.argsort(-np.abs(self.misses), kind="stable")
        missed = [f"{self.name(self.infeasible[i])} (missed by {self.misses[i]:+.3g})" for i in order]
        yield from _line("not met together", missed)
        yield from _line("  at odds with", self._all(self.opposed))
        yield from _line("only at a bound", self._all(self.at_bound))
        order = np.argsort(-np.abs(np.log(np.abs(self.outlier_factors))), kind="stable")
        yield from _line(
            "outliers in size",
            [f"{self.name(self.outliers[i])} (x {self.outlier_factors[i]:.3g})" for i in order],
        )
        yield from _line("redundant", [" ~ ".join(self._names(rows)) for rows in self.redundant])
        if self.rank is not None:
            fitted = int(self.targets.fitted.sum())
            yield f"  {'rank':<20}{self.rank:>7,} of {counted(fitted, 'row')}"
        yield from _line("dependent rows", self._all(self.dependent))
        columns = [str(column) for column in self.unused_records[:NAMED]]
        yield from _line("records in no target", columns, len(self.unused_records))
        for check, reason in (("rank", self.rank_skipped), ("met together?", self.linear_programme_skipped)):
            if reason:
                yield f"  {check:<20}skipped: {reason}"

    def _sums(self, families: tuple[Rows, ...]) -> str:
        """Return the sums of the families' targets, the largest first, and how far apart they are."""
        totals = np.array([self.targets.value[rows].sum() for rows in families])
        order = np.argsort(-totals, kind="stable")
        same = np.diff(totals[order]) >= -INCONSISTENT * np.abs(totals).max()
        parts = []
        for positions in np.split(order, 1 + np.flatnonzero(~same)):
            names = [shorten(describe_family(self.targets, families[i]), NAME_WIDTH) for i in positions]
            rest, verb = len(names) - TOGETHER, "add up to"
            if len(names) == 1:
                verb = "adds up to" if len(families[positions[0]]) > 1 else "is"
            names = [*names[:TOGETHER], f"{rest:,} more"] if rest > 0 else names
            parts.append(f"{_enumerated(names)} {verb} {totals[positions[0]]:,.10g}")
        apart = (totals.max() - totals.min()) / np.abs(totals).max()
        return f"{', '.join(parts)} ({percent(apart)} apart)"

    def _all(self, rows: Rows) -> list[str]:
        return [shorten(self.name(row), NAME_WIDTH) for row in rows]

    def _names(self, rows: Rows) -> list[str]:
        rest = len(rows) - TOGETHER
        return [*self._all(rows[:TOGETHER]), f"{rest:,} more"] if rest > 0 else self._all(rows)


def _enumerated(names: list[str]) -> str:
    return ", and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _line(what: str, items: Sequence[str], count: int | None = None, separator: str = ", ") -> Iterator[str]:
    count = len(items) if count is None else count
    if count:
        more = f" and {count - NAMED:,} more" if count > NAMED else ""
        yield f"  {what:<20}{count:>7,}   {separator.join(items[:NAMED])}{more}"
