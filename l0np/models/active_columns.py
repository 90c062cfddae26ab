"""Test-time gates, weights and active columns of a state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.engine import Communicator, State, selected_weights, test_time_weights
from l0np.maths import HardConcrete, Link
from l0np.models.ranks import most_open_of_all


def gates_at_test_time(state: State, gates: HardConcrete | None) -> NDArray[Any]:
    """Return the test-time gate of each column: 0 or 1 after a selection, 1 without gates."""
    log_alpha = state.log_alpha.value
    if state.selection is not None:
        return np.asarray(state.selection, log_alpha.dtype)
    return np.ones_like(log_alpha) if gates is None else np.asarray(gates.test_time_gate(log_alpha))


def weights_at_test_time(state: State, gates: HardConcrete | None, link: Link) -> NDArray[Any]:
    """Return the weight of each column at test time; the active columns are those where it is not 0."""
    with np.errstate(all="ignore"):  # weights may underflow
        if state.selection is not None:
            return selected_weights(state.theta.value, state.selection, link)
        return np.asarray(test_time_weights(state.theta.value, state.log_alpha.value, link, gates))


def with_selection(
    state: State, gates: HardConcrete | None, link: Link, n_active: int, communicator: Communicator
) -> State:
    """Return the state with a selection: those whose gates are most likely to be open, of all ranks."""
    # in float64: in float32 all logits beyond 17 have probability 1
    log_alpha = state.log_alpha.value.astype(np.float64)
    probability = np.ones_like(log_alpha) if gates is None else gates.prob_open(log_alpha)[0]
    with np.errstate(all="ignore"):
        weight = link.weight(state.theta.value)[0]
    return replace(state, selection=most_open_of_all(communicator, probability, weight, n_active))
