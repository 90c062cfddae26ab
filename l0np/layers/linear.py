"""`L0Linear`: a linear layer with a gate for each weight."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from l0np.gates import HardConcrete
from l0np.inputs import known_arguments, validation
from l0np.layers.layer import GatedLayer


class L0Linear(GatedLayer):
    """The map ``x -> x @ (weight * gate).T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of inputs and outputs.
    bias : bool
        Whether there is a bias, which has no gate.
    temperature : float
        Temperature of the gates, above 0.
    init_sparsity : float
        1 - the initial keep probability of `HardConcrete`.
    use_l2 : bool
        Whether `get_l2_penalty` counts this layer.
    seed : int, optional
        64-bit seed of the initial weights and of the gates; None draws one.
    dtype : {"float32", "float64"}
        Precision of weights, biases and gates.

    Attributes
    ----------
    weight, grad_weight : array of shape (out_features, in_features)
        The ungated weights, and their gradient.
    bias, grad_bias : array of shape (out_features,), or None
        The bias and its gradient.
    weight_gates : HardConcrete
        The gates of the weights, in their shape.

    Raises
    ------
    InputError, InputTypeError
        For an argument outside its bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.layers import L0Linear
    >>> layer = L0Linear(3, 2, seed=0)
    >>> output = layer(np.ones((5, 3), np.float32))
    >>> output.shape
    (5, 2)
    >>> layer.backward(np.ones((5, 2), np.float32)).shape  # of the loss: the sum of the outputs
    (5, 3)
    >>> layer.grad_bias
    array([5., 5.], dtype=float32)
    """

    weight_gates: HardConcrete

    @known_arguments()
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        temperature: float = 0.5,
        init_sparsity: float = 0.5,
        use_l2: bool = False,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.in_features = validation.integer("in_features", in_features, at_least=1)
        self.out_features = validation.integer("out_features", out_features, at_least=1)
        gates = {"temperature": temperature, "seed": seed, "dtype": dtype}
        more: Any = {"use_l2": use_l2, "init_sparsity": init_sparsity}
        self._start((self.out_features, self.in_features), bias, gates, of_channels=False, **more)

    def forward(self, x: Any) -> Any:
        """Return the outputs of a batch, shape (batch, out_features).

        Parameters
        ----------
        x : array of shape (batch, in_features)
            The inputs.

        Raises
        ------
        InputError
            If `x` has another shape.
        """
        self._x = self._checked_input(x, (None, self.in_features), "batch, in_features")
        self._w = self._gated_weight()
        output = self._x @ self._w.T
        return output if self.bias is None else output + self.bias

    def backward(self, upstream: Any) -> Any:
        """Add to the gradients; return the derivative of the loss by the inputs, shape (batch, in_features).

        Parameters
        ----------
        upstream : array of shape (batch, out_features)
            The derivative of the loss by the outputs of the last `forward`.
        """
        self._bias_backward(upstream, (0,))
        self._gated_weight_backward(upstream.T @ self._x)
        return upstream @ self._w
