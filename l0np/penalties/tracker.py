"""`PenaltyTracker`: figures of a training loop of one's own."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from l0np.errors import InputError
from l0np.inputs import did_you_mean, known_arguments, validation
from l0np.plots import new_figure

INCHES_WIDE, INCHES_HIGH = 10.0, 3.0  # of the panel of one metric


class PenaltyTracker:
    """Keeps a series of numbers for each of several metrics, such as losses, penalties and sparsity.

    Attributes
    ----------
    history : dict
        The series, lists of float, by the name of the metric.

    Examples
    --------
    >>> from l0np.penalties import PenaltyTracker
    >>> tracker = PenaltyTracker()
    >>> for value in (4.0, 2.0):
    ...     tracker.log("l0", value)
    >>> tracker.get_history("l0")
    [4.0, 2.0]
    >>> tracker.get_stats("l0")
    {'mean': 3.0, 'std': 1.0, 'min': 2.0, 'max': 4.0, 'last': 2.0}
    """

    def __init__(self) -> None:
        self.history: defaultdict[str, list[float]] = defaultdict(list)

    @known_arguments()
    def log(self, name: str, value: Any) -> None:
        """Append a number, which may be NaN or infinite, to the series of a metric.

        Raises
        ------
        InputError, InputTypeError
            If `value` is not one number, or `name` not a string.
        """
        if not isinstance(name, str):
            raise validation.wrong_kind("name", "a string", name)
        array = validation.numeric_array("value", value)
        if array.size != 1:
            raise InputError(f"value must be one number, it has shape {array.shape}")
        self.history[name].append(float(array.reshape(-1)[0]))

    @known_arguments()
    def get_history(self, name: str) -> list[float]:
        """Return a copy of the series of a metric, empty if nothing was logged."""
        return list(self.history.get(name, ()))

    @known_arguments()
    def get_stats(self, name: str) -> dict[str, float]:
        """Return "mean", "std", "min", "max" and "last" of a series; an empty dict if nothing was logged."""
        values = self.get_history(name)
        if not values:
            return {}
        with np.errstate(invalid="ignore"):  # of infinite values
            figures = {key: float(getattr(np, key)(values)) for key in ("mean", "std", "min", "max")}
        return figures | {"last": values[-1]}

    def clear(self) -> None:
        """Forget all series."""
        self.history.clear()

    @known_arguments()
    def save_to_csv(self, filepath: str | PathLike[str]) -> None:
        """Write a CSV file with a column for each metric; cells beyond the end of a series stay empty.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        with Path(filepath).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.history)
            writer.writerows(zip_longest(*self.history.values(), fillvalue=""))

    @known_arguments()
    def plot_history(
        self, metrics: Sequence[str] | None = None, save_path: str | PathLike[str] | None = None
    ) -> Any:
        """Return a figure of matplotlib with a panel for each metric; no window is opened.

        Parameters
        ----------
        metrics : sequence of str, optional
            The metrics to show; by default all.
        save_path : str or path, optional
            Where to save the figure, in the format of the file's ending.

        Raises
        ------
        MissingPackageError
            If matplotlib is not installed.
        InputError
            If nothing was logged, or nothing for one of the metrics.
        """
        shown = list(self.history) if metrics is None else list(metrics)
        for name in shown:
            if not self.history.get(name):
                known = list(self.history)
                raise InputError(f"metrics: nothing was logged as {name!r}{did_you_mean(str(name), known)}")
        if not shown:
            raise InputError("metrics: nothing to plot, because nothing was logged")
        figure = new_figure("plot_history", (INCHES_WIDE, INCHES_HIGH * len(shown)))
        for axes, name in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
            axes.plot(self.history[name])
            axes.set(title=name, xlabel="step", ylabel="value")
            axes.grid(True)
        if save_path is not None:
            figure.savefig(save_path)
        return figure
