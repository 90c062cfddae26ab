"""One conformance suite for every backend: products with M, and an epoch beside the reference."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from backend_support import EXACT, make_problem, random_state, row_gradient, rows
from support import DEVICES, FAST_DEVICES, SHAPES, dense_matrix, random_matrix

from l0np.backends import get_backend
from l0np.engine.backend import first_bad_epoch
from l0np.engine.state import NEVER
from l0np.maths.adam import BETA1, BETA2, EPSILON, step_sizes
from l0np.maths.links import ExponentialLink, IdentityLink
from l0np.matrix.column_matrix import ColumnMatrix

WIDE = "short columns, wide rows"


# name: rows, columns, density. Sizes around blocks of 4, 32 and 128 columns, several chunks, and the empty
# matrix.
NAMES = sorted(set(SHAPES) - {WIDE})
ALL_SHAPES = [*NAMES, pytest.param(WIDE, marks=pytest.mark.slow)]  # two million numbers are drawn for a case


@pytest.fixture(params=ALL_SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


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


class Epoch(NamedTuple):
    """What a backend makes of a start and an epoch, as NumPy arrays."""

    problem: Any
    before: Any  # the state
    slopes: Any
    first: Any  # the prediction of the start
    row_gradient: Any
    after: Any  # the state
    prediction: Any
    next_slope: Any  # of log_alpha


def anchor_of(shape, dtype):
    return np.random.default_rng(3).normal(size=shape[1]).astype(dtype)


def problem_and_state(device, shape, dtype, link, gated, anchored):
    rng, backend = np.random.default_rng(2), get_backend(device)
    dense, anchor = dense_matrix(shape, dtype, rng), anchor_of(shape, dtype) if anchored else None
    problem = make_problem(backend, dense, rng, link, gated, column_offset=6, anchor=anchor)
    return backend, problem, random_state(dense.shape[1], dtype, rng)


def one_epoch(device, shape, dtype, link, gated, anchored):
    backend, problem, state = problem_and_state(device, shape, dtype, link, gated, anchored)
    before, state = state.map(np.copy), state.map(backend.asarray)
    prediction = rows(backend, shape[0])
    backend.start(problem, state, out=prediction)
    first, slopes = backend.to_numpy(prediction), map(backend.to_numpy, dataclasses.astuple(state.slopes))
    slopes = tuple(slopes)
    returned = backend.row_step(problem, state, prediction, out=rows(backend, shape[0]))
    gradient = row_gradient(backend, state, returned)
    backend.step(problem, state, returned, out=prediction)
    assert first_bad_epoch(backend, state) == NEVER
    next_slope = backend.to_numpy(state.slopes.log_alpha_slope)
    after = state.map(backend.to_numpy)
    return Epoch(problem, before, slopes, first, gradient, after, backend.to_numpy(prediction), next_slope)


VARIANTS = {  # of the kernels: link, whether there is an anchor, whether there are gates
    "exp, gates": (ExponentialLink(), False, True),
    "identity, no gates": (IdentityLink(), False, False),
    "exp with an anchor, gates": (ExponentialLink(), True, True),
    "exp, no gates": (ExponentialLink(), False, False),
    "identity, gates": (IdentityLink(), False, True),
    "exp with an anchor, no gates": (ExponentialLink(), True, False),
}


def cases_of_a_step():
    """Yield shape, dtype and variant: each shape in both dtypes, with gates and without.

    Two of the six variants for each shape and dtype, in turn: every variant meets shapes of every kind in
    both dtypes, and every pair of shape and dtype meets a variant with gates and one without.
    """
    names = list(VARIANTS)
    for i, shape in enumerate([*NAMES, WIDE]):
        for j, dtype in enumerate(("float32", "float64")):
            first = 2 * ((i + j) % 3)
            for variant in names[first : first + 2]:
                marks = pytest.mark.slow if shape == WIDE else ()  # as in ALL_SHAPES
                yield pytest.param(shape, dtype, variant, marks=marks)


@pytest.mark.parametrize("device", FAST_DEVICES)
@pytest.mark.parametrize(("shape", "dtype", "variant"), list(cases_of_a_step()))
def test_start_and_step_agree_with_the_reference(device, shape, dtype, variant):
    shape, (link, anchored, gated) = SHAPES[shape], VARIANTS[variant]
    ours, reference = (one_epoch(name, shape, dtype, link, gated, anchored) for name in (device, "numpy"))
    magnitude = np.abs(dense_matrix(shape, dtype, np.random.default_rng(2))).astype(np.float64)
    exact, before = EXACT[dtype], ours.before

    for slope, expected in zip(
        ours.slopes, reference.slopes, strict=True
    ):  # gates: closed in both or in none
        assert ((slope == 0) == (expected == 0)).all()
        np.testing.assert_allclose(slope, expected, rtol=8 * exact, atol=8 * exact)
    weight = np.abs(reference.slopes[0]) * (1 if link.exponential else np.abs(before.theta.value))
    assert (np.abs(ours.first - reference.first) <= 8 * exact * (magnitude @ weight) + 1e-300).all()
    expected = np.empty(shape[0])
    reference.problem.loss.gradient(ours.first, out=expected)
    np.testing.assert_allclose(ours.row_gradient, expected, rtol=1e-14)

    column_scale = magnitude.T @ np.abs(reference.row_gradient)
    for name, slope in (("theta", reference.slopes[0]), ("log_alpha", reference.slopes[1])):
        new, new_, old = (getattr(state, name) for state in (ours.after, reference.after, before))
        penalised = before.theta.value - anchor_of(shape, dtype) if anchored else before.theta.value
        penalty = 0.3 + 0.04 * np.exp(2 * np.abs(penalised))
        scale = column_scale * np.abs(slope) * 0.1 + penalty + np.abs(old.first_moment)
        assert (np.abs(new.first_moment - new_.first_moment) <= 20 * exact * scale).all()
        if name == "log_alpha" and not gated:
            assert np.array_equal(new.value, old.value)
            continue
        # Adam given the same moments: the same bits
        size, factor = (np.dtype(dtype).type(x) for x in step_sizes(0.1 / 4, 4))
        root = np.sqrt(new.second_moment) * factor + np.dtype(dtype).type(EPSILON)
        assert np.array_equal(new.value, old.value - size * new.first_moment / root)
        gradient = (new.first_moment.astype(np.float64) - BETA1 * old.first_moment) / (1 - BETA1)
        second = BETA2 * old.second_moment.astype(np.float64) + (1 - BETA2) * gradient**2
        rtol = 1e-3 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(new.second_moment, second, rtol=rtol, atol=1e-12)
    assert (
        (ours.after.epoch, ours.after.adam_step)
        == (reference.after.epoch, reference.after.adam_step)
        == (4, 4)
    )

    # and the prediction that the step leaves is what a start from its result gives, bit for bit
    backend, problem, _ = problem_and_state(device, shape, dtype, link, gated, anchored)
    again, fresh = ours.after.map(backend.asarray), rows(backend, shape[0])
    backend.start(problem, again, out=fresh)
    assert np.array_equal(backend.to_numpy(fresh), ours.prediction)
    assert np.array_equal(backend.to_numpy(again.slopes.log_alpha_slope), ours.next_slope)


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
    after = (matrix.data, matrix.indices, matrix.indptr)
    assert all(np.array_equal(a, b) for a, b in zip(kept, after, strict=True))
    with pytest.raises(dataclasses.FrozenInstanceError):
        matrix.data = None
