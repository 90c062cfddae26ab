"""The figure of all plots. The only file that imports matplotlib; it is loaded when something is drawn."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

from matplotlib import figure as matplotlib_figure
from matplotlib import rc_context, style

DPI = 150  # of the images within an SVG


class Figure(matplotlib_figure.Figure):
    """A figure of matplotlib that opens no window, belongs to no list of figures, and shows in notebooks."""

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows."""
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def svg_of(draw: Callable[[Any], Any], name: str, size: tuple[float, float]) -> str:
    """Return what `draw` draws on Axes as SVG: text remains text, and the same picture gives the same string.

    The user's settings of matplotlib do not count. `name` keeps the identifiers of several pictures on one
    page apart.
    """
    file = StringIO()
    with style.context("default"), rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.savefig(
            file, format="svg", transparent=True, dpi=DPI, metadata={"Date": None, "Creator": None}
        )
    return file.getvalue()
