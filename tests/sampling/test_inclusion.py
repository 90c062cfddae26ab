"""Inclusion probabilities: they add up to k, are in proportion to sizes, and keep their lower bounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l0np import ColumnMatrix
from l0np.sampling import inclusion_probabilities, largest_fractions


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), fraction=st.floats(0, 1))
def test_probabilities_add_up_and_keep_their_bounds(seed, n, fraction):
    rng = np.random.default_rng(seed)
    size, least = rng.lognormal(0, 2, size=n), rng.random(n) ** 4 * rng.integers(0, 2)
    k = 1 + int(fraction * (n - 1))
    p = inclusion_probabilities(size, least, k)
    assert np.isclose(p.sum(), k)
    assert (p > 0).all() or least.sum() >= k
    assert (p <= 1).all()
    if least.sum() <= k:
        assert (p >= least - 1e-12).all()
        free = (p > least + 1e-9) & (p < 1)
        np.testing.assert_allclose((p / size)[free], (p / size)[free][:1].repeat(free.sum()), rtol=1e-6)


def test_largest_fractions_match_a_loop():
    rng = np.random.default_rng(0)
    M, w = rng.normal(size=(5, 9)) * (rng.random((5, 9)) < 0.4), rng.random(9)
    expected = [
        max((abs(M[i, j]) * w[j] / (np.abs(M[i]) @ w) for i in range(5) if M[i].any()), default=0)
        for j in range(9)
    ]
    np.testing.assert_allclose(largest_fractions(ColumnMatrix.build(M, "float64"), w), expected)
