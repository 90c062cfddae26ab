"""Pursuit and exchanges, against planted selections and least squares."""

import numpy as np
import pytest
from scipy.optimize import nnls

import l0np
from l0np.selection.pursuit import best_addition, exchange, exchange_with_ridge, pursue


def squared_error(scaled, target, selection):
    return nnls(scaled[:, selection], target)[1] ** 2


def test_pursuit_and_exchange_find_a_planted_selection():
    rng = np.random.default_rng(0)
    scaled = rng.random((30, 80))
    truth = np.sort(rng.choice(80, 6, replace=False))
    target = scaled[:, truth] @ rng.uniform(1, 3, size=6)
    start = np.sort(rng.choice(np.setdiff1d(np.arange(80), truth), 6, replace=False))
    np.testing.assert_array_equal(exchange(scaled, target, pursue(scaled, target, 6)), truth)
    after = exchange(scaled, target, start)
    assert squared_error(scaled, target, after) < 0.25 * squared_error(scaled, target, start)


def test_an_exchange_is_made_only_if_it_lowers_the_error():
    rng = np.random.default_rng(1)
    scaled, target, selected = rng.random((12, 40)), rng.random(12), np.array([1, 5, 9])
    errors = [squared_error(scaled, target, exchange(scaled, target, selected, most)) for most in range(5)]
    assert errors[0] == squared_error(scaled, target, selected)
    assert (np.diff(errors) <= 0).all()
    assert errors[1] < errors[0]


def test_the_best_addition_lowers_the_error_most():
    rng = np.random.default_rng(4)
    scaled, selected = rng.random((8, 40)) * rng.lognormal(0, 2, size=40), np.array([3, 11])
    target = scaled @ rng.random(40)
    left = [np.linalg.lstsq(scaled[:, [*selected, j]], target, rcond=None)[1].sum() for j in range(40)]
    weights = np.linalg.lstsq(scaled[:, selected], target, rcond=None)[0]
    assert (weights > 0).all()  # so that least squares with and without signs agree before
    pull = scaled.T @ (target - scaled[:, selected] @ weights)
    allowed = np.where(pull > 0, left, np.inf)
    allowed[selected] = np.inf
    assert best_addition(scaled, (scaled**2).sum(axis=0), target, selected) == np.argmin(allowed)


def test_where_no_addition_lowers_the_error_the_selection_still_grows():
    scaled, target, selected = np.eye(3), np.array([1.0, -1.0, -1.0]), np.array([0])
    assert best_addition(scaled, np.ones(3), target, selected) != 0
    np.testing.assert_array_equal(exchange(scaled, target, np.array([0, 1])), [0, 1])


def test_a_record_in_no_target_is_removed_first():
    scaled = np.array([[1.0, 0.0, 0.2, 2.0], [0.0, 0.0, 1.0, 1.0]])
    np.testing.assert_array_equal(exchange(scaled, np.array([3.0, 1.5]), np.array([0, 1])), [0, 2])
    M = np.hstack([np.eye(4), np.zeros((4, 20))])
    assert len(l0np.calibrate(M, [1, 2, 3, 4], 10, method="exchange").indices) == 10


def sum_with_ridge(scaled, target, selection, ridge):
    """The least of |A w - t|^2 + ridge |w|^2, and its weights."""
    A = np.vstack([scaled[:, selection], np.sqrt(ridge) * np.eye(len(selection))])
    padded = np.append(target, np.zeros(len(selection)))
    weights = np.linalg.lstsq(A, padded, rcond=None)[0]
    return float(((A @ weights - padded) ** 2).sum()), weights


@pytest.mark.parametrize("ridge", [1e-3, 0.3, 10.0])
def test_exchanges_with_a_ridge_end_where_no_exchange_lowers_the_sum(ridge):
    rng = np.random.default_rng(2)
    scaled, target, start = rng.random((6, 30)), 5 * rng.random(6), np.array([1, 5, 9, 20])
    sums = []
    for most in range(4):
        made = exchange_with_ridge(scaled, target, start, ridge, most)
        assert len(set(made.tolist())) == 4
        sums.append(sum_with_ridge(scaled, target, made, ridge)[0])
    assert (np.diff(sums) <= 1e-12).all()
    assert sums[1] < sums[0]
    found = exchange_with_ridge(scaled, target, start, ridge)
    least = sum_with_ridge(scaled, target, found, ridge)[0]
    for removed in range(4):
        for new in np.setdiff1d(np.arange(30), found):
            other = np.append(np.delete(found, removed), new)
            total, weights = sum_with_ridge(scaled, target, other, ridge)
            assert total >= least * (1 - 1e-9) or weights[-1] <= 0
