"""The CUDA backend: on a device where there is one, else on the stand-in for CuPy, which runs the real kernels by g++."""

import gc
import pickle
import re
import tracemalloc
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cupy_stand_in
import numpy as np
import pytest
from scipy import sparse
from support import HAS_CUDA, SHAPES, dense_matrix, needs_cuda, same_state, small_problem, squares

import l0np
from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.backends import get_backend
from l0np.backends.cuda import backend as cupy_backend
from l0np.backends.cuda import matrix as cuda_matrix
from l0np.backends.cuda.matrix import LIGHTEST, Clock, Geometry, bytes_needed, kernel_names, source
from l0np.backends.numpy.constants import N_CONSTANTS, constants
from l0np.engine.communicator import Serial
from l0np.engine.state import Problem, State
from l0np.engine.training import train
from l0np.errors import DeviceMemoryError, InputError, InputTypeError
from l0np.maths import exponential, hard_concrete, philox
from l0np.maths.adam import Parameter
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink
from l0np.matrix.column_matrix import ColumnMatrix

pytestmark = [needs_cuda, pytest.mark.cuda]
needs_stand_in = pytest.mark.skipif(HAS_CUDA, reason="looks into the stand-in for CuPy, and there is a real one")
FIT = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative"}


@pytest.fixture
def backend(cuda_somewhere):
    return get_backend("cuda")


def calibration(n, device="cuda", **options):
    return SparseCalibrationWeights(n, seed=3, device=device, log_weight_jitter_sd=0.1, **options)


def regression_problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 12))
    return X, X[:, :3] @ np.array([2.0, -3.0, 4.0]) + 5.0


# --- the same numbers


@pytest.mark.parametrize(("first", "second"), [("cuda", "numpy"), ("numpy", "cuda")])
def test_a_run_goes_on_with_the_other_device(first, second):
    M, y = small_problem()
    whole = calibration(40, "numpy").fit(M, y, epochs=200, **FIT)
    start = calibration(40, first).fit(M, y, epochs=100, **FIT)
    end = calibration(40, second)
    end.load_state_dict(start.state_dict())
    end.fit(M, y, epochs=100, **FIT)
    # Float32; what differs is the order of sums, and thereby their last digits
    for name in ("log_weight", "log_alpha"):
        np.testing.assert_allclose(getattr(end, name), getattr(whole, name), rtol=0, atol=1e-4)
    assert end.epoch_ == 200


@pytest.mark.parametrize("epochs", [1, 31, 32, 33, 100])
def test_graphs_change_nothing(epochs):
    M, y = small_problem()
    X, z = regression_problem()
    for at_once, single, data, fit in (
        (calibration(40), calibration(40), (M, y), FIT),
        (SparseL0Linear(12, seed=1, device="cuda"), SparseL0Linear(12, seed=1, device="cuda"), (X, z), {"lr": 0.1}),
    ):
        at_once.fit(*data, epochs=epochs, **fit)
        for _ in range(epochs):
            single.fit(*data, epochs=1, **fit)
        assert same_state(at_once.state_dict(), single.state_dict())


@pytest.mark.parametrize("scheduled", [1, 33, 64])
def test_constants_that_come_in_several_pieces_change_nothing(scheduled, monkeypatch, cuda_somewhere):
    M, y = small_problem()
    fit = FIT | {"lr": lambda epoch: 0.1 / (1 + 0.01 * epoch)}
    at_once = calibration(40).fit(M, y, epochs=100, **fit)
    for module in (cupy_backend, cuda_matrix):
        monkeypatch.setattr(module, "SCHEDULED", scheduled)
    assert same_state(at_once.state_dict(), calibration(40).fit(M, y, epochs=100, **fit).state_dict())


@needs_stand_in
def test_epochs_are_replayed_from_a_graph_where_kernels_do_all_of_it(cuda_somewhere):
    M, y = small_problem()
    calibration(40).fit(M, y, epochs=100, **FIT)
    assert cupy_stand_in.Graph.replays == 2  # of 32 epochs each; the first 32 and the last 4 run without a graph


