"""Schedules for the learning rate and the temperature: functions of the epoch (0, 1, ...).

Any callable ``epoch -> value`` will do; these are the usual ones.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """From `start` to `end` in equal steps over `epochs`, then `end`.

    Examples
    --------
    >>> [Linear(1.0, 0.5, epochs=2)(epoch) for epoch in range(4)]
    [1.0, 0.75, 0.5, 0.5]
    """

    start: float
    end: float
    epochs: int

    def __call__(self, epoch: int) -> float:
        """Return the value at `epoch`."""
        return self.start + (self.end - self.start) * _fraction(epoch, self.epochs)


@dataclass(frozen=True)
class Exponential:
    """From `start` to `end` by equal factors over `epochs`, then `end`; both non-zero and of the same sign.

    Examples
    --------
    >>> [round(Exponential(1.0, 0.25, epochs=2)(epoch), 6) for epoch in range(4)]
    [1.0, 0.5, 0.25, 0.25]
    """

    start: float
    end: float
    epochs: int

    def __call__(self, epoch: int) -> float:
        """Return the value at `epoch`."""
        return float(self.start * (self.end / self.start) ** _fraction(epoch, self.epochs))


@dataclass(frozen=True)
class Cosine:
    """From `start` to `end` along half a cosine over `epochs`, then `end`.

    The cosine annealing of Loshchilov and Hutter (arXiv:1608.03983).

    Examples
    --------
    >>> [round(Cosine(1.0, 0.0, epochs=3)(epoch), 6) for epoch in range(5)]
    [1.0, 0.75, 0.25, 0.0, 0.0]
    """

    start: float
    end: float
    epochs: int

    def __call__(self, epoch: int) -> float:
        """Return the value at `epoch`."""
        cosine = math.cos(math.pi * _fraction(epoch, self.epochs))
        return self.end + 0.5 * (self.start - self.end) * (1.0 + cosine)


def _fraction(epoch: int, epochs: int) -> float:
    return min(epoch / epochs, 1.0) if epochs > 0 else 1.0
