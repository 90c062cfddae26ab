"""The estimators inside scikit-learn: pipelines, searches, frames, weights, processes and threads."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from linear_problems import problem
from scipy import sparse
from support import needs_speed

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_diabetes  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402
from sklearn.metrics import get_scorer  # noqa: E402
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from l0np import l0_regression_path  # noqa: E402
from l0np.errors import InputError, InputTypeError, MissingPackageError  # noqa: E402
from l0np.schedules import Cosine  # noqa: E402
from l0np.sklearn import L0GatedRegressor, L0Regressor, L0Selector  # noqa: E402

pytestmark = needs_speed
ALL = [L0Regressor(), L0Selector(), L0GatedRegressor(epochs=200)]
REGRESSORS = [L0Regressor(), L0GatedRegressor(epochs=200)]
NAMES = list("abcdefgh")
every_estimator = pytest.mark.parametrize("estimator", ALL, ids=lambda one: type(one).__name__)
every_regressor = pytest.mark.parametrize("estimator", REGRESSORS, ids=lambda one: type(one).__name__)


def answer(estimator, X):
    """Return what an estimator makes of X."""
    return estimator.transform(X) if isinstance(estimator, L0Selector) else estimator.predict(X)


@pytest.mark.parametrize(
    "options",
    [{}, {"n_active": 2, "method": "exchange"}, {"cv": 3, "seed": 5}, {"lambda_l2": 0.3, "device": "numpy"}],
    ids=str,
)
def test_the_regressor_is_the_chosen_model_of_the_path(options):
    X, y, _ = problem(noise=2.0)
    model, path = L0Regressor(**options).fit(X, y), l0_regression_path(X, y, **options)
    assert np.array_equal(model.coef_, path.coef_)
    assert model.intercept_ == path.intercept_
    assert np.array_equal(model.path_.criterion, path.criterion)
    np.testing.assert_allclose(model.predict(X), path.predict(X), rtol=1e-12)
    assert model.score(X, y) == pytest.approx(path.score(X, y))
    assert L0Selector(**options).fit(X, y).get_support(indices=True).tolist() == path.indices.tolist()


@every_estimator
def test_every_fit_starts_afresh_and_leaves_hyper_parameters(estimator):
    X, y, _ = problem()
    once, twice, before = clone(estimator).fit(X, y), clone(estimator), estimator.get_params()
    twice.fit(X[:, ::-1], -y).fit(X, y)
    assert np.array_equal(answer(once, X), answer(twice, X))
    assert twice.get_params() == before == clone(twice).get_params()
    restored = pickle.loads(pickle.dumps(once))
    assert np.array_equal(answer(restored, X), answer(once, X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_go_from_a_frame_to_the_answer(library):
    module = pytest.importorskip(library)
    X, y, _ = problem()
    frame = module.DataFrame({name: X[:, j] for j, name in enumerate(NAMES)})
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        pytest.skip(f"this version of scikit-learn reads no names of this version of {library}")
    pipeline = make_pipeline(StandardScaler(), L0Selector(), L0Regressor()).set_output(transform=library)
    pipeline.fit(frame, y)
    assert pipeline[:-1].get_feature_names_out().tolist() == ["b", "e", "g"]
    assert pipeline[-1].feature_names_in_.tolist() == ["b", "e", "g"]
    assert pipeline[-1].path_.feature_names == ("b", "e", "g")
    transformed = pipeline[:-1].transform(frame)
    assert isinstance(transformed, module.DataFrame)
    assert list(transformed.columns) == ["b", "e", "g"]
    plain = L0Regressor().fit(frame, y)
    assert plain.path_.selected_names == ("b", "e", "g")
    assert isinstance(plain.path_.to_frame(), module.DataFrame)
    np.testing.assert_allclose(plain.predict(frame), L0Regressor().fit(X, y).predict(X), rtol=1e-12)
    with pytest.raises(ValueError, match="feature names should match"):
        plain.predict(frame[NAMES[::-1]])


@every_regressor
def test_a_search_over_a_pipeline(estimator):
    X, y, _ = problem(n=80)
    pipeline = make_pipeline(StandardScaler(), clone(estimator))
    name = f"{type(estimator).__name__.lower()}__n_active"
    search = GridSearchCV(pipeline, {name: [1, 2, 3]}, cv=4).fit(X, y)
    assert search.best_params_ == {name: 3}
    assert np.flatnonzero(search.best_estimator_[-1].coef_).tolist() == [1, 4, 6]
    assert search.score(X, y) > 0.9


@pytest.mark.slow  # starts processes
@every_regressor
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_folds_in_processes_and_threads(estimator, backend):
    joblib = pytest.importorskip("joblib")
    X, y, _ = problem()
    serial = cross_val_score(estimator, X, y, cv=3)
    with joblib.parallel_backend(backend, n_jobs=2):
        assert np.array_equal(cross_val_score(estimator, X, y, cv=3), serial)


@every_estimator
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_integer_weights_are_repeated_rows(estimator, container):
    X, y, _ = problem(n=40, noise=1.0)
    X = X * (np.random.default_rng(0).random(X.shape) < 0.4)
    weights = np.random.default_rng(1).integers(0, 4, 40)
    weighted = clone(estimator).fit(container(X), y, sample_weight=weights)
    repeated = clone(estimator).fit(container(np.repeat(X, weights, axis=0)), np.repeat(y, weights))
    np.testing.assert_allclose(answer(weighted, X), answer(repeated, X), rtol=1e-7)


def test_weights_are_routed_through_a_search():
    X, y, _ = problem(n=40, noise=3.0)
    weights = np.random.default_rng(1).uniform(0.2, 3.0, 40)
    with sklearn.config_context(enable_metadata_routing=True):
        model = L0Regressor().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        grid = {"l0regressor__n_active": [2, 3]}
        scorer = get_scorer("r2").set_score_request(sample_weight=True)
        search = GridSearchCV(make_pipeline(scaler, model), grid, scoring=scorer, cv=3)
        with_weights = clone(search).fit(X, y, sample_weight=weights)
        without = clone(search).fit(X, y)
        chosen = with_weights.best_estimator_[-1]
        scaled = StandardScaler().fit_transform(X)
        expected = L0Regressor(chosen.n_active).fit(scaled, y, sample_weight=weights)
    assert np.array_equal(chosen.coef_, expected.coef_)
    scores = (search.cv_results_["mean_test_score"] for search in (with_weights, without))
    assert not np.allclose(*scores)


@every_regressor
def test_several_responses_are_fitted_one_by_one(estimator):
    X, y, _ = problem()
    both = np.column_stack((y, -3.0 * X[:, 0]))
    model, one, other = (clone(estimator).fit(X, response) for response in (both, y, both[:, 1]))
    assert (model.coef_.shape, model.intercept_.shape) == ((2, 8), (2,))
    assert np.array_equal(model.coef_, [one.coef_, other.coef_])
    np.testing.assert_allclose(model.predict(X), np.column_stack((one.predict(X), other.predict(X))))
    assert L0Selector().fit(X, both).get_support(indices=True).tolist() == [0, 1, 4, 6]


def test_cross_validation_takes_folds_and_splitters():
    X, y, _ = problem()
    splitter = KFold(4, shuffle=True, random_state=0)
    splits = list(splitter.split(X, y))
    one, other = (L0Regressor(method="exchange", cv=cv).fit(X, y) for cv in (splitter, splits))
    by_hand = np.zeros(len(one.path_.n_active))
    for rows, others in splits:
        sizes = range(len(by_hand))
        path = l0_regression_path(X[rows], y[rows], sizes, method="exchange")
        predictions = np.array([path.predict(X[others], k) for k in path.n_active])
        by_hand += np.sum((y[others] - predictions) ** 2, axis=1) / len(y)
    np.testing.assert_allclose(one.path_.criterion, by_hand, rtol=1e-10)
    assert np.array_equal(one.path_.criterion, other.path_.criterion)


class TestGatedRegressor:
    def test_units_do_not_matter(self):
        X, y, _ = problem(n=100)
        model = L0GatedRegressor(epochs=400).fit(X, y)
        assert np.flatnonzero(model.coef_).tolist() == [1, 4, 6]
        units = 10.0 ** np.arange(-4, 4)
        scaled = L0GatedRegressor(epochs=400).fit(X * units + 100.0 * units, 1e3 * y)
        np.testing.assert_allclose(scaled.coef_ * units, 1e3 * model.coef_, rtol=1e-8)
        assert model.lambda_l0_ == pytest.approx(0.01)

    def test_trained_coefficients_predict_about_as_well_as_refitted_ones(self):
        rng = np.random.default_rng(0)
        dense = rng.normal(size=(300, 10)) + 2.0
        for X in (dense, dense * (rng.random(dense.shape) < 0.08)):  # the second is not centred
            y = 5.0 + 3.0 * X[:, 2] - 2.0 * X[:, 7] + 0.1 * rng.normal(size=300)
            trained = L0GatedRegressor(refit=False, lr=Cosine(0.05, 0.001, epochs=1000)).fit(X, y)
            refitted = L0GatedRegressor().fit(X, y)
            assert np.flatnonzero(trained.coef_).tolist() == [2, 7] == np.flatnonzero(refitted.coef_).tolist()
            np.testing.assert_allclose(refitted.coef_[[2, 7]], [3.0, -2.0], atol=0.1)
            np.testing.assert_allclose(trained.coef_, refitted.coef_, atol=0.15)
            assert trained.predict(X).mean() == pytest.approx(y.mean(), abs=0.03)
            assert 0.99 < trained.score(X, y) <= refitted.score(X, y)

    def test_exactly_k_features(self):
        X, y, _ = problem(noise=3.0)
        for k in (1, 4):
            model = L0GatedRegressor(n_active=k, epochs=200).fit(sparse.csr_array(X), y)
            assert np.count_nonzero(model.coef_) == k
            assert model.lambda_l0_ > 0

    def test_a_matrix_is_the_same_in_every_format(self):
        X, y, _ = problem()
        X = X * (np.random.default_rng(0).random(X.shape) < 0.08)
        dense, csr = (L0GatedRegressor(epochs=200).fit(matrix, y) for matrix in (X, sparse.csr_matrix(X)))
        assert np.array_equal(dense.coef_, csr.coef_)


@pytest.mark.parametrize(
    ("estimator", "part"),
    [
        (L0Regressor(method="lasso"), "method must be one of"),
        (L0Regressor(n_active=9), "n_active must be at most 8, got 9"),
        (L0Selector(cv=1), "cv must be at least 2"),
        (L0Selector(cv=[([0, 1], [60])]), r"cv\[0\]\[1\]\[0\] = 60: X has rows 0 to 59"),
        (L0Selector(cv=[([], [1])]), r"cv\[0\]\[0\] must be a one-dimensional array of at least one"),
        (L0Selector(cv=[([0.5], [1])]), r"cv\[0\]\[0\] must be a one-dimensional array .* got float64"),
        (L0Selector(cv=[]), "cv must be a number of folds or at least one pair"),
        (L0GatedRegressor(n_active=9), "n_active must be at most"),
        (L0GatedRegressor(lambda_l0=0.1, n_active=2), "lambda_l0"),
        (L0GatedRegressor(lambda_l2=-1), "lambda_l2 must be at least 0"),
        (L0GatedRegressor(epochs=-1), "epochs must be at least 0"),
    ],
    ids=str,
)
def test_bad_hyper_parameters_are_refused_at_the_fit(estimator, part):
    X, y, _ = problem()
    with pytest.raises(InputError, match=part):
        clone(estimator).fit(X, y)


def test_misspelt_arguments_are_refused_with_a_suggestion():
    X, y, _ = problem()
    with pytest.raises(
        InputTypeError, match=r'L0Regressor has no argument "random_state": did you mean seed'
    ):
        L0Regressor(random_state=0)
    with pytest.raises(InputTypeError, match=r'L0GatedRegressor has no argument "learning_rate": did you me'):
        L0GatedRegressor(learning_rate=0.1)
    with pytest.raises(InputTypeError, match=r'L0Selector.fit has no argument "weight'):
        L0Selector().fit(X, y, weights=1)


def test_weights_that_leave_a_fold_without_rows_are_refused():
    X, y, _ = problem()
    weights = np.r_[np.zeros(30), np.ones(30)]
    first, second = np.arange(30), np.arange(30, 60)
    model = L0Regressor(method="exchange", cv=[(first, second)])
    with pytest.raises(InputError, match=r"cv\[0\]\[0\] has no row whose sample_weight is above 0"):
        model.fit(X, y, sample_weight=weights)
    with pytest.raises(InputError, match="cv predicts no row whose sample_weight is above 0"):
        model.set_params(cv=[(second, first)]).fit(X, y, sample_weight=weights)


def test_without_scikit_learn_one_error_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import l0np; import l0np.sklearn"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"l0np.errors.{MissingPackageError.__name__}: l0np.sklearn needs ")
    assert last.endswith('pip install "scikit-learn>=1.6", or install l0np with the extra "sklearn"')


@pytest.mark.slow  # ten paths and ten cross-validations
def test_the_default_predicts_at_least_as_well_as_least_squares_with_fewer_features():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    found = cross_validate(L0Regressor(), X, y, cv=5, return_estimator=True)
    plain = cross_val_score(LinearRegression(), X, y, cv=5)
    assert found["test_score"].mean() >= plain.mean()
    assert max(np.count_nonzero(one.coef_) for one in found["estimator"]) < 10