@needs_stand_in
def test_few_epochs_between_two_looks_are_a_graph_from_the_second_time_on(cuda_somewhere):
    M, y = small_problem()
    model = calibration(40).fit(M, y, epochs=100, n_active=5, lr=0.1, loss_type="relative")
    assert cupy_stand_in.Graph.replays == 19  # of 5 epochs each: the price is governed at each fifth
    cupy_stand_in.Graph.replays = 0
    model.fit(M, y, epochs=100, verbose_freq=20, lambda_l0=1e-3, lr=0.1, loss_type="relative")
    assert cupy_stand_in.Graph.replays == 4


@needs_stand_in
def test_the_order_of_threads_and_blocks_does_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    M = sparse.random_array((50, 700), density=0.3, rng=rng)
    y = M @ rng.lognormal(size=700)
    runs = [calibration(700).fit(M, y, epochs=5, **FIT).state_dict()]
    monkeypatch.setattr(cupy_stand_in, "BACKWARDS", [True])
    runs.append(calibration(700).fit(M, y, epochs=5, **FIT).state_dict())
    for processors, threads in ((1, 32), (7, 64)):  # other cards
        monkeypatch.setattr(cupy_stand_in, "PROCESSORS", processors)
        monkeypatch.setattr(cupy_stand_in.Kernel, "max_threads_per_block", threads)
        runs.append(calibration(700).fit(M, y, epochs=5, **FIT).state_dict())
    monkeypatch.setattr(cupy_stand_in, "SHARED_LIMIT", 0)  # sums in device memory
    runs.append(calibration(700).fit(M, y, epochs=5, **FIT).state_dict())
    assert all(same_state(runs[0], run) for run in runs[1:])


@pytest.mark.parametrize("kind", ["calibration", "regression"])
def test_a_unit_that_grew_too_small_is_repaired_within_a_graph(kind, backend):
    """The heaviest weight passes 16, 256 and more within 96 epochs: visits that only repair take slots of the graphs."""
    rng = np.random.default_rng(2)
    M = rng.random((4, 30))
    y = M.sum(axis=1) * 3000.0

    def model():
        if kind == "calibration":
            return SparseCalibrationWeights(30, seed=1, device="cuda", init_keep_prob=0.9)
        return SparseL0Linear(30, seed=1, device="cuda", init_keep_prob=0.9)

    fit = {"lr": 0.3, "loss_type": "relative"} if kind == "calibration" else {"lr": 20.0}
    at_once, single, oracle = model().fit(M, y, epochs=96, **fit), model(), model()
    for _ in range(96):
        single.fit(M, y, epochs=1, **fit)
    theta = at_once.state_dict()["log_weight" if kind == "calibration" else "weight"]
    heaviest = np.exp(theta).max() if kind == "calibration" else np.abs(theta).max()
    assert heaviest > 256
    assert same_state(at_once.state_dict(), single.state_dict())
    assert at_once.epoch_ == 96
    oracle._backend = get_backend("numpy")
    oracle.fit(M, y, epochs=96, **fit)
    for name in ("log_alpha", "log_weight" if kind == "calibration" else "weight"):
        ours, theirs = getattr(at_once, name), getattr(oracle, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())


WEIGHTS = {
    "spread": lambda rng: rng.lognormal(0, 3, 300),
    "tiny": lambda rng: rng.lognormal(0, 3, 300) * 1e-250,
    "huge": lambda rng: rng.lognormal(0, 3, 300) * 1e250,
    "one heavy": lambda rng: np.where(np.arange(300) == 7, 1e12, rng.lognormal(0, 1, 300)),
    "both signs": lambda rng: rng.lognormal(0, 3, 300) * np.where(np.arange(300) % 2, 1, -1),
}


