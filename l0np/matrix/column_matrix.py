"""ColumnMatrix: the one form in which kernels meet a matrix, checked once when it is made.

SciPy widens row indices to 32 or 64 bits; here they take 16 bits if these suffice.
"""

from __future__ import annotations

import importlib.util
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix.checks import (
    MOST_ROWS,
    check_canonical,
    check_compressed,
    check_indices,
    checked_shape,
    index_dtype,
)
from l0np.matrix.scipy_input import canonical_csc, check_sparse, is_sparse
from l0np.matrix.stored import StoredColumns

LARGE = 1 << 20  # number of entries above which a conversion without temporaries is worth compiling a kernel


@dataclass(frozen=True, eq=False, repr=False)
class ColumnMatrix(StoredColumns):
    """A sparse matrix stored by columns: 6 bytes for each entry if it has at most 65,535 rows.

    Canonical and immutable: within a column the rows ascend strictly; there are no explicit zeros and no
    duplicates, and all values are finite. The arrays are copied and checked here, once, because kernels have
    no bounds checks. Passing a ColumnMatrix to `fit` saves the conversion at every call.

    Parameters
    ----------
    data : array of shape (nnz,)
        The values, float32 or float64.
    indices : array of shape (nnz,)
        The row of each value; stored as uint16 for at most 65,535 rows, else as int32.
    indptr : array of shape (n_columns + 1,)
        Column j holds the entries ``indptr[j]`` to ``indptr[j + 1]``; stored as int64.
    shape : (int, int)
        Number of rows (targets, observations) and of columns (records, features).
    copy : bool
        If False, arrays of the right dtype are used without a copy: they become read-only, and must not be
        written to through other views either, because kernels trust what was checked here.

    Raises
    ------
    InputError
        If the arrays do not describe a canonical matrix of finite values.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import ColumnMatrix
    >>> M = ColumnMatrix.build(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]]))
    >>> M
    ColumnMatrix(2 x 3, 4 non-zeros, float32, 24 bytes + column pointers)
    >>> M.indices
    array([0, 1, 0, 1], dtype=uint16)
    >>> M.to_scipy().toarray()
    array([[1., 0., 2.],
           [0., 3., 4.]], dtype=float32)
    """

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[np.int64]
    shape: tuple[int, int]
    copy: InitVar[bool] = True

    def __post_init__(self, copy: bool) -> None:
        """Bring the arrays to their dtypes, check them and lock them."""
        n_rows, n_columns = checked_shape(self.shape)
        data = validation.numeric_array("data", self.data)
        if data.dtype not in validation.FLOATS:
            with np.errstate(over="ignore", under="ignore"):  # infinities are refused below
                data = data.astype(np.float32)
        indices = validation.numeric_array("indices", self.indices)
        indptr = validation.numeric_array("indptr", self.indptr)
        check_compressed("the matrix", data, indices, indptr, n_columns, n_rows)
        if data.ndim != 1:
            raise InputError(f"data must be one-dimensional, it has shape {data.shape}")
        indices = indices.astype(index_dtype(n_rows), copy=False)
        indptr = indptr.astype(np.int64, copy=False)
        if len(indices) != indptr[-1] or len(data) != indptr[-1]:
            found = f"{len(indices)} indices and {len(data)} values"
            raise InputError(f"indptr ends at {indptr[-1]}, but there are {found}")
        check_canonical(data, indices, indptr)
        for name, array in (("data", data), ("indices", indices), ("indptr", indptr)):
            array = np.array(array, order="C", copy=copy or None)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "shape", (n_rows, n_columns))

    @classmethod
    def build(cls, matrix: Any, dtype: DTypeLike = np.float32, *, name: str = "M") -> ColumnMatrix:
        """Make a ColumnMatrix from anything that is a matrix; the input is not changed.

        Parameters
        ----------
        matrix : ColumnMatrix, scipy.sparse array or matrix of any format, array, list of lists or DataFrame
            Explicit zeros are dropped and duplicates summed.
        dtype : float32 or float64
            What the values are cast to, after duplicates are summed.
        name : str
            What error messages call the matrix.

        Raises
        ------
        InputTypeError
            For masked arrays and for elements that are not real numbers.
        InputError
            For an empty matrix, NaN or infinite values, indices out of range or a broken indptr.

        Examples
        --------
        >>> from scipy import sparse
        >>> ColumnMatrix.build(sparse.random_array((4, 6), density=0.5, rng=0), dtype="float64")
        ColumnMatrix(4 x 6, 12 non-zeros, float64, 120 bytes + column pointers)
        """
        return cls._built(matrix, validation.float_dtype(dtype), name, matrix)

    @classmethod
    def _built(cls, matrix: Any, wanted: np.dtype[Any], name: str, source: Any) -> ColumnMatrix:
        """Make a ColumnMatrix; `source` is the matrix as the user gave it, whose labels messages use."""
        if isinstance(matrix, cls):
            if matrix.dtype == wanted:
                return matrix
            return cls._from_canonical(matrix.to_scipy(), wanted, name, source)
        quick = cls.from_large_csr(matrix, wanted, name=name)
        return quick or cls._from_canonical(canonical_csc(name, matrix, wanted), wanted, name, source)

    @classmethod
    def of(cls, matrix: Any, *, name: str = "M") -> ColumnMatrix:
        """Return a ColumnMatrix of exactly the given numbers.

        A ColumnMatrix is returned as it is. Input in float32 (an array, a `scipy.sparse` matrix, a frame of
        such columns) stays float32, everything else becomes float64. Where duplicates in a float32 matrix add
        up to a number that float32 cannot hold, the whole matrix becomes float64.

        Parameters
        ----------
        matrix, name
            As for `build`.

        Raises
        ------
        InputError, InputTypeError
            As `build` does.

        Examples
        --------
        >>> ColumnMatrix.of([[1, 0], [2, 3]])
        ColumnMatrix(2 x 2, 3 non-zeros, float64, 30 bytes + column pointers)
        >>> ColumnMatrix.of(np.array([[1, 0], [2, 3]], dtype=np.float32))
        ColumnMatrix(2 x 2, 3 non-zeros, float32, 18 bytes + column pointers)
        """
        if isinstance(matrix, cls):
            return matrix
        if not is_sparse(matrix):
            dense = validation.numeric_array(name, matrix)
            narrow = dense.dtype == np.float32
            return cls._built(dense, np.dtype(np.float32 if narrow else np.float64), name, matrix)
        if matrix.dtype.newbyteorder("=") != np.float32:
            return cls.build(matrix, np.float64, name=name)
        quick = cls.from_large_csr(matrix, np.dtype(np.float32), name=name)
        return quick or cls.build(matrix, np.float64, name=name)._narrowed()

    def _narrowed(self) -> ColumnMatrix:
        """Return the matrix in float32 if that holds its numbers exactly, else the matrix itself."""
        with np.errstate(over="ignore", under="ignore"):
            data = self.data.astype(np.float32)
        if (data != self.data).any():
            return self
        return ColumnMatrix(data, self.indices, self.indptr, self.shape, copy=False)

    @classmethod
    def from_large_csr(
        cls, matrix: Any, dtype: np.dtype[Any], *, name: str = "M", at_least: int = LARGE
    ) -> ColumnMatrix | None:
        """Return the columns of a large csr matrix, made by a compiled kernel without temporaries.

        Returns None for a matrix of another kind, for one that is not canonical and finite, and where Numba
        is not installed: these go through SciPy, which sums duplicates; there zeros are dropped and
        infinities reported.

        Parameters
        ----------
        matrix, name
            As for `build`.
        dtype : float32 or float64
            What the values are cast to.
        at_least : int
            Number of entries above which a matrix is large.
        """
        is_large = getattr(matrix, "format", None) == "csr" and matrix.data.size >= at_least
        if not is_large or not importlib.util.find_spec("numba"):
            return None
        check_sparse(name, matrix)
        from l0np.matrix.csr_to_csc_kernels import narrow_columns

        n_rows, n_columns = matrix.shape
        try:
            return cls(*narrow_columns(matrix, dtype, index_dtype(n_rows)), (n_rows, n_columns), copy=False)
        except InputError:
            return None

    @classmethod
    def from_coo(
        cls,
        rows: ArrayLike,
        columns: ArrayLike,
        values: ArrayLike,
        shape: tuple[int, int],
        dtype: DTypeLike = np.float32,
    ) -> ColumnMatrix:
        """Make a ColumnMatrix from triplets; duplicates are summed.

        Parameters
        ----------
        rows, columns : arrays of int, shape (n,)
            Row and column of each value.
        values : array of shape (n,)
            The values.
        shape : (int, int)
            Number of rows and of columns.
        dtype : float32 or float64
            What the values are cast to, after duplicates are summed.

        Raises
        ------
        InputError, InputTypeError
            If the arrays differ in length, or hold indices out of range or numbers that are not finite.

        Examples
        --------
        >>> ColumnMatrix.from_coo([0, 1, 1], [0, 2, 2], [1.0, 2.0, 3.0], shape=(2, 3)).to_scipy().toarray()
        array([[1., 0., 0.],
               [0., 0., 5.]], dtype=float32)
        """
        from scipy import sparse

        shape = checked_shape(shape)
        data = validation.numeric_array("values", values)
        where = [validation.numeric_array("rows", rows), validation.numeric_array("columns", columns)]
        if not data.size:  # an empty list has no dtype of its own
            where = [indices.astype(np.int64) for indices in where]
        for indices, what, size in zip(where, ("rows", "columns"), shape, strict=True):
            if indices.shape != data.shape or data.ndim != 1:
                rule = "rows, columns and values must be one-dimensional and of one length"
                raise InputError(f"{rule}, {what} has {indices.shape}")
            check_indices(what, indices, size)
        return cls.build(sparse.coo_array((data, tuple(where)), shape=shape), dtype)

    @classmethod
    def read(cls, path: Any, dtype: DTypeLike = np.float64) -> ColumnMatrix:
        """Read `.npz` (of `scipy.sparse`), `.mtx`, or triplets in a table (`.csv` or `.parquet`).

        A table has the columns `target` and `record`, which count from 0, and `value`; the largest numbers
        set the shape. Values are cast to `dtype`.

        Raises
        ------
        InputError, InputTypeError, MissingPackageError
            If there is no such matrix in the file, or polars is not installed, which reads tables.
        """
        from l0np.matrix.matrix_files import read_matrix

        return cls.build(read_matrix(path), dtype, name=str(path))

    @classmethod
    def _from_canonical(cls, csc: Any, dtype: np.dtype[Any], name: str, source: Any) -> ColumnMatrix:
        """Cast the values of a canonical scipy matrix; drop entries that are 0 after the cast.

        An entry that is not finite is reported.
        """
        with np.errstate(over="ignore", under="ignore"):
            data = csc.data.astype(dtype)
        wrong = np.flatnonzero(~np.isfinite(data))
        if wrong.size:
            row, column = csc.indices[wrong[0]], np.searchsorted(csc.indptr, wrong[0], side="right") - 1
            given = csc.data[wrong[0]]
            cast = f" after the cast of {given} to {dtype}" if np.isfinite(given) else ""
            where, words = validation.entry(name, source, row, column)
            found = f"{where} is {data[wrong[0]]}{cast}"
            raise InputError(f"{found} (non-finite entries: {wrong.size}){words}")
        indices, indptr = csc.indices, csc.indptr
        if not data.all():
            stays = data != 0
            indptr = np.concatenate(([0], np.cumsum(stays, dtype=np.int64)))[indptr]
            indices, data = indices[stays], data[stays]
        indices = indices.astype(index_dtype(csc.shape[0]))
        return cls(data, indices, indptr.astype(np.int64), csc.shape, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild through the constructor, so that what comes out of a pickle is checked and locked too."""
        return type(self), (self.data, self.indices, self.indptr, self.shape)

    @property
    def nnz(self) -> int:
        """Number of entries, none of them zero."""
        return len(self.data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values."""
        return self.data.dtype

    def to_scipy(self) -> Any:
        """Return a `scipy.sparse.csc_array` of the same values.

        The indices are copied, because SciPy stores them in 32 bits or more; the values are not.
        """
        from scipy import sparse

        wide = _scipy_index_dtype(self.nnz, *self.shape)
        arrays = self.data, self.indices.astype(wide), self.indptr.astype(wide)
        return sparse.csc_array(arrays, shape=self.shape)

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
        >>> M = ColumnMatrix.build([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
        >>> M.take([2, 0, 2]).toarray()
        array([[2., 1., 2.],
               [4., 0., 4.]])
        """
        from scipy import sparse

        columns = validation.numeric_array("columns", columns)
        if columns.ndim != 1:
            raise InputError(f"columns must be one-dimensional, it has shape {columns.shape}")
        if not columns.size:  # an empty list has no dtype of its own
            columns = columns.astype(np.int64)
        check_indices("columns", columns, self.shape[1])
        entries, indptr = self.entries_of(columns.astype(np.int64))
        shape = self.shape[0], len(columns)
        wide = _scipy_index_dtype(len(entries), *shape)
        arrays = (
            self.data[entries].astype(np.float64),
            self.indices[entries].astype(wide),
            indptr.astype(wide),
        )
        taken = sparse.csc_array(arrays, shape=shape)
        taken.has_canonical_format = True  # as the whole matrix is: SciPy need not look at every entry
        return taken

    def entries_of(self, columns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the positions in `data` of the entries of some columns, and where each column starts.

        Examples
        --------
        >>> M = ColumnMatrix.build([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
        >>> M.entries_of(np.array([2, 0]))
        (array([2, 3, 0]), array([0, 2, 3]))
        """
        starts, counts = self.indptr[columns], self.indptr[columns + 1] - self.indptr[columns]
        indptr = np.concatenate(([0], np.cumsum(counts)))
        return np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts), indptr

    def __repr__(self) -> str:
        """Describe size and memory."""
        size = self.data.nbytes + self.indices.nbytes
        (n_rows, n_columns), nnz = self.shape, f"{self.nnz:,}"
        what = f"{n_rows} x {n_columns}, {nnz} non-zeros, {self.dtype}, {size:,} bytes + column pointers"
        return f"ColumnMatrix({what})"


def _scipy_index_dtype(*sizes: int) -> type[np.integer[Any]]:
    """Return the dtype that SciPy gives indices, for these numbers of entries, rows and columns."""
    return np.int32 if max(sizes) <= MOST_ROWS else np.int64
