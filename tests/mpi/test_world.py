"""`World` on ranks that mpiexec starts: what it promises of each call, fits, and ranks that fail."""

import time

import numpy as np
import pytest
from mpi_programs import mpirun, needs_mpi, output_of
from scipy import sparse

from l0np import ColumnMatrix

pytestmark = needs_mpi

CONFORMS = """
import numpy as np
from l0np.mpi import World
world = World()
n, rank = world.size, world.rank
assert world.reproducible and 0 <= rank < n and 0 <= world.local_rank < n
for dtype in (np.float64, np.int64, np.float32):
    mine = (np.arange(5) + rank).astype(dtype)
    total = world.allreduce(mine)
    assert total.dtype == dtype and (total == sum(np.arange(5) + r for r in range(n))).all()
    assert (mine == np.arange(5) + rank).all()
    assert float(world.allreduce(np.asarray(2.5 * rank))) == 2.5 * sum(range(n))
    own = np.full(rank + 1, rank, dtype)
    wanted = np.repeat(np.arange(n), np.arange(n) + 1)
    joined = world.allgather(own)
    assert joined.dtype == dtype and (joined == wanted).all()
    gathered = world.gather(own)
    assert (gathered is None) if rank else (gathered == wanted).all()
assert world.allgather(np.array([rank > 0])).tolist() == [r > 0 for r in range(n)]
assert world.allgather(np.array(["x" * (rank + 1)])).tolist() == ["x" * (r + 1) for r in range(n)]
assert world.allgather(np.empty(0)).size == 0
names = world.gather(np.array([f"rank {rank}"]))
assert names is None if rank else names.tolist() == [f"rank {r}" for r in range(n)]
print("fine")
"""

FITS = """
import sys
import numpy as np
from l0np import ColumnMatrix, SparseCalibrationWeights
from l0np.mpi import World
world = World()
columns = world.columns(sys.argv[1])
M, y = ColumnMatrix.open(sys.argv[1], columns), np.load(sys.argv[2])
model = SparseCalibrationWeights(M.shape[1], seed=1, init_weights=8.0, log_weight_jitter_sd=0.05)
model.fit(M, y, n_active=60, lr=0.1, epochs=80, loss_type="relative", communicator=world)
weights = world.gather(model.get_weights(deterministic=True))
totals = model.predict(M, communicator=world)
if world.rank == 0:
    print(weights.tobytes().hex(), totals.tobytes().hex())
"""


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_call_does_what_it_promises(n):
    assert output_of(n, CONFORMS).count("fine") == n


def test_fits_of_a_saved_matrix_are_the_same_on_any_number_of_ranks(tmp_path):
    rng = np.random.default_rng(0)
    M = sparse.random_array((20, 700), density=0.3, rng=rng)
    ColumnMatrix.build(M).save(tmp_path / "M")
    np.save(tmp_path / "y.npy", M @ rng.lognormal(2, 1, 700))
    one, *others = (output_of(n, FITS, tmp_path / "M", tmp_path / "y.npy") for n in (1, 2, 3))
    assert len(one) > 700
    assert others == [one, one]


RAISES = """
import sys
from l0np import SparseCalibrationWeights
from l0np.mpi import World
world = World()
def boom(progress):
    if world.rank == 1:
        raise ValueError("the disk is on fire")
model = SparseCalibrationWeights(3, seed=0)
model.fit([[1.0, 2.0, 3.0]], [6.0], epochs=50, verbose_freq=10, callbacks=[boom], communicator=world)
world.allgather(model.log_alpha)
"""

KILLED = """
import os, signal
from l0np import SparseCalibrationWeights
from l0np.mpi import World
world = World()
def die(progress):
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
model = SparseCalibrationWeights(3, seed=0)
model.fit([[1.0, 2.0, 3.0]], [6.0], epochs=10_000_000, verbose_freq=10, callbacks=[die], communicator=world)
"""


def test_a_rank_that_raises_ends_all_with_its_message():
    done = mpirun(2, RAISES)
    assert done.returncode != 0
    assert "rank 1 of 2: ValueError: the disk is on fire" in done.stderr


def test_a_killed_rank_ends_the_run():
    began = time.monotonic()
    done = mpirun(2, KILLED)  # which would train for hours
    assert done.returncode != 0
    assert time.monotonic() - began < 120


def test_without_mpi4py_the_extra_is_named(monkeypatch):
    import sys

    from l0np.errors import MissingPackageError
    from l0np.mpi import World

    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(MissingPackageError, match='the extra "mpi"'):
        World()
