"""One conformance suite for every backend, part by part, against the NumPy backend and the naive oracles."""

import dataclasses
from functools import partial

import numpy as np
import oracles
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import DEVICES, FAST_DEVICES, JIT_DISABLED, SHAPES, dense_matrix, needs_numba, random_matrix, squares

from l0np.backends import get_backend
from l0np.engine.backend import first_bad_epoch
from l0np.engine.state import NEVER, Problem, State
from l0np.maths import philox
from l0np.maths.adam import BETA1, BETA2, EPSILON, Parameter, step_sizes
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink, IdentityLink
from l0np.matrix.column_matrix import ColumnMatrix
from l0np.targets.weights import group_weights

GATES = HardConcrete(beta=0.5)
EXACT = {"float32": 1e-6, "float64": 1e-14}


# name: rows, columns, density. Sizes around blocks of 4, 32 and 128 columns, several chunks, and the empty matrix.
@pytest.fixture(params=sorted(SHAPES))
def shape(request):
    if JIT_DISABLED and "wide rows" in request.param:
        pytest.skip("NUMBA_DISABLE_JIT: 70,001 rows as plain Python are too slow")
    return SHAPES[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def random_state(n_columns, dtype, rng, seed=5, epoch=3, lambda_l0=0.3):
    def parameter(values):
        first = 0.01 * rng.normal(size=len(values))
        return Parameter(*(a.astype(dtype) for a in (values, first, 0.01 * rng.random(len(values)))))

    theta, log_alpha = parameter(rng.normal(size=n_columns)), parameter(rng.normal(0, 3, n_columns))
    return State(theta, log_alpha, None, epoch, adam_step=epoch, seed=seed, lambda_l0=lambda_l0)


SQUARES = partial(squares, "mse")


def make_problem(backend, dense, rng, link, gated=True, lambda_l2=0.02, loss=SQUARES, column_offset=0):
    target = rng.normal(size=dense.shape[0]) + 5
    return Problem(
        matrix=backend.matrix(ColumnMatrix.build(dense, dense.dtype)),
        target=target,
        loss=loss(backend.asarray(target), backend.asarray(rng.random(len(target)))),
        link=link,
        gates=(lambda epoch: HardConcrete(beta=0.5 + 0.01 * epoch)) if gated else None,
        lambda_l2=lambda_l2,
        learning_rate=lambda epoch: 0.1 / (1 + epoch),
        column_offset=column_offset,
    )


def rows(backend, n):
    """A buffer in row space, full of what no result may depend on."""
    return backend.asarray(np.full(n, np.nan))


@pytest.mark.parametrize("device", DEVICES)
def test_products_and_adjoint(device, shape, dtype):
    rng = np.random.default_rng(1)
    dense, backend = dense_matrix(shape, dtype, rng), get_backend(device)
    matrix = backend.matrix(ColumnMatrix.build(dense, dtype))
    columns, rows = rng.normal(size=dense.shape[1]), rng.normal(size=dense.shape[0])
    by_columns = backend.to_numpy(backend.matvec(matrix, backend.asarray(columns)))
    by_rows = backend.to_numpy(backend.rmatvec(matrix, backend.asarray(rows)))
    wide = dense.astype(np.float64)
    np.testing.assert_allclose(by_columns, wide @ columns, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(by_rows, wide.T @ rows, rtol=1e-12, atol=1e-10)
    assert by_columns @ rows == pytest.approx(columns @ by_rows, rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("device", FAST_DEVICES)
@pytest.mark.parametrize("gated", [True, False], ids=["gates", "no gates"])
@pytest.mark.parametrize("link", [ExponentialLink(), IdentityLink()], ids=["exp", "identity"])
def test_start_and_step_agree_with_the_reference(device, shape, dtype, link, gated):
    results = {}
    for name in ("numpy", device):
        rng, backend = np.random.default_rng(2), get_backend(name)
        dense = dense_matrix(shape, dtype, rng)
        problem, state = (
            make_problem(backend, dense, rng, link, gated, column_offset=6),
            random_state(dense.shape[1], dtype, rng).map(backend.asarray),
        )
        before = state.map(backend.to_numpy)
        prediction = rows(backend, dense.shape[0])
        backend.start(problem, state, out=prediction)
        first = backend.to_numpy(prediction)
        slopes = backend.to_numpy(state.draw.theta_slope), backend.to_numpy(state.draw.log_alpha_slope)
        row_gradient = backend.row_step(problem, state, prediction, out=rows(backend, dense.shape[0]))
        kept = backend.to_numpy(row_gradient)
        backend.step(problem, state, row_gradient, out=prediction)
        bad = first_bad_epoch(backend, state)
        results[name] = dense, before, slopes, first, kept, state.map(backend.to_numpy), backend.to_numpy(prediction)
        next_slopes = backend.to_numpy(state.draw.log_alpha_slope)
    dense, before, slopes, first, row_gradient, state, prediction = results[device]
    _, _, slopes_, first_, row_gradient_, state_, _ = results["numpy"]
    exact = EXACT[dtype]
    magnitude = np.abs(dense).astype(np.float64)

    for ours, reference in zip(slopes, slopes_, strict=True):  # gates: closed in both or in none
        assert ((ours == 0) == (reference == 0)).all()
        np.testing.assert_allclose(ours, reference, rtol=8 * exact, atol=8 * exact)
    weight = np.abs(slopes_[0]) * (1 if link.exponential else np.abs(before.theta.value))
    assert (np.abs(first - first_) <= 8 * exact * (magnitude @ weight) + 1e-300).all()

    column_scale = magnitude.T @ np.abs(row_gradient_)
    for name, slope in (("theta", slopes_[0]), ("log_alpha", slopes_[1])):
        ours, reference, old = getattr(state, name), getattr(state_, name), getattr(before, name)
        penalty = 0.3 + 0.04 * np.exp(2 * np.abs(before.theta.value))
        scale = column_scale * np.abs(slope) * 0.1 + penalty + np.abs(old.first_moment)
        assert (np.abs(ours.first_moment - reference.first_moment) <= 20 * exact * scale).all()
        if name == "log_alpha" and not gated:
            assert np.array_equal(ours.value, old.value)
            continue
        # Adam given the same moments: the same bits
        size, factor = (np.dtype(dtype).type(x) for x in step_sizes(0.1 / 4, 4))
        root = np.sqrt(ours.second_moment) * factor + np.dtype(dtype).type(EPSILON)
        assert np.array_equal(ours.value, old.value - size * ours.first_moment / root)
        gradient = (ours.first_moment.astype(np.float64) - BETA1 * old.first_moment) / (1 - BETA1)
        second = BETA2 * old.second_moment.astype(np.float64) + (1 - BETA2) * gradient**2
        np.testing.assert_allclose(ours.second_moment, second, rtol=1e-3 if dtype == "float32" else 1e-10, atol=1e-12)
    assert (state.epoch, state.adam_step) == (state_.epoch, state_.adam_step) == (4, 4)
    assert bad == NEVER

    # and the prediction that the step leaves is what a start from its result gives, bit for bit
    backend, rng = get_backend(device), np.random.default_rng(2)
    problem, again = (
        make_problem(backend, dense_matrix(shape, dtype, rng), rng, link, gated, column_offset=6),
        state.map(backend.asarray),
    )
    fresh = rows(backend, dense.shape[0])
    backend.start(problem, again, out=fresh)
    assert np.array_equal(backend.to_numpy(fresh), prediction)
    assert np.array_equal(backend.to_numpy(again.draw.log_alpha_slope), next_slopes)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("exponential", [True, False], ids=["exp", "identity"])
@given(data=st.data())
def test_gradient_of_the_whole_objective(device, exponential, data):
    """After one step from zero moments the first moment is a tenth of the gradient."""
    n_rows, n_columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    relative, gated, seed = data.draw(st.booleans()), data.draw(st.booleans()), data.draw(st.integers(0, 2**64 - 1))
    lambda_l0, lambda_l2 = data.draw(st.sampled_from([0.0, 0.7, -0.7])), data.draw(st.sampled_from([0.0, 0.3]))
    groups = data.draw(st.lists(st.integers(0, 2), min_size=n_rows, max_size=n_rows))
    theta, log_alpha = rng.normal(0, 0.7, n_columns), rng.normal(0, 2, n_columns)
    dense, y = rng.normal(size=(n_rows, n_columns)), rng.uniform(1, 4, n_rows)
    constants = GATES.beta, GATES.gamma, GATES.zeta
    u = philox.uniform(np, seed, philox.GATES, 0, 0, n_columns).tolist()
    if gated:
        bars = [oracles.stretched(a, draw, *constants) for a, draw in zip(log_alpha, u, strict=True)]
        assume(all(min(abs(bar), abs(bar - 1)) > 1e-3 for bar in bars))

    backend = get_backend(device)
    weights = group_weights(np.array(groups), n_rows, True, {groups[0]: 2.5})
    problem = Problem(
        matrix=backend.matrix(ColumnMatrix.build(dense, "float64")),
        target=y,
        loss=squares("relative" if relative else "mse", backend.asarray(y), backend.asarray(weights)),
        link=ExponentialLink() if exponential else IdentityLink(),
        gates=(lambda epoch: GATES) if gated else None,
        lambda_l2=lambda_l2,
        learning_rate=lambda epoch: 0.01,
    )
    state = State(Parameter.start(theta.copy()), Parameter.start(log_alpha.copy()), None, 0, 0, seed, lambda_l0)
    state, prediction = state.map(backend.asarray), rows(backend, n_rows)
    backend.start(problem, state, out=prediction)
    row_gradient = backend.row_step(problem, state, prediction, out=rows(backend, n_rows))
    backend.step(problem, state, row_gradient, out=prediction)
    state = state.map(backend.to_numpy)

    def objective(values):
        return oracles.objective(
            values[:n_columns], values[n_columns:], 0.0, u, dense.tolist(), y.tolist(),
            oracles.group_weights(groups, True, {groups[0]: 2.5}), relative=relative, exponential=exponential,
            gates=constants if gated else None, lambda_l0=lambda_l0, lambda_l2=lambda_l2,
        )  # fmt: skip

    gradient = np.concatenate((state.theta.first_moment, state.log_alpha.first_moment)) / (1 - BETA1)
    values = [*theta, *log_alpha]
    numeric = np.array([oracles.slope(objective, values, i) for i in range(2 * n_columns)])
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(numeric).max()))


@pytest.mark.parametrize("device", FAST_DEVICES)
def test_columns_split_over_ranks_add_up(device):
    """Two halves, each with its column offset, draw what the whole draws."""
    rng, backend = np.random.default_rng(4), get_backend(device)
    dense = random_matrix(6, 101, 0.5, rng, "float64")
    whole = random_state(101, "float64", rng)
    predictions = []
    for columns, offset in ((slice(None), 0), (slice(0, 37), 0), (slice(37, None), 37)):
        problem = make_problem(
            backend, dense[:, columns].copy(), np.random.default_rng(0), ExponentialLink(), column_offset=offset
        )
        prediction = rows(backend, 6)
        backend.start(problem, whole.map(lambda a, columns=columns: backend.asarray(a[columns])), out=prediction)
        predictions.append(backend.to_numpy(prediction))
    np.testing.assert_allclose(predictions[0], predictions[1] + predictions[2], rtol=1e-13)


@pytest.mark.parametrize("device", DEVICES)
def test_a_closed_column_takes_no_part(device):
    """Its gradient from the data is 0 and the prediction does not know it, whatever its weight and entries are."""
    rng, backend = np.random.default_rng(5), get_backend(device)
    dense = random_matrix(6, 50, 0.8, rng, "float64")
    problem, state = (
        make_problem(backend, dense, rng, ExponentialLink(), lambda_l2=0.0),
        random_state(50, "float64", rng, lambda_l0=0.0),
    )
    for moment in (state.theta.first_moment, state.theta.second_moment, state.log_alpha.first_moment):
        moment[:] = 0
    u = philox.uniform(np, state.seed, philox.GATES, state.epoch, 0, 50)
    expected = problem.gates(state.epoch).is_closed(state.log_alpha.value, u)
    state = state.map(backend.asarray)
    backend.start(problem, state, out=rows(backend, 6))
    closed = (backend.to_numpy(state.draw.theta_slope) == 0) & (backend.to_numpy(state.draw.log_alpha_slope) == 0)
    assert 5 < closed.sum() < 45
    assert (closed == expected).all()
    backend.step(problem, state, backend.asarray(np.ones(6)), out=rows(backend, 6))
    state = state.map(backend.to_numpy)
    assert (state.theta.first_moment[closed] == 0).all()
    assert (state.theta.first_moment[~closed & (dense != 0).any(axis=0)] != 0).all()


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_not_finite_is_noted_with_its_first_epoch(device):
    rng, backend = np.random.default_rng(6), get_backend(device)
    dense = random_matrix(6, 300, 0.5, rng, "float32")
    for place, name in ((7, "theta"), (200, "log_alpha"), (299, "theta")):
        problem, state = make_problem(backend, dense, rng, ExponentialLink()), random_state(300, "float32", rng, epoch=9)
        state, prediction = state.map(backend.asarray), rows(backend, 6)
        backend.start(problem, state, out=prediction)
        assert first_bad_epoch(backend, state) == NEVER
        getattr(state, name).second_moment[place] = np.inf
        for _ in range(3):
            backend.step(problem, state, backend.asarray(np.ones(6)), out=prediction)
        assert first_bad_epoch(backend, state) == 10


@needs_numba
def test_chunks_depend_on_the_matrix_alone_and_cover_it():
    from l0np.backends.numba.backend import MOST_CHUNKS, chunk_bounds

    rng = np.random.default_rng(7)
    for shape, least, most in (((3, 10), 1, 1), ((23, 2051), 2, MOST_CHUNKS), ((2000, 20), 2, 2)):
        bounds = chunk_bounds(ColumnMatrix.build(rng.random(shape))).tolist()
        assert least <= len(bounds) - 1 <= most
        assert (bounds[0], bounds[-1]) == (0, shape[1])
        assert bounds == sorted(bounds)


@needs_numba
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1]])
def test_threads_leave_no_chunk_and_take_none_twice(order, monkeypatch):
    """Threads run one after the other here: the first takes the chunks of all, also of those that never come."""
    from l0np.backends.numba import backend as backend_module

    kernels, rng = backend_module.kernels, np.random.default_rng(17)
    dense = random_matrix(23, 2051, 0.5, rng, "float32")

    def prediction_and_state():
        backend, rng = get_backend("numba"), np.random.default_rng(18)
        problem, state = make_problem(backend, dense, rng, ExponentialLink()), random_state(2051, "float32", rng)
        assert len(problem.matrix.sums) == 8
        out = rows(backend, 23)
        backend.start(problem, state, out=out)
        backend.step(problem, state, rng.normal(size=23), out=out)
        return out, state.theta.value, state.counts.sum(axis=0)

    monkeypatch.setattr(backend_module, "CHUNK_COST", 1 << 12)
    monkeypatch.setattr(backend_module, "_n_threads", lambda: 1)
    alone = prediction_and_state()
    in_turn = lambda n, *arguments: [kernels.epoch(thread, n, *arguments) for thread in order]  # noqa: E731
    monkeypatch.setattr(backend_module, "_n_threads", lambda: 3)
    monkeypatch.setattr(kernels, "epoch_parallel", in_turn)
    for one, other in zip(alone, prediction_and_state(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("device", DEVICES)
def test_records_are_frozen_and_inputs_stay_as_they_were(device):
    rng, backend = np.random.default_rng(8), get_backend(device)
    dense = random_matrix(5, 70, 0.5, rng, "float32")
    matrix = ColumnMatrix.build(dense)
    kept = [a.copy() for a in (matrix.data, matrix.indices, matrix.indptr)]
    problem, state = make_problem(backend, dense, rng, ExponentialLink()), random_state(70, "float32", rng)
    problem, state = dataclasses.replace(problem, matrix=backend.matrix(matrix)), state.map(backend.asarray)
    before = rng.normal(size=5)
    gradient, prediction = backend.asarray(before), rows(backend, 5)
    backend.start(problem, state, out=prediction)
    backend.step(problem, state, gradient, out=prediction)
    assert np.array_equal(backend.to_numpy(gradient), before)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (matrix.data, matrix.indices, matrix.indptr), strict=True))
    with pytest.raises(dataclasses.FrozenInstanceError):
        matrix.data = None


