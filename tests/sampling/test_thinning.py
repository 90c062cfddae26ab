"""Thinning: totals stay, exactly n records leave, each the cheapest, and the moves are the shortest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from l0np.sampling import thin_out
from l0np.sampling.thinning import ThinningLimits


def sample(k=30, q=5, n_blocks=1, seed=0):
    """Rows in blocks of q, weights and reference weights of k records in each."""
    rng = np.random.default_rng(seed)
    rows = sparse.block_diag(
        [rng.lognormal(size=(q, k)) * (rng.random((q, k)) < 0.6) for _ in range(n_blocks)], format="csr"
    )
    reference = rng.lognormal(3, 0.3, size=k * n_blocks)
    return rows, reference * rng.uniform(0.3, 1.7, size=k * n_blocks), reference


def shortest_move(rows, reference, j, ridge=0.0):
    """The change of all weights that changes that of record j by 1 at the least cost, and this cost."""
    scaled = rows.toarray() * np.sqrt(reference)
    n = len(reference)
    if ridge:
        inverse = np.linalg.inv(np.eye(n) + scaled.T @ scaled / ridge)
    else:
        inverse = np.eye(n) - np.linalg.pinv(scaled) @ scaled
    freedom = inverse * np.sqrt(np.outer(reference, reference))
    return freedom[:, j] / freedom[j, j], 1.0 / freedom[j, j]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_the_cheapest_record_walks_to_0_by_the_shortest_move(ridge, seed):
    rows, weights, reference = sample(seed=seed)
    weights[3], reference[3] = 0.3 * weights.min(), 0.01 * reference.min()  # little weight, but no freedom
    costs = [w**2 * shortest_move(rows, reference, j, ridge)[1] for j, w in enumerate(weights)]
    cheapest = int(np.argmin(costs))
    expected = weights - weights[cheapest] * shortest_move(rows, reference, cheapest, ridge)[0]
    assert expected.min() > -1e-9  # no other record reaches 0 before
    np.testing.assert_allclose(thin_out(rows, weights, reference, 1, ridge=ridge), expected, atol=1e-8)


def test_a_second_record_leaves_as_if_the_first_had_never_been_there():
    rows, weights, reference = sample()
    first = thin_out(rows, weights, reference, 1)
    stays = first > 0
    again = thin_out(rows[:, stays], first[stays], reference[stays], 1)
    np.testing.assert_allclose(thin_out(rows, weights, reference, 2)[stays], again, atol=1e-8)


@given(seed=st.integers(0, 10**6), k=st.integers(8, 40), n_blocks=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_totals_stay_and_exactly_n_records_leave(seed, k, n_blocks):
    rows, weights, reference = sample(k, 5, n_blocks, seed)
    n = (k - 6) * n_blocks
    thinned = thin_out(rows, weights, reference, n)
    assert np.count_nonzero(thinned == 0) == n
    assert thinned.min() >= 0
    np.testing.assert_allclose(rows @ thinned, rows @ weights, rtol=1e-8)


def test_as_many_records_stay_as_there_are_independent_totals():
    rows, weights, reference = sample(k=12)
    assert np.count_nonzero(thin_out(rows, weights, reference, 12)) == 5


def test_a_ridge_lets_totals_change_until_no_record_is_left():
    rows, weights, reference = sample(k=12)
    thinned = thin_out(rows, weights, reference, 9, ridge=1e-6)
    assert np.count_nonzero(thinned) == 3
    assert np.abs(rows @ thinned - rows @ weights).max() > 1e-3


def test_a_ridge_by_records_and_by_rows_gives_the_same():
    rows, weights, reference = sample(k=30, q=32)  # fewer records than rows
    wide = sparse.vstack([rows, 1e-9 * rows]).tocsr()
    tall = sparse.csr_array(rows[:29])
    for one in (wide, tall):
        move = shortest_move(one, reference, 0, 0.5)[0]
        assert np.isfinite(move).all()
        costs = [w**2 * shortest_move(one, reference, j, 0.5)[1] for j, w in enumerate(weights)]
        cheapest = int(np.argmin(costs))
        expected = weights - weights[cheapest] * shortest_move(one, reference, cheapest, 0.5)[0]
        if expected.min() > 0:
            np.testing.assert_allclose(thin_out(one, weights, reference, 1, ridge=0.5), expected, atol=1e-7)


def test_records_that_are_no_candidates_follow():
    rows, weights, reference = sample(k=200)
    limits = ThinningLimits(candidates=20, least_candidates=20)
    thinned = thin_out(rows, weights, reference, 10, limits=limits)
    assert np.count_nonzero(thinned == 0) == 10
    np.testing.assert_allclose(rows @ thinned, rows @ weights, rtol=1e-9)
    lowest = np.argsort(weights / reference)[:20]
    assert set(np.flatnonzero(thinned == 0)) <= set(lowest)
    moved = np.abs(thinned - weights) > 1e-9
    assert moved[np.setdiff1d(np.arange(200), lowest)].mean() > 0.9
    first = thin_out(rows, weights, reference, 1, limits=limits)
    gone = int(np.flatnonzero(first == 0)[0])
    expected = weights - weights[gone] * shortest_move(rows, reference, gone)[0]
    np.testing.assert_allclose(first, expected, atol=1e-8)


@pytest.mark.parametrize("candidates", [600, 25])
def test_no_weight_passes_its_largest(candidates):
    rows, weights, reference = sample(k=60)
    limits = ThinningLimits(candidates, candidates)
    free = thin_out(rows, weights, reference, 20, limits=limits)
    largest = np.maximum(weights, 1.3 * reference)
    assert (free > largest).any()
    bounded = thin_out(rows, weights, reference, 20, largest=largest, limits=limits)
    assert (bounded <= largest * (1 + 1e-12)).all()
    assert np.count_nonzero(bounded == 0) > 5
    np.testing.assert_allclose(rows @ bounded, rows @ weights, rtol=1e-8)


@pytest.mark.parametrize("candidates", [600, 25])
def test_records_that_must_stay_do(candidates):
    rows, weights, reference = sample(k=60)
    limits = ThinningLimits(candidates, candidates)
    free = thin_out(rows, weights, reference, 15, limits=limits)
    stays = np.zeros(60, bool)
    stays[np.flatnonzero(free == 0)[:5]] = True
    thinned = thin_out(rows, weights, reference, 15, stays=stays, limits=limits)
    assert np.count_nonzero(thinned == 0) == 15
    assert (thinned[stays] >= 0.01 * weights[stays] * (1 - 1e-12)).all()
    np.testing.assert_allclose(rows @ thinned, rows @ weights, rtol=1e-8)


def test_a_sparse_factor_of_many_rows_moves_as_a_dense_one_does():
    rows, weights, reference = sample(k=12, q=5, n_blocks=60)
    joined = sparse.vstack([rows, np.ones((1, rows.shape[1]))], format="csr")  # all in one block
    thinned = thin_out(joined, weights, reference, 1)
    gone = int(np.flatnonzero(thinned == 0)[0])
    expected = weights - weights[gone] * shortest_move(joined, reference, gone)[0]
    np.testing.assert_allclose(thinned, expected, atol=1e-6 * weights.max())


def test_units_of_totals_and_weights_do_not_matter():
    rows, weights, reference = sample(k=40, n_blocks=2)
    plain = thin_out(rows, weights, reference, 30)
    units = 10.0 ** np.arange(-5, 5)
    scaled = sparse.csr_array(sparse.diags_array(units) @ rows)
    np.testing.assert_allclose(thin_out(scaled, weights, reference, 30), plain, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        thin_out(rows, 1e6 * weights, 1e6 * reference, 30), 1e6 * plain, rtol=1e-6, atol=1e-3
    )


def test_records_in_no_total_leave_first_and_move_nothing():
    rows, weights, reference = sample(k=20)
    rows = sparse.csr_array(sparse.hstack([rows, sparse.csr_array((5, 2))]))
    weights, reference = np.append(weights, [1.0, 1.0]), np.append(reference, [20.0, 20.0])
    thinned = thin_out(rows, weights, reference, 2)
    np.testing.assert_array_equal(np.flatnonzero(thinned == 0), [20, 21])
    np.testing.assert_array_equal(thinned[:20], weights[:20])
