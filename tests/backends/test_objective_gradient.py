"""The gradient of the whole objective, on every backend, beside central differences of a naive objective."""

import numpy as np
import oracles
import pytest
from backend_support import rows
from hypothesis import assume, given
from hypothesis import strategies as st
from support import DEVICES, squares

from l0np.backends import get_backend
from l0np.engine.state import Problem, State
from l0np.maths import philox
from l0np.maths.adam import BETA1, Parameter
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink, IdentityLink
from l0np.matrix.column_matrix import ColumnMatrix
from l0np.targets.weights import group_weights

GATES = HardConcrete(beta=0.5)


@pytest.mark.slow  # 60 random objectives on each backend
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("exponential", [True, False], ids=["exp", "identity"])
@given(data=st.data())
def test_gradient_of_the_whole_objective(device, exponential, data):
    """After one step from zero moments the first moment is a tenth of the gradient."""
    n_rows, n_columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    relative, gated, seed = (
        data.draw(st.booleans()),
        data.draw(st.booleans()),
        data.draw(st.integers(0, 2**64 - 1)),
    )
    lambda_l0, lambda_l2 = (
        data.draw(st.sampled_from([0.0, 0.7, -0.7])),
        data.draw(st.sampled_from([0.0, 0.3])),
    )
    anchored = exponential and data.draw(st.booleans())
    groups = data.draw(st.lists(st.integers(0, 2), min_size=n_rows, max_size=n_rows))
    theta, log_alpha = rng.normal(0, 0.7, n_columns), rng.normal(0, 2, n_columns)
    dense, y = rng.normal(size=(n_rows, n_columns)), rng.uniform(1, 4, n_rows)
    anchor = rng.normal(0, 0.7, n_columns) if anchored else None
    constants = GATES.beta, GATES.gamma, GATES.zeta
    u = philox.uniform(np, seed, philox.GATES, 0, 0, n_columns).tolist()
    if gated:
        bars = [oracles.stretched(a, draw, *constants) for a, draw in zip(log_alpha, u, strict=True)]
        assume(all(min(abs(bar), abs(bar - 1)) > 1e-3 for bar in bars))

    backend = get_backend(device)
    weights = group_weights(np.array(groups), n_rows, True, {groups[0]: 2.5})
    problem = Problem(
        matrix=backend.matrix(ColumnMatrix.build(dense, "float64")),
        n_rows=len(y),
        loss=squares("relative" if relative else "mse", backend.asarray(y), backend.asarray(weights)),
        link=ExponentialLink() if exponential else IdentityLink(),
        gates=(lambda epoch: GATES) if gated else None,
        lambda_l2=lambda_l2,
        learning_rate=lambda epoch: 0.01,
        l2_anchor=backend.asarray(anchor) if anchored else None,
    )
    state = State(
        Parameter.start(theta.copy()), Parameter.start(log_alpha.copy()), None, 0, 0, seed, lambda_l0
    )
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
            anchor=np.exp(anchor).tolist() if anchored else None,
        )  # fmt: skip

    gradient = np.concatenate((state.theta.first_moment, state.log_alpha.first_moment)) / (1 - BETA1)
    values = [*theta, *log_alpha]
    numeric = np.array([oracles.slope(objective, values, i) for i in range(2 * n_columns)])
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(numeric).max()))
