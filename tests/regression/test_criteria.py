"""How the size is chosen: the table of criteria, cross-validation, and errors that are mere rounding."""

import re

import numpy as np
import pytest
from linear_problems import problem, squares
from scipy.special import gammaln
from support import CPU_DEVICES

from l0np import l0_regression_path
from l0np.errors import InputError
from l0np.regression.criteria import CRITERIA, Criterion


def test_the_docstring_lists_the_criteria():
    (listed,) = re.findall(r"    criterion : \{(.*)\}, optional", l0_regression_path.__doc__)
    assert listed.split(", ") == [f'"{name}"' for name in CRITERIA]
    for name in CRITERIA:
        assert l0_regression_path.__doc__.count(f'"{name}"') > 1  # and says something of each


def test_information_criteria_by_hand():
    X, y, _ = problem(n=40, p=9, noise=2.0)
    k, log_n, log_p = np.arange(10), np.log(40), np.log(9)
    path = l0_regression_path(X, y, range(10), method="exchange")
    likelihood = 40 * np.log([squares(X, y, path.features(size)) / 40 for size in k])
    subsets = gammaln(10) - gammaln(k + 1) - gammaln(10 - k)
    penalties = {
        "bic": k * log_n,
        "ebic": k * log_n + 2 * subsets,
        "gic": k * log_p * np.log(log_n),
    }
    for name, penalty in penalties.items():
        found = l0_regression_path(X, y, range(10), method="exchange", criterion=name)
        np.testing.assert_allclose(found.criterion, likelihood + penalty, rtol=1e-9)
        assert found.best == np.argmin(likelihood + penalty)
    default = likelihood + penalties["ebic"]
    np.testing.assert_allclose(path.criterion, default, rtol=1e-9)


def test_information_criteria_take_the_error_of_least_squares_whatever_the_coefficients():
    X, y, _ = problem(noise=3.0)
    path = l0_regression_path(X, y, 8, criterion="bic")
    by_hand = 60 * np.log(squares(X, y, range(8)) / 60) + 8 * np.log(60)
    assert path.criterion[0] == pytest.approx(by_hand)
    assert path.error[0] > squares(X, y, range(8)) / 60  # for coefficients are shrunken


def test_f1_is_the_default_of_methods_that_find_a_posterior():
    X, y, _ = problem(noise=3.0)
    default, named = l0_regression_path(X, y), l0_regression_path(X, y, criterion="f1")
    assert np.array_equal(default.criterion, named.criterion)
    assert (named.criterion <= 1).all()
    ranked = np.sort(default.inclusion)[::-1]
    for k in default.n_active[1:]:
        expected = 2 * ranked[:k].sum() / (k + ranked.sum())
        assert named.criterion[k] == pytest.approx(1 - expected, abs=1e-11)
    some = l0_regression_path(X, y, [1, 3, 4])
    assert np.array_equal(some.criterion, named.criterion[[1, 3, 4]])


def test_a_criterion_of_ones_own_is_a_line_in_the_table(monkeypatch):
    monkeypatch.setitem(CRITERIA, "aic", Criterion(lambda models: models.information(2.0 * models.n_active)))
    X, y, _ = problem(n=40, p=9, noise=2.0)
    for method in ("exchange", "inclusion"):
        path = l0_regression_path(X, y, range(10), method=method, criterion="aic")
        errors = np.array([squares(X, y, path.features(k)) / 40 for k in range(10)])
        np.testing.assert_allclose(path.criterion, 40 * np.log(errors) + 2.0 * np.arange(10))
        assert path.best == np.argmin(path.criterion)
    with pytest.raises(InputError, match=r"one of 'f1', 'bic', 'ebic', 'gic', 'aic'; got 'hqic'"):
        l0_regression_path(X, y, criterion="hqic")


def test_a_criterion_of_ones_own_may_need_a_posterior(monkeypatch):
    largest = Criterion(lambda models: -models.expected_f1 - models.n_active, posterior=True)
    monkeypatch.setitem(CRITERIA, "largest", largest)
    X, y, _ = problem()
    assert l0_regression_path(X, y, [0, 2, 5], criterion="largest").n_active_ == 5
    with pytest.raises(InputError, match='criterion="largest" needs the probabilities of method="inclusion"'):
        l0_regression_path(X, y, method="exchange", criterion="largest")


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


OFFSETS, SCALES = (0.0, 1.0, 1e6), (1e-9, 1.0, 1e9)


def exact_fits(scale, offset):
    """Return features and a response that one of them explains, but for rounding."""
    X = np.random.default_rng(2).normal(size=(40, 10))
    return X, scale * (3.0 * X[:, 3] + offset)


@pytest.mark.parametrize("method", ["inclusion", "exchange"])
@pytest.mark.parametrize(
    ("options", "shift"),
    [({"cv": 5}, 0), ({"criterion": "bic"}, 1), ({"criterion": "ebic"}, 2), ({"criterion": "gic"}, 0)],
)
@pytest.mark.parametrize("turn", range(3))
def test_of_fits_that_differ_by_rounding_the_smallest_is_chosen(method, options, shift, turn):
    """Each option with every scale and every offset, three of their nine pairs: all nine in three options."""
    scale, offset = SCALES[turn], OFFSETS[(turn + shift) % 3]
    path = l0_regression_path(*exact_fits(scale, offset), method=method, lambda_l2=0.0, **options)
    assert path.indices.tolist() == [3]


# What is rounding does not depend on how features were selected, so gates are trained for one criterion and
# one cross-validation with the fewest folds
@pytest.mark.slow  # trains gates for every size of a path
@pytest.mark.parametrize("device", CPU_DEVICES[-1:])
@pytest.mark.parametrize("options", [{"cv": 2}, {"criterion": "bic"}], ids=str)
@pytest.mark.parametrize("offset", OFFSETS)
def test_of_trained_gates_that_differ_by_rounding_the_smallest_are_chosen(device, options, offset):
    for scale in SCALES:
        X, y = exact_fits(scale, offset)
        path = l0_regression_path(X, y, [0, 1, 5], method="gates", device=device, **options)
        assert path.indices.tolist() == [3]


def test_a_small_effect_is_no_rounding():
    X = np.random.default_rng(2).normal(size=(40, 10))
    path = l0_regression_path(X, 1e6 + X[:, 3] + 1e-6 * X[:, 5], method="exchange", cv=5)
    assert path.indices.tolist() == [3, 5]
