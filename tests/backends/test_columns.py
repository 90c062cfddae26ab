"""Columns on every backend: closed ones, ones that are not finite, those of other ranks, and counts."""

import numpy as np
import pytest
from backend_support import make_problem, random_state, rows
from support import DEVICES, FAST_DEVICES, random_matrix

from l0np.backends import get_backend
from l0np.engine.backend import first_bad_epoch, statistics
from l0np.engine.state import NEVER
from l0np.maths import philox
from l0np.maths.links import ExponentialLink


@pytest.mark.parametrize("device", FAST_DEVICES)
def test_columns_split_over_ranks_add_up(device):
    """Two halves, each with its column offset, draw what the whole draws."""
    rng, backend = np.random.default_rng(4), get_backend(device)
    dense = random_matrix(6, 101, 0.5, rng, "float64")
    whole = random_state(101, "float64", rng)
    predictions = []
    for columns, offset in ((slice(None), 0), (slice(0, 37), 0), (slice(37, None), 37)):
        problem = make_problem(
            backend,
            dense[:, columns].copy(),
            np.random.default_rng(0),
            ExponentialLink(),
            column_offset=offset,
        )
        prediction = rows(backend, 6)
        backend.start(
            problem, whole.map(lambda a, columns=columns: backend.asarray(a[columns])), out=prediction
        )
        predictions.append(backend.to_numpy(prediction))
    np.testing.assert_allclose(predictions[0], predictions[1] + predictions[2], rtol=1e-13)


@pytest.mark.parametrize("device", DEVICES)
def test_a_closed_column_takes_no_part(device):
    """It gets no gradient from the data and adds nothing to the prediction, whatever its weight is."""
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
    closed = (backend.to_numpy(state.slopes.theta_slope) == 0) & (
        backend.to_numpy(state.slopes.log_alpha_slope) == 0
    )
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
    for column, name in ((7, "theta"), (200, "log_alpha"), (299, "theta")):
        problem, state = (
            make_problem(backend, dense, rng, ExponentialLink()),
            random_state(300, "float32", rng, epoch=9),
        )
        state, prediction = state.map(backend.asarray), rows(backend, 6)
        backend.start(problem, state, out=prediction)
        assert first_bad_epoch(backend, state) == NEVER
        getattr(state, name).second_moment[column] = np.inf
        for _ in range(3):
            backend.step(problem, state, backend.asarray(np.ones(6)), out=prediction)
        assert first_bad_epoch(backend, state) == 10


@pytest.mark.parametrize("device", DEVICES)
def test_counts_are_what_the_gates_say(device):

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
        counted = statistics(backend, state)
        assert (counted.gathered, counted.scattered, counted.closed) == (gathered, scattered, closed_gates)
