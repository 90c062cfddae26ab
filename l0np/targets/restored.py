"""A check of `Targets` that come from a file, whose arrays kernels read without a check of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix import ColumnMatrix
from l0np.targets.targets import AggregatedTargets, Targets

# For each array of numbers: what holds for every element
NUMBERS: dict[str, Callable[[NDArray[np.float64]], Any]] = {
    "value": np.isfinite,
    "scale": lambda a: np.isfinite(a) & (a > 0),
    "weights": lambda a: np.isfinite(a) & (a >= 0),
    "tolerance": lambda a: np.isfinite(a) & (a >= 0),
    "cap": lambda a: a > 0,
}


def check_restored(name: str, targets: Targets, n: int) -> None:
    """Refuse a record of n targets, called `name`, that `Targets.build` could not have made.

    Raises
    ------
    InputError, InputTypeError
        For arrays of another length or dtype, and for values out of their bounds.
    """
    for part, holds in NUMBERS.items():
        array = getattr(targets, part)
        _check_array(f"{name}.{part}", array, (n,), "f")
        if array.dtype != np.float64 or not np.all(holds(array)):
            raise InputError(f"{name}.{part} holds impossible values")
    _check_array(f"{name}.fitted", targets.fitted, (n,), "b")
    if not targets.fitted.any():
        raise InputError(f"{name}.fitted leaves no target to fit")
    if targets.groups is not None:
        _check_array(f"{name}.groups", targets.groups, (n,), "buifUS")
    if targets.row_size is not None:
        _check_array(f"{name}.row_size", targets.row_size, (n,), "f")
    if targets.names is not None and not (
        isinstance(targets.names, tuple)
        and len(targets.names) == n
        and all(isinstance(one, str) for one in targets.names)
    ):
        raise InputError(f"{name}.names must be {n} strings")
    if not isinstance(targets.loss_class, type):
        raise validation.wrong_kind(f"{name}.loss_class", "a loss", targets.loss_class)
    validation.flag(f"{name}.scales_given", targets.scales_given)
    if not isinstance(targets.aggregates, tuple):
        raise validation.wrong_kind(f"{name}.aggregates", "a tuple", targets.aggregates)
    for i, aggregate in enumerate(targets.aggregates):
        _check_aggregate(f"{name}.aggregates[{i}]", aggregate, n)


def _check_aggregate(name: str, aggregate: Any, n: int) -> None:
    if not isinstance(aggregate, AggregatedTargets) or not isinstance(aggregate.matrix, ColumnMatrix):
        raise validation.wrong_kind(name, "totals of targets", aggregate)
    validation.check_columns(name, aggregate.matrix.shape, n)
    validation.real_number(f"{name}.weight", aggregate.weight, at_least=0.0)
    if not isinstance(aggregate.totals, Targets):
        raise validation.wrong_kind(f"{name}.totals", "targets", aggregate.totals)
    check_restored(f"{name}.totals", aggregate.totals, aggregate.matrix.shape[0])


def _check_array(name: str, array: Any, shape: tuple[int, ...], kinds: str) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.kind not in kinds:
        raise InputError(f"{name} is not an array of shape {shape} and of the kind that it must be")