@needs_stand_in
def test_every_variant_of_the_kernels_has_its_turn(backend):
    """In test_backends.py, whose shapes decide it: index type, lanes that share a column, sums in shared memory or not."""
    met = set()
    for shape in SHAPES.values():
        with backend.active():
            matrix = backend.matrix(ColumnMatrix.build(dense_matrix(shape, "float32", np.random.default_rng(1))))
        met.add(matrix.kernels["columns"].name)
        assert (matrix.geometry.shared_bytes > 0) == ("true" in matrix.kernels["columns"].name)
    assert met == {name for name in cupy_stand_in.kernel_expressions() if name.startswith("columns<float")}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_sums_err_by_less_than_their_bound(weights, dtype, backend):
    """n / 2 units in a row of n entries; rows from 1e-30 to 1e30, entries of one sign so that errors cannot hide."""
    rng = np.random.default_rng(3)
    dense = rng.random((31, 300)) * np.logspace(-30, 30, 31)[:, None]
    dense[::5, 7] = 0  # rows that the heavy weight is not in: the unit is the same
    matrix = ColumnMatrix.build(dense, dtype)
    coefficients = WEIGHTS[weights](rng)
    with backend.active():
        out = backend.to_numpy(backend.matvec(backend.matrix(matrix), backend.asarray(coefficients)))
    exact = matrix.to_scipy().toarray().astype(np.float64)
    for row, sum_ in zip(exact, out, strict=True):
        products = [Fraction(a) * Fraction(b) for a, b in zip(row.tolist(), coefficients.tolist(), strict=True)]
        unit = Fraction(2) ** (4 - 62 + 1) * Fraction(np.abs(coefficients).max()) * Fraction(row.sum()) * 2
        rounded = sum(map(abs, products)) * Fraction(2) ** -52  # to float64, at the end and for each product
        assert abs(Fraction(float(sum_)) - sum(products)) <= 150 * unit + 2 * rounded


def test_a_row_of_extreme_spread_keeps_its_small_entries(backend):
    dense = np.array([[1e30, 1e-20, 0.0], [1.0, 0.0, 3.0]], np.float32)
    matrix = ColumnMatrix.build(dense)
    with backend.active():
        device_matrix = backend.matrix(matrix)
        gradient = backend.to_numpy(backend.rmatvec(device_matrix, backend.asarray(np.array([1.0, 2.0]))))
    assert device_matrix.headroom > 0
    np.testing.assert_allclose(gradient, dense.T.astype(np.float64) @ [1.0, 2.0], rtol=1e-12)


def test_columns_far_beyond_what_32_bits_count(backend):
    """Noise is that of column 2^34 + 5; the kernel's own counters are 64 bits wide."""
    offset, n = 2**34 + 5, 50
    rng = np.random.default_rng(4)
    log_alpha = rng.normal(0, 2, n)
    state = State(Parameter.start(np.zeros(n)), Parameter.start(log_alpha), None, 7, 7, seed=2**64 - 3, lambda_l0=0.1)
    with backend.active():
        target = backend.asarray(np.ones(2))
        problem = Problem(
            matrix=backend.matrix(ColumnMatrix.build(np.ones((2, n)), "float64")), target=np.ones(2),
            loss=squares("mse", target, target), link=ExponentialLink(), gates=lambda epoch: HardConcrete(),
            lambda_l2=0.0, learning_rate=lambda epoch: 0.1, column_offset=offset,
        )  # fmt: skip
        state = state.map(backend.asarray)
        backend.start(problem, state, out=backend.asarray(np.zeros(2)))
        closed = backend.to_numpy(state.draw.theta_slope) == 0
    u = philox.uniform(np, 2**64 - 3, philox.GATES, 7, offset, n)
    assert (closed == HardConcrete().is_closed(log_alpha, u)).all()
    assert 5 < closed.sum() < 45


@needs_stand_in
def test_entries_beyond_2_to_the_31(cuda_somewhere):
    """Kernels read entries by 64-bit numbers: two columns at the end of arrays that are empty pages before."""
    first = 2**31 + 7
    try:
        data, indices = np.zeros(first + 64, np.float32), np.zeros(first + 64, np.uint16)
    except MemoryError:
        pytest.skip("12 GB of address space are not to be had")
    rng = np.random.default_rng(5)
    data[first:], indices[first:] = rng.random(64), np.tile(np.arange(32), 2)
    indptr = np.array([first, first + 32, first + 64])
    rows, out = rng.random(32), np.empty(2)
    kernel = cupy_stand_in.Kernel(source(), kernel_names("float32", "uint16", 8, True)["rmatvec"])
    device = [cupy_stand_in.ndarray(a) for a in (data, indices, indptr, rows, out, np.zeros(len(Clock), np.int64))]
    sizes = np.int64(2), np.int32(32)
    kernel((1,), (32,), (*device[:3], *sizes, *device[3:6], np.int32(32)))
    np.testing.assert_allclose(out, data[first:].astype(float).reshape(2, 32) @ rows, rtol=1e-12)


