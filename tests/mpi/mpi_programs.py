"""Runs a program on several ranks through mpiexec, with a time limit; skips where that cannot be done."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BESIDE_PYTHON = str(Path(sys.executable).parent)  # where the wheels of MPI put it
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([BESIDE_PYTHON, os.environ["PATH"]]))
REASON = None
if importlib.util.find_spec("mpi4py") is None:
    REASON = "mpi4py is not installed"
elif MPIEXEC is None:
    REASON = "mpiexec is not installed"
needs_mpi = pytest.mark.skipif(REASON is not None, reason=str(REASON))
SECONDS = 120  # that a program may take, most of them to start on a busy machine


def mpirun(n, code, *arguments, seconds=SECONDS):
    """Run Python code, or the module that ``-m`` names, on n ranks; return the completed process."""
    start = ["-c", code] if code != "-m" else ["-m"]
    return subprocess.run(
        [str(MPIEXEC), "-n", str(n), sys.executable, "-W", "ignore", *start, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def output_of(n, code, *arguments, seconds=SECONDS):
    """Return what a program that succeeds prints."""
    done = mpirun(n, code, *arguments, seconds=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
