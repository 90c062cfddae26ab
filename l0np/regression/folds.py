"""Folds of a cross-validation: drawn, or given as pairs of row numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import InputError
from l0np.inputs import validation

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows to fit to, rows to predict


def checked_folds(cv: Any, n: int) -> int | list[Fold]:
    """Return the number of folds, or folds as given: pairs of arrays of numbers of n rows, ascending."""
    if isinstance(cv, str) or not isinstance(cv, Iterable) or getattr(cv, "ndim", 1) == 0:
        return validation.integer("cv", cv, at_least=2, at_most=n)
    folds = []
    for i, fold in enumerate(cv):
        fitted, predicted = validation.pair(f"cv[{i}]", fold, "two arrays of rows, to fit to and to predict")
        folds.append((_rows(f"cv[{i}][0]", fitted, n), _rows(f"cv[{i}][1]", predicted, n)))
    if not folds:
        raise InputError("cv must be a number of folds or at least one pair of arrays of rows, got none")
    return folds


def _rows(name: str, value: Any, n: int) -> NDArray[np.int64]:
    rows = validation.numeric_array(name, value)
    if rows.dtype.kind == "b":
        validation.check_length(name, rows, n, "value", "row of X")
        rows = np.flatnonzero(rows)
    if rows.dtype.kind not in "iu" or rows.ndim != 1 or not rows.size:
        found = f"got {rows.dtype} of shape {rows.shape}"
        raise InputError(f"{name} must be a one-dimensional array of at least one number of a row, {found}")
    validation.check_elements(name, rows, (rows < 0) | (rows >= n), f"X has rows 0 to {n - 1}")
    return np.sort(rows.astype(np.int64))


def draw_folds(n: int, folds: int, seed: int) -> list[Fold]:
    """Return folds of n rows drawn at random, as equal in size as possible."""
    fold = np.random.Generator(np.random.Philox(key=seed)).permutation(np.arange(n) % folds)
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(folds)]


def among(folds: int | list[Fold], rows: NDArray[np.int64], n: int) -> int | list[Fold]:
    """Return folds of n rows as folds of some of them, counted from 0, without the other rows.

    Raises
    ------
    InputError
        If a fold would have nothing to fit to, or no fold anything to predict.
    """
    if isinstance(folds, int):
        return validation.integer("cv", folds, at_least=2, at_most=len(rows))
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))
    kept = [(place[fitted], place[others]) for fitted, others in folds]
    kept = [(fitted[fitted >= 0], others[others >= 0]) for fitted, others in kept]
    for i, (fitted, _) in enumerate(kept):
        if not fitted.size:
            raise InputError(f"cv[{i}][0] has no row whose sample_weight is above 0")
    if not any(others.size for _, others in kept):
        raise InputError("cv predicts no row whose sample_weight is above 0")
    return [fold for fold in kept if fold[1].size]