def test_a_column_of_weights_that_are_not_finite(backend):
    with backend.active():
        matrix = backend.matrix(ColumnMatrix.build(np.eye(3)))
        out = backend.matvec(matrix, backend.asarray(np.array([1.0, np.inf, 2.0])))
        assert np.isnan(backend.to_numpy(out)).all()
        again = backend.to_numpy(backend.matvec(matrix, backend.asarray(np.array([1.0, 4.0, 2.0]))))
    assert again.tolist() == [1.0, 4.0, 2.0]


# --- other losses, other ranks


class Quartic:
    """A loss that no kernel knows."""

    plain_squares = False

    def __init__(self, target):
        self.target = target

    def value(self, prediction):
        return ((prediction - self.target) ** 4).sum()

    def gradient(self, prediction, out):
        out[...] = prediction
        out -= self.target
        out **= 3
        out *= 4.0


def run(device, epochs, loss=None, communicator=None, intercept=False, dtype="float64", runs=1):
    backend, rng = get_backend(device), np.random.default_rng(6)
    M = sparse.random_array((5, 60), density=0.5, rng=rng)
    y = np.asarray(M.sum(axis=1)).ravel()
    parameter = Parameter.start(np.zeros(60, dtype)), Parameter.start(np.ones(60, dtype))
    state = State(*parameter, Parameter.start(np.ones(1, dtype)) if intercept else None, 0, 0, seed=1, lambda_l0=0.1)
    with backend.active():
        target = backend.asarray(y)
        problem = Problem(
            matrix=backend.matrix(ColumnMatrix.build(M, dtype)), target=y,
            loss=loss(target) if loss else squares("mse", target, backend.asarray(np.ones(5))), link=ExponentialLink(),
            gates=lambda epoch: HardConcrete(beta=0.5 + 0.001 * epoch), lambda_l2=0.01,
            learning_rate=lambda epoch: 0.05 / (1 + 0.01 * epoch),
        )  # fmt: skip
        for _ in range(runs):  # on one matrix
            trained, losses = state.map(backend.asarray), []
            options = {"communicator": communicator or Serial(), "report_every": 40, "report": losses.append}
            train(backend, problem, trained, epochs, **options)
        return trained.map(backend.to_numpy), losses


@pytest.mark.parametrize("intercept", [False, True])
def test_a_loss_without_a_kernel_runs_through_the_array_api(intercept, cuda_somewhere):
    ours, losses = run("cuda", 80, Quartic, intercept=intercept)
    reference, expected = run("numpy", 80, Quartic, intercept=intercept)
    np.testing.assert_allclose(ours.log_alpha.value, reference.log_alpha.value, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    if intercept:
        np.testing.assert_allclose(ours.intercept.value, reference.intercept.value, atol=1e-9)
    assert HAS_CUDA or cupy_stand_in.Graph.replays == 0


@pytest.mark.parametrize(
    "asked",
    [
        {"tolerances": 0.02},
        {"caps": 0.5},
        {"aggregates": np.array(["a", "a", "b", "b", "b", "a"])},
        {"tolerances": 0.01, "caps": 1.0, "aggregates": np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])},
    ],
    ids=["tolerances", "caps", "labels", "all"],
)
def test_targets_with_tolerances_caps_and_aggregates(asked, cuda_somewhere):
    M, y = small_problem()
    y = y * np.array([1.0, 1.2, 0.8, 1.5, 1.0, 0.7])
    with_all, reference = (
        calibration(40, device, dtype="float64").fit(M, y, epochs=70, **FIT, **asked) for device in ("cuda", "numpy")
    )
    plain = calibration(40, "cuda", dtype="float64").fit(M, y, epochs=70, **FIT)
    for name in ("log_weight", "log_alpha"):
        np.testing.assert_allclose(getattr(with_all, name), getattr(reference, name), rtol=0, atol=1e-9)
    assert abs(plain.log_weight - with_all.log_weight).max() > 1e-3


# --- a price that moves


