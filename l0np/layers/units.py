"""Units of layers in a sequence: those that no open weight leads to, or from, are removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted
from l0np.errors import InputError
from l0np.gates import HardConcrete
from l0np.layers.conv2d import L0Conv2d
from l0np.layers.layer import GatedLayer
from l0np.layers.linear import L0Linear
from l0np.maths import LOG_ALPHA_BOUND

CLOSED = -2.0 * LOG_ALPHA_BOUND  # a location beyond the bound has no derivative: its gate stays closed

Mask = NDArray[np.bool_]
Activation = Callable[[Any], Any]


def check_sequence(layers: Sequence[Any]) -> None:
    """Refuse layers of which one does not take what the one before it gives.

    Raises
    ------
    InputError
        For such layers.
    """
    for i, (first, second) in enumerate(pairwise(layers)):
        if type(first) is type(second) and n_inputs(second) != n_outputs(first):
            takes = f"model[{i + 1}] takes {n_inputs(second)}"
            raise InputError(f"model: model[{i}] has {n_outputs(first)} outputs, but {takes}")


def n_outputs(layer: GatedLayer) -> int:
    """Return the number of a layer's output units: features or channels."""
    return int(layer.weight.shape[0])


def n_inputs(layer: GatedLayer) -> int:
    """Return the number of a layer's inputs: features or channels."""
    return int(layer.weight.shape[1])


def remove_units(layers: Sequence[GatedLayer], activation: Activation | None) -> list[str]:
    """Remove the units between the layers of a sequence that do not matter, until there are no more.

    Returns
    -------
    list of str
        What had to stay although no open weight leads to it, and why: a sentence for each two layers.
    """
    pairs = list(pairwise(layers))
    n_before = None
    while n_before != (n_now := sum(n_outputs(layer) for layer in layers)):
        n_before = n_now
        stay = [_remove_between(first, second, activation) for first, second in pairs]
    return [
        f"{counted(n, 'output')} of model[{i}] stay though no open weight leads to them, because {why}"
        for i, (n, why) in enumerate(stay)
        if n
    ]


def _remove_between(first: GatedLayer, second: GatedLayer, activation: Activation | None) -> tuple[int, str]:
    """Remove units between two layers; return how many had to stay that are constant, and why."""
    led_to: Mask = np.asarray(np.any(_open(first), axis=1))
    inputs = _inputs_of(first, second)
    if inputs is None:
        kinds = f"from {type(first).__name__} to {type(second).__name__}"
        return int((~led_to).sum()), f"{kinds} units cannot be followed"
    used_inputs: Mask = np.asarray(np.any(_open(second), axis=0))
    used: Mask = np.asarray(np.any(used_inputs[inputs], axis=1))
    constant, why = _constant(first, second, activation, led_to)
    kept: Mask = used & (led_to | np.isnan(constant))
    if not kept.any():
        kept[0] = True  # a layer has at least one unit
    moved = np.where(kept | led_to | np.isnan(constant), 0, constant)
    if moved.any():
        weight = second.test_time_weight()
        by_unit = weight.reshape(*weight.shape[:2], -1).sum(axis=2)[:, inputs].sum(axis=2)
        second.bias = second.bias + by_unit @ moved.astype(second.bias.dtype)
    keep(first, np.flatnonzero(kept), np.arange(n_inputs(first)))
    keep(second, np.arange(n_outputs(second)), inputs[kept].ravel())
    return int((kept & ~led_to & np.isnan(constant)).sum()), why


def _inputs_of(first: GatedLayer, second: GatedLayer) -> NDArray[np.int64] | None:
    """Return which inputs of the second layer each unit is, shape (units, inputs); None if unknown."""
    n_units, inputs = n_outputs(first), n_inputs(second)
    if isinstance(second, L0Conv2d) and isinstance(first, L0Conv2d) and inputs == n_units:
        return np.arange(inputs)[:, None]
    # Between a convolution and a linear layer images are flattened: the pixels of a channel are neighbours
    flattened = isinstance(first, L0Conv2d) and inputs % n_units == 0
    if isinstance(second, L0Linear) and (isinstance(first, L0Linear) or flattened):
        return np.arange(inputs).reshape(n_units, -1)
    return None


def _constant(
    first: GatedLayer, second: GatedLayer, activation: Activation | None, led_to: Mask
) -> tuple[NDArray[Any], str]:
    """Return what each unit gives that nothing leads to, NaN where that cannot be moved to the next bias."""
    dtype = first.weight.dtype
    if activation is None:
        unknown = np.full(len(led_to), np.nan, dtype)
        return unknown, "the function between the layers is not known: give it as activation"
    bias = np.zeros(len(led_to), dtype) if first.bias is None else first.bias
    constant = np.asarray(activation(np.where(led_to, 0, bias)), dtype)
    why = ""
    if isinstance(second, L0Conv2d) and second.padding != (0, 0):
        why = f"their constant is not that of the padding {second.padding} around it"
    elif second.bias is None:
        why = "the next layer has no bias, to which their constant could be added"
    return (np.where(constant == 0, 0, np.nan) if why else constant), why


def _open(layer: GatedLayer) -> Mask:
    """Return which outputs of a layer have an open weight from which inputs, shape (outputs, inputs)."""
    is_open = layer.gates.log_alpha > CLOSED
    outputs, inputs = n_outputs(layer), n_inputs(layer)
    if is_open.ndim == 1:
        return np.broadcast_to(is_open[:, None], (outputs, inputs))
    return np.asarray(is_open.reshape(outputs, inputs, -1).any(axis=2))


def keep(layer: GatedLayer, outputs: NDArray[np.int64], inputs: NDArray[np.int64]) -> None:
    """Reduce a layer to some of its outputs and inputs."""
    old, both = layer.gates, np.ix_(outputs, inputs)
    location = old.log_alpha[outputs] if old.log_alpha.ndim == 1 else old.log_alpha[both]
    constants: Any = {"temperature": old.temperature, "gamma": old.gamma, "zeta": old.zeta}
    gates = HardConcrete(tuple(location.shape), stretch=old.stretch, seed=old.seed_, **constants)
    gates.log_alpha, gates.epoch, gates.training = location, old.epoch, old.training
    setattr(layer, "channel_gates" if "channel_gates" in vars(layer) else "weight_gates", gates)
    layer.weight = layer.weight[both]
    layer.bias = None if layer.bias is None else layer.bias[outputs]
    kind = "features" if isinstance(layer, L0Linear) else "channels"
    setattr(layer, f"in_{kind}", len(inputs))
    setattr(layer, f"out_{kind}", len(outputs))
    layer.zero_grad()
