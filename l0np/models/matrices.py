"""Conversion of a model's input matrices to the forms with which it trains, predicts and refits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from l0np.engine import Backend
from l0np.errors import InputError, InputTypeError
from l0np.inputs import is_on_a_device, validation
from l0np.matrix import ColumnMatrix


def with_columns(name: str, M: Any, n_features: int, per_column: Mapping[str, Any]) -> Any:
    """Return M, with a shape, if its columns are those of a model of `n_features`.

    Arguments of the model with one value for each column, `per_column` by name, must be in the order of the
    columns.
    """
    if not hasattr(M, "shape"):
        M = validation.numeric_array(name, M)
    validation.check_columns(name, M.shape, n_features)
    for argument, values in per_column.items():
        validation.check_order(argument, values, name, M, axis="columns")
    return M


def for_training(
    name: str, M: Any, backend: Backend, dtype: np.dtype[Any], fold: bool | str | None = None
) -> Any:
    """Return a ColumnMatrix or, if M is on the backend's device, the form that the backend has given it.

    `fold` is that of `ColumnMatrix.folded`; None takes rows as they are, folded or not.
    """
    adopted = backend.adopt(name, M, dtype)
    if adopted is not None:
        if fold is True:
            raise InputError(f"fold=True folds rows in main memory: pass {name}.get()")
        return adopted
    if is_on_a_device(M):
        rule = f'use device="cuda", or pass {name}.get()'
        raise InputTypeError(f"{name} is on a CUDA device, the model is not: {rule}")
    if fold is None:
        return _in_dtype(name, M, dtype)
    return ColumnMatrix.build(M, dtype, name=name, fold=fold)


def _in_dtype(name: str, M: Any, dtype: np.dtype[Any]) -> ColumnMatrix:
    is_ready = isinstance(M, ColumnMatrix) and M.dtype == dtype
    return M if is_ready else ColumnMatrix.build(M, dtype, name=name, fold=False)


def checked_for_training(name: str, matrix: Any, backend: Backend, dtype: np.dtype[Any]) -> Any:
    """Return a matrix that `for_training` made; a ColumnMatrix is cast to `dtype`."""
    if isinstance(matrix, ColumnMatrix):
        return _in_dtype(name, matrix, dtype)
    is_raw = is_on_a_device(matrix) or hasattr(matrix, "__array__") or hasattr(matrix, "tocsc")
    if is_raw or not backend.on_device or not hasattr(matrix, "shape"):
        raise validation.wrong_kind(name, "a ColumnMatrix, or what the model's backend has adopted", matrix)
    return matrix


def for_refit(name: str, M: Any) -> ColumnMatrix:
    """Return a ColumnMatrix in main memory, where refits work; one is not converted if M is one already."""
    if is_on_a_device(M):
        raise InputTypeError(f"refit works in main memory: pass {name}.get()")
    return ColumnMatrix.of(M, name=name)
