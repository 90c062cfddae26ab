"""Schedules for the learning rate and the temperature: functions of the epoch (0, 1, ...).

Any callable ``epoch -> value`` will do; these are the usual ones.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from l0np.errors import InputError
from l0np.inputs import known_arguments, validation


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


KINDS: dict[str, Callable[[float, float, int], Callable[[int], float]]] = {
    "linear": Linear,
    "exponential": Exponential,
    "cosine": Cosine,
}


@dataclass(frozen=True)
class TemperatureScheduler:
    """A temperature that falls from `initial_temp` to `final_temp`: as `beta` of both models, or for gates.

    Parameters
    ----------
    initial_temp, final_temp : float
        Temperature at epoch 0, and from `anneal_epochs` on; above 0.
    anneal_epochs : int
        Epochs over which the temperature changes, 0 or more.
    schedule : {"exponential", "linear", "cosine"}
        How it changes, as `Exponential`, `Linear` and `Cosine`.

    Raises
    ------
    InputError, InputTypeError
        For a value outside these bounds.

    Examples
    --------
    >>> from l0np import SparseL0Linear
    >>> from l0np.penalties import TemperatureScheduler
    >>> scheduler = TemperatureScheduler(1.0, 0.25, anneal_epochs=100)
    >>> scheduler.get_temperature(50)
    0.5
    >>> model = SparseL0Linear(n_features=3, beta=scheduler, seed=0)
    """

    initial_temp: float = 2.0
    final_temp: float = 0.1
    anneal_epochs: int = 100
    schedule: str = "exponential"

    def __post_init__(self) -> None:
        """Refuse what is no temperature, no number of epochs or no schedule."""
        for name in ("initial_temp", "final_temp"):
            object.__setattr__(self, name, validation.real_number(name, getattr(self, name), above=0.0))
        epochs = validation.integer("anneal_epochs", self.anneal_epochs, at_least=0)
        object.__setattr__(self, "anneal_epochs", epochs)
        validation.one_of("schedule", self.schedule, KINDS)

    @known_arguments()
    def get_temperature(self, epoch: int) -> float:
        """Return the temperature of an epoch, counted from 0."""
        kind = KINDS[self.schedule]
        return kind(self.initial_temp, self.final_temp, self.anneal_epochs)(epoch)

    def __call__(self, epoch: int) -> float:
        """Return the temperature of an epoch, as `get_temperature` does."""
        return self.get_temperature(epoch)
