"""Pruning: what is removed stays removed, units vanish, and test-time outputs stay as they were."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l0np.errors import InputError, InputTypeError, L0npWarning
from l0np.layers import Adam, L0Conv2d, L0DepthwiseConv2d, L0Linear, SparseMLP, prune_model
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


# --- lists of layers


def relu(x):
    return np.maximum(x, 0)


def output_of(layers, x, activation):
    """Apply layers one after the other; images are flattened before a linear layer."""
    for i, layer in enumerate(layers):
        x = activation(x) if i else x
        x = layer(x.reshape(len(x), -1) if isinstance(layer, L0Linear) else x)
    return x


def convolutions(seed, structured, padding=0, bias=True):
    """Two convolutions of images of 5 x 5, and a linear layer; some gates closed, biases not 0."""
    rng, options = np.random.default_rng(seed), {"seed": seed, "dtype": "float64", "bias": bias}
    size = 5 - 2 + 1 + 2 * padding - 2 + 1
    layers = [
        L0Conv2d(2, 4, 2, structured=structured, **options),
        L0Conv2d(4, 5, 2, padding=padding, structured=structured, **options),
        L0Linear(5 * size**2, 3, **options),
    ]
    for layer in layers:
        shape = layer.gates.gate_size
        closed = rng.random(shape) < 0.3
        if layer is not layers[2] and not structured:
            closed[rng.integers(len(closed))] = True
        layer.gates.log_alpha = np.where(closed, -6.0, rng.uniform(0, 4, shape))
        if bias:
            layer.bias = rng.normal(size=len(layer.bias))
    layers[2].weight_gates.log_alpha[:, : size**2] = -6.0  # nothing leads from the first channel
    return layers, rng.normal(size=(6, 2, 5, 5))


@given(st.integers(0, 1000), st.booleans(), st.sampled_from([relu, np.tanh, np.cos]))
def test_channels_between_layers_are_removed_and_outputs_stay(seed, structured, activation):
    layers, x = convolutions(seed, structured)
    before = output_of([layer.eval() for layer in layers], x, activation)
    assert prune_model(layers, 0.5, activation=activation) is layers
    assert np.allclose(output_of(layers, x, activation), before)
    for first, second in pairwise(layers):
        n_channels = first.out_channels
        assert first.weight.shape[0] == len(first.bias) == first.gates.gate_size[0] == n_channels
        assert second.weight.shape[1] % n_channels == 0
        led_to = (first.weight != 0).any(axis=(1, 2, 3))
        used = (second.weight != 0).reshape(len(second.weight), n_channels, -1).any(axis=(0, 2))
        assert (led_to & used).all() or n_channels == 1
    assert layers[1].out_channels < 5
    assert layers[2].in_features == layers[1].out_channels * 9


def test_a_pruned_list_can_be_trained_further():
    layers, x = convolutions(3, True)
    prune_model(layers, activation=relu)
    hidden = layers[0].train()(x)
    layers[0].backward(np.ones_like(hidden))
    assert layers[0].grad_weight.shape == layers[0].weight.shape
    assert layers[0].gates.grad_log_alpha.shape == (layers[0].out_channels,)


def two_linear(bias=1.0, next_bias=True):
    first, second = (
        L0Linear(3, 4, seed=0, dtype="float64"),
        L0Linear(4, 2, next_bias, seed=1, dtype="float64"),
    )
    first.weight_gates.log_alpha[1] = -9.0  # nothing leads to the second unit, nothing from the third
    second.weight_gates.log_alpha[:, 2] = -9.0
    first.bias = np.full(4, bias)
    return [first, second]


def test_without_the_function_between_only_what_nothing_leads_from_is_removed():
    layers, x = two_linear(), np.ones((1, 3))
    before = output_of([layer.eval() for layer in layers], x, np.cos)
    with pytest.warns(L0npWarning, match=r"1 output of model\[0\] stay.* not known: give it as activation"):
        prune_model(layers)
    assert layers[0].out_features == layers[1].in_features == 3
    assert np.allclose(output_of(layers, x, np.cos), before)
    prune_model(layers, activation=np.cos)
    assert layers[0].out_features == layers[1].in_features == 2
    assert np.allclose(output_of(layers, x, np.cos), before)


def test_without_a_bias_to_take_it_a_constant_stays_unless_it_is_0():
    layers = two_linear(next_bias=False)
    with pytest.warns(L0npWarning, match="the next layer has no bias"):
        prune_model(layers, activation=relu)
    assert layers[0].out_features == 3
    layers = two_linear(bias=-1.0, next_bias=False)
    prune_model(layers, activation=relu)
    assert layers[0].out_features == 2


@pytest.mark.parametrize("bias", [True, False])
def test_before_padding_a_constant_stays_unless_it_is_0(bias):
    layers, x = convolutions(5, True, padding=1, bias=bias)
    layers[0].channel_gates.log_alpha = np.array([2.0, 2.0, -6.0, 2.0])
    before = output_of([layer.eval() for layer in layers], x, np.tanh)
    if bias:
        with pytest.warns(L0npWarning, match=r"constant is not that of the padding \(1, 1\) around it"):
            prune_model(layers, activation=np.tanh)
    else:
        prune_model(layers, activation=np.tanh)
    assert layers[0].out_channels == (4 if bias else 3)
    assert np.allclose(output_of(layers, x, np.tanh), before)


def test_units_next_to_a_depthwise_convolution_stay():
    layers = [L0Conv2d(1, 3, 2, structured=True, seed=0), L0DepthwiseConv2d(3, 2, seed=0)]
    layers[0].channel_gates.log_alpha[0] = -9.0
    with pytest.warns(L0npWarning, match="from L0Conv2d to L0DepthwiseConv2d units cannot be followed"):
        prune_model(layers, activation=relu)
    assert layers[0].out_channels == 3
    assert not layers[0].weight[0].any()


def test_bad_arguments():
    with pytest.raises(InputError, match="model has no layers"):
        prune_model([])
    with pytest.raises(InputError, match=r"model\[0\] has 3 outputs, but model\[1\] takes 4"):
        prune_model([L0Linear(2, 3), L0Linear(4, 2)])
    layer = L0Linear(2, 2)
    with pytest.raises(InputError, match="holds a layer twice"):
        prune_model([layer, layer])
    with pytest.raises(InputError, match="leave it out here"):
        prune_model(layer, activation=relu)
    with pytest.raises(InputTypeError, match=r"activation\[0\] must be callable"):
        prune_model([layer], activation="relu")
    with pytest.raises(InputError, match="must return an array of the shape of its input"):
        prune_model([layer], activation=np.sum)
    with pytest.raises(InputTypeError, match="model must be a layer, a network or a list"):
        prune_model(1)
    with pytest.raises(InputTypeError, match=r"model\[0\] must be a layer of l0np"):
        prune_model([1])
    with pytest.raises(InputError, match="threshold must be at most 1"):
        prune_model(L0Linear(2, 2), 2)
