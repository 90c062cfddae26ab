"""ColumnMatrix: the one form in which a matrix meets the kernels, checked once when it is made.

SciPy is met here and nowhere else on the way in: it widens row indices to 32 or 64 bits, we keep 16 where they suffice.
"""

from __future__ import annotations

import importlib.util
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix.scipy_input import (
    FLOATS,
    MOST_ROWS,
    canonical_csc,
    check_compressed,
    check_indices,
    check_sparse,
    checked_shape,
    float_dtype,
    index_dtype,
)

BLOCK = 1 << 20  # entries looked at together by a check, so that its temporaries stay small
LARGE = 1 << 20  # non-zeros from which a conversion without temporaries is worth compiling a kernel


@dataclass(frozen=True, eq=False, repr=False)
class ColumnMatrix:
    """A sparse matrix stored by columns: 6 bytes for each non-zero where the matrix has up to 65,535 rows.

    Canonical and immutable: within a column the rows ascend strictly, no explicit zeros, no duplicates, all values finite.
    The arrays are copied and checked here, once, because kernels have no bounds checks. Passing a ColumnMatrix to `fit` saves
    the conversion at every call.

    Parameters
    ----------
    data : array of shape (nnz,)
        The values, float32 or float64.
    indices : array of shape (nnz,)
        The row of each value; kept as uint16 up to 65,535 rows, else as int32.
    indptr : array of shape (n_columns + 1,)
        Column j holds the entries ``indptr[j]`` to ``indptr[j + 1]``; kept as int64.
    shape : (int, int)
        Number of rows (targets, samples) and of columns (records, features).
    copy : bool
        False takes the arrays over where they have the right dtype: they become read-only, and must not be written to through
        other views either, for kernels trust what was checked here.

    Raises
    ------
    InputError
        Where the arrays do not describe a canonical matrix of finite values.

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
        if data.dtype not in FLOATS:
            with np.errstate(over="ignore", under="ignore"):  # refused below as not finite
                data = data.astype(np.float32)
        indices = validation.numeric_array("indices", self.indices)
        indptr = validation.numeric_array("indptr", self.indptr)
        check_compressed("the matrix", data, indices, indptr, n_columns, n_rows)
        if data.ndim != 1:
            raise InputError(f"data must be one-dimensional, it has shape {data.shape}")
        indices = indices.astype(index_dtype(n_rows), copy=False)
        indptr = indptr.astype(np.int64, copy=False)
        if len(indices) != indptr[-1] or len(data) != indptr[-1]:
            raise InputError(f"indptr ends at {indptr[-1]}, but there are {len(indices)} indices and {len(data)} values")
        for start in range(0, len(data), BLOCK):
            block = indices[start : start + BLOCK + 1]
            falls = start + 1 + np.flatnonzero(block[1:] <= block[:-1])
            if (indptr[np.searchsorted(indptr, falls)] != falls).any():  # rows may restart only where a column starts
                raise InputError("indices must ascend strictly within each column: use ColumnMatrix.build")
            if not np.isfinite(data[start : start + BLOCK]).all():
                raise InputError("data must be finite")
            if not data[start : start + BLOCK].all():
                raise InputError("data must not hold explicit zeros: use ColumnMatrix.build")
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
        wanted = float_dtype(dtype)
        if getattr(matrix, "format", None) == "csr" and matrix.data.size >= LARGE and importlib.util.find_spec("numba"):
            check_sparse(name, matrix)
            quick = cls._from_large_csr(matrix, wanted)
            if quick:
                return quick
        if isinstance(matrix, cls):
            return matrix if matrix.dtype == wanted else cls._from_canonical(matrix.to_scipy(), wanted, name)
        return cls._from_canonical(canonical_csc(name, matrix, wanted), wanted, name)

    @classmethod
    def of(cls, matrix: Any, *, name: str = "M") -> ColumnMatrix:
        """Return a ColumnMatrix as it is, anything else made into one in float64: for what is exact, not trained.

        Examples
        --------
        >>> ColumnMatrix.of([[1, 0], [2, 3]])
        ColumnMatrix(2 x 2, 3 non-zeros, float64, 30 bytes + column pointers)
        """
        return matrix if isinstance(matrix, cls) else cls.build(matrix, np.float64, name=name)

    @classmethod
    def _from_large_csr(cls, csr: Any, dtype: np.dtype[Any]) -> ColumnMatrix | None:
        """Return the columns of a checked csr matrix, made without temporaries; None where it is not canonical and finite."""
        from l0np.matrix.csr_to_csc_kernel import narrow_columns

        n_rows, n_columns = csr.shape
        try:
            return cls(*narrow_columns(csr, dtype, index_dtype(n_rows)), (n_rows, n_columns), copy=False)
        except InputError:  # duplicates, zeros, infinities: the long way sums, drops or names them
            return None

    @classmethod
    def from_coo(
        cls, rows: ArrayLike, columns: ArrayLike, values: ArrayLike, shape: tuple[int, int], dtype: DTypeLike = np.float32
    ) -> ColumnMatrix:
        """Make a ColumnMatrix from triplets; duplicates are summed.

        Examples
        --------
        >>> ColumnMatrix.from_coo([0, 1, 1], [0, 2, 2], [1.0, 2.0, 3.0], shape=(2, 3)).to_scipy().toarray()
        array([[1., 0., 0.],
               [0., 0., 5.]], dtype=float32)
        """
        from scipy import sparse

        shape = checked_shape(shape)
        data = validation.numeric_array("values", values)
        places = [validation.numeric_array(name, place) for name, place in (("rows", rows), ("columns", columns))]
        if not data.size:  # an empty list has no dtype of its own
            places = [place.astype(np.int64) for place in places]
        for place, what, size in zip(places, ("rows", "columns"), shape, strict=True):
            if place.shape != data.shape or data.ndim != 1:
                raise InputError(
                    f"rows, columns and values must be one-dimensional and of one length, {what} has {place.shape}"
                )
            check_indices(what, place, size)
        return cls.build(sparse.coo_array((data, tuple(places)), shape=shape), dtype)

    @classmethod
    def _from_canonical(cls, csc: Any, dtype: np.dtype[Any], name: str) -> ColumnMatrix:
        """Cast the values of a canonical scipy matrix, name what is not finite, drop what is or became zero."""
        with np.errstate(over="ignore", under="ignore"):
            data = csc.data.astype(dtype)
        wrong = np.flatnonzero(~np.isfinite(data))
        if wrong.size:
            row, column = csc.indices[wrong[0]], np.searchsorted(csc.indptr, wrong[0], side="right") - 1
            cast = f" after the cast of {csc.data[wrong[0]]} to {dtype}" if np.isfinite(csc.data[wrong[0]]) else ""
            raise InputError(f"{name}[{row}, {column}] is {data[wrong[0]]}{cast} (non-finite entries: {wrong.size})")
        indices, indptr = csc.indices, csc.indptr
        if not data.all():
            kept = data != 0
            indptr = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))[indptr]
            indices, data = indices[kept], data[kept]
        return cls(data, indices.astype(index_dtype(csc.shape[0])), indptr.astype(np.int64), csc.shape, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild through the constructor, so that what comes out of a pickle is checked and locked too."""
        return type(self), (self.data, self.indices, self.indptr, self.shape)

    @property
    def nnz(self) -> int:
        """Number of stored values, none of them zero."""
        return len(self.data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values."""
        return self.data.dtype

    def to_scipy(self) -> Any:
        """Return a `scipy.sparse.csc_array` of the same values (a copy of the indices, which SciPy keeps wider)."""
        from scipy import sparse

        wide = np.int32 if max(self.nnz, *self.shape) <= MOST_ROWS else np.int64
        return sparse.csc_array((self.data, self.indices.astype(wide), self.indptr.astype(wide)), shape=self.shape)

    def __repr__(self) -> str:
        """Describe size and memory."""
        size = self.data.nbytes + self.indices.nbytes
        (n_rows, n_columns), nnz = self.shape, f"{self.nnz:,}"
        return f"ColumnMatrix({n_rows} x {n_columns}, {nnz} non-zeros, {self.dtype}, {size:,} bytes + column pointers)"
