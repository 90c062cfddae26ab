"""Results do not depend on threads and processes: how many, which others train at once, a fork."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from both_models import FIT, calibration
from support import needs_numba, needs_speed, small_problem

THREADS = """
import numpy as np, numba
from l0np import SparseCalibrationWeights
rng = np.random.default_rng(0)
M = rng.random((50, 3001)) * (rng.random((50, 3001)) < 0.8)  # 120,000 entries: three threads have work
y = M @ rng.lognormal(size=3001)
for dtype in ("float32", "float64"):
    for n in (1, 2, 3):
        numba.set_num_threads(n)
        model = SparseCalibrationWeights(3001, seed=1, device="numba", dtype=dtype, log_weight_jitter_sd=0.1)
        model.fit(M, y, lambda_l0=1e-3, lambda_l2=1e-9, lr=0.1, epochs=150, loss_type="relative")
        results = model.log_weight, model.log_alpha, model.predict(M)
        print(*(array.tobytes().hex() for array in results))
"""


@pytest.mark.slow  # trains on a matrix of many chunks
@needs_numba
@needs_speed
def test_results_do_not_depend_on_the_number_of_threads():
    """In a process of its own: threads can only be as many as Numba was started with."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        env=os.environ | {"NUMBA_NUM_THREADS": "3"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert lines[0] == lines[1] == lines[2]
    assert lines[3] == lines[4] == lines[5]
    assert lines[0] != lines[3]


FORK = """
import os, numpy as np
from l0np import SparseCalibrationWeights
M = np.random.default_rng(0).random((20, 2000))
y = M.sum(axis=1)
def fit():
    model = SparseCalibrationWeights(2000, seed=1, device="numba")
    return model.fit(M, y, lr=0.1, epochs=5, loss_type="relative").log_weight.tobytes()
ours = fit()
child = os.fork()
if child == 0:
    os._exit(0 if fit() == ours else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow  # starts a process that trains
@needs_numba
@needs_speed
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_trains_too():
    command = [sys.executable, "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "0"


@needs_numba
@needs_speed
def test_threads_may_train_at_once():
    M, y = small_problem(20, 2000)

    def run(seed):
        return calibration(2000, seed=seed).fit(M, y, epochs=20, **FIT).log_weight.tobytes()

    alone = [run(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == alone
