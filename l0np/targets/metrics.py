"""The numbers that reports are made of: errors of targets, and how unequal weights are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Upper ends of the classes in which active weights are counted, with the names that the report prints
WEIGHT_CLASSES = {
    "<0.01": 0.01,
    "0.01-0.1": 0.1,
    "0.1-1": 1.0,
    "1-10": 10.0,
    "10-1000": 1000.0,
    ">1000": np.inf,
}


MET = 1e-6  # a target is met where its error exceeds the tolerance by no more than this part of its scale


ROUNDING = 64 * np.finfo(np.float64).eps  # of the size of what is added up: no sum is known more closely


def is_met(
    error: NDArray[Any], tolerance: NDArray[Any], scale: NDArray[Any], size: NDArray[Any] | float = 0.0
) -> NDArray[np.bool_]:
    """Return which targets are met: their errors exceed the tolerance by at most `MET` of the scale.

    `size` is the sum of the absolute values of what is added up to the estimate, ``sum_j |M_ij| |w_j|``:
    errors that rounding alone may cause, where large terms cancel, are no misses.

    Examples
    --------
    >>> import numpy as np
    >>> tolerance, scale = np.array([0.5, 0.5, 0.0]), np.array([1.0, 1.0, 100.0])
    >>> is_met(np.array([-0.5, 0.6, 1e-5]), tolerance, scale)
    array([ True, False,  True])
    """
    allowed = tolerance + MET * np.abs(scale) + ROUNDING * np.asarray(size)
    return np.asarray(np.abs(error) <= allowed, dtype=np.bool_)


def relative_errors(
    target: NDArray[Any], estimate: NDArray[Any], scale: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return ``|target - estimate| / scale``.

    The default scale is that of the relative loss, ``|target + 1|``, and 1 where that is 0.

    Examples
    --------
    >>> import numpy as np
    >>> relative_errors(np.array([99.0, -1.0]), np.array([89.0, 2.0]))
    array([0.1, 3. ])
    """
    if scale is None:
        scale = np.abs(np.asarray(target, dtype=np.float64) + 1.0)
        scale = np.where(scale > 0, scale, 1.0)
    return np.asarray(np.abs(target - estimate) / scale, dtype=np.float64)


def mean_group_error(errors: NDArray[np.float64], groups: NDArray[Any]) -> float:
    """Return the mean over groups of each group's mean error.

    Examples
    --------
    >>> import numpy as np
    >>> mean_group_error(np.array([0.1, 0.3, 1.0]), np.array([7, 7, 8]))
    0.6
    """
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(member, weights=errors) / sizes))


def weight_histogram(weights: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many of the weights lie in each class of `WEIGHT_CLASSES`.

    Examples
    --------
    >>> import numpy as np
    >>> weight_histogram(np.array([0.001, 0.5, 0.7, 1000.0]))
    array([1, 0, 2, 0, 0, 1])
    """
    uppers = np.array(list(WEIGHT_CLASSES.values()))
    return np.bincount(np.searchsorted(uppers, weights, side="right"), minlength=len(uppers))[: len(uppers)]


def effective_sample_size(weights: NDArray[Any]) -> float:
    """Return Kish's effective sample size ``(sum w)^2 / sum w^2``; 0 where all weights are 0.

    L. Kish: Survey Sampling (1965).

    Examples
    --------
    >>> import numpy as np
    >>> effective_sample_size(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    weights = np.asarray(weights, dtype=np.float64)
    squares = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / squares if squares else 0.0


def design_effect(weights: NDArray[Any]) -> float:
    """Return Kish's design effect of unequal weights, ``n / effective sample size = 1 + cv^2``.

    n is the number of weights that are not 0, cv their coefficient of variation. The design effect is the
    factor by which unequal weights raise the variance of an estimated mean (Kish 1965, Survey Sampling).

    Examples
    --------
    >>> import numpy as np
    >>> design_effect(np.array([1.0, 3.0, 0.0]))
    1.25
    """
    size = effective_sample_size(weights)
    return float(np.count_nonzero(weights) / size) if size else np.nan


def top_share(weights: NDArray[Any], top: float = 0.01) -> float:
    """Return the fraction of the total weight that the largest weights hold.

    These are `top` of the weights that are not 0, rounded up: at least one.

    Examples
    --------
    >>> import numpy as np
    >>> top_share(np.array([7.0, 0.0, 2.0, 1.0]))
    0.7
    """
    active = np.sort(np.asarray(weights, dtype=np.float64)[np.asarray(weights) != 0])
    total = float(active.sum())
    return float(active[len(active) - int(np.ceil(top * len(active))) :].sum()) / total if total else np.nan
