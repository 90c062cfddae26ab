"""What is reported of a fit: errors of targets, spread of weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Upper ends of the classes in which active weights are counted, with the names the report prints
WEIGHT_CLASSES = {"<0.01": 0.01, "0.01-0.1": 0.1, "0.1-1": 1.0, "1-10": 10.0, "10-1000": 1000.0, ">1000": np.inf}


def relative_errors(target: NDArray[Any], estimate: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``|target - estimate| / |target + 1|``, the error of the relative loss (at target = -1: the plain error).

    Examples
    --------
    >>> import numpy as np
    >>> relative_errors(np.array([99.0, -1.0]), np.array([89.0, 2.0]))
    array([0.1, 3. ])
    """
    scale = np.abs(np.asarray(target, dtype=np.float64) + 1.0)
    return np.asarray(np.abs(target - estimate) / np.where(scale > 0, scale, 1.0), dtype=np.float64)


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
    """Return Kish's effective sample size ``(sum w)^2 / sum w^2``; 0 for no weights (Kish 1965, Survey Sampling).

    Examples
    --------
    >>> import numpy as np
    >>> effective_sample_size(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    weights = np.asarray(weights, dtype=np.float64)
    squares = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / squares if squares else 0.0
