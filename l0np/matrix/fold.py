"""`Fold`: rows that are sums of other rows, which are added up in row space instead of being read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.matrix.checks import MOST_ROWS, check_indices

Floats = NDArray[np.float64]


class Columns(NamedTuple):
    """The arrays of a checked matrix by columns, whose rows ascend within each column."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[np.int64]
    n_rows: int

    def part(self, first: int, end: int) -> Any:
        """Return the columns from `first` to before `end` as a csc_array in float64."""
        entries = slice(self.indptr[first], self.indptr[end])
        indptr = self.indptr[first : end + 1] - self.indptr[first]
        arrays = self.data[entries].astype(np.float64), self.indices[entries], indptr
        return csc_of(*arrays, self.n_rows)

    def blocks(self, entries: int) -> Iterator[tuple[int, int]]:
        """Yield (first, end) of blocks of columns that hold about so many entries each."""
        first, n_columns = 0, len(self.indptr) - 1
        while first < n_columns:
            end = int(np.searchsorted(self.indptr, self.indptr[first] + entries, side="right")) - 1
            end = min(max(end, first + 1), n_columns)
            yield first, end
            first = end


def csc_of(data: Any, indices: Any, indptr: Any, n_rows: int) -> Any:
    """Return canonical columns as a csc_array."""
    from scipy import sparse

    wide = np.int32 if max(len(data), n_rows, len(indptr)) <= MOST_ROWS else np.int64
    arrays = data, indices.astype(wide), indptr.astype(wide)
    csc = sparse.csc_array(arrays, shape=(n_rows, len(indptr) - 1))
    csc.has_canonical_format = True  # SciPy need not look at every entry
    return csc


@dataclass(frozen=True, eq=False)
class Fold:
    """Which rows of a matrix are left out of its entries, because they are sums of other rows.

    A folded row is called a parent, and the rows that add up to it its children. A parent may be a child of
    other parents, and a row may have several. Of a parent the matrix stores only the remainder, what an entry
    is beyond the sum of the children's entries in its column, which is 0 nearly everywhere. With A[p, c] = 1
    for each child c of a parent p, the matrix stores T = (I - A) M, so that M w is what `forward` makes of
    T w, and M' r is T' times what `adjoint` makes of r.

    Parameters
    ----------
    parents, children : arrays of int, shape (n_links,)
        The links, sorted by the level of the parent, by parent and by child. The level of a parent is one
        more than the highest among its children, and that of any other row is 0.
    row_lengths : array of int, shape (n_rows,)
        Number of non-zeros in each row of the matrix, those of parents included.
    extremes : (float, float)
        The smallest and the largest non-zero of the matrix, those of parents included.

    Raises
    ------
    InputError, InputTypeError
        If the links lead out of the rows, or are not sorted by level.

    Examples
    --------
    Rows 0 and 1 are regions, row 2 is the nation:

    >>> fold = Fold(np.array([2, 2]), np.array([0, 1]), np.array([3, 4, 7]), (1.0, 1.0))
    >>> fold
    Fold(1 of 3 rows, 2 links)
    >>> totals = np.array([3.0, 4.0, 0.0])
    >>> fold.forward(totals)
    >>> totals
    array([3., 4., 7.])
    """

    parents: NDArray[np.int32]
    children: NDArray[np.int32]
    row_lengths: NDArray[np.int64]
    extremes: tuple[float, float]

    def __post_init__(self) -> None:
        """Check the links, because kernels do not, and lock them."""
        n_rows = len(self.row_lengths)
        for name in ("parents", "children"):
            check_indices(name, getattr(self, name), n_rows)
        if self.parents.shape != self.children.shape or self.parents.ndim != 1:
            found = f"{self.parents.shape} and {self.children.shape}"
            raise InputError(f"parents and children must be vectors of one length, they have shapes {found}")
        level = levels(self.parents, self.children, n_rows)
        if (np.diff(level[self.parents]) < 0).any():
            raise InputError("the links of a fold must be sorted by the level of the parent")
        object.__setattr__(self, "_level_ends", _ends_of_runs(level[self.parents]))
        for name, dtype in (("parents", np.int32), ("children", np.int32), ("row_lengths", np.int64)):
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild through the constructor, so that what comes out of a pickle is checked and locked too."""
        return type(self), (self.parents, self.children, self.row_lengths, self.extremes)

    @property
    def n_folded(self) -> int:
        """Number of parents."""
        return len(self.folded)

    @property
    def folded(self) -> NDArray[np.int32]:
        """The parents, ascending, each once."""
        return np.unique(self.parents)

    def level_slices(self) -> list[slice]:
        """Return the links of each level, the lowest first."""
        ends: list[int] = self._level_ends  # type: ignore[attr-defined]
        return [slice(*pair) for pair in zip([0, *ends[:-1]], ends, strict=True)]

    def forward(self, totals: Floats) -> None:
        """Add to each parent, in place, what its children have; totals of T become totals of M."""
        for links in self.level_slices():
            np.add.at(totals, self.parents[links], totals[self.children[links]])

    def adjoint(self, gradient: Floats) -> None:
        """Add to each child, in place, what its parents have: the transpose of `forward`.

        The order of additions is exactly that of `forward`, reversed.
        """
        for links in reversed(self.level_slices()):
            parents, children = self.parents[links][::-1], self.children[links][::-1]
            np.add.at(gradient, children, gradient[parents])

    def unfold(self, stored: Any) -> Any:
        """Return the columns of M for some of T, both csc_arrays in float64."""
        for links in self.level_slices():
            stored = stored + sums_of_children(self.parents[links], self.children[links], stored)
        return stored

    def __repr__(self) -> str:
        """Show how many rows are folded, and by how many links."""
        return f"Fold({self.n_folded:,} of {len(self.row_lengths):,} rows, {len(self.parents):,} links)"


def sums_of_children(parents: Any, children: Any, csc: Any) -> Any:
    """Return, for each parent, the sum over its children of the entries of a csc_array; canonical.

    In each column the children are added in ascending order.
    """
    from scipy import sparse

    n_rows = csc.shape[0]
    adding = sparse.csc_array((np.ones(len(parents)), (parents, children)), shape=(n_rows, n_rows))
    sums = adding @ csc
    sums.sort_indices()
    sums.has_canonical_format = True
    return sums


def levels(parents: Any, children: Any, n_rows: int) -> NDArray[np.int64]:
    """Return the level of each row: 0, or for a parent one more than the highest of its children.

    Raises
    ------
    InputError
        If a row is a sum of rows that it is a part of.
    """
    level = np.zeros(n_rows, np.int64)
    for _ in range(len(parents) + 1):
        before = level.copy()
        np.maximum.at(level, parents, level[children] + 1)
        if (level == before).all():
            return level
    raise InputError("a row must not be a sum of rows that it is a part of")


def sorted_links(parents: Any, children: Any, n_rows: int) -> tuple[Any, Any]:
    """Return links in the order that `Fold` wants."""
    order = np.lexsort((children, parents, levels(parents, children, n_rows)[parents]))
    return parents[order], children[order]


def _ends_of_runs(level: NDArray[np.int64]) -> list[int]:
    """Return where each run of equal numbers ends."""
    ends = np.flatnonzero(np.diff(level)) + 1
    return [*ends.tolist(), len(level)] if len(level) else []
