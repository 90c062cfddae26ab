"""Families of mutually exclusive rows, such as the levels of a margin, whose totals must agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.targets import Targets

MOST_FAMILIES = 64  # one for each bit of the mark of a record
PROBES = 3  # random sums of each row; families that agree in all of them count the same
SAME = 1e-10  # difference of two random sums, relative to the larger, that is due to rounding
SEPARATORS = "=:|/"  # what stands between a variable and its level in the name of a target

Rows = NDArray[np.intp]


def families_that_count_the_same(csr: Any, targets: Targets) -> list[list[Rows]]:
    """Return sets of families of fitted rows; the families of a set have the same sum of rows.

    A family is one row, or several rows that have no record in common, such as the levels of one variable.
    If the rows of two families have the same sum, as those of sex and of region do when each record has one
    sex and one region, then their targets must have the same sum as well. Families are sought among counts
    and among other rows, in their order and from the longest to the shortest, then among the rows of each
    group, and among those with the same name before "=", ":", "|" or "/". Each search is one pass over the
    entries. Sets in which every family is a single row are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> rows = sparse.csr_array(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]]))
    >>> families_that_count_the_same(rows, Targets.build([2, 1, 1, 2], 4))
    [[array([0, 2]), array([1, 3])]]
    """
    used = np.flatnonzero(np.diff(csr.indptr))
    selections = [*_by_kind(csr, used, targets.fitted), *_labelled(targets, used[targets.fitted[used]])]
    several = (family for rows in selections for family in _exclusive(csr, rows))
    alone = (np.array([row]) for row in used[targets.fitted[used]])
    found = {tuple(rows.tolist()): rows for rows in (*alone, *several)}
    families = list(found.values())
    if not families:
        return []
    probes = np.random.default_rng(0).uniform(0.5, 1.5, size=(csr.shape[1], PROBES))
    sums = csr @ probes
    totals = np.array([sums[rows].sum(axis=0) for rows in families])
    order = np.argsort(totals[:, 0], kind="stable")
    gaps = np.abs(np.diff(totals[order], axis=0)) > SAME * np.abs(totals[order][1:])
    sets = np.split(order, 1 + np.flatnonzero(gaps.any(axis=1)))
    same = ([families[i] for i in sorted(positions)] for positions in sets if len(positions) > 1)
    return [rows for rows in same if max(map(len, rows)) > 1]


def _by_kind(csr: Any, used: Rows, fitted: NDArray[np.bool_]) -> Iterator[Rows]:
    """Yield the fitted rows whose entries are all the same, and the others, in their order and by length."""
    if not used.size:
        return
    largest, smallest = (reduced.reduceat(csr.data, csr.indptr[used]) for reduced in (np.maximum, np.minimum))
    for is_kind in (largest == smallest, largest != smallest):
        rows = used[is_kind & fitted[used]]
        yield rows
        yield rows[np.argsort(-np.diff(csr.indptr)[rows], kind="stable")]


def _labelled(targets: Targets, fitted: Rows) -> Iterator[Rows]:
    """Yield the rows of each group, and the rows whose names begin alike."""
    labels = []
    if targets.groups is not None:
        labels.append(targets.groups[fitted])
    if targets.names is not None:
        labels.append(np.array([_variable(targets.names[row]) for row in fitted]))
    for label in labels:
        for value in np.unique(label):
            if value != "":
                yield fitted[label == value]


def _exclusive(csr: Any, rows: Rows) -> Iterator[Rows]:
    """Yield families of at least two rows.

    Each row joins the family with the most records of those with which it has none in common: the more
    records, the less likely is it that there is none by chance.
    """
    marks = np.zeros(csr.shape[1], np.uint64)  # bit f of a record is set if family f has a row with it
    families: list[list[int]] = []
    sizes: list[int] = []  # records of each family
    for row in rows:
        columns = csr.indices[csr.indptr[row] : csr.indptr[row + 1]]
        taken = int(np.bitwise_or.reduce(marks[columns]))
        free = [family for family in range(len(families)) if not taken >> family & 1]
        if not free and len(families) == MOST_FAMILIES:
            continue
        if free:
            family = max(free, key=sizes.__getitem__)
        else:
            family = len(families)
            families.append([])
            sizes.append(0)
        families[family].append(int(row))
        sizes[family] += len(columns)
        marks[columns] |= np.uint64(1 << family)
    yield from (np.array(sorted(members)) for members in families if len(members) > 1)


def describe_family(targets: Targets, rows: Rows) -> str:
    """Return what the rows of a family have in common: their group, or the beginning of their names.

    Examples
    --------
    >>> import numpy as np
    >>> targets = Targets.build([1, 2, 3], 3, names=["sex = female", "sex = male", "households"])
    >>> describe_family(targets, np.array([0, 1])), describe_family(targets, np.array([2]))
    ('sex', 'households')
    """
    names = [targets.name(row) for row in rows]
    if len(rows) == 1:
        return names[0]
    if targets.groups is not None and len(np.unique(targets.groups[rows])) == 1:
        return str(targets.groups[rows[0]])
    prefix = _common_prefix(names)
    words = re.match(r"(.*\w)[\W_]+", prefix)
    common = _variable(prefix) or (words[1] if targets.names is not None and words else "")
    if common:
        return common
    return f"{names[0]} and {names[1]}" if len(rows) == 2 else f"{names[0]} to {names[-1]}"


def _common_prefix(names: list[str]) -> str:
    first, last = min(names), max(names)
    pairs = enumerate(zip(first, last, strict=False))
    return first[: next((i for i, (one, other) in pairs if one != other), len(first))]


def _variable(name: str) -> str:
    """Return what stands before the first separator of a name; nothing if there is none."""
    before = re.match(rf"([^{SEPARATORS}]*\w)\W*[{SEPARATORS}]", name)
    return before[1] if before else ""
