"""`prune_model`: takes weights that are unlikely to be open, and units without any, out of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from l0np.errors import InputError, L0npWarning, warn
from l0np.gates import Module
from l0np.inputs import known_arguments, validation
from l0np.layers.layer import GatedLayer
from l0np.layers.mlp import SparseMLP
from l0np.layers.units import CLOSED, check_sequence, remove_units

Model = TypeVar("Model", bound=Module | Sequence[Module])


@known_arguments()
def prune_model(
    model: Model, threshold: float = 0.05, *, activation: Callable[[Any], Any] | None = None
) -> Model:
    """Remove the weights of a model whose gates are unlikely to be open.

    Their weights become 0 and their gates are closed for good: no training opens them again. Up to a
    threshold of 1/2, test-time outputs stay as they were, up to rounding, because a gate that is open with a
    probability of at most 1/2 is 0 at test time. 1/2 removes all such gates.

    Models in which layers follow each other become smaller too. These are `SparseMLP`, and a list of layers
    in the order in which they are applied: a hidden unit, or a channel, that no open weight leads to, or
    from, is removed with its weights, and its constant output is added to the bias of the next layer. What
    the model takes and gives stays as it is. Therefore a layer by itself keeps its shape, whatever is closed
    in it, and so do the inputs of the first and the outputs of the last layer of a list.

    Parameters
    ----------
    model : layer, network, or list or tuple of layers
        What is pruned, in place. It is in evaluation mode afterwards, as after `eval`. Layers of a list may
        be `L0Linear` and `L0Conv2d`, the first `L0Linear` after convolutions taking their flattened images;
        units next to an `L0DepthwiseConv2d` stay.
    threshold : float
        The largest P(gate > 0) with which a gate is removed, from 0 to 1.
    activation : callable, optional
        The function between the layers of a list, of each element by itself, such as
        ``lambda x: np.maximum(x, 0)``; pooling and flattening may come beside it. Without it the constant
        output of a unit that no open weight leads to is not known, and the unit stays if weights lead from
        it. So does a channel before a convolution with padding, unless its constant is 0.

    Returns
    -------
    layer, network, list or tuple
        The model itself. Its arrays are new ones: make a new `Adam` to train it further.

    Raises
    ------
    InputError, InputTypeError
        For an argument outside these bounds; the model stays as it was.

    Warns
    -----
    L0npWarning
        If units of a list have to stay that no open weight leads to, with the reason.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.layers import L0Conv2d, L0Linear, SparseMLP, prune_model
    >>> network = SparseMLP(4, hidden_dim=3, output_dim=2, seed=0)
    >>> network.fc1.weight_gates.log_alpha[0] = -5.0  # no weight leads to the first unit
    >>> x = np.ones((1, 4), np.float32)
    >>> before = network.eval()(x)
    >>> prune_model(network).fc1.weight.shape
    (2, 4)
    >>> bool(np.allclose(network(x), before))
    True
    >>> layers = [L0Conv2d(1, 4, 3, structured=True, seed=0), L0Linear(4 * 6 * 6, 10, seed=0)]
    >>> layers[0].channel_gates.log_alpha[1] = -5.0
    >>> convolution, linear = prune_model(layers, activation=lambda x: np.maximum(x, 0))
    >>> convolution.out_channels, linear.in_features
    (3, 108)
    """
    is_sequence = isinstance(model, list | tuple)
    if not is_sequence and not isinstance(model, Module):
        raise validation.wrong_kind("model", "a layer, a network or a list of layers of l0np", model)
    roots: list[Module] = list(_sequence(model)) if is_sequence else [model]  # type: ignore[arg-type, list-item]
    least = validation.real_number("threshold", threshold, at_least=0.0, at_most=1.0)
    _check_activation(activation, model)
    parts = [part for root in roots for _, part in root.eval().named_modules()]
    for part in parts:
        if isinstance(part, GatedLayer):
            _close(part, least)
    for part in parts:
        if isinstance(part, SparseMLP):
            remove_units([part.fc1, part.fc2, part.fc3], _relu)
    if is_sequence:
        for reason in remove_units(roots, activation):  # type: ignore[arg-type]
            warn(f"prune_model: {reason}", L0npWarning)
    return model


def _close(layer: GatedLayer, threshold: float) -> None:
    """Set the weights of unlikely gates to 0, and their locations beyond where any gate moves."""
    gates, xp = layer.gates, layer.xp
    removed = gates.get_active_prob() <= threshold
    of_weights = xp.reshape(removed, tuple(removed.shape) + (1,) * (layer.weight.ndim - removed.ndim))
    layer.weight = xp.where(of_weights, xp.zeros_like(layer.weight), layer.weight)
    gates.log_alpha = xp.where(removed, xp.full_like(gates.log_alpha, CLOSED), gates.log_alpha)
    layer.zero_grad()


def _sequence(model: Sequence[Any]) -> list[GatedLayer]:
    """Return the layers of a sequence, checked."""
    if not model:
        raise InputError("model has no layers: pass a layer, a network or a list of layers")
    for i, layer in enumerate(model):
        if not isinstance(layer, GatedLayer):
            raise validation.wrong_kind(f"model[{i}]", "a layer of l0np", layer)
    if len({id(layer) for layer in model}) < len(model):
        raise InputError("model holds a layer twice: list the layers in the order in which they are applied")
    check_sequence(model)
    return list(model)


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _check_activation(activation: Any, model: Any) -> None:
    """Refuse a function between layers that is none, or that changes the shape."""
    if activation is None:
        return
    if not isinstance(model, list | tuple):
        raise InputError("activation says what is between the layers of a list: leave it out here")
    validation.callables("activation", [activation])
    shape = np.shape(activation(np.zeros(3)))
    if shape != (3,):
        raise InputError(f"activation must return an array of the shape of its input, (3,), got {shape}")
