"""Folding: which rows are left out of the entries of a matrix, proved and made exact on all entries."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputTypeError
from l0np.matrix.fold import Columns, Fold, csc_of, sorted_links, sums_of_children
from l0np.matrix.fold_search import HALF, LEAST_GAIN, Sums, find_sums

FEWEST_ENTRIES = 1 << 16  # below which folding gains microseconds, and "auto" does not look
COMPILED = 1 << 20  # entries above which a kernel is worth compiling
WASTE = 0.01  # of the entries that may be stored: more for parents that are no sums is not left so
BLOCK = 1 << 19  # entries that SciPy handles at a time


def checked_fold(fold: Any) -> bool | str:
    """Return the argument `fold` of `ColumnMatrix.build` and `fit`, checked."""
    if isinstance(fold, bool | np.bool_) or (isinstance(fold, str) and fold == "auto"):
        return fold if isinstance(fold, str) else bool(fold)
    raise InputTypeError(f'fold must be "auto", True or False, got {fold!r}')


@dataclass(frozen=True)
class Remainders:
    """What is left of a matrix without some of its rows.

    Attributes
    ----------
    rest : array of int, shape (n_rows,)
        Number of entries that each row needs: its remainders, if it is a parent.
    inexact : array of int, shape (n_rows,)
        Number of remainders with which the sum does not give the entry back.
    lengths : array of int, shape (n_rows,)
        Number of non-zeros of each row.
    extremes : (float, float)
        The smallest and the largest non-zero.
    """

    rest: NDArray[np.int64]
    inexact: NDArray[np.int64]
    lengths: NDArray[np.int64]
    extremes: tuple[float, float]


def fold_columns(
    columns: Columns, *, thorough: bool, compiled_from: int = COMPILED
) -> tuple[Columns, Fold] | None:
    """Return the entries that a matrix needs without its parents, and the fold; None if nothing is gained.

    Parameters
    ----------
    thorough : bool
        Whether to fold whatever saves any entry at all; otherwise it must save a tenth of them, and a matrix
        in which a small sample shows no sums is not searched.
    compiled_from : int
        Number of entries from which a kernel is compiled, if Numba is installed.
    """
    if not thorough and len(columns.data) < FEWEST_ENTRIES:
        return None
    sums = find_sums(columns, thorough=thorough)
    if not len(sums.parents):
        return None
    compiles = len(columns.data) >= compiled_from and importlib.util.find_spec("numba") is not None
    subtract = _subtract_compiled if compiles else _subtract_by_scipy
    room = int((1.0 if thorough else 1.0 - LEAST_GAIN) * len(columns.data))
    stored, found = subtract(columns, sums, room)
    excess = np.maximum(found.rest - found.lengths, 0)[sums.parents].sum()
    if found.inexact.any() or stored is None or excess > WASTE * room:
        pays = (found.inexact == 0) & (found.rest < HALF * found.lengths)
        sums = _with_parents(sums, pays)
        stored, found = subtract(columns, sums, room)
    if stored is None or not len(sums.parents):
        return None
    links = sorted_links(sums.parents, sums.children, columns.n_rows)
    return stored, Fold(*links, found.lengths, found.extremes)


def unfold_columns(columns: Columns, fold: Fold, dtype: Any) -> Columns:
    """Return the columns of the whole matrix, values in `dtype`."""
    size = int(fold.row_lengths.sum())
    data, indices = np.empty(size, dtype), np.empty(size, columns.indices.dtype)
    indptr, at = np.zeros_like(columns.indptr), 0
    for first, end in columns.blocks(BLOCK):
        part = fold.unfold(columns.part(first, end))
        data[at : at + part.nnz], indices[at : at + part.nnz] = part.data, part.indices
        indptr[first + 1 : end + 1] = at + part.indptr[1:]
        at += part.nnz
    return Columns(data, indices, indptr, columns.n_rows)


def _with_parents(sums: Sums, stays: NDArray[np.bool_]) -> Sums:
    kept = stays[sums.parents]
    return Sums(sums.parents[kept], sums.children[kept], sums.gain)


def _subtract_by_scipy(columns: Columns, sums: Sums, room: int) -> tuple[Columns | None, Remainders]:
    """Return ``T = M - A M``, or None if it has more than `room` entries, and what is known of it."""
    n_rows, dtype = columns.n_rows, columns.data.dtype
    rest, inexact, lengths = (np.zeros(n_rows, np.int64) for _ in range(3))
    smallest, largest, indptr = np.inf, -np.inf, np.zeros_like(columns.indptr)
    data, indices = np.empty(room, dtype), np.empty(room, columns.indices.dtype)
    for first, end in columns.blocks(BLOCK):
        part = columns.part(first, end)
        totals = sums_of_children(sums.parents, sums.children, part)
        stored = part - totals
        narrow = csc_of(stored.data.astype(dtype).astype(np.float64), stored.indices, stored.indptr, n_rows)
        wrong = (narrow + totals) - part
        at = int(indptr[first])
        fits = max(min(stored.nnz, room - at), 0)
        data[at : at + fits], indices[at : at + fits] = stored.data[:fits], stored.indices[:fits]
        indptr[first + 1 : end + 1] = at + stored.indptr[1:]
        rest += np.bincount(stored.indices, minlength=n_rows)
        inexact += np.bincount(wrong.indices[wrong.data != 0], minlength=n_rows)
        lengths += np.bincount(part.indices, minlength=n_rows)
        smallest, largest = min(smallest, part.data.min()), max(largest, part.data.max())
    found = Remainders(rest, inexact, lengths, (float(smallest), float(largest)))
    return _if_it_fits(Columns(data, indices, indptr, n_rows)), found


def _subtract_compiled(columns: Columns, sums: Sums, room: int) -> tuple[Columns | None, Remainders]:
    """Do the same with a compiled kernel, in a fifth of the time."""
    from l0np.matrix.fold_kernels import subtract_sums

    n_rows = columns.n_rows
    order = np.lexsort((sums.parents, sums.children))
    starts = np.searchsorted(sums.children[order], np.arange(n_rows + 1))
    is_parent = np.zeros(n_rows, bool)
    is_parent[sums.parents] = True
    data, indices = np.empty(room, columns.data.dtype), np.empty(room, columns.indices.dtype)
    indptr, counts, extremes = np.zeros_like(columns.indptr), np.zeros((3, n_rows), np.int64), np.zeros(2)
    links = starts.astype(np.uint64), sums.parents[order].astype(np.uint64), is_parent
    subtract_sums(*columns[:3], *links, data, indices, indptr, counts, extremes)
    rest, inexact, lengths = counts
    found = Remainders(rest, inexact, lengths, (float(extremes[0]), float(extremes[1])))
    return _if_it_fits(Columns(data, indices, indptr, n_rows)), found


def _if_it_fits(stored: Columns) -> Columns | None:
    """Return columns without the room that is left, which was never touched; None if it did not suffice."""
    size = int(stored.indptr[-1])
    if size > len(stored.data):
        return None
    for array in (stored.data, stored.indices):
        array.resize(size, refcheck=False)  # in place, so that no second copy is held
    return stored
