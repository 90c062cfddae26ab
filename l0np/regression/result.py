"""The answer of `l0_regression_path`: models of several sizes, and which of them was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np._text import SHOWN, columns, counted, number
from l0np.errors import InputError
from l0np.inputs import in_order_of, known_arguments, validation
from l0np.matrix import ColumnMatrix
from l0np.refit import r_squared
from l0np.tables import frame_of, write_columns


@dataclass(frozen=True, eq=False, repr=False)
class RegressionPath:
    """Linear models of several sizes for one response, and which of them was chosen.

    Attributes
    ----------
    n_active : int array of shape (sizes,)
        Features in each model, ascending.
    error : array of shape (sizes,)
        Mean squared error of each model on the data it was fitted to, weighted if `sample_weight` was given.
    criterion : array of shape (sizes,)
        The value by which the size was chosen: the smallest wins, and among equal ones the fewest features.
        Errors that are mere rounding are equal.
    coefficients : scipy.sparse.csr_array of shape (sizes, n_features)
        In the units of X and y.
    intercepts : array of shape (sizes,)
        In the units of y.
    lambda_l0 : array of shape (sizes,)
        The L0 multiplier at which the gates were trained; NaN if none were.
    inclusion : array of shape (n_features,), optional
        Each feature's probability of belonging in the model; None unless ``method="inclusion"``.
    best : int
        Position of the chosen model.
    stopped : bool
        Whether a callback stopped the run before its end.
    kind : str, optional
        The library of the frame that `to_frame` returns: that of X, if X was a frame.
    feature_names : tuple of n_features str, optional
        The names of the columns of X, if X was a frame with names; None if it had none.
    selected_names : tuple of str, optional
        The names of the features of the chosen model, in the order of `indices`.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import l0_regression_path
    >>> X = np.random.default_rng(0).normal(size=(50, 6))
    >>> path = l0_regression_path(X, 2.0 + X @ [0, 3, 0, 0, -1, 0], [1, 2, 3], method="exchange")
    >>> path.n_active_, path.indices, round(path.intercept_, 6)
    (2, array([1, 4]), 2.0)
    >>> path.predict(X[:2], n_active=1).shape
    (2,)
    """

    n_active: NDArray[np.int64]
    error: NDArray[np.float64]
    criterion: NDArray[np.float64]
    coefficients: Any
    intercepts: NDArray[np.float64]
    lambda_l0: NDArray[np.float64]
    inclusion: NDArray[np.float64] | None
    best: int
    feature_names: tuple[str, ...] | None = None
    stopped: bool = False
    kind: str | None = None

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Say which features were selected, and show a line for each of the nearest sizes."""
        chosen = self.indices if self.selected_names is None else self.selected_names
        p, names = self.coefficients.shape[1], ", ".join(map(str, chosen[:SHOWN]))
        names += ", ..." if self.n_active_ > SHOWN else ""
        title = f"RegressionPath: {counted(self.n_active_, 'feature')} of {p:,} selected"
        distance = np.abs(np.arange(len(self.n_active)) - self.best)
        shown = np.sort(np.argsort(distance, kind="stable")[:SHOWN])
        rows = [["features", "squared error", "criterion", ""]]
        for i in shown:
            cells = [f"{self.n_active[i]:,}", number(self.error[i]), f"{self.criterion[i]:.6g}"]
            rows.append([*cells, "  chosen" if i == self.best else ""])
        rest = len(self.n_active) - len(shown)
        more = [f"... and {counted(rest, 'more size')}"] if rest else []
        title += f": {names}" if names else ""
        title += " (stopped by a callback)" if self.stopped else ""
        return "\n".join([title, "", *columns(rows, (8, 16, 14, -1)), *more])

    @property
    def n_active_(self) -> int:
        """Number of features in the chosen model."""
        return int(self.n_active[self.best])

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients of the chosen model, shape (n_features,), 0 where a feature is not in it."""
        return self._coefficients(self.best)

    @property
    def intercept_(self) -> float:
        """Intercept of the chosen model."""
        return float(self.intercepts[self.best])

    @property
    def indices(self) -> NDArray[np.int64]:
        """Features of the chosen model, ascending."""
        return self.features(self.n_active_)

    @property
    def selected_names(self) -> tuple[str, ...] | None:
        """Names of the features of the chosen model, ascending by position; None if they have none."""
        return None if self.feature_names is None else tuple(self.feature_names[j] for j in self.indices)

    def features(self, n_active: int) -> NDArray[np.int64]:
        """Return the features of the model of a size on the path, ascending.

        Raises
        ------
        InputError, InputTypeError
            If the path has no such size.
        """
        row = slice(*self.coefficients.indptr[self._position(n_active) :][:2])
        return np.sort(self.coefficients.indices[row].astype(np.int64))

    @known_arguments()
    def predict(self, X: Any, n_active: int | None = None) -> NDArray[np.float64]:
        """Return the predictions of the chosen model, or of the one with `n_active`, shape (rows of X,).

        If `feature_names` are known, the columns of a frame with names are used by name, whatever their
        order; everything else counts by position.

        Raises
        ------
        InputError, InputTypeError
            For an unusable X, for a frame with other columns, and if the path has no such size.
        """
        position = self.best if n_active is None else self._position(n_active)
        matrix = feature_matrix(in_order_of(self.feature_names, "X", X))
        validation.check_columns("X", matrix.shape, self.coefficients.shape[1])
        products = matrix.to_scipy() @ self._coefficients(position)
        return np.asarray(products + self.intercepts[position], dtype=np.float64)

    @known_arguments()
    def score(
        self,
        X: Any,
        y: ArrayLike,
        n_active: int | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return R squared of the predictions: 1 minus the squared error over that of the mean of y.

        If y is constant, it is 1 if every prediction is exact, else 0, as in scikit-learn.

        Parameters
        ----------
        X : ColumnMatrix, scipy.sparse array, array, list of lists or DataFrame, shape (n, n_features)
            The features, as in `predict`.
        y : array of shape (n,)
            The response.
        n_active : int, optional
            The size of the model; by default the chosen one.
        sample_weight : array of shape (n,) or float, optional
            How many observations each row counts as, as in `l0_regression_path`; by default 1 each.

        Raises
        ------
        InputError, InputTypeError
            For arguments that cannot be used, and if the path has no such size.

        Examples
        --------
        >>> import numpy as np
        >>> from l0np import l0_regression_path
        >>> X = np.random.default_rng(0).normal(size=(50, 6))
        >>> y = 2.0 + X @ [0, 3, 0, 0, -1, 0]
        >>> path = l0_regression_path(X, y, [1, 2], method="exchange")
        >>> weights = np.where(np.arange(50) < 25, 1.0, 3.0)
        >>> round(path.score(X, y, 1), 3), round(path.score(X, y, 1, sample_weight=weights), 3)
        (0.898, 0.891)
        """
        prediction = self.predict(X, n_active)
        validation.check_order("y", y, "X", X)
        target = response_vector(y, len(prediction), X)
        weights = validation.sample_weights("sample_weight", sample_weight, len(target), "X", X)
        return r_squared(target, prediction, weights)

    def to_frame(self) -> Any:
        """Return a row for each size, as a frame of the kind that came in.

        The columns are features (how many), squared_error (its mean), criterion, intercept, lambda_l0 and
        chosen.

        Raises
        ------
        MissingPackageError
            If no frame came in and none of polars, pandas and pyarrow is installed.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from l0np import l0_regression_path
        >>> X = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=["a", "b", "c"])
        >>> frame = l0_regression_path(X, 2.0 * X["b"], method="exchange").to_frame()
        >>> frame[["features", "squared_error", "chosen"]].round(3)
           features  squared_error  chosen
        0         0          2.754   False
        1         1          0.000    True
        2         2          0.000   False
        3         3          0.000   False
        """
        return frame_of(self._columns(), self.kind)

    def write(self, path: Any) -> None:
        """Write the table of `to_frame` as CSV, Parquet or `.npz`, by the ending of the path.

        Raises
        ------
        InputError, MissingPackageError
            If the path cannot be written, or for Parquet where polars is not installed.
        """
        write_columns(path, self._columns())

    def _columns(self) -> dict[str, Any]:
        return {
            "features": self.n_active,
            "squared_error": self.error,
            "criterion": self.criterion,
            "intercept": self.intercepts,
            "lambda_l0": self.lambda_l0,
            "chosen": np.arange(len(self.n_active)) == self.best,
        }

    def _coefficients(self, position: int) -> NDArray[np.float64]:
        row: NDArray[np.float64] = self.coefficients[[position]].toarray()[0]
        return row

    def _position(self, n_active: int) -> int:
        found = np.flatnonzero(self.n_active == validation.integer("n_active", n_active, at_least=0))
        if not found.size:
            raise InputError(f"n_active must be on the path, {self.n_active.tolist()}; got {n_active!r}")
        return int(found[0])


def feature_matrix(X: Any) -> ColumnMatrix:
    """Return the features of a regression as a matrix."""
    if not hasattr(X, "shape"):
        X = validation.numeric_array("X", X)
    return ColumnMatrix.of(X, name="X")


def response_vector(y: Any, n: int, X: Any = None) -> NDArray[np.float64]:
    """Return the response of a regression, one number for each of n rows of X.

    Messages use the labels of X or y.
    """
    labels = validation.row_labels(X, y)
    return np.asarray(validation.vector("y", y, n, np.dtype(np.float64), per="row of X", labels=labels))
