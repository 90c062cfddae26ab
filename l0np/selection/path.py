"""Paths: the same problem answered for many sizes, and the smallest that is good enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np._text import columns, share
from l0np.errors import InputError
from l0np.inputs import validation
from l0np.refit import DEFAULT_BOUNDS
from l0np.selection.api import METHODS, Calibration, Study, Training, gated_model, governed, priced
from l0np.targets import TargetOptions, check_options


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationPath:
    """Answers for growing numbers of records.

    Attributes
    ----------
    answers : tuple of Calibration
        One for each size, the smallest first.
    n_active : array of int
        Number of records of each.
    lambda_l0 : array of float
        Price of an open gate that each was found with, NaN where no gates were trained.
    mean_error, worst_error : arrays of float
        Mean and largest absolute relative error of the targets that were to be met.
    within : array of shape (number of answers, 3)
        Share of these targets within 5, 10 and 25 %.
    effective_sample_size : array of float
        Kish's, of each answer.
    """

    answers: tuple[Calibration, ...]

    @property
    def n_active(self) -> NDArray[np.int64]:  # noqa: D102  # see the class
        return np.array([len(answer.indices) for answer in self.answers])

    @property
    def lambda_l0(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([np.nan if answer.lambda_l0 is None else answer.lambda_l0 for answer in self.answers])

    @property
    def mean_error(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.fitted.mean for answer in self.answers])

    @property
    def worst_error(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.fitted.worst for answer in self.answers])

    @property
    def within(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.fitted.within for answer in self.answers])

    @property
    def effective_sample_size(self) -> NDArray[np.float64]:  # noqa: D102
        return np.array([answer.diagnostics.effective_sample_size for answer in self.answers])

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Tell each size in a line."""
        rows = [["records", "  method", "mean error", "worst", "<= 10%", "eff. size"]]
        for answer in self.answers:
            found, errors = answer.diagnostics, answer.diagnostics.fitted
            shares = [share(errors.mean, 2), share(errors.worst, 1), share(errors.within[1], 0)]
            rows.append([f"{len(answer.indices):,}", f"  {answer.method}", *shares, f"{found.effective_sample_size:,.1f}"])
        return "\n".join(columns(rows, (9, -11, 12, 10, 8, 11)))

    def smallest_adequate(
        self, max_error: float | None = None, share_within: tuple[float, float] | None = None
    ) -> Calibration | None:
        """Return the answer with the fewest records that suffices; None where no answer does.

        Parameters
        ----------
        max_error : float, optional
            No target that was to be met may have a larger relative error.
        share_within : (float, float), optional
            A share of these targets and the relative error that it must keep to: (0.95, 0.1) for 95 % within 10 %.

        Raises
        ------
        InputError, InputTypeError
            Where neither or something unusable is given.
        """
        if max_error is None and share_within is None:
            raise InputError("smallest_adequate needs max_error, share_within or both")
        most = np.inf if max_error is None else validation.real_number("max_error", max_error, at_least=0.0)
        least_share, limit = 0.0, np.inf
        if share_within is not None:
            given = validation.pair("share_within", share_within, "a pair (share of targets, relative error)")
            least_share = validation.real_number("share_within[0]", given[0], at_least=0.0, at_most=1.0)
            limit = validation.real_number("share_within[1]", given[1], at_least=0.0)
        for answer in self.answers:
            errors = np.abs(answer.targets.relative_error[answer.targets.asked])
            if not errors.size or (errors.max() <= most and (errors <= limit).mean() >= least_share):
                return answer
        return None


def l0_path(
    M: Any,
    y: ArrayLike,
    n_active: Sequence[int] | None = None,
    lambda_l0: Sequence[float] | None = None,
    base_weights: ArrayLike = 1.0,
    *,
    method: str = "auto",
    distance: str = "chi-square",
    bounds: tuple[float | None, float | None] = DEFAULT_BOUNDS,
    total: float | None = None,
    epochs: int = 1500,
    lr: float = 0.1,
    device: str = "cpu",
    seed: int | None = None,
    **options: Unpack[TargetOptions],
) -> CalibrationPath:
    """Answer one problem for several numbers of records, or for several prices of an open gate.

    All records are calibrated once. Gates, where they are trained, go on from where the size before left them: from many
    records to few, from a low price to a high one.

    Parameters
    ----------
    M, y, base_weights, method, distance, bounds, total, epochs, lr, device, seed, **options
        As in `calibrate`; `epochs` for each size, a third of it after the first. The least of `bounds` must be above 0.
    n_active : sequence of int
        The numbers of records; or
    lambda_l0 : sequence of float
        the prices, for which gates are trained and those that stay open are kept.

    Returns
    -------
    CalibrationPath
        The smallest number of records first; it prints itself.

    Raises
    ------
    InputError, InputTypeError
        For unusable arguments, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> rng = np.random.default_rng(0)
    >>> M = np.vstack([np.ones(500), rng.random((4, 500)) < 0.3, rng.lognormal(size=500)])
    >>> path = l0np.l0_path(M, M @ np.ones(500), n_active=[3, 20, 100], seed=0)
    >>> path.n_active
    array([  3,  20, 100])
    >>> len(path.smallest_adequate(max_error=0.001).indices)
    20
    """
    check_options("l0_path", options)
    if (n_active is None) == (lambda_l0 is None):
        raise InputError("l0_path needs n_active or lambda_l0, one of them")
    choice = validation.one_of("method", method, METHODS)
    training = Training.checked(epochs, lr)
    study = Study.checked(M, y, base_weights, distance, bounds, total, device, seed, options)
    prices = [validation.real_number(name, price, at_least=0.0) for name, price in _named("lambda_l0", lambda_l0)]
    sizes = {study.checked_count(name, k) for name, k in _named("n_active", n_active)}
    if not prices and not sizes:
        raise InputError("l0_path needs at least one size")
    study = study.calibrate_all()
    if not prices and method != "gates":
        return _ascending(choice(study, k, training) for k in sizes)
    model, trainings = gated_model(study), chain([training], repeat(training.later()))
    if prices:
        return _ascending(priced(study, model, price, step) for price, step in zip(sorted(prices), trainings, strict=False))
    falling = sorted(sizes, reverse=True)
    return _ascending(governed(study, model, k, step) for k, step in zip(falling, trainings, strict=False))


def _named(name: str, values: Any) -> list[tuple[str, Any]]:
    """Return what a sequence holds, each with the name that errors call it."""
    if values is None:
        return []
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise validation.wrong_kind(name, "a sequence of numbers", values)
    return [(f"{name}[{i}]", value) for i, value in enumerate(values)]


def _ascending(answers: Iterable[Calibration]) -> CalibrationPath:
    return CalibrationPath(tuple(sorted(answers, key=lambda answer: len(answer.indices))))
