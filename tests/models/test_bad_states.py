"""States of models: what `load_state_dict` refuses, and that a state is a copy."""

import io

import numpy as np
import pytest
from bad_inputs import M, N, Y, assert_refused, bits, both_kinds, case, changed, trained
from support import same_state

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError, InputTypeError, L0npError


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        case("log_weight", SparseCalibrationWeights, "log_weight"),
        case("weight", SparseL0Linear, "weight"),
        case("log_alpha", SparseCalibrationWeights, "log_alpha"),
        case("log_alpha of a regression", SparseL0Linear, "log_alpha"),
    ],
)
def test_parameters_are_read_only(kind, name):
    model = trained(kind)
    before = bits(model)
    with pytest.raises(ValueError, match="read-only"):
        getattr(model, name)[0] = 1
    with pytest.raises(AttributeError):
        setattr(model, name, np.zeros(N))
    assert bits(model) == before


@both_kinds
def test_the_state_is_a_copy(kind):
    model = trained(kind)
    before = bits(model)
    for value in (state := model.state_dict()).values():
        if isinstance(value, np.ndarray):
            value[...] = 7
    assert bits(model) == before
    model.load_state_dict(state)
    state["log_alpha"][...] = 8
    assert (model.log_alpha == 7).all()


BAD_STATES = [
    case("missing", lambda s: s.pop("log_alpha"), InputError, ["missing ['log_alpha']"]),
    case("unknown", lambda s: s.update(extra=1), InputError, ["unknown ['extra']"]),
    case("empty", lambda s: s.clear(), InputError, ["missing", "log_alpha", "seed"]),
    case("key is no string", lambda s: s.update({1: 1}), InputError, ["unknown ['1']"]),
    case(
        "short", lambda s: s.update(log_alpha=np.zeros(N - 1)), InputError, ["log_alpha", "6 wanted", "(5,)"]
    ),
    case("number", lambda s: s.update(log_alpha=0.0), InputError, ["log_alpha", "6 wanted", "()"]),
    case("2-D", lambda s: s.update(log_alpha=np.zeros((N, 1))), InputError, ["log_alpha", "(6, 1)"]),
    case(
        "nan",
        lambda s: s.update(log_alpha=changed(np.zeros(N), 2, np.nan)),
        InputError,
        ["log_alpha[2] is nan"],
    ),
    case("inf", lambda s: s.update(log_alpha=np.full(N, np.inf)), InputError, ["log_alpha[0] is inf"]),
    case(
        "1e39",
        lambda s: s.update(log_alpha_first_moment=np.full(N, 1e39)),
        InputError,
        ["log_alpha_first_moment[0]"],
    ),
    case(
        "negative second moment",
        lambda s: s.update(log_alpha_second_moment=changed(np.zeros(N), 4, -1e-9)),
        InputError,
        ["log_alpha_second_moment[4] = -1e-09", "negative"],
    ),
    case(
        "complex",
        lambda s: s.update(log_alpha=np.zeros(N, complex)),
        InputTypeError,
        ["log_alpha", "complex128"],
    ),
    case(
        "object", lambda s: s.update(log_alpha=np.zeros(N, object)), InputTypeError, ["log_alpha", "object"]
    ),
    case("None", lambda s: s.update(log_alpha=None), InputTypeError, ["log_alpha", "None"]),
    case("masked", lambda s: s.update(log_alpha=np.ma.zeros(N)), InputTypeError, ["log_alpha", "masked"]),
    case("epoch negative", lambda s: s.update(epoch=-1), InputError, ["epoch", "at least 0"]),
    case("epoch 1.5", lambda s: s.update(epoch=1.5), InputError, ["epoch", "integer"]),
    case("epoch 2**32", lambda s: s.update(epoch=2**32), InputError, ["epoch", "at most 4294967295"]),
    case("epoch string", lambda s: s.update(epoch="3"), InputTypeError, ["epoch", "integer"]),
    case("adam_step negative", lambda s: s.update(adam_step=-1), InputError, ["adam_step", "at least 0"]),
    case("lambda_l0 missing", lambda s: s.pop("lambda_l0"), InputError, ["missing ['lambda_l0']"]),
    case("lambda_l0 nan", lambda s: s.update(lambda_l0=np.nan), InputError, ["lambda_l0", "finite"]),
    case("governor short", lambda s: s.update(governor=np.ones(2)), InputError, ["governor", "3 wanted"]),
    case("governor nan", lambda s: s.update(governor=np.full(3, np.nan)), InputError, ["governor[0] is nan"]),
    case(
        "selection short",
        lambda s: s.update(selection=np.ones(N - 1, bool)),
        InputError,
        ["selection", "6 wanted"],
    ),
    case(
        "selection of 2",
        lambda s: s.update(selection=np.full(N, 2)),
        InputError,
        ["selection[0] = 2", "selected"],
    ),
    case("seed negative", lambda s: s.update(seed=-1), InputError, ["seed", "at least 0"]),
    case("seed 2**64", lambda s: s.update(seed=2**64), InputError, ["seed", "at most"]),
]


