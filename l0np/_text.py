"""How numbers, counts and tables are printed."""

from collections.abc import Sequence

import numpy as np

SHOWN = 10  # rows that a printed table has room for
NAME_WIDTH = 40


MANY_TIMES = 99.995  # shares from which a percentage of two decimals has nine characters


def columns(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Return lines of cells below each other: right-aligned, or left where the width is negative.

    A column is as wide as its width says, or as its longest cell needs: two spaces stand before every right-aligned one.

    Examples
    --------
    >>> for line in columns([["cars", "12"], ["people", "123,456"]], (-6, 8)):
    ...     print(line)
    cars         12
    people  123,456
    """
    longest = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    aligned = [max(-width, most) if width < 0 else max(width, most + 2) for width, most in zip(widths, longest, strict=True)]
    return [
        "".join(
            cell.ljust(size) if width < 0 else cell.rjust(size) for cell, size, width in zip(row, aligned, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def number(value: float) -> str:
    """Return a number as a reader likes it: whole from 1,000 on, else with four digits, as from 1e15 on; "-" for NaN."""
    if np.isnan(value):
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def percent(value: float, digits: int = 2) -> str:
    """Return a share as `share` does, but tiny ones as a power of ten, for 0.00% would claim too much."""
    if value and abs(value) < 0.5 * 10.0 ** -(digits + 2):
        return f"{100 * value:.0e}%"
    return share(value, digits)


def share(value: float, digits: int) -> str:
    """Return a share as a percentage; from 10,000 % on how many times the whole it is: "573x", "2e+06x"; "-" for NaN."""
    if np.isnan(value):
        return "-"
    if abs(value) < MANY_TIMES:
        return f"{value:.{digits}%}"
    return f"{value:.0f}x" if abs(value) < 99_999.5 else f"{value:.0e}x"


def counted(n: int, noun: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(1, "record"), counted(1200, "record")
    ('1 record', '1,200 records')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def shorten(text: str, width: int) -> str:
    """Return the text, cut to the width where it is longer."""
    return text if len(text) <= width else text[: width - 3] + "..."
