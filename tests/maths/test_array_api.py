"""The formulas on a namespace that has nothing but the standard: the same numbers as on NumPy."""

from functools import partial

import array_api_strict as xp
import numpy as np
import pytest
from support import squares

from l0np.maths import LOSSES, philox
from l0np.maths.adam import Parameter, adam_update
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink, IdentityLink
from l0np.maths.penalties import l0_penalty, l2_penalty


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def both(function, *arrays):
    """Call on NumPy and on the strict namespace; compare results."""
    ours = function(*arrays)
    strict = function(*(xp.asarray(array) for array in arrays))
    for one, two in zip(ours, strict, strict=True):
        assert two.dtype == getattr(xp, str(one.dtype))
        np.testing.assert_allclose(np.asarray(two), one, rtol=1e-6)


def test_hard_concrete(dtype):
    log_alpha = np.linspace(-25, 25, 501).astype(dtype)
    u = philox.uniform(np, 1, 0, 0, 0, 501)
    gates = HardConcrete(beta=0.3)
    both(lambda a, u: gates.sample(a, u), log_alpha, u)
    both(lambda a: gates.prob_open(a), log_alpha)
    both(lambda a: [gates.test_time_gate(a)], log_alpha)
    assert np.array_equal(
        np.asarray(gates.is_closed(xp.asarray(log_alpha), xp.asarray(u))), gates.is_closed(log_alpha, u)
    )


def test_noise():
    for seed, first, n in ((0, 0, 9), (2**64 - 1, 2**34 + 3, 6)):
        strict = philox.uniform(xp, seed, 0, 2**32 - 1, first, n)
        assert np.array_equal(np.asarray(strict), philox.uniform(np, seed, 0, 2**32 - 1, first, n))


def test_penalties_and_links(dtype):
    x = np.linspace(-3, 3, 50).astype(dtype)
    both(lambda a: l0_penalty(a, HardConcrete()), x)
    for link in (ExponentialLink(), IdentityLink()):
        both(link.weight, x)
        both(lambda a, link=link: l2_penalty(a, link), x)
    both(lambda a, b: l2_penalty(a, ExponentialLink(), b), x, x[::-1].copy())


def test_losses():
    y, p, g = np.array([1.0, 5.0]), np.array([2.0, 3.0]), np.array([1.0, 0.5])
    for loss in (partial(squares, name) for name in LOSSES):

        def value_and_gradient(y, p, g, loss=loss):
            made = loss(y, g)
            out = p + 0.0
            made.gradient(p, out=out)
            return made.value(p), out

        both(value_and_gradient, y, p, g)


def test_adam(dtype):
    def steps(value, gradient):
        parameter = Parameter.start(value + 0.0)
        for step in (1, 2, 3):
            adam_update(parameter, gradient, 0.1, step)
        return parameter.value, parameter.first_moment, parameter.second_moment

    both(steps, np.array([1.0, 2.0], dtype=dtype), np.array([0.5, -3.0], dtype=dtype))
