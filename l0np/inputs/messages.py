"""Phrases that the messages of several checks share."""

from collections.abc import Sequence
from typing import Any

from l0np.errors import InputTypeError

LONGEST = 40  # characters of a value that a message shows
# What rows and columns of a matrix are, by what messages call the matrix
AXES = {"M": ("target", "record"), "X": ("observation", "feature")}


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


def axes(name: str) -> tuple[str, str]:
    """Return what a row and a column of a matrix are, by what messages call the matrix.

    Examples
    --------
    >>> axes("M"), axes("X"), axes("members")
    (('target', 'record'), ('observation', 'feature'), ('row', 'column'))
    """
    return AXES.get(name, ("row", "column"))


def quoted(label: Any) -> str:
    """Return a label or a name as messages show it.

    Examples
    --------
    >>> quoted("income"), quoted(2024)
    ('"income"', '"2024"')
    """
    string = str(label)
    return f'"{string if len(string) <= LONGEST else string[: LONGEST - 3] + "..."}"'


def listed_names(names: Sequence[Any], shown: int = 3) -> str:
    """Return the first few of several names, and how many more there are.

    Examples
    --------
    >>> listed_names(["age", "sex", "income", "tenure", "rent"])
    '"age", "sex", "income" (and 2 more)'
    """
    return ", ".join(map(quoted, names[:shown])) + and_more(len(names), shown)
