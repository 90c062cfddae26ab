"""Sparse regressions of every size, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np._text import SHOWN, columns, counted, number
from l0np.errors import InputError
from l0np.inputs import validation
from l0np.matrix import ColumnMatrix
from l0np.refit import Design
from l0np.regression.methods import METHODS, Method, Supports, Task, select

EXACT, ROUNDING = 1e-9, 4 * np.finfo(float).eps  # errors that are none: of the response's standard deviation, of its size
DECIMALS = 12  # of an expected F1 measure that mean something


@dataclass(frozen=True, eq=False, repr=False)
class RegressionPath:
    """Linear models of several sizes for one response, and which of them was chosen.

    Attributes
    ----------
    n_active : int array of shape (sizes,)
        Features in each model, ascending.
    error : array of shape (sizes,)
        Mean squared error of each on the data it was fitted to.
    criterion : array of shape (sizes,)
        What the choice was made by; smaller is better, and of equals the fewest features. Errors that are mere rounding are
        equal.
    coefficients : scipy.sparse.csr_array of shape (sizes, n_features)
        In the units of X and y.
    intercepts : array of shape (sizes,)
    lambda_l0 : array of shape (sizes,)
        Price of one open gate at which the gates were trained; nan where none were.
    inclusion : array of shape (n_features,), optional
        Each feature's probability of belonging in the model; None unless ``method="inclusion"``.
    best : int
        Position of the chosen model.
    """

    n_active: NDArray[np.int64]
    error: NDArray[np.float64]
    criterion: NDArray[np.float64]
    coefficients: Any
    intercepts: NDArray[np.float64]
    lambda_l0: NDArray[np.float64]
    inclusion: NDArray[np.float64] | None
    best: int

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Tell which features were chosen, and the sizes next to theirs in a line each."""
        p, names = self.coefficients.shape[1], ", ".join(map(str, self.indices[:SHOWN]))
        names += ", ..." if self.n_active_ > SHOWN else ""
        first = f"RegressionPath: {counted(self.n_active_, 'feature')} of {p:,} chosen" + (f": {names}" if names else "")
        shown = np.sort(np.argsort(np.abs(np.arange(len(self.n_active)) - self.best), kind="stable")[:SHOWN])
        rows = [["features", "squared error", "criterion", ""]]
        for i in shown:
            cells = [f"{self.n_active[i]:,}", number(self.error[i]), f"{self.criterion[i]:.6g}"]
            rows.append([*cells, "  chosen" if i == self.best else ""])
        rest = len(self.n_active) - len(shown)
        more = [f"... and {counted(rest, 'more size')}"] if rest else []
        return "\n".join([first, "", *columns(rows, (8, 16, 14, -1)), *more])

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

    def features(self, n_active: int) -> NDArray[np.int64]:
        """Return the features of the model of a size on the path, ascending."""
        row = slice(*self.coefficients.indptr[self._position(n_active) :][:2])
        return np.sort(self.coefficients.indices[row].astype(np.int64))

    def predict(self, X: Any, n_active: int | None = None) -> NDArray[np.float64]:
        """Return the predictions of the chosen model or of that of a size on the path, shape (rows of X,)."""
        position = self.best if n_active is None else self._position(n_active)
        matrix = _matrix(X)
        validation.check_columns("X", matrix.shape, self.coefficients.shape[1])
        return np.asarray(matrix.to_scipy() @ self._coefficients(position) + self.intercepts[position], dtype=np.float64)

    def score(self, X: Any, y: ArrayLike, n_active: int | None = None) -> float:
        """Return R squared of the predictions: 1 less squared error over that of the mean of y.

        For a y that is constant it is 1 where every prediction is exact, else 0, as in scikit-learn.
        """
        prediction = self.predict(X, n_active)
        target = _target(y, len(prediction))
        error, spread = float(np.sum((target - prediction) ** 2)), float(np.sum((target - target.mean()) ** 2))
        return 1.0 - error / spread if spread else float(not error)

    def _coefficients(self, position: int) -> NDArray[np.float64]:
        row: NDArray[np.float64] = self.coefficients[[position]].toarray()[0]
        return row

    def _position(self, n_active: int) -> int:
        found = np.flatnonzero(self.n_active == validation.whole_number("n_active", n_active, at_least=0))
        if not found.size:
            raise InputError(f"n_active must be on the path, {self.n_active.tolist()}; got {n_active!r}")
        return int(found[0])


def _log_choose(p: int, k: NDArray[Any]) -> NDArray[np.float64]:
    lgamma = np.vectorize(math.lgamma, otypes=[float])
    return np.asarray(math.lgamma(p + 1) - lgamma(k + 1) - lgamma(p - k + 1))


