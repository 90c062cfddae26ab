"""Adam, written once.

D. P. Kingma, J. Ba: Adam: a method for stochastic optimization (arXiv:1412.6980), algorithm 1.
"""

import math
from dataclasses import dataclass
from typing import Any

from l0np._namespace import array_namespace

BETA1, BETA2 = 0.9, 0.999
# Added outside the root. At high keep probabilities it exceeds the penalty's gradient and limits the speed
EPSILON = 1e-8


@dataclass
class Parameter:
    """A parameter vector with Adam's two moments: three arrays of one shape, dtype and namespace.

    Examples
    --------
    >>> import numpy as np
    >>> weight = Parameter.start(np.array([1.0, 1.0]))
    >>> adam_update(weight, np.array([0.5, -8.0]), learning_rate=0.1, step=1)
    >>> weight.value.round(6)
    array([0.9, 1.1])
    """

    value: Any
    first_moment: Any
    second_moment: Any

    @classmethod
    def start(cls, value: Any) -> "Parameter":
        """Return a parameter that has not moved yet."""
        zeros_like = array_namespace(value).zeros_like
        return cls(value, zeros_like(value), zeros_like(value))


def step_sizes(learning_rate: float, step: int) -> tuple[float, float]:
    """Return the bias-corrected step and the factor on the root of the second moment, for step 1, 2, ..."""
    return learning_rate / (1.0 - BETA1**step), 1.0 / math.sqrt(1.0 - BETA2**step)


def adam_update(parameter: Parameter, gradient: Any, learning_rate: float, step: int) -> None:
    """Move `parameter` in place by step `step` (1, 2, ...) along `gradient`."""
    sqrt = array_namespace(gradient).sqrt
    size, root_factor = step_sizes(learning_rate, step)
    first, second = parameter.first_moment, parameter.second_moment
    first[...] = BETA1 * first + (1.0 - BETA1) * gradient
    second[...] = BETA2 * second + (1.0 - BETA2) * (gradient * gradient)
    parameter.value[...] = parameter.value - size * first / (sqrt(second) * root_factor + EPSILON)
