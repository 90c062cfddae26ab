"""Device memory: asked for before training, not more than announced, and all free again after a fit."""

import gc
import pickle
import tracemalloc
from types import SimpleNamespace

import cupy_stand_in
import numpy as np
import pytest
from cuda_support import FIT, calibration, needs_stand_in, on_device
from scipy import sparse
from support import needs_cuda, same_state, small_problem

from l0np import SparseCalibrationWeights
from l0np.backends import get_backend
from l0np.backends.cuda.matrix import SCHEDULED, CudaMatrix, bytes_needed
from l0np.backends.cuda.run import CudaRun
from l0np.errors import DeviceMemoryError
from l0np.matrix.column_matrix import ColumnMatrix

pytestmark = [needs_cuda, pytest.mark.cuda]


def test_too_little_memory_is_reported_before_training(monkeypatch, cuda_somewhere):
    M, y = small_problem()
    model = calibration(40).fit(M, y, epochs=3, **FIT)
    before = model.state_dict()
    import cupy

    needed = bytes_needed(M.shape, M.nnz, np.dtype("float32"), np.dtype("uint16"))
    monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (needed - 1, 2 * needed))
    monkeypatch.setattr(cupy, "get_default_memory_pool", lambda: SimpleNamespace(free_bytes=lambda: 0))
    monkeypatch.setattr(cupy, "array", lambda *a, **k: pytest.fail("something was moved"))
    with pytest.raises(
        DeviceMemoryError, match=r"training needs 0.000 GB of device memory, .* are free of"
    ) as caught:
        model.fit(M, y, epochs=3, **FIT)
    assert (caught.value.needed, caught.value.free, caught.value.total) == (needed, needed - 1, 2 * needed)
    assert isinstance(caught.value, MemoryError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert same_state(model.state_dict(), before)


def test_an_anchor_is_on_the_device_when_memory_is_asked_for(monkeypatch, cuda_somewhere):
    """Then the memory that is free for the matrix and the run no longer includes it; else it is not moved."""
    M, y = small_problem()
    import cupy

    moved, original, free = [], cupy.array, cupy.cuda.runtime.memGetInfo
    at_the_check = []

    def array(values, *arguments, **options):
        moved.append(np.shape(values))
        return original(values, *arguments, **options)

    monkeypatch.setattr(cupy, "array", array)
    monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (at_the_check.append(moved[:]), free())[1])
    for anchor, lambda_l2 in (("initial", 1e-3), ("initial", 0.0), (None, 1e-3)):
        moved.clear()
        calibration(40).fit(M, y, epochs=3, lambda_l2=lambda_l2, l2_anchor=anchor, **FIT)
    assert at_the_check == [[(40,)], [], []]


@needs_stand_in
@pytest.mark.parametrize("kind", ["host", "csr", "coo", "dense"])
def test_memory_that_goes_while_the_matrix_is_moved(kind, monkeypatch, cuda_somewhere):
    import cupy

    M, y = small_problem()
    given = M if kind == "host" else on_device(M, kind)
    original, freed = cupy.array, cupy_stand_in.Pool.freed

    def array(values, *arguments, dtype=None, **options):
        if np.uint16 in (getattr(values, "dtype", None), dtype):
            raise cupy.cuda.memory.OutOfMemoryError("Out of memory allocating")
        return original(values, *arguments, dtype=dtype, **options)

    monkeypatch.setattr(cupy, "array", array)
    model = calibration(40)
    with pytest.raises(DeviceMemoryError) as caught:
        model.fit(given, y, epochs=3, **FIT)
    assert caught.value.needed == bytes_needed(M.shape, M.nnz, np.dtype("float32"), np.dtype("uint16"))
    assert cupy_stand_in.Pool.freed == freed + 1
    assert model.epoch_ == 0


def test_nothing_stays_on_the_device_after_a_fit(cuda_somewhere):
    """Without the garbage collector: the next fit's matrix would find no room beside the last one's."""
    M, y = small_problem()
    gc.collect()
    gc.disable()
    try:
        calibration(40).fit(M, y, epochs=70, **FIT)
        assert not [1 for thing in gc.get_objects() if type(thing) in (CudaMatrix, CudaRun)]
    finally:
        gc.enable()


def test_a_non_zero_takes_8_bytes_at_most_and_a_column_120():
    assert bytes_needed((10, 10**6), 10**7, np.dtype("float32"), np.dtype("int32")) < 8 * 10**7 + 120 * 10**6
    assert bytes_needed((10, 10**6), 10**7, np.dtype("float32"), np.dtype("uint16")) < 6 * 10**7 + 41 * 10**6
    # and what is asked for is what is there
    backend, rng = get_backend("cuda"), np.random.default_rng(7)
    matrix = ColumnMatrix.build(rng.random((3, 900)))
    with backend.active():
        on_device = backend.matrix(matrix)
        run = CudaRun.on(on_device, epoch=0, most_scheduled=SCHEDULED)
    fields = [*vars(on_device).values(), *vars(run).values()]
    held = sum(array.nbytes for array in fields if hasattr(array, "nbytes"))
    state = 8 * 4 * 900 + 3 * 8 * 3  # parameters, moments and slopes; prediction, target and curvature
    needed = bytes_needed(matrix.shape, matrix.nnz, matrix.dtype, matrix.indices.dtype)
    assert held + state <= needed + 1000
    assert needed <= 1.01 * (held + state) + 1000


@needs_stand_in
@pytest.mark.parametrize(
    "multiplier",
    [{"lambda_l0": 1e-6}, {"n_active": 500}, {"lambda_l2": 1e-6, "l2_anchor": "initial"}],
    ids=["given", "controlled", "an anchor"],
)
def test_the_peak_of_a_fit_is_within_these_bounds(multiplier, cuda_somewhere):
    """All that NumPy allocates, on the stand-in and beside it, with the controller's temporaries."""
    n, rng = 10_000, np.random.default_rng(8)
    M = sparse.csc_array((np.ones(n, np.float32), rng.integers(0, 20, n), np.arange(n + 1)), shape=(20, n))
    matrix, y = ColumnMatrix.build(M), np.full(20, n / 20.0)
    model = SparseCalibrationWeights(n, seed=0, device="cuda").fit(matrix, y, epochs=1, lambda_l0=0.0)
    gc.collect()
    tracemalloc.start()
    try:
        model.fit(matrix, y, epochs=6, loss_type="relative", **multiplier)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * n + 120 * n + 100_000