# name: price of k features among p, for n observations, beside n log(mean squared error)
PENALTIES: dict[str, Callable[[NDArray[Any], int, int], NDArray[np.float64]]] = {
    "bic": lambda k, n, p: k * math.log(n),  # Schwarz 1978
    "ebic": lambda k, n, p: k * math.log(n) + 2.0 * _log_choose(p, k),  # Chen and Chen 2008, their gamma 1
    "gic": lambda k, n, p: k * math.log(p) * math.log(math.log(max(n, 3))),  # Fan and Tang 2013
}


def l0_regression_path(
    X: Any,
    y: ArrayLike,
    n_active: int | Iterable[int] | None = None,
    *,
    method: str = "inclusion",
    criterion: str | None = None,
    cv: int | None = None,
    coefficients: str | None = None,
    lambda_l2: float = 0.0,
    fit_intercept: bool = True,
    seed: int = 0,
    device: str = "cpu",
) -> RegressionPath:
    """Return linear models of few features, for several numbers of features, and choose one of them.

    Features are standardised within, so that their units decide nothing; coefficients come back in the units of X and y.

    Parameters
    ----------
    X : ColumnMatrix, scipy.sparse array or matrix, array, list of lists or DataFrame, shape (n, n_features)
        The features.
    y : array of shape (n,)
        The response.
    n_active : int or iterable of int, optional
        Numbers of features to fit; by default 0, 1, ... up to n / (log p log log n), at most 100.
    method : {"inclusion", "exchange", "gates"}
        How features are chosen. "inclusion" ranks them by the posterior probability that they belong in the model, averaged
        over many sparse models (spike and slab, George and McCulloch 1993): the best support where the noise is large, and
        fast. "exchange" finds for each size a subset that no exchange of two features improves: the smallest error.
        "gates" trains `SparseL0Linear` with `n_active`, from the largest size to the smallest, each warm-started. Of more than
        2,000 features all look at those that correlate most with y or with what a first model leaves of it.
    criterion : {"f1", "bic", "ebic", "gic"}, optional
        How the size is chosen. "f1" (only with "inclusion", where it is the default) takes the largest expected F1 measure
        of the support. Information criteria are ``n log(error)`` plus a price for each feature: "bic" log n, "gic"
        ``log p log log n`` (Fan and Tang 2013), "ebic" log n and twice the logarithm of the number of subsets of the size
        (Chen and Chen 2008; the default otherwise).
    cv : int, optional
        Choose the size by the squared error in so many-fold cross-validation instead; folds are drawn with `seed`.
    coefficients : {"posterior", "least squares"}, optional
        How the coefficients of the chosen features are found. "posterior" (only with "inclusion", where it is the default
        unless `lambda_l2` is given) comes as near as these features can to the predictions of all sparse models, averaged by
        their probability (P. R. Hahn, C. M. Carvalho, JASA 110, 2015): it predicts better than least squares, which overfits
        the features chosen for their luck. "least squares" fits y itself.
    lambda_l2 : float
        Ridge penalty on the coefficients of standardised features, beside the mean squared error, of least squares.
    fit_intercept : bool
        Whether there is an intercept.
    seed : int
        Of all random numbers; the answer is a function of it.
    device : str
        As in `SparseL0Linear`; only "gates" trains on a GPU.

    Returns
    -------
    RegressionPath
        Models of all sizes; `coef_`, `intercept_`, `indices`, `predict` and `score` speak of the chosen one.

    Raises
    ------
    InputError, InputTypeError
        For unusable arguments, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import l0_regression_path
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 50)) * np.logspace(-3, 3, 50)  # features in very different units
    >>> y = 3.0 + X[:, 7] / X[:, 7].std() - 2.0 * X[:, 40] / X[:, 40].std() + rng.normal(size=100)
    >>> path = l0_regression_path(X, y)
    >>> path.indices
    array([ 7, 40])
    >>> path.features(n_active=1)
    array([40])
    >>> round(path.score(X, y), 2)
    0.85
    >>> print(str(path).splitlines()[0])
    RegressionPath: 2 features of 50 chosen: 7, 40
    """
    choose = validation.one_of("method", method, METHODS)
    matrix = _matrix(X)
    n, p = matrix.shape
    validation.check_order("y", y, "X", X)
    target = _target(y, n)
    validation.check_squarable("y", np.abs(target).max())
    sizes = None if n_active is None else _sizes(n_active, p)
    if cv is not None and criterion is not None:
        raise InputError("cv chooses by cross-validation, criterion without it: give one of them")
    criterion = criterion or ("f1" if method == "inclusion" else "ebic")
    validation.one_of("criterion", criterion, {"f1": criterion, **dict.fromkeys(PENALTIES, criterion)})
    if criterion == "f1" and method != "inclusion" and cv is None:
        raise InputError(f'criterion="f1" needs the probabilities of method="inclusion", got method={method!r}')
    folds = None if cv is None else validation.whole_number("cv", cv, at_least=2, at_most=n)
    ridge = validation.real_number("lambda_l2", lambda_l2, at_least=0.0)
    design = Design(matrix, intercept=validation.flag("fit_intercept", fit_intercept))
    shrunken = _shrunken(coefficients, method, ridge)
    task = Task(design, target, validation.whole_number("seed", seed, at_least=0, at_most=2**64 - 1), device, p)
    supports = select(choose, task, sizes)
    path = _fitted(task, supports, ridge, shrunken=shrunken)
    if folds is not None:
        values = np.maximum(_cross_validated(task, choose, path.n_active, ridge, folds, shrunken=shrunken), _no_error(task))
    elif criterion == "f1" and supports.expected_f1 is not None:
        values = (1.0 - supports.expected_f1[path.n_active]).round(DECIMALS)
    else:
        error = _fitted(task, supports, ridge, shrunken=False).error if shrunken else path.error
        values = n * np.log(np.maximum(error, _no_error(task))) + PENALTIES[criterion](path.n_active, n, p)
    return replace(path, criterion=values, best=int(np.argmin(values)))