@needs_numba
@pytest.mark.parametrize("beta", [0.35, 10.0])
def test_gates_at_the_border_and_beyond_the_bound(beta, dtype):
    """Draws on the closed probability itself, where one bit decides, and log_alpha where gates no longer move."""
    import numba

    from l0np.backends.numba import kernels as kernels
    from l0np.backends.numba.backend import _constants
    from l0np.maths.exponential import exp_float32

    gates = HardConcrete(beta=beta)
    log_alpha = np.concatenate((np.linspace(-25, 25, 401), [20, -20, np.nextafter(20, 30), 21, 25] * 3)).astype(dtype)
    grown = exp_float32((np.clip(log_alpha, -20, 20) + gates.shift).astype(np.float32))
    border = np.clip(np.float32(1) / (np.float32(1) + grown), np.float32(1e-6), np.float32(1 - 1e-6))
    problem = make_problem(get_backend("numba"), np.ones((1, 1), dtype), np.random.default_rng(0), ExponentialLink())
    problem = dataclasses.replace(problem, gates=lambda epoch: gates)
    constants = _constants(problem, random_state(1, "float32", np.random.default_rng(0)), np.dtype(dtype))

    @numba.njit(error_model="numpy")  # kernels' helpers cannot be called from Python
    def draw(log_alpha, uniform, constants, gate, slope):
        kernels._gates(log_alpha, np.uint64(0), np.uint64(gate.size), uniform, np.uint64(0), constants, gate, slope)

    for u in (border, np.nextafter(border, np.float32(2)), np.nextafter(border, np.float32(-1)), np.full_like(border, 0.5)):
        u = np.clip(u, np.float32(1e-6), np.float32(1 - 1e-6))
        gate, slope = np.empty_like(log_alpha), np.empty_like(log_alpha)
        draw(log_alpha, u.astype(dtype), constants, gate, slope)
        expected, expected_slope = gates.sample(log_alpha, u)
        closed = gates.is_closed(log_alpha, u)
        assert (gate[closed] == 0).all()
        assert (slope[closed] == 0).all()
        assert ((slope == 0) == (expected_slope == 0)).all()
        np.testing.assert_allclose(gate, expected, atol=20 * EXACT[dtype])
        np.testing.assert_allclose(slope, expected_slope, rtol=50 * EXACT[dtype], atol=20 * EXACT[dtype])


