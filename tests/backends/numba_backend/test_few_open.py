"""Blocks of which few columns are open, whose logarithms and exponentials are computed side by side."""

import numpy as np
import pytest
from backend_support import EXACT, make_problem, random_state, rows
from support import HAS_NUMBA, needs_numba

from l0np.backends import get_backend
from l0np.engine import NEVER
from l0np.maths.links import ExponentialLink, IdentityLink

pytestmark = needs_numba
if HAS_NUMBA:
    from l0np.backends.numba.kernels import BLOCK
else:
    BLOCK = 256

SHARES = (0.0, 0.05, 0.45, 0.55, 1.0)  # of the open columns, block by block
N = len(SHARES) * BLOCK + 7


def start(device, dtype, link, *, others_open=False, infinite=None):
    """Draw gates of blocks of which `SHARES` are open; return which are, the slopes and the prediction."""
    rng, backend = np.random.default_rng(2), get_backend(device)
    dense = (rng.random((9, N)) * (rng.random((9, N)) < 0.5)).astype(dtype)
    problem = make_problem(backend, dense, rng, link, column_offset=3)
    state = random_state(N, dtype, rng)
    opens = rng.random(N) < np.append(np.repeat(SHARES, BLOCK), np.full(7, 0.1))
    opens[: len(SHARES) * BLOCK : BLOCK] &= np.array(SHARES) > 0  # the first of a block
    state.log_alpha.value[:] = np.where(opens | others_open, rng.normal(4, 1, N), -15)
    if infinite is not None:
        state.theta.value[infinite] = 1e4 if link.exponential else np.inf
    state, out = state.map(backend.asarray), rows(backend, 9)
    with np.errstate(over="ignore"):  # as infinite weights do where the kernels run as plain Python
        backend.start(problem, state, out=out)
    return opens, state, out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("link", [ExponentialLink(), IdentityLink()], ids=["exp", "identity"])
def test_few_open_gates_are_those_of_the_reference(dtype, link):
    opens, state, out = start("numba", dtype, link)
    _, expected, expected_out = start("numpy", dtype, link)
    assert 0.3 < (state.slopes.theta_slope != 0).mean() < 0.5
    for name in ("theta_slope", "log_alpha_slope"):
        slope, slope_ = getattr(state.slopes, name), getattr(expected.slopes, name)
        assert ((slope == 0) == (slope_ == 0)).all()
        np.testing.assert_allclose(slope, slope_, rtol=40 * EXACT[dtype], atol=40 * EXACT[dtype])
    np.testing.assert_allclose(out, expected_out, rtol=40 * EXACT[dtype])
    assert state.counts.sum(axis=0)[2] >= (~opens).sum() - 1
    assert state.first_bad.min() == NEVER


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("link", [ExponentialLink(), IdentityLink()], ids=["exp", "identity"])
def test_a_column_does_not_depend_on_how_many_of_its_block_are_open(dtype, link):
    opens, state, _ = start("numba", dtype, link)
    _, crowded, _ = start("numba", dtype, link, others_open=True)
    assert (crowded.slopes.theta_slope != 0).mean() > 0.9
    for name in ("theta_slope", "log_alpha_slope"):
        assert np.array_equal(getattr(state.slopes, name)[opens], getattr(crowded.slopes, name)[opens])


@pytest.mark.parametrize("link", [ExponentialLink(), IdentityLink()], ids=["exp", "identity"])
def test_an_infinite_weight_is_noticed_even_if_its_gate_is_closed(link):
    closed = 5  # in the first block, of which nothing is open
    opens, state, _ = start("numba", "float32", link, infinite=closed)
    assert not opens[closed]
    assert np.min(state.first_bad) == state.epoch
