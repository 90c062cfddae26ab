"""Checks of single values: numbers within bounds, options, schedules and callables."""

import math
import numbers
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs.device import on_host
from l0np.inputs.messages import described, wrong_kind
from l0np.inputs.suggestions import VALUES, closest

T = TypeVar("T")
AHEAD = 1024  # epochs for which a schedule is evaluated at once


class Bounds(TypedDict, total=False):
    """The bounds of a number, as the checks take them by keyword: ``above=0.0, at_most=1.0``."""

    above: float
    below: float
    at_least: float
    at_most: float


# For each keyword of `Bounds`: what must hold and how a message says it, in the order of the checks
RULES: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "above": (operator.gt, "above"),
    "below": (operator.lt, "below"),
    "at_least": (operator.ge, "at least"),
    "at_most": (operator.le, "at most"),
}


def violations(values: Any, bounds: Bounds) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Yield, for each bound, a mask of its violations and the rule that a message states.

    Examples
    --------
    >>> [(where.tolist(), rule) for where, rule in violations(np.array([0.5, 2.0]), {"at_most": 1})]
    [([False, True], 'must be at most 1')]
    """
    limits: dict[str, Any] = {**bounds}
    for keyword, (holds, words) in RULES.items():
        if keyword in limits:
            yield ~np.asarray(holds(values, limits[keyword])), f"must be {words} {limits[keyword]:g}"


def integer(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """Return `value` as an int within the bounds; floats without a fractional part are accepted."""
    value = on_host(value)
    if isinstance(value, bool | np.bool_) or not _is_scalar_number(value):
        raise wrong_kind(name, "an integer", value)
    try:
        number = operator.index(value)
    except TypeError:
        if not math.isfinite(value) or value != math.floor(value):
            raise InputError(f"{name} must be an integer, got {value}") from None
        number = int(value)
    if number < at_least:
        raise InputError(f"{name} must be at least {at_least}, got {number}")
    if at_most is not None and number > at_most:
        raise InputError(f"{name} must be at most {at_most}, got {number}")
    return number


def real_number(name: str, value: Any, **bounds: Unpack[Bounds]) -> float:
    """Return `value` as a finite float within the bounds; numbers of any kind are accepted."""
    value = on_host(value)
    if isinstance(value, bool | np.bool_) or not _is_scalar_number(value):
        raise wrong_kind(name, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{name} must be finite, got {number}")
    for violated, rule in violations(number, bounds):
        if violated:
            raise InputError(f"{name} {rule}, got {number:g}")
    return number


def _is_scalar_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) or (np.ndim(value) == 0 and np.asarray(value).dtype.kind in "uif")


def flag(name: str, value: Any) -> bool:
    """Return `value`, True or False or 1 or 0, as a bool."""
    if not isinstance(value, bool | np.bool_ | numbers.Integral) or value not in (0, 1):
        raise wrong_kind(name, "True or False", value)
    return bool(value)


def one_of(name: str, value: Any, choices: Mapping[Any, T]) -> T:
    """Return what the table `choices` holds under the name `value`.

    The names are strings, and None where an option may be left out. The error suggests the closest choice, if
    one is near, and lists all.
    """
    if not isinstance(value, str | None) or value not in choices:
        meant = closest(value, filter(None, choices), VALUES) if isinstance(value, str) else None
        subject = name if meant is None else f"{name}: did you mean {meant!r}? It"
        listing = ", ".join(map(repr, choices))
        raise InputError(f"{subject} must be one of {listing}; got {described(value)}")
    return choices[value]


def pair(name: str, value: Any, wanted: str) -> tuple[Any, Any]:
    """Return the two elements of a tuple, list, array or Series; `wanted` says what they are."""
    try:
        items = [] if isinstance(value, str | bytes | Mapping | Set) else list(value)
    except TypeError:
        items = []
    if len(items) != 2:
        raise wrong_kind(name, wanted, value)
    return items[0], items[1]


def schedule(
    name: str, value: Any, first_epoch: int, n_epochs: int, **bounds: Unpack[Bounds]
) -> Callable[[int], float]:
    """Return `epoch -> value` for the epochs of a run, from a positive number or from a callable.

    A callable is called once for each epoch, some ahead of the run: for the first `AHEAD` before it starts.
    Its values are checked when it is called.
    """
    limits: Bounds = {"above": 0.0, **bounds}
    if callable(value):
        return CheckedSchedule(name, value, range(first_epoch, first_epoch + n_epochs), limits)
    number = real_number(name, value, **limits)
    return lambda epoch: number


class CheckedSchedule:
    """A schedule whose values are computed and checked a block ahead of a run; two blocks are kept."""

    def __init__(self, name: str, function: Callable[[int], Any], epochs: range, bounds: Bounds) -> None:
        self._name, self._function, self._bounds = name, function, bounds
        self._epochs, self._first, self._values = epochs, epochs.start, list[float]()
        self._compute_block()

    def __call__(self, epoch: int) -> float:
        """Return the value at an epoch."""
        while epoch >= self._first + len(self._values) and epoch in self._epochs:
            self._compute_block()
        position = epoch - self._first
        if 0 <= position < len(self._values):
            return self._values[position]
        return self._checked(epoch)

    def _compute_block(self) -> None:
        done = self._first + len(self._values) - self._epochs.start
        block = [self._checked(epoch) for epoch in self._epochs[done : done + AHEAD]]
        kept = self._values[-AHEAD:]
        self._first += len(self._values) - len(kept)
        self._values = kept + block

    def _checked(self, epoch: int) -> float:
        return real_number(f"{self._name}({epoch})", self._function(epoch), **self._bounds)


def callables(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """Return a tuple of callables, an empty one for None."""
    if value is None:
        return ()
    if callable(value) or not isinstance(value, Iterable):
        found = f"got {described(value)}: put it in a list"
        raise InputTypeError(f"{name} must be a sequence of callables, {found}")
    result = tuple(value)
    for position, item in enumerate(result):
        if not callable(item):
            raise InputTypeError(f"{name}[{position}] must be callable, got {described(item)}")
    return result
