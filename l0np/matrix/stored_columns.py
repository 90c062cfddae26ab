"""`StoredColumns`: what a ColumnMatrix answers about its entries, whether rows of it are folded or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix.checks import check_indices
from l0np.matrix.fold import Columns, Fold, csc_of
from l0np.matrix.fold_search import row_lengths
from l0np.matrix.folding import unfold_columns
from l0np.matrix.products import FoldedProduct


class StoredColumns:
    """The reading half of `ColumnMatrix`, which names and checks the arrays."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[np.int64]
    shape: tuple[int, int]
    fold: Fold | None

    @property
    def nnz(self) -> int:
        """Number of non-zeros of the matrix, those of folded rows included."""
        return self.n_stored if self.fold is None else int(self.fold.row_lengths.sum())

    @property
    def n_stored(self) -> int:
        """Number of entries that are stored, none of them zero."""
        return len(self.data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values."""
        return self.data.dtype

    @property
    def row_lengths(self) -> NDArray[np.int64]:
        """Number of non-zeros in each row, shape (n_rows,)."""
        return row_lengths(self.stored) if self.fold is None else self.fold.row_lengths

    @property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value, 0 among them if the matrix is empty."""
        if self.fold is not None:
            return self.fold.extremes
        return (float(self.data.min()), float(self.data.max())) if self.n_stored else (0.0, 0.0)

    @property
    def stored(self) -> Columns:
        """What is stored, as functions of this room take it."""
        return Columns(self.data, self.indices, self.indptr, self.shape[0])

    def product_form(self) -> Any:
        """Return what multiplies: for ``form @ w`` and ``form.T @ r``, in float64.

        It is a `scipy.sparse.csc_array` or, of a folded matrix, a `FoldedProduct`, which reads what is
        stored.

        Examples
        --------
        >>> from l0np import ColumnMatrix
        >>> M = ColumnMatrix.build([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
        >>> M.product_form() @ np.array([1.0, 1.0, 1.0])
        array([3., 7.])
        """
        stored = csc_of(self.data.astype(np.float64), *self.stored[1:])
        return stored if self.fold is None else FoldedProduct(stored, self.fold)

    def to_scipy(self) -> Any:
        """Return a `scipy.sparse.csc_array` of the same values, those of folded rows included.

        The indices are copied, because SciPy stores them in 32 bits or more; the values are not, unless rows
        are folded.
        """
        whole = self.stored
        if self.fold is not None:
            whole = unfold_columns(whole, self.fold, self.dtype)
        return csc_of(*whole)

    def take(self, columns: ArrayLike) -> Any:
        """Return some columns, in the order given, as a `scipy.sparse.csc_array` in float64.

        Only the entries of these columns are read; nothing of the other columns is copied or widened.

        Parameters
        ----------
        columns : array of int, shape (k,)
            Which columns, each from 0 to n_columns - 1. They may repeat.

        Returns
        -------
        scipy.sparse.csc_array of shape (n_rows, k)
            Canonical: within a column the rows ascend strictly.

        Raises
        ------
        InputError
            If `columns` is not one-dimensional or holds a number that is out of range.
        InputTypeError
            If it does not hold integers.

        Examples
        --------
        >>> from l0np import ColumnMatrix
        >>> M = ColumnMatrix.build([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
        >>> M.take([2, 0, 2]).toarray()
        array([[2., 1., 2.],
               [4., 0., 4.]])
        """
        columns = validation.numeric_array("columns", columns)
        if columns.ndim != 1:
            raise InputError(f"columns must be one-dimensional, it has shape {columns.shape}")
        if not columns.size:  # an empty list has no dtype of its own
            columns = columns.astype(np.int64)
        check_indices("columns", columns, self.shape[1])
        entries, indptr = self.entries_of(columns.astype(np.int64))
        stored = csc_of(self.data[entries].astype(np.float64), self.indices[entries], indptr, self.shape[0])
        return stored if self.fold is None else self.fold.unfold(stored)

    def entries_of(self, columns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the positions in `data` of what is stored of some columns, and where each column starts.

        Examples
        --------
        >>> from l0np import ColumnMatrix
        >>> M = ColumnMatrix.build([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
        >>> M.entries_of(np.array([2, 0]))
        (array([2, 3, 0]), array([0, 2, 3]))
        """
        starts, counts = self.indptr[columns], self.indptr[columns + 1] - self.indptr[columns]
        indptr = np.concatenate(([0], np.cumsum(counts)))
        return np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts), indptr

    def __repr__(self) -> str:
        """Describe size, memory and folded rows."""
        size = self.data.nbytes + self.indices.nbytes
        (n_rows, n_columns), nnz = self.shape, f"{self.nnz:,}"
        what = f"{n_rows} x {n_columns}, {nnz} non-zeros, {self.dtype}, {size:,} bytes + column pointers"
        if self.fold is not None:
            what += f", {self.fold.n_folded:,} rows folded: {self.n_stored:,} entries stored"
        return f"ColumnMatrix({what})"