def _shrunken(coefficients: str | None, method: str, ridge: float) -> bool:
    """Return whether coefficients are those of the posterior."""
    possible = method == "inclusion" and not ridge
    if coefficients is None:
        return possible
    shrunken = validation.one_of("coefficients", coefficients, {"posterior": True, "least squares": False})
    if shrunken and not possible:
        given = f"method={method!r}" if method != "inclusion" else f"lambda_l2={ridge:g}"
        raise InputError(f'coefficients="posterior" needs method="inclusion" and no other shrinkage, got {given}')
    return shrunken


def _no_error(task: Task) -> float:
    """Return the mean squared error below which there is none but rounding: one that is smaller is no better."""
    spread = float(np.std(task.y)) if task.design.intercept else float(np.sqrt(np.mean(task.y**2)))
    least = max(EXACT * spread, ROUNDING * float(np.abs(task.y).max()))
    return max(least**2, np.finfo(float).tiny)


def _fitted(task: Task, supports: Supports, ridge: float, *, shrunken: bool) -> RegressionPath:
    """Return least squares on each support: to the response, or shrunken, to what the posterior expects of it."""
    from scipy import sparse

    design, sizes = task.design, np.array(sorted(supports.features))
    chosen = [supports.features[int(k)] for k in sizes]
    target = supports.fitted if shrunken and supports.fitted is not None else task.y
    answers = [design.solve(target, columns, ridge) for columns in chosen]
    indptr = np.concatenate(([0], np.cumsum(sizes)))
    data = np.concatenate([answer.coefficients for answer in answers])
    coefficients = sparse.csr_array((data, np.concatenate(chosen), indptr), shape=(len(sizes), design.p))
    predictions = [design.predictions(columns, answer) for columns, answer in zip(chosen, answers, strict=True)]
    return RegressionPath(
        n_active=sizes,
        error=np.array([np.mean((task.y - prediction) ** 2) for prediction in predictions]),
        criterion=np.full(len(sizes), np.nan),
        coefficients=coefficients,
        intercepts=np.array([answer.intercept for answer in answers]),
        lambda_l0=np.array([math.nan if supports.lambda_l0 is None else supports.lambda_l0[int(k)] for k in sizes]),
        inclusion=supports.inclusion,
        best=0,
    )


def _cross_validated(
    task: Task,
    choose: Method,
    sizes: NDArray[np.int64],
    ridge: float,
    folds: int,
    *,
    shrunken: bool,
) -> NDArray[np.float64]:
    """Return each size's mean squared error on rows left out, everything else done on the other rows only."""
    n = task.design.n
    fold = np.random.Generator(np.random.Philox(key=task.seed)).permutation(np.arange(n) % folds)
    squares = np.zeros(len(sizes))
    for left_out in range(folds):
        inside = fold != left_out
        part = replace(task, design=task.design.rows(np.flatnonzero(inside)), y=task.y[inside])
        path = _fitted(part, select(choose, part, sizes), ridge, shrunken=shrunken)
        predictions = task.design.unscaled(np.flatnonzero(~inside)) @ path.coefficients.T.toarray() + path.intercepts
        squares += np.sum((task.y[~inside, None] - predictions) ** 2, axis=0)
    return squares / n


def _matrix(X: Any) -> ColumnMatrix:
    if not hasattr(X, "shape"):
        X = validation.numeric_array("X", X)
    return ColumnMatrix.of(X, name="X")


def _target(y: Any, n: int) -> NDArray[np.float64]:
    return np.asarray(validation.vector("y", y, n, np.dtype(np.float64), per="row of X"))


def _sizes(n_active: Any, p: int) -> NDArray[np.int64]:
    if not isinstance(n_active, Iterable) or isinstance(n_active, str) or getattr(n_active, "ndim", 1) == 0:
        n_active = (n_active,)
    sizes = {validation.whole_number("n_active", k, at_least=0, at_most=p) for k in n_active}
    if not sizes:
        raise InputError("n_active names no number of features")
    return np.array(sorted(sizes))