@pytest.mark.parametrize("asked", [{}, {"tolerances": 0.02}], ids=["kernels alone", "a loss without a kernel"])
@pytest.mark.parametrize("n_active", [5, 40])
def test_the_price_is_governed_as_on_the_reference(n_active, asked, cuda_somewhere):
    """For 5 of 40 it rises above 0 and swings below; to hold all 40 gates open it is below 0 from the first."""
    M, y = small_problem()
    fit = {"lr": 0.1, "loss_type": "relative", "n_active": n_active, **asked}
    ours, reference, chunks = (calibration(40, device, dtype="float64") for device in ("cuda", "numpy", "cuda"))
    ours.fit(M, y, epochs=103, **fit)
    reference.fit(M, y, epochs=103, **fit)
    prices = []
    for epochs in (33, 2, 45, 23):
        prices.append(chunks.fit(M, y, epochs=epochs, **fit).lambda_l0_)
    np.testing.assert_allclose(ours.lambda_l0_, reference.lambda_l0_, rtol=1e-6)
    np.testing.assert_allclose(ours.log_alpha, reference.log_alpha, rtol=0, atol=1e-7)
    assert min(prices) < 0
    assert (max(prices) > 0) == (n_active == 5)
    assert ours.get_active_weights()["count"] == n_active
    assert same_state(ours.state_dict(), chunks.state_dict())


class TwoRanks:
    """As if another rank held a twin of every column and added its prediction in place."""

    rank, size = 0, 2

    def allreduce(self, array):
        return array + array


class TwoRanksInPlace(TwoRanks):
    def __init__(self):
        self.seen = None

    def allreduce(self, array):
        if self.seen is None or bool((array != self.seen).any()):
            array += array
            self.seen = array.copy()
        return array


@pytest.mark.parametrize("ranks", [TwoRanks, TwoRanksInPlace])
@pytest.mark.parametrize("intercept", [False, True])
def test_predictions_that_other_ranks_have_added_to(ranks, intercept, cuda_somewhere):
    ours, losses = run("cuda", 80, communicator=ranks(), intercept=intercept)
    reference, expected = run("numpy", 80, communicator=ranks(), intercept=intercept)
    np.testing.assert_allclose(ours.theta.value, reference.theta.value, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert HAS_CUDA or cupy_stand_in.Graph.replays == 0


@pytest.mark.parametrize("intercept", [False, True])
def test_schedules_and_intercept_in_a_graph(intercept, cuda_somewhere):
    ours, losses = run("cuda", 80, intercept=intercept)
    reference, expected = run("numpy", 80, intercept=intercept)
    np.testing.assert_allclose(ours.theta.value, reference.theta.value, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert (ours.epoch, ours.adam_step) == (80, 80)
    assert HAS_CUDA or cupy_stand_in.Graph.replays == 2  # 32 epochs and 8, each the second time


def test_a_second_run_on_one_matrix_is_like_the_first(cuda_somewhere):
    once, twice = run("cuda", 80)[0], run("cuda", 80, runs=2)[0]
    assert np.array_equal(once.theta.value, twice.theta.value)
    assert np.array_equal(once.log_alpha.second_moment, twice.log_alpha.second_moment)


# --- memory


def test_too_little_memory_is_told_before_training(monkeypatch, cuda_somewhere):
    M, y = small_problem()
    model = calibration(40).fit(M, y, epochs=3, **FIT)
    before = model.state_dict()
    import cupy

    needed = bytes_needed(M.shape, M.nnz, np.dtype("float32"), np.dtype("uint16"))
    monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (needed - 1, 2 * needed))
    monkeypatch.setattr(cupy, "get_default_memory_pool", lambda: SimpleNamespace(free_bytes=lambda: 0))
    monkeypatch.setattr(cupy, "array", lambda *a, **k: pytest.fail("something was moved"))
    with pytest.raises(DeviceMemoryError, match=r"training needs 0.000 GB of device memory, .* are free of") as caught:
        model.fit(M, y, epochs=3, **FIT)
    assert (caught.value.needed, caught.value.free, caught.value.total) == (needed, needed - 1, 2 * needed)
    assert isinstance(caught.value, MemoryError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert same_state(model.state_dict(), before)


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
    """Without waiting for the garbage collector: the next fit's matrix would find no room beside the last one's."""
    M, y = small_problem()
    gc.collect()
    gc.disable()
    try:
        calibration(40).fit(M, y, epochs=70, **FIT)
        assert not [1 for thing in gc.get_objects() if type(thing) is cuda_matrix.CudaMatrix]
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
    held = sum(array.nbytes for array in vars(on_device).values() if hasattr(array, "nbytes") and not callable(array))
    state = 8 * 4 * 900 + 3 * 8 * 3  # parameters, moments and slopes; prediction, target and curvature
    needed = bytes_needed(matrix.shape, matrix.nnz, matrix.dtype, matrix.indices.dtype)
    assert held + state <= needed + 1000
    assert needed <= 1.01 * (held + state) + 1000


@needs_stand_in
@pytest.mark.parametrize("price", [{"lambda_l0": 1e-6}, {"n_active": 500}], ids=["given", "governed"])
def test_the_peak_of_a_fit_is_within_these_bounds(price, cuda_somewhere):
    """All that NumPy allocates, on the stand-in for the device and beside it; the governor's temporaries included."""
    n, rng = 10_000, np.random.default_rng(8)
    M = sparse.csc_array((np.ones(n, np.float32), rng.integers(0, 20, n), np.arange(n + 1)), shape=(20, n))
    matrix, y = ColumnMatrix.build(M), np.full(20, n / 20.0)
    model = SparseCalibrationWeights(n, seed=0, device="cuda").fit(matrix, y, epochs=1, lambda_l0=0.0)
    gc.collect()
    tracemalloc.start()
    try:
        model.fit(matrix, y, epochs=6, loss_type="relative", **price)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * n + 120 * n + 100_000


# --- CuPy in, CuPy out


def on_device(matrix, kind="csr"):
    import cupy

    if kind == "dense":
        return cupy.array(matrix.toarray())
    if not HAS_CUDA:
        return cupy_stand_in.Sparse(matrix.asformat(kind))
    from cupyx.scipy import sparse as device_sparse

    return getattr(device_sparse, f"{kind}_matrix")(getattr(sparse, f"{kind}_matrix")(matrix))


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_a_refit_asks_for_the_matrix_in_main_memory(kind, cuda_somewhere):
    M, y = small_problem()
    model = calibration(40).fit(on_device(M, kind), y, n_active=20, epochs=64, lr=0.1, loss_type="relative")
    before = model.state_dict()
    with pytest.raises(InputTypeError, match=r"pass M\.get\(\)"):
        model.refit(on_device(M, kind), y)
    assert same_state(before, model.state_dict())
    assert model.refit(on_device(M, kind).get(), y).converged


@needs_stand_in
def test_studies_refuse_sparse_matrices_on_the_device(cuda_somewhere):
    M, y = small_problem()
    for study in (l0np.check_targets, l0np.calibrate, lambda M, y: l0np.diagnose(M, y, np.ones(40))):
        with pytest.raises(InputTypeError, match=r"M is on a CUDA device, this works in main memory: pass M\.get\(\)"):
            study(on_device(M, "csr"), y)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "dense"])
