"""What all plots share: the Axes that they draw on, colours, and logarithmic axes for errors and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import number, percent
from l0np.inputs import validation
from l0np.plots.new_figures import new_figure
from l0np.targets import metrics

Floats = NDArray[np.float64]

# Readable for the colour-blind, and with a contrast of 3 to 1 or more on white and on nearly black
BEFORE, AFTER, HELD_OUT = "#cf6a12", "#3380c2", "#8f68c4"
FEW = 25  # points up to which a line has markers
LOWEST = metrics.MET  # relative errors up to it count as met, and are drawn at it
MANY_SIZES = 8  # numbers of records up to which each has a tick
MOST_TICKS = {"x": 4, "y": 8}
SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
WIDE_RANGE = 20.0  # largest / smallest from which a scale is logarithmic


def axes_of(axes: Any) -> Any:
    """Return the Axes that were given, or those of a new figure.

    Raises
    ------
    InputTypeError
        If something else was given.
    MissingPackageError
        If matplotlib is not installed.
    """
    if axes is None:
        return new_figure("l0np.plots").subplots()
    if not hasattr(axes, "set_xscale"):
        raise validation.wrong_kind("axes", "the Axes of matplotlib", axes)
    return axes


def labelled(axes: Any, title: str, x: str, y: str, *, legend: bool = True) -> Any:
    """Set title and labels, add a legend where there is more than one series; return the Axes."""
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(visible=True, alpha=0.25)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    if legend and len(handles) > 1:
        axes.legend(handles, labels, framealpha=0.0)
    return axes


def drawn_errors(errors: Any) -> Floats:
    """Return absolute relative errors as they are drawn: at least `LOWEST`, which counts as met."""
    return np.maximum(np.abs(np.asarray(errors, np.float64)), LOWEST)


def error_scale(axes: Any, which: str, drawn: Sequence[Floats]) -> None:
    """Make an axis, "x" or "y", logarithmic and count it in percent, from `LOWEST` where a value is there."""
    values = np.concatenate([np.ravel(one) for one in drawn]) if drawn else np.array([])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (LOWEST, 1.0)
    bottom, top = np.floor(np.log10(low * (1 + 1e-9))), np.ceil(np.log10(high * (1 - 1e-9)))
    top = max(top, bottom + 1.0, -2.0)  # up to 1 % at least, or tiny errors would look large
    axis = getattr(axes, f"{which}axis")
    getattr(axes, f"set_{which}scale")("log")
    ends = {"bottom": 10 ** (bottom - 0.12), "top": 10 ** (top + 0.05)}
    if which == "x":
        ends = {"left": ends["bottom"], "right": ends["top"]}
    getattr(axes, f"set_{which}lim")(**ends)
    step = max(1, int(np.ceil((top - bottom) / MOST_TICKS[which])))
    axis.set_ticks([10.0**power for power in np.arange(bottom, top + 1, step)])
    axis.set_major_formatter(_error_label)
    axes.minorticks_off()


def _error_label(value: float, _: Any) -> str:
    """Return the label of a tick: 1%, 0.01%, and at the lowest that less is drawn there too."""
    digits = max(0, -2 - round(np.log10(value))) if value > 0 else 0
    shown = percent(value, digits)
    return f"≤ {shown}" if np.isclose(value, LOWEST, rtol=1e-6, atol=0.0) else shown


def size_scale(axes: Any, sizes: NDArray[Any]) -> None:
    """Make the x axis one of numbers of records: logarithmic where they differ much, each with its tick."""
    sizes = np.unique(sizes)
    if len(sizes) > 1:
        axes.set_xscale("log")
    if len(sizes) <= MANY_SIZES:
        axes.set_xticks(sizes)
        axes.minorticks_off()
    axes.xaxis.set_major_formatter(number_label)
    if len(sizes) > MANY_SIZES // 2:
        axes.tick_params(axis="x", rotation=45)


def number_label(value: float, _: Any) -> str:
    """Return the label of a tick of numbers: 9,000, 20k, 1.5M.

    Examples
    --------
    >>> [number_label(value, 0) for value in (0.5, 9000, 20_000, 1.5e6, 3e10)]
    ['0.5', '9,000', '20k', '1.5M', '30G']
    """
    if 1e4 <= abs(value) < 1e15:
        size, suffix = next(one for one in SUFFIXES if abs(value) >= one[0])
        return f"{value / size:.4g}{suffix}"
    return number(value)


def log_scale(axes: Any, which: str, low: float, high: float) -> None:
    """Make an axis, "x" or "y", logarithmic, with few ticks.

    They are powers of ten, or 1, 2 and 5 times these or, within a narrow range, any numbers of two digits.
    """
    getattr(axes, f"set_{which}scale")("log")
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = 10.0 ** powers[(10.0**powers >= low / 1.2) & (10.0**powers <= high * 1.2)]
    if len(ticks) < 3:
        ticks = np.ravel(np.outer(10.0**powers, [1.0, 2.0, 5.0]))
        ticks = ticks[(ticks >= low / 1.2) & (ticks <= high * 1.2)]
    if len(ticks) < 3:
        ticks = np.unique([float(f"{tick:.2g}") for tick in np.linspace(low, high, MOST_TICKS[which])])
    axis = getattr(axes, f"{which}axis")
    if len(ticks):
        axis.set_ticks(ticks[:: int(np.ceil(len(ticks) / MOST_TICKS[which]))])
    axis.set_major_formatter(number_label)
    axis.minorticks_off()


def markers(n: int) -> dict[str, Any]:
    """Return the style of a line of n points: with markers where there are few."""
    return {"marker": "o", "markersize": 4} if n <= FEW else {}
