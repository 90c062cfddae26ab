"""New figures, and the error where matplotlib is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from l0np.errors import MissingPackageError

SIZE = (6.4, 4.0)  # of a figure with one picture, in inches


def new_figure(purpose: str, size: tuple[float, float] = SIZE) -> Any:
    """Return an empty figure of matplotlib; no window is opened.

    Parameters
    ----------
    purpose : str
        What needs matplotlib, in the error where it is missing.
    size : (float, float)
        Width and height in inches.

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> new_figure("this example").axes
    []
    """
    try:
        from l0np.plots.figures import Figure
    except ImportError as error:
        raise MissingPackageError(purpose, "matplotlib", "plot") from error
    return Figure(figsize=size, layout="constrained")


def svg_of(draw: Callable[[Any], Any], name: str, purpose: str, size: tuple[float, float] = SIZE) -> str:
    """Return what `draw` draws on the Axes that it is given as SVG.

    Text remains text, and the same picture gives the same string, whatever the user's settings of matplotlib
    are. Identifiers begin with a hash of `name`, so that several pictures can stand on one page.

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> svg_of(lambda axes: axes.set_title("an empty picture"), "empty", "this example")[:5]
    '<?xml'
    """
    try:
        from l0np.plots import figures
    except ImportError as error:
        raise MissingPackageError(purpose, "matplotlib", "plot") from error
    return figures.svg_of(draw, name, size)
