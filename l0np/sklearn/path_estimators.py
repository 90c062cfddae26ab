"""`L0Regressor` and `L0Selector`: `l0_regression_path` as a regressor and as a selector of features."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from l0np.inputs import known_arguments
from l0np.regression import RegressionPath, l0_regression_path
from l0np.sklearn.base import Estimator, LinearEstimator, Selector, responses
from l0np.tables import kind_of


class PathEstimator(Estimator):
    """The hyper-parameters of a path, and the paths of all responses."""

    path_: RegressionPath | list[RegressionPath]

    @known_arguments()
    def __init__(
        self,
        n_active: int | Iterable[int] | None = None,
        *,
        method: str = "inclusion",
        criterion: str | None = None,
        cv: Any = None,
        coefficients: str | None = None,
        lambda_l2: float = 0.0,
        fit_intercept: bool = True,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.n_active = n_active
        self.method = method
        self.criterion = criterion
        self.cv = cv
        self.coefficients = coefficients
        self.lambda_l2 = lambda_l2
        self.fit_intercept = fit_intercept
        self.seed = seed
        self.device = device

    def _paths(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> tuple[Any, list[RegressionPath]]:
        """Fit a path to each response, and return y, checked, and the paths."""
        kind = kind_of(X)
        X, y = self._checked(X, y)
        names = getattr(self, "feature_names_in_", None)
        known = None if names is None else tuple(map(str, names))
        options = {**self.get_params(deep=False), "sample_weight": sample_weight}
        if hasattr(self.cv, "split"):
            options["cv"] = list(self.cv.split(X, y))
        fitted = [l0_regression_path(X, one, **options) for one in responses(y)]
        paths = [replace(path, feature_names=known, kind=kind) for path in fitted]
        self.path_ = paths[0] if y.ndim == 1 else paths
        return y, paths


class L0Regressor(LinearEstimator, PathEstimator):
    """Linear regression on few features, by `l0_regression_path`.

    Which features, and how many, is found at `fit`. Features are standardised internally; coefficients are in
    the units of X and y.

    Parameters
    ----------
    n_active, method, criterion, coefficients, lambda_l2, fit_intercept, seed, device
        As in `l0_regression_path`. With ``n_active=k`` the model has exactly k features.
    cv : int, iterable of pairs or cross-validation splitter, optional
        Choose the size by cross-validation, as in `l0_regression_path`; the folds of a number are drawn with
        `seed`, also where scikit-learn would take rows in their order.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_outputs, n_features)
        Coefficients, 0 where a feature is not in the model.
    intercept_ : float or array of shape (n_outputs,)
        The intercept.
    path_ : RegressionPath or list of n_outputs RegressionPath
        The models of all sizes, with inclusion probabilities where the method finds them.
    n_features_in_ : int
        Number of features seen by `fit`.
    feature_names_in_ : array of shape (n_features,)
        Their names, if X was a frame whose columns have strings for names.

    See Also
    --------
    L0Selector : The choice of features alone, for a pipeline before another estimator.
    L0GatedRegressor : Trained gates, with an L0 multiplier in the place of a path.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from l0np.sklearn import L0Regressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 20))
    >>> y = 3.0 + X[:, 7] - 2.0 * X[:, 14] + rng.normal(size=100)
    >>> model = L0Regressor().fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([ 7, 14])
    >>> bool(cross_val_score(L0Regressor(), X, y).mean() > 0.7)
    True
    """

    @known_arguments()
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit a path and take the model that the criterion, or cross-validation, chooses.

        Parameters
        ----------
        X : array, sparse matrix or DataFrame, shape (n, n_features)
            The features, at least two rows.
        y : array of shape (n,) or (n, n_outputs)
            The response; of several, each has a path of its own.
        sample_weight : array of shape (n,) or float, optional
            How many observations each row counts as (see `l0_regression_path`).

        Returns
        -------
        L0Regressor
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError
            For unusable hyper-parameters and weights, before any work.
        ValueError, TypeError
            From scikit-learn, for data that it does not accept.
        """
        response, paths = self._paths(X, y, sample_weight)
        self._keep(response, [path.coef_ for path in paths], [path.intercept_ for path in paths])
        return self


class L0Selector(Selector, PathEstimator):
    """Select features by `l0_regression_path`, for a pipeline before another estimator.

    Parameters
    ----------
    n_active, method, criterion, coefficients, lambda_l2, fit_intercept, seed, device
        As in `l0_regression_path`. With ``n_active=k`` exactly k features are selected, of several responses
        for each. `coefficients` matters only with `cv`.
    cv : int, iterable of pairs or cross-validation splitter, optional
        As in `L0Regressor`.

    Attributes
    ----------
    support_ : bool array of shape (n_features,)
        Which features are selected: for several responses those that are selected for any of them.
    path_ : RegressionPath or list of n_outputs RegressionPath
        The models of all sizes, with inclusion probabilities where the method finds them.
    n_features_in_ : int
        Number of features seen by `fit`.
    feature_names_in_ : array of shape (n_features,)
        Their names, if X was a frame whose columns have strings for names.

    See Also
    --------
    L0Regressor : The same path as a regressor.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from l0np.sklearn import L0Selector
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 30))
    >>> y = X[:, 3] - X[:, 8] + 0.1 * rng.normal(size=200)
    >>> model = make_pipeline(L0Selector(method="exchange"), KNeighborsRegressor()).fit(X, y)
    >>> model[0].get_support(indices=True)
    array([3, 8])
    >>> model[0].get_feature_names_out()
    array(['x3', 'x8'], dtype=object)
    """

    @known_arguments()
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit a path and take the features of the model that the criterion, or cross-validation, chooses.

        Parameters
        ----------
        X, y, sample_weight
            As in `L0Regressor.fit`.

        Returns
        -------
        L0Selector
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError, ValueError, TypeError
            As in `L0Regressor.fit`.
        """
        _, paths = self._paths(X, y, sample_weight)
        self.support_ = np.zeros(self.n_features_in_, bool)
        for path in paths:
            self.support_[path.indices] = True
        return self
