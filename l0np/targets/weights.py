"""Weights of targets that belong to groups."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import did_you_mean


def group_weights(
    groups: NDArray[Any] | None,
    n_targets: int,
    normalize: bool,
    multipliers: Mapping[Any, float] | None,
    fitted: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return each target's weight: 1, or 1 / size of its group if normalised, times the group's multiplier.

    Where `fitted` is given, only the targets for which it holds count for the size of a group; the others'
    weight is 0.

    Examples
    --------
    >>> import numpy as np
    >>> group_weights(np.array([0, 0, 1]), 3, normalize=True, multipliers={1: 3.0})
    array([0.5, 0.5, 3. ])
    """
    if groups is None:
        if multipliers is not None:
            raise InputError("group_multipliers needs target_groups")
        return np.ones(n_targets) if fitted is None else fitted.astype(np.float64)
    labels, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member, weights=fitted)  # of the targets that are fitted
    weights = 1.0 / np.maximum(sizes, 1)[member] if normalize else np.ones(n_targets)
    if fitted is not None:
        weights *= fitted
    for label, multiplier in (multipliers or {}).items():
        members = groups == label if np.ndim(label) == 0 else np.zeros(1, bool)
        if not np.any(members):
            guess = did_you_mean(label, [str(one) for one in labels]) if isinstance(label, str) else ""
            found = f"group_multipliers names the group {label!r}, target_groups has {_listing(labels)}"
            raise InputError(f"{found}{guess}")
        weights[members] *= multiplier
    return weights


def _listing(labels: NDArray[Any], shown: int = 10) -> str:
    names = ", ".join(repr(label) for label in labels[:shown].tolist())
    return names if len(labels) <= shown else f"{names}, ... ({len(labels)} groups)"
