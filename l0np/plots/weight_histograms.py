"""Histograms of weights and of g-weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from l0np._text import number
from l0np.errors import InputError
from l0np.inputs import known_arguments, validation
from l0np.plots.axes import AFTER, WIDE_RANGE, Floats, axes_of, labelled, log_scale, number_label

BINS = 40


@known_arguments()
def weights(weights: Any, axes: Any = None) -> Any:
    """Draw a histogram of the weights that are not 0, and their mean.

    Parameters
    ----------
    weights : array of shape (N,)
        The weights, such as `Calibration.weights`; those of 0 are left out.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn; logarithmic if the weights are very different.

    Raises
    ------
    InputError, InputTypeError
        If no weight differs from 0, or they are no numbers.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import l0np
    >>> l0np.plots.weights([2.0, 0.0, 3.0]).get_xlabel()
    'weight'
    """
    values = _numbers("weights", weights)
    values = values[values != 0]
    axes = _histogram(values, "weights", axes)
    mean = float(values.mean())
    axes.axvline(mean, color="gray", linestyle="--", linewidth=1, label="mean")
    return labelled(axes, f"Weights (mean {number(mean)})", "weight", "records", legend=False)


@known_arguments()
def g_weights(g_weights: Any, axes: Any = None) -> Any:
    """Draw a histogram of g-weights: how far the refit had to move weights from their reference weights.

    Parameters
    ----------
    g_weights : array of shape (k,)
        Weight / reference weight of each record, such as `Calibration.refit.ratios`.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn; logarithmic if the g-weights are very different.

    Raises
    ------
    InputError, InputTypeError
        If there are none, or they are no numbers.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> import l0np
    >>> l0np.plots.g_weights([0.9, 1.0, 1.1]).get_xlabel()
    'g-weight: weight / reference weight'
    """
    axes = _histogram(_numbers("g_weights", g_weights), "g_weights", axes)
    axes.axvline(1.0, color="gray", linestyle="--", linewidth=1, label="unchanged")
    label = "g-weight: weight / reference weight"
    return labelled(axes, "g-weights (1: unchanged)", label, "records", legend=False)


def _numbers(name: str, values: Any) -> Floats:
    return validation.vector(name, values, int(np.size(values)), np.dtype(np.float64), per="record")


def _histogram(values: Floats, name: str, axes: Any) -> Any:
    """Draw the counts, on a logarithmic scale where the largest value is many times the smallest."""
    if not len(values):
        raise InputError(f"{name}: there is nothing to draw, no record has a weight")
    axes, low, high = axes_of(axes), float(values.min()), float(values.max())
    if high - low <= 1e-6 * max(abs(low), abs(high)):  # equal but for rounding: one bar, not forty
        middle = (low + high) / 2
        edges = np.linspace(middle - abs(middle) / 10, middle + abs(middle) / 10, 4)
        values = np.full(len(values), middle)
    elif low > 0 and high > WIDE_RANGE * low:
        log_scale(axes, "x", low, high)
        edges = np.geomspace(low, high, BINS + 1)
    else:
        edges = np.linspace(low, high, BINS + 1)
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    axes.stairs(np.histogram(values, edges)[0], edges, fill=True, color=AFTER, alpha=0.85)
    axes.xaxis.set_major_formatter(number_label)
    axes.yaxis.set_major_formatter(number_label)
    axes.yaxis.get_major_locator().set_params(integer=True)
    return axes
