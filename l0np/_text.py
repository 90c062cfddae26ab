"""How numbers, counts and tables are printed."""

from collections.abc import Sequence

import numpy as np

SHOWN = 10  # number of rows in a printed table
NAME_WIDTH = 40  # characters of a name that a table shows
MANY_TIMES = 99.995  # from this fraction on, a percentage with two decimals has nine characters


def columns(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Return the lines of a table: columns are right-aligned, or left-aligned if their width is negative.

    A column has its given width, or more if its longest cell needs it, with two spaces before every
    right-aligned cell.

    Examples
    --------
    >>> for line in columns([["cars", "12"], ["people", "123,456"]], (-6, 8)):
    ...     print(line)
    cars         12
    people  123,456
    """
    longest = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sizes = [
        max(-width, most) if width < 0 else max(width, most + 2)
        for width, most in zip(widths, longest, strict=True)
    ]
    lines = []
    for row in rows:
        cells = zip(row, sizes, widths, strict=True)
        line = "".join(c.ljust(size) if width < 0 else c.rjust(size) for c, size, width in cells)
        lines.append(line.rstrip())
    return lines


def number(value: float) -> str:
    """Return a number with four digits, from 1,000 to 1e15 as an integer; "-" for NaN.

    Examples
    --------
    >>> number(1234567.8), number(0.000123456), number(float("nan"))
    ('1,234,568', '0.0001235', '-')
    """
    if np.isnan(value):
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def percent(value: float, digits: int = 2) -> str:
    """Return a fraction as `percentage` does, but a tiny one in scientific notation instead of as 0.00%.

    Examples
    --------
    >>> percent(0.1234), percent(1e-7)
    ('12.34%', '1e-05%')
    """
    if value and abs(value) < 0.5 * 10.0 ** -(digits + 2):
        return f"{100 * value:.0e}%"
    return percentage(value, digits)


def percentage(value: float, digits: int) -> str:
    """Return a fraction as a percentage, or as a multiple from 10,000 % on; "-" for NaN.

    Examples
    --------
    >>> percentage(0.5, 0), percentage(573.2, 0), percentage(2e6, 0)
    ('50%', '573x', '2e+06x')
    """
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


def shorten(string: str, width: int) -> str:
    """Return the string, cut to the width if it is longer.

    Examples
    --------
    >>> shorten("north-east", 8)
    'north...'
    """
    return string if len(string) <= width else string[: width - 3] + "..."
