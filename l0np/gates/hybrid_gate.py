"""`HybridGate`: some of the items by gates, others at random."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.errors import InputError
from l0np.gates.items import MOST_ITEMS, of_items, taken
from l0np.gates.module import Module
from l0np.gates.sample_gate import SampleGate
from l0np.inputs import known_arguments, validation
from l0np.maths import philox

LARGEST_SEED = 2**64 - 1


class HybridGate(Module):
    """Some of the items by gates, others at random from the rest.

    Parameters
    ----------
    n_items : int
        Number of items.
    l0_fraction, random_fraction : float
        Fractions of `target_items` that gates and chance select, 0 or more, together at most 1. The numbers
        are rounded so that both together are as many as the fractions ask for.
    target_items : int, optional
        Number of items to select, from 0 to `n_items`; by default a fifth of the items.
    temperature, seed, dtype, device
        As in `HardConcrete`. The seed also fixes the random selection.

    Attributes
    ----------
    l0_gate : SampleGate
        The gates, whose ``gates.log_alpha`` is to be trained.
    n_l0, n_random : int
        Numbers of items that gates and chance select.

    Raises
    ------
    InputError, InputTypeError, BackendUnavailableError
        As `HardConcrete`, and for numbers beyond their bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.gates import HybridGate
    >>> gate = HybridGate(6, l0_fraction=0.5, random_fraction=0.5, target_items=4, seed=0)
    >>> gate.l0_gate.gates.log_alpha = np.array([3.0, 0.0, 0.0, 0.0, 0.0, 3.0])
    >>> data, indices, kinds = gate.select(np.arange(6))
    >>> indices, kinds
    (array([0, 3, 4, 5]), array(['l0', 'random', 'random', 'l0'], dtype='<U6'))
    """

    TYPES: ClassVar[tuple[str, str]] = ("l0", "random")

    @known_arguments()
    def __init__(
        self,
        n_items: int,
        l0_fraction: float = 0.25,
        random_fraction: float = 0.75,
        target_items: int | None = None,
        temperature: float = 0.25,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        device: str = "cpu",
    ) -> None:
        self.n_items = validation.integer("n_items", n_items, at_least=1, at_most=MOST_ITEMS)
        self.l0_fraction = validation.real_number("l0_fraction", l0_fraction, at_least=0.0, at_most=1.0)
        self.random_fraction = validation.real_number(
            "random_fraction", random_fraction, at_least=0.0, at_most=1.0
        )
        both = self.l0_fraction + self.random_fraction
        if both > 1.0 + 1e-9:  # 0.1 + 0.9 and the like may round to more than 1
            raise InputError(f"l0_fraction and random_fraction must add up to at most 1, got {both:g}")
        wanted = self.n_items // 5 if target_items is None else target_items
        self.target_items = validation.integer("target_items", wanted, at_least=0, at_most=self.n_items)
        self.n_l0 = round(self.target_items * self.l0_fraction)
        self.n_random = min(round(self.target_items * both), self.target_items) - self.n_l0
        options: Any = {"seed": seed, "dtype": dtype, "device": device}
        self.l0_gate = SampleGate(self.n_items, self.n_l0, temperature, **options)

    def select(
        self, data: Any, random_seed: int | None = None
    ) -> tuple[Any, NDArray[np.int64], NDArray[np.str_]]:
        """Return the rows of `data` that are selected, their indices, and what has selected each.

        Parameters
        ----------
        data : array of shape (n_items, ...)
            The items.
        random_seed : int, optional
            Seed of the random selection; by default that of the gates, so that every call selects the same.

        Returns
        -------
        selected : array of shape (n_l0 + n_random, ...)
            The selected rows.
        indices : array of shape (n_l0 + n_random,)
            Their indices, ascending, a NumPy array.
        selection_type : array of shape (n_l0 + n_random,)
            "l0" or "random".

        Raises
        ------
        InputError, InputTypeError
            If `data` has another number of rows, or for a seed that is not an integer of at least 0.
        """
        data, _ = of_items("data", data, self.n_items, 0)
        seed = self.l0_gate.gates.seed_ if random_seed is None else random_seed
        seed = validation.integer("random_seed", seed, at_least=0, at_most=LARGEST_SEED)
        by_gates = self.l0_gate.most_open(self.n_l0)
        rest = np.setdiff1d(np.arange(self.n_items), by_gates)
        numbers = philox.uniform(np, seed, philox.SELECTION, 0, 0, self.n_items)[rest]
        at_random = rest[np.argsort(numbers, kind="stable")[: self.n_random]]
        indices = np.sort(np.concatenate([by_gates, at_random]))
        kinds = np.where(np.isin(indices, by_gates), *self.TYPES)
        return taken(data, indices, 0), indices, kinds

    def get_penalty(self) -> float:
        """Return the expected number of open gates."""
        return self.l0_gate.get_penalty()
