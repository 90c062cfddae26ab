"""Layers: outputs against naive loops, every gradient against central differences, the numbers of weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l0np.errors import InputError, InputTypeError
from l0np.layers import Adam, L0Conv2d, L0DepthwiseConv2d, L0Linear, SparseMLP

seeds = st.integers(0, 10_000)
windows = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 2))  # kernel, stride, padding
STEP = 1e-6


def check_gradients(layer, x, rng):
    """Compare all gradients of a weighted sum of the outputs, in one draw, with central differences."""
    for parameter in layer.parameters():  # near 0 gates are neither 0 nor 1
        noise = rng.normal(size=parameter.value.shape)
        setattr(parameter.owner, parameter.name, parameter.value + 0.3 * noise)
    layer.zero_grad()
    gates = [part for _, part in layer.named_modules() if hasattr(part, "gate_size")]
    if rng.random() < 0.3:
        layer.eval()

    def output(x):
        for part in gates:
            part.epoch = 5
        return layer(x)

    upstream = rng.normal(size=output(x).shape)

    def loss(x):
        return float(np.sum(upstream * output(x)))

    output(x)
    by_input = layer.backward(upstream)
    pairs = [(x, by_input)] + [(p.value, p.gradient.copy()) for p in layer.parameters()]
    for values, found in pairs:
        assert found.shape == values.shape
        for index in rng.permutation(list(np.ndindex(values.shape)))[:4]:
            at, here = tuple(index), values[tuple(index)]
            slopes = []
            for step in (STEP, 0.37 * STEP):
                values[at] = here + step
                above = loss(x)
                values[at] = here - step
                slopes.append((above - loss(x)) / (2 * step))
                values[at] = here
            if abs(slopes[0] - slopes[1]) < 1e-4:  # else within a step of where a gate or a ReLU is clipped
                assert found[at] == pytest.approx(slopes[0], rel=1e-4, abs=1e-5)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.booleans(), seeds)
def test_linear(batch, n_in, n_out, bias, seed):
    rng = np.random.default_rng(seed)
    layer = L0Linear(n_in, n_out, bias=bias, seed=seed, dtype="float64")
    x = rng.normal(size=(batch, n_in))
    weight = layer.weight * layer.weight_gates.sample(0)
    expected = [
        [sum(weight[o, i] * x[b, i] for i in range(n_in)) for o in range(n_out)] for b in range(batch)
    ]
    assert np.allclose(layer(x), np.array(expected))
    check_gradients(layer, x, rng)


def naive_convolution(x, weight, stride, padding, depthwise):
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    batch, channels, height, width = x.shape
    kh, kw = weight.shape[2:]
    tall, wide = (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1
    out = np.zeros((batch, len(weight), tall, wide))
    for b, o, h, w in np.ndindex(out.shape):
        for c, i, j in np.ndindex((1 if depthwise else channels, kh, kw)):
            at = x[b, o if depthwise else c, h * stride[0] + i, w * stride[1] + j]
            out[b, o, h, w] += weight[o, c, i, j] * at
    return out


@settings(max_examples=30)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), windows, windows, st.booleans(), seeds)
def test_convolution(batch, n_in, n_out, tall, wide, structured, seed):
    rng = np.random.default_rng(seed)
    (kh, sh, ph), (kw, sw, pw) = tall, wide
    layer = L0Conv2d(
        n_in, n_out, (kh, kw), (sh, sw), (ph, pw), structured=structured, seed=seed, dtype="float64"
    )
    x = rng.normal(size=(batch, n_in, rng.integers(3, 6), rng.integers(3, 6)))
    gates = layer.gates.sample(0)
    weight = layer.weight * (gates[:, None, None, None] if structured else gates)
    layer.bias = rng.normal(size=n_out)
    expected = naive_convolution(x, weight, (sh, sw), (ph, pw), False) + layer.bias[:, None, None]
    assert np.allclose(layer(x), expected)
    check_gradients(layer, x, rng)


@settings(max_examples=30)
@given(st.integers(1, 2), st.integers(1, 3), windows, windows, st.booleans(), seeds)
def test_depthwise_convolution(batch, channels, tall, wide, bias, seed):
    rng = np.random.default_rng(seed)
    (kh, sh, ph), (kw, sw, pw) = tall, wide
    layer = L0DepthwiseConv2d(channels, (kh, kw), (sh, sw), (ph, pw), bias=bias, seed=seed, dtype="float64")
    x = rng.normal(size=(batch, channels, rng.integers(3, 6), rng.integers(3, 6)))
    weight = layer.weight * layer.channel_gates.sample(0)[:, None, None, None]
    assert np.allclose(layer(x), naive_convolution(x, weight, (sh, sw), (ph, pw), True))
    check_gradients(layer, x, rng)


@pytest.mark.slow  # differentiates a whole network numerically
@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(1, 4), seeds)
def test_network(batch, hidden, seed):
    rng = np.random.default_rng(seed)
    network = SparseMLP(6, hidden, 3, seed=seed, dtype="float64")
    x = rng.normal(size=(batch, 2, 3))
    one, two, three = (
        (layer.weight * layer.weight_gates.sample(0), layer.bias)
        for layer in (network.fc1, network.fc2, network.fc3)
    )
    flat = x.reshape(batch, 6)
    inner = np.maximum(0, np.maximum(0, flat @ one[0].T + one[1]) @ two[0].T + two[1])
    assert np.allclose(network(x), inner @ three[0].T + three[1])
    check_gradients(network, x, rng)


def test_gradients_add_up_until_they_are_cleared():
    layer, x, upstream = L0Linear(3, 2, seed=0), np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    layer(x)
    layer.backward(upstream)
    once = [parameter.gradient.copy() for parameter in layer.parameters()]
    layer.backward(upstream)
    assert all(np.allclose(p.gradient, 2 * g) for p, g in zip(layer.parameters(), once, strict=True))
    assert [p.name for p in layer.parameters()] == ["weight", "bias", "log_alpha"]
    layer.zero_grad()
    assert not any(p.gradient.any() for p in layer.parameters())


def test_training_and_evaluation_reach_all_parts():
    network, x = SparseMLP(4, 5, 2, seed=0), np.ones((1, 4), np.float32)
    assert not np.array_equal(network(x), network(x))
    network.eval()
    assert np.array_equal(network(x), network(x))
    assert network.fc2.weight_gates.training is False
    assert network.train().fc3.weight_gates.training is True


def test_initial_weights():
    layer = L0Linear(500, 400, seed=3)
    assert layer.weight.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert layer.weight.dtype == np.float32
    assert not layer.bias.any()
    assert np.array_equal(layer.weight, L0Linear(500, 400, seed=3).weight)
    assert L0Conv2d(30, 40, 5, seed=1).weight.std() == pytest.approx(np.sqrt(2 / 1000), rel=0.02)
    network = SparseMLP(8, 8, 8, seed=2)
    assert not np.array_equal(network.fc1.weight, network.fc2.weight)
    assert (
        L0Linear(3, 2, init_sparsity=0.1).get_l0_penalty()
        > L0Linear(3, 2, init_sparsity=0.9).get_l0_penalty()
    )


def test_penalties_of_layers():
    layer = L0Linear(3, 2, seed=0, use_l2=True)
    assert layer.get_l2_penalty() == pytest.approx((layer.weight**2).sum())
    assert L0Linear(3, 2, seed=0).get_l2_penalty() == 0.0
    layer.weight_gates.log_alpha[0] = -9.0
    assert layer.get_sparsity() == 0.5
    assert layer.count_weights() == (3, 6)
    assert layer.get_l0_penalty() == layer.weight_gates.get_penalty()
    channels = L0Conv2d(2, 3, 2, structured=True, seed=0)
    channels.channel_gates.log_alpha[0] = -9.0
    assert channels.count_weights() == (16, 24)
    assert channels.get_sparsity() == pytest.approx(1 / 3)
    network = SparseMLP(3, 2, 2, use_l2=True, seed=0)
    parts = network.fc1, network.fc2, network.fc3
    assert network.get_l2_loss() == pytest.approx(sum((part.weight**2).sum() for part in parts))
    assert network.get_l0_loss() == pytest.approx(sum(part.get_l0_penalty() for part in parts))
    assert list(network.get_sparsity_stats()) == ["fc1", "fc2", "fc3"]


def test_adam_moves_parameters_that_were_replaced():
    layer = L0Linear(3, 2, seed=0)
    adam = Adam(layer, lr=0.1, lr_gates=0.5)
    layer.weight = np.zeros((2, 3), np.float32)
    layer.grad_weight = np.ones((2, 3), np.float32)
    layer.weight_gates.grad_log_alpha = -np.ones((2, 3), np.float32)
    adam.step()
    assert layer.weight == pytest.approx(np.full((2, 3), -0.1))
    assert layer.weight_gates.log_alpha == pytest.approx(np.full((2, 3), 0.5))
    assert not layer.bias.any()
    adam.zero_grad()
    assert not layer.grad_weight.any()


@pytest.mark.parametrize(
    "make", [lambda: L0Linear(3, 2, seed=0), lambda: L0Conv2d(1, 2, 2, padding=1, seed=0)]
)
def test_layers_need_the_standard_only(make):
    xp = pytest.importorskip("array_api_strict")
    layer, ours = make(), make()
    for parameter in layer.parameters():
        setattr(parameter.owner, parameter.name, xp.asarray(parameter.value))
    layer.zero_grad()
    x = np.ones((4, 3) if isinstance(ours, L0Linear) else (4, 1, 3, 3), np.float32)
    output = ours(x)
    assert np.allclose(np.asarray(layer(xp.asarray(x))), output)
    by_input = ours.backward(output)
    assert np.allclose(np.asarray(layer.backward(xp.asarray(output))), by_input)
    assert np.allclose(np.asarray(layer.grad_weight), ours.grad_weight)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L0Linear(0, 2), InputError, "in_features must be at least 1"),
        (lambda: L0Linear(2, 2, init_sparsity=2), InputError, "init_sparsity must be at most 1"),
        (lambda: L0Linear(2, 2, temperature=-1), InputError, "temperature must be"),
        (lambda: L0Linear(2, 2, bias="no"), InputTypeError, "bias must be True or False"),
        (lambda: L0Linear(2, 2)(np.ones((4, 3))), InputError, r"\(batch, in_features\) = \(any, 2\)"),
        (lambda: L0Linear(2, 2)(np.ones(2)), InputError, "x must have the shape"),
        (lambda: L0Conv2d(1, 1, (2, 2, 2)), InputTypeError, "kernel_size must be an integer or two"),
        (lambda: L0Conv2d(1, 1, 0), InputError, "kernel_size must be at least 1"),
        (lambda: L0Conv2d(1, 1, 2, padding=-1), InputError, "padding must be at least 0"),
        (
            lambda: L0Conv2d(1, 1, 3)(np.ones((1, 1, 3, 2))),
            InputError,
            "width of x with padding must be",
        ),
        (lambda: L0Conv2d(2, 1, 3)(np.ones((1, 1, 3, 3))), InputError, r"\(any, 2, any, any\)"),
        (lambda: L0DepthwiseConv2d(2, 3)(np.ones((1, 1, 3, 3))), InputError, r"\(any, 2, any, any\)"),
        (lambda: SparseMLP(hidden_dim=0), InputError, "hidden_dim must be at least 1"),
        (lambda: SparseMLP(4, 2, 2)(np.ones((2, 5))), InputError, "x must have the shape"),
        (lambda: SparseMLP(seed=-1), InputError, "seed must be at least 0"),
        (lambda: Adam(3), InputTypeError, "model must be a gate, a layer or a network"),
        (lambda: Adam(L0Linear(2, 2), lr=0), InputError, "lr must be above 0"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
