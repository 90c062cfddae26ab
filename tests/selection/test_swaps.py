"""Swaps: as many records as before, only collapsed ones removed, no worse loss, nothing random."""

from dataclasses import replace

import numpy as np
import pytest

from l0np import ColumnMatrix
from l0np.refit import RefitProblem, distance_of
from l0np.selection.selections import Selection
from l0np.selection.swaps import COLLAPSED, LIMITS, SwapLimits, Swaps
from l0np.targets import Targets


def problem(seed=0, n=300, q=20, k=40):
    """Targets that few of the records can meet, and a selection without these."""
    rng = np.random.default_rng(seed)
    dense = rng.lognormal(size=(q, n)) * (rng.random((q, n)) < 0.3)
    dense[0] = 1.0
    truth = np.sort(rng.choice(n, k, replace=False))
    y = dense[:, truth] @ rng.uniform(1.0, 2.0, size=k)
    return dense, y, np.sort(rng.choice(np.setdiff1d(np.arange(n), truth), k, replace=False))


def swaps_of(dense, y, reference=None, limits=LIMITS, **options):
    """The swaps of a problem; the records of every selection that they refit are noted in the list."""
    matrix, targets = ColumnMatrix.build(dense, "float64"), Targets.build(y, len(y), **options)
    reference, tried = np.full(dense.shape[1], 1.5) if reference is None else reference, []
    refits = RefitProblem(matrix, targets, distance_of("chi-square", (0.05, 3.0)))

    def select(records):
        tried.append(records)
        found = refits.refit(records, reference[records])
        beyond = np.maximum(np.abs(found.errors) - targets.tolerance, 0) / targets.error_scale
        return Selection(records, reference[records], found, float(targets.weights @ beyond**2), "test")

    return Swaps(matrix, targets, reference, select, limits), tried


def never(selection):
    return False


@pytest.mark.parametrize("seed", range(5))
def test_the_count_stays_and_the_loss_falls(seed):
    dense, y, start = problem(seed)
    swaps, tried = swaps_of(dense, y)
    first = swaps.select(start)
    best = swaps.improve(first, never)
    assert best.loss < 0.5 * first.loss
    assert 2 < len(tried) <= 1 + LIMITS.rounds
    for records in tried:
        assert len(records) == len(start)
        assert (np.diff(records) > 0).all()
    losses = [swaps.select(records).loss for records in list(tried)]
    assert best.loss == min(losses)
    np.testing.assert_array_equal(best.records, tried[int(np.argmin(losses))])


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_rounds_are_limited(rounds):
    dense, y, start = problem()
    swaps, tried = swaps_of(dense, y, limits=SwapLimits(rounds=rounds))
    swaps.improve(swaps.select(start), never)
    assert len(tried) == 1 + rounds


def test_only_records_whose_g_weight_collapsed_are_removed():
    dense, y, start = problem()
    swaps, _ = swaps_of(dense, y)
    selection = swaps.select(start)
    collapsed = start[selection.refit.ratios < COLLAPSED]
    for fraction in (0.02, 0.1, 1.0):
        removed = np.setdiff1d(start, swaps.swapped(selection, fraction))
        assert len(removed) == min(max(1, int(fraction * len(start))), len(collapsed))
        ratios = selection.refit.ratios[np.searchsorted(start, removed)]
        assert set(removed) <= set(collapsed)
        assert ratios.max() <= np.sort(selection.refit.ratios)[len(removed) - 1]


MARKS = np.array([[1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])


def added(y, reference=None, **options):
    """What a swap adds to the first three records of MARKS; None where nothing is swapped."""
    swaps, _ = swaps_of(MARKS, y, reference, **options)
    records = swaps.swapped(swaps.select(np.arange(3)), 0.1)
    return None if records is None else np.setdiff1d(records, [0, 1, 2]).tolist()


def test_records_that_reduce_the_errors_are_added():
    assert added([4.5, 1.0, 0.1]) is None  # no g-weight is small
    assert added([0.5, 1.0, 0.1]) == [3]  # too many of the first kind, none of the second and the third


def test_records_without_reference_and_targets_held_out_do_not_count():
    y = [0.5, 1.0, 0.9]
    assert added(y) == [3]
    assert added(y, np.array([1.5, 1.5, 1.5, 0.0, 1.5])) == [4]
    assert added(y, exclude=[1]) == [4]
    assert added(y, tolerances=[0.0, 1.0, 0.0]) == [4]


def test_nothing_is_random():
    dense, y, start = problem(1)
    ends = [
        swaps.improve(swaps.select(start), never) for swaps, _ in (swaps_of(dense, y), swaps_of(dense, y))
    ]
    np.testing.assert_array_equal(ends[0].records, ends[1].records)
    np.testing.assert_array_equal(ends[0].refit.weights, ends[1].refit.weights)


def test_what_suffices_is_left_as_it_is():
    dense, y, start = problem()
    swaps, tried = swaps_of(dense, y)
    selection = swaps.select(start)
    assert swaps.improve(selection, lambda found: True) is selection
    assert len(tried) == 1
    second = swaps.improve(selection, lambda found: found is not selection)
    np.testing.assert_array_equal(second.records, tried[1])
    assert len(tried) == 2


def test_a_selection_without_collapsed_records_and_one_of_all_records_stay():
    dense, y, start = problem()
    swaps, _ = swaps_of(dense, dense[:, start] @ np.full(len(start), 1.5))
    selection = swaps.select(start)
    assert swaps.improve(selection, never) is selection
    whole, _ = swaps_of(dense[:, start], y)
    everything = whole.select(np.arange(len(start)))
    assert everything.refit.ratios.min() < COLLAPSED
    assert whole.improve(everything, never) is everything


@pytest.mark.parametrize("change", [2.0, 0.95])
def test_a_round_that_improves_nothing_is_undone_and_one_that_brings_little_is_kept(change):
    dense, y, start = problem()
    limits = SwapLimits(first_fraction=0.2, least_fraction=0.03)  # 0.2, 0.1, 0.05
    swaps, tried = swaps_of(dense, y, limits=limits)
    selection, select = swaps.select(start), swaps.select
    swaps.select = lambda records: replace(select(records), loss=change * selection.loss)
    best = swaps.improve(selection, never)
    np.testing.assert_array_equal(best.records, start if change > 1 else tried[1])
    assert len(tried) - 1 == 3


def test_each_addition_allows_for_those_before():
    """The pursuit against a loop: each addition is the best for the residual that those before leave."""
    dense, y, start = problem(2)
    reference = np.random.default_rng(0).uniform(0.5, 2.0, size=dense.shape[1])
    swaps, _ = swaps_of(dense, y, reference)
    residual = np.random.default_rng(1).normal(size=len(y))
    scaled, left, found = dense / np.maximum(np.abs(y), 1)[:, None], residual.copy(), []
    for _ in range(5):
        pull, squares = scaled.T @ left, (scaled**2).sum(axis=0)
        weight = np.clip(pull / squares, 0.05 * reference, 4.0 * reference)
        gain = [
            -np.inf if j in {*found, *start} else left @ left - np.sum((left - weight[j] * scaled[:, j]) ** 2)
            for j in range(dense.shape[1])
        ]
        found.append(int(np.argmax(gain)))
        left = left - weight[found[-1]] * scaled[:, found[-1]]
    np.testing.assert_array_equal(swaps.pursued(residual, start, 5), found)
