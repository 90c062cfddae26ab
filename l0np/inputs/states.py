"""States of models, gates and layers as users give them: a mapping, or the npz file that holds one."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from l0np.errors import InputError
from l0np.inputs.messages import wrong_kind

# What NumPy and zipfile raise for a damaged file, and for pickled objects
DAMAGED = (ValueError, EOFError, KeyError, AttributeError, RuntimeError, BadZipFile, zlib.error)


def read_state(source: Any) -> dict[str, Any]:
    """Return the arrays and numbers of a state_dict: of a mapping, or of the npz file at a path.

    Raises
    ------
    InputError, InputTypeError
        If it is neither, or if the file is damaged or holds pickled objects, which are never loaded.
    OSError
        If there is no such file, or it may not be read.
    """
    try:
        if isinstance(source, str | PathLike):
            with Path(source).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        if isinstance(source, Mapping):
            return dict(source)
    except DAMAGED as reason:
        cause = "the file is damaged, or holds pickled objects, which are never loaded"
        raise InputError(f"state_dict cannot be read: {cause} ({reason})") from reason
    raise wrong_kind("state_dict", "a mapping as state_dict() returns it, or a path", source)


def check_state_keys(owner: str, given: Mapping[str, Any], expected: set[str], optional: set[str]) -> None:
    """Refuse a state with missing or unknown names; `owner` says whose state it should be.

    Examples
    --------
    >>> check_state_keys("this model", {"weight": 1.0, "bais": 0.0}, {"weight", "bias"}, set())
    Traceback (most recent call last):
    l0np.errors.InputError: state_dict does not fit this model: missing ['bias'], unknown ['bais']
    """
    missing, unknown = expected - set(given), set(given) - expected - optional
    if missing or unknown:
        names = f"missing {sorted(missing)}, unknown {sorted(map(str, unknown))}"
        raise InputError(f"state_dict does not fit {owner}: {names}")
