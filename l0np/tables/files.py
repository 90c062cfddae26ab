"""Files: tables are read from CSV and Parquet, and written as CSV, Parquet or `.npz`."""

from __future__ import annotations

import csv
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from l0np.errors import InputError, MissingPackageError


def read_file(name: str, path: Path, *, as_text: bool, exact: Sequence[str]) -> Any:
    """Return the polars frame in a CSV or Parquet file.

    Parameters
    ----------
    name : str
        What messages call the file.
    path : Path
        The file; its ending says what it is.
    as_text : bool
        Read every column of a CSV file as strings.
    exact : sequence of str
        Columns of a CSV file that stay strings if numbers would lose something, such as zeros in front.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    MissingPackageError
        If polars is not installed.
    """
    ending = table_format(name, path, ("csv", "parquet"))
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{name}: the file {path} {found}")
    if importlib.util.find_spec("polars") is None:
        raise MissingPackageError(f"reading {path}", "polars", "frames")
    import polars as pl

    try:
        if ending == "parquet":
            return pl.read_parquet(path)
        frame = pl.read_csv(path, infer_schema=not as_text, infer_schema_length=None)
        for mark, words in ((";", "semicolons"), ("\t", "tabs")):
            if frame.width == 1 and mark in frame.columns[0]:
                raise InputError(f"{name}: {path} is separated by {words}: separate its columns by commas")
        if as_text:
            return frame
        # Of identifiers the text counts: 007 is not 7
        numeric = [one for one in exact if one in frame.columns and frame.schema[one].is_numeric()]
        if not numeric:
            return frame
        text = pl.read_csv(path, columns=numeric, infer_schema=False)
        changed = [one for one in numeric if (frame[one].cast(pl.String) != text[one]).any()]
        return frame.with_columns(text[one] for one in changed)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as reason:
        what = str(reason).strip().splitlines() or [type(reason).__name__]
        raise InputError(f"{name}: {path} cannot be read as {ending.upper()}: {what[0]}") from reason


def table_format(name: str, path: Path, known: Sequence[str]) -> str:
    """Return the format that the ending of a file's name stands for, one of the known ones.

    Raises
    ------
    InputError
        If it stands for none of them.

    Examples
    --------
    >>> table_format("records", Path("survey.CSV"), ("csv", "parquet"))
    'csv'
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in known:
        wanted = " or ".join(f".{one}" for one in known)
        raise InputError(f"{name}: the file must end in {wanted}, got {str(path)!r}")
    return ending


def write_columns(path: Any, columns: Mapping[str, Any]) -> None:
    """Write columns of one length as a table; the ending of the path says whether CSV, Parquet or `.npz`.

    Numbers in CSV have as many digits as give the same number again.

    Raises
    ------
    InputError
        For another ending, or a folder that does not exist.
    MissingPackageError
        For Parquet where polars is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_columns(Path(folder) / "weights.csv", {"id": ["a", "b"], "weight": np.array([1.5, 2.0])})
    ...     print((Path(folder) / "weights.csv").read_text())
    id,weight
    a,1.5
    b,2.0
    <BLANKLINE>
    """
    path = Path(path)
    write = WRITERS[check_writable("path", path)]
    with replaced(path) as temporary:
        write(temporary, columns)


def check_writable(name: str, path: Path) -> str:
    """Return the format in which `write_columns` writes to a path; refuse a path to which it cannot write.

    Raises
    ------
    InputError
        For another ending, a folder, or a folder that does not exist.
    MissingPackageError
        For Parquet where polars is not installed.
    """
    ending = table_format(name, path, tuple(WRITERS))
    check_place(path)
    if ending == "parquet" and importlib.util.find_spec("polars") is None:
        raise MissingPackageError("writing Parquet", "polars", "frames")
    return ending


def check_place(path: Path) -> None:
    """Refuse a path in a folder that does not exist, or that is a folder itself.

    Raises
    ------
    InputError
        For such a path.
    """
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")


def write_text(path: Any, text: str) -> None:
    """Write a text file in UTF-8, as `replaced` does."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replaced(path: Any) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; at the end it takes the place of `path`.

    Until then `path` is as it was; after an exception too, and the temporary file is removed.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to.
    """
    path = Path(path)
    check_place(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())  # the contents must be on the disk before the name points to them
        temporary.replace(path)
    except OSError as reason:
        raise InputError(f"cannot write {path}: {reason.strerror or reason}") from reason
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(path: Path, columns: Mapping[str, Any]) -> None:
    values = [column.tolist() if hasattr(column, "tolist") else list(column) for column in columns.values()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*values, strict=True))


def _write_parquet(path: Path, columns: Mapping[str, Any]) -> None:
    import polars as pl

    lists = {
        name: column.tolist() if hasattr(column, "tolist") else column for name, column in columns.items()
    }
    pl.DataFrame(lists).write_parquet(path)


def _write_npz(path: Path, columns: Mapping[str, Any]) -> None:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    # Strings as NumPy's own, because arrays of objects could be read only by unpickling
    plain = {name: array.astype(str) if array.dtype.kind == "O" else array for name, array in arrays.items()}
    np.savez(path, allow_pickle=False, **plain)


WRITERS: Mapping[str, Callable[[Path, Mapping[str, Any]], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "npz": _write_npz,
}
