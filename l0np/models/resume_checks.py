"""Whether what `resume` is given is what the interrupted fit had: the matrix, y and the target options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from l0np.errors import InputError
from l0np.inputs import validation
from l0np.targets import Targets

# The options that decide each part of `Targets`, for messages
OPTIONS = {
    "fitted": "exclude",
    "weights": "target_groups, normalize_groups, group_multipliers or target_weights",
    "groups": "target_groups",
    "loss_class": "loss_type",
    "scale": "target_scales",
    "scales_given": "target_scales",
    "tolerance": "tolerances",
    "cap": "caps",
    "aggregates": "aggregates",
}


def check_matrix(name: str, given: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Refuse another matrix than that of the checkpoint."""
    shape, wanted = tuple(given["shape"]), tuple(stored["shape"])
    if shape != wanted:
        raise InputError(f"{name} has the shape {shape}, that of the checkpoint has {wanted}")
    if given["form"] != stored.get("form"):
        where = "on a CUDA device" if stored.get("form") == "device" else "in main memory"
        raise InputError(f"{name} was {where} when the checkpoint was written: give it there again")
    if "non_zeros" not in stored:  # of other ranks, which held other columns
        return
    folded, folded_then = given["folded_rows"], stored.get("folded_rows", 0)
    if folded != folded_then:
        rule = "give it as it was given then, or what ColumnMatrix.build makes of it with that `fold`"
        raise InputError(
            f"{name} has {folded} folded rows, in the interrupted fit it had {folded_then}: {rule}"
        )
    if given["non_zeros"] != stored.get("non_zeros"):
        found = f"{given['non_zeros']} non-zeros, that of the checkpoint {stored.get('non_zeros')}"
        raise InputError(f"{name} is another matrix: it has {found}")
    if given["pattern_sha256"] != stored.get("pattern_sha256"):
        raise InputError(f"{name} is another matrix: its non-zeros are not where the checkpoint's were")
    if given["values_sha256"] != stored.get("values_sha256"):
        raise InputError(f"{name} is another matrix: its entries have other values than the checkpoint's")


def check_y(value: Any, targets: Targets) -> None:
    """Refuse other targets than those of the checkpoint."""
    differs = np.flatnonzero(value != targets.value)
    if differs.size:
        i = int(differs[0])
        found = f"y[{i}] ({targets.name(i)}) is {value[i]:g}, in the checkpoint {targets.value[i]:g}"
        raise InputError(f"y differs from that of the checkpoint: {found}{validation.and_more(differs.size)}")


def check_options(given: Targets, stored: Targets) -> None:
    """Refuse target options that make other targets than those of the checkpoint."""
    for part, options in OPTIONS.items():
        if not _same(getattr(given, part), getattr(stored, part)):
            raise InputError(f"{options} differs from that of the interrupted fit")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    if isinstance(one, tuple):
        same_length = isinstance(other, tuple) and len(one) == len(other)
        return same_length and all(map(_same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            _same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.name != "names"
        )
    return bool(one == other)
