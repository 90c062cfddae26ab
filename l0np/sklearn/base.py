"""What the estimators share: scikit-learn's base classes, its checks of data, and linear predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np.errors import MissingPackageError

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.feature_selection import SelectorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as reason:
    raise MissingPackageError("l0np.sklearn", '"scikit-learn>=1.6"', "sklearn") from reason

FEWEST_ROWS = 2  # one observation says nothing of any feature


class Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator of a response, or of several, by linear models; X may be sparse."""

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know: sparse X, a response is required, or several."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any) -> tuple[Any, NDArray[np.float64]]:
        """Return X and y as scikit-learn checks them; keep the number of features and their names."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=("csr", "csc"),
            dtype=np.float64,
            y_numeric=True,
            multi_output=True,
            ensure_min_samples=FEWEST_ROWS,
        )
        return X, y


class LinearEstimator(RegressorMixin, Estimator):  # type: ignore[misc]
    """A regressor that predicts by `coef_` and `intercept_`."""

    coef_: NDArray[np.float64]
    intercept_: float | NDArray[np.float64]

    def _keep(self, y: NDArray[np.float64], coefficients: list[Any], intercepts: list[float]) -> None:
        """Keep the linear models of the responses, in the shape of y."""
        if y.ndim == 1:
            self.coef_, self.intercept_ = coefficients[0], float(intercepts[0])
        else:
            self.coef_, self.intercept_ = np.array(coefficients), np.array(intercepts)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predictions.

        Parameters
        ----------
        X : array, sparse matrix or DataFrame, shape (n, n_features)
            The features. The columns of a frame must be those of the fit, in their order.

        Returns
        -------
        array of shape (n,) or (n, n_outputs)
            In the units of y.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=("csr", "csc"), dtype=np.float64, reset=False)
        return np.asarray(X @ self.coef_.T + self.intercept_)


class Selector(SelectorMixin, Estimator):  # type: ignore[misc]
    """A transformer that keeps the features of `support_`."""

    support_: NDArray[np.bool_]

    def _get_support_mask(self) -> NDArray[np.bool_]:
        """Return which features are kept, for `SelectorMixin`."""
        check_is_fitted(self)
        return self.support_


def responses(y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the responses one by one."""
    return [y] if y.ndim == 1 else list(np.ascontiguousarray(y.T))
