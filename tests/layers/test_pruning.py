"""Pruning: what is removed stays removed, units vanish, and test-time outputs stay as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l0np.errors import InputError, InputTypeError
from l0np.layers import Adam, L0Conv2d, L0Linear, SparseMLP, prune_model
from l0np.penalties import get_active_parameter_count


def network_with(closed, seed, sizes=(5, 6, 3)):
    """A network in which a fraction of the weights has closed gates, and biases are not 0."""
    rng = np.random.default_rng(seed)
    network = SparseMLP(*sizes, seed=seed, dtype="float64")
    for layer in (network.fc1, network.fc2, network.fc3):
        shape = layer.weight.shape
        layer.weight_gates.log_alpha = np.where(rng.random(shape) < closed, -6.0, rng.uniform(0, 4, shape))
        layer.bias = rng.normal(size=len(layer.bias))
    return network


@given(st.floats(0, 1), st.integers(0, 1000), st.sampled_from([0.05, 0.5]))
def test_outputs_stay_and_dead_units_vanish(closed, seed, threshold):
    network, x = network_with(closed, seed), np.random.default_rng(seed).normal(size=(20, 5))
    before, n_active = network.eval()(x), get_active_parameter_count(network)
    assert prune_model(network, threshold) is network
    assert np.allclose(network(x), before, rtol=1e-9, atol=1e-9)
    assert get_active_parameter_count(network) <= n_active
    for first, second in ((network.fc1, network.fc2), (network.fc2, network.fc3)):
        n_units = first.out_features
        assert first.weight.shape == (n_units, first.in_features) == first.weight_gates.gate_size
        assert second.in_features == n_units == len(first.bias)
        led_to, used = (first.weight != 0).any(axis=1), (second.weight != 0).any(axis=0)
        assert (led_to & used).all() or n_units == 1


def test_a_unit_without_weights_is_added_to_the_next_bias():
    network = network_with(0.0, 1)
    network.fc1.weight_gates.log_alpha[2] = -9.0
    network.fc1.bias[2] = 3.0
    bias = network.fc2.bias + 3.0 * network.fc2.test_time_weight()[:, 2]
    prune_model(network)
    assert network.fc1.out_features == 5
    assert np.allclose(network.fc2.bias, bias)


def test_everything_closed_leaves_the_constant():
    network = network_with(1.0, 2)
    x = np.ones((2, 5))
    before = network.eval()(x)
    prune_model(network)
    assert np.allclose(network(x), before)
    assert (network.fc1.out_features, network.fc2.out_features) == (1, 1)
    assert get_active_parameter_count(network) == 0


def test_removed_gates_stay_closed_in_further_training():
    layer = L0Linear(4, 3, seed=0)
    layer.weight_gates.log_alpha[:, :2] = -5.0
    prune_model(layer)
    assert not layer.weight[:, :2].any()
    adam = Adam(layer.train(), lr=0.1)
    locations = layer.weight_gates.log_alpha.copy()
    for _ in range(20):
        adam.zero_grad()
        output = layer(np.ones((5, 4), np.float32))
        layer.backward(output - 100)
        layer.weight_gates.penalty_backward(-10.0)  # which opens all gates that move
        adam.step()
    assert not layer.weight[:, :2].any()
    assert np.array_equal(layer.weight_gates.log_alpha[:, :2], locations[:, :2])
    assert not (layer.weight_gates.log_alpha[:, 2:] == locations[:, 2:]).any()
    assert layer.count_weights() == (6, 12)


def test_the_threshold_is_a_probability_of_being_open():
    layer = L0Linear(4, 3, seed=0)
    layer.weight_gates.log_alpha[0] = -3.0
    p = float(layer.weight_gates.get_active_prob()[0, 0])
    assert prune_model(layer, p - 0.001).weight[0].all()
    assert not prune_model(layer, p + 0.001).weight[0].any()
    assert layer.weight[1:].all()


def test_channels_are_removed_as_a_whole():
    layer = L0Conv2d(2, 3, 2, structured=True, seed=0)
    layer.channel_gates.log_alpha[1] = -9.0
    prune_model(layer)
    assert layer.weight.any(axis=(1, 2, 3)).tolist() == [True, False, True]


def test_bad_arguments():
    with pytest.raises(InputTypeError, match="model must be a layer or a network"):
        prune_model([1])
    with pytest.raises(InputError, match="threshold must be at most 1"):
        prune_model(L0Linear(2, 2), 2)
