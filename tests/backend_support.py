"""What the tests of the backends share: random problems and states, and how to look at a row gradient."""

from functools import partial

import numpy as np
from support import squares

from l0np.engine.state import Problem, State
from l0np.maths.adam import Parameter
from l0np.maths.hard_concrete import HardConcrete
from l0np.matrix.column_matrix import ColumnMatrix

# Errors of sums, relative to the sums of magnitudes, that are rounding
EXACT = {"float32": 1e-6, "float64": 1e-14}


def random_state(n_columns, dtype, rng, seed=5, epoch=3, lambda_l0=0.3):
    def parameter(values):
        first = 0.01 * rng.normal(size=len(values))
        return Parameter(*(a.astype(dtype) for a in (values, first, 0.01 * rng.random(len(values)))))

    theta, log_alpha = parameter(rng.normal(size=n_columns)), parameter(rng.normal(0, 3, n_columns))
    return State(theta, log_alpha, None, epoch, adam_step=epoch, seed=seed, lambda_l0=lambda_l0)


SQUARES = partial(squares, "mse")


def make_problem(
    backend, dense, rng, link, gated=True, lambda_l2=0.02, loss=SQUARES, column_offset=0, anchor=None
):
    target = rng.normal(size=dense.shape[0]) + 5
    return Problem(
        matrix=backend.matrix(ColumnMatrix.build(dense, dense.dtype)),
        n_rows=len(target),
        loss=loss(backend.asarray(target), backend.asarray(rng.random(len(target)))),
        link=link,
        gates=(lambda epoch: HardConcrete(beta=0.5 + 0.01 * epoch)) if gated else None,
        lambda_l2=lambda_l2,
        learning_rate=lambda epoch: 0.1 / (1 + epoch),
        column_offset=column_offset,
        l2_anchor=None if anchor is None else backend.asarray(anchor),
    )


def rows(backend, n):
    """Return a buffer in row space, full of what no result may depend on."""
    return backend.asarray(np.full(n, np.nan))


def row_gradient(backend, state, returned):
    """Return what `row_step` has returned or, on CUDA, kept in the run."""
    return backend.to_numpy(state.run.gradient if returned is None else returned)