@both_kinds
@pytest.mark.parametrize(("change", "error", "parts"), BAD_STATES)
def test_state_is_refused(kind, change, error, parts):
    model, state = trained(kind), trained(kind, seed=2).state_dict()
    change(state)
    assert_refused(lambda: model.load_state_dict(state), error, parts, model)


@pytest.mark.parametrize("state", [None, [], 5, [("epoch", 1)]], ids=repr)
@both_kinds
def test_state_that_is_no_mapping_is_refused(kind, state):
    model = trained(kind)
    assert_refused(lambda: model.load_state_dict(state), InputTypeError, ["state_dict", "mapping"], model)


def test_state_of_another_model_is_refused():
    calibration, regression = trained(SparseCalibrationWeights), trained(SparseL0Linear)
    plain = trained(SparseL0Linear, fit_intercept=False)
    parts = ["missing", "log_weight", "unknown", "bias"]
    assert_refused(
        lambda: calibration.load_state_dict(regression.state_dict()), InputError, parts, calibration
    )
    assert_refused(
        lambda: regression.load_state_dict(plain.state_dict()), InputError, ["missing", "bias"], regression
    )
    assert_refused(
        lambda: plain.load_state_dict(regression.state_dict()), InputError, ["unknown", "bias"], plain
    )
    long_bias = regression.state_dict() | {"bias": np.zeros(2)}
    assert_refused(
        lambda: regression.load_state_dict(long_bias), InputError, ["bias", "1 wanted", "(2,)"], regression
    )


@both_kinds
def test_state_comes_back_from_a_file(kind):
    model, other = trained(kind, seed=2**64 - 1), kind(N, seed=2, device="numpy")
    with io.BytesIO() as file:
        np.savez(file, **model.state_dict())
        file.seek(0)
        with np.load(file) as loaded:
            other.load_state_dict(loaded)
    assert bits(other) == bits(model)
    assert bits(other.fit(M, Y, epochs=3)) == bits(model.fit(M, Y, epochs=3))


@pytest.fixture
def stored(tmp_path):
    """A file of a state, and its bytes."""
    model = SparseCalibrationWeights(2, seed=0).fit([[1.0, 1.0]], [2.0], epochs=3)
    file = tmp_path / "run.npz"
    np.savez(file, **model.state_dict())
    return model, file, file.read_bytes()


def test_a_path_is_loaded(stored):
    model, file, _ = stored
    for path in (file, str(file)):
        other = SparseCalibrationWeights(2)
        other.load_state_dict(path)
        assert same_state(other.state_dict(), model.state_dict())
    with pytest.raises(FileNotFoundError):
        model.load_state_dict(file.with_name("missing.npz"))


@pytest.mark.parametrize("length", [0, 1, 100, 1000, -1, -30, -200])
def test_a_truncated_file_is_one_clear_error(stored, length):
    model, file, content = stored
    before = model.state_dict()
    file.write_bytes(content[:length])
    with pytest.raises(InputError, match="state_dict cannot be read: the file is damaged"):
        model.load_state_dict(file)
    assert same_state(model.state_dict(), before)


def test_a_damaged_file_is_one_clear_error_or_a_state(stored):
    model, file, content = stored
    rng, refused = np.random.default_rng(0), 0
    for position in rng.choice(len(content), 200, replace=False):
        damaged = bytearray(content)
        damaged[position] ^= int(rng.integers(1, 256))
        file.write_bytes(damaged)
        try:
            model.load_state_dict(file)
        except L0npError:
            refused += 1
    assert refused > 100  # the rest is padding, dates and the like


def test_pickled_objects_are_never_loaded(stored, tmp_path):
    model, file, _ = stored
    np.savez(file, **model.state_dict() | {"epoch": np.array([object()], dtype=object)})
    for given in (file, np.load(file)):
        with pytest.raises(InputError, match="pickled objects, which are never loaded"):
            model.load_state_dict(given)


def test_no_run_leads_to_an_epoch_that_cannot_be_loaded():
    model = SparseCalibrationWeights(2, seed=0).fit([[1.0, 1.0]], [2.0], epochs=3)
    last = 2**32 - 1
    model.load_state_dict(model.state_dict() | {"epoch": last - 2})
    with pytest.raises(InputError, match=r"epochs must not lead beyond 4,294,967,295: 4,294,967,293 epochs"):
        model.fit([[1.0, 1.0]], [2.0], epochs=3)
    model.fit([[1.0, 1.0]], [2.0], epochs=2)
    assert model.epoch_ == last
    model.load_state_dict(model.state_dict())
