"""The file format of a model's state, a dict of arrays and numbers: to it and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine import ControllerState, State, SumReference
from l0np.inputs import validation
from l0np.maths import Link, Parameter
from l0np.models.column_names import NAMES

LARGEST_SEED = 2**64 - 1
LARGEST = {"epoch": 2**32 - 1, "adam_step": 2**32 - 1, "seed": LARGEST_SEED}  # largest value of each counter
# The names in files of the controller's state and of the mask of the selection
CONTROLLER, SELECTION = "governor", "selection"
SUMS, ROOM = "sum_reference", "sum_room"  # of a fit on ranks: see `l0np.engine.SumReference`
# The parts of a parameter, by the ending of their names
PARTS = {"": "value", "_first_moment": "first_moment", "_second_moment": "second_moment"}


def state_dict_of(state: State, theta_name: str) -> dict[str, Any]:
    """Return copies of the state's arrays, and its numbers, by the names of the file format."""
    arrays = {name: np.array(array) for name, array in _arrays(state, theta_name).items()}
    counters = {name: getattr(state, name) for name in LARGEST}
    optional: dict[str, Any] = {}
    if state.controller is not None:
        optional[CONTROLLER] = np.array(astuple(state.controller))
    if state.selection is not None:
        optional[SELECTION] = state.selection.copy()
    if state.sum_reference is not None:
        optional |= {SUMS: np.array(state.sum_reference.theta), ROOM: state.sum_reference.room}
    return arrays | counters | {"lambda_l0": state.lambda_l0} | optional


def state_from(state_dict: Mapping[str, Any], like: State, theta_name: str, link: Link) -> State:
    """Return the state that a dict describes, checked against the arrays of a model's state `like`.

    Raises
    ------
    InputError, InputTypeError
        For missing or unknown keys, wrong shapes, values that are not finite or impossible.
    """
    template, dtype = _arrays(like, theta_name), like.theta.value.dtype
    expected = {*template, *LARGEST, "lambda_l0"}
    optional = {CONTROLLER, SELECTION, NAMES, SUMS, ROOM}
    validation.check_state_keys("this model", state_dict, expected, optional)
    arrays = {
        name: validation.vector(name, state_dict[name], len(array), dtype, per="column")
        for name, array in template.items()
    }
    check_finite_weights(theta_name, arrays[theta_name], link)
    for name, array in arrays.items():
        if name.endswith("_second_moment"):
            validation.check_elements(name, array, array < 0, "a second moment cannot be negative")
    counters = {
        name: validation.integer(name, state_dict[name], at_least=0, at_most=most)
        for name, most in LARGEST.items()
    }
    return State(
        theta=_parameter(theta_name, arrays),
        log_alpha=_parameter("log_alpha", arrays),
        intercept=None if like.intercept is None else _parameter("bias", arrays),
        lambda_l0=validation.real_number("lambda_l0", state_dict["lambda_l0"]),
        controller=_controller(state_dict),
        selection=_selection(state_dict, len(like.theta.value)),
        sum_reference=_sum_reference(state_dict, like),
        **counters,
    )


def check_finite_weights(name: str, theta: NDArray[Any], link: Link) -> None:
    """Refuse parameters, called `name`, whose weights are infinite."""
    with np.errstate(over="ignore"):
        weight = link.weight(theta)[0]
    validation.check_elements(name, theta, ~np.isfinite(weight), f"the weight is infinite in {theta.dtype}")


def _arrays(state: State, theta_name: str) -> dict[str, NDArray[Any]]:
    """Return the state's arrays by the names of the file format."""
    parameters = {theta_name: state.theta, "log_alpha": state.log_alpha, "bias": state.intercept}
    return {
        name + ending: getattr(parameter, part)
        for name, parameter in parameters.items()
        if parameter is not None
        for ending, part in PARTS.items()
    }


def _parameter(name: str, arrays: dict[str, NDArray[Any]]) -> Parameter:
    return Parameter(*(arrays[name + ending] for ending in PARTS))


def _controller(state_dict: Mapping[str, Any]) -> ControllerState | None:
    if CONTROLLER not in state_dict:
        return None
    per = "part of the controller's state"
    values = validation.vector(CONTROLLER, state_dict[CONTROLLER], 3, np.dtype(np.float64), per=per)
    return ControllerState(*values.tolist())


def _selection(state_dict: Mapping[str, Any], n_columns: int) -> NDArray[np.bool_] | None:
    if SELECTION not in state_dict:
        return None
    values = validation.vector(
        SELECTION, state_dict[SELECTION], n_columns, np.dtype(np.float64), per="column"
    )
    rule = "a column is selected (1) or not (0)"
    validation.check_elements(SELECTION, values, (values != 0) & (values != 1), rule)
    return values.astype(np.bool_)


def _sum_reference(state_dict: Mapping[str, Any], like: State) -> SumReference | None:
    if SUMS not in state_dict or ROOM not in state_dict:
        return None
    theta = like.theta.value
    reference = validation.vector(SUMS, state_dict[SUMS], len(theta), theta.dtype, per="column")
    return SumReference(reference, validation.real_number(ROOM, state_dict[ROOM], above=0.0))
