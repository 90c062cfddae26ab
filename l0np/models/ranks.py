"""What a model does where ranks share its columns: agree, find its first column, select over all ranks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine import Communicator, Serial, most_open
from l0np.errors import InputError
from l0np.inputs import validation
from l0np.models.records import encode


def checked_communicator(communicator: Any) -> Communicator:
    """Return the communicator, or that of one rank if there is none.

    Raises
    ------
    InputTypeError
        For something else.
    """
    if communicator is None:
        return Serial()
    if not all(hasattr(communicator, name) for name in ("rank", "size", "reproducible", "allreduce")):
        raise validation.wrong_kind("communicator", "l0np.mpi.World() or the like", communicator)
    given: Communicator = communicator
    return given


def check_same(communicator: Communicator, parts: Mapping[str, Any]) -> None:
    """Refuse values, by name, that differ between ranks; on every rank.

    Parameters
    ----------
    communicator : Communicator
        The ranks.
    parts : mapping from name to value
        Whatever a checkpoint can hold.

    Raises
    ------
    InputError
        If one differs; the message names it.
    """
    if communicator.size == 1:
        return
    digests = np.array([_digest(name, value) for name, value in parts.items()], np.uint64)
    all_digests = np.asarray(communicator.allgather(digests)).reshape(communicator.size, -1)
    differs = all_digests != all_digests[0]
    if differs.any():
        part = int(np.flatnonzero(differs.any(axis=0))[0])
        rank, name = int(np.flatnonzero(differs[:, part])[0]), list(parts)[part]
        raise InputError(f"{name} of rank {rank} differs from that of rank 0: all ranks must have the same")


def first_column(communicator: Communicator, n_columns: int) -> tuple[int, int]:
    """Return the number of this rank's first column, and that of all columns."""
    counts = np.asarray(communicator.allgather(np.array([n_columns])))
    return int(counts[: communicator.rank].sum()), int(counts.sum())


def total(communicator: Communicator, value: float) -> float:
    """Return the sum of a number over all ranks."""
    return float(communicator.allreduce(np.array([float(value)]))[0]) if communicator.size > 1 else value


def most_open_of_all(
    communicator: Communicator, probability: NDArray[Any], weight: NDArray[Any], k: int
) -> NDArray[np.bool_]:
    """Return a mask of this rank's columns among the k of all ranks that are most likely to be open.

    Only the k likeliest of each rank are gathered.
    """
    if communicator.size == 1:
        return most_open(probability, weight, k)
    candidates = np.flatnonzero(most_open(probability, weight, min(k, len(weight))))
    counts = np.asarray(communicator.allgather(np.array([len(candidates)])))
    likely, heavy = (
        np.asarray(communicator.allgather(np.asarray(array[candidates], np.float64)))
        for array in (probability, weight)
    )
    start = int(counts[: communicator.rank].sum())
    is_selected = most_open(likely, heavy, k)[start : start + len(candidates)]
    mask = np.zeros(len(weight), bool)
    mask[candidates[is_selected]] = True
    return mask


def _digest(name: str, value: Any) -> int:
    arrays: dict[str, NDArray[Any]] = {}
    digest = hashlib.sha256(json.dumps(encode(name, value, arrays)).encode())
    for key, array in arrays.items():
        digest.update(f"{key} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return int.from_bytes(digest.digest()[:8], "little")
