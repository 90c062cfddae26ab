"""`L0GatedRegressor`: `SparseL0Linear` as a regressor that starts afresh at each fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np.inputs import known_arguments, validation
from l0np.matrix import ColumnMatrix
from l0np.models import TrainingSettings
from l0np.refit import Design
from l0np.regression import standardised
from l0np.sklearn.base import LinearEstimator, responses
from l0np.sparse import SparseL0Linear


class Model(NamedTuple):
    """A linear model of one response, and the L0 multiplier at the end of its training."""

    coefficients: NDArray[np.float64]
    intercept: float
    lambda_l0: float


class L0GatedRegressor(LinearEstimator):
    """Linear regression with trained gates: `SparseL0Linear`, started afresh at each fit.

    The response is divided by its standard deviation before training, and each feature by its own, so that
    one `lambda_l0` and one learning rate suit data in any units: a gate that is open costs that fraction of
    the variance of y. Features are also centred, unless fewer than a tenth of their entries are stored.

    Parameters
    ----------
    lambda_l0 : float, optional
        L0 multiplier; None means 0.01 unless `n_active` is given.
    n_active : int, optional
        Select exactly this many features instead.
    epochs : int
        Epochs to train.
    lr : float or callable
        Learning rate of Adam, or a schedule ``epoch -> lr``.
    refit : bool
        Whether the coefficients of the selected features are those of least squares; otherwise they are those
        that were trained, gates included.
    lambda_l2 : float
        Ridge penalty of the refit on the coefficients of standardised features.
    fit_intercept : bool
        Whether there is an intercept.
    beta : float or callable
        Temperature of the gates, or a schedule ``epoch -> beta``.
    init_keep_prob : float or array of shape (n_features,)
        Initial keep probability.
    seed : int
        Seed of all random numbers.
    device : str
        As in `SparseL0Linear`.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_outputs, n_features)
        Coefficients in the units of X and y, 0 where a feature is not selected.
    intercept_ : float or array of shape (n_outputs,)
        The intercept.
    lambda_l0_ : float or array of shape (n_outputs,)
        The L0 multiplier at the end of training, which `n_active` moves.
    n_features_in_ : int
        Number of features seen by `fit`.
    feature_names_in_ : array of shape (n_features,)
        Their names, if X was a frame whose columns have strings for names.

    See Also
    --------
    L0Regressor : The regression path, which is faster and selects better.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.sklearn import L0GatedRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 20))
    >>> y = 3.0 + X[:, 7] - 2.0 * X[:, 14] + 0.1 * rng.normal(size=200)
    >>> model = L0GatedRegressor(lambda_l0=0.02).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([ 7, 14])
    >>> np.flatnonzero(L0GatedRegressor(n_active=1).fit(X, y).coef_)
    array([14])
    """

    lambda_l0_: float | NDArray[np.float64]

    @known_arguments()
    def __init__(
        self,
        lambda_l0: float | None = None,
        *,
        n_active: int | None = None,
        epochs: int = 1000,
        lr: float | Callable[[int], float] = 0.05,
        refit: bool = True,
        lambda_l2: float = 0.0,
        fit_intercept: bool = True,
        beta: float | Callable[[int], float] = 2 / 3,
        init_keep_prob: ArrayLike = 0.5,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.lambda_l0 = lambda_l0
        self.n_active = n_active
        self.epochs = epochs
        self.lr = lr
        self.refit = refit
        self.lambda_l2 = lambda_l2
        self.fit_intercept = fit_intercept
        self.beta = beta
        self.init_keep_prob = init_keep_prob
        self.seed = seed
        self.device = device

    @known_arguments()
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train gates from the start, and refit.

        Parameters
        ----------
        X : array, sparse matrix or DataFrame, shape (n, n_features)
            The features, at least two rows.
        y : array of shape (n,) or (n, n_outputs)
            The response; of several, each has gates of its own.
        sample_weight : array of shape (n,) or float, optional
            How many observations each row counts as (see `l0_regression_path`).

        Returns
        -------
        L0GatedRegressor
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError
            For unusable hyper-parameters and weights, before any work.
        DivergenceError
            If training produces infinity or NaN.
        ValueError, TypeError
            From scikit-learn, for data that it does not accept.
        """
        X, response = self._checked(X, y)
        settings = TrainingSettings.checked(
            lambda_l0=self.lambda_l0, n_active=self.n_active, lr=self.lr, epochs=self.epochs
        )
        validation.real_number("lambda_l2", self.lambda_l2, at_least=0.0)
        validation.flag("refit", self.refit)
        intercept = validation.flag("fit_intercept", self.fit_intercept)
        weights = validation.sample_weights("sample_weight", sample_weight, X.shape[0], "X", X)
        validation.check_squarable("y", np.abs(response).max())
        design = Design.of(ColumnMatrix.of(X, name="X"), intercept=intercept, weights=weights)
        models = [self._model(design, one, settings) for one in responses(response)]
        self._keep(response, [model.coefficients for model in models], [model.intercept for model in models])
        multipliers = [model.lambda_l0 for model in models]
        self.lambda_l0_ = multipliers[0] if response.ndim == 1 else np.array(multipliers)
        return self

    def _model(self, design: Design, y: NDArray[np.float64], settings: TrainingSettings) -> Model:
        """Train gates for one response, and return the model in the units of X and y."""
        mean, centred = design.mean(y) if design.intercept else 0.0, design.is_dense
        matrix, targets, scale = standardised(design, y - mean, centred=centred)
        gated = SparseL0Linear(
            design.p,
            fit_intercept=design.intercept and not centred,
            beta=self.beta,
            init_keep_prob=self.init_keep_prob,
            seed=self.seed,
            device=self.device,
        )
        gated.train_on(matrix, targets, settings)
        selected = gated.get_selected_features(threshold=0.0)
        if self.refit:
            answer = design.solve(y, selected, self.lambda_l2)
            found, intercept = answer.coefficients, answer.intercept
        else:
            trained = gated.get_coefficients(threshold=0.0)[selected].astype(np.float64)
            b = scale * math.sqrt(design.count) * trained
            # the best intercept for these coefficients, to which a trained one only converges
            found, intercept = design.in_units(selected, b, mean)
        coefficients = np.zeros(design.p)
        coefficients[selected] = found
        return Model(coefficients, intercept, float(gated.lambda_l0_ or 0.0))