def test_device_matrices_give_the_same_run_and_device_answers(kind, cuda_somewhere):
    import cupy

    M, y = small_problem()
    host = calibration(40).fit(M, y, epochs=40, **FIT)
    given = on_device(M, kind)
    device = calibration(40).fit(given, cupy.array(y), epochs=40, **FIT)
    assert same_state(host.state_dict(), device.state_dict())  # which is of NumPy arrays in any case
    kept = given.get()
    assert np.array_equal(kept if kind == "dense" else kept.toarray(), M.toarray())  # the input is not changed
    answers = {
        "predict": lambda model, M: model.predict(M),
        "get_weights": lambda model, M: model.get_weights(),
        "deterministic": lambda model, M: model.get_weights(deterministic=True),
        "gates": lambda model, M: model.get_deterministic_gates(),
        "indices": lambda model, M: model.get_active_weights()["indices"],
        "values": lambda model, M: model.get_active_weights()["values"],
        "log_alpha": lambda model, M: model.log_alpha,
        "log_weight": lambda model, M: model.log_weight,
    }
    for name, answer in answers.items():
        theirs, ours = answer(device, given), answer(host, M)
        assert isinstance(theirs, cupy.ndarray), name
        assert isinstance(ours, np.ndarray), name
        assert np.array_equal(theirs.get(), ours), name
    assert isinstance(device.predict(M), np.ndarray)
    assert isinstance(device.get_sparsity(), float)
    assert isinstance(device.fit(M, y, epochs=1, **FIT).get_weights(), np.ndarray)  # like the last fit


GIVEN = {
    "target_groups": np.array([0, 0, 1, 1, 2, 2]),
    "target_weights": np.linspace(1, 2, 6),
    "tolerances": np.full(6, 0.01),
    "caps": np.full(6, 0.5),
    "exclude": np.array([True, False, False, True, False, False]),
    "exclude by number": np.array([1, 4]),
    "aggregates": np.array([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]),
    "aggregates by label": np.array([0, 0, 1, 1, 2, 2]),
    "lambda_l0": np.array(0.01),
    "n_active": np.array(7),
}


