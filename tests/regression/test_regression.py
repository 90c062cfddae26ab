"""From features to an answer: least squares on few features, subsets of each size, and the choice among them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from support import DEVICES, needs_numba, needs_speed, same_state

from l0np import ColumnMatrix, SparseL0Linear, l0_regression_path
from l0np.errors import InputError, InputTypeError
from l0np.refit.least_squares import Design
from l0np.regression.gram import Gram
from l0np.regression.spike_slab import _opening, expected_f1, moment_draw, sample
from l0np.regression.subset_search import Subsets


def problem(n=60, p=8, seed=0, noise=0.5, active=(1, 4, 6)):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 0.6 * rng.normal(size=(n, 1))
    truth = np.zeros(p)
    truth[list(active)] = 1.0, -2.0, 1.5
    return X, 4.0 + X @ truth + noise * rng.normal(size=n), truth


def ordinary(X, y, chosen, intercept=True):
    """Least squares as a user would write it."""
    A = np.column_stack((np.ones(len(y)), X[:, chosen])) if intercept else X[:, chosen]
    b = np.linalg.lstsq(A, y, rcond=None)[0]
    return (b[1:], b[0], A @ b) if intercept else (b, 0.0, A @ b)


def squares(X, y, chosen):
    return float(np.sum((y - ordinary(X, y, list(chosen))[2]) ** 2))


# --- least squares on chosen columns


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("density", [1.0, 0.05], ids=["dense", "sparse"])
def test_least_squares_in_units_of_any_size(density, intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 30)) * (rng.random((200, 30)) < density)
    X = np.where(X != 0, X + 1.0, 0.0)
    y, units = 7.0 + X @ rng.normal(size=30) + rng.normal(size=200), np.logspace(-8, 8, 30)
    chosen = np.array([0, 3, 11, 29])
    b, a, fitted = ordinary(X, y, chosen, intercept)
    design = Design(ColumnMatrix.build(X * units, np.float64), intercept=intercept)
    assert (design._dense is None) == (density < 0.1)
    answer = design.solve(y, chosen)
    np.testing.assert_allclose(answer.coefficients * units[chosen], b, rtol=1e-9)
    assert answer.intercept == pytest.approx(a, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(design.predictions(chosen, answer), fitted, rtol=1e-9)
    assert (answer.rank, answer.converged) == (4, True)


@pytest.mark.parametrize("density", [1.0, 0.05], ids=["dense", "sparse"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_iterative_solver_gives_the_same(density, ridge, monkeypatch):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 40)) * (rng.random((300, 40)) < density)
    y, chosen = 5.0 + X.sum(axis=1) + rng.normal(size=300), np.arange(2, 30)
    design = Design(ColumnMatrix.build(X, np.float64), intercept=True)
    direct = design.solve(y, chosen, ridge)
    monkeypatch.setattr("l0np.refit.least_squares.DENSE_ENTRIES", 0)
    iterated = design.solve(y, chosen, ridge)
    np.testing.assert_allclose(iterated.coefficients, direct.coefficients, rtol=1e-8)
    assert iterated.intercept == pytest.approx(direct.intercept, rel=1e-10)
    assert iterated.converged
    assert iterated.rank is None


@pytest.mark.parametrize("density", [1.0, 0.05], ids=["dense", "sparse"])
def test_standardised_columns(density):
    rng = np.random.default_rng(3)
    X = (3.0 + rng.normal(size=(50, 20))) * (rng.random((50, 20)) < density)
    X[:, 4] = 0.1  # constant, though its mean is not exact
    for intercept, centred in ((True, X - X.mean(axis=0)), (False, X)):
        design = Design(ColumnMatrix.build(X, np.float64), intercept=intercept)
        lengths = np.linalg.norm(centred, axis=0)
        usable = lengths > 1e-9 if not intercept else (lengths > 1e-9) & (np.arange(20) != 4)
        assert design.usable.tolist() == usable.tolist()
        expected = np.divide(centred, lengths, out=np.zeros_like(X), where=usable)
        np.testing.assert_allclose(design.columns(np.arange(20)), expected, atol=1e-14)
        np.testing.assert_allclose(design.correlations(X), expected.T @ X, atol=1e-12)


def test_a_large_mean_costs_no_digits():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(100, 3))
    y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=100)
    moved = Design(ColumnMatrix.build(X + 1e6, np.float64), intercept=True).solve(y, np.arange(3))
    np.testing.assert_allclose(moved.coefficients, ordinary(X, y, [0, 1, 2])[0], rtol=1e-8)


def test_ridge_shrinks_standardised_coefficients():
    X, y, _ = problem()
    chosen, penalty = np.array([1, 4, 6]), 0.7
    Z = (X[:, chosen] - X[:, chosen].mean(axis=0)) / X[:, chosen].std(axis=0)
    b = np.linalg.solve(Z.T @ Z / len(y) + penalty * np.eye(3), Z.T @ (y - y.mean()) / len(y))
    answer = Design(ColumnMatrix.build(X, np.float64), intercept=True).solve(y, chosen, penalty)
    np.testing.assert_allclose(answer.coefficients * X[:, chosen].std(axis=0), b, rtol=1e-10)


def test_rows_of_the_gram_matrix_are_made_and_forgotten(monkeypatch):
    X, _, _ = problem(p=40)
    design = Design(ColumnMatrix.build(X, np.float64), intercept=True)
    whole = Gram(design)
    monkeypatch.setattr(Gram, "ENTRIES", 60 * 7)
    np.testing.assert_allclose(Gram(design).rows, whole.rows, atol=1e-14)
    monkeypatch.setattr(Gram, "AT_ONCE", 0)
    monkeypatch.setattr(Gram, "MEMORY", 0)
    few = Gram(design)
    few.rows = few.rows[:5]
    for chosen in ([3, 4], [5, 6, 7], [8, 3], [0, 1, 2, 3], list(range(20)), [39]):
        np.testing.assert_allclose(few.of(chosen), whole.of(chosen), atol=1e-14)
    np.testing.assert_allclose(whole.rows, np.corrcoef(X.T), atol=1e-13)


# --- refit


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("intercept", [True, False])
def test_refit_is_least_squares_on_the_selected(device, intercept):
    X, y, _ = problem()
    model = SparseL0Linear(8, fit_intercept=intercept, seed=0, device=device, dtype="float64")
    model.fit(X, y, n_active=4, lr=0.05, epochs=300)
    chosen, log_alpha = model.get_selected_features(), model.log_alpha.copy()
    assert model.refit(X, y) is model
    b, a, fitted = ordinary(X, y, chosen, intercept)
    np.testing.assert_allclose(model.get_coefficients()[chosen], b, rtol=1e-10)
    assert np.count_nonzero(model.get_coefficients()) == 4
    assert model.bias == (pytest.approx(a, rel=1e-10) if intercept else None)
    np.testing.assert_allclose(model.predict(X), fitted, rtol=1e-9)
    assert np.array_equal(model.log_alpha, log_alpha)
    model.fit(X, y, lambda_l0=0.1, epochs=1, lr=1e-9)  # trains on from the refitted coefficients
    np.testing.assert_allclose(model.weight[chosen], b, rtol=1e-6)


def test_refit_after_a_plain_fit_removes_the_bias_of_half_open_gates():
    X, y, _ = problem()
    model = SparseL0Linear(8, seed=0).fit(X, y, lambda_l0=0.5, lr=0.05, epochs=300)
    chosen = model.get_selected_features()
    before = np.mean((y - model.predict(X)) ** 2)
    assert 0 < len(chosen) < 8
    assert model.refit(X, y).get_selected_features().tolist() == chosen.tolist()
    assert np.mean((y - model.predict(X)) ** 2) < before
    restored = SparseL0Linear(8, seed=0)
    restored.load_state_dict(model.state_dict())
    assert np.array_equal(restored.predict(X), model.predict(X))


def test_refit_of_nothing_and_of_dependent_features():
    X, y, _ = problem()
    nothing = SparseL0Linear(8, init_keep_prob=0.0).refit(X, y)
    assert nothing.get_selected_features().tolist() == []
    np.testing.assert_allclose(nothing.predict(X), y.mean(), rtol=1e-6)
    nothing.load_state_dict(nothing.state_dict())
    X[:, 6] = X[:, 4]
    with pytest.warns(RuntimeWarning, match="the 8 selected features have rank 7"):
        model = SparseL0Linear(8, init_keep_prob=1.0).refit(X, y)
    assert model.get_coefficients()[4] == pytest.approx(model.get_coefficients()[6])
    SparseL0Linear(8, init_keep_prob=1.0).refit(X, y, lambda_l2=1e-6)  # penalised, it is not ambiguous: no warning


def test_refit_refuses_bad_input_and_leaves_the_model():
    X, y, _ = problem()
    model = SparseL0Linear(8, seed=0).fit(X, y, epochs=5)
    before = model.state_dict()
    for arguments, options, error in [
        ((X[:, :7], y), {}, InputError),
        ((X, y[:-1]), {}, InputError),
        ((X, y), {"lambda_l2": -1.0}, InputError),
        ((X, y), {"lambda_l2": "0"}, InputTypeError),
        ((X, 1e39 * y), {}, InputError),
        ((X, 1e160 * y), {}, InputError),
        ((1e200 * X, y), {}, InputError),
    ]:
        with pytest.raises(error):
            model.refit(*arguments, **options)
    assert same_state(before, model.state_dict())


# --- the subset of each size


def subsets_of(X, y):
    design = Design(ColumnMatrix.build(X, np.float64), intercept=True)
    r = y - y.mean()
    return Subsets(Gram(design), design.correlations(r), float(r @ r))


@given(st.integers(0, 10_000))
def test_a_scan_prices_every_subset_that_differs_by_one_column(seed):
    rng = np.random.default_rng(seed)
    X, y, _ = problem(n=15, p=6, seed=seed, active=(0, 1, 2))
    chosen = np.sort(rng.choice(6, size=rng.integers(1, 6), replace=False))
    scan, here = subsets_of(X, y)._scan(chosen), squares(X, y, chosen)
    assert scan.squares == pytest.approx(here, rel=1e-6)
    for i, j in itertools.product(range(len(chosen)), range(6)):
        others = np.delete(chosen, i)
        assert scan.drop[i] == pytest.approx(squares(X, y, others) - here, rel=1e-5, abs=1e-8)
        if j not in chosen:
            assert scan.add[j] == pytest.approx(here - squares(X, y, [*chosen, j]), rel=1e-5, abs=1e-8)
            assert scan.exchange[i, j] == pytest.approx(here - squares(X, y, [*others, j]), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_exchange_finds_the_best_subset_of_each_size(seed):
    X, y, _ = problem(n=40, p=9, seed=seed, noise=2.0)
    path = l0_regression_path(X, y, range(10), method="exchange")
    for k in range(10):
        best = min(squares(X, y, chosen) for chosen in itertools.combinations(range(9), k))
        assert len(path.features(k)) == k
        assert squares(X, y, path.features(k)) == pytest.approx(best, rel=1e-9)
        assert path.error[k] == pytest.approx(best / 40, rel=1e-9)
    by_hand = 40 * np.log(path.error) + np.arange(10) * np.log(40)
    np.testing.assert_allclose(l0_regression_path(X, y, range(10), method="exchange", criterion="bic").criterion, by_hand)


def test_exchange_beats_growing_one_by_one():
    """The classic trap: x0 is nearly x1 + x2, which make y; alone, x0 is the best."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 3))
    X[:, 0] = X[:, 1] + X[:, 2] + 0.3 * rng.normal(size=200)
    y = X[:, 1] + X[:, 2]
    path = l0_regression_path(X, y, [1, 2], method="exchange")
    assert path.features(1).tolist() == [0]
    assert path.features(2).tolist() == [1, 2]
    assert path.n_active_ == 2


