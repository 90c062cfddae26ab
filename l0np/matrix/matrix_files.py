"""Matrices in files: SciPy's `.npz`, Matrix Market, and tables of triplets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation
from l0np.tables import Table, table_format


def read_matrix(path: Any) -> Any:
    """Return the matrix in a file as a `scipy.sparse` array; `ColumnMatrix.read` says which files.

    Raises
    ------
    InputError, InputTypeError
        If there is no such file, or it holds something else.
    """
    if not isinstance(path, str | Path):
        raise validation.wrong_kind("path", "the path of a file", path)
    file = Path(path)
    ending = table_format("path", file, ("npz", "mtx", "csv", "parquet"))
    if not file.is_file():
        raise InputError(f"the file {file} does not exist")
    if ending in ("csv", "parquet"):
        return _triplets(Table.of("path", file))
    from scipy import io, sparse

    try:
        found = sparse.load_npz(file) if ending == "npz" else io.mmread(file)
    except (ValueError, OSError, KeyError, EOFError) as reason:
        what = str(reason).strip().splitlines() or ["it is damaged"]
        raise InputError(f"{file} cannot be read as a sparse matrix: {what[0]}") from reason
    return found if sparse.issparse(found) else sparse.coo_array(np.atleast_2d(found))


def _triplets(table: Table) -> Any:
    from scipy import sparse

    target, record = (_positions(table, column) for column in ("target", "record"))
    table.check_column("path", "value")
    if not table.is_numeric("value"):
        raise InputTypeError(f'"value" of {table.name} must hold numbers')
    shape = int(target.max()) + 1, int(record.max()) + 1
    return sparse.coo_array((table.numbers("value"), (target, record)), shape=shape)


def _positions(table: Table, column: str) -> NDArray[Any]:
    table.check_column("path", column)
    if not table.is_numeric(column) or table.missing(column).any():
        raise InputTypeError(f'"{column}" of {table.name} must hold integers')
    found = table.numbers(column)
    if found.dtype.kind not in "iu":
        raise InputTypeError(f'"{column}" of {table.name} must hold integers, not {found.dtype}')
    if found.min() < 0:
        raise InputError(f'"{column}" of {table.name} holds {found.min()}: {column}s count from 0')
    return found
