"""`FeatureGate`: gates that select features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.errors import InputError
from l0np.gates.item_gate import L0Gate
from l0np.gates.items import MOST_ITEMS, of_items, taken
from l0np.inputs import known_arguments, validation


class FeatureGate(L0Gate):
    """Gates that select exactly `max_features` of `n_features` features.

    Parameters
    ----------
    n_features : int
        Number of features.
    max_features : int
        Number of features to select, from 0 to `n_features`.
    temperature, seed, dtype, device
        As in `HardConcrete`; the initial keep probability is ``max_features / n_features``.

    Raises
    ------
    InputError, InputTypeError, BackendUnavailableError
        As `HardConcrete`, and if `max_features` is beyond its bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.gates import FeatureGate
    >>> gate = FeatureGate(3, 2, seed=0)
    >>> gate.gates.log_alpha = np.array([3.0, -3.0, 1.0])
    >>> gate.select_features_with_names(np.array([[1, 2, 3]]), ["age", "sex", "income"])
    (array([[1, 3]]), ['age', 'income'])
    >>> gate.get_feature_importance().round(2)
    array([0.96, 0.06, 0.78])
    """

    @known_arguments()
    def __init__(
        self,
        n_features: int,
        max_features: int,
        temperature: float = 0.1,
        *,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        device: str = "cpu",
    ) -> None:
        self.n_features = validation.integer("n_features", n_features, at_least=1, at_most=MOST_ITEMS)
        self.max_features = validation.integer(
            "max_features", max_features, at_least=0, at_most=self.n_features
        )
        options: Any = {"seed": seed, "dtype": dtype, "device": device}
        super().__init__(self.n_features, temperature, self.max_features / self.n_features, **options)

    def select_features(self, data: Any) -> tuple[Any, NDArray[np.int64]]:
        """Return `data`, shape (..., n_features), with the selected features only, and their indices."""
        data, axis = of_items("data", data, self.n_features, -1)
        indices = self.most_open(self.max_features)
        return taken(data, indices, axis), indices

    def select_features_with_names(self, data: Any, feature_names: Sequence[str]) -> tuple[Any, list[str]]:
        """Return `data`, shape (..., n_features), with the selected features only, and their names."""
        names = list(feature_names)
        if len(names) != self.n_features:
            found = f"{self.n_features} wanted, got {len(names)}"
            raise InputError(f"feature_names must have one name for each feature: {found}")
        selected, indices = self.select_features(data)
        return selected, [names[i] for i in indices]

    def get_feature_importance(self) -> Any:
        """Return P(gate > 0) of each feature, shape (n_features,)."""
        return self.gates.get_active_prob()
