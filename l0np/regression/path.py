"""`l0_regression_path`: features of each size are selected, models fitted to them, and one size chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np.callbacks import Stages
from l0np.errors import InputError
from l0np.inputs import column_names, known_arguments, validation
from l0np.refit import Design
from l0np.regression.criteria import CRITERIA, Candidates, Criterion
from l0np.regression.folds import Fold, among, checked_folds, draw_folds
from l0np.regression.methods import METHODS, Method, Supports, Task, select
from l0np.regression.result import RegressionPath, feature_matrix, response_vector
from l0np.tables import kind_of

# Errors this small count as 0: relative to the response's standard deviation, and to its largest value
EXACT, ROUNDING = 1e-9, 4 * np.finfo(float).eps
LARGEST_SEED = 2**64 - 1


@known_arguments()
def l0_regression_path(
    X: Any,
    y: ArrayLike,
    n_active: int | Iterable[int] | None = None,
    *,
    method: str = "inclusion",
    criterion: str | None = None,
    cv: int | Iterable[Any] | None = None,
    coefficients: str | None = None,
    lambda_l2: float = 0.0,
    fit_intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
    device: str = "cpu",
    callbacks: Sequence[Callable[[Any], bool | None]] = (),
    verbose: bool = False,
) -> RegressionPath:
    """Return linear models of few features, for several numbers of features, and choose one of them.

    Features are standardised internally, so that their units do not matter; coefficients are returned in the
    units of X and y.

    Parameters
    ----------
    X : ColumnMatrix, scipy.sparse array or matrix, array, list of lists or DataFrame, shape (n, n_features)
        The features. If X is a frame whose columns have names, the answer keeps them, and its `predict` uses
        columns by name.
    y : array of shape (n,)
        The response.
    n_active : int or iterable of int, optional
        Numbers of features to fit; by default 0, 1, ... up to n / (log p log log n), at most 100.
    method : {"inclusion", "exchange", "gates"}
        How features are selected. "inclusion" ranks them by the posterior probability that they belong in the
        model, averaged over many sparse models (spike and slab, George and McCulloch 1993): the best support
        if the noise is large, and fast. "exchange" finds for each size a subset that no exchange of two
        features improves: the smallest error. "gates" trains `SparseL0Linear` with `n_active`, from the
        largest size to the smallest, each warm-started. If there are more than 2,000 features, all methods
        consider only those that correlate most with y or with the residual of a first model.
    criterion : {"f1", "bic", "ebic", "gic"}, optional
        How the size is chosen. "f1" (only with "inclusion", where it is the default) takes the largest
        expected F1 measure of the support. Information criteria are ``n log(error)`` plus a penalty for each
        feature: "bic" log n, "gic" ``log p log log n`` (Fan and Tang 2013), "ebic" log n and twice the
        logarithm of the number of subsets of the size (Chen and Chen 2008; the default otherwise).
    cv : int or iterable of pairs, optional
        Choose the size by the squared error in cross-validation with this many folds instead; folds are drawn
        with `seed`. Or the folds themselves: pairs of arrays of row numbers, those to fit to and those to
        predict.
    coefficients : {"posterior", "least squares"}, optional
        How the coefficients of the selected features are found. "posterior" (only with "inclusion", where it
        is the default unless `lambda_l2` is given) comes as near as these features can to the predictions of
        all sparse models, averaged by their probability (P. R. Hahn, C. M. Carvalho, JASA 110, 2015): it
        predicts better than least squares, which overfits the features selected for their luck. "least
        squares" fits y itself.
    lambda_l2 : float
        Ridge penalty of least squares on the coefficients of standardised features, added to the mean squared
        error.
    fit_intercept : bool
        Whether there is an intercept.
    sample_weight : array of shape (n,) or float, optional
        How many observations each row counts as, 0 or more; by default 1 each. An integer weight is that row
        repeated so many times, and a row of weight 0 takes no part: means, standard deviations and errors
        are weighted, and the sum of the weights is the number of observations in the criteria and in the
        prior. Weights that only say how much rows matter should therefore be scaled to a mean of 1. In
        cross-validation a row is in one fold, whatever its weight.
    seed : int
        Seed of all random numbers, which determines the answer up to the last digits: these may depend on
        the number of threads of NumPy's BLAS (``OPENBLAS_NUM_THREADS``).
    device : str
        As in `SparseL0Linear`; only "gates" trains on a GPU.
    callbacks : sequence of callables
        Each gets a `StageProgress`, and a `Progress` while gates are trained (see `l0np.callbacks`). One that
        returns True stops the run: the path then has the models that were found so far, at least one, and is
        marked as `stopped`.
    verbose : bool
        Print the stages of the run.

    Returns
    -------
    RegressionPath
        Models of all sizes; `coef_`, `intercept_`, `indices`, `predict` and `score` refer to the chosen one.

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
    RegressionPath: 2 features of 50 selected: 7, 40
    """
    validation.one_of("method", method, METHODS)
    matrix = feature_matrix(X)
    n, p = matrix.shape
    validation.check_order("y", y, "X", X)
    target = response_vector(y, n, X)
    validation.check_squarable("y", np.abs(target).max())
    sizes = None if n_active is None else _sizes(n_active, p)
    options = Options.checked(method, criterion, cv, coefficients, lambda_l2, n)
    intercept = validation.flag("fit_intercept", fit_intercept)
    weights = validation.sample_weights("sample_weight", sample_weight, n, "X", X)
    seed = validation.integer("seed", seed, at_least=0, at_most=LARGEST_SEED)
    design = Design.of(matrix, intercept=intercept, weights=weights)
    if weights is not None and not weights.all():
        rows = np.flatnonzero(weights)
        design, target = design.rows(rows), target[rows]
        if options.folds is not None:
            options = replace(options, folds=among(options.folds, rows, n))
    with Stages.checked(callbacks, verbose) as stages:
        task = Task(design, target, seed, device, p, stages)
        supports = select(options.method, task, sizes)
        path = _fitted(task, supports, options)
        values = _values(task, supports, path, options)
    return replace(
        path,
        criterion=values,
        best=_smallest_best(values),
        feature_names=column_names(X),
        kind=kind_of(X),
        stopped=stages.stopped,
    )


@dataclass(frozen=True)
class Options:
    """How features are selected, the size is chosen and coefficients are found, checked."""

    method: Method
    criterion: Criterion
    folds: int | list[Fold] | None  # of the cross-validation that replaces the criterion, if any
    ridge: float
    shrunken: bool  # whether coefficients are those of the posterior

    @classmethod
    def checked(
        cls, method: str, criterion: str | None, cv: Any, coefficients: str | None, lambda_l2: Any, n: int
    ) -> Options:
        """Check options that depend on each other, for n observations."""
        chosen = METHODS[method]
        if cv is not None and criterion is not None:
            raise InputError("cv chooses by cross-validation, criterion without it: give one of them")
        criterion = criterion or ("f1" if chosen.posterior else "ebic")
        values = validation.one_of("criterion", criterion, CRITERIA)
        if values.posterior and not chosen.posterior and cv is None:
            needed = f"needs the probabilities of {_with_posterior()}"
            raise InputError(f'criterion="{criterion}" {needed}, got method={method!r}')
        folds = None if cv is None else checked_folds(cv, n)
        ridge = validation.real_number("lambda_l2", lambda_l2, at_least=0.0)
        return cls(chosen, values, folds, ridge, _shrunken(coefficients, method, ridge))


def _with_posterior() -> str:
    """Return the methods that find a posterior, as a message names them."""
    return " or ".join(f'method="{name}"' for name, method in METHODS.items() if method.posterior)


def _shrunken(coefficients: str | None, method: str, ridge: float) -> bool:
    """Return whether coefficients are those of the posterior."""
    has_posterior = METHODS[method].posterior
    if coefficients is None:
        return has_posterior and not ridge
    shrunken = validation.one_of("coefficients", coefficients, {"posterior": True, "least squares": False})
    if shrunken and (ridge or not has_posterior):
        given = f"lambda_l2={ridge:g}" if has_posterior else f"method={method!r}"
        needed = f"needs {_with_posterior()} and no other shrinkage"
        raise InputError(f'coefficients="posterior" {needed}, got {given}')
    return shrunken


def _sizes(n_active: Any, p: int) -> NDArray[np.int64]:
    """Return the sizes that the user wants, ascending and without duplicates."""
    if not isinstance(n_active, Iterable) or isinstance(n_active, str) or getattr(n_active, "ndim", 1) == 0:
        n_active = (n_active,)
    sizes = {validation.integer("n_active", k, at_least=0, at_most=p) for k in n_active}
    if not sizes:
        raise InputError("n_active names no number of features")
    return np.array(sorted(sizes))


def _values(task: Task, supports: Supports, path: RegressionPath, options: Options) -> NDArray[np.float64]:
    """Return the value by which the size is chosen, for each size; the smallest wins."""
    if options.folds is not None:
        return np.maximum(_cross_validated(task, path.n_active, options, options.folds), _no_error(task))

    def error() -> NDArray[np.float64]:
        plain = _fitted(task, supports, replace(options, shrunken=False)) if options.shrunken else path
        return np.maximum(plain.error, _no_error(task))

    f1 = None if supports.expected_f1 is None else supports.expected_f1[path.n_active]
    models = Candidates(path.n_active, task.design.count, task.design.p, error, f1)
    return np.asarray(options.criterion.value(models), dtype=np.float64)


def _smallest_best(values: NDArray[np.float64]) -> int:
    """Return the position of the smallest value; of values that differ only by rounding, the first."""
    least = float(values.min())
    return int(np.argmax(values <= least + EXACT * abs(least)))


def _no_error(task: Task) -> float:
    """Return the mean squared error below which there is only rounding: a smaller one is no better."""
    spread = math.sqrt(task.design.mean(task.response**2))
    least = max(EXACT * spread, ROUNDING * float(np.abs(task.y).max()))
    return max(least**2, np.finfo(float).tiny)


def _fitted(task: Task, supports: Supports, options: Options) -> RegressionPath:
    """Return least squares on each support: to the response or, shrunken, to its posterior expectation."""
    from scipy import sparse

    design, sizes = task.design, np.array(sorted(supports.features))
    selected = [supports.features[int(k)] for k in sizes]
    target = supports.fitted if options.shrunken and supports.fitted is not None else task.y
    answers = [design.solve(target, columns, options.ridge) for columns in selected]
    indptr = np.concatenate(([0], np.cumsum(sizes)))
    data = np.concatenate([answer.coefficients for answer in answers])
    coefficients = sparse.csr_array((data, np.concatenate(selected), indptr), shape=(len(sizes), design.p))
    residuals = [task.y - design.predictions(*model) for model in zip(selected, answers, strict=True)]
    multipliers = supports.lambda_l0 or dict.fromkeys(sizes.tolist(), math.nan)
    return RegressionPath(
        n_active=sizes,
        error=np.array([design.mean(residual**2) for residual in residuals]),
        criterion=np.full(len(sizes), np.nan),
        coefficients=coefficients,
        intercepts=np.array([answer.intercept for answer in answers]),
        lambda_l0=np.array([multipliers[int(k)] for k in sizes]),
        inclusion=supports.inclusion,
        best=0,
    )


def _cross_validated(
    task: Task, sizes: NDArray[np.int64], options: Options, folds: int | list[Fold]
) -> NDArray[np.float64]:
    """Return each size's mean squared error on rows left out of selection and fitting, weighted."""
    if isinstance(folds, int):
        folds = draw_folds(task.design.n, folds, task.seed)
    squares, left_out = np.zeros(len(sizes)), 0.0
    task.stages.begin("cross-validation")
    for number, (rows, others) in enumerate(folds, 1):
        part = replace(task, design=task.design.rows(rows), y=task.y[rows], stages=Stages())
        path = _fitted(part, select(options.method, part, sizes), options)
        predictions = task.design.unscaled(others) @ path.coefficients.T.toarray() + path.intercepts
        squares += task.design.weighted((task.y[others, None] - predictions) ** 2, others).sum(axis=0)
        left_out += task.design.weighted(np.ones(len(others)), others).sum()
        if task.stages.report(number / len(folds)):
            break
    return np.asarray(squares / left_out)
