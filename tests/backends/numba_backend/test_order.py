"""Columns that a run visits in another order than their own: the same draws, states and answers."""

import pickle

import numpy as np
import pytest
from backend_support import EXACT, SQUARES, random_state, rows
from support import HAS_NUMBA, needs_numba

from l0np.backends import get_backend
from l0np.engine.communicator import Serial
from l0np.engine.state import NEVER, Problem
from l0np.engine.training import train
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink, IdentityLink
from l0np.matrix import ColumnMatrix

pytestmark = needs_numba
if HAS_NUMBA:
    from l0np.backends.numba import NumbaBackend
    from l0np.backends.numba.backend import usable_threads
    from l0np.backends.numba.order import by_length, by_rarest_row, column_order

N = 1300


def backend_with(order, **options):
    return NumbaBackend(order_of=lambda matrix: order, **options)


def shuffled(n=N, seed=0):
    return np.random.default_rng(seed).permutation(n).astype(np.uint64)


def matrix_of(dtype, n=N, fold=False):
    rng = np.random.default_rng(1)
    district, amount = rng.integers(9, size=n), rng.lognormal(1, 1, n)
    fine = (district == np.arange(9)[:, None]) * amount
    dense = np.vstack([fine, amount, rng.normal(size=(20, n)) * (rng.random((20, n)) < 0.6)])
    dense[:, rng.random(n) < 0.05] = 0.0
    return ColumnMatrix.build(dense.astype(dtype), dtype, fold=fold)


def problem_of(backend, matrix, link, gated=True, anchored=False, offset=6):
    rng = np.random.default_rng(2)
    target, anchor = rng.normal(size=matrix.shape[0]) + 5, rng.normal(size=matrix.shape[1])
    return Problem(
        matrix=backend.matrix(matrix), n_rows=len(target),
        loss=SQUARES(target, rng.random(len(target))), link=link,
        gates=(lambda epoch: HardConcrete(beta=0.5 + 0.01 * epoch)) if gated else None,
        lambda_l2=0.02, learning_rate=lambda epoch: 0.1 / (1 + epoch), column_offset=offset,
        l2_anchor=anchor.astype(matrix.dtype) if anchored else None,
    )  # fmt: skip


def one_epoch(backend, matrix, link, gated, anchored):
    problem = problem_of(backend, matrix, link, gated, anchored)
    state = random_state(matrix.shape[1], matrix.dtype, np.random.default_rng(3))
    out = rows(backend, matrix.shape[0])
    backend.start(problem, state, out=out)
    first = out.copy(), state.slopes.theta_slope.copy(), state.slopes.log_alpha_slope.copy()
    gradient = np.random.default_rng(4).normal(size=matrix.shape[0])
    backend.step(problem, state, gradient, out=out)
    assert state.first_bad.min() == NEVER
    return first, state, out


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("link", "gated", "anchored"),
    [(ExponentialLink(), True, True), (ExponentialLink(), False, False), (IdentityLink(), True, False)],
)
def test_start_and_step_are_those_of_the_reference(dtype, link, gated, anchored, fold):
    matrix = matrix_of(dtype, fold=fold)
    assert (matrix.fold is not None) == fold
    ours, reference = (
        one_epoch(backend, matrix, link, gated, anchored)
        for backend in (backend_with(shuffled(), chunk_cost=1 << 12), get_backend("numpy"))
    )
    exact, scale = EXACT[dtype], np.abs(matrix.to_scipy()).astype(float)
    for slope, expected in zip(ours[0][1:], reference[0][1:], strict=True):
        assert ((slope == 0) == (expected == 0)).all()  # the draws are those of the columns' own numbers
        np.testing.assert_allclose(slope, expected, rtol=8 * exact, atol=8 * exact)
    weight = np.abs(reference[0][1]) * (1 if link.exponential else 10.0)
    for one, other in ((ours[0][0], reference[0][0]), (ours[2], reference[2])):
        assert (np.abs(one - other) <= 1e3 * exact * (scale @ (weight + 1.0))).all()
    for name in ("theta", "log_alpha"):
        one, other = (getattr(run[1], name) for run in (ours, reference))
        np.testing.assert_allclose(one.first_moment, other.first_moment, rtol=1e3 * exact, atol=1e3 * exact)
        np.testing.assert_allclose(one.second_moment, other.second_moment, rtol=1e4 * exact, atol=1e3 * exact)
    counts = [run[1].counts.sum(axis=0) for run in (ours, reference)]
    assert counts[0][2] == counts[1][2]


def trained(backend, matrix, stops, state=None):
    problem = problem_of(backend, matrix, ExponentialLink())
    if state is None:
        state = random_state(matrix.shape[1], matrix.dtype, np.random.default_rng(3))
    for stop in stops:
        train(
            backend, problem, state, stop,
            communicator=Serial(), report_every=[1000], report=lambda loss, interrupted: False,
        )  # fmt: skip
    return state