@pytest.mark.parametrize("device", DEVICES)
def test_counts_are_what_the_gates_say(device):
    from l0np.engine.backend import statistics

    rng, backend = np.random.default_rng(9), get_backend(device)
    dense = random_matrix(23, 2051, 0.5, rng, "float32")
    entries = (dense != 0).sum(axis=0)
    problem, state = make_problem(backend, dense, rng, ExponentialLink()), random_state(2051, "float32", rng)
    gathered = scattered = closed_gates = 0
    closed = np.zeros(2051, bool)
    state, prediction = state.map(backend.asarray), rows(backend, 23)
    for epoch in range(4):
        if epoch == 0:
            backend.start(problem, state, out=prediction)
        else:
            gathered += entries.sum() if device == "numpy" else entries[~closed].sum()
            backend.step(problem, state, backend.asarray(np.ones(23)), out=prediction)
        u = philox.uniform(np, state.seed, philox.GATES, state.epoch, 0, 2051)
        closed = problem.gates(state.epoch).is_closed(backend.to_numpy(state.log_alpha.value), u)
        assert 0.2 < closed.mean() < 0.8
        scattered += entries.sum() if device == "numpy" else entries[~closed].sum()
        closed_gates += closed.sum()
        told = statistics(backend, state)
        assert (told.gathered, told.scattered, told.closed) == (gathered, scattered, closed_gates)


