"""`prune_model`: takes weights that are unlikely to be open, and units without any, out of a model."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from l0np.gates import HardConcrete, Module
from l0np.inputs import known_arguments, validation
from l0np.layers.layer import GatedLayer
from l0np.layers.linear import L0Linear
from l0np.layers.mlp import SparseMLP
from l0np.maths import LOG_ALPHA_BOUND

AnyModule = TypeVar("AnyModule", bound=Module)
CLOSED = -2.0 * LOG_ALPHA_BOUND  # a location beyond the bound has no derivative: its gate stays closed


@known_arguments()
def prune_model(model: AnyModule, threshold: float = 0.05) -> AnyModule:
    """Remove the weights of a model whose gates are unlikely to be open.

    Their weights become 0 and their gates are closed for good: no training opens them again. A network,
    `SparseMLP`, becomes smaller: a hidden unit that no weight leads to, or from, is removed with its
    weights, and its constant output is added to the bias of the next layer.

    Up to a threshold of 1/2, test-time outputs stay as they were, up to rounding, because a gate that is open
    with a probability of at most 1/2 is 0 at test time. 1/2 removes all such gates.

    Parameters
    ----------
    model : layer or network
        What is pruned, in place. It is in evaluation mode afterwards, as after `eval`.
    threshold : float
        The largest P(gate > 0) with which a gate is removed, from 0 to 1.

    Returns
    -------
    layer or network
        The model itself. Its arrays are new ones: make a new `Adam` to train it further.

    Raises
    ------
    InputError, InputTypeError
        For an argument outside these bounds; the model stays as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.layers import SparseMLP, prune_model
    >>> network = SparseMLP(4, hidden_dim=3, output_dim=2, seed=0)
    >>> network.fc1.weight_gates.log_alpha[0] = -5.0  # no weight leads to the first unit
    >>> x = np.ones((1, 4), np.float32)
    >>> before = network.eval()(x)
    >>> prune_model(network).fc1.weight.shape
    (2, 4)
    >>> bool(np.allclose(network(x), before))
    True
    """
    if not isinstance(model, Module):
        raise validation.wrong_kind("model", "a layer or a network of l0np", model)
    least = validation.real_number("threshold", threshold, at_least=0.0, at_most=1.0)
    for _, part in model.eval().named_modules():
        if isinstance(part, GatedLayer):
            _close(part, least)
    for _, part in model.named_modules():
        if isinstance(part, SparseMLP):
            _remove_units(part)
    return model


def _close(layer: GatedLayer, threshold: float) -> None:
    """Set the weights of unlikely gates to 0, and their locations beyond where any gate moves."""
    gates, xp = layer.gates, layer.xp
    removed = gates.get_active_prob() <= threshold
    of_weights = xp.reshape(removed, tuple(removed.shape) + (1,) * (layer.weight.ndim - removed.ndim))
    layer.weight = xp.where(of_weights, xp.zeros_like(layer.weight), layer.weight)
    gates.log_alpha = xp.where(removed, xp.full_like(gates.log_alpha, CLOSED), gates.log_alpha)
    layer.zero_grad()


def _remove_units(network: SparseMLP) -> None:
    """Remove hidden units without weights to or from them, until there are no more."""
    pairs = ((network.fc1, network.fc2), (network.fc2, network.fc3))
    n_before = None
    while n_before != (n_now := sum(first.out_features for first, _ in pairs)):
        n_before = n_now
        for first, second in pairs:
            led_to = np.any(_open(first), axis=1)
            kept = np.asarray(led_to & np.any(_open(second), axis=0))
            if not kept.any():
                kept[0] = True  # a layer has at least one unit
            constant = np.where(led_to | kept, 0, np.maximum(first.bias, 0))
            second.bias = second.bias + second.test_time_weight() @ constant.astype(second.bias.dtype)
            _keep(first, np.flatnonzero(kept), np.arange(first.in_features))
            _keep(second, np.arange(second.out_features), np.flatnonzero(kept))


def _open(layer: L0Linear) -> NDArray[np.bool_]:
    return np.asarray(layer.weight_gates.log_alpha > CLOSED)


def _keep(layer: L0Linear, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
    """Reduce a layer to some of its outputs and inputs."""
    old, both = layer.weight_gates, np.ix_(rows, columns)
    constants: Any = {"temperature": old.temperature, "gamma": old.gamma, "zeta": old.zeta}
    gates = HardConcrete((len(rows), len(columns)), stretch=old.stretch, seed=old.seed_, **constants)
    gates.log_alpha, gates.epoch, gates.training = old.log_alpha[both], old.epoch, old.training
    layer.weight, layer.weight_gates = layer.weight[both], gates
    layer.bias = None if layer.bias is None else layer.bias[rows]
    layer.out_features, layer.in_features = len(rows), len(columns)
    layer.zero_grad()
