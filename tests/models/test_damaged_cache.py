"""A damaged file in Numba's cache costs a compilation and a warning, and no more."""

import os
import subprocess
import sys

import pytest
from support import needs_numba, needs_speed

# A prediction: of all that a model does it compiles fastest, and every kernel is cached in the same way
PREDICT = """
import warnings, numpy as np
from l0np import SparseCalibrationWeights
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = SparseCalibrationWeights(3, seed=1, device="numba")
    print(model.predict(np.eye(3)).tobytes().hex())
print(sum("compiles without Numba's cache" in str(w.message) for w in caught))
"""


@pytest.mark.slow  # compiles kernels in new processes
@needs_numba
@needs_speed
def test_a_damaged_kernel_cache_costs_a_compilation_and_no_more(tmp_path):
    def run():
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", PREDICT]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()

    fresh, warned = run()
    assert warned == "0"
    indexes = list(tmp_path.rglob("*.nbi"))
    assert indexes
    for path in indexes:
        path.write_bytes(b"")
    result, warned = run()
    assert result == fresh
    assert int(warned) > 0
