"""What the tests of the CUDA backend share: problems, device matrices, and the bare training loop."""

import cupy_stand_in
import numpy as np
import pytest
from scipy import sparse
from support import HAS_CUDA, squares

from l0np import SparseCalibrationWeights
from l0np.backends import get_backend
from l0np.engine.communicator import Serial
from l0np.engine.state import Problem, State
from l0np.engine.training import train
from l0np.maths.adam import Parameter
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink
from l0np.matrix.column_matrix import ColumnMatrix

needs_stand_in = pytest.mark.skipif(
    HAS_CUDA, reason="looks into the stand-in for CuPy, and there is a real one"
)
# The warning has a test of its own, in test_cuda_losses_and_ranks.py
without_a_graph = pytest.mark.filterwarnings("ignore::l0np.errors.PerformanceWarning")
FIT = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative"}


def calibration(n, device="cuda", **options):
    return SparseCalibrationWeights(n, seed=3, device=device, log_weight_jitter_sd=0.1, **options)


def regression_problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 12))
    return X, X[:, :3] @ np.array([2.0, -3.0, 4.0]) + 5.0


def on_device(matrix, kind="csr"):
    import cupy

    if kind == "dense":
        return cupy.array(matrix.toarray())
    if not HAS_CUDA:
        return cupy_stand_in.Sparse(matrix.asformat(kind))
    from cupyx.scipy import sparse as device_sparse

    return getattr(device_sparse, f"{kind}_matrix")(getattr(sparse, f"{kind}_matrix")(matrix))


def run(device, epochs, loss=None, communicator=None, intercept=False, dtype="float64", runs=1):
    """Train a small problem in the bare loop, `runs` times on one matrix; return state and losses."""
    backend, rng = get_backend(device), np.random.default_rng(6)
    M = sparse.random_array((5, 60), density=0.5, rng=rng)
    y = np.asarray(M.sum(axis=1)).ravel()
    parameter = Parameter.start(np.zeros(60, dtype)), Parameter.start(np.ones(60, dtype))
    start = Parameter.start(np.ones(1, dtype)) if intercept else None
    state = State(*parameter, start, 0, 0, seed=1, lambda_l0=0.1)
    with backend.active():
        target = backend.asarray(y)
        problem = Problem(
            matrix=backend.matrix(ColumnMatrix.build(M, dtype)), n_rows=len(y),
            loss=loss(target) if loss else squares("mse", target, backend.asarray(np.ones(5))),
            link=ExponentialLink(), gates=lambda epoch: HardConcrete(beta=0.5 + 0.001 * epoch),
            lambda_l2=0.01,
            learning_rate=lambda epoch: 0.05 / (1 + 0.01 * epoch),
        )  # fmt: skip
        for _ in range(runs):
            trained, losses = state.map(backend.asarray), []
            options = {"communicator": communicator or Serial(), "report_every": (40,)}
            options["report"] = lambda loss, interrupted, losses=losses: losses.append(loss)
            train(backend, problem, trained, epochs, **options)
        return trained.map(backend.to_numpy), losses
