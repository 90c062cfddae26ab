"""`L0Conv2d`: a convolution of images with gates of weights or of channels."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import DTypeLike

from l0np.inputs import known_arguments, validation
from l0np.layers.layer import GatedLayer
from l0np.layers.patches import Window, two_integers


class L0Conv2d(GatedLayer):
    """A convolution (cross-correlation, as in other libraries) with gated weights.

    Parameters
    ----------
    in_channels, out_channels : int
        Numbers of channels of the inputs and the outputs.
    kernel_size, stride, padding : int or tuple of two int
        Size and step of the kernel, and the zeros on each side of the images; for height and width.
    bias : bool
        Whether there is a bias, which has no gate.
    temperature : float
        Temperature of the gates, above 0.
    init_sparsity : float
        1 - the initial keep probability of `HardConcrete`.
    structured : bool
        Whether there is one gate for each output channel instead of one for each weight.
    use_l2 : bool
        Whether `get_l2_penalty` counts this layer.
    seed : int, optional
        64-bit seed of the initial weights and of the gates; None draws one.
    dtype : {"float32", "float64"}
        Precision of weights, biases and gates.

    Attributes
    ----------
    weight, grad_weight : array of shape (out_channels, in_channels, kernel height, kernel width)
        The ungated weights, and their gradient.
    bias, grad_bias : array of shape (out_channels,), or None
        The bias and its gradient.
    weight_gates or channel_gates : HardConcrete
        The gates, of the shape of the weights, or (out_channels,).

    Raises
    ------
    InputError, InputTypeError
        For an argument outside its bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.layers import L0Conv2d
    >>> layer = L0Conv2d(3, 8, kernel_size=3, padding=1, structured=True, seed=0)
    >>> layer(np.ones((2, 3, 10, 12), np.float32)).shape
    (2, 8, 10, 12)
    >>> layer.channel_gates.gate_size
    (8,)
    """

    @known_arguments()
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
        temperature: float = 0.5,
        init_sparsity: float = 0.5,
        structured: bool = False,
        use_l2: bool = False,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.in_channels = validation.integer("in_channels", in_channels, at_least=1)
        self.out_channels = validation.integer("out_channels", out_channels, at_least=1)
        self.kernel_size = two_integers("kernel_size", kernel_size, at_least=1)
        self.stride = two_integers("stride", stride, at_least=1)
        self.padding = two_integers("padding", padding, at_least=0)
        self.structured = validation.flag("structured", structured)
        shape = self.out_channels, self.in_channels, *self.kernel_size
        gates = {"temperature": temperature, "seed": seed, "dtype": dtype}
        more: Any = {"use_l2": use_l2, "init_sparsity": init_sparsity}
        self._start(shape, bias, gates, of_channels=self.structured, **more)

    def forward(self, x: Any) -> Any:
        """Return the outputs of a batch, shape (batch, out_channels, output height, output width).

        Parameters
        ----------
        x : array of shape (batch, in_channels, height, width)
            The inputs.

        Raises
        ------
        InputError
            If `x` has another number of channels, or is smaller than the kernel.
        """
        names = "batch, in_channels, height, width"
        x = self._checked_input(x, (None, self.in_channels, None, None), names)
        xp, self._shape = self.xp, tuple(x.shape)
        self._window = Window(xp, self.kernel_size, self.stride, self.padding)
        self._patches = self._window.patches(x)
        self._w = xp.reshape(
            self._gated_weight(), (self.out_channels, self.in_channels, math.prod(self.kernel_size))
        )
        output = xp.tensordot(self._w, self._patches, axes=((1, 2), (1, 2)))  # output channels, then batch
        output = xp.permute_dims(output, (1, 0, 2, 3))
        return output if self.bias is None else output + xp.reshape(self.bias, (1, -1, 1, 1))

    def backward(self, upstream: Any) -> Any:
        """Add to the gradients; return the derivative of the loss by the inputs, in their shape.

        Parameters
        ----------
        upstream : array of the shape of the outputs
            The derivative of the loss by the outputs of the last `forward`.
        """
        xp = self.xp
        self._bias_backward(upstream, (0, 2, 3))
        by_weight = xp.tensordot(upstream, self._patches, axes=((0, 2, 3), (0, 3, 4)))
        self._gated_weight_backward(xp.reshape(by_weight, tuple(self.weight.shape)))
        by_patch = xp.tensordot(
            upstream, self._w, axes=((1,), (0,))
        )  # batch, height, width, channel, position
        return self._window.patches_backward(xp.permute_dims(by_patch, (0, 3, 4, 1, 2)), self._shape)
