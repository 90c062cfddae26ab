"""Sparse linear regression with gated coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from l0np.callbacks import Progress, regression_report
from l0np.engine import Communicator, State
from l0np.errors import InputError, warn
from l0np.inputs import known_arguments, validation
from l0np.maths import IdentityLink, Link, Parameter, philox
from l0np.matrix import SharedMatrix
from l0np.models import (
    Fault,
    FitEnd,
    ResumableRegression,
    TrainingSettings,
    check_same,
    checked_communicator,
    faults_of_regression,
)
from l0np.refit import Design, r_squared
from l0np.targets import Targets

WEIGHT_START_SD = 0.1
LOG_ALPHA_JITTER_SD = 0.01
OLD_NAMES = {"X_sparse": "X"}  # of arguments, in l0-python


class SparseL0Linear(ResumableRegression):
    """Linear regression ``y = X @ (weight * gate) + bias``, trained until few gates are open.

    The objective is ``mean_i (y_i - prediction_i)^2 + lambda_l0 E[open gates]`` with gates from the Hard
    Concrete distribution (Louizos, Welling and Kingma 2017, arXiv:1712.01312). Adam minimises it, with one
    draw of the gates in each epoch. The intercept has no gate.

    Parameters
    ----------
    n_features : int
        Number of features, the columns of X.
    fit_intercept : bool
        Whether there is an intercept, called `bias`.
    beta, gamma, zeta, device, seed, dtype, test_time_temperature
        As in `SparseCalibrationWeights`.
    init_keep_prob : float or array of shape (n_features,)
        Initial keep probability, whose logit is log_alpha, up to noise of standard deviation 0.01.

    Raises
    ------
    InputError, InputTypeError
        For an argument outside its bounds.
    BackendUnavailableError
        For a device that this machine does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import SparseL0Linear
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> y = 3.0 + X @ np.array([1.0, 0.0, -2.0, 0.0])
    >>> model = SparseL0Linear(n_features=4, seed=0).fit(X, y, lambda_l0=0.05, lr=0.02, epochs=1000)
    >>> model.get_selected_features()
    array([0, 2])
    >>> bool(np.allclose(model.get_coefficients(), [1, 0, -2, 0], atol=0.05))
    True
    """

    _link: ClassVar[Link] = IdentityLink()
    _theta_name: ClassVar[str] = "weight"

    @known_arguments()
    def __init__(
        self,
        n_features: int,
        fit_intercept: bool = True,
        beta: float | Callable[[int], float] = 2 / 3,
        gamma: float = -0.1,
        zeta: float = 1.1,
        init_keep_prob: ArrayLike = 0.5,
        device: str = "cpu",
        seed: int | None = None,
        *,
        dtype: DTypeLike = "float32",
        test_time_temperature: bool = True,
    ) -> None:
        super().__init__(n_features, beta, gamma, zeta, device, seed, dtype, test_time_temperature)
        self.fit_intercept = validation.flag("fit_intercept", fit_intercept)
        self.init_keep_prob = init_keep_prob
        log_alpha = self._jittered_log_alpha()
        intercept = Parameter.start(np.zeros(1, self.dtype)) if self.fit_intercept else None
        start = replace(self._start, log_alpha=Parameter.start(log_alpha), intercept=intercept)
        self._start = self._state = start

    def _jittered_log_alpha(self) -> NDArray[Any]:
        return self._start_log_alpha(self.init_keep_prob, LOG_ALPHA_JITTER_SD)

    @property
    def weight(self) -> NDArray[Any]:
        """Ungated coefficients, shape (n_features,), read-only."""
        return self._read_only_theta()

    @property
    def bias(self) -> float | None:
        """The intercept; None if none is fitted."""
        intercept = self._state.intercept
        return None if intercept is None else np.float64(intercept.value[0])

    @known_arguments(old_names=OLD_NAMES)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        lambda_l0: float | None = None,
        lr: float | Callable[[int], float] = 0.01,
        epochs: int = 1000,
        verbose: bool = False,
        verbose_freq: int = 100,
        *,
        n_active: int | None = None,
        lambda_reg: float | None = None,
        callbacks: Sequence[Callable[[Progress], bool | None]] = (),
        fold: bool | str = "auto",
        communicator: Communicator | None = None,
    ) -> Self:
        """Train for more epochs, starting from the model's current state.

        At the first fit the coefficients start at 0.1 times standard normal draws and the bias at the mean
        of y.

        A second fit goes on, so that a model that is fitted to one fold of a cross-validation after another
        has seen all of them: in pipelines use `l0np.sklearn.L0GatedRegressor`, which starts afresh.

        Parameters
        ----------
        X : ColumnMatrix, scipy.sparse array, array, list of lists or DataFrame, shape (n, n_features)
            The features. They are converted at every call, except a `ColumnMatrix`. The first frame with
            names of columns gives them to the model: columns of later frames are used by name, in any order,
            and all else by position (see `column_names_`). Rows count by position: a Series y must have the
            labels of the frame's rows in its order, or a default index. ``X_sparse=``, its name in l0-python,
            is accepted too.
        y : array of shape (n,)
            The response.
        lambda_l0 : float, optional
            L0 multiplier: what one expected open gate adds to the objective; None means 0.01.
        lr : float or callable
            Learning rate of Adam, above 0, or a schedule ``epoch -> lr``.
        epochs : int
            Epochs to train; 0 does nothing.
        verbose : bool
            Print a report at every epoch that is a multiple of `verbose_freq`, and after the last one.
        verbose_freq : int
            Epochs between reports: printing, callbacks, the check that all numbers are finite.
        lambda_reg : float, optional
            Old name of `lambda_l0`.
        n_active : int, optional
            Select exactly this many features. A controller moves lambda_l0 so that the expected number of
            open gates moves towards n_active by at most 0.6 % per epoch and stays there (Gallego-Posada et
            al. 2022, arXiv:2208.04425). At the end, or when a callback stops the fit, the n_active features
            whose gates are most likely to be open are selected, with their ungated coefficients, and
            `lambda_l0_` is the last value of the multiplier. Callbacks still see the gates. If an exception
            interrupts the fit, nothing is selected. A later fit without n_active drops the selection and
            continues to train all gates.
        callbacks : sequence of callables
            Each gets a `Progress` at every report; one that returns True stops the fit.
        fold : {"auto", True, False}
            Whether rows of X that are sums of other rows are added up in each epoch instead of being read:
            see `ColumnMatrix.folded`.
        communicator : Communicator, optional
            As in `SparseCalibrationWeights.fit`.

        Returns
        -------
        SparseL0Linear
            The model itself.

        Raises
        ------
        InputError, InputTypeError
            For unusable arguments, before any training; the model stays as it was.
        DivergenceError
            If training produces infinity or NaN; the model is at its last finite report or, without one, as
            before.

        Warns
        -----
        PoorFitWarning
            If, from 100 epochs on, no feature is active, the loss still falls, or gates without noise change
            the predictions; the message says what to try.
        """
        if lambda_reg is not None:
            if lambda_l0 is not None:
                raise InputError("lambda_reg is the old spelling of lambda_l0: give one of them")
            lambda_l0 = validation.real_number("lambda_reg", lambda_reg, at_least=0.0)
        settings = TrainingSettings.checked(
            lambda_l0=lambda_l0,
            n_active=n_active,
            lr=lr,
            epochs=epochs,
            verbose_freq=verbose_freq,
            callbacks=callbacks,
        ).with_fold(fold)
        if validation.flag("verbose", verbose):
            settings = replace(settings, callbacks=(regression_report, *settings.callbacks))
        ranks = communicator and checked_communicator(communicator)
        matrix = self._trainable("X", X, settings.fold if ranks is None else False)
        n = matrix.shape[0]
        validation.check_order("y", y, "X", X)
        labels = validation.row_labels(X, y)
        target = validation.vector("y", y, n, self.dtype, per="row of X", labels=labels).astype(np.float64)
        targets = Targets.plain(target, weights=np.full(n, 1.0 / n))
        with self._named_after(X):
            return self.train_on(
                matrix, targets, settings, answer_like=(X, y), judged=True, communicator=ranks
            )

    def _faults(self, end: FitEnd) -> Iterator[Fault]:
        return faults_of_regression(end)

    @known_arguments(old_names=OLD_NAMES)
    def refit(
        self, X: Any, y: ArrayLike, *, lambda_l2: float = 0.0, communicator: Communicator | None = None
    ) -> Self:
        """Replace the coefficients of the selected features, and the bias, by least squares.

        The selected features are those that `n_active` selected, else those whose test-time gate is above 0.
        They stay selected, with ungated coefficients that minimise ``mean_i (y_i - prediction_i)^2 +
        lambda_l2 sum_j (sd_j coefficient_j)^2``, where sd_j is the standard deviation of feature j: neither
        the penalty nor the accuracy depends on units. A later `fit` drops the selection and continues from
        these coefficients.

        Parameters
        ----------
        X : ColumnMatrix, scipy.sparse array, array, list of lists or DataFrame, shape (n, n_features)
            The features.
        y : array of shape (n,)
            The response.
        lambda_l2 : float
            Ridge penalty, 0 or more.
        communicator : Communicator, optional
            As in `SparseCalibrationWeights.refit`.

        Returns
        -------
        SparseL0Linear
            The model itself.

        Raises
        ------
        InputError, InputTypeError
            For unusable arguments; the model stays as it was.

        Warns
        -----
        RuntimeWarning
            If the selected features are linearly dependent and nothing is penalised: the coefficients are
            then the solution of least norm, for standardised features. Also if the iterative solver, which
            problems with more than 20 million selected entries need, did not converge.

        Examples
        --------
        >>> import numpy as np
        >>> from l0np import SparseL0Linear
        >>> X = np.random.default_rng(0).normal(size=(100, 4))
        >>> y = 3.0 + X @ np.array([1.0, 0.0, -2.0, 0.0])
        >>> model = SparseL0Linear(n_features=4, seed=0).fit(X, y, n_active=2, lr=0.1).refit(X, y)
        >>> model.get_coefficients().round(5) + 0.0
        array([ 1.,  0., -2.,  0.], dtype=float32)
        """
        penalty = validation.real_number("lambda_l2", lambda_l2, at_least=0.0)
        ranks = communicator and checked_communicator(communicator)
        matrix: Any = self._refittable("X", X)
        validation.check_order("y", y, "X", X)
        n, labels = matrix.shape[0], validation.row_labels(X, y)
        target = validation.vector("y", y, n, np.dtype(np.float64), per="row of X", labels=labels)
        validation.check_squarable("y", np.abs(target).max())
        state = self._state
        is_chosen = self._test_time_gates(state) > 0
        is_own: Any = slice(None)
        if ranks is None:
            chosen = np.flatnonzero(is_chosen)
        else:
            check_same(ranks, {"y": target, "lambda_l2": penalty})
            matrix = SharedMatrix(matrix, ranks)
            chosen = np.flatnonzero(matrix.joined(is_chosen))
            is_own = (chosen >= matrix.columns.start) & (chosen < matrix.columns.stop)
        design = Design.of(matrix, chosen, intercept=self.fit_intercept)
        answer = design.solve(target, np.arange(len(chosen)), penalty)
        if not answer.converged:
            message = "refit: least squares did not converge; the coefficients are the best found"
            warn(message, RuntimeWarning)
        if answer.rank is not None and answer.rank < len(chosen):
            rank = f"the {len(chosen)} selected features have rank {answer.rank}"
            message = f"refit: {rank}; coefficients of least norm are taken"
            warn(message, RuntimeWarning)
        weight = np.array(state.theta.value)
        with np.errstate(over="ignore"):
            weight[is_chosen] = answer.coefficients[is_own]
            finite = np.isfinite(weight).all() and np.isfinite(self.dtype.type(answer.intercept))
        if not finite:
            rule = 'use other units or dtype="float64"'
            raise InputError(f"refit: the coefficients leave the range of {self.dtype}: {rule}")
        intercept = state.intercept and replace(
            state.intercept, value=np.full(1, answer.intercept, self.dtype)
        )
        selection = np.array(is_chosen)
        theta = replace(state.theta, value=weight)
        with self._named_after(X):
            self._state = replace(state, theta=theta, intercept=intercept, selection=selection)
        return self

    def _first_state(self, target: NDArray[np.float64]) -> State:
        """Return the state in which the first fit starts: drawn, unless a state with weights was loaded."""
        if self._state.theta.value.any():
            return self._state
        weight = WEIGHT_START_SD * philox.normal(
            self.seed_, philox.WEIGHT_START, self.n_features, self._first_column
        )
        intercept = None
        if self.fit_intercept:
            intercept = Parameter.start(np.full(1, target.mean(), self.dtype))
        return replace(self._state, theta=Parameter.start(weight.astype(self.dtype)), intercept=intercept)

    @known_arguments(old_names=OLD_NAMES)
    def predict(self, X: Any, *, communicator: Communicator | None = None) -> NDArray[np.float64]:
        """Return the predictions at test time, shape (rows of X,), in float64.

        Columns of a frame are used by name if the model knows names (`column_names_`), else by position. With
        a communicator, X has the rank's own columns, and the predictions are those of all ranks.
        """
        state = self._state
        bias = 0.0 if state.intercept is None else np.float64(state.intercept.value[0])
        return self._predict("X", X, state, communicator) + bias

    @known_arguments(old_names=OLD_NAMES)
    def score(self, X: Any, y: ArrayLike) -> float:
        """Return R squared of the predictions: 1 minus the squared error over that of the mean of y.

        If y is constant, it is 1 if every prediction is exact, else 0, as in scikit-learn.

        Parameters
        ----------
        X : ColumnMatrix, scipy.sparse array, array, list of lists or DataFrame, shape (n, n_features)
            The features, as in `predict`.
        y : array of shape (n,)
            The response.

        Raises
        ------
        InputError, InputTypeError
            For unusable arguments.

        Examples
        --------
        >>> import numpy as np
        >>> from l0np import SparseL0Linear
        >>> X = np.random.default_rng(0).normal(size=(100, 4))
        >>> y = 3.0 + X @ np.array([1.0, 0.0, -2.0, 0.0])
        >>> model = SparseL0Linear(n_features=4, seed=0).fit(X, y, n_active=2, lr=0.1).refit(X, y)
        >>> round(model.score(X, y), 6)
        1.0
        """
        prediction = validation.on_host(self.predict(X))
        validation.check_order("y", y, "X", X)
        n, labels = len(prediction), validation.row_labels(X, y)
        target = validation.vector("y", y, n, np.dtype(np.float64), per="row of X", labels=labels)
        return r_squared(target, prediction)

    @known_arguments()
    def get_coefficients(self, threshold: float = 0.01) -> NDArray[Any]:
        """Return the gated coefficients, shape (n_features,); 0 if the gate is below `threshold`."""
        state = self._state
        weights = self._test_time_weights(state)
        return self._answer(np.where(self._selected(state, threshold), weights, self.dtype.type(0)))

    @known_arguments()
    def get_selected_features(self, threshold: float = 0.01) -> NDArray[np.int64]:
        """Return the indices of the features whose test-time gate is above 0 and at least `threshold`."""
        return self._answer(np.flatnonzero(self._selected(self._state, threshold)))

    def _selected(self, state: State, threshold: float) -> NDArray[np.bool_]:
        least = validation.real_number("threshold", threshold, at_least=0.0, at_most=1.0)
        gates = self._test_time_gates(state)
        return np.asarray((gates > 0) & (gates >= least))