def test_sizes_learn_from_those_above_and_below():
    """The best of a size is not worse than its neighbours' less, or with, the one column that costs or gains most."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 40)) @ np.linalg.cholesky(0.8 ** np.abs(np.subtract.outer(np.arange(40), np.arange(40)))).T
        y = X @ rng.normal(size=40) + 3.0 * rng.normal(size=60)
        search = subsets_of(X, y)
        found = [search._scan(chosen) for chosen in search.path(np.arange(13)).values()]
        for smaller, larger in itertools.pairwise(found):
            assert smaller.squares <= (larger.squares + larger.drop.min()) * (1 + 1e-12)
            assert larger.squares <= (smaller.squares - smaller.add.max()) * (1 + 1e-12)


def test_constant_and_repeated_features():
    X, y, _ = problem()
    X = np.column_stack((np.full(60, 3.0), X, X[:, 4]))
    for method in ("exchange", "inclusion"):
        path = l0_regression_path(X, y, [1, 3, 9, 10], method=method, coefficients="least squares")
        assert [len(path.features(k)) for k in (1, 3, 9, 10)] == [1, 3, 9, 10]
        assert np.isfinite(path.coefficients.data).all()
        assert path.error[-1] == pytest.approx(squares(X, y, range(10)) / 60)


# --- inclusion probabilities


def exact_posterior(X, y, spreads=100, draws=2000):
    """All subsets and both slabs: share and variance integrated out, the spread over a grid of its prior.

    Under the normal slab b and the variance have a known distribution; the factor of the moment prior is averaged over draws.
    """
    from scipy.special import betaln, logsumexp
    from scipy.stats import invgamma

    n, p = X.shape
    rng = np.random.default_rng(0)
    Z = X - X.mean(axis=0)
    Z /= np.linalg.norm(Z, axis=0)
    r = y - y.mean()
    grid = invgamma(0.5, scale=0.02 * (n - 1)).ppf((np.arange(spreads) + 0.5) / spreads)
    logs, means = {}, {}
    for chosen in itertools.chain.from_iterable(itertools.combinations(range(p), k) for k in range(p + 1)):
        A, k = Z[:, chosen], len(chosen)
        normal = rng.normal(size=(draws, k))
        gamma = rng.gamma(0.5 * (n - 1), size=draws)
        evidence, mean = [], []
        for power, slab in itertools.product((1, 3), grid):
            slab = slab / power
            precision = A.T @ A + np.eye(k) / slab
            middle = np.linalg.solve(precision, A.T @ r)
            rest = r @ r - middle @ A.T @ r
            b = middle + np.sqrt(0.5 * rest / gamma)[:, None] * (normal @ np.linalg.inv(np.linalg.cholesky(precision)))
            factor = np.prod(b**2 / (slab * 0.5 * rest / gamma)[:, None], axis=1) if power == 3 else np.ones(draws)
            log_det = np.linalg.slogdet(slab * precision)[1] if k else 0.0
            evidence.append(-0.5 * log_det - 0.5 * (n - 1) * np.log(rest) + np.log(factor.mean()))
            mean.append(factor @ b / factor.sum())
        logs[chosen] = betaln(1 + k, p / np.sqrt(min(p, n - 1)) + p - k) + logsumexp(evidence)
        means[chosen] = np.exp(np.array(evidence) - logsumexp(evidence)) @ np.array(mean)
    total = logsumexp(list(logs.values()))
    inclusion, expected = np.zeros(p), np.zeros(p)
    for chosen, log in logs.items():
        inclusion[list(chosen)] += np.exp(log - total)
        expected[list(chosen)] += np.exp(log - total) * means[chosen]
    return inclusion, float(np.exp(logs[()] - total)), expected


@needs_speed
@pytest.mark.parametrize(
    ("noise", "seed", "n", "p"), [(1.0, 0, 40, 6), (4.0, 1, 40, 6), (8.0, 2, 40, 6), (20.0, 3, 40, 6), (8.0, 4, 4, 8)]
)
def test_the_posterior_is_that_of_all_subsets(noise, seed, n, p, monkeypatch):
    X, y, _ = problem(n=n, p=p, seed=seed, noise=noise, active=(1, 4, 5))
    monkeypatch.setattr("l0np.regression.spike_slab.SWEEPS", 20_000)
    design = Design(ColumnMatrix.build(X, np.float64), intercept=True)
    r = y - y.mean()
    sampled = sample(Gram(design), design.correlations(r), float(r @ r), n - 1, 5, compiled=True)
    inclusion, empty, mean = exact_posterior(X, y)
    np.testing.assert_allclose(sampled.inclusion, inclusion, atol=0.02)
    assert sampled.empty == pytest.approx(empty, abs=0.02)
    np.testing.assert_allclose(sampled.mean, mean, atol=0.02 * np.linalg.norm(r))


@given(st.floats(-30, 30), st.floats(-6, 6))
def test_draws_of_the_moment_prior(a, normal):
    """Their distribution function, integrated, is that of the normal draw they come from."""
    from scipy.integrate import quad
    from scipy.stats import norm

    def density(t):
        return (a + t) ** 2 * norm.pdf(t) / (a * a + 1.0)

    t = moment_draw(a, normal)
    tail = quad(density, t, t + 9, epsabs=0, limit=200)[0] if normal > 0 else quad(density, t - 9, t, epsabs=0, limit=200)[0]
    assert tail == pytest.approx(norm.cdf(-abs(normal)), rel=1e-4, abs=1e-13)


@given(st.floats(1e-12, 1 - 1e-12), st.floats(-50, 5), st.booleans())
def test_the_limit_of_a_gate_is_its_root_or_a_little_less(uniform, log_odds, moment):
    z = float(_opening(np.array([uniform]), log_odds, moment)[0])
    logit = np.log(uniform / (1 - uniform))
    if z > 0:
        odds = log_odds + 0.5 * z + (np.log1p(z) if moment else 0.0)
        assert logit - 0.2 <= odds <= logit + 1e-9
    else:
        assert log_odds >= logit - 1e-9


@needs_numba
def test_compiled_and_plain_sweeps_draw_the_same(monkeypatch):
    X, y, _ = problem(n=50, p=70, noise=2.0)
    X[:, 11] = 1.0
    numba, numpy = (l0_regression_path(X, y, device=device, seed=4) for device in ("numba", "numpy"))
    np.testing.assert_allclose(numba.inclusion, numpy.inclusion, atol=1e-10)
    np.testing.assert_allclose(numba.coefficients.toarray(), numpy.coefficients.toarray(), atol=1e-9)
    assert numba.inclusion[11] == 0
    monkeypatch.setattr(Gram, "AT_ONCE", 0)
    monkeypatch.setattr(Gram, "MEMORY", 0)  # rows come and go
    for device in ("numba", "numpy"):
        again = l0_regression_path(X, y, device=device, seed=4)
        np.testing.assert_allclose(again.inclusion, numba.inclusion, atol=1e-8)


def test_expected_f1_is_the_mean_of_f1_over_independent_gates():
    inclusion, rng = np.array([0.9, 0.2, 0.6, 0.05]), np.random.default_rng(0)
    truth = rng.random((200_000, 4)) < inclusion
    order = np.argsort(-inclusion)
    told = expected_f1(inclusion, empty=0.1)
    assert told[0] == 0.1
    for k in (1, 2, 3, 4):
        hits = truth[:, order[:k]].sum(axis=1)
        assert told[k] == pytest.approx(2 * hits.mean() / (k + truth.sum(axis=1).mean()), abs=0.01)
    assert np.argmax(told) == 2


# --- the path


def test_shrunken_coefficients_predict_better_where_the_noise_is_large():
    """Risk over twenty draws; each support is the same, and so are the models of no features."""
    risk = np.zeros(2)
    for seed in range(20):
        X, y, truth = problem(n=40, p=100, seed=seed, noise=4.0)
        for i, coefficients in enumerate(("posterior", "least squares")):
            path = l0_regression_path(X, y, coefficients=coefficients)
            assert path.coefficients.nnz == path.n_active.sum()
            risk[i] += np.sum((path.coef_ - truth) ** 2)
        assert np.array_equal(path.indices, l0_regression_path(X, y, coefficients="posterior").indices)
    assert risk[0] < 0.8 * risk[1]


def test_the_posterior_of_all_features_is_what_it_expects():
    """With all features to choose from, the nearest to the averaged predictions are these."""
    X, y, _ = problem(noise=3.0)
    design = Design(ColumnMatrix.build(X, np.float64), intercept=True)
    r = y - y.mean()
    posterior = sample(Gram(design), design.correlations(r), float(r @ r), 59, 0, compiled=False)
    path = l0_regression_path(X, y, 8, device="numpy")
    np.testing.assert_allclose(path.coef_ / design.scales, posterior.mean, rtol=1e-8)
    np.testing.assert_allclose(path.predict(X), y.mean() + design.products(posterior.mean), rtol=1e-10)
    assert path.error[0] == pytest.approx(np.mean((y - path.predict(X)) ** 2))
    by_hand = 60 * np.log(squares(X, y, range(8)) / 60) + 8 * np.log(60)
    assert l0_regression_path(X, y, 8, criterion="bic").criterion[0] == pytest.approx(by_hand)


@pytest.mark.parametrize("method", ["inclusion", "exchange", "gates"])
def test_every_method_finds_a_clear_support_whatever_the_units(method):
    X, y, truth = problem(n=100, p=30)
    units = 10.0 ** np.random.default_rng(0).integers(-6, 6, 30)
    path = l0_regression_path(X * units, 1e3 * y, method=method, seed=1, coefficients="least squares")
    assert path.indices.tolist() == [1, 4, 6]
    b, a, fitted = ordinary(X, y, [1, 4, 6])
    np.testing.assert_allclose(path.coef_[[1, 4, 6]] * units[[1, 4, 6]], 1e3 * b, rtol=1e-8)
    assert np.count_nonzero(path.coef_) == path.n_active_ == np.count_nonzero(truth)
    assert path.intercept_ == pytest.approx(1e3 * a)
    np.testing.assert_allclose(path.predict(X * units), 1e3 * fitted, rtol=1e-8)
    assert path.score(X * units, 1e3 * y) == pytest.approx(1 - squares(X, y, [1, 4, 6]) / np.sum((y - y.mean()) ** 2))
    assert np.isfinite(path.lambda_l0[1:]).all() if method == "gates" else np.isnan(path.lambda_l0).all()
    assert (path.inclusion is None) == (method != "inclusion")
    assert path.n_active.tolist() == list(range(len(path.n_active)))
    assert path.features(0).tolist() == []
    assert path.predict(X * units, n_active=0) == pytest.approx(np.full(100, 1e3 * y.mean()))


@pytest.mark.parametrize("method", ["inclusion", "exchange"])
def test_noise_alone_gives_no_features(method):
    rng = np.random.default_rng(5)
    path = l0_regression_path(rng.normal(size=(100, 20)), rng.normal(size=100), method=method)
    assert path.n_active_ == 0
    assert not path.coef_.any()


@pytest.mark.parametrize("y", [np.full(60, 2.5), np.zeros(60)], ids=["constant", "zero"])
@pytest.mark.parametrize("method", ["inclusion", "exchange", "gates"])
def test_a_constant_response(method, y):
    path = l0_regression_path(problem()[0], y, method=method)
    assert path.n_active_ == 0
    assert path.intercept_ == pytest.approx(y[0])


def test_sparse_dense_and_column_matrices_give_the_same_path():
    rng = np.random.default_rng(6)
    X = sparse.random_array((80, 25), density=0.05, format="csr", rng=rng)
    y = X @ rng.normal(size=25) + 0.1 * rng.normal(size=80)
    one, *others = (l0_regression_path(given, y) for given in (X, X.toarray(), ColumnMatrix.build(X, np.float64)))
    for other in others:
        np.testing.assert_allclose(one.inclusion, other.inclusion, atol=1e-9)
        np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-9)


def test_a_feature_that_only_what_is_left_shows_comes_through_the_screening(monkeypatch):
    """x0 is uncorrelated with y, as its share in it and that of its correlate x1 cancel."""
    monkeypatch.setattr("l0np.regression.methods.MOST_COLUMNS", 20)
    rng = np.random.default_rng(8)
    X = rng.normal(size=(400, 200))
    X[:, 1] = X[:, 0] + rng.normal(size=400)
    y = 2.0 * X[:, 1] - 2.0 * X[:, 0] + 0.3 * rng.normal(size=400)
    X[:, 0] -= (X[:, 0] @ (y - y.mean()) / np.sum((y - y.mean()) ** 2)) * (y - y.mean()) * 0.98
    assert abs(np.corrcoef(X[:, 0], y)[0, 1]) < 0.02
    for method in ("inclusion", "exchange"):
        path = l0_regression_path(X, y, method=method)
        assert set(path.indices) >= {0, 1}, method
    assert l0_regression_path(X, y).inclusion.shape == (200,)


def test_more_columns_than_the_gram_matrix_is_made_for_at_once():
    rng = np.random.default_rng(7)
    X = sparse.random_array((300, 3000), density=0.05, format="csc", rng=rng)
    y = X[:, [5, 50, 500]] @ np.array([3.0, -4.0, 5.0]) + 0.1 * rng.normal(size=300)
    for method in ("inclusion", "exchange"):
        assert l0_regression_path(X, y, method=method).indices.tolist() == [5, 50, 500]


def test_cross_validation_leaves_rows_out():
    X, y, _ = problem(n=90, p=12)
    path = l0_regression_path(X, y, range(13), method="exchange", cv=5, seed=2)
    fold = np.random.Generator(np.random.Philox(key=2)).permutation(np.arange(90) % 5)
    expected = np.zeros(13)
    for left_out in range(5):
        inside = fold != left_out
        part = l0_regression_path(X[inside], y[inside], range(13), method="exchange")
        for k in range(13):
            expected[k] += np.sum((y[~inside] - part.predict(X[~inside], k)) ** 2) / 90
    np.testing.assert_allclose(path.criterion, expected, rtol=1e-10)
    assert path.best == np.argmin(expected)
    assert set(path.indices) >= {1, 4, 6}


def test_without_an_intercept_and_with_a_ridge():
    X, y, _ = problem()
    plain = l0_regression_path(X, y, 3, fit_intercept=False, method="exchange")
    chosen = plain.indices
    assert plain.intercept_ == 0
    np.testing.assert_allclose(plain.coef_[chosen], ordinary(X, y, chosen, intercept=False)[0], rtol=1e-9)
    ridge = l0_regression_path(X, y, 3, method="exchange", lambda_l2=1.0)
    assert np.abs(ridge.coef_).sum() < np.abs(l0_regression_path(X, y, 3, method="exchange").coef_).sum()


def test_a_seed_fixes_the_answer():
    X, y, _ = problem(noise=3.0)
    one, two, other = (l0_regression_path(X, y, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.inclusion, two.inclusion)
    assert not np.array_equal(one.inclusion, other.inclusion)


@pytest.mark.parametrize(
    ("options", "error", "parts"),
    [
        ({"method": "lasso"}, InputError, ["method", "'inclusion'", "'exchange'", "'gates'", "'lasso'"]),
        ({"criterion": "aic"}, InputError, ["criterion", "'f1'", "'ebic'", "'aic'"]),
        ({"criterion": "f1", "method": "exchange"}, InputError, ["f1", "inclusion", "'exchange'"]),
        ({"criterion": "bic", "cv": 5}, InputError, ["cv", "criterion", "one of them"]),
        ({"cv": 1}, InputError, ["cv", "at least 2"]),
        ({"cv": 61}, InputError, ["cv", "at most 60"]),
        ({"n_active": 9}, InputError, ["n_active", "at most 8", "got 9"]),
        ({"n_active": [-1, 2]}, InputError, ["n_active", "at least 0"]),
        ({"n_active": []}, InputError, ["n_active"]),
        ({"n_active": "3"}, InputTypeError, ["n_active", "'3'"]),
        ({"n_active": 1.5}, InputError, ["n_active", "whole number"]),
        ({"lambda_l2": -1}, InputError, ["lambda_l2"]),
        ({"seed": -1}, InputError, ["seed"]),
        ({"coefficients": "lasso"}, InputError, ["coefficients", "'posterior'", "'least squares'", "'lasso'"]),
        ({"coefficients": "posterior", "method": "exchange"}, InputError, ["posterior", "inclusion", "'exchange'"]),
        ({"coefficients": "posterior", "lambda_l2": 0.5}, InputError, ["posterior", "lambda_l2=0.5"]),
        ({"fit_intercept": 2}, InputTypeError, ["fit_intercept"]),
        ({"device": "gpu"}, InputError, ["device"]),
    ],
    ids=str,
)
def test_bad_settings_are_refused(options, error, parts):
    X, y, _ = problem()
    with pytest.raises(error) as raised:
        l0_regression_path(X, y, **options)
    assert all(part in str(raised.value) for part in parts), raised.value


def test_bad_data_is_refused():
    X, y, _ = problem()
    path = l0_regression_path(X, y)
    with pytest.raises(InputError, match="y must have one value for each row of X"):
        l0_regression_path(X, y[:-1])
    with pytest.raises(InputError, match=r"X\[2, 1\] is nan"):
        l0_regression_path(np.where(np.arange(480).reshape(60, 8) == 17, np.nan, X), y)
    units = np.where(np.arange(8) == 3, 1e200, 1.0)
    with pytest.raises(InputError, match=r"X\[:, 3\] is of the size .*use other units"):
        l0_regression_path(X * units, y)
    with pytest.raises(InputError, match=r"X\[:, 3\] is of the size .*use other units"):
        l0_regression_path(X / units, y)
    for unit in (1e-170, 1e160):
        with pytest.raises(InputError, match=r"y is of the size .*use other units"):
            l0_regression_path(X, unit * y)
    with pytest.raises(InputError, match="X must have n_features = 8 columns"):
        path.predict(X[:, :5])
    with pytest.raises(InputError, match="n_active must be on the path"):
        path.predict(X, n_active=80)


@pytest.mark.parametrize("method", ["inclusion", "exchange", "gates"])
@pytest.mark.parametrize("options", [{"cv": 5}, {"criterion": "bic"}, {"criterion": "ebic"}, {"criterion": "gic"}])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e6])
def test_of_fits_that_differ_by_rounding_the_smallest_is_chosen(method, options, offset):
    X = np.random.default_rng(2).normal(size=(40, 10))
    for size in (1e-9, 1.0, 1e9):
        path = l0_regression_path(X, size * (3.0 * X[:, 3] + offset), method=method, lambda_l2=0.0, **options)
        assert path.indices.tolist() == [3]


def test_a_small_effect_is_no_rounding():
    X = np.random.default_rng(2).normal(size=(40, 10))
    path = l0_regression_path(X, 1e6 + X[:, 3] + 1e-6 * X[:, 5], method="exchange", cv=5)
    assert path.indices.tolist() == [3, 5]


def test_score_of_a_constant_response_is_that_of_scikit_learn():
    X = np.random.default_rng(0).normal(size=(30, 4))
    constant, varied = l0_regression_path(X, np.full(30, 2.0)), l0_regression_path(X, X[:, 0])
    assert constant.score(X, np.full(30, 2.0)) == 1.0
    assert constant.score(X, np.full(30, 3.0)) == 0.0
    assert varied.score(X, np.full(30, 2.0)) == 0.0
    assert constant.score(X, X[:, 0]) < 0.0


def test_a_path_prints_itself():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(90, 40))
    path = l0_regression_path(X, X[:, :3] @ [2.0, -3.0, 4.0] + 0.1 * rng.normal(size=90), n_active=range(16))
    lines = str(path).splitlines()
    assert repr(path) == str(path)
    assert lines[0] == "RegressionPath: 3 features of 40 chosen: 0, 1, 2"
    assert lines[2].split() == ["features", "squared", "error", "criterion"]
    assert [line.split()[0] for line in lines[3:-1]] == [str(k) for k in range(10)]
    assert [line.split()[0] for line in lines if line.endswith("chosen")] == ["3"]
    assert lines[-1] == "... and 6 more sizes"
    assert str(l0_regression_path(X, X[:, 7], n_active=1)).splitlines()[0] == "RegressionPath: 1 feature of 40 chosen: 7"
    assert path == path  # by identity, for arrays have no one truth
    assert path != l0_regression_path(X, X[:, 7], n_active=1)
    assert len({path, path}) == 1


def test_whole_numbers_of_any_kind_are_sizes():
    X = np.random.default_rng(1).normal(size=(30, 5))
    for k in (2, 2.0, np.int32(2), np.float32(2), np.array(2), np.array(2.0), [2.0]):
        assert l0_regression_path(X, X[:, 0], n_active=k).features(2.0).size == 2
    path = l0_regression_path(X, X[:, 0], n_active=2)
    for k in (2.5, -1):
        with pytest.raises(InputError, match="n_active must be"):
            path.features(k)
