"""The penalties of a collection, each with its gradient beside it, and the temperature of all its gates."""

from __future__ import annotations

from typing import Any

from l0np.gates import HardConcrete, ParameterReference
from l0np.inputs import known_arguments, validation
from l0np.models import GatedModel
from l0np.penalties.members import members, without_gradients


@known_arguments()
def compute_l0_penalty(model: Any, *, upstream: float | None = None) -> float:
    """Return the expected number of open gates, and add its gradient if asked to.

    Parameters
    ----------
    model : gate, layer, network, SparseCalibrationWeights, SparseL0Linear, or list, tuple or mapping of these
        What is penalised. Gates that occur more than once count once.
    upstream : float, optional
        What the penalty is multiplied by in the loss. With it, ``upstream`` times the derivative is added to
        the gates' ``grad_log_alpha``.

    Returns
    -------
    float
        The penalty, not multiplied by `upstream`.

    Raises
    ------
    InputError, InputTypeError
        If `model` holds anything else, or if `upstream` is given for a model that is trained by `fit`;
        nothing is added then.

    Examples
    --------
    >>> from l0np.gates import HardConcrete
    >>> from l0np.penalties import compute_l0_penalty
    >>> gates = HardConcrete(2, seed=0)
    >>> round(compute_l0_penalty([gates, gates], upstream=0.1), 3)
    1.537
    >>> gates.grad_log_alpha.round(4)
    array([0.0178, 0.0178], dtype=float32)
    """
    parts, factor = _parts(model, upstream)
    gated = [part for part in parts if isinstance(part, HardConcrete | GatedModel)]
    value = sum(
        part.get_penalty() if isinstance(part, HardConcrete) else part.get_l0_penalty() for part in gated
    )
    for part in gated:
        if factor is not None and isinstance(part, HardConcrete):
            part.penalty_backward(factor)
    return float(value)


@known_arguments()
def compute_l2_penalty(model: Any, *, upstream: float | None = None) -> float:
    """Return the sum of squared ungated weights, and add its gradient if asked to.

    Weights are the `weight` of layers and of `SparseL0Linear`, and ``exp(log_weight)`` of
    `SparseCalibrationWeights`; biases and the locations of gates are none.

    Parameters
    ----------
    model : gate, layer, network, SparseCalibrationWeights, SparseL0Linear, or list, tuple or mapping of these
        What is penalised. Arrays of weights that occur more than once count once.
    upstream : float, optional
        What the penalty is multiplied by in the loss. With it, ``upstream`` times the derivative is added to
        the layers' `grad_weight`.

    Returns
    -------
    float
        The penalty, not multiplied by `upstream`.

    Raises
    ------
    InputError, InputTypeError
        As `compute_l0_penalty`.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.layers import L0Linear
    >>> from l0np.penalties import compute_l2_penalty
    >>> layer = L0Linear(2, 1, seed=0)
    >>> layer.weight = np.array([[3.0, 4.0]])
    >>> compute_l2_penalty(layer, upstream=0.5)
    25.0
    >>> layer.grad_weight
    array([[3., 4.]])
    """
    parts, factor = _parts(model, upstream)
    value, seen = 0.0, set[int]()
    for part in parts:
        if isinstance(part, GatedModel):
            value += float(part.get_l2_penalty())
        elif "weight" in part.PARAMETERS:
            weight = ParameterReference(part, "weight")
            if id(weight.value) not in seen:
                seen.add(id(weight.value))
                squares, gradient = weight.squares()
                value += squares
                if factor is not None:
                    weight.add_to_gradient(factor * gradient)
    return value


@known_arguments()
def compute_l0l2_penalty(
    model: Any, l0_lambda: float = 1e-3, l2_lambda: float = 1e-4, *, upstream: float | None = None
) -> float:
    """Return ``l0_lambda`` times the L0 penalty plus ``l2_lambda`` times the L2 penalty.

    Parameters
    ----------
    model : gate, layer, network, SparseCalibrationWeights, SparseL0Linear, or list, tuple or mapping of these
        What is penalised, as by `compute_l0_penalty` and `compute_l2_penalty`.
    l0_lambda, l2_lambda : float
        What one expected open gate and one squared unit of weight cost, 0 or more.
    upstream : float, optional
        What the sum is multiplied by in the loss, usually 1. With it, ``upstream`` times the derivative is
        added to the gradients.

    Returns
    -------
    float
        The penalty, not multiplied by `upstream`.

    Raises
    ------
    InputError, InputTypeError
        As `compute_l0_penalty`, and for negative multipliers.

    Examples
    --------
    >>> from l0np.layers import L0Linear
    >>> from l0np.penalties import compute_l0l2_penalty
    >>> layer = L0Linear(2, 1, seed=0)
    >>> penalty = compute_l0l2_penalty(layer, l0_lambda=1.0, l2_lambda=0.0, upstream=1.0)
    >>> round(penalty, 3), layer.weight_gates.grad_log_alpha.round(3)
    (1.537, array([[0.178, 0.178]], dtype=float32))
    """
    l0 = validation.real_number("l0_lambda", l0_lambda, at_least=0.0)
    l2 = validation.real_number("l2_lambda", l2_lambda, at_least=0.0)
    _, factor = _parts(model, upstream)
    ups = (None, None) if factor is None else (factor * l0, factor * l2)
    return l0 * compute_l0_penalty(model, upstream=ups[0]) + l2 * compute_l2_penalty(model, upstream=ups[1])


@known_arguments()
def update_temperatures(model: Any, temperature: float) -> None:
    """Set the temperature of all gates of a collection, and `beta` of its models.

    Parameters
    ----------
    model : gate, layer, network, SparseCalibrationWeights, SparseL0Linear, or list, tuple or mapping of these
        Whose temperature is set.
    temperature : float
        The temperature, above 0.

    Raises
    ------
    InputError, InputTypeError
        If `model` holds anything else, or for another temperature; nothing is set then.

    Examples
    --------
    >>> from l0np.gates import HardConcrete
    >>> from l0np.penalties import update_temperatures
    >>> gates = HardConcrete(2, seed=0)
    >>> update_temperatures([gates], 0.25)
    >>> gates.temperature
    0.25
    """
    parts, _ = _parts(model, None)
    value = HardConcrete(1, temperature=temperature).temperature  # checked before any is set
    for part in parts:
        if isinstance(part, HardConcrete):
            part.temperature = value
        elif isinstance(part, GatedModel):
            part.beta = value


def _parts(model: Any, upstream: float | None) -> tuple[list[Any], float | None]:
    """Return the members of a collection, and `upstream`, both checked."""
    named = list(members(model))
    if upstream is None:
        return [part for _, part in named], None
    factor = validation.real_number("upstream", upstream)
    for name, part in named:
        if isinstance(part, GatedModel):
            raise without_gradients(name)
    return [part for _, part in named], factor
