"""The problem on which gates of a regression are trained: units do not matter, and weights of rows count."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from l0np.matrix import ColumnMatrix
from l0np.refit import Design
from l0np.targets import Targets


def standardised(
    design: Design, response: NDArray[np.float64], *, centred: bool = True
) -> tuple[ColumnMatrix, Targets, float]:
    """Return features of mean square 1, a response of mean square 1, and what the response was divided by.

    Parameters
    ----------
    design : Design
        The features, and weights of the rows.
    response : array of shape (n,)
        The response, centred if there is an intercept.
    centred : bool
        Whether the features are centred too, which makes a sparse matrix dense. Otherwise they are only
        divided by their standard deviations, and an intercept has to be trained.
    """
    scale = math.sqrt(design.mean(response**2)) or 1.0
    features = design.columns(np.arange(design.p)) * math.sqrt(design.count) if centred else design.scaled()
    matrix = ColumnMatrix.build(features, np.float32, name="X")
    values = (response / scale).astype(np.float32).astype(np.float64)
    targets = Targets.plain(values, weights=design.weighted(np.full(design.n, 1.0 / design.count)))
    return matrix, targets, scale
