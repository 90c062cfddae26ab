"""`L0Gate`: a gate for each of several items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np._namespace import array_namespace
from l0np.gates.hard_concrete import HardConcrete
from l0np.gates.items import MOST_ITEMS, of_items, on_host
from l0np.gates.module import Module
from l0np.inputs import known_arguments, validation


class L0Gate(Module):
    """A gate for each of `size` items.

    Parameters
    ----------
    size : int
        Number of items.
    temperature, init_mean, seed, dtype, device
        As in `HardConcrete`.

    Attributes
    ----------
    gates : HardConcrete
        The gates, whose `log_alpha` is to be trained.

    Raises
    ------
    InputError, InputTypeError, BackendUnavailableError
        As `HardConcrete`.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.gates import L0Gate
    >>> gate = L0Gate(3, seed=0)
    >>> gate.gates.log_alpha = np.array([-3.0, -0.25, 3.0])
    >>> gate.apply_gates(np.ones((2, 3)), dim=1).round(2)
    array([[0.  , 0.35, 1.  ],
           [0.  , 0.35, 1.  ]])
    >>> gate.get_active_indices()
    array([2])
    """

    @known_arguments()
    def __init__(
        self,
        size: int,
        temperature: float = 0.5,
        init_mean: float = 0.5,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        device: str = "cpu",
    ) -> None:
        self.size = validation.integer("size", size, at_least=1, at_most=MOST_ITEMS)
        self.init_mean = validation.real_number("init_mean", init_mean, at_least=0.0, at_most=1.0)
        options: Any = {"temperature": temperature, "seed": seed, "dtype": dtype, "device": device}
        self.gates = HardConcrete(self.size, init_mean=self.init_mean, **options)

    @property
    def temperature(self) -> float:
        """Temperature of the gates, above 0."""
        return self.gates.temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        self.gates.temperature = temperature

    def get_gates(self, sample: bool = False) -> Any:
        """Return the test-time gates or, with ``sample=True``, the next draw; shape (size,).

        `backward` of the attribute `gates` takes the derivative by what was returned last.
        """
        if not validation.flag("sample", sample):
            return self.gates.deterministic()
        training = self.gates.training
        drawn = self.gates.train()()
        self.gates.training = training
        return drawn

    def apply_gates(self, x: Any, dim: int = 0, *, sample: bool = False) -> Any:
        """Return `x`, an array with the items along dimension `dim`, multiplied by the gates.

        Raises
        ------
        InputError, InputTypeError
            If `x` has no such dimension, or another number of items along it.
        """
        x, dim = of_items("x", x, self.size, dim)
        gates = self.get_gates(sample)
        shape = [1] * x.ndim
        shape[dim] = self.size
        return x * array_namespace(gates).reshape(gates, tuple(shape))

    def get_penalty(self) -> float:
        """Return the expected number of open gates."""
        return self.gates.get_penalty()

    def get_num_active(self) -> int:
        """Return the number of gates whose test-time value is not 0."""
        return self.gates.get_num_active()

    def get_sparsity(self) -> float:
        """Return the fraction of the gates whose test-time value is 0."""
        return self.gates.get_sparsity()

    def get_active_indices(self, threshold: float = 0.5) -> NDArray[np.int64]:
        """Return the indices of the items whose test-time gate is above `threshold`, ascending."""
        least = validation.real_number("threshold", threshold, at_least=0.0, at_most=1.0)
        return np.flatnonzero(on_host(self.gates.get_test_time_gates()) > least)

    def most_open(self, n: int) -> NDArray[np.int64]:
        """Return the indices, ascending, of the `n` items whose gates are most likely to be open.

        Of equally likely items those that come first are taken.

        Raises
        ------
        InputError, InputTypeError
            If `n` is not an integer from 0 to `size`.
        """
        n = validation.integer("n", n, at_least=0, at_most=self.size)
        # log_alpha orders the gates as P(gate > 0) does, but P rounds to 1 for many
        order = np.argsort(-on_host(self.gates.log_alpha), kind="stable")
        return np.sort(order[:n])
