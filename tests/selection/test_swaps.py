"""Swaps: as many records as before, none that is needed leaves, no worse loss, nothing random, nothing without need."""

import numpy as np
import pytest
from scipy import sparse

from l0np.matrix.column_matrix import ColumnMatrix
from l0np.refit.distances import distance_of
from l0np.refit.refit import refit_to_targets
from l0np.selection import swaps
from l0np.selection.swaps import MOST_ROUNDS, USELESS, Choice, Swaps
from l0np.targets.targets import Targets


def problem(seed=0, n=300, q=20, k=40):
    """Targets that few of the records can meet, and a selection without these."""
    rng = np.random.default_rng(seed)
    dense = rng.lognormal(size=(q, n)) * (rng.random((q, n)) < 0.3)
    dense[0] = 1.0
    truth = np.sort(rng.choice(n, k, replace=False))
    y = dense[:, truth] @ rng.uniform(1.0, 2.0, size=k)
    return dense, y, np.sort(rng.choice(np.setdiff1d(np.arange(n), truth), k, replace=False))


def swaps_of(dense, y, reference=None, **options):
    """The swaps, and how a selection becomes a choice; refitted selections are noted in the list."""
    matrix, targets = ColumnMatrix.build(dense, "float64"), Targets.build(y, len(y), **options)
    reference, tried = np.full(dense.shape[1], 1.5) if reference is None else reference, []
    loss = targets.scaled_by_errors()

    def refit(indices):
        tried.append(indices)
        found = refit_to_targets(matrix, indices, targets, reference[indices], distance_of("chi-square", (0.05, 3.0)))
        beyond = np.maximum(np.abs(found.errors) - targets.tolerance, 0) / loss.scale
        return Choice(indices, reference[indices], found, float(targets.weights @ beyond**2))

    return Swaps(matrix, targets, reference, refit), tried


def never(choice):
    return False


@pytest.mark.parametrize("seed", range(5))
def test_the_count_stays_and_the_loss_falls(seed):
    dense, y, start = problem(seed)
    swapping, tried = swaps_of(dense, y)
    first = swapping.refit(start)
    best = swapping.improve(first, never)
    assert best.loss < 0.5 * first.loss
    assert 2 < len(tried) <= 1 + MOST_ROUNDS
    for indices in tried:
        assert len(indices) == len(start)
        assert (np.diff(indices) > 0).all()
    losses = [swapping.refit(indices).loss for indices in list(tried)]
    assert best.loss == min(losses)
    np.testing.assert_array_equal(best.indices, tried[int(np.argmin(losses))])


def test_only_records_that_the_refit_has_no_use_for_leave():
    dense, y, start = problem()
    swapping, _ = swaps_of(dense, y)
    choice = swapping.refit(start)
    useless = start[choice.refit.ratios < USELESS]
    for share in (0.02, 0.1, 1.0):
        left = np.setdiff1d(start, swapping.exchanged(choice, share))
        assert len(left) == min(max(1, int(share * len(start))), len(useless))
        order = choice.refit.ratios[np.searchsorted(start, left)]
        assert set(left) <= set(useless)
        assert order.max() <= np.sort(choice.refit.ratios)[len(left) - 1]