@pytest.mark.parametrize("what", GIVEN)
def test_whatever_else_is_given_may_be_on_the_device_too(what, cuda_somewhere):
    import cupy

    M, y = small_problem()
    fit = {"lr": 0.1, "loss_type": "relative", "epochs": 20}
    states = []
    for place in (np.asarray, cupy.array):
        model = calibration(40, init_weights=place(np.linspace(1, 2, 40)), init_keep_prob=place(np.full(40, 0.6)))
        states.append(model.fit(M, y, **fit, **{what.split()[0]: place(GIVEN[what])}).state_dict())
    assert same_state(*states)


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint64", "float16", "float32"])
def test_dense_device_matrices_of_any_kind_of_number(dtype, cuda_somewhere):
    import cupy

    M, y = np.array([[1, 0, 3, 1], [0, 1, 1, 1]]).astype(dtype), [3.0, 2.0]
    assert same_state(*(calibration(4).fit(place(M), y, epochs=5).state_dict() for place in (np.asarray, cupy.array)))


def test_regression_on_device_arrays(cuda_somewhere):
    import cupy

    X, y = regression_problem()
    host = SparseL0Linear(12, seed=1, device="cuda").fit(X, y, epochs=30)
    device = SparseL0Linear(12, seed=1, device="cuda").fit(cupy.array(X), cupy.array(y), epochs=30)
    assert same_state(host.state_dict(), device.state_dict())
    for name in ("get_coefficients", "get_selected_features"):
        assert np.array_equal(getattr(device, name)().get(), getattr(host, name)())
    assert np.array_equal(device.predict(cupy.array(X)).get(), host.predict(X))
    assert np.array_equal(device.weight.get(), host.weight)


def test_device_matrices_are_checked(cuda_somewhere):
    import cupy

    M, y = small_problem()
    wrong = M.copy()
    wrong.data[3] = np.nan
    with pytest.raises(InputError, match=r"M has an entry nan \(non-finite entries: 1\)"):
        calibration(40).fit(on_device(wrong), y)
    wrong.data[3] = 1e39
    with pytest.raises(InputError, match=r"M has an entry inf after the cast of 1e\+39 to float32"):
        calibration(40).fit(on_device(wrong), y)
    with pytest.raises(InputError, match="n_features = 41"):
        calibration(41).fit(on_device(M), y)
    with pytest.raises(InputTypeError, match="real numbers"):
        calibration(40).fit(cupy.array(M.toarray() * 1j), y)
    with pytest.raises(InputTypeError, match=r'M is on a CUDA device, the model is not: use device="cuda", or pass M.get'):
        calibration(40, "numpy").fit(on_device(M), y)
    calibration(40, "numpy").fit(M, cupy.array(y), epochs=1)  # numbers in row space are few


@needs_stand_in
def test_broken_and_misplaced_device_matrices(cuda_somewhere):
    M, y = small_problem()
    for array, place, value, message in (
        ("indices", 5, 40, r"M.indices holds 40, which is out of range: 0 to 39 wanted"),
        ("indices", 0, -1, r"M.indices holds -1"),
        ("indptr", 1, 10**6, "indptr must start at 0 and never fall"),
        ("indptr", -1, 10**6, "indptr ends at 1000000, but there are"),
    ):
        broken = M.copy()
        getattr(broken, array)[place] = value
        with pytest.raises(InputError, match=message):
            calibration(40).fit(cupy_stand_in.Sparse(broken), y)
    with pytest.raises(InputTypeError, match="M must be in csr, csc or coo format on the device, it is in dia"):
        calibration(40).fit(cupy_stand_in.Sparse(M.asformat("dia")), y)
    elsewhere = cupy_stand_in.ndarray(M.toarray())
    elsewhere._device = 1
    with pytest.raises(InputError, match="M is on device 1, the model computes on device 0: move one of them"):
        calibration(40).fit(elsewhere, y)


def test_duplicates_add_up(cuda_somewhere):
    rows, columns, values = np.array([0, 0, 1, 0]), np.array([0, 0, 1, 2]), np.array([1.0, 2.0, 3.0, 0.0])
    doubled = sparse.coo_array((values, (rows, columns)), shape=(2, 3))
    summed = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    one = calibration(3).fit(on_device(doubled, "coo"), [1.0, 2.0], epochs=5)
    other = calibration(3).fit(summed, [1.0, 2.0], epochs=5)
    assert same_state(one.state_dict(), other.state_dict())


