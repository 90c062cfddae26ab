"""Checks of what gates are made of, and the largest numbers of their states."""

from __future__ import annotations

from typing import Any

from l0np.errors import InputError
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
