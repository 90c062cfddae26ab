"""HardConcrete as an object: values of the one formula, derivatives by central differences, any library."""

import math

import numpy as np
import oracles
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import needs_cuda

from l0np import SparseCalibrationWeights, maths
from l0np.distributions import HardConcrete
from l0np.errors import InputError, InputTypeError
from l0np.inputs import is_on_a_device
from l0np.maths import philox

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 2**64 - 1)
KINDS = ("sample", "deterministic", "prob_open", "penalty")


def compute(gates, kind):
    return gates.sample(3) if kind == "sample" else getattr(gates, kind)()


def random_gates(shape, seed, **constants):
    gates = HardConcrete(shape, seed=seed, dtype="float64", **constants)
    gates.log_alpha = np.random.default_rng(seed % 2**32).normal(0, 3, size=shape)
    return gates


@pytest.mark.parametrize("kind", KINDS)
@given(shapes, seeds, st.floats(0.2, 2), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_backward_is_the_derivative(kind, shape, seed, temperature, below, above):
    gates = random_gates(shape, seed, temperature=temperature, gamma=-below, zeta=1 + above)
    rng = np.random.default_rng(1)
    upstream = 2.5 if kind == "penalty" else rng.normal(size=shape)

    def loss(log_alpha):
        other = HardConcrete(shape, temperature=temperature, gamma=-below, zeta=1 + above, seed=seed)
        other.log_alpha = np.asarray(log_alpha).reshape(shape)
        return float(np.sum(upstream * compute(other, kind)))

    flat = gates.log_alpha.reshape(-1)
    values = compute(gates, kind)
    gates.backward(upstream)
    gates.backward(upstream)
    if kind in ("sample", "deterministic"):  # away from where they are clipped
        step = np.full(shape, 1e-3)
        for moved in (gates.log_alpha + step, gates.log_alpha - step):
            other = random_gates(shape, seed, temperature=temperature, gamma=-below, zeta=1 + above)
            other.log_alpha = moved
            there = compute(other, kind)
            assume(np.array_equal(there == 0, values == 0))
            assume(np.array_equal(there == 1, values == 1))
    for i, found in enumerate(gates.grad_log_alpha.reshape(-1)):
        numeric = oracles.slope(loss, flat.tolist(), i)
        assert found == pytest.approx(2 * numeric, rel=1e-4, abs=1e-6)
    gates.zero_grad()
    assert not gates.grad_log_alpha.any()


def test_the_gates_are_those_of_the_formula_and_the_draws_those_of_models():
    gates = HardConcrete((5, 3), temperature=0.3, seed=7)
    gates.log_alpha = np.linspace(-4, 4, 15, dtype=np.float32).reshape(5, 3)
    formula = maths.HardConcrete(beta=0.3)
    flat, u = gates.log_alpha.reshape(-1), philox.uniform(np, 7, philox.GATES, 2, 0, 15)
    assert np.array_equal(gates.sample(2).reshape(-1), formula.sample(flat, u)[0])
    assert np.array_equal(gates.deterministic().reshape(-1), formula.test_time_gate(flat))
    assert np.array_equal(gates.prob_open().reshape(-1), formula.prob_open(flat)[0])
    assert gates.penalty() == gates.get_penalty() == formula.expected_open(flat)

    model = SparseCalibrationWeights(6, beta=0.3, seed=7, init_keep_prob=0.3, log_alpha_jitter_sd=0)
    same = HardConcrete(6, temperature=0.3, init_mean=0.3, seed=7)
    assert np.array_equal(same.log_alpha, model.log_alpha)
    assert np.array_equal(same.sample(0), model.get_weights())
    assert np.array_equal(same.get_active_prob(), model.get_active_prob())


def test_calls_draw_on_and_evaluation_does_not():
    gates = HardConcrete(50, seed=1)
    first, second = gates(), gates()
    assert np.array_equal(first, gates.sample(0))
    assert np.array_equal(second, gates.sample(1))
    assert not np.array_equal(first, second)
    assert np.array_equal(gates.eval()(), gates.deterministic())
    assert gates.epoch == 2
    assert np.array_equal(gates.train()(), gates.sample(2))
    assert not np.array_equal(first, HardConcrete(50, seed=2)())
    assert HardConcrete(50).seed_ != HardConcrete(50).seed_


def test_a_call_adds_dimensions_for_convolutions_and_backward_takes_them():
    gates = HardConcrete(3, 2, seed=0)
    drawn = gates((8, 3, 5, 5))
    assert drawn.shape == (3, 2, 1, 1)
    gates.backward(np.ones((3, 2, 1, 1)))
    with_dimensions = gates.grad_log_alpha.copy()
    gates.zero_grad()
    gates.backward(np.ones((3, 2)))
    assert np.array_equal(gates.grad_log_alpha, with_dimensions)


def test_reports_do_not_change_what_backward_refers_to():
    gates, other = HardConcrete(9, seed=0), HardConcrete(9, seed=0)
    gates.sample(0), other.sample(0)
    gates.get_active_prob(), gates.get_penalty(), gates.get_num_active(), gates.get_sparsity()
    gates.get_test_time_gates()
    gates.penalty_backward(0.5)
    gates.backward(np.ones(9))
    other.backward(np.ones(9))
    assert other.grad_log_alpha.any()
    other.penalty()
    other.backward(0.5)
    assert np.allclose(gates.grad_log_alpha, other.grad_log_alpha, rtol=1e-6)


def test_active_is_what_the_test_time_gate_leaves():
    gates = random_gates((40, 5), 3)
    active = np.count_nonzero(gates.deterministic())
    assert 0 < active < 200
    assert gates.get_num_active() == active == np.count_nonzero(gates.get_active_prob() > 0.5)
    assert gates.get_sparsity() == 1 - active / 200


@pytest.mark.parametrize("mean", [0.0, 1e-3, 0.5, 1.0])
def test_initial_mean(mean):
    gates = HardConcrete(2, init_mean=mean, dtype="float64")
    clipped = min(max(mean, 1e-6), 1 - 1e-6)
    assert gates.log_alpha == pytest.approx([math.log(clipped / (1 - clipped))] * 2)


def test_a_state_goes_on_elsewhere():
    gates = random_gates((2, 3), 5)
    gates()
    other = HardConcrete((2, 3), dtype="float64")
    other.load_state_dict(gates.state_dict())
    assert np.array_equal(other(), gates())
    for broken, message in (
        ({"log_alpha": gates.log_alpha}, "does not fit this HardConcrete: missing"),
        (gates.state_dict() | {"log_alpha": np.zeros(3)}, r"has the shape \(3,\), it must have \(2, 3\)"),
        (gates.state_dict() | {"log_alpha": np.full((2, 3), np.nan)}, "is nan"),
        (gates.state_dict() | {"epoch": -1}, "epoch must be at least 0"),
    ):
        before = other.state_dict()
        with pytest.raises(InputError, match=message):
            other.load_state_dict(broken)
        assert all(np.array_equal(other.state_dict()[key], before[key]) for key in before)
    with pytest.raises(InputTypeError, match="state_dict must be a mapping"):
        other.load_state_dict(3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"input_dim": 0}, InputError, "input_dim must be at least 1, got 0"),
        ({"input_dim": "a"}, InputTypeError, "input_dim must be an integer"),
        ({"input_dim": (2, 0)}, InputError, r"input_dim\[1\] must be at least 1"),
        ({"input_dim": ()}, InputError, "at least one dimension"),
        ({"input_dim": (2,), "output_dim": 3}, InputError, "output_dim must be left out"),
        ({"input_dim": 2, "output_dim": -3}, InputError, "output_dim must be at least 1"),
        ({"input_dim": 2, "temperature": 0}, InputError, "temperature must be at least 1e-06"),
        ({"input_dim": 2, "stretch": 0}, InputError, "stretch must be above 0"),
        ({"input_dim": 2, "init_mean": 1.1}, InputError, "init_mean must be at most 1"),
        ({"input_dim": 2, "gamma": 0.1}, InputError, "gamma must be below 0"),
        ({"input_dim": 2, "zeta": 1}, InputError, "zeta must be above 1"),
        ({"input_dim": 2, "seed": -1}, InputError, "seed must be at least 0"),
        ({"input_dim": 2, "dtype": "int8"}, InputError, "dtype must be 'float32' or 'float64'"),
        ({"input_dim": 2, "device": "tpu"}, InputError, "device must be one of"),
        ({"input_dim": 2, "beta": 0.5}, InputTypeError, 'HardConcrete has no argument "beta"'),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        HardConcrete(**arguments)