def same(one, other):
    return all(
        np.array_equal(getattr(getattr(one, name), part), getattr(getattr(other, name), part))
        for name in ("theta", "log_alpha")
        for part in ("value", "first_moment", "second_moment")
    )


def test_runs_repeat_exactly_in_parts_too_and_on_any_number_of_threads():
    matrix = matrix_of("float32")
    whole = trained(backend_with(shuffled(), chunk_cost=1 << 12), matrix, [60])
    for threads in (1, 2, 3):
        n = min(threads, usable_threads())
        again = backend_with(shuffled(), n_threads=lambda n=n: n, chunk_cost=1 << 12)
        assert same(whole, trained(again, matrix, [10, 33, 60]))


def test_a_state_moves_between_orders():
    """Any part of a run may be trained in any order: what differs is rounding."""
    matrix = matrix_of("float64")
    reference = trained(get_backend("numpy"), matrix, [60])
    state = None
    for stop, order in ((20, shuffled()), (40, None), (60, shuffled(seed=1))):
        state = trained(backend_with(order), matrix, [stop], state)
    np.testing.assert_allclose(state.theta.value, reference.theta.value, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(state.log_alpha.value, reference.log_alpha.value, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("keep", [-9.0, 9.0])
def test_whole_blocks_open_or_closed(keep):
    """Where all are open, or none is, the direct loops or the lists have the block to themselves."""
    matrix = matrix_of("float64")
    states = []
    for backend in (backend_with(by_length(matrix, shuffled().astype(np.intp))), get_backend("numpy")):
        state = random_state(N, "float64", np.random.default_rng(3))
        state.log_alpha.value[:] = keep
        states.append(trained(backend, matrix, [25], state))
    np.testing.assert_allclose(states[0].theta.value, states[1].theta.value, rtol=1e-9, atol=1e-9)


def test_products_have_the_columns_own_numbers():
    matrix, rng = matrix_of("float64"), np.random.default_rng(5)
    backend = backend_with(shuffled())
    form, dense = backend.matrix(matrix), matrix.to_scipy()
    columns, given = rng.normal(size=N), rng.normal(size=matrix.shape[0])
    np.testing.assert_allclose(backend.matvec(form, columns), dense @ columns, atol=1e-10)
    np.testing.assert_allclose(backend.rmatvec(form, given), dense.T @ given, atol=1e-10)


def test_a_matrix_is_put_in_order_once():
    calls = []
    backend = NumbaBackend(order_of=lambda matrix: calls.append(matrix.shape) or shuffled())
    matrix = matrix_of("float32")
    for stop in (5, 7):
        trained(backend, matrix, [stop])
    assert len(calls) == 1


def scattered_districts(n, n_districts, seed=0):
    """Records of districts, in no order of these: 6 entries each among the 100 rows of the district."""
    rng = np.random.default_rng(seed)
    district = rng.integers(n_districts, size=n)
    within = np.sort(rng.permuted(np.tile(np.arange(100), (n, 1)), axis=1)[:, :6], axis=1)
    indices = (100 * district[:, None] + within).ravel()
    data = rng.lognormal(size=6 * n).astype(np.float32)
    return ColumnMatrix(data, indices, 6 * np.arange(n + 1), (100 * n_districts, n))


def test_columns_that_share_rows_become_neighbours():
    matrix = scattered_districts(180_000, 50)
    order = column_order(matrix)
    assert np.array_equal(np.sort(order), np.arange(180_000))
    district = matrix.indices[::6][order] // 100
    assert np.count_nonzero(np.diff(district.astype(int))) < 100 * 50 < 180_000 / 10
    assert np.array_equal(order, column_order(matrix))


def test_matrices_without_anything_to_gain_keep_their_order():
    assert column_order(matrix_of("float32")) is None  # small
    in_order = scattered_districts(180_000, 50)
    entries, indptr = in_order.entries_of(by_rarest_row(in_order))
    already = ColumnMatrix(in_order.data[entries], in_order.indices[entries], indptr, in_order.shape)
    assert column_order(already) is None
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(0, 100, (180_000, 6)) + 1000 * np.arange(6), axis=1).ravel()
    random = ColumnMatrix(np.ones(len(indices)), indices, 6 * np.arange(180_001), (6000, 180_000))
    assert column_order(random) is None


def test_lengths_ascend_within_blocks():
    matrix = matrix_of("float32")
    lengths = np.diff(matrix.indptr)[by_length(matrix, np.arange(N))]
    for start in range(0, N, 256):
        assert (np.diff(lengths[start : start + 256]) >= 0).all()


def test_the_backend_pickles_without_its_matrices():
    backend = NumbaBackend()
    trained(backend, matrix_of("float32"), [5])
    assert pickle.loads(pickle.dumps(backend)).name == "numba"
