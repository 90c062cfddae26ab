"""Chunks of columns, and the threads that take them."""

import numpy as np
import pytest
from backend_support import make_problem, random_state, rows
from support import HAS_NUMBA, needs_numba, random_matrix

from l0np.maths.links import ExponentialLink

pytestmark = needs_numba
if HAS_NUMBA:
    from l0np.backends.numba import kernels
    from l0np.backends.numba.backend import NumbaBackend
    from l0np.backends.numba.matrix import MOST_CHUNKS, chunk_bounds

    class InTurn(NumbaBackend):
        """Three threads that run one after the other, in a given order; some never come."""

        def __init__(self, order):
            super().__init__(n_threads=lambda: 3, chunk_cost=1 << 12)
            self.order = order

        def _on_threads(self, n_threads, arguments):
            for thread in self.order:
                kernels.epoch(thread, n_threads, *arguments)


def test_chunks_depend_on_the_matrix_alone_and_cover_it():
    for shape, least, most in (((3, 10), 1, 1), ((23, 2051), 2, MOST_CHUNKS), ((2000, 20), 2, 2)):
        bounds = chunk_bounds(shape[0] * np.arange(shape[1] + 1), shape[0]).tolist()
        assert least <= len(bounds) - 1 <= most
        assert (bounds[0], bounds[-1]) == (0, shape[1])
        assert bounds == sorted(bounds)


def prediction_and_state(backend):
    dense = random_matrix(23, 2051, 0.5, np.random.default_rng(17), "float32")
    rng = np.random.default_rng(18)
    problem, state = make_problem(backend, dense, rng, ExponentialLink()), random_state(2051, "float32", rng)
    assert len(problem.matrix.entries.bounds) - 1 == 8
    out = rows(backend, 23)
    backend.start(problem, state, out=out)
    backend.step(problem, state, rng.normal(size=23), out=out)
    return out, state.theta.value, state.counts.sum(axis=0)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1]])
def test_threads_leave_no_chunk_and_take_none_twice(order):
    """The first thread takes the chunks of all, also of those that never come."""
    alone = prediction_and_state(NumbaBackend(n_threads=lambda: 1, chunk_cost=1 << 12))
    for one, other in zip(alone, prediction_and_state(InTurn(order)), strict=True):
        assert np.array_equal(one, other)
