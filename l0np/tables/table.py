"""`Table`: a frame of any kind, or a file, read by columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError, InputTypeError, MissingPackageError
from l0np.inputs import did_you_mean, validation
from l0np.tables.files import read_file
from l0np.tables.frames import KINDS


@dataclass(frozen=True, eq=False)
class Table:
    """A table of records or of totals.

    Attributes
    ----------
    name : str
        What messages call it: the argument or, for a file, its path.
    frame : narwhals.DataFrame
        The frame.
    kind : str
        The library of the frames that are made from it: "pandas", "polars" or "pyarrow" (for relations of
        DuckDB too, which are read into it).
    path : str or None
        The file that it was read from.
    """

    name: str
    frame: Any
    kind: str
    path: str | None = None

    @classmethod
    def of(cls, name: str, value: Any, *, as_text: bool = False, exact: Sequence[str] = ()) -> Self:
        """Read a frame that narwhals knows, or a file of CSV or Parquet.

        Parameters
        ----------
        name : str
            The argument.
        value : frame, str or Path
            The frame (of pandas, polars, pyarrow or DuckDB) or the file.
        as_text, exact
            How the columns of a CSV file are read: see `read_file`.

        Raises
        ------
        InputTypeError
            For anything else.
        InputError
            For a file that cannot be read, and for a table without rows.
        MissingPackageError
            If the package that reads it is not installed.
        """
        import narwhals as nw

        path = None
        if isinstance(value, str | Path):
            path = str(value)
            value = read_file(name, Path(value), as_text=as_text, exact=exact)
        try:
            frame = nw.from_native(value, allow_series=False)
        except TypeError as reason:
            wanted = "a frame (pandas, polars, pyarrow, DuckDB) or the path of a file of CSV or Parquet"
            raise validation.wrong_kind(name, wanted, value) from reason
        if isinstance(frame, nw.LazyFrame):
            try:
                frame = frame.collect()
            except ModuleNotFoundError as reason:
                raise MissingPackageError(f"reading {name}", "pyarrow", "frames") from reason
        kind = str(frame.implementation.value)
        if kind not in KINDS:
            raise InputTypeError(f"{name} is a frame of {kind}: convert it to one of {', '.join(KINDS)}")
        what = name if path is None else Path(path).name
        if not len(frame):
            raise InputError(f"{what} has no rows")
        return cls(what, frame, kind, path)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.frame.columns)

    def row(self, i: int) -> str:
        """Return how a message refers to a row: by its line in a file (CSV has a header), else by position.

        Examples
        --------
        >>> import pandas as pd
        >>> Table.of("totals", pd.DataFrame({"value": [3.0]})).row(0)
        'row 0 of totals'
        """
        if self.path is not None and self.path.lower().endswith(".csv"):
            return f"line {i + 2} of {self.name}"
        return f"row {i} of {self.name}"

    def check_column(self, argument: str, column: Any) -> str:
        """Return the name of a column, if the table has it.

        Raises
        ------
        InputError, InputTypeError
            If it has not: with the name that was probably meant.
        """
        if not isinstance(column, str):
            raise validation.wrong_kind(argument, "the name of a column", column)
        if column not in self.columns:
            guess = did_you_mean(column, self.columns)
            listed = guess or f": its columns are {', '.join(self.columns)}"
            raise InputError(f'{argument} names "{column}", which is not a column of {self.name}{listed}')
        return column

    def is_numeric(self, column: str) -> bool:
        """Return whether a column holds numbers; truth values are none."""
        return bool(self.frame.schema[column].is_numeric())

    def missing(self, column: str) -> NDArray[np.bool_]:
        """Return which rows lack a value, shape (rows,): None, or NaN among numbers."""
        series = self.frame[column]
        found = np.asarray(series.is_null().to_numpy(), bool)
        if series.dtype.is_float():
            values = np.asarray(series.fill_null(float("nan")).to_numpy(), np.float64)
            found = found | np.isnan(values)
        return found

    def numbers(self, column: str) -> NDArray[Any]:
        """Return the numbers of a numeric column in their own dtype, float64 where any is missing (NaN)."""
        series = self.frame[column]
        if series.null_count():
            import narwhals as nw

            series = series.cast(nw.Float64).fill_null(float("nan"))
        array = np.asarray(series.to_numpy())
        return array if array.dtype.kind in "iuf" else array.astype(np.float64)

    def cells(self, column: str) -> list[Any]:
        """Return the values of a column as Python has them; None where they are missing or empty strings."""
        values = self.frame[column].to_list()
        is_missing = self.missing(column)
        return [
            None if gone or (isinstance(one, str) and not one.strip()) else one
            for one, gone in zip(values, is_missing, strict=True)
        ]

    def codes(self, column: str) -> tuple[NDArray[Any], list[str]]:
        """Return the values of a column as numbers of its levels, -1 where they are missing.

        Returns
        -------
        codes : array of int, shape (rows,)
            In the smallest dtype that holds them.
        levels : list of str
            The levels as strings, in order of first appearance.
        """
        import narwhals as nw

        series = self.frame[column]
        if series.dtype != nw.String:
            series = series.cast(nw.String)
        found = series.unique(maintain_order=True).drop_nulls()
        levels = [str(level) for level in found.to_list()]
        dtype = next(kind for kind in (np.int8, np.int16, np.int32) if len(levels) <= np.iinfo(kind).max)
        if not levels:
            return np.full(len(self), -1, dtype), levels
        coded = series.replace_strict(levels, list(range(len(levels))), return_dtype=nw.Int32)
        if coded.null_count():
            coded = coded.fill_null(-1)
        return np.asarray(coded.to_numpy()).astype(dtype), levels
