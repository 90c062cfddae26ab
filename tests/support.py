"""What several test files share."""

import importlib.util
import os

import numpy as np
import pytest
from cuda_on_gxx import GXX
from scipy import sparse

from l0np.backends import BACKENDS, why_unavailable
from l0np.maths import LOSSES

HAS_NUMBA = importlib.util.find_spec("numba") is not None
JIT_DISABLED = HAS_NUMBA and os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"

# Of long training in tests of what surrounds it: as plain Python an epoch of kernels takes 100 times as long
LONG_RUNS = "numpy" if JIT_DISABLED else "cpu"

needs_numba = pytest.mark.skipif(not HAS_NUMBA, reason="numba is not installed")
needs_speed = pytest.mark.skipif(JIT_DISABLED, reason="NUMBA_DISABLE_JIT: plain Python is too slow for it")
# Without a CUDA device "cuda" is the real backend on a stand-in for CuPy that runs the real kernels, compiled
# by g++ (conftest)
HAS_CUDA = why_unavailable(0) is None
needs_cuda = pytest.mark.skipif(
    not (HAS_CUDA or GXX), reason="cuda: no CUDA device, and no g++ for the stand-in"
)
needs_device = pytest.mark.skipif(not HAS_CUDA, reason=f"cupy: {str(why_unavailable(0)).split(':')[0]}")
CPU_DEVICES = ["numpy", pytest.param("numba", marks=needs_numba)]
CUDA = pytest.param("cuda", marks=[needs_cuda, pytest.mark.cuda])
OTHERS = [name for name in BACKENDS if name not in ("numpy", "numba", "cuda")]  # a new backend runs at once
DEVICES = [*CPU_DEVICES, CUDA, *OTHERS]
FAST_DEVICES = [*CPU_DEVICES[1:], CUDA, *OTHERS]


SHAPES = {
    "one entry": (1, 1, 1.0),
    "no entries": (3, 5, None),
    "one column": (40, 1, 0.5),
    "31": (7, 31, 0.4),
    "32": (7, 32, 0.4),
    "33": (7, 33, 0.4),
    "128": (5, 128, 0.3),
    "129": (5, 129, 0.3),
    "one row": (1, 260, 0.5),
    "long columns": (3000, 14, 0.6),
    "many chunks": (23, 2051, 0.5),
    "wide rows": (65_537, 9, 0.02),  # more rows than 16 bits count
    # and with these every variant of the CUDA kernels has its turn (test_cuda_sums.py):
    "dense columns": (60, 97, 0.9),
    "short columns": (3000, 37, 0.008),
    "short columns, wide rows": (65_537, 33, 0.0005),
}


def random_matrix(n_rows, n_columns, density, rng, dtype):
    dense = rng.normal(size=(n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < density)
    if n_rows > 2:
        dense[0], dense[1] = rng.normal(size=n_columns), 0  # one dense row, one empty
    dense[:, rng.random(n_columns) < 0.1] = 0  # empty columns
    return dense.astype(dtype)


def dense_matrix(shape, dtype, rng):
    n_rows, n_columns, density = shape
    if density is None:
        return np.zeros((n_rows, n_columns), dtype)
    return random_matrix(n_rows, n_columns, density, rng, dtype)


def small_problem(n_targets=6, n_records=40, seed=0, density=0.5):
    """A matrix in csr and targets that some weights meet exactly."""
    rng = np.random.default_rng(seed)
    M = sparse.random_array((n_targets, n_records), density=density, format="csr", rng=rng)
    return M, M @ rng.lognormal(1, 1, size=n_records) + 1.0


def squares(loss_type, target, weights):
    """The plain loss of a loss type, as `Targets` makes it."""
    loss = LOSSES[loss_type]
    return loss(target, loss.default_scale(target), weights)


def same_state(one, other):
    """Whether two states (from state_dict) are equal bit for bit."""
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)
