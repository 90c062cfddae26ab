"""A ColumnMatrix on disk: saved, written block by block, and opened as a memory map, whole or in part.

The arrays of the matrix are files of their own, so that a part of the columns is a part of each file: ranks
on one machine or on a shared file system open what is theirs. What is decided once for a matrix, such as an
order of its columns, is stored as a further array or property, with a feature if a reader must know it.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix.array_folders import DOCUMENT, ENDING, ArrayFolder, ArrayFolderWriter
from l0np.matrix.checks import index_dtype

DATA, INDICES, INDPTR = "data", "indices", "indptr"
ROW_COUNTS, IDS = "row_counts", "ids"
NEAR = 1 << 16  # columns on either side of an even cut among which the end of a district is looked for


class SavedMatrix:
    """What `ColumnMatrix` does with folders."""

    data: NDArray[Any]
    shape: tuple[int, int]

    def save(self, folder: Any, *, ids: ArrayLike | None = None) -> None:
        """Save the matrix in a folder, from which `open` maps it into memory.

        The folder holds ``data.npy``, ``indices.npy``, ``indptr.npy``, ``row_counts.npy`` (the entries of
        each row) and ``matrix.json``: the version of the format, shape and dtype, and the size and SHA-256 of
        each file. It is written last, so that a folder whose writing was interrupted does not open.

        Parameters
        ----------
        folder : str or path
            Created if necessary. It must be empty, or the remnant of an interrupted `save`.
        ids : array of int or str, shape (n_columns,), optional
            What identifies the columns, for `stored_ids`.

        Raises
        ------
        InputError, InputTypeError
            If the folder holds anything else or cannot be written, or for ids that do not fit.

        Examples
        --------
        >>> import tempfile
        >>> from l0np import ColumnMatrix
        >>> M = ColumnMatrix.build([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     M.save(folder, ids=["a", "b", "c"])
        ...     right = ColumnMatrix.open(folder, slice(1, 3))
        ...     print(right.to_scipy().toarray(), ColumnMatrix.stored_ids(folder, slice(1, 3)))
        [[0. 2.]
         [3. 4.]] ['b' 'c']
        """
        with MatrixWriter(type(self), folder, self.shape[0], self.data.dtype) as writer:
            writer.append(self, ids=ids)

    @classmethod
    def writer(cls, folder: Any, n_rows: int, dtype: DTypeLike = np.float32) -> MatrixWriter:
        """Return a context in which blocks of columns are appended to a folder; `save` says what it holds.

        Parameters
        ----------
        folder : str or path
            As for `save`.
        n_rows : int
            Number of rows of every block.
        dtype : float32 or float64
            What the values are cast to.

        Raises
        ------
        InputError, InputTypeError
            As for `save`.

        Examples
        --------
        >>> import tempfile
        >>> from l0np import ColumnMatrix
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ColumnMatrix.writer(folder, n_rows=2) as writer:
        ...         for number in range(3):
        ...             writer.append([[number, 1.0], [1.0, number]])
        ...     ColumnMatrix.open(folder)
        ColumnMatrix(2 x 6, 10 non-zeros, float32, 60 bytes + column pointers)
        """
        return MatrixWriter(cls, folder, n_rows, validation.float_dtype(dtype))

    @classmethod
    def open(cls, folder: Any, columns: slice | None = None, *, verify: bool = False) -> Self:
        """Map a saved matrix into memory, or some of its columns; what is not read takes no memory.

        Sizes are checked, and the entries as for every ColumnMatrix, for which they are read once, in order.

        Parameters
        ----------
        folder : str or path
            Where `save` or `writer` has written it. Its files must not change while the matrix is in use.
        columns : slice, optional
            Neighbouring columns; by default all of them.
        verify : bool
            Compare the SHA-256 of the files, too.

        Raises
        ------
        InputError, InputTypeError
            For a folder that was not completed or has a missing or altered file, and for columns that are not
            a slice of at least one neighbouring column.
        """
        stored = ArrayFolder.read(folder, verify=verify)
        n_rows, first, stop = _bounds(stored, columns)
        pointers = stored.array(INDPTR)
        if len(pointers) <= stop or stored.array(DATA).dtype not in validation.FLOATS:
            raise InputError(f"{stored.path} is damaged: its arrays do not fit its shape")
        begin, end = int(pointers[first]), int(pointers[stop])
        # Mapped too where it needs no change: a number for each column may be much, beside short columns
        indptr = pointers[: stop + 1] if first == 0 else pointers[first : stop + 1] - begin
        data, indices = stored.array(DATA)[begin:end], stored.array(INDICES)[begin:end]
        try:
            return cls(data, indices, indptr, (n_rows, stop - first), copy=False)  # type: ignore[call-arg]
        except InputError as reason:
            raise InputError(f"{stored.path} is damaged: {reason}") from reason

    @classmethod
    def stored_ids(cls, folder: Any, columns: slice | None = None) -> NDArray[Any] | None:
        """Return what identifies the columns of a saved matrix, or some of them; None if nothing does.

        Raises
        ------
        InputError, InputTypeError
            As for `open`.
        """
        stored = ArrayFolder.read(folder)
        _, first, stop = _bounds(stored, columns)
        return np.array(stored.array(IDS)[first:stop]) if IDS in stored.files else None


class MatrixWriter:
    """Writes a matrix block by block; `ColumnMatrix.writer` returns it.

    Parameters
    ----------
    kind : class
        ColumnMatrix.
    folder : str or path
        Where to write.
    n_rows : int
        Number of rows.
    dtype : float32 or float64
        Dtype of the values.
    """

    def __init__(self, kind: Any, folder: Any, n_rows: int, dtype: np.dtype[Any]) -> None:
        self._kind, self._dtype = kind, dtype
        self._n_rows = validation.integer("n_rows", n_rows, at_least=1, at_most=np.iinfo(np.int32).max)
        self._files = ArrayFolderWriter(folder)
        self._n_columns = self._n_entries = 0
        self._row_counts = np.zeros(self._n_rows, np.int64)
        self._ids: list[NDArray[Any]] = []
        self._files.append(DATA, np.empty(0, dtype))
        self._files.append(INDICES, np.empty(0, index_dtype(self._n_rows)))
        self._files.append(INDPTR, np.zeros(1, np.int64))

    def append(self, block: Any, *, ids: ArrayLike | None = None) -> None:
        """Write the columns of a block after those of the blocks before it.

        Parameters
        ----------
        block : anything that `ColumnMatrix.build` takes, shape (n_rows, n)
            The columns.
        ids : array of int or str, shape (n,), optional
            What identifies them, for every block or for none. They are kept in memory until the end.

        Raises
        ------
        InputError, InputTypeError
            For a block of another number of rows, or ids that do not fit.
        """
        matrix = self._kind.build(block, self._dtype, name="block", fold=False)
        if matrix.shape[0] != self._n_rows:
            raise InputError(f"block must have {self._n_rows} rows, it has the shape {matrix.shape}")
        if (ids is None) == bool(self._ids) and self._n_columns:
            raise InputError("ids must be given for every block or for none")
        if ids is not None:
            given = np.asarray(ids)
            if given.dtype.kind not in "iuU":
                raise validation.wrong_kind("ids", "an array of integers or strings", ids)
            validation.check_length("ids", given, matrix.shape[1], "id", "column of the block")
            self._ids.append(given)
        self._files.append(DATA, matrix.data)
        self._files.append(INDICES, matrix.indices)
        self._files.append(INDPTR, matrix.indptr[1:] + self._n_entries)
        for start in range(0, matrix.nnz, NEAR):
            rows = matrix.indices[start : start + NEAR]
            self._row_counts += np.bincount(rows, minlength=self._n_rows)
        self._n_columns += matrix.shape[1]
        self._n_entries += matrix.nnz

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the folder or, after an exception, remove what was written."""
        if error is not None:
            self._files.abandon()
            return
        if not self._n_columns:
            self._files.abandon()
            raise InputError("the matrix is empty: no block of columns was appended")
        self._files.append(ROW_COUNTS, self._row_counts)
        if self._ids:
            self._files.append(IDS, np.concatenate(self._ids))
        shape = [self._n_rows, self._n_columns]
        self._files.complete({"shape": shape, "dtype": self._dtype.name, "non_zeros": self._n_entries})


def is_saved(folder: Any) -> bool:
    """Return whether a path is a folder in which a matrix is saved, or the writing of one was interrupted."""
    return any((Path(folder) / name).is_file() for name in (DOCUMENT, f"{DATA}{ENDING}"))


def even_cuts(folder: Any, n_parts: int) -> tuple[slice, ...]:
    """Return slices that divide the columns of a saved matrix into parts of about equal numbers of entries.

    Neighbouring columns that have the same rarest row, as those of one district do, stay together unless
    there are more than 65,536 of them on either side of the cut.

    Parameters
    ----------
    folder : str or path
        Where the matrix is saved.
    n_parts : int
        Number of parts, each of at least one column.

    Raises
    ------
    InputError
        If the folder does not open, or has fewer columns than parts.

    Examples
    --------
    >>> import tempfile
    >>> from l0np import ColumnMatrix
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ColumnMatrix.build([[1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1], [1] * 7]).save(folder)
    ...     even_cuts(folder, 2)
    (slice(0, 3, None), slice(3, 7, None))
    """
    stored = ArrayFolder.read(folder)
    _, _, n_columns = _bounds(stored, None)
    validation.integer("the number of parts", n_parts, at_least=1, at_most=n_columns)
    pointers, indices, counts = (stored.array(name) for name in (INDPTR, INDICES, ROW_COUNTS))
    cuts = [0]
    for part in range(1, n_parts):
        even = int(np.searchsorted(pointers, pointers[-1] * part // n_parts))
        least, most = cuts[-1] + 1, n_columns - (n_parts - part)
        even = min(max(even, least), most)
        first, stop = max(even - NEAR, least - 1), min(even + NEAR, n_columns)
        home = _rarest_rows(pointers[first : stop + 1], indices, counts)
        borders = first + 1 + np.flatnonzero(np.diff(home))
        borders = borders[(borders >= least) & (borders <= most)]
        cuts.append(int(borders[np.argmin(np.abs(borders - even))]) if borders.size else even)
    return tuple(slice(a, b) for a, b in zip(cuts, [*cuts[1:], n_columns], strict=True))


def _rarest_rows(
    pointers: NDArray[np.int64], indices: NDArray[Any], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each column the row of its entries that has the fewest entries; -1 if it has none."""
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    rows, starts = rank[indices[pointers[0] : pointers[-1]]], pointers[:-1] - pointers[0]
    home = np.full(len(starts), -1)
    filled = np.flatnonzero(np.diff(pointers))
    if filled.size:
        home[filled] = np.minimum.reduceat(rows, starts[filled])
    return home


def _bounds(stored: ArrayFolder, columns: Any) -> tuple[int, int, int]:
    """Return the number of rows of a stored matrix, the first of some columns, and the one after the last."""
    n_rows, n_columns = (int(n) for n in stored.property("shape"))
    if columns is None:
        return n_rows, 0, n_columns
    if not isinstance(columns, slice):
        raise validation.wrong_kind("columns", "a slice", columns)
    first, stop, step = columns.indices(n_columns)
    if step != 1 or first >= stop:
        found = f"got {columns} of {n_columns:,} columns"
        raise InputError(f"columns must be a slice of at least one neighbouring column, {found}")
    return n_rows, first, stop
