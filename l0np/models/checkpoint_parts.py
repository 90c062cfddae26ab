"""Checkpoints of fits on ranks: each rank writes its part, the first one a manifest once all parts are there.

A fit is resumed on any number of ranks: each reads of the parts what is of its own columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine import Checkpoint, Communicator, part_folder, read_checkpoint
from l0np.errors import CheckpointError
from l0np.models.ranks import first_column

# Arrays of one value for each column, by the ends of their names; of the state all but those of ROW_SPACE are
PER_COLUMN, ROW_SPACE = ("arguments/init_weights", "arguments/init_keep_prob"), ("bias", "governor")


def checkpoint_of_rank(
    folder: Path, ranks: Communicator, count: Callable[[], int]
) -> tuple[Path, Checkpoint]:
    """Return the newest checkpoint in a folder, for this rank's columns, with its path; `count` counts them.

    Raises
    ------
    CheckpointError
        If there is none that is whole, or it is of another number of columns.
    """
    path, head = read_checkpoint(folder)
    parts = head.document.get("parts")
    if parts is None and ranks.size == 1:
        return path, head
    n_columns = count()
    counts = [len(head.arrays["state/log_alpha"])] if parts is None else list(map(int, parts["columns"]))
    first, total = first_column(ranks, n_columns)
    if total != sum(counts):
        raise CheckpointError(f"{str(path)!r} is of {sum(counts):,} columns, the matrix has {total:,}")
    bounds = np.concatenate(([0], np.cumsum(counts)))
    pieces: list[tuple[Checkpoint, slice]] = []
    for part, (start, stop) in enumerate(pairwise(bounds.tolist())):
        own = slice(max(first - start, 0), min(first + n_columns, stop) - start)
        if own.start < own.stop:
            of_part = head
            if parts is not None:
                place = part_folder(folder, part, len(counts))
                _, of_part = read_checkpoint(place, number=int(parts["numbers"][part]))
            pieces.append((of_part, own))
    return path, _joined(pieces, is_whole=len(pieces) == 1 and pieces[0][1] == slice(0, pieces[0][1].stop))


def _joined(pieces: list[tuple[Checkpoint, slice]], *, is_whole: bool) -> Checkpoint:
    """Return one checkpoint of neighbouring columns of several."""
    first = pieces[0][0]
    arrays: dict[str, NDArray[Any]] = dict(first.arrays)
    for name, array in first.arrays.items():
        kind, _, short = name.partition("/")
        in_state = kind == "state" and not short.startswith(ROW_SPACE)
        if (in_state or name in PER_COLUMN) and array.ndim:
            arrays[name] = np.concatenate([piece.arrays[name][own] for piece, own in pieces])
    document = dict(first.document)
    n_columns = sum(own.stop - own.start for _, own in pieces)
    is_same = is_whole and document["arguments"]["n_features"] == n_columns
    document["arguments"] = document["arguments"] | {"n_features": n_columns}
    if not is_same:  # what tells its columns from others is known of whole parts only
        shape = [document["matrix"]["shape"][0], n_columns]
        document["matrix"] = {"shape": shape, "form": document["matrix"]["form"]}
    return replace(first, arrays=arrays, document=document)
