"""The figure of all plots. The only file that imports matplotlib; it is loaded when something is drawn."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

from matplotlib import figure as matplotlib_figure
from matplotlib import rc_context


class Figure(matplotlib_figure.Figure):
    """A figure of matplotlib that opens no window, belongs to no list of figures, and shows in notebooks."""

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows."""
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def svg_of(figure: Any, name: str) -> str:
    """Return a figure as SVG: text remains text, and the same figure gives the same string.

    `name` keeps the identifiers of several pictures on one page apart.
    """
    file = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return file.getvalue()
