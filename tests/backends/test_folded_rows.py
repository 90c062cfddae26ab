"""Folded rows on every backend: the same objective as with all entries, part by part beside the reference."""

import numpy as np
import pytest
from backend_support import EXACT, SQUARES, random_state, row_gradient, rows
from support import DEVICES, FAST_DEVICES

from l0np.backends import get_backend
from l0np.engine.backend import first_bad_epoch
from l0np.engine.communicator import Serial
from l0np.engine.state import NEVER, Problem
from l0np.engine.training import train
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink
from l0np.matrix import ColumnMatrix, Fold

DTYPES = ("float32", "float64")


def regions(n_columns=700, n_districts=24, dtype="float32", seed=0):
    """Districts in 4 states and the nation, for three variables, the nation by age too; 2 % deviate."""
    rng = np.random.default_rng(seed)
    district, age = rng.integers(n_districts, size=n_columns), rng.integers(3, size=n_columns)
    parts = []
    for variable in range(3):
        amount = np.round(rng.lognormal(3, 1, n_columns)) * (rng.random(n_columns) < 0.7)
        fine = (district == np.arange(n_districts)[:, None]) * amount
        states = (district % 4 == np.arange(4)[:, None]) * amount
        ages = (age == np.arange(3)[:, None]) * amount
        parts += [fine, states, ages, amount[None, :] * (1 if variable else np.ones((2, 1)))]
    dense = np.vstack([*parts, rng.normal(size=(2, n_columns))])
    deviates = (rng.random(dense.shape) < 0.02) & (dense != 0)
    return np.where(deviates, dense + 1.0, dense).astype(dtype)


