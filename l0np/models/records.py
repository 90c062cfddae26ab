"""Settings, targets and arguments as JSON, with their arrays apart, for checkpoints; and back, checked.

`encode` knows no field by name: a new setting or target option is stored without a change here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import CheckpointError, InputTypeError
from l0np.inputs import validation
from l0np.maths import LOSSES
from l0np.matrix import ColumnMatrix
from l0np.schedules import Cosine, Exponential, Linear, TemperatureScheduler
from l0np.targets import AggregatedTargets, Targets

SCHEDULES = (Linear, Exponential, Cosine, TemperatureScheduler)
KINDS: tuple[type[Any], ...] = (*SCHEDULES, Targets, AggregatedTargets, ColumnMatrix)
RECORDS = {kind.__name__: kind for kind in KINDS}  # the only classes that `decode` makes
# What stands for a value that is no number, string or None: {KEY: ...}
ARRAY, RECORD, LOSS, TUPLE, MAPPING, FUNCTION = "array", "record", "loss", "tuple", "mapping", "function"


def encode(name: str, value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return what JSON holds of a value; copy its arrays to `arrays`, under names that start with `name`.

    Raises
    ------
    InputTypeError
        For a value that cannot be stored.

    Examples
    --------
    >>> arrays = {}
    >>> encode("lr", Linear(1.0, 0.5, epochs=2), arrays)
    {'record': 'Linear', 'fields': {'start': 1.0, 'end': 0.5, 'epochs': 2}}
    >>> encode("caps", np.array([0.1, 0.2]), arrays), arrays
    ({'array': 'caps'}, {'caps': array([0.1, 0.2])})
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type) and value in LOSSES.values():
        return {LOSS: next(key for key, loss in LOSSES.items() if loss is value)}
    if isinstance(value, np.dtype):
        return value.name
    if is_dataclass(value) and type(value) in KINDS:
        parts = {f.name: encode(f"{name}/{f.name}", getattr(value, f.name), arrays) for f in fields(value)}
        return {RECORD: type(value).__name__, "fields": parts}
    if callable(value):
        return {FUNCTION: name}
    if isinstance(value, Mapping):
        return {MAPPING: {str(key): encode(f"{name}/{key}", item, arrays) for key, item in value.items()}}
    if isinstance(value, tuple) or (isinstance(value, list) and all(isinstance(s, str) for s in value)):
        return {TUPLE: [encode(f"{name}/{i}", item, arrays) for i, item in enumerate(value)]}
    array = np.array(validation.on_host(value), order="C")
    if array.dtype.kind not in "buifUS":
        raise InputTypeError(f"{name} cannot be stored in a checkpoint: it is {type(value).__name__}")
    arrays[name] = array
    return {ARRAY: name}


def decode(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return what `encode` was given; functions, which no file holds, become `GivenAgain`.

    Raises
    ------
    CheckpointError
        For what `encode` does not write.
    InputError, InputTypeError
        For records that are not valid.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if not isinstance(value, dict) or not value:
        raise CheckpointError(f"the checkpoint holds something unknown: {str(value)[:40]!r}")
    kind, content = next(iter(value.items()))
    readers: dict[str, Callable[[], Any]] = {
        ARRAY: lambda: arrays[content],
        LOSS: lambda: LOSSES[content],
        TUPLE: lambda: tuple(decode(item, arrays) for item in content),
        MAPPING: lambda: {key: decode(item, arrays) for key, item in content.items()},
        FUNCTION: lambda: GivenAgain(content),
        RECORD: lambda: RECORDS[content](
            **{key: decode(item, arrays) for key, item in value["fields"].items()}
        ),
    }
    try:
        return readers[kind]()
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the checkpoint holds an unknown {kind!r}: {str(content)[:40]!r}") from error


class GivenAgain:
    """Stands for a function, which a checkpoint cannot hold: whoever resumes gives it again."""

    def __init__(self, name: Any) -> None:
        self.name = str(name)
