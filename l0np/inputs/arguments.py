"""Keyword arguments that a public function does not have: one error that says which was meant."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from l0np.errors import InputTypeError
from l0np.inputs.messages import and_more, quoted
from l0np.inputs.suggestions import ARGUMENTS, closest

Function = TypeVar("Function", bound=Callable[..., Any])


def known_arguments(
    options: Iterable[str] = (), *, old_names: Mapping[str, str] | None = None
) -> Callable[[Function], Function]:
    """Return a decorator that refuses unknown keyword arguments before Python does, with a suggestion.

    The decorated function has the signature, the documentation and the type of the function.

    Parameters
    ----------
    options : iterable of str
        The names that the function takes by ``**options``, if it takes any.
    old_names : mapping of str to str, optional
        Names by which arguments are accepted too, and the names that they have.

    Raises
    ------
    InputTypeError
        From the decorated function, for an argument that it does not have, or that is given by both names.

    Examples
    --------
    >>> @known_arguments()
    ... def fit(M, y, lr=0.01): ...
    >>> fit([[1.0]], [1.0], learning_rate=0.1)
    Traceback (most recent call last):
    l0np.errors.InputTypeError: fit has no argument "learning_rate": did you mean lr?
    """
    more, renamed = tuple(options), dict(old_names or {})

    def decorate(function: Function) -> Function:
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        parameters = inspect.signature(function).parameters.values()
        own = (p.name for p in parameters if p.kind in kinds and p.name not in ("self", "cls"))
        names = (*own, *more)
        positions = {name: i for i, name in enumerate(inspect.signature(function).parameters)}
        known = frozenset(names)

        @wraps(function)
        def checked(*values: Any, **arguments: Any) -> Any:
            for old in renamed.keys() & arguments.keys():
                new, called = renamed[old], _called(function, values)
                if new in arguments or len(values) > positions[new]:
                    raise InputTypeError(f"{called}: {old} is the old name of {new}: give one of them")
                arguments[new] = arguments.pop(old)
            if not known.issuperset(arguments):
                unknown = [name for name in arguments if name not in known]
                raise unknown_argument(_called(function, values), unknown, names)
            return function(*values, **arguments)

        return cast(Function, checked)

    return decorate


def _called(function: Callable[..., Any], values: Sequence[Any]) -> str:
    """Return what a user calls a function: a method by the class of the object, which may inherit it."""
    if "." not in function.__qualname__ or "<locals>" in function.__qualname__ or not values:
        return function.__name__
    owner = values[0] if isinstance(values[0], type) else type(values[0])
    return owner.__name__ if function.__name__ == "__init__" else f"{owner.__name__}.{function.__name__}"


def unknown_argument(function: str, unknown: Sequence[str], known: Sequence[str]) -> InputTypeError:
    """Return the error for the arguments that a function does not have."""
    given = f"{function} has no argument {quoted(unknown[0])}{and_more(len(unknown))}"
    meant = closest(unknown[0], known, ARGUMENTS)
    if meant is None:
        return InputTypeError(f"{given}: its arguments are {', '.join(known)}")
    return InputTypeError(f"{given}: did you mean {meant}?")
