"""Checks of what gates are made of and restored from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from l0np._namespace import array_namespace
from l0np.errors import InputError
from l0np.gates.items import asarray_like
from l0np.inputs import validation

LARGEST = {"seed": 2**64 - 1, "epoch": 2**32 - 1}  # of the counters in a state_dict
MOST_GATES = 2**32  # along one dimension, as of columns of a model


def checked_shape(input_dim: Any, output_dim: Any) -> tuple[int, ...]:
    """Return the shape of the gates."""
    if isinstance(input_dim, tuple | list):
        if output_dim is not None:
            raise InputError(f"output_dim must be left out where input_dim is a shape, got {output_dim!r}")
        if not input_dim:
            raise InputError("input_dim must have at least one dimension, got ()")
        named = {f"input_dim[{i}]": n for i, n in enumerate(input_dim)}
    else:
        named = {"input_dim": input_dim}
        if output_dim is not None:
            named["output_dim"] = output_dim
    return tuple(validation.integer(name, n, at_least=1, at_most=MOST_GATES) for name, n in named.items())


def checked_state(state_dict: Any, like: Any) -> tuple[Any, dict[str, int]]:
    """Return the locations, in the library of the array `like` and its dtype, and the counters of a state."""
    if not isinstance(state_dict, Mapping):
        raise validation.wrong_kind("state_dict", "a mapping as state_dict() returns it", state_dict)
    expected = {"log_alpha", *LARGEST}
    if set(state_dict) != expected:
        found = f"got {sorted(map(str, state_dict))}"
        raise InputError(f"state_dict must have the keys {sorted(expected)}, {found}")
    xp = array_namespace(like)
    dtype = np.dtype("float32" if like.dtype == xp.float32 else "float64")
    given = validation.cast(
        "log_alpha", validation.numeric_array("log_alpha", state_dict["log_alpha"]), dtype
    )
    counters = {
        name: validation.integer(name, state_dict[name], at_least=0, at_most=most)
        for name, most in LARGEST.items()
    }
    return asarray_like(given, like), counters
