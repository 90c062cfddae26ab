"""The probability of each gate of being open, of both models, and the L2 penalty of both."""

import numpy as np
import oracles
import pytest

from l0np import SparseCalibrationWeights, SparseL0Linear


@pytest.mark.parametrize("model", [SparseCalibrationWeights, SparseL0Linear])
def test_active_probabilities(model):
    rng = np.random.default_rng(0)
    M, y = rng.random((5, 12)), rng.random(5) + 3
    fitted = model(12, beta=lambda epoch: 1.0 / (1 + epoch), seed=0).fit(M, y, lr=0.1, epochs=30)
    found = fitted.get_active_prob()
    expected = [oracles.prob_open(a, 1 / 31, -0.1, 1.1) for a in fitted.log_alpha.tolist()]
    assert found.shape == (12,)
    assert found == pytest.approx(expected, rel=1e-5)
    assert found.sum() == pytest.approx(fitted.get_l0_penalty())
    selected = model(12, seed=0).fit(M, y, n_active=3, epochs=30)
    assert ((selected.get_active_prob() > 0) & (selected.get_active_prob() < 1)).all()


def test_without_gates_all_are_open():
    assert np.array_equal(SparseCalibrationWeights(3, use_gates=False).get_active_prob(), np.ones(3))


def test_l2_penalties():
    assert SparseCalibrationWeights(2, init_weights=[1.0, 2.0]).get_l2_penalty() == pytest.approx(5.0)
    regression = SparseL0Linear(2, seed=0).fit(np.eye(2), [1.0, 2.0], epochs=3)
    assert regression.get_l2_penalty() == pytest.approx((regression.weight**2).sum())
