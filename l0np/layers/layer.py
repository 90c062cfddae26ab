"""`GatedLayer`: what all layers share, which is weights, a bias, and gates of weights or of channels."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.gates import HardConcrete, Module, ParameterReference
from l0np.inputs import validation
from l0np.maths import philox

KAIMING = math.sqrt(2.0)  # He et al. 2015 (arXiv:1502.01852): keeps the variance through ReLUs


class GatedLayer(Module):
    """The base of the layers, not for use by itself.

    Gates belong to single weights (`weight_gates`) or to channels, the first dimension of the weights
    (`channel_gates`).
    """

    PARAMETERS: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Any
    bias: Any
    grad_weight: Any
    grad_bias: Any = None

    def _start(
        self,
        shape: tuple[int, ...],
        bias: bool,
        gates: dict[str, Any],
        *,
        of_channels: bool,
        use_l2: bool,
        init_sparsity: float,
    ) -> None:
        """Make normal weights with the variance of He et al. (fan out), biases of 0, and gates."""
        self.use_l2 = validation.flag("use_l2", use_l2)
        sparsity = validation.real_number("init_sparsity", init_sparsity, at_least=0.0, at_most=1.0)
        made = HardConcrete(shape[0] if of_channels else shape, init_mean=1.0 - sparsity, **gates)
        setattr(self, "channel_gates" if of_channels else "weight_gates", made)
        dtype: DTypeLike = made.log_alpha.dtype
        draws: NDArray[np.float64] = philox.normal(made.seed_, philox.WEIGHT_START, math.prod(shape))
        sd = KAIMING / math.sqrt(shape[0] * math.prod(shape[2:]))
        self.weight = (sd * draws.reshape(shape)).astype(dtype)
        self.bias = np.zeros(shape[0], dtype) if validation.flag("bias", bias) else None
        self.zero_grad()

    @property
    def gates(self) -> HardConcrete:
        """The layer's gates, of weights or of channels."""
        own: HardConcrete = vars(self)["channel_gates" if "channel_gates" in vars(self) else "weight_gates"]
        return own

    def forward(self, x: Any) -> Any:
        """Return the layer's output; see the layers."""
        raise NotImplementedError

    def __call__(self, x: Any) -> Any:
        """Return the layer's output, as `forward` does."""
        return self.forward(x)

    def _gated_weight(self) -> Any:
        """Return weight times gate, with the gates of the next draw or, after `eval`, of test time."""
        self._z = self._broadcast(self.gates())
        return self.weight * self._z

    def _gated_weight_backward(self, upstream: Any) -> None:
        """Add to the gradients of weights and gates, from the derivative by weight times gate."""
        ParameterReference(self, "weight").add_to_gradient(upstream * self._z)
        by_gate = upstream * self.weight
        if self.gates.gate_size != by_gate.shape:
            by_gate = self.xp.sum(by_gate, axis=tuple(range(1, by_gate.ndim)))
        self.gates.backward(by_gate)

    def _bias_backward(self, upstream: Any, axes: tuple[int, ...]) -> None:
        if self.bias is not None:
            total = self.xp.sum(upstream, axis=axes)
            ParameterReference(self, "bias").add_to_gradient(total)

    def _broadcast(self, of_gates: Any) -> Any:
        """Return an array of the shape of the gates, with dimensions of 1 up to those of the weights."""
        missing = self.weight.ndim - of_gates.ndim
        return self.xp.reshape(of_gates, tuple(of_gates.shape) + (1,) * missing)

    def _checked_input(self, x: Any, shape: tuple[int | None, ...], axes: str) -> Any:
        """Return `x` as an array of a shape, in which None stands for any number."""
        array = x if hasattr(x, "shape") and hasattr(x, "dtype") else np.asarray(x)
        validation.check_shape("x", tuple(array.shape), shape, axes)
        return array

    def test_time_weight(self) -> Any:
        """Return weight times test-time gate, of the shape of `weight`."""
        return self.weight * self._broadcast(self.gates.get_test_time_gates())

    def count_weights(self) -> tuple[int, int]:
        """Return how many weights have a test-time gate above 0, and how many weights there are."""
        total = math.prod(self.weight.shape)
        per_gate = total // math.prod(self.gates.gate_size)
        return self.gates.get_num_active() * per_gate, total

    def get_l0_penalty(self) -> float:
        """Return the expected number of open gates."""
        return self.gates.get_penalty()

    def get_l2_penalty(self) -> float:
        """Return the sum of squared ungated weights; 0 unless the layer was made with ``use_l2=True``."""
        return ParameterReference(self, "weight").squares()[0] if self.use_l2 else 0.0

    def get_sparsity(self) -> float:
        """Return the fraction of the weights whose test-time gate is 0."""
        return self.gates.get_sparsity()
