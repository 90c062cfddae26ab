"""Checkpoints on disk: arrays and a JSON document, written so that a crash leaves the older ones whole.

A checkpoint is a folder of two files, ``arrays.npz`` (stored, without pickle) and ``checkpoint.json``, which
holds the version of the format, the document, and the SHA-256 of the document and of the arrays.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from l0np.engine.communicator import Communicator
from l0np.errors import CheckpointError, CheckpointWarning, warn

FORMAT = 1  # version of the files; a change that this version cannot read counts it up
KEPT, KEPT_PARTS = 2, 4  # more parts, so that those of a manifest outlive an interrupted one after it
ARRAYS, DOCUMENT = "arrays.npz", "checkpoint.json"
NAME = re.compile(r"checkpoint-(\d{6,18})")
DRAFT, RETIRED = ".draft-", ".retired-"  # starts of the names of folders that are being written, or removed


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run needs to be resumed.

    Attributes
    ----------
    arrays : dict from name to array
        Numbers, booleans or strings; no objects.
    document : dict
        Whatever JSON can hold.
    """

    arrays: dict[str, NDArray[Any]]
    document: dict[str, Any]


def has_checkpoint(folder: Path) -> bool:
    """Return whether there is a checkpoint in a folder, readable or not."""
    return bool(_numbers(folder))


