"""Sums over columns that do not depend on how the columns are divided, against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from support import CPU_DEVICES, squares
from thread_ranks import on_ranks

from l0np.backends import get_backend
from l0np.engine import Problem, Serial, State, column_total, exact_totals
from l0np.engine.exact_sums import LARGEST_STEP, ExactSums, starts_for
from l0np.maths import ExponentialLink, IdentityLink, Parameter, adam_update
from l0np.matrix import ColumnMatrix

BACKENDS = CPU_DEVICES


def spread_matrix(rng, dtype):
    """Entries of very different sizes and both signs, an empty row, empty columns at the end."""
    dense = rng.normal(size=(6, 41)) * 10.0 ** rng.integers(-6, 7, (6, 41)) * (rng.random((6, 41)) < 0.6)
    dense[3], dense[:, 39:] = 0.0, 0.0
    return dense.astype(dtype)


@pytest.mark.parametrize("device", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_totals_are_the_same_for_any_division_and_near_to_the_exact_ones(device, dtype):
    rng, backend = np.random.default_rng(0), get_backend(device)
    dense, columns = spread_matrix(rng, dtype), rng.lognormal(0, 3, 41).astype(dtype)

    def totals(ranks, cuts):
        part = slice(cuts[ranks.rank], cuts[ranks.rank + 1])
        matrix = backend.matrix(ColumnMatrix.build(dense[:, part], dtype))
        return exact_totals(backend, matrix, columns[part], ranks)

    found = [
        part
        for cuts in ([0, 41], [0, 7, 41], [0, 1, 40, 41])
        for part in on_ranks(len(cuts) - 1, lambda ranks, cuts=cuts: totals(ranks, cuts))
    ]
    assert all(np.array_equal(one, found[0]) for one in found)
    exact = [
        sum(Fraction(float(m)) * Fraction(float(c)) for m, c in zip(row, columns, strict=True))
        for row in dense
    ]
    sizes = np.abs(dense.astype(np.float64)) @ columns
    assert (np.abs(found[0] - np.array(exact, float)) <= 1e-13 * sizes).all()


@pytest.mark.parametrize("device", BACKENDS)
def test_products_halfway_between_two_multiples_do_not_make_the_order_count(device):
    """The rounding of such a product depends on the sum to which it is added, unless its last bit is set."""
    unit = 2.0 ** (3 - 52)
    backend, columns = get_backend(device), np.array([unit, 0.5 * unit, 0.5 * unit, 1.5 * unit])
    totals = {
        float(
            backend.exact_matvec(
                backend.matrix(ColumnMatrix.build(np.ones((1, 4)), "float64")),
                columns[order],
                np.array([12.0]),
            )[0]
        )
        for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1])
    }
    assert len(totals) == 1


def test_starts_leave_room_for_the_bounds_and_are_not_numbers_where_there_is_no_bound():
    bounds = np.array([1e-320, 0.3, 1.0, 1e300])
    starts = starts_for(bounds)
    powers = starts / 1.5
    assert (np.frexp(powers)[0] == 0.5).all()
    assert (bounds <= powers / 2).all()
    assert np.isnan(starts_for(np.array([np.inf, np.nan]))).all()


@pytest.mark.parametrize("link", [ExponentialLink(), IdentityLink()])
def test_parameters_never_leave_the_room_of_their_reference(link):
    """So that the bounds hold, however the learning rate changes; and references are rarely renewed."""
    rng, backend = np.random.default_rng(1), get_backend("numpy")
    matrix = ColumnMatrix.build(np.ones((1, 8)), "float64")
    problem = Problem(
        backend.matrix(matrix), 1, squares("mse", np.ones(1), np.ones(1)), link, None, 0.0,
        learning_rate=lambda epoch: 0.5 if epoch % 40 > 35 else 0.01, row_starts=np.ones(1),
    )  # fmt: skip
    state = State(Parameter.start(rng.normal(size=8)), Parameter.start(np.zeros(8)), None, 0, 0, seed=0)
    sums, renewed = ExactSums(backend, problem, Serial()), 0
    sums.refer_to(state)
    for epoch in range(200):
        if sums.is_used_up(state):
            sums.renew(state)
            renewed += 1
        state.adam_step += 1
        adam_update(
            state.theta,
            rng.normal(-1.0, size=8) * 10.0 ** rng.integers(-3, 4, 8),
            problem.learning_rate(epoch),
            state.adam_step,
        )
        state.epoch += 1
        now, then = state.theta.value, state.sum_reference.theta
        moved = now - then if link.exponential else np.abs(now) - np.abs(then)
        assert moved.max() <= state.sum_reference.room
        weights = np.exp(now) if link.exponential else np.abs(now)
        assert weights.sum() <= sums.starts[0] / 1.5 / 2
    assert 0 < renewed < 40


def test_no_step_of_adam_is_larger_than_the_largest():
    """Gradients that grow by the ratio of the two decays make the largest steps."""
    parameter, largest = Parameter.start(np.zeros(1)), 0.0
    for step in range(1, 400):
        before = parameter.value.copy()
        adam_update(parameter, np.array([(0.9 / 0.999) ** -step]), 1.0, step)
        largest = max(largest, abs(float(parameter.value[0] - before[0])))
    assert 0.5 * LARGEST_STEP < largest <= LARGEST_STEP


def test_totals_of_columns():
    values = np.random.default_rng(2).normal(size=50)
    whole = on_ranks(1, lambda ranks: column_total(ranks, values))[0]
    parts = on_ranks(3, lambda ranks: column_total(ranks, np.split(values, [7, 30])[ranks.rank]))
    assert parts == [whole] * 3
    assert whole == pytest.approx(values.sum(), rel=1e-13)
    assert column_total(Serial(), values) == values.sum()
