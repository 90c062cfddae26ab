"""Matrix and run on every backend: one matrix serves several runs, and what a run needs is in the state."""

import dataclasses

import numpy as np
import pytest
from backend_support import make_problem, random_state, row_gradient, rows
from support import DEVICES, random_matrix

from l0np.backends import get_backend
from l0np.maths.adam import Parameter
from l0np.maths.links import IdentityLink


def setting(device, intercept=False):
    rng, backend = np.random.default_rng(11), get_backend(device)
    dense = random_matrix(23, 500, 0.4, rng, "float32")
    problem = make_problem(backend, dense, rng, IdentityLink())
    states = [random_state(500, "float32", rng, seed=seed) for seed in (1, 2)]
    if intercept:
        for state in states:
            state.intercept = Parameter.start(np.ones(1, np.float32))
    return backend, problem, [state.map(backend.asarray) for state in states]


def steps(backend, problem, states, turns):
    """Start each state and train it in turns; return their parameters and predictions."""
    predictions = [rows(backend, 23) for _ in states]
    for state, prediction in zip(states, predictions, strict=True):
        backend.start(problem, state, out=prediction)
    for number in turns:
        state, prediction = states[number], predictions[number]
        gradient = backend.row_step(problem, state, prediction, out=rows(backend, 23))
        backend.step(problem, state, gradient, out=prediction)
    arrays = [
        (state.theta.value, state.log_alpha.value, p) for state, p in zip(states, predictions, strict=True)
    ]
    return [[backend.to_numpy(array) for array in own] for own in arrays]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("intercept", [False, True])
def test_two_runs_on_one_matrix_do_not_disturb_each_other(device, intercept):
    backend, problem, states = setting(device, intercept)
    together = steps(backend, problem, states, [0, 1, 1, 0, 1, 0])
    for number in (0, 1):
        backend, problem, states = setting(device, intercept)
        (alone,) = steps(backend, problem, [states[number]], [0, 0, 0])
        assert all(np.array_equal(a, b) for a, b in zip(alone, together[number], strict=True))


@pytest.mark.parametrize("device", DEVICES)
def test_products_beside_a_run_do_not_disturb_it(device):
    backend, problem, states = setting(device)
    expected = steps(backend, problem, states[:1], [0, 0])
    backend, problem, states = setting(device)
    prediction = rows(backend, 23)
    backend.start(problem, states[0], out=prediction)
    for _ in range(2):
        backend.matvec(problem.matrix, backend.asarray(np.full(500, 7.0)))
        gradient = backend.row_step(problem, states[0], prediction, out=rows(backend, 23))
        backend.rmatvec(problem.matrix, backend.asarray(np.full(23, 7.0)))
        backend.step(problem, states[0], gradient, out=prediction)
    assert np.array_equal(backend.to_numpy(states[0].theta.value), expected[0][0])


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_leaves_nothing_in_a_copy_of_the_state(device):
    backend, problem, (state, _) = setting(device)
    backend.start(problem, state, out=rows(backend, 23))
    copy = state.map(backend.to_numpy)
    assert [getattr(copy, name) for name in ("run", "slopes", "counts", "first_bad")] == [None] * 4
    assert state.slopes is not None


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_gradient_is_that_of_the_prediction_and_intercept_as_they_are(device, ranks):
    """Asked for twice, or of a prediction to which other ranks have added."""
    backend, problem, (state, _) = setting(device, intercept=True)
    problem, prediction = dataclasses.replace(problem, ranks=ranks), rows(backend, 23)
    backend.start(problem, state, out=prediction)
    for _ in range(2):
        total = prediction if ranks == 1 else prediction + prediction
        intercept = backend.to_numpy(state.intercept.value)
        expected = rows(backend, 23)
        problem.loss.gradient(total + backend.asarray(intercept.astype(np.float64)), out=expected)
        returned = backend.row_step(problem, state, total, out=rows(backend, 23))
        gradient = row_gradient(backend, state, returned)
        np.testing.assert_allclose(gradient, backend.to_numpy(expected), rtol=1e-14)
        assert backend.to_numpy(state.intercept.value) != intercept


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_takes_any_gradient(device):
    """Also after a visit that has written the loss's own."""
    results = []
    for name in ("numpy", device):
        backend, problem, (state, _) = setting(name)
        prediction = rows(backend, 23)
        backend.start(problem, state, out=prediction)
        backend.row_step(problem, state, prediction, out=rows(backend, 23))
        backend.step(problem, state, backend.asarray(np.linspace(-1, 1, 23)), out=prediction)
        results.append(backend.to_numpy(state.theta.first_moment))
    np.testing.assert_allclose(*results, atol=1e-5)
