"""`SparseMLP`: a network of three gated linear layers with ReLUs between them."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from l0np.gates import Module
from l0np.inputs import known_arguments, validation
from l0np.layers.linear import L0Linear
from l0np.penalties import compute_l0_penalty, get_sparsity_stats

LARGEST_SEED = 2**64 - 1


class SparseMLP(Module):
    """A network ``fc3(relu(fc2(relu(fc1(x)))))`` of gated linear layers.

    Parameters
    ----------
    input_dim, hidden_dim, output_dim : int
        Numbers of inputs, of units in each of the two hidden layers, and of outputs.
    init_sparsity : float
        1 - the initial keep probability of `HardConcrete`, in all layers.
    temperature : float
        Temperature of all gates, above 0.
    use_l2 : bool
        Whether `get_l2_loss` counts the weights.
    seed : int, optional
        64-bit seed of the initial weights and of the gates; None draws one, kept as `seed_`. The layers have
        this seed and the two next ones.
    dtype : {"float32", "float64"}
        Precision of weights, biases and gates.

    Attributes
    ----------
    fc1, fc2, fc3 : L0Linear
        The layers.

    Raises
    ------
    InputError, InputTypeError
        For an argument outside its bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.layers import SparseMLP
    >>> network = SparseMLP(input_dim=64, hidden_dim=32, output_dim=10, seed=0)
    >>> output = network(np.ones((5, 8, 8), np.float32))
    >>> output.shape, network.backward(output).shape
    ((5, 10), (5, 8, 8))
    """

    @known_arguments()
    def __init__(
        self,
        input_dim: int = 784,
        hidden_dim: int = 256,
        output_dim: int = 10,
        init_sparsity: float = 0.5,
        temperature: float = 0.5,
        use_l2: bool = False,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        sizes = {"input_dim": input_dim, "hidden_dim": hidden_dim, "output_dim": output_dim}
        n_in, n_hidden, n_out = (validation.integer(name, n, at_least=1) for name, n in sizes.items())
        if seed is not None:
            seed = validation.integer("seed", seed, at_least=0, at_most=LARGEST_SEED)
        self.seed_ = secrets.randbits(63) if seed is None else seed
        self.use_l2 = validation.flag("use_l2", use_l2)
        more: Any = {"init_sparsity": init_sparsity, "temperature": temperature, "use_l2": use_l2}
        seeds = [(self.seed_ + i) % (LARGEST_SEED + 1) for i in range(3)]
        self.fc1 = L0Linear(n_in, n_hidden, seed=seeds[0], dtype=dtype, **more)
        self.fc2 = L0Linear(n_hidden, n_hidden, seed=seeds[1], dtype=dtype, **more)
        self.fc3 = L0Linear(n_hidden, n_out, seed=seeds[2], dtype=dtype, **more)

    def forward(self, x: Any) -> Any:
        """Return the outputs of a batch, shape (batch, output_dim); no function follows the last layer.

        Parameters
        ----------
        x : array of shape (batch, ...)
            The inputs, `input_dim` numbers for each element of the batch.

        Raises
        ------
        InputError
            If there are other numbers of inputs.
        """
        x = x if hasattr(x, "shape") and hasattr(x, "dtype") else np.asarray(x)
        self._shape = tuple(x.shape)
        flat = self.fc1.xp.reshape(x, (x.shape[0], -1)) if x.ndim > 2 else x
        self._hidden1 = _relu(self.fc1.xp, self.fc1(flat))
        self._hidden2 = _relu(self.fc1.xp, self.fc2(self._hidden1))
        return self.fc3(self._hidden2)

    def backward(self, upstream: Any) -> Any:
        """Add to all gradients; return the derivative of the loss by the inputs, in their shape.

        Parameters
        ----------
        upstream : array of shape (batch, output_dim)
            The derivative of the loss by the outputs of the last `forward`.
        """
        by_hidden2 = _relu_backward(self.fc1.xp, self.fc3.backward(upstream), self._hidden2)
        by_hidden1 = _relu_backward(self.fc1.xp, self.fc2.backward(by_hidden2), self._hidden1)
        by_input = self.fc1.backward(by_hidden1)
        return self.fc1.xp.reshape(by_input, self._shape)

    def __call__(self, x: Any) -> Any:
        """Return the outputs, as `forward` does."""
        return self.forward(x)

    def get_l0_loss(self) -> float:
        """Return the expected number of open gates of all layers."""
        return compute_l0_penalty(self)

    def get_l2_loss(self) -> float:
        """Return the sum of squared ungated weights; 0 unless the network was made with ``use_l2=True``."""
        return sum(layer.get_l2_penalty() for layer in (self.fc1, self.fc2, self.fc3))

    def get_sparsity_stats(self) -> dict[str, dict[str, Any]]:
        """Return what is active of each layer, as `l0np.penalties.get_sparsity_stats` does."""
        return get_sparsity_stats(self)


def _relu(xp: Any, x: Any) -> Any:
    return xp.where(x > 0, x, 0.0 * x)


def _relu_backward(xp: Any, upstream: Any, output: Any) -> Any:
    return xp.where(output > 0, upstream, 0.0 * upstream)