def write_checkpoint(folder: Path, checkpoint: Checkpoint, kept: int = KEPT) -> Path:
    """Write a checkpoint to a folder, durably, and remove all but the last `kept`; return its path.

    Raises
    ------
    OSError
        If it cannot be written; those that were there stay.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as name:
    ...     path = write_checkpoint(pathlib.Path(name), Checkpoint({"a": np.arange(3)}, {"epoch": 50}))
    ...     print(path.name, read_checkpoint(pathlib.Path(name))[1].document)
    checkpoint-000001 {'epoch': 50}
    """
    numbers = _numbers(folder)
    number = (numbers[-1] if numbers else 0) + 1
    _remove_remnants(folder)
    draft, path = folder / f"{DRAFT}{number:06d}", folder / f"checkpoint-{number:06d}"
    try:
        draft.mkdir()
        with (draft / ARRAYS).open("xb") as file:
            np.savez(file, allow_pickle=False, **checkpoint.arrays)
            _sync(file)
        document = json.dumps(checkpoint.document)
        with (draft / ARRAYS).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        head = {
            "format": FORMAT,
            "arrays_sha256": digest,
            "document_sha256": _sha256(document.encode()),
            "document": checkpoint.document,
        }
        with (draft / DOCUMENT).open("xb") as file:
            file.write(json.dumps(head, indent=1).encode())
            _sync(file)
        _sync_folder(draft)
        draft.rename(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _sync_folder(folder)
    for old in [*numbers, number][:-kept]:
        with suppress(OSError):  # renamed first, so that none is ever half removed
            (folder / f"checkpoint-{old:06d}").rename(folder / f"{RETIRED}{old:06d}")
    _remove_remnants(folder)
    return path


def part_folder(folder: Path, rank: int, n_ranks: int) -> Path:
    """Return where a rank writes its part of the checkpoints in a folder."""
    return folder / f"part-{rank + 1}-of-{n_ranks}"


def write_part(folder: Path, checkpoint: Checkpoint | None, ranks: Communicator) -> Path | None:
    """Write a checkpoint of which each rank has a part, and then the manifest, on the first rank.

    Parameters
    ----------
    folder : Path
        Where the manifests are; the parts are in folders in it.
    checkpoint : Checkpoint, optional
        The rank's part; None if it has none, which all ranks then learn.
    ranks : Communicator
        The ranks.

    Returns
    -------
    Path or None
        The path of the manifest, None if a part is missing.

    Raises
    ------
    OSError
        On any rank whose part, or the manifest, cannot be written; what was there stays.
    """
    number, error = 0, None
    place = part_folder(folder, ranks.rank, ranks.size)
    try:
        place.mkdir(parents=True, exist_ok=True)
        if checkpoint is not None:
            number = int(write_checkpoint(place, checkpoint, KEPT_PARTS).name.rpartition("-")[2])
    except OSError as reason:
        error = reason
    columns = 0 if checkpoint is None else len(checkpoint.arrays["state/log_alpha"])
    written = np.asarray(ranks.allgather(np.array([number, columns]))).reshape(ranks.size, 2)
    path = None
    if written[:, 0].all() and checkpoint is not None:
        parts = {"numbers": written[:, 0].tolist(), "columns": written[:, 1].tolist()}
        document = {
            "parts": parts,
            "model": checkpoint.document["model"],
            "epoch": checkpoint.document["epoch"],
        }
        path = folder / "manifest"
        try:
            if ranks.rank == 0:
                path = write_checkpoint(folder, Checkpoint({}, document))
        except OSError as reason:
            error = reason
    ranks.allgather(np.array([0]))  # nobody replaces a part before the manifest is there
    if error is not None:
        raise error
    return path


def read_checkpoint(folder: Path, *, number: int | None = None) -> tuple[Path, Checkpoint]:
    """Return the newest checkpoint in a folder that is whole, or that of a number, with its path.

    Raises
    ------
    CheckpointError
        If there is none, none is whole, or the newest was written by a later version.

    Warns
    -----
    CheckpointWarning
        If an older one is read because the newest is damaged.
    """
    numbers = [one for one in _numbers(folder) if number in (None, one)]
    if not numbers:
        raise CheckpointError(f"there is no checkpoint in {str(folder)!r}")
    damages: list[str] = []
    for candidate in reversed(numbers):
        path = folder / f"checkpoint-{candidate:06d}"
        try:
            checkpoint = _read(path)
        except _DamagedError as damage:
            damages.append(f"{path.name} {damage}")
            continue
        if damages:
            found = f"in {str(folder)!r} {'; '.join(damages)}"
            warn(f"{found}: going on from {path.name}", CheckpointWarning)
        return path, checkpoint
    raise CheckpointError(f"no checkpoint in {str(folder)!r} is whole: {'; '.join(damages)}")


class _DamagedError(Exception):
    """Says what is wrong with a checkpoint; an older one may be whole."""


def _read(path: Path) -> Checkpoint:
    try:
        head = json.loads((path / DOCUMENT).read_bytes())
        arrays = (path / ARRAYS).read_bytes()
    except OSError as error:
        raise _DamagedError(f"is incomplete ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise _DamagedError(f"is damaged ({DOCUMENT} is not JSON)") from error
    if not isinstance(head, dict) or not isinstance(head.get("format"), int):
        raise _DamagedError(f"is damaged ({DOCUMENT} has no format)")
    if head["format"] > FORMAT:
        found = f"is of format {head['format']}, this version of l0np reads formats up to {FORMAT}"
        raise CheckpointError(f"{str(path)!r} {found}: use a later version of l0np")
    document = head.get("document")
    if not isinstance(document, dict) or head.get("document_sha256") != _sha256(
        json.dumps(document).encode()
    ):
        raise _DamagedError(f"is damaged ({DOCUMENT} differs from its checksum)")
    if head.get("arrays_sha256") != _sha256(arrays):
        raise _DamagedError(f"is damaged ({ARRAYS} differs from its checksum)")
    try:
        return Checkpoint(_arrays(arrays), document)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, MemoryError) as error:
        raise _DamagedError(f"is damaged ({ARRAYS}: {error})") from error


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file, none of which takes more memory than the file has bytes."""
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(BytesIO(content)) as file:
        for member in file.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content):
                raise ValueError(f"{name} is compressed")
            data = BytesIO(file.read(member))
            version = np.lib.format.read_magic(data)
            if version != (1, 0):
                raise ValueError(f"{name} is of an unknown format")
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(data)
            if dtype.kind not in "buifUS" or is_fortran:
                raise ValueError(f"{name} does not hold numbers or strings in C order")
            if math.prod(shape) * dtype.itemsize != member.file_size - data.tell():
                raise ValueError(f"{name} is not of the size that it says")
            arrays[name] = np.frombuffer(data.read(), dtype).reshape(shape).copy()
    return arrays


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of the checkpoints in a folder, ascending."""
    if not folder.is_dir():
        return []
    found = (NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted({int(match[1]) for match in found if match})


def _remove_remnants(folder: Path) -> None:
    """Remove what an interrupted run was writing or removing."""
    for path in folder.iterdir():
        if path.name.startswith((DRAFT, RETIRED)):
            shutil.rmtree(path, ignore_errors=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover - Windows cannot sync folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
