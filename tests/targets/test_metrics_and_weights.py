"""Weights of targets in groups, and what reports say of weights."""

import numpy as np
import oracles
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l0np.targets import metrics
from l0np.targets.weights import group_weights


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=12),
    st.booleans(),
    st.dictionaries(st.integers(0, 3), st.floats(0, 5)),
)
def test_group_weights(groups, normalize, multipliers):
    multipliers = {g: m for g, m in multipliers.items() if g in groups}
    weights = group_weights(np.array(groups), len(groups), normalize, multipliers)
    np.testing.assert_allclose(weights, oracles.group_weights(groups, normalize, multipliers))


def test_group_weights_add_up_to_the_number_of_groups():
    assert group_weights(np.array(["a", "b", "a", "c"]), 4, True, None).sum() == pytest.approx(3)


def test_metrics():
    weights = np.array([0.0, 0.005, 0.05, 0.5, 5.0, 50.0, 5000.0])
    assert metrics.weight_histogram(weights[1:]).tolist() == [1] * 6
    assert metrics.weight_histogram(np.array([0.01, 0.1, 1, 10, 1000.0])).tolist() == [0, 1, 1, 1, 1, 1]
    assert metrics.effective_sample_size(np.zeros(3)) == 0
    assert metrics.effective_sample_size(np.array([1.0, 3.0])) == pytest.approx(16 / 10)