def test_models_on_a_device_can_be_pickled(cuda_somewhere):
    M, y = small_problem()
    model = calibration(40).fit(M, y, epochs=5, **FIT)
    again = pickle.loads(pickle.dumps(model))
    assert same_state(model.fit(M, y, epochs=5, **FIT).state_dict(), again.fit(M, y, epochs=5, **FIT).state_dict())


# --- what is written twice


KERNELS = Path(l0np.__file__).parent / "backends" / "cuda"


def enum(name, text):
    (body,) = re.findall(rf"enum {name} \{{(.*?)\}}", text, re.S)
    return [item.split("=")[0].strip() for item in body.split(",") if item.strip()]


def test_the_clock_is_that_of_the_kernels():
    text = (KERNELS / "kernels.cu").read_text()
    assert [place.name for place in Clock] == enum("Place", text)[:-1]
    assert enum("Mode", text) == ["START", "TRAIN", "REPAIR"]
    assert f"LIGHTEST = {LIGHTEST}," in text


def test_constants_of_the_kernels_are_those_of_the_reference():
    text = (KERNELS / "column_maths.cuh").read_text()
    for name in ("EXP_RANGE", "LOG2_E", "LN2_HIGH", "LN2_LOW", "LN2"):
        (value,) = re.findall(rf"\b{name} = (-?[\d.e-]+)f?[,;]", text)
        assert float(value) == getattr(exponential, name)
    names = enum("Constant", text)[:-1]
    assert len(names) == N_CONSTANTS
    problem = Problem(
        None, np.zeros(1), None, ExponentialLink(), lambda epoch: HardConcrete(0.5 + epoch), 0.125, lambda epoch: 0.1
    )
    row = dict(zip(names, constants(problem, -0.25, 3, 3, 1, np.dtype("float64"))[0], strict=True))
    gates, before = HardConcrete(3.5), HardConcrete(2.5)
    assert row["BETA"] == 3.5
    assert (row["SHIFT"], row["PENALTY_SHIFT"]) == (gates.shift, before.shift)
    assert (row["LAMBDA_L0"], row["LAMBDA_L2"], row["BOUND"]) == (-0.25, 0.125, hard_concrete.LOG_ALPHA_BOUND)
    assert (row["DECAY1"], row["DECAY2"], row["EPSILON"]) == (0.9, 0.999, 1e-8)
    for number in (*philox.MULTIPLIERS, *philox.KEY_STEPS):
        assert f"0x{number:X}u" in text


# --- geometry, on paper

H100 = {"MultiProcessorCount": 132, "MaxSharedMemoryPerBlockOptin": 232448}


@pytest.mark.parametrize(
    ("shape", "nnz", "expected"),
    [
        ((200, 10_000), 600_000, Geometry(32, 1600, 3, 26 * 32, 129)),
        ((2000, 20_000), 4_000_000, Geometry(32, 16_000, 5, 31 * 32, 130)),
        ((19_480, 5_000_000), 186_000_000, Geometry(8, 155_840, 32, 1024, 132)),
        ((100_000, 50_000), 5_000_000, Geometry(32, 0, 12, 1024, 131)),  # sums too many for shared memory
        ((1, 1), 1, Geometry(8, 8, 4, 32, 1)),
    ],
)
def test_geometry_on_an_h100(shape, nnz, expected):
    geometry = Geometry.choose(shape, nnz, H100, 896, 1024)
    assert geometry == expected
    warps = geometry.blocks * geometry.threads // 32
    assert warps <= 132 * 32


# --- the stand-in is as strict as CuPy


@needs_stand_in
def test_the_stand_in_refuses_what_cupy_refuses(cuda_somewhere):
    import cupy

    array = cupy.array(np.ones(3))
    with pytest.raises(TypeError, match="host array"):
        array + np.ones(3)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(array)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for forbidden in (array.get, lambda: cupy.zeros(3), lambda: float(array[0]), lambda: cupy.array(np.ones(2))):
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="Capture"):
                forbidden()
        stream.end_capture()
    with pytest.raises(AssertionError, match="exact dtype"):
        cupy_stand_in.Kernel(source(), "weigh")((1,), (32,), (array, 3, array))
