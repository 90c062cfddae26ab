"""Schedules for the learning rate and the temperature: functions of the epoch (0, 1, ...).

Any callable ``epoch -> value`` will do; these are the usual ones.
"""

import math
from dataclasses import dataclass

from l0np.errors import InputError
from l0np.inputs import validation


@dataclass(frozen=True)
class _Ends:
    """The parameters of a schedule, checked."""

    start: float
    end: float
    epochs: int

    def __post_init__(self) -> None:
        """Refuse what is not a number.

        Raises
        ------
        InputError, InputTypeError
            If `start` or `end` is not a finite number, or `epochs` not an integer of at least 0.
        """
        for name in ("start", "end"):
            object.__setattr__(self, name, validation.real_number(name, getattr(self, name)))
        object.__setattr__(self, "epochs", validation.integer("epochs", self.epochs, at_least=0))

    def _fraction(self, epoch: int) -> float:
        return min(epoch / self.epochs, 1.0) if self.epochs else 1.0


@dataclass(frozen=True)
class Linear(_Ends):
    """From `start` to `end` in equal steps over `epochs`, then `end`.

    Examples
    --------
    >>> [Linear(1.0, 0.5, epochs=2)(epoch) for epoch in range(4)]
    [1.0, 0.75, 0.5, 0.5]
    """

    def __call__(self, epoch: int) -> float:
        """Return the value at `epoch`."""
        return self.start + (self.end - self.start) * self._fraction(epoch)


@dataclass(frozen=True)
class Exponential(_Ends):
    """From `start` to `end` by equal factors over `epochs`, then `end`; both non-zero and of the same sign.

    Examples
    --------
    >>> [round(Exponential(1.0, 0.25, epochs=2)(epoch), 6) for epoch in range(4)]
    [1.0, 0.5, 0.25, 0.25]
    """

    def __post_init__(self) -> None:
        """Refuse ends that no factor connects."""
        super().__post_init__()
        if not self.start or not self.end or (self.start > 0.0) != (self.end > 0.0):
            rule = "start and end must have one sign, and not be 0"
            raise InputError(f"{rule}: got start={self.start:g}, end={self.end:g}")

    def __call__(self, epoch: int) -> float:
        """Return the value at `epoch`."""
        return float(self.start * (self.end / self.start) ** self._fraction(epoch))


@dataclass(frozen=True)
class Cosine(_Ends):
    """From `start` to `end` along half a cosine over `epochs`, then `end`.

    The cosine annealing of Loshchilov and Hutter (arXiv:1608.03983).

    Examples
    --------
    >>> [round(Cosine(1.0, 0.0, epochs=3)(epoch), 6) for epoch in range(5)]
    [1.0, 0.75, 0.25, 0.0, 0.0]
    """

    def __call__(self, epoch: int) -> float:
        """Return the value at `epoch`."""
        cosine = math.cos(math.pi * self._fraction(epoch))
        return self.end + 0.5 * (self.start - self.end) * (1.0 + cosine)
