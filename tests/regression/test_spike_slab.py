"""Inclusion probabilities: the sampler against the exact posterior, and its two sweeps against each other."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear_problems import design_of, problem
from support import needs_numba, needs_speed

from l0np import l0_regression_path
from l0np.regression.gram import GramLimits, Products
from l0np.regression.shared_kernels import Conditions, moment_draw
from l0np.regression.spike_slab import ChainLength, expected_f1, sample
from l0np.regression.sweep import opening

DRAWS, SPREADS = 512, 50  # quasi-random draws: nearer to the exact expectation than 2,000 random ones


def exact_posterior(X, y):
    """Return inclusion, probability of no column and mean coefficients, from all subsets and both slabs.

    Fraction and variance are integrated out, the spread over a grid of quantiles of its prior. Under the
    normal slab b and the variance have a known distribution; the moment factor is averaged over draws.
    """
    from scipy.special import betaln, gammaincinv, logsumexp, ndtri
    from scipy.stats import invgamma, qmc

    n, p = X.shape
    Z = X - X.mean(axis=0)
    Z /= np.linalg.norm(Z, axis=0)
    r = y - y.mean()
    grid = invgamma(0.5, scale=0.02 * (n - 1)).ppf((np.arange(SPREADS) + 0.5) / SPREADS)
    logs, means = {}, {}
    for columns in itertools.chain.from_iterable(itertools.combinations(range(p), k) for k in range(p + 1)):
        A, k = Z[:, columns], len(columns)
        uniform = qmc.Sobol(k + 1, seed=k).random(DRAWS)
        normal, gamma = ndtri(uniform[:, :k]), gammaincinv(0.5 * (n - 1), uniform[:, k])
        evidence, mean = [], []
        lengths, directions = np.linalg.eigh(A.T @ A)
        for power in (1, 3):
            slab = grid / power
            inverse = 1.0 / (lengths + 1.0 / slab[:, None])  # of the precision's eigenvalues, for each slab
            middle = (directions.T @ (A.T @ r) * inverse) @ directions.T
            rest = r @ r - middle @ (A.T @ r)
            log = 0.5 * np.log(inverse / slab[:, None]).sum(axis=1) - 0.5 * (n - 1) * np.log(rest)
            if power == 3:
                sd = np.sqrt(0.5 * rest[:, None] / gamma)
                b = middle[:, None] + sd[:, :, None] * ((normal * np.sqrt(inverse)[:, None]) @ directions.T)
                factor = np.prod(b**2 / (slab[:, None] * sd**2)[:, :, None], axis=2)
                log = log + np.log(factor.mean(axis=1))
                middle = np.einsum("sd,sdk->sk", factor, b) / factor.sum(axis=1)[:, None]
            evidence.append(log)
            mean.append(middle)
        evidence = np.concatenate(evidence)
        logs[columns] = betaln(1 + k, p / np.sqrt(min(p, n - 1)) + p - k) + logsumexp(evidence)
        means[columns] = np.exp(evidence - logsumexp(evidence)) @ np.concatenate(mean)
    total = logsumexp(list(logs.values()))
    inclusion, expected = np.zeros(p), np.zeros(p)
    for columns, log in logs.items():
        inclusion[list(columns)] += np.exp(log - total)
        expected[list(columns)] += np.exp(log - total) * means[columns]
    return inclusion, float(np.exp(logs[()] - total)), expected


@pytest.mark.slow  # draws long chains, and sums over all subsets
@needs_speed
@needs_numba
@pytest.mark.parametrize(
    ("noise", "seed", "n", "p"),
    [(1.0, 0, 40, 6), (4.0, 1, 40, 6), (8.0, 2, 40, 6), (20.0, 3, 40, 6), (8.0, 4, 4, 8)],
)
def test_the_posterior_is_that_of_all_subsets(noise, seed, n, p):
    X, y, _ = problem(n=n, p=p, seed=seed, noise=noise, active=(1, 4, 5))
    products = Products.of(design_of(X), y)
    sampled = sample(products, 5, compiled=True, length=ChainLength(sweeps=20_000))
    inclusion, empty, mean = exact_posterior(X, y)
    np.testing.assert_allclose(sampled.inclusion, inclusion, atol=0.02)
    assert sampled.empty == pytest.approx(empty, abs=0.02)
    np.testing.assert_allclose(sampled.mean, mean, atol=0.02 * np.sqrt(products.total))


@given(st.floats(-30, 30), st.floats(-6, 6))
def test_draws_of_the_moment_prior(a, normal):
    """Their distribution function, integrated, is that of the normal draw they come from."""
    from scipy.integrate import quad
    from scipy.stats import norm

    def density(t):
        return (a + t) ** 2 * norm.pdf(t) / (a * a + 1.0)

    t = moment_draw(a, normal)
    ends = (t, t + 9) if normal > 0 else (t - 9, t)
    tail = quad(density, *ends, epsabs=0, limit=200)[0]
    assert tail == pytest.approx(norm.cdf(-abs(normal)), rel=1e-4, abs=1e-13)


@given(st.floats(1e-12, 1 - 1e-12), st.floats(-50, 5), st.booleans())
def test_the_limit_from_which_a_gate_opens_is_its_root_or_a_little_less(uniform, log_odds, moment):
    z = float(opening(np.array([uniform]), Conditions(log_odds, 0.5, 1.0, moment))[0])
    logit = np.log(uniform / (1 - uniform))
    if z > 0:
        odds = log_odds + 0.5 * z + (np.log1p(z) if moment else 0.0)
        assert logit - 0.2 <= odds <= logit + 1e-9
    else:
        assert log_odds >= logit - 1e-9


@needs_numba
def test_compiled_and_plain_sweeps_draw_the_same():
    X, y, _ = problem(n=50, p=70, noise=2.0)
    X[:, 11] = 1.0
    numba, numpy = (l0_regression_path(X, y, device=device, seed=4) for device in ("numba", "numpy"))
    np.testing.assert_allclose(numba.inclusion, numpy.inclusion, atol=1e-10)
    np.testing.assert_allclose(numba.coefficients.toarray(), numpy.coefficients.toarray(), atol=1e-9)
    assert numba.inclusion[11] == 0


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_numba, id="compiled"), False])
def test_rows_of_the_gram_matrix_that_come_and_go_change_nothing(compiled):
    X, y, _ = problem(n=50, p=150, noise=2.0)
    X[:, 11] = 1.0
    short = ChainLength(sweeps=300)
    few = Products.of(design_of(X), y, GramLimits(at_once=0, memory=0))
    found = sample(few, 4, compiled=compiled, length=short)
    expected = sample(Products.of(design_of(X), y), 4, compiled=compiled, length=short)
    np.testing.assert_allclose(found.inclusion, expected.inclusion, atol=1e-8)
    assert (few.gram.slots < 0).any()  # for there was not room for all


def test_draws_are_made_in_blocks_whose_size_changes_nothing_but_the_draws():
    X, y, _ = problem(noise=3.0)
    products, chain = Products.of(design_of(X), y), {"sweeps": 2000}
    large, small = (
        sample(products, 0, compiled=False, length=ChainLength(**chain, **limits))
        for limits in ({}, {"block_draws": 1})
    )
    assert not np.array_equal(large.inclusion, small.inclusion)
    np.testing.assert_allclose(large.inclusion, small.inclusion, atol=0.06)


def test_expected_f1_is_the_mean_of_f1_over_independent_gates():
    inclusion, rng = np.array([0.9, 0.2, 0.6, 0.05]), np.random.default_rng(0)
    truth = rng.random((200_000, 4)) < inclusion
    order = np.argsort(-inclusion)
    found = expected_f1(inclusion, empty=0.1)
    assert found[0] == 0.1
    for k in (1, 2, 3, 4):
        hits = truth[:, order[:k]].sum(axis=1)
        assert found[k] == pytest.approx(2 * hits.mean() / (k + truth.sum(axis=1).mean()), abs=0.01)
    assert np.argmax(found) == 2