def problem_of(backend, matrix, loss=SQUARES, link=None):
    rng = np.random.default_rng(1)
    target = rng.normal(size=matrix.shape[0]) + 500.0
    return Problem(
        matrix=backend.matrix(matrix),
        n_rows=len(target),
        loss=loss(backend.asarray(target), backend.asarray(rng.random(len(target)))),
        link=link or ExponentialLink(),
        gates=lambda epoch: HardConcrete(beta=0.5 + 0.01 * epoch),
        lambda_l2=0.02,
        learning_rate=lambda epoch: 0.1 / (1 + epoch),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", DEVICES)
def test_products_are_those_of_the_whole_matrix(device, dtype):
    dense, backend, rng = regions(dtype=dtype), get_backend(device), np.random.default_rng(2)
    folded = ColumnMatrix.build(dense, dtype, fold=True)
    assert folded.fold.n_folded > 12
    matrix = backend.matrix(folded)
    columns, row_weights = rng.normal(size=dense.shape[1]), rng.normal(size=dense.shape[0])
    given = backend.asarray(row_weights)
    by_columns = backend.to_numpy(backend.matvec(matrix, backend.asarray(columns)))
    by_rows = backend.to_numpy(backend.rmatvec(matrix, given))
    wide = dense.astype(np.float64)
    np.testing.assert_allclose(by_columns, wide @ columns, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(by_rows, wide.T @ row_weights, rtol=1e-11, atol=1e-9)
    assert np.array_equal(backend.to_numpy(given), row_weights)


def one_epoch(device, matrix, dtype, gradient=None):
    backend = get_backend(device)
    with backend.active():
        problem = problem_of(backend, matrix)
        state = random_state(matrix.shape[1], dtype, np.random.default_rng(3)).map(backend.asarray)
        prediction = rows(backend, matrix.shape[0])
        backend.start(problem, state, out=prediction)
        first = backend.to_numpy(prediction)
        returned = backend.row_step(problem, state, prediction, out=rows(backend, matrix.shape[0]))
        by_prediction = row_gradient(backend, state, returned)
        given = returned if gradient is None else backend.asarray(gradient)
        backend.step(problem, state, given, out=prediction)
        assert first_bad_epoch(backend, state) == NEVER
        if gradient is not None:
            assert np.array_equal(backend.to_numpy(given), gradient)
        return first, by_prediction, state.map(backend.to_numpy), backend.to_numpy(prediction)


@pytest.mark.parametrize("own", [True, False], ids=["its own gradient", "another gradient"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", DEVICES)
def test_an_epoch_agrees_with_that_of_the_whole_matrix(device, dtype, own):
    """In float32 the gradient of a column is a sum of the same terms in another order."""
    dense = regions(dtype=dtype)
    gradient = None if own else np.random.default_rng(4).normal(size=len(dense))
    folded = one_epoch(device, ColumnMatrix.build(dense, dtype, fold=True), dtype, gradient)
    whole = one_epoch("numpy", ColumnMatrix.build(dense, dtype, fold=False), dtype, gradient)
    magnitude = np.abs(dense).astype(np.float64)
    for ours, expected in ((folded[0], whole[0]), (folded[3], whole[3])):
        np.testing.assert_allclose(ours, expected, rtol=1e-4 if dtype == "float32" else 1e-11)
    np.testing.assert_allclose(folded[1], whole[1], rtol=1e-5 if dtype == "float32" else 1e-11)
    used = np.abs(whole[1] if own else gradient)
    for name in ("theta", "log_alpha"):
        ours, expected = (getattr(state, name).first_moment for state in (folded[2], whole[2]))
        scale = magnitude.T @ used + 1.0
        assert (np.abs(ours - expected) <= 200 * EXACT[dtype] * scale).all()


def by_hand(n):
    """A record in each of n districts; 4 states, 3 ages, and the nation, the sum of its states."""
    district = np.arange(n, dtype=np.int32)
    parents = np.concatenate([n + district % 4, n + 4 + district % 3, np.full(4, n + 7)])
    children = np.concatenate([district, district, n + np.arange(4)])
    lengths = np.concatenate([np.ones(n, int), np.bincount(parents[: 2 * n])[n:], [n]])
    eye = ColumnMatrix.build(np.eye(n + 8, n), "float64")
    order = np.lexsort((children, parents))
    fold = Fold(parents[order], children[order], lengths, (1.0, 1.0))
    return ColumnMatrix(eye.data, eye.indices, eye.indptr, eye.shape, fold=fold)


@pytest.mark.parametrize("device", FAST_DEVICES)
def test_row_space_is_added_up_as_in_the_reference(device):
    """With one entry in each column sums are of row space alone; on the CPU they are so bit for bit."""
    n, rng = 50, np.random.default_rng(5)
    matrix, weights = by_hand(n), rng.normal(size=n)
    gradient = rng.normal(size=n + 8)
    products = []
    for name in (device, "numpy"):
        backend = get_backend(name)
        with backend.active():
            form = backend.matrix(matrix)
            both = (
                backend.matvec(form, backend.asarray(weights)),
                backend.rmatvec(form, backend.asarray(gradient)),
            )
            products.append([backend.to_numpy(product) for product in both])
    ours, reference = products
    states, ages = np.bincount(np.arange(n) % 4, weights), np.bincount(np.arange(n) % 3, weights)
    expected = [*weights, *states, *ages, weights.sum()]
    np.testing.assert_allclose(ours[0], expected, rtol=1e-13)
    by_column = gradient[:n] + gradient[n + np.arange(n) % 4] + gradient[n + 4 + np.arange(n) % 3]
    np.testing.assert_allclose(ours[1], by_column + gradient[-1], rtol=1e-13)
    if not get_backend(device).on_device:
        assert np.array_equal(ours[0], reference[0])
        assert np.array_equal(ours[1], reference[1])


def trained(device, matrix, epochs, loss=SQUARES, stops=()):
    backend = get_backend(device)
    with backend.active():
        problem, n = problem_of(backend, matrix, loss), matrix.shape[1]
        state = random_state(n, matrix.dtype, np.random.default_rng(3)).map(backend.asarray)
        for stop in (*stops, 3 + epochs):
            train(
                backend, problem, state, stop,
                communicator=Serial(), report_every=[1000], report=lambda loss, interrupted: False,
            )  # fmt: skip
        return state.map(backend.to_numpy), backend.to_numpy(
            backend.matvec(problem.matrix, state.theta.value)
        )


@pytest.mark.parametrize("device", DEVICES)
def test_many_epochs_agree_and_repeat_exactly(device):
    dense = regions(dtype="float64")
    folded = ColumnMatrix.build(dense, "float64", fold=True)
    one, other, split = (trained(device, folded, 60, stops=stops) for stops in ((), (), (10, 33)))
    expected = trained("numpy", ColumnMatrix.build(dense, "float64", fold=False), 60)
    for name in ("theta", "log_alpha"):
        ours, again, in_parts, reference = (
            getattr(run[0], name).value for run in (one, other, split, expected)
        )
        assert np.array_equal(ours, again)
        assert np.array_equal(ours, in_parts)
        np.testing.assert_allclose(ours, reference, rtol=1e-6, atol=1e-6)
