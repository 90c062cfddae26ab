"""How many parameters of a collection are active."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from l0np.gates import HardConcrete, Module
from l0np.inputs import known_arguments
from l0np.models import GatedModel
from l0np.penalties.members import members


@known_arguments()
def get_sparsity_stats(model: Any) -> dict[str, dict[str, Any]]:
    """Return for each layer, model, and each group of gates outside of layers, what is active of it.

    Parameters
    ----------
    model : gate, layer, network, SparseCalibrationWeights, SparseL0Linear, or list, tuple or mapping of these
        What is described, each object once.

    Returns
    -------
    dict
        By the object's name in `model` ("" for `model` itself, "fc1", "0.fc1"), a dict with "sparsity", the
        fraction of the gated parameters that are 0 at test time; "active_params", the number of the others;
        "total_params", the number of all; and "expected_open", the expected number of open gates.

    Raises
    ------
    InputTypeError
        If `model` holds anything else.

    Examples
    --------
    >>> from l0np.layers import L0Linear
    >>> from l0np.penalties import get_sparsity_stats
    >>> stats = get_sparsity_stats({"first": L0Linear(3, 2, seed=0)})
    >>> {name: round(value, 2) for name, value in stats["first"].items()}
    {'sparsity': 0.0, 'active_params': 6, 'total_params': 6, 'expected_open': 4.61}
    """
    stats = {}
    for name, part in _gated(model):
        active, total = _counts(part)
        expected = part.get_penalty() if isinstance(part, HardConcrete) else part.get_l0_penalty()
        stats[name] = {
            "sparsity": 1.0 - active / total,
            "active_params": active,
            "total_params": total,
            "expected_open": float(expected),
        }
    return stats


@known_arguments()
def get_active_parameter_count(model: Any) -> int:
    """Return the number of gated parameters that are not 0 at test time.

    Parameters
    ----------
    model : gate, layer, network, SparseCalibrationWeights, SparseL0Linear, or list, tuple or mapping of these
        What is counted, each object once. A gate outside of layers counts as one parameter, an open channel
        as all its weights; parameters without a gate, such as biases, do not count.

    Raises
    ------
    InputTypeError
        If `model` holds anything else.

    Examples
    --------
    >>> from l0np.gates import HardConcrete
    >>> from l0np.penalties import get_active_parameter_count
    >>> get_active_parameter_count([HardConcrete(4, init_mean=0.9), HardConcrete(4, init_mean=0.1)])
    4
    """
    return sum(_counts(part)[0] for _, part in _gated(model))


def _gated(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield what has gates, by name; the gates of a layer, which is counted itself, are left out."""
    of_layers: set[int] = set()
    for name, part in members(model):
        if isinstance(part, GatedModel) or (isinstance(part, HardConcrete) and id(part) not in of_layers):
            yield name, part
        elif isinstance(part, Module) and "weight" in part.PARAMETERS:
            of_layers.update(id(inner) for _, inner in part.named_modules())
            yield name, part


def _counts(part: Any) -> tuple[int, int]:
    """Return the numbers of active and of all gated parameters."""
    if isinstance(part, GatedModel):
        total = part.n_features
        return total - round(part.get_sparsity() * total), total
    if isinstance(part, HardConcrete):
        return part.get_num_active(), int(np.prod(part.gate_size))
    active, total = part.count_weights()
    return int(active), int(total)
