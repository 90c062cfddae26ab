"""How the size of a regression is chosen without cross-validation: the size with the smallest criterion.

To add a criterion, write a function from `Candidates` to one number for each size and enter it in `CRITERIA`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DECIMALS = 12  # decimals of an expected F1 measure that are accurate


@dataclass(frozen=True)
class Candidates:
    """The models of all sizes, as a criterion sees them.

    Attributes
    ----------
    n_active : int array of shape (sizes,)
        Features in each model.
    n : int or float
        Observations; the sum of their weights, if they have any.
    p : int
        Features to select from.
    error : callable
        Returns the mean squared error of least squares on each support, shape (sizes,), but at least the
        rounding error, so that exact fits are equal. It is a function because it costs one fit per size.
    expected_f1 : array of shape (sizes,), optional
        Expected F1 measure of each support, if the method finds a posterior.
    """

    n_active: NDArray[np.int64]
    n: int | float
    p: int
    error: Callable[[], NDArray[np.float64]]
    expected_f1: Any = None

    def information(self, penalty: Any) -> NDArray[np.float64]:
        """Return an information criterion for normal errors: ``n log(error)`` plus a penalty by size."""
        return np.asarray(self.n * np.log(self.error()) + penalty)


def f1(models: Candidates) -> NDArray[np.float64]:
    """Return 1 minus the expected F1 measure."""
    return np.asarray((1.0 - models.expected_f1).round(DECIMALS))


def bic(models: Candidates) -> NDArray[np.float64]:
    """Return the Bayesian information criterion (Schwarz 1978)."""
    return models.information(models.n_active * math.log(models.n))


def ebic(models: Candidates) -> NDArray[np.float64]:
    """Return the extended BIC (Chen and Chen 2008, their gamma 1)."""
    k, p = models.n_active, models.p
    lgamma = np.vectorize(math.lgamma, otypes=[float])
    log_choose = math.lgamma(p + 1) - lgamma(k + 1) - lgamma(p - k + 1)
    return models.information(k * math.log(models.n) + 2.0 * log_choose)


def gic(models: Candidates) -> NDArray[np.float64]:
    """Return the generalised information criterion (Fan and Tang 2013)."""
    return models.information(models.n_active * math.log(models.p) * math.log(math.log(max(models.n, 3))))


@dataclass(frozen=True)
class Criterion:
    """An entry of the table of criteria: the function, and whether it needs a posterior."""

    value: Callable[[Candidates], NDArray[np.float64]]
    posterior: bool = False


CRITERIA: dict[str, Criterion] = {
    "f1": Criterion(f1, posterior=True),
    "bic": Criterion(bic),
    "ebic": Criterion(ebic),
    "gic": Criterion(gic),
}