def test_bad_uses():
    gates = HardConcrete(3, seed=0)
    with pytest.raises(InputError, match="nothing was computed since log_alpha was assigned"):
        gates.backward(1.0)
    gates()
    with pytest.raises(InputError, match=r"upstream must have the shape \(3,\) of the gates"):
        gates.backward(np.ones((3, 3)))
    with pytest.raises(InputError, match=r"\(4,\) was assigned"):
        gates.log_alpha = np.zeros(4)
    with pytest.raises(InputError, match="must be of float32 or float64, got int64"):
        gates.log_alpha = np.zeros(3, int)
    with pytest.raises(InputTypeError, match="log_alpha must be an array"):
        gates.log_alpha = [0.0, 0.0, 0.0]
    with pytest.raises(InputError, match="epoch must be at least 0"):
        gates.sample(-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("library", ["array_api_strict", "torch", "jax.numpy"])
def test_arrays_of_any_library(library, kind):
    name = library.split(".")[0]
    pytest.importorskip(name, reason=f"{name} is not installed")
    if name == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    xp = pytest.importorskip(library)
    gates, ours = HardConcrete((3, 4), seed=2), HardConcrete((3, 4), seed=2)
    ours.log_alpha = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    gates.log_alpha = xp.asarray(ours.log_alpha)
    value = compute(gates, kind)
    if kind != "penalty":
        assert type(value) is type(gates.log_alpha)
    np.testing.assert_allclose(np.asarray(value), compute(ours, kind), rtol=1e-6)
    upstream = 3.0 if kind == "penalty" else np.arange(12, dtype=np.float32).reshape(3, 4)
    ours.backward(upstream)
    gates.backward(upstream if kind == "penalty" else xp.asarray(upstream))
    assert type(gates.grad_log_alpha) is type(gates.log_alpha)
    np.testing.assert_allclose(np.asarray(gates.grad_log_alpha), ours.grad_log_alpha, rtol=1e-5, atol=1e-7)
    assert gates.get_num_active() == ours.get_num_active()
    gates.load_state_dict(ours.state_dict())
    assert type(gates.log_alpha) is type(value) or kind == "penalty"


@pytest.mark.cuda
@needs_cuda
def test_gates_on_a_device():
    gates, ours = HardConcrete(100, seed=2, device="cuda"), HardConcrete(100, seed=2)
    assert is_on_a_device(gates.log_alpha)
    drawn = gates()
    assert is_on_a_device(drawn)
    np.testing.assert_allclose(drawn.get(), ours(), rtol=1e-5)
    gates.backward(gates.log_alpha + 1.0)
    ours.backward(np.ones(100))
    assert is_on_a_device(gates.grad_log_alpha)
    np.testing.assert_allclose(gates.grad_log_alpha.get(), ours.grad_log_alpha, rtol=1e-4, atol=1e-6)
    assert gates.get_num_active() == ours.get_num_active()
    gates.load_state_dict(ours.state_dict())
    assert is_on_a_device(gates.log_alpha)
    assert gates.epoch == 1
