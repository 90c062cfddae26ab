"""The landing of the cube method: exact totals, probabilities, and totals that change little."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import sparse

from l0np.sampling.cube_landing import land


@given(seed=st.integers(0, 10**6), n=st.integers(1, 30), r=st.integers(0, 12), e=st.integers(0, 3))
@example(
    seed=963, n=4, r=3, e=3
)  # as many independent exact totals as records, which eigenvalues alone do not show
@example(seed=3929, n=5, r=4, e=3)
def test_exact_totals_stay_and_no_more_than_their_number_stays_undecided(seed, n, r, e):
    rng = np.random.default_rng(seed)
    exact = np.column_stack((np.ones(n), rng.random((n, e))))
    start = rng.uniform(0.01, 0.99, size=n)
    end = land(sparse.csr_array(rng.random((n, r)) + 0.0), exact, start, rng.random(n))
    assert ((end >= 0) & (end <= 1)).all()
    assert np.count_nonzero((end > 1e-9) & (end < 1 - 1e-9)) <= 1 + e
    np.testing.assert_allclose(end @ exact, start @ exact, atol=3e-6 * n)


@pytest.mark.slow  # draws thousands of landings, for their frequencies
def test_probabilities_stay_and_totals_change_less_than_by_chance():
    rng = np.random.default_rng(3)
    n, n_landings = 7, 3000
    columns, p = sparse.csr_array(rng.random((n, n))), rng.uniform(0.2, 0.8, size=n)
    p[-1] += np.round(p.sum()) - p.sum()
    ends = np.array([land(columns, np.ones((n, 1)), p, rng.random(n)) for _ in range(n_landings)])
    assert (np.abs(ends.mean(axis=0) - p) / np.sqrt(p * (1 - p) / n_landings)).max() < 4.5
    spread = ((ends - p) @ columns.toarray()).var(axis=0).sum()
    assert spread < 0.6 * (p * (1 - p)) @ (columns.toarray() ** 2).sum(axis=1)