@needs_numba
def test_pace_takes_the_faster_way_and_comes_back():
    from l0np.backends.numba.backend import Pace

    def run(pace, seconds, epochs):
        used = []
        for _ in range(epochs):
            used.append(pace.threads())
            pace.note(used[-1], seconds[used[-1]])
        return used

    pace = Pace(4, serial_seconds=1.0)
    pace.note(pace.threads(), 30.0)  # compiles
    assert run(pace, {4: 0.3, 1: 1.0}, 50).count(4) == 50  # no trial of one thread before it is cheap
    assert 4 in run(pace, {4: 0.3, 1: 1.0}, 200)
    busy = run(pace, {4: 20.0, 1: 1.0}, 400)
    assert 1 <= busy.count(4) < 15
    assert run(pace, {4: 0.3, 1: 1.0}, 1000)[-300:].count(4) > 280
    assert Pace(1, 1.0).threads() == 1


@needs_numba
def test_constants_of_the_kernels_are_those_of_the_reference():
    """They are written twice, because a cached kernel would not notice a change elsewhere."""
    from l0np.backends.numba import kernels as kernels
    from l0np.maths import exponential, hard_concrete

    single = {
        "_SMALLEST_EXPONENT": -exponential.EXP_RANGE, "_LARGEST_EXPONENT": exponential.EXP_RANGE,
        "_LOG2_E": exponential.LOG2_E, "_LN2": exponential.LN2,
        "_LN2_HIGH": exponential.LN2_HIGH, "_LN2_LOW": exponential.LN2_LOW, "_UNIFORM_STEP": 2.0**-23,
        "_SMALLEST": hard_concrete.SMALLEST_UNIFORM, "_LARGEST": 1 - hard_concrete.SMALLEST_UNIFORM,
        **{f"_E{7 - place}": coefficient for place, coefficient in enumerate(exponential.EXP_TAYLOR)},
    }  # fmt: skip
    assert all(getattr(kernels, name) == np.float32(value) for name, value in single.items())
    words = (philox.WORD, *philox.MULTIPLIERS, *philox.KEY_STEPS, philox.GATES)
    assert words == (kernels._WORD, kernels._M0, kernels._M1, kernels._K0, kernels._K1, kernels._GATES)
    assert philox.ROUNDS == 10
