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
    check_canonical,
    check_compressed,
    check_triplets,
    checked_shape,
    index_dtype,
)
from l0np.matrix.fold import Fold
from l0np.matrix.folding import checked_fold, fold_columns, unfold_columns
from l0np.matrix.saved import SavedMatrix
from l0np.matrix.scipy_input import canonical_csc, cast_columns, check_sparse, is_sparse
from l0np.matrix.stored_columns import StoredColumns

LARGE = 1 << 20  # number of entries above which a conversion without temporaries is worth compiling a kernel


@dataclass(frozen=True, eq=False, repr=False)
class ColumnMatrix(StoredColumns, SavedMatrix):
    """A sparse matrix stored by columns: 6 bytes for each entry if it has at most 65,535 rows.

    Canonical and immutable: within a column the rows ascend strictly; there are no explicit zeros and no
    duplicates, and all values are finite. The arrays are copied and checked here, once, because kernels have
    no bounds checks. Passing a ColumnMatrix to `fit` saves the conversion at every call.

    Rows that are sums of other rows may be folded (`folded`): then `data`, `indices` and `indptr` hold what
    is stored, which is less than the matrix. All methods answer for the whole matrix.

    Parameters
    ----------
    data : array of shape (n_stored,)
        The values, float32 or float64.
    indices : array of shape (n_stored,)
        The row of each value; stored as uint16 for at most 65,535 rows, else as int32.
    indptr : array of shape (n_columns + 1,)
        Column j holds the entries ``indptr[j]`` to ``indptr[j + 1]``; stored as int64.
    shape : (int, int)
        Number of rows (targets, observations) and of columns (records, features).
    copy : bool
        If False, arrays of the right dtype are used without a copy: they become read-only, and must not be
        written to through other views either, because kernels trust what was checked here.
    fold : Fold, optional
        Which rows are folded, if `data` holds only remainders of these.

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
    fold: Fold | None = None

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
        if self.fold is not None and len(self.fold.row_lengths) != n_rows:
            raise InputError(f"fold is of {len(self.fold.row_lengths)} rows, the matrix has {n_rows}")
        for name, array in (("data", data), ("indices", indices), ("indptr", indptr)):
            array = np.array(array, order="C", copy=copy or None)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "shape", (n_rows, n_columns))

    @classmethod
    def build(
        cls,
        matrix: Any,
        dtype: DTypeLike = np.float32,
        *,
        name: str = "M",
        fold: bool | str = "auto",
    ) -> ColumnMatrix:
        """Make a ColumnMatrix from anything that is a matrix; the input is not changed.

        Parameters
        ----------
        matrix : ColumnMatrix, scipy.sparse array or matrix of any format, array, list of lists or DataFrame
            Explicit zeros are dropped and duplicates summed.
        dtype : float32 or float64
            What the values are cast to, after duplicates are summed.
        name : str
            What error messages call the matrix.
        fold : {"auto", True, False}
            Whether rows that are sums of other rows are left out of the entries: see `folded`.

        Raises
        ------
        InputTypeError
            For masked arrays, for elements that are not real numbers, and for another `fold`.
        InputError
            For an empty matrix, NaN or infinite values, indices out of range or a broken indptr.

        Examples
        --------
        >>> from scipy import sparse
        >>> ColumnMatrix.build(sparse.random_array((4, 6), density=0.5, rng=0), dtype="float64")
        ColumnMatrix(4 x 6, 12 non-zeros, float64, 120 bytes + column pointers)
        """
        fold = checked_fold(fold)
        return cls._built(matrix, validation.float_dtype(dtype), name, matrix).folded(fold)

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
            return cls.build(matrix, np.float64, name=name, fold=False)
        quick = cls.from_large_csr(matrix, np.dtype(np.float32), name=name)
        return quick or cls.build(matrix, np.float64, name=name, fold=False)._narrowed()

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
        data, where = check_triplets(rows, columns, values, shape)
        return cls.build(sparse.coo_array((data, where), shape=shape), dtype, fold=False)

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

        return cls.build(read_matrix(path), dtype, name=str(path), fold=False)

    @classmethod
    def _from_canonical(cls, csc: Any, dtype: np.dtype[Any], name: str, source: Any) -> ColumnMatrix:
        """Cast the values of a canonical scipy matrix; drop entries that are 0 after the cast."""
        return cls(*cast_columns(csc, dtype, name, source), csc.shape, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild through the constructor, so that what comes out of a pickle is checked and locked too."""
        return type(self), (self.data, self.indices, self.indptr, self.shape, True, self.fold)

    def folded(self, fold: bool | str = "auto") -> ColumnMatrix:
        """Return the same matrix without the entries of rows that are sums of other rows.

        Where a state is the sum of its districts and the nation that of its states, only the districts need
        to be read: what they add up to is added in row space. Where single entries deviate from the sum, the
        difference is stored, so that every entry is given back exactly. Products are the same to rounding,
        and never depend on the number of threads.

        Parameters
        ----------
        fold : {"auto", True, False}
            "auto" leaves a matrix of fewer than 65,536 entries as it is, and one in which a small sample of
            columns does not promise to save a tenth of the entries. True folds whatever saves any entry.
            False gives the matrix with all entries. A matrix that is folded already stays so unless `fold` is
            False.

        Returns
        -------
        ColumnMatrix
            The matrix itself if nothing changes.

        Raises
        ------
        InputTypeError
            For any other `fold`.

        Examples
        --------
        >>> M = ColumnMatrix.build([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [1.0, 3.0, 2.0]])
        >>> M.to_scipy().toarray()[2]
        array([1., 3., 2.], dtype=float32)
        """
        fold = checked_fold(fold)
        if self.fold is not None and fold is False:
            whole = unfold_columns(self.stored, self.fold, self.dtype)
            return ColumnMatrix(whole.data, whole.indices, whole.indptr, self.shape, copy=False)
        if self.fold is not None or fold is False:
            return self
        found = fold_columns(self.stored, thorough=fold is True)
        if found is None:
            return self
        stored = found[0]
        return ColumnMatrix(stored.data, stored.indices, stored.indptr, self.shape, copy=False, fold=found[1])
