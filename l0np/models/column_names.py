"""Names of columns that a model keeps: from the frames that it is fitted to, and in its state_dict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from l0np.engine import State
from l0np.errors import InputError
from l0np.inputs import column_names, in_order_of, validation, values_in_order

NAMES = "column_names"  # the key of the file format, which is left out where there are no names


class NamedColumns:
    """The part of a model that keeps the names of columns and brings frames into their order."""

    _state: State
    _names: tuple[str, ...] | None = None

    @property
    def column_names_(self) -> tuple[str, ...] | None:
        """Names of the columns of the frame that the model was fitted to; None if it had none.

        Columns of later frames are used by these names, in whatever order they come; matrices without names
        count by position. `reset` forgets them.
        """
        return self._names

    def _in_order(self, name: str, M: Any) -> Any:
        """Return M with its columns in the order of the fit, if both have names."""
        return in_order_of(self._names, name, M, cure="; to fit other columns, reset() the model first")

    def _column_values(
        self, name: str, value: Any, matrix_name: str, M: Any, **bounds: Unpack[validation.Bounds]
    ) -> NDArray[np.float64]:
        """Return one number for each column of M, in the order of the fit."""
        ordered = self._in_order(matrix_name, M)
        value = values_in_order(name, value, matrix_name, M, ordered)
        n_columns = len(self._state.theta.value)
        return validation.column_values(name, value, matrix_name, ordered, n_columns, **bounds)

    @contextmanager
    def _named_after(self, M: Any) -> Iterator[None]:
        """Keep the names of M's columns if the state changes: a refused fit leaves the model as it was."""
        before = self._state
        try:
            yield
        finally:
            if self._names is None and self._state is not before:
                self._names = column_names(M)


def names_entry(names: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what a state_dict holds of names: an array of strings, which NumPy stores without pickle."""
    return {} if names is None else {NAMES: np.array(names, dtype=np.str_)}


def names_in(state_dict: Mapping[str, Any], n_columns: int) -> tuple[str, ...] | None:
    """Return the names in a state_dict, checked; None if it holds none.

    Raises
    ------
    InputError, InputTypeError
        If they are not an array of strings, one for each column.
    """
    if NAMES not in state_dict:
        return None
    names = np.asarray(state_dict[NAMES])
    if names.dtype.kind != "U":
        raise validation.wrong_kind(NAMES, "an array of strings", state_dict[NAMES])
    if names.shape != (n_columns,):
        raise InputError(f"{NAMES} must have one name for each of {n_columns} columns, it has {names.shape}")
    return tuple(names.tolist())
