"""Folders of named arrays: `.npy` files that may be mapped into memory, and a JSON document beside them.

The document is written last, and under another name first: a folder without it was never completed, and does
not open. It holds the version of the format, the sizes and the SHA-256 of every file, properties by name, and
the names of features that a reader must know.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.tables import replaced

FORMAT = 1  # version of the files; a change that this version cannot read counts it up
DOCUMENT, ENDING = "matrix.json", ".npy"
HEADER = 128  # bytes before the numbers of a file, the same for any length: it is filled in at the end
MAGIC = b"\x93NUMPY\x01\x00"


@dataclass(frozen=True)
class ArrayFile:
    """What the document says of the file of one array."""

    shape: tuple[int, ...]
    dtype: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, eq=False)
class ArrayFolder:
    """A folder that was completed: the arrays in it by name, and its properties.

    Attributes
    ----------
    path : Path
        The folder.
    files : dict from name to ArrayFile
        Its arrays.
    properties : dict
        Whatever JSON can hold.
    """

    path: Path
    files: Mapping[str, ArrayFile]
    properties: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Any, known: Sequence[str] = (), *, verify: bool = False) -> Self:
        """Return what a folder holds, once the sizes of its files are checked; and their hashes, if asked.

        Parameters
        ----------
        folder : str or path
            The folder.
        known : sequence of str
            The features that the reader knows.
        verify : bool
            Whether the SHA-256 of each file is compared, for which all of it is read.

        Raises
        ------
        InputError
            For a folder that was not completed, is of a later version, or has a missing or altered file.
        """
        path = Path(folder)
        try:
            document = json.loads((path / DOCUMENT).read_bytes())
        except FileNotFoundError as reason:
            why = "was not written to its end" if path.is_dir() else "does not exist"
            raise InputError(f"the folder {path} {why}: there is no {DOCUMENT} in it") from reason
        except (OSError, ValueError) as reason:
            raise InputError(f"{path / DOCUMENT} cannot be read: {reason}") from reason
        try:
            version, needs = document["format"], set(document.get("features", ()))
            if version > FORMAT or not needs <= set(known):
                what = ", ".join(sorted(needs - set(known))) or f"format {version}"
                raise InputError(f"{path} needs a later version of l0np: it uses {what}")
            files = {
                name: ArrayFile(tuple(map(int, f["shape"])), str(f["dtype"]), int(f["bytes"]), f["sha256"])
                for name, f in document["arrays"].items()
            }
            found = cls(path, files, dict(document["properties"]))
        except (KeyError, TypeError, AttributeError) as reason:
            raise InputError(f"{path / DOCUMENT} is damaged: it lacks {reason}") from reason
        for name in files:
            found._check(name, verify=verify)
        return found

    def array(self, name: str) -> NDArray[Any]:
        """Return an array, mapped into memory and read-only."""
        file = self._file(name)
        if name not in self.files:
            raise InputError(f"{self.path / DOCUMENT} is damaged: it does not list {file.name}")
        known = self.files[name]
        try:
            mapped = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as reason:
            raise InputError(f"{file} is damaged: {reason}") from reason
        if mapped.shape != known.shape or mapped.dtype.str != known.dtype:
            raise InputError(f"{file} is damaged: it does not hold what {DOCUMENT} says")
        return np.asarray(mapped)

    def property(self, name: str) -> Any:
        """Return a property."""
        try:
            return self.properties[name]
        except KeyError as reason:
            raise InputError(f"{self.path / DOCUMENT} is damaged: it lacks {reason}") from reason

    def _file(self, name: str) -> Path:
        return self.path / f"{name}{ENDING}"

    def _check(self, name: str, *, verify: bool) -> None:
        file, known = self._file(name), self.files[name]
        if not file.is_file():
            raise InputError(f"{file} is missing, which {DOCUMENT} lists")
        size = file.stat().st_size
        if size != known.size:
            raise InputError(f"{file} was altered: it has {size:,} bytes, {DOCUMENT} says {known.size:,}")
        if verify and file_sha256(file) != known.sha256:
            raise InputError(f"{file} was altered: its SHA-256 is not that in {DOCUMENT}")


class ArrayFolderWriter:
    """Writes a folder of arrays piece by piece; it opens only once `complete` has written its document.

    Parameters
    ----------
    folder : str or path
        A new folder, an empty one, or one whose writing was interrupted, which is written anew.

    Raises
    ------
    InputError
        If the folder holds anything else, or cannot be written.
    """

    def __init__(self, folder: Any) -> None:
        self._path = Path(folder)
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            there = sorted(path.name for path in self._path.iterdir())
        except OSError as reason:
            raise InputError(f"cannot write {self._path}: {reason.strerror or reason}") from reason
        if DOCUMENT in there:
            raise InputError(f"{self._path} holds a matrix already: remove it or use another folder")
        foreign = [name for name in there if not name.endswith((ENDING, ".tmp", ".tmp.json"))]
        if foreign:
            raise InputError(f"{self._path} holds other files, such as {foreign[0]}: use another folder")
        for name in there:
            (self._path / name).unlink()
        self._open: dict[str, tuple[Any, np.dtype[Any], int]] = {}

    def append(self, name: str, values: NDArray[Any]) -> None:
        """Add numbers to an array, which is one-dimensional and keeps the dtype of its first numbers."""
        if name not in self._open:
            file = (self._path / f"{name}{ENDING}").open("xb")
            file.write(bytes(HEADER))
            self._open[name] = file, values.dtype, 0
        file, dtype, length = self._open[name]
        file.write(np.ascontiguousarray(values, dtype).data)
        self._open[name] = file, dtype, length + len(values)

    def complete(self, properties: Mapping[str, Any], features: Sequence[str] = ()) -> None:
        """Write the headers of the arrays and then the document, durably.

        Parameters
        ----------
        properties : mapping
            What the document holds of the arrays together.
        features : sequence of str
            What a reader must know, or the arrays would be misread.
        """
        arrays = {}
        for name, (file, dtype, length) in self._open.items():
            file.seek(0)
            file.write(_header(dtype, length))
            file.flush()
            os.fsync(file.fileno())
            file.close()
            path = self._path / f"{name}{ENDING}"
            arrays[name] = {
                "shape": [length],
                "dtype": dtype.str,
                "bytes": path.stat().st_size,
                "sha256": file_sha256(path),
            }
        self._open = {}
        document = {"format": FORMAT, "features": sorted(features), "properties": dict(properties)}
        with replaced(self._path / DOCUMENT) as temporary:
            temporary.write_text(json.dumps(document | {"arrays": arrays}, indent=1) + "\n", encoding="utf-8")

    def abandon(self) -> None:
        """Remove what was written."""
        for name, (file, _, _) in self._open.items():
            file.close()
            (self._path / f"{name}{ENDING}").unlink(missing_ok=True)
        self._open = {}


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _header(dtype: np.dtype[Any], length: int) -> bytes:
    """Return the header of a `.npy` file of always the same length."""
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': ({length},), }}"
    room = HEADER - len(MAGIC) - 2
    return MAGIC + room.to_bytes(2, "little") + text.ljust(room - 1).encode() + b"\n"
