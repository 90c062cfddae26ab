"""`SampleGate`: gates that select samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np._namespace import array_namespace
from l0np.errors import InputError
from l0np.gates.item_gate import L0Gate
from l0np.gates.items import MOST_ITEMS, of_items, taken
from l0np.inputs import known_arguments, validation


class SampleGate(L0Gate):
    """Gates that select exactly `target_samples` of `n_samples` samples.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    target_samples : int
        Number of samples to select, from 0 to `n_samples`.
    temperature, seed, dtype, device
        As in `HardConcrete`; the initial keep probability is ``target_samples / n_samples``.

    Raises
    ------
    InputError, InputTypeError, BackendUnavailableError
        As `HardConcrete`, and if `target_samples` is beyond its bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.gates import SampleGate
    >>> gate = SampleGate(4, 2, seed=0)
    >>> gate.gates.log_alpha = np.array([0.0, 4.0, -1.0, 2.0])
    >>> data, weights = np.array([10, 11, 12, 13]), np.array([1.0, 2.0, 3.0, 2.0])
    >>> gate.select_samples(data)
    (array([11, 13]), array([1, 3]))
    >>> gate.select_weighted_samples(data, weights, rescale=True)
    (array([11, 13]), array([4., 4.]), array([1, 3]))
    """

    @known_arguments()
    def __init__(
        self,
        n_samples: int,
        target_samples: int,
        temperature: float = 0.25,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        device: str = "cpu",
    ) -> None:
        self.n_samples = validation.integer("n_samples", n_samples, at_least=1, at_most=MOST_ITEMS)
        self.target_samples = validation.integer(
            "target_samples", target_samples, at_least=0, at_most=self.n_samples
        )
        options: Any = {"seed": seed, "dtype": dtype, "device": device}
        super().__init__(self.n_samples, temperature, self.target_samples / self.n_samples, **options)

    def select_samples(self, data: Any) -> tuple[Any, NDArray[np.int64]]:
        """Return the rows of `data` that are selected, and their indices, ascending.

        Parameters
        ----------
        data : array of shape (n_samples, ...)
            The samples.

        Returns
        -------
        selected : array of shape (target_samples, ...)
            The selected rows.
        indices : array of shape (target_samples,)
            Their indices, a NumPy array.

        Raises
        ------
        InputError, InputTypeError
            If `data` has another number of rows.
        """
        data, _ = of_items("data", data, self.n_samples, 0)
        indices = self.most_open(self.target_samples)
        return taken(data, indices, 0), indices

    def select_weighted_samples(
        self, data: Any, weights: Any, *, rescale: bool = False, gated: bool = False
    ) -> tuple[Any, Any, NDArray[np.int64]]:
        """Return the rows of `data` that are selected, their weights and their indices.

        Parameters
        ----------
        data : array of shape (n_samples, ...)
            The samples.
        weights : array of shape (n_samples,)
            Their weights.
        rescale : bool
            Multiply the selected weights by one factor, so that their total is that of all weights.
        gated : bool
            Multiply the weights by the test-time gates, before they are rescaled. Some may then be 0.

        Returns
        -------
        selected : array of shape (target_samples, ...)
            The selected rows.
        weights : array of shape (target_samples,)
            Their weights.
        indices : array of shape (target_samples,)
            Their indices, a NumPy array.

        Raises
        ------
        InputError, InputTypeError
            If `data` or `weights` does not have one row for each sample, and if weights are to be rescaled
            although the selected ones add up to 0 and all do not.
        """
        weights, _ = of_items("weights", weights, self.n_samples, 0)
        if weights.ndim != 1:
            raise InputError(f"weights must be one-dimensional, it has shape {tuple(weights.shape)}")
        selected, indices = self.select_samples(data)
        kept = taken(weights, indices, 0)
        if validation.flag("gated", gated):
            kept = kept * taken(self.gates.get_test_time_gates(), indices, 0)
        return selected, _rescaled(kept, weights) if validation.flag("rescale", rescale) else kept, indices


def _rescaled(kept: Any, weights: Any) -> Any:
    """Return the weights `kept`, times the factor that gives them the total of all weights."""
    xp = array_namespace(weights)
    total, left = float(xp.sum(weights)), float(xp.sum(kept))
    if left == 0.0 and total != 0.0:
        rule = "no factor gives them the total of all weights"
        raise InputError(f"weights: the selected ones add up to 0, and {rule}, {total:g}")
    return kept * (total / left) if left else kept
