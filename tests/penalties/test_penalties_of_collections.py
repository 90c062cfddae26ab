"""Penalties of collections: each parameter once, no gates in L2, gradients by central differences."""

import numpy as np
import pytest

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError, InputTypeError
from l0np.gates import HardConcrete, HybridGate, L0Gate
from l0np.layers import L0Conv2d, L0Linear, SparseMLP
from l0np.penalties import (
    compute_l0_penalty,
    compute_l0l2_penalty,
    compute_l2_penalty,
    get_active_parameter_count,
    get_sparsity_stats,
    update_temperatures,
)


def network():
    return SparseMLP(3, 4, 2, seed=0, dtype="float64")


def test_any_collection_counts_each_object_once():
    gates, layer, hybrid = HardConcrete(5, seed=0), L0Linear(3, 2, seed=1), HybridGate(10, seed=0)
    alone = gates.get_penalty() + layer.get_l0_penalty() + hybrid.get_penalty()
    assert compute_l0_penalty([gates, layer, hybrid]) == pytest.approx(alone)
    nested = {"a": [gates, layer], "b": (layer, layer.weight_gates, hybrid, hybrid.l0_gate)}
    assert compute_l0_penalty(nested) == pytest.approx(alone)
    assert compute_l0_penalty([]) == 0.0
    model, other = SparseCalibrationWeights(4, seed=0), SparseL0Linear(3, seed=0)
    models = model.get_l0_penalty() + other.get_l0_penalty()
    assert compute_l0_penalty([model, other, gates, model]) == pytest.approx(models + gates.get_penalty())


def test_l2_has_weights_and_nothing_else():
    layer, conv = L0Linear(3, 2, seed=0), L0Conv2d(1, 2, 2, seed=0)
    layer.bias += 1
    squares = (layer.weight**2).sum() + (conv.weight**2).sum()
    assert compute_l2_penalty([layer, conv, layer]) == pytest.approx(squares)
    assert compute_l2_penalty([layer.weight_gates, L0Gate(3)]) == 0.0
    other = L0Linear(3, 2, seed=1)
    other.weight = layer.weight  # tied
    assert compute_l2_penalty([layer, other]) == pytest.approx((layer.weight**2).sum())
    model = SparseCalibrationWeights(3, init_weights=[1.0, 2.0, 3.0], seed=0)
    assert compute_l2_penalty(model) == pytest.approx(14.0)
    regression = SparseL0Linear(2, seed=0).fit(np.eye(2), [1.0, 2.0], epochs=3)
    assert compute_l2_penalty(regression) == pytest.approx((regression.weight**2).sum())


def test_gradients_of_the_penalties():
    model = network()
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        setattr(parameter.owner, parameter.name, rng.normal(size=parameter.value.shape))
    model.zero_grad()
    value = compute_l0l2_penalty([model, model.fc1], 0.3, 0.7, upstream=2.0)
    expected = 0.3 * compute_l0_penalty(model) + 0.7 * compute_l2_penalty(model)
    assert value == pytest.approx(expected)
    for parameter in model.parameters():
        at, step = (0,) * parameter.value.ndim, 1e-5
        here = parameter.value[at]
        parameter.value[at] = here + step
        above = compute_l0l2_penalty(model, 0.3, 0.7)
        parameter.value[at] = here - step
        slope = (above - compute_l0l2_penalty(model, 0.3, 0.7)) / (2 * step)
        parameter.value[at] = here
        assert parameter.gradient[at] == pytest.approx(2 * slope, rel=1e-6, abs=1e-9)


def test_penalties_between_forward_and_backward_do_no_harm():
    one, two = network(), network()
    x, upstream = np.ones((5, 3)), np.ones((5, 2))
    for model in (one, two):
        model(x)
    compute_l0_penalty(one, upstream=1.0)
    one.backward(upstream)
    two.backward(upstream)
    compute_l0_penalty(two, upstream=1.0)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert np.allclose(a.gradient, b.gradient)


def test_sparsity_of_each_part():
    layer, gates = L0Conv2d(2, 3, 2, structured=True, seed=0), HardConcrete(4, seed=0)
    layer.channel_gates.log_alpha[0] = gates.log_alpha[:3] = -9.0
    model = SparseCalibrationWeights(4, seed=0, init_keep_prob=[0.5, 0.5, 0.5, 0.0], log_alpha_jitter_sd=0)
    stats = get_sparsity_stats({"conv": layer, "gates": gates, "model": model, "again": layer})
    assert list(stats) == ["conv", "gates", "model"]
    found = {name: (s["active_params"], s["total_params"], s["sparsity"]) for name, s in stats.items()}
    assert found["conv"] == (16, 24, pytest.approx(1 / 3))
    assert found["gates"] == (1, 4, 0.75)
    assert found["model"] == (3, 4, 0.25)
    assert stats["conv"]["expected_open"] == layer.channel_gates.get_penalty()
    assert get_active_parameter_count([layer, gates, model, layer]) == 20
    assert list(get_sparsity_stats(network())) == ["fc1", "fc2", "fc3"]
    assert list(get_sparsity_stats([L0Linear(2, 2), HybridGate(5)])) == ["0", "1.l0_gate.gates"]


def test_temperatures_of_all():
    model, layers = SparseL0Linear(2, seed=0), network()
    update_temperatures([model, layers, HybridGate(5)], 0.2)
    assert model.beta == 0.2
    assert layers.fc2.weight_gates.temperature == 0.2
    with pytest.raises(InputError, match="temperature must be"):
        update_temperatures([layers, model], 0.0)
    assert layers.fc2.weight_gates.temperature == 0.2


def test_what_cannot_be_used_is_named():
    gates = HardConcrete(2, seed=0)
    with pytest.raises(InputTypeError, match=r"model: element 1\.x must be a gate, a layer or a model.*'a'"):
        compute_l0_penalty([gates, {"x": "a"}])
    with pytest.raises(InputTypeError, match="model must be a gate"):
        get_sparsity_stats(None)
    with pytest.raises(InputTypeError, match="model: element 1 has no gradients"):
        compute_l0_penalty([gates, SparseL0Linear(2)], upstream=1.0)
    with pytest.raises(InputTypeError, match="has no gradients"):
        compute_l0l2_penalty([gates, SparseL0Linear(2)], upstream=1.0)
    with pytest.raises(InputError, match="l0_lambda must be at least 0"):
        compute_l0l2_penalty(gates, -1.0, upstream=1.0)
    with pytest.raises(InputError, match="upstream must be finite"):
        compute_l2_penalty(gates, upstream=np.inf)
    assert not gates.grad_log_alpha.any()
