"""Every variant of the kernels, and how exact their fixed-point sums are."""

from fractions import Fraction

import cupy_stand_in
import numpy as np
import pytest
from cuda_on_gxx import kernel_expressions
from cuda_support import calibration, needs_stand_in
from support import SHAPES, dense_matrix, needs_cuda, squares

from l0np.backends import get_backend
from l0np.backends.cuda.geometry import Geometry
from l0np.backends.cuda.source import Clock, kernel_names, source
from l0np.engine.state import Problem, State
from l0np.maths import philox
from l0np.maths.adam import Parameter
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink
from l0np.matrix.column_matrix import ColumnMatrix

pytestmark = [needs_cuda, pytest.mark.cuda]


WEIGHTS = {
    "spread": lambda rng: rng.lognormal(0, 3, 300),
    "tiny": lambda rng: rng.lognormal(0, 3, 300) * 1e-250,
    "huge": lambda rng: rng.lognormal(0, 3, 300) * 1e250,
    "one heavy": lambda rng: np.where(np.arange(300) == 7, 1e12, rng.lognormal(0, 1, 300)),
    "both signs": lambda rng: rng.lognormal(0, 3, 300) * np.where(np.arange(300) % 2, 1, -1),
}


@needs_stand_in
def test_every_variant_of_the_kernels_has_its_turn(backend):
    """The shapes of test_conformance.py decide it: index type, lanes for a column, sums in shared memory."""
    met = set()
    for shape in SHAPES.values():
        with backend.active():
            matrix = backend.matrix(
                ColumnMatrix.build(dense_matrix(shape, "float32", np.random.default_rng(1)))
            )
        met.add(matrix.kernels["columns"].name)
        assert (matrix.geometry.shared_bytes > 0) == ("true" in matrix.kernels["columns"].name)
    assert met == {name for name in kernel_expressions() if name.startswith("columns<float")}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_sums_err_by_less_than_their_bound(weights, dtype, backend):
    """n / 2 units in a row of n entries; rows from 1e-30 to 1e30, entries of one sign: errors add up."""
    rng = np.random.default_rng(3)
    dense = rng.random((31, 300)) * np.logspace(-30, 30, 31)[:, None]
    dense[::5, 7] = 0  # rows that the heavy weight is not in: the unit is the same
    matrix = ColumnMatrix.build(dense, dtype)
    coefficients = WEIGHTS[weights](rng)
    with backend.active():
        out = backend.to_numpy(backend.matvec(backend.matrix(matrix), backend.asarray(coefficients)))
    exact = matrix.to_scipy().toarray().astype(np.float64)
    for row, sum_ in zip(exact, out, strict=True):
        products = [
            Fraction(a) * Fraction(b) for a, b in zip(row.tolist(), coefficients.tolist(), strict=True)
        ]
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
    state = State(
        Parameter.start(np.zeros(n)), Parameter.start(log_alpha), None, 7, 7, seed=2**64 - 3, lambda_l0=0.1
    )
    with backend.active():
        target = backend.asarray(np.ones(2))
        problem = Problem(
            matrix=backend.matrix(ColumnMatrix.build(np.ones((2, n)), "float64")), n_rows=2,
            loss=squares("mse", target, target), link=ExponentialLink(), gates=lambda epoch: HardConcrete(),
            lambda_l2=0.0, learning_rate=lambda epoch: 0.1, column_offset=offset,
        )  # fmt: skip
        state = state.map(backend.asarray)
        backend.start(problem, state, out=backend.asarray(np.zeros(2)))
        closed = backend.to_numpy(state.slopes.theta_slope) == 0
    u = philox.uniform(np, 2**64 - 3, philox.GATES, 7, offset, n)
    assert (closed == HardConcrete().is_closed(log_alpha, u)).all()
    assert 5 < closed.sum() < 45


@needs_stand_in
def test_entries_beyond_2_to_the_31(cuda_somewhere):
    """Kernels count entries in 64 bits: two columns at the end of arrays that are empty pages before."""
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
    device = [
        cupy_stand_in.ndarray(a) for a in (data, indices, indptr, rows, out, np.zeros(len(Clock), np.int64))
    ]
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


def test_gradients_of_rows_of_huge_sums_do_not_overflow(cuda_somewhere):
    """Float32, where the gradients by scaled rows are `lift` doublings smaller than they should be."""
    rng = np.random.default_rng(9)
    M = rng.random((6, 50)) * np.logspace(0, 25, 6)[:, None]
    y = 1.3 * M.sum(axis=1)
    ours, reference = (
        calibration(50, device).fit(M, y, epochs=3, lambda_l0=0.0, lr=0.01, loss_type="relative").state_dict()
        for device in ("cuda", "numpy")
    )
    for name in ("log_weight_first_moment", "log_alpha_first_moment"):
        scale = np.abs(reference[name]).max()
        np.testing.assert_allclose(ours[name], reference[name], rtol=1e-4, atol=1e-5 * scale)
    with get_backend("cuda").active():
        assert get_backend("cuda").matrix(ColumnMatrix.build(M, "float32")).lift > 30
