"""Phrases that the messages of several checks share."""

from typing import Any

from l0np.errors import InputTypeError

LONGEST = 40  # characters of a value that a message shows


def wrong_kind(name: str, wanted: str, value: Any) -> InputTypeError:
    """Return the error for an argument of the wrong kind."""
    return InputTypeError(f"{name} must be {wanted}, got {described(value)}")


def described(value: Any) -> str:
    """Return a value and its kind, as a message shows them.

    Examples
    --------
    >>> described("fast")
    "'fast' (str)"
    """
    string = repr(value)
    shown = string if len(string) <= LONGEST else string[: LONGEST - 3] + "..."
    return f"{shown} ({type(value).__name__})"


def and_more(count: int, shown: int = 1) -> str:
    """Return the suffix of a message that counts the items it does not show.

    Examples
    --------
    >>> and_more(7, shown=5), and_more(1)
    (' (and 2 more)', '')
    """
    return f" (and {count - shown} more)" if count > shown else ""