def test_those_that_join_are_those_that_the_errors_call_for():
    marks = np.array([[1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
    even, _ = swaps_of(marks, [4.5, 1.0, 0.1])
    assert even.exchanged(even.refit(np.arange(3)), 0.1) is None  # no weight is small
    crowded, _ = swaps_of(marks, [0.5, 1.0, 0.1])  # too many of the first kind, none of the second and the third
    np.testing.assert_array_equal(np.setdiff1d(crowded.exchanged(crowded.refit(np.arange(3)), 0.1), [0, 1, 2]), [3])


def test_records_without_reference_and_targets_held_out_count_for_nothing():
    marks = np.array([[1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
    barred, _ = swaps_of(marks, [0.5, 1.0, 0.9], np.array([1.5, 1.5, 1.5, 0.0, 1.5]))
    np.testing.assert_array_equal(np.setdiff1d(barred.exchanged(barred.refit(np.arange(3)), 0.1), [0, 1, 2]), [4])
    held_out, _ = swaps_of(marks, [0.5, 1.0, 0.9], exclude=[1])
    np.testing.assert_array_equal(np.setdiff1d(held_out.exchanged(held_out.refit(np.arange(3)), 0.1), [0, 1, 2]), [4])
    tolerant, _ = swaps_of(marks, [0.5, 1.0, 0.9], tolerances=[0.0, 1.0, 0.0])
    np.testing.assert_array_equal(np.setdiff1d(tolerant.exchanged(tolerant.refit(np.arange(3)), 0.1), [0, 1, 2]), [4])


def test_nothing_is_random():
    dense, y, start = problem(1)
    ends = [swapping.improve(swapping.refit(start), never) for swapping, _ in (swaps_of(dense, y), swaps_of(dense, y))]
    np.testing.assert_array_equal(ends[0].indices, ends[1].indices)
    np.testing.assert_array_equal(ends[0].refit.weights, ends[1].refit.weights)


def test_what_suffices_is_left_as_it_is():
    dense, y, start = problem()
    swapping, tried = swaps_of(dense, y)
    choice = swapping.refit(start)
    assert swapping.improve(choice, lambda found: True) is choice
    assert len(tried) == 1
    second = swapping.improve(choice, lambda found: found is not choice)
    np.testing.assert_array_equal(second.indices, tried[1])
    assert len(tried) == 2


def test_a_selection_without_useless_records_and_one_without_others_stay():
    dense, y, start = problem()
    swapping, _ = swaps_of(dense, dense[:, start] @ np.full(len(start), 1.5))
    choice = swapping.refit(start)
    assert swapping.improve(choice, never) is choice
    whole, _ = swaps_of(dense[:, start], y)
    everything = whole.refit(np.arange(len(start)))
    assert everything.refit.ratios.min() < USELESS
    assert whole.improve(everything, never) is everything


@pytest.mark.parametrize("change", [2.0, 0.95])
def test_a_round_that_brings_nothing_is_not_kept_and_one_that_brings_little_is(monkeypatch, change):
    dense, y, start = problem()
    swapping, tried = swaps_of(dense, y)
    choice = swapping.refit(start)
    good = swapping.refit
    monkeypatch.setattr(
        swapping, "refit", lambda indices: Choice(*(vars(good(indices)) | {"loss": change * choice.loss}).values())
    )
    best = swapping.improve(choice, never)
    np.testing.assert_array_equal(best.indices, start if change > 1 else tried[1])
    rounds = len(tried) - 1
    assert swaps.FIRST_SHARE / 2**rounds < swaps.LEAST_SHARE <= swaps.FIRST_SHARE / 2 ** (rounds - 1)


def test_each_joins_in_view_of_those_before():
    """The pursuit against a loop: after each record the residual is what is left, and the next is the best for that."""
    dense, y, start = problem(2)
    matrix = sparse.csc_array(dense)
    reference = np.random.default_rng(0).uniform(0.5, 2.0, size=dense.shape[1])
    swapping, _ = swaps_of(dense, y, reference)
    residual = np.random.default_rng(1).normal(size=len(y))
    scaled, left, joined = dense / np.maximum(np.abs(y), 1)[:, None], residual.copy(), []
    for _ in range(5):
        pull, squares = scaled.T @ left, (scaled**2).sum(axis=0)
        weight = np.clip(pull / squares, 0.05 * reference, 4.0 * reference)
        gain = [
            -np.inf if j in {*joined, *start} else left @ left - np.sum((left - weight[j] * scaled[:, j]) ** 2)
            for j in range(matrix.shape[1])
        ]
        joined.append(int(np.argmax(gain)))
        left = left - weight[joined[-1]] * scaled[:, joined[-1]]
    np.testing.assert_array_equal(swapping._pursued(residual, start, 5), joined)
