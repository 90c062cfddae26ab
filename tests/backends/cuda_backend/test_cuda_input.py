"""CuPy in, CuPy out: matrices and arrays that are on the device already."""

import cupy_stand_in
import numpy as np
import pytest
from cuda_support import FIT, calibration, needs_stand_in, on_device, regression_problem, without_a_graph
from scipy import sparse
from support import needs_cuda, same_state, small_problem

import l0np
from l0np import SparseL0Linear
from l0np.errors import InputError, InputTypeError

pytestmark = [needs_cuda, pytest.mark.cuda]


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
        with pytest.raises(
            InputTypeError, match=r"M is on a CUDA device, this works in main memory: pass M\.get\(\)"
        ):
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
    assert np.array_equal(
        kept if kind == "dense" else kept.toarray(), M.toarray()
    )  # the input is not changed
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


@without_a_graph
@pytest.mark.parametrize("what", GIVEN)
def test_whatever_else_is_given_may_be_on_the_device_too(what, cuda_somewhere):
    import cupy

    M, y = small_problem()
    fit = {"lr": 0.1, "loss_type": "relative", "epochs": 20}
    states = []
    for place in (np.asarray, cupy.array):
        model = calibration(
            40, init_weights=place(np.linspace(1, 2, 40)), init_keep_prob=place(np.full(40, 0.6))
        )
        states.append(model.fit(M, y, **fit, **{what.split()[0]: place(GIVEN[what])}).state_dict())
    assert same_state(*states)


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint64", "float16", "float32"])
def test_dense_device_matrices_of_any_kind_of_number(dtype, cuda_somewhere):
    import cupy

    M, y = np.array([[1, 0, 3, 1], [0, 1, 1, 1]]).astype(dtype), [3.0, 2.0]
    assert same_state(
        *(calibration(4).fit(place(M), y, epochs=5).state_dict() for place in (np.asarray, cupy.array))
    )


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
    with pytest.raises(
        InputTypeError, match=r'M is on a CUDA device, the model is not: use device="cuda", or pass M.get'
    ):
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
    with pytest.raises(
        InputTypeError, match="M must be in csr, csc or coo format on the device, it is in dia"
    ):
        calibration(40).fit(cupy_stand_in.Sparse(M.asformat("dia")), y)
    elsewhere = cupy_stand_in.ndarray(M.toarray())
    elsewhere._device = 1
    with pytest.raises(
        InputError, match="M is on device 1, the model computes on device 0: move one of them"
    ):
        calibration(40).fit(elsewhere, y)


def test_duplicates_add_up(cuda_somewhere):
    rows, columns, values = np.array([0, 0, 1, 0]), np.array([0, 0, 1, 2]), np.array([1.0, 2.0, 3.0, 0.0])
    doubled = sparse.coo_array((values, (rows, columns)), shape=(2, 3))
    summed = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    one = calibration(3).fit(on_device(doubled, "coo"), [1.0, 2.0], epochs=5)
    other = calibration(3).fit(summed, [1.0, 2.0], epochs=5)
    assert same_state(one.state_dict(), other.state_dict())
