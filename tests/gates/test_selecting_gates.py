"""Gates that select items: exactly as many as asked for, the same at every call, with their own seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l0np.errors import InputError, InputTypeError
from l0np.gates import FeatureGate, HybridGate, L0Gate, SampleGate


def with_locations(gate, seed=0):
    gate.gates.log_alpha = np.random.default_rng(seed).normal(size=gate.size)
    return gate


@given(st.integers(1, 12), st.data())
def test_exactly_as_many_as_asked_for(n, data):
    k = data.draw(st.integers(0, n))
    gate, items = SampleGate(n, k, seed=0), np.arange(2 * n).reshape(n, 2)
    assert len(gate.select_samples(items)[1]) == k  # all gates alike
    with_locations(gate)
    selected, indices = gate.select_samples(items)
    assert np.array_equal(selected, items[indices])
    assert set(indices) == set(np.argsort(gate.gates.log_alpha)[n - k :])
    features = with_locations(FeatureGate(n, k, seed=0))
    selected, indices = features.select_features(items.T[None])
    assert selected.shape == (1, 2, k)
    assert np.array_equal(selected, items.T[None][..., indices])


@given(st.integers(1, 30), st.floats(0, 1), st.floats(0, 1), st.data())
def test_hybrid_selections_are_disjoint_and_complete(n, first, second, data):
    if first + second > 1:
        first, second = (1 - first) / 2, (1 - second) / 2
    k = data.draw(st.integers(0, n))
    gate = HybridGate(n, first, second, target_items=k, seed=5)
    with_locations(gate.l0_gate)
    items, indices, kinds = gate.select(np.arange(n))
    assert len(set(indices.tolist())) == len(indices) == gate.n_l0 + gate.n_random <= k
    assert abs(len(indices) - k * (first + second)) <= 0.5 + 1e-6
    assert np.array_equal(items, indices)
    assert np.all(np.diff(indices) > 0)
    assert np.array_equal(indices[kinds == "l0"], gate.l0_gate.most_open(gate.n_l0))
    assert np.array_equal(indices, gate.select(np.arange(n))[1])


def test_hybrid_selections_depend_on_their_own_seed_only():
    gate = HybridGate(1000, 0.2, 0.8, target_items=100, seed=1)
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = gate.select(np.arange(1000))[1]
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert np.array_equal(
        first, HybridGate(1000, 0.2, 0.8, target_items=100, seed=1).select(np.arange(1000))[1]
    )
    other = gate.select(np.arange(1000), random_seed=2)[1]
    assert not np.array_equal(first, other)
    drawn = np.concatenate([gate.select(np.arange(1000), random_seed=s)[0][20:] for s in range(50)])
    assert 450 < np.mean(drawn) < 600  # anywhere, not the first ones
    assert HybridGate(10).target_items == 2
    assert HybridGate(10, target_items=0).select(np.arange(10))[0].size == 0


def test_weights_of_samples():
    gate = with_locations(SampleGate(20, 5, seed=0))
    data, weights = np.arange(20), np.linspace(1, 3, 20)
    selected, kept, indices = gate.select_weighted_samples(data, weights)
    assert np.array_equal(selected, indices)
    assert np.array_equal(kept, weights[indices])
    _, rescaled, _ = gate.select_weighted_samples(data, weights, rescale=True)
    assert rescaled.sum() == pytest.approx(weights.sum())
    assert rescaled / kept == pytest.approx(np.full(5, weights.sum() / kept.sum()))
    _, gated, _ = gate.select_weighted_samples(data, weights, gated=True)
    assert gated == pytest.approx(weights[indices] * gate.get_gates()[indices])
    none = SampleGate(20, 0, seed=0)
    assert none.select_weighted_samples(data, weights)[1].shape == (0,)
    with pytest.raises(InputError, match="the selected ones add up to 0"):
        none.select_weighted_samples(data, weights, rescale=True)


def test_gates_are_drawn_only_if_asked_for():
    gate = with_locations(L0Gate(100, seed=3))
    still = gate.get_gates()
    assert np.array_equal(still, gate.get_gates())
    assert np.array_equal(still, gate.gates.deterministic())
    first, second = gate.get_gates(sample=True), gate.get_gates(sample=True)
    assert np.array_equal(first, gate.gates.sample(0))
    assert not np.array_equal(first, second)
    gate.eval()
    assert np.array_equal(gate.get_gates(sample=True), gate.gates.sample(2))
    assert gate.gates.training is False


def test_applying_gates_and_their_derivative():
    gate = with_locations(L0Gate(3, seed=3))
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(gate.apply_gates(x, dim=1), x * gate.get_gates()[:, None])
    assert np.array_equal(gate.apply_gates(x, dim=-2), gate.apply_gates(x, dim=1))
    here, slopes = gate.gates.log_alpha, []
    for i in range(3):
        gate.gates.log_alpha = here + 1e-6 * (np.arange(3) == i)
        above = gate.apply_gates(x, dim=1).sum()
        gate.gates.log_alpha = here - 1e-6 * (np.arange(3) == i)
        slopes.append((above - gate.apply_gates(x, dim=1).sum()) / 2e-6)
    gate.gates.log_alpha = here
    gate.get_gates()
    gate.gates.backward(x.sum(axis=(0, 2)))
    assert gate.gates.grad_log_alpha == pytest.approx(slopes, rel=1e-5)
    assert gate.get_active_indices().tolist() == np.flatnonzero(gate.get_gates() > 0.5).tolist()
    assert gate.get_penalty() == gate.gates.penalty()


def test_names_and_importance_of_features():
    gate = FeatureGate(3, 1, seed=0)
    gate.gates.log_alpha = np.array([0.0, 1.0, -1.0])
    selected, names = gate.select_features_with_names(np.eye(3), ["a", "b", "c"])
    assert names == ["b"]
    assert np.array_equal(selected, np.eye(3)[:, [1]])
    assert np.array_equal(gate.get_feature_importance(), gate.gates.prob_open())
    with pytest.raises(
        InputError, match="feature_names must have one name for each feature: 3 wanted, got 2"
    ):
        gate.select_features_with_names(np.eye(3), ["a", "b"])


@pytest.mark.parametrize("library", ["array_api_strict", "torch", "jax.numpy"])
def test_data_of_any_library(library):
    xp = pytest.importorskip(library, reason=f"{library.split('.')[0]} is not installed")
    gate = with_locations(SampleGate(5, 2, seed=0))
    gate.gates.log_alpha = xp.asarray(gate.gates.log_alpha.astype(np.float32))
    data = xp.reshape(xp.arange(10), (5, 2))
    weights = xp.ones(5, dtype=xp.float32)
    selected, kept, indices = gate.select_weighted_samples(data, weights, rescale=True, gated=True)
    assert type(selected) is type(data)
    assert np.array_equal(np.asarray(selected), np.arange(10).reshape(5, 2)[indices])
    assert float(xp.sum(kept)) == pytest.approx(5.0)
    assert tuple(gate.apply_gates(xp.ones((5, 2), dtype=xp.float32)).shape) == (5, 2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L0Gate(0), InputError, "size must be at least 1"),
        (lambda: L0Gate(2, init_mean=2), InputError, "init_mean must be at most 1"),
        (lambda: SampleGate(3, 4), InputError, "target_samples must be at most 3, got 4"),
        (lambda: SampleGate(3, -1), InputError, "target_samples must be at least 0"),
        (lambda: FeatureGate(3, 4), InputError, "max_features must be at most 3, got 4"),
        (lambda: HybridGate(3, 0.6, 0.6), InputError, "add up to at most 1, got 1.2"),
        (lambda: HybridGate(3, -0.1, 0.6), InputError, "l0_fraction must be at least 0"),
        (lambda: HybridGate(3, target_items=4), InputError, "target_items must be at most 3"),
        (lambda: HybridGate(3).select(np.arange(3), random_seed=-1), InputError, "random_seed must be"),
        (lambda: L0Gate(3).apply_gates(np.ones(4)), InputError, "x must have one element for each item"),
        (lambda: L0Gate(3).apply_gates(np.ones(3), dim=1), InputError, "x has no dimension 1"),
        (lambda: L0Gate(3).most_open(4), InputError, "n must be at most 3"),
        (lambda: L0Gate(3).get_active_indices(2.0), InputError, "threshold must be at most 1"),
        (lambda: SampleGate(3, 1).select_samples(np.ones(4)), InputError, "data must have one element"),
        (
            lambda: SampleGate(3, 1).select_weighted_samples(np.ones(3), np.ones((3, 1))),
            InputError,
            "weights must be one-dimensional",
        ),
        (lambda: L0Gate(3, sed=1), InputTypeError, "did you mean seed"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
