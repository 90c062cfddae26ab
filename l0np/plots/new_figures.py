"""New figures, and the error where matplotlib is missing."""

from __future__ import annotations

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
