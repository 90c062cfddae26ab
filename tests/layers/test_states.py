"""`state_dict` and `load_state_dict` of layers and networks: through a file, checked before any change."""

import numpy as np
import pytest
from support import same_state

from l0np.errors import InputError, InputTypeError
from l0np.gates import SampleGate
from l0np.layers import Adam, L0Conv2d, L0DepthwiseConv2d, L0Linear, SparseMLP, prune_model

MODULES = {  # name: a maker from a seed, and the shape of a batch
    "linear": (lambda seed: L0Linear(4, 3, seed=seed), (5, 4)),
    "linear without a bias": (lambda seed: L0Linear(4, 3, bias=False, seed=seed, dtype="float64"), (5, 4)),
    "convolution": (lambda seed: L0Conv2d(2, 3, 2, seed=seed), (5, 2, 3, 3)),
    "channels": (lambda seed: L0Conv2d(2, 3, 2, structured=True, seed=seed), (5, 2, 3, 3)),
    "depthwise": (lambda seed: L0DepthwiseConv2d(2, 2, seed=seed), (5, 2, 3, 3)),
    "network": (lambda seed: SparseMLP(4, 5, 2, seed=seed), (5, 4)),
}


def train(module, batch, steps):
    adam = Adam(module, lr=0.05)
    for _ in range(steps):
        adam.zero_grad()
        output = module(batch)
        module.backward(output - 1)
        adam.step()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_goes_on_elsewhere_through_a_file(name, tmp_path):
    make, shape = MODULES[name]
    batch = np.random.default_rng(0).normal(size=shape)
    module, other = make(1), make(2)
    train(module, batch.astype(module.parameters()[0].value.dtype), 3)
    np.savez(tmp_path / "module.npz", **module.state_dict())
    other.backward(other(batch))
    other.load_state_dict(tmp_path / "module.npz")
    assert same_state(module.state_dict(), other.state_dict())
    assert not any(parameter.gradient.any() for parameter in other.parameters())
    for one in (module, other):
        train(one, batch, 2)  # Adam starts anew in both; gates are drawn from the seeds and epochs loaded
    assert same_state(module.state_dict(), other.state_dict())


def test_names_are_those_of_the_parts():
    assert list(L0Linear(4, 3, seed=1).state_dict()) == [
        "weight", "bias", "weight_gates.log_alpha", "weight_gates.seed", "weight_gates.epoch",
    ]  # fmt: skip
    names = SparseMLP(4, 5, 2, seed=1).state_dict()
    assert {name.split(".")[0] for name in names} == {"fc1", "fc2", "fc3"}
    assert "fc2.weight_gates.log_alpha" in names
    assert len(names) == 15
    gate = SampleGate(6, target_samples=2, seed=3)
    other = SampleGate(6, target_samples=2, seed=4)
    other.load_state_dict(gate.state_dict())
    assert same_state(gate.state_dict(), other.state_dict())


def test_states_are_copies():
    layer = L0Linear(4, 3, seed=1)
    state = layer.state_dict()
    kept = state["weight"].copy()
    state["weight"][:] = 7.0
    assert np.array_equal(layer.weight, kept)
    layer.load_state_dict(state)
    state["weight"][:] = 8.0
    assert (layer.weight == 7.0).all()


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: without(s, "fc2.bias"), InputError, r"this SparseMLP: missing \['fc2.bias'\]"),
        (lambda s: s | {"fc4.bias": 1.0}, InputError, r"unknown \['fc4.bias'\]"),
        (lambda s: s | {"fc1.weight": np.ones((4, 5))}, InputError, r"fc1.weight has the shape \(4, 5\)"),
        (lambda s: s | {"fc3.weight": np.full((2, 5), np.nan)}, InputError, r"fc3.weight\[0, 0\] is nan"),
        (lambda s: s | {"fc3.weight_gates.epoch": -1}, InputError, "weight_gates.epoch must be at least 0"),
        (lambda s: s | {"fc3.bias": ["a", "b"]}, InputTypeError, "fc3.bias"),
        (lambda s: 3, InputTypeError, "state_dict must be a mapping"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(change, error, message):
    network = SparseMLP(4, 5, 2, seed=1)
    before = network.state_dict()
    with pytest.raises(error, match=message):
        network.load_state_dict(change(SparseMLP(4, 5, 2, seed=2).state_dict()))
    assert same_state(before, network.state_dict())


def test_a_pruned_network_is_another_one():
    network = SparseMLP(4, 5, 2, seed=1)
    network.fc1.weight_gates.log_alpha[0] = -9.0
    state = prune_model(network).state_dict()
    with pytest.raises(InputError, match=r"fc1.weight has the shape \(4, 4\), it must have \(5, 4\)"):
        SparseMLP(4, 5, 2).load_state_dict(state)
