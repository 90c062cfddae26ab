"""Every bad input through the public classes: which error, what it says, and that the model is as it was before the call."""

import io
import pickle
import re
import subprocess
import sys
import warnings
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from support import DEVICES, needs_numba

import l0np
from l0np import ColumnMatrix, SparseCalibrationWeights, SparseL0Linear
from l0np.errors import BackendUnavailableError, DivergenceError, InputError, InputTypeError, L0npError
from l0np.inputs import validation

Q, N = 9, 6
M = np.random.default_rng(0).uniform(1.0, 2.0, size=(Q, N))
Y = M.sum(axis=1)
KINDS = {"calibration": SparseCalibrationWeights, "regression": SparseL0Linear}
MATRIX = {SparseCalibrationWeights: "M", SparseL0Linear: "X"}
BUILTIN = {InputError: ValueError, InputTypeError: TypeError}
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
both_kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def trained(kind, device="numpy", **settings):
    model = kind(N, **({"seed": 1, "device": device} | settings))
    return model.fit(M, Y, lr=0.05, epochs=3)


def bits(model):
    return {name: (np.asarray(value).dtype, np.asarray(value).tobytes()) for name, value in model.state_dict().items()}


def assert_refused(call, error, parts, model=None):
    """`call` raises exactly `error`, its message holds all `parts`, and the model is the same bit for bit."""
    before = bits(model) if model else None
    with pytest.raises(L0npError) as caught:
        call()
    assert caught.type is error
    assert isinstance(caught.value, BUILTIN[error])
    for part in parts:
        assert part in str(caught.value)
    assert model is None or bits(model) == before


def changed(array, place, value, dtype=float):
    result = np.array(array, dtype=dtype)
    result[place] = value
    return result


def case(name, *rest):
    return pytest.param(*rest, id=name)


def with_dtype(format_name, dtype):
    """Return a sparse matrix of a dtype that SciPy does not support, but lets happen."""
    matrix = sparse.csr_array(M).asformat(format_name)
    matrix.data = matrix.data.astype(int).astype(dtype)
    return matrix


# --- the matrix; {M} stands for what fit calls it

NAN_AT = changed(M, (2, 3), np.nan)
DATES = np.full((Q, N), np.datetime64("2020-01-01"))
TEXTS = M.astype(str)
OBJECTS = M.astype(object)

BAD_MATRICES = [
    case("too few columns", M[:, :-1], InputError, ["{M} must have n_features = 6 columns", "(9, 5)"]),
    case("too many columns", np.ones((Q, N + 1)), InputError, ["{M} must have n_features = 6 columns", "(9, 7)"]),
    case("transposed", M.T, InputError, ["{M}", "(6, 9)", "transposed", "{M}.T"]),
    case("transposed list", M.T.tolist(), InputError, ["{M}", "transposed"]),
    case("transposed csr", sparse.csr_array(M.T), InputError, ["{M}", "transposed"]),
    case("transposed ColumnMatrix", ColumnMatrix.build(M.T), InputError, ["{M}", "transposed"]),
    case("number", 1.0, InputError, ["{M} must have two dimensions", "()"]),
    case("NumPy number", np.float64(1.0), InputError, ["{M} must have two dimensions", "()"]),
    case("1-D", M[0], InputError, ["{M} must have two dimensions", "(6,)"]),
    case("3-D", M[None], InputError, ["{M} must have two dimensions", "(1, 9, 6)"]),
    case("1-D sparse", sparse.coo_array(M[0]), InputError, ["{M} must have two dimensions", "(6,)"]),
    case("3-D sparse", sparse.coo_array(M[None]), InputError, ["{M} must have two dimensions", "(1, 9, 6)"]),
    case("0 rows", M[:0], InputError, ["{M} is empty", "(0, 6)"]),
    case("0 rows sparse", sparse.csr_array((0, N)), InputError, ["{M} is empty", "(0, 6)"]),
    case("0 columns", M[:, :0], InputError, ["{M} must have n_features = 6 columns", "(9, 0)"]),
    case("0 columns sparse", sparse.csc_array((Q, 0)), InputError, ["{M} must have n_features = 6 columns", "(9, 0)"]),
    case("empty list", [], InputError, ["{M} must have two dimensions"]),
    case("nan", NAN_AT, InputError, ["{M}[2, 3] is nan"]),
    case("inf", changed(M, (8, 5), np.inf), InputError, ["{M}[8, 5] is inf"]),
    case("-inf", changed(M, (0, 0), -np.inf), InputError, ["{M}[0, 0] is -inf"]),
    case("nan in a list", NAN_AT.tolist(), InputError, ["{M}[2, 3] is nan"]),
    *(case(f"nan in {f}", sparse.csr_array(NAN_AT).asformat(f), InputError, ["{M}[2, 3] is nan"]) for f in FORMATS),
    case("inf in csc", sparse.csc_array(changed(M, (2, 3), np.inf)), InputError, ["{M}[2, 3] is inf"]),
    case("several", changed(M, slice(1, 3), np.nan), InputError, ["{M}[1, 0] is nan", "12"]),
    case("1e39", changed(M, (2, 3), 1e39), InputError, ["{M}[2, 3] is inf", "1e+39", "float32"]),
    case("1e39 in csr", sparse.csr_array(changed(M, (2, 3), 1e39)), InputError, ["{M}[2, 3] is inf", "1e+39", "float32"]),
    case("1e39 in ColumnMatrix", ColumnMatrix.build(changed(M, (2, 3), -1e39), "float64"), InputError, ["{M}[2, 3] is -inf"]),
    case("1e5 as longdouble 1e400", np.full((Q, N), np.longdouble("1e400")), InputError, ["{M}[0, 0] is inf"]),
    case("complex", M.astype(complex), InputTypeError, ["{M} must hold real numbers", "complex128"]),
    case("object", OBJECTS, InputTypeError, ["{M} must hold real numbers", "object"]),
    case("text", TEXTS, InputTypeError, ["{M} must hold real numbers", "<U"]),
    case("dates", DATES, InputTypeError, ["{M} must hold real numbers", "datetime64"]),
    case("durations", DATES - DATES, InputTypeError, ["{M} must hold real numbers", "timedelta64"]),
    case("list of texts", TEXTS.tolist(), InputTypeError, ["{M} must hold real numbers"]),
    case("list with None", changed(M, (0, 0), None, object).tolist(), InputTypeError, ["{M} must hold real numbers"]),
    *(
        case(f"complex {f}", sparse.csr_array(M).astype(complex).asformat(f), InputTypeError, ["{M}", "complex128"])
        for f in FORMATS
    ),
    *(case(f"object {f}", with_dtype(f, object), InputTypeError, ["{M}", "object"]) for f in ("csr", "csc", "coo", "bsr")),
    *(case(f"dates {f}", with_dtype(f, "M8[s]"), InputTypeError, ["{M}", "datetime64"]) for f in ("csr", "csc", "coo")),
    case("text csr", with_dtype("csr", str), InputTypeError, ["{M}", "<U"]),
    case("ragged", [[1.0] * N, [1.0]], InputError, ["{M} cannot be read as an array"]),
    case("None", None, InputTypeError, ["{M} must be an array", "None"]),
    case("str", "matrix", InputTypeError, ["{M} must be an array", "'matrix'"]),
    case("dict", {"a": 1}, InputTypeError, ["{M} must be an array", "dict"]),
    case("masked", np.ma.masked_greater(M, 1.9), InputTypeError, ["{M} is a masked array"]),
    case("masked, nothing hidden", np.ma.masked_array(M), InputTypeError, ["{M} is a masked array"]),
]


@both_kinds
@pytest.mark.parametrize(("matrix", "error", "parts"), BAD_MATRICES)
def test_matrix_is_refused(kind, matrix, error, parts):
    model = trained(kind)
    parts = [part.replace("{M}", MATRIX[kind]) for part in parts]
    assert_refused(lambda: model.fit(matrix, Y), error, parts, model)
    assert_refused(lambda: model.predict(matrix), error, parts, model)


@both_kinds
def test_no_guess_where_the_matrix_is_not_transposed(kind):
    with pytest.raises(InputError) as caught:
        kind(N, device="numpy").fit(M[:, :-1], Y)
    assert "transposed" not in str(caught.value)


# --- sparse matrices that are broken inside


def broken(format_name, **arrays):
    """Return a matrix whose arrays somebody has changed by hand."""
    matrix = sparse.csr_array(M).asformat(format_name) if format_name != "bsr" else sparse.bsr_array(M, blocksize=(3, 2))
    for name, change in arrays.items():
        setattr(matrix, name, change(np.array(getattr(matrix, name))))
    return matrix


def at(place, value):
    return lambda array: changed(array, place, value, array.dtype)


BROKEN = [
    *(
        case(f"{f}: {name}", broken(f, **arrays), error, parts)
        for f in ("csr", "csc", "bsr")
        for name, arrays, error, parts in [
            ("index too large", {"indices": at(-1, 1000)}, InputError, ["1000", "out of range"]),
            ("index just too large", {"indices": lambda i: i + 1}, InputError, ["out of range"]),
            ("index negative", {"indices": at(0, -1)}, InputError, ["-1", "out of range"]),
            ("index very negative", {"indices": at(2, -(2**31))}, InputError, ["out of range"]),
            ("indptr falls", {"indptr": at(1, 10**6)}, InputError, ["indptr", "never fall"]),
            ("indptr negative inside", {"indptr": at(1, -5)}, InputError, ["indptr", "never fall"]),
            ("indptr starts at 1", {"indptr": at(0, 1)}, InputError, ["indptr", "start at 0"]),
            ("indptr starts at -1", {"indptr": at(0, -1)}, InputError, ["indptr", "start at 0"]),
            ("indptr ends past the data", {"indptr": at(-1, 10**6)}, InputError, ["indptr ends at 1000000"]),
            ("indptr short", {"indptr": lambda p: p[:-1]}, InputError, ["indptr"]),
            ("indptr long", {"indptr": lambda p: np.append(p, p[-1])}, InputError, ["indptr"]),
            ("indptr empty", {"indptr": lambda p: p[:0]}, InputError, ["indptr"]),
            ("indices short", {"indices": lambda i: i[:-1]}, InputError, ["indptr ends at"]),
            ("data short", {"data": lambda d: d[:-1]}, InputError, ["indptr ends at"]),
            ("indices in two dimensions", {"indices": lambda i: i[:, None]}, InputError, ["indices"]),
            ("indices of floats", {"indices": lambda i: i.astype(float)}, InputTypeError, ["indices", "float64"]),
            ("indptr of floats", {"indptr": lambda p: p.astype(float)}, InputTypeError, ["indptr", "float64"]),
        ]
    ),
    *(case(f"{f}: data in two dimensions", broken(f, data=lambda d: d[:, None]), InputError, []) for f in ("csr", "csc")),
    case("bsr: data in one dimension", broken("bsr", data=np.ravel), InputError, []),
    case(
        "bsr: blocks do not divide the shape",
        broken("bsr", data=lambda d: np.ones((2, 4, 2)), indptr=lambda p: np.arange(3), indices=lambda i: i[:2]),
        InputError,
        [],
    ),
    case("coo: row too large", broken("coo", row=at(0, Q)), InputError, ["9", "out of range"]),
    case("coo: row negative", broken("coo", row=at(0, -1)), InputError, ["-1", "out of range"]),
    case("coo: column too large", broken("coo", col=at(-1, N)), InputError, ["6", "out of range"]),
    case("coo: column negative", broken("coo", col=at(-1, -3)), InputError, ["-3", "out of range"]),
    case("coo: rows short", broken("coo", row=lambda r: r[:-1]), InputError, ["broken"]),
    case("coo: data short", broken("coo", data=lambda d: d[:-1]), InputError, ["broken"]),
    case("coo: rows of floats", broken("coo", coords=lambda c: tuple(c.astype(float))), InputTypeError, ["integers"]),
]


@both_kinds
@pytest.mark.parametrize(("matrix", "error", "parts"), BROKEN)
def test_broken_sparse_matrix_is_refused(kind, matrix, error, parts):
    model = trained(kind)
    assert_refused(lambda: model.fit(matrix, Y), error, [MATRIX[kind], *parts], model)


@pytest.mark.parametrize("key", [(Q, 0), (0, N), (-1, 0), (0, -1)], ids=str)
def test_broken_dok_is_refused(key):
    matrix = sparse.dok_array(M)
    matrix._dict[key] = 1.0
    model = trained(SparseCalibrationWeights)
    assert_refused(lambda: model.fit(matrix, Y), InputError, ["M", "broken"], model)


# SciPy's conversions of lil and dia write and read past their arrays where these do not match.
UNSAFE = {
    "lil": {
        "column too large": "m.rows[0][0] = 99",
        "column negative": "m.rows[0][0] = -1",
        "text": "m.data[0][0] = 'a'",
        "fewer values than columns": "m.data[0] = [1.0]",
        "fewer columns than values": "m.rows[0] = [1]",
        "a row is no list": "m.rows[0] = 5",
        "a row of data is no list": "m.data[0] = None",
        "too few rows": "m.rows = m.rows[:-1]",
        "too few rows of data": "m.data = m.data[:-1]",
        "too many rows of data": "m.data = np.array([[1.0] * 3] * 1000 + [[1.0]], dtype=object)[:-1]",
        "too many rows": "m.rows = np.array([[0, 1]] * 1000 + [[0]], dtype=object)",
        "more columns than values": "m.rows[0] = [0] * 10**6",
        "many more values than columns": "m.data[0] = [1.0] * 10**6",
    },
    "dia": {
        "data in one dimension": "m.data = m.data[0]",
        "offsets too short": "m.offsets = m.offsets[:-1]",
        "offsets too long": "m.offsets = np.append(m.offsets, 1)",
        "offsets in two dimensions": "m.offsets = m.offsets[:, None]",
        "offsets of floats": "m.offsets = m.offsets + 0.5",
        "offsets beyond 32 bits": "m.offsets = m.offsets.astype(np.int64) + 2**32",
        "offsets far too short": "m.data, m.offsets = np.ones((10**5, 3)), m.offsets[:1]",
    },
}


@pytest.mark.parametrize("format_name", UNSAFE)
def test_broken_matrix_that_would_crash_scipy_is_refused(format_name):
    script = f"""
import numpy as np
from scipy import sparse
from l0np import ColumnMatrix
from l0np.errors import L0npError
for name, change in {UNSAFE[format_name]!r}.items():
    print(name, end=": ", flush=True)
    m = sparse.csr_array(np.arange(1.0, 13.0).reshape(4, 3)).asformat("{format_name}")
    exec(change)
    try:
        print("accepted", repr(ColumnMatrix.build(m)), flush=True)
    except L0npError as error:
        print("refused" if str(error).startswith("M") else error, flush=True)
    except Exception as error:
        print("raised", repr(error), flush=True)
"""
    # In a process of its own, for a crash would end this one.
    root = Path(l0np.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd=root)
    assert done.stdout.splitlines() == [f"{name}: refused" for name in UNSAFE[format_name]]
    assert done.returncode == 0, done.stderr


# --- y

BAD_TARGETS = [
    case("too short", Y[:-1], InputError, ["one value for each row of", "9 wanted", "(8,)"]),
    case("too long", np.append(Y, 1.0), InputError, ["one value for each row of", "9 wanted", "(10,)"]),
    case("as long as the columns", Y[:N], InputError, ["one value for each row of", "(6,)"]),
    case("empty", [], InputError, ["one value for each row of", "(0,)"]),
    case("number", 1.0, InputError, ["one value for each row of", "()"]),
    case("NumPy number", np.float32(1.0), InputError, ["one value for each row of", "()"]),
    case("(Q, 1)", Y[:, None], InputError, ["(9, 1)", "squeeze"]),
    case("(1, Q)", Y[None], InputError, ["(1, 9)", "squeeze"]),
    case("(Q, 2)", np.column_stack([Y, Y]), InputError, ["(9, 2)", "squeeze"]),
    case("(Q, 1) list", Y[:, None].tolist(), InputError, ["(9, 1)", "squeeze"]),
    case("np.matrix", np.asmatrix(Y), InputError, ["(1, 9)", "squeeze"]),
    case("nan", changed(Y, 7, np.nan), InputError, ["y[7] is nan"]),
    case("inf", changed(Y, 0, np.inf), InputError, ["y[0] is inf"]),
    case("several", changed(Y, slice(3, 6), np.nan), InputError, ["y[3] is nan", "2 more"]),
    case("1e39", changed(Y, 4, -1e39), InputError, ["y[4] is -inf", "-1e+39", "float32"]),
    case("complex", Y.astype(complex), InputTypeError, ["complex128"]),
    case("object", Y.astype(object), InputTypeError, ["object"]),
    case("text", Y.astype(str), InputTypeError, ["<U"]),
    case("dates", DATES[:, 0], InputTypeError, ["datetime64"]),
    case("list with None", [*Y[:-1], None], InputTypeError, ["object"]),
    case("ragged", [[1.0], [1.0, 2.0]], InputError, ["cannot be read as an array"]),
    case("None", None, InputTypeError, ["None"]),
    case("str", "targets", InputTypeError, ["'targets'"]),
    case("sparse", sparse.coo_array(Y), InputTypeError, ["real numbers"]),
    case("masked", np.ma.masked_greater(Y, 9.0), InputTypeError, ["masked array"]),
]


@both_kinds
@pytest.mark.parametrize(("target", "error", "parts"), BAD_TARGETS)
def test_y_is_refused(kind, target, error, parts):
    model = trained(kind)
    assert_refused(lambda: model.fit(M, target), error, ["y", *parts], model)


def test_one_target_is_still_an_array():
    model = SparseCalibrationWeights(N, device="numpy", seed=1)
    assert_refused(lambda: model.fit(M[:1], 1.0), InputError, ["y must have one value for each row of M"], model)


def test_targets_of_minus_one_are_all_counted_and_the_first_five_named():
    model, target = trained(SparseCalibrationWeights), changed(Y, [0, 2, 3, 4, 5, 6, 8], -1.0)
    shown = "y[0] = -1, y[2] = -1, y[3] = -1, y[4] = -1, y[5] = -1 (and 2 more)"
    assert_refused(lambda: model.fit(M, target, loss_type="relative"), InputError, [shown, "relative", "mse"], model)
    with pytest.raises(InputError) as caught:
        model.fit(M, target, loss_type="relative")
    assert not re.search(r"y\[[16-8]\]", str(caught.value))
    model.fit(M, target, loss_type="mse", epochs=1)


def test_targets_that_become_minus_one_in_float32():
    target = changed(Y, 3, -1 + 1e-9)
    model = trained(SparseCalibrationWeights)
    assert_refused(lambda: model.fit(M, target, loss_type="relative"), InputError, ["y[3] = -1", "y + 1"], model)
    wide = trained(SparseCalibrationWeights, dtype="float64")
    assert wide.fit(M, target, loss_type="relative", epochs=1, lr=1e-3).epoch_ == 4


@both_kinds
def test_1e39_is_a_number_in_float64(kind):
    model = kind(N, device="numpy", seed=1, dtype="float64", init_keep_prob=1.0)
    model.fit(changed(M, (2, 3), 1e39), changed(Y, 2, 1e39), epochs=2)
    assert model.epoch_ == 2
    assert all(np.isfinite(value).all() for value in model.state_dict().values())


# --- the other arguments of fit


def from_epoch(first, bad, good=0.01):
    return lambda epoch: good if epoch < first else bad


BAD_SETTINGS = [
    case("lambda_l0 negative", {"lambda_l0": -1e-9}, InputError, ["at least 0"]),
    case("lambda_l0 nan", {"lambda_l0": np.nan}, InputError, ["finite", "nan"]),
    case("lambda_l0 inf", {"lambda_l0": np.inf}, InputError, ["finite"]),
    case("lambda_l0 too large for a float", {"lambda_l0": 10**400}, InputError, ["finite"]),
    case("lambda_l0 text", {"lambda_l0": "0.1"}, InputTypeError, ["'0.1'"]),
    case("lambda_l0 bool", {"lambda_l0": True}, InputTypeError, ["True"]),
    case("lambda_l0 list", {"lambda_l0": [0.1]}, InputTypeError, ["list"]),
    case("lambda_l0 complex", {"lambda_l0": 0.1j}, InputTypeError, ["complex"]),
    case("lr 0", {"lr": 0}, InputError, ["above 0", "got 0"]),
    case("lr negative", {"lr": -0.1}, InputError, ["above 0", "-0.1"]),
    case("lr nan", {"lr": np.nan}, InputError, ["finite", "nan"]),
    case("lr inf", {"lr": np.inf}, InputError, ["finite"]),
    case("lr text", {"lr": "fast"}, InputTypeError, ["'fast'"]),
    case("lr None", {"lr": None}, InputTypeError, ["None"]),
    case("lr gives 0", {"lr": lambda epoch: 0.0}, InputError, ["lr(3)", "above 0"]),
    case("lr gives nan", {"lr": lambda epoch: np.nan}, InputError, ["lr(3)", "finite"]),
    case("lr gives a negative number later", {"lr": from_epoch(7, -0.1), "epochs": 5}, InputError, ["lr(7)", "above 0"]),
    case("lr gives None", {"lr": lambda epoch: None}, InputTypeError, ["lr(3)", "None"]),
    case("epochs negative", {"epochs": -1}, InputError, ["at least 0", "-1"]),
    case("epochs 1.5", {"epochs": 1.5}, InputError, ["whole number", "1.5"]),
    case("epochs nan", {"epochs": np.nan}, InputError, ["whole number", "nan"]),
    case("epochs inf", {"epochs": np.inf}, InputError, ["whole number", "inf"]),
    case("epochs text", {"epochs": "10"}, InputTypeError, ["whole number", "'10'"]),
    case("epochs None", {"epochs": None}, InputTypeError, ["whole number", "None"]),
    case("epochs bool", {"epochs": True}, InputTypeError, ["whole number", "True"]),
    case("epochs array", {"epochs": np.array([10])}, InputTypeError, ["whole number"]),
    case("verbose 2", {"verbose": 2}, InputTypeError, ["True or False"]),
    case("verbose_freq 0", {"verbose_freq": 0}, InputError, ["at least 1"]),
    case("verbose_freq negative", {"verbose_freq": -100}, InputError, ["at least 1"]),
    case("verbose_freq 0.5", {"verbose_freq": 0.5}, InputError, ["whole number"]),
    case("verbose_freq text", {"verbose_freq": "often"}, InputTypeError, ["whole number"]),
    case("callbacks bare function", {"callbacks": print}, InputTypeError, ["sequence", "list"]),
    case("callbacks number", {"callbacks": 5}, InputTypeError, ["sequence"]),
    case("callbacks not callable", {"callbacks": [print, 5]}, InputTypeError, ["callbacks[1]", "callable", "5"]),
    case("n_active 0", {"n_active": 0}, InputError, ["at least 1", "got 0"]),
    case("n_active negative", {"n_active": -3}, InputError, ["at least 1", "-3"]),
    case("n_active beyond the columns", {"n_active": N + 1}, InputError, ["at most 6", "got 7"]),
    case("n_active 2.5", {"n_active": 2.5}, InputError, ["whole number", "2.5"]),
    case("n_active nan", {"n_active": np.nan}, InputError, ["whole number", "nan"]),
    case("n_active text", {"n_active": "2"}, InputTypeError, ["whole number", "'2'"]),
    case("n_active bool", {"n_active": True}, InputTypeError, ["whole number", "True"]),
    case("n_active and lambda_l0", {"n_active": 2, "lambda_l0": 0.1}, InputError, ["lambda_l0", "one of them"]),
    case("n_active and the default lambda_l0", {"n_active": 2, "lambda_l0": 0.01}, InputError, ["one of them"]),
    case("callbacks text", {"callbacks": "report"}, InputTypeError, ["callbacks[0]", "callable"]),
]


@both_kinds
@pytest.mark.parametrize(("settings", "error", "parts"), BAD_SETTINGS)
def test_setting_of_fit_is_refused(kind, settings, error, parts):
    model, name = trained(kind), next(iter(settings))
    assert_refused(lambda: model.fit(M, Y, **({"epochs": 2} | settings)), error, [name, *parts], model)


GROUPS = [1, 1, 1, 2, 2, 2, 3, 3, 3]

BAD_CALIBRATION_SETTINGS = [
    case("lambda_l2 negative", {"lambda_l2": -1.0}, InputError, ["at least 0"]),
    case("lambda_l2 nan", {"lambda_l2": np.nan}, InputError, ["finite"]),
    case("lambda_l2 inf", {"lambda_l2": np.inf}, InputError, ["finite"]),
    case("lambda_l2 None", {"lambda_l2": None}, InputTypeError, ["None"]),
    case("loss_type unknown", {"loss_type": "mae"}, InputError, ["'mse'", "'relative'", "'mae'"]),
    case("loss_type None", {"loss_type": None}, InputError, ["'mse'", "'relative'", "None"]),
    case("loss_type list", {"loss_type": ["mse"]}, InputError, ["'mse'", "'relative'"]),
    case("normalize_groups text", {"normalize_groups": "yes"}, InputTypeError, ["True or False"]),
    case("target_groups short", {"target_groups": GROUPS[:-1]}, InputError, ["each row of M", "9 wanted", "(8,)"]),
    case("target_groups long", {"target_groups": [*GROUPS, 3]}, InputError, ["each row of M", "(10,)"]),
    case("target_groups number", {"target_groups": 1}, InputError, ["each row of M", "()"]),
    case("target_groups (Q, 1)", {"target_groups": np.array(GROUPS)[:, None]}, InputError, ["each row of M", "(9, 1)"]),
    case("target_groups nan", {"target_groups": changed(GROUPS, 4, np.nan)}, InputError, ["target_groups[4]", "missing"]),
    case("target_groups None inside", {"target_groups": [*GROUPS[:-1], None]}, InputTypeError, ["object"]),
    case("target_groups dates", {"target_groups": DATES[:, 0]}, InputTypeError, ["datetime64"]),
    case("target_groups complex", {"target_groups": np.array(GROUPS, complex)}, InputTypeError, ["complex128"]),
    case("target_groups ragged", {"target_groups": [[1], [1, 2], *GROUPS[2:]]}, InputError, []),
    case("target_groups masked", {"target_groups": np.ma.masked_equal(GROUPS, 2)}, InputTypeError, ["masked"]),
    case("group_multipliers alone", {"group_multipliers": {1: 2.0}}, InputError, ["target_groups"]),
    case("group_multipliers empty and alone", {"group_multipliers": {}}, InputError, ["target_groups"]),
    *(
        case(f"group_multipliers {name}", {"group_multipliers": given, "target_groups": GROUPS}, error, parts)
        for name, given, error, parts in [
            ("unknown number", {1: 2.0, 4: 2.0}, InputError, ["4", "1, 2, 3"]),
            ("unknown text", {"a": 2.0}, InputError, ["'a'", "1, 2, 3"]),
            ("unknown None", {None: 2.0}, InputError, ["None", "1, 2, 3"]),
            ("unknown tuple", {(1, 2): 2.0}, InputError, ["(1, 2)", "1, 2, 3"]),
            ("unknown tuple that fits", {tuple(GROUPS): 2.0}, InputError, ["1, 2, 3"]),
            ("negative", {1: 1.0, 2: -0.5}, InputError, ["group_multipliers[2]", "at least 0", "-0.5"]),
            ("nan", {1: np.nan}, InputError, ["group_multipliers[1]", "finite"]),
            ("inf", {1: np.inf}, InputError, ["group_multipliers[1]", "finite"]),
            ("text", {1: "2"}, InputTypeError, ["group_multipliers[1]", "'2'"]),
            ("list", [1.0, 2.0, 3.0], InputTypeError, ["mapping"]),
            ("number", 2.0, InputTypeError, ["mapping"]),
        ]
    ),
]


@pytest.mark.parametrize(("settings", "error", "parts"), BAD_CALIBRATION_SETTINGS)
def test_setting_of_calibration_is_refused(settings, error, parts):
    model, name = trained(SparseCalibrationWeights), next(iter(settings))
    assert_refused(lambda: model.fit(M, Y, epochs=2, **settings), error, [name, *parts], model)


@pytest.mark.parametrize(
    ("settings", "error", "parts"),
    [
        case("both spellings", {"lambda_reg": 0.1, "lambda_l0": 0.1}, InputError, ["lambda_reg", "lambda_l0"]),
        case("lambda_reg and n_active", {"lambda_reg": 0.1, "n_active": 2}, InputError, ["n_active", "one of them"]),
        case("lambda_reg negative", {"lambda_reg": -0.1}, InputError, ["lambda_reg", "at least 0"]),
        case("lambda_reg nan", {"lambda_reg": np.nan}, InputError, ["lambda_reg", "finite"]),
        case("lambda_reg text", {"lambda_reg": "a"}, InputTypeError, ["lambda_reg"]),
    ],
)
def test_setting_of_regression_is_refused(settings, error, parts):
    model = trained(SparseL0Linear)
    assert_refused(lambda: model.fit(M, Y, epochs=2, **settings), error, parts, model)


def test_n_active_without_gates_is_refused():
    model = trained(SparseCalibrationWeights, use_gates=False)
    assert_refused(lambda: model.fit(M, Y, epochs=2, n_active=2), InputError, ["n_active", "use_gates=False"], model)


@pytest.mark.parametrize("threshold", [-0.01, 1.01, np.nan, np.inf], ids=str)
@pytest.mark.parametrize("method", ["get_coefficients", "get_selected_features"])
def test_threshold_outside_0_and_1_is_refused(method, threshold):
    model = trained(SparseL0Linear)
    assert_refused(lambda: getattr(model, method)(threshold), InputError, ["threshold"], model)
    assert_refused(lambda: getattr(model, method)("low"), InputTypeError, ["threshold", "'low'"], model)


@pytest.mark.parametrize("threshold", [0, 1, 0.5])
def test_threshold_from_0_to_1_is_taken(threshold):
    assert trained(SparseL0Linear).get_coefficients(threshold).shape == (N,)


@needs_numba
@both_kinds
@pytest.mark.parametrize(
    ("arguments", "settings", "parts"),
    [
        case("columns", (M[:, :-1], Y), {}, ["n_features = 6"]),
        case("nan", (NAN_AT, Y), {}, ["[2, 3] is nan"]),
        case("csr index", (broken("csr", indices=at(0, N)), Y), {}, ["out of range"]),
        case("csc indptr", (broken("csc", indptr=at(-1, 10**6)), Y), {}, ["indptr"]),
        case("y", (M, Y[:-1]), {}, ["y must have"]),
        case("lr", (M, Y), {"lr": 0}, ["lr must be above 0"]),
    ],
)
def test_numba_refuses_alike(kind, arguments, settings, parts):
    model = trained(kind, "numba")
    assert_refused(lambda: model.fit(*arguments, **settings), InputError, parts, model)


# --- the constructors

BAD_CONSTRUCTIONS = [
    case("n_features 0", {"n_features": 0}, InputError, ["at least 1"]),
    case("n_features -1", {"n_features": -1}, InputError, ["at least 1", "-1"]),
    case("n_features 1.5", {"n_features": 1.5}, InputError, ["whole number", "1.5"]),
    case("n_features nan", {"n_features": np.nan}, InputError, ["whole number"]),
    case("n_features text", {"n_features": "6"}, InputTypeError, ["whole number", "'6'"]),
    case("n_features bool", {"n_features": True}, InputTypeError, ["whole number"]),
    case("n_features None", {"n_features": None}, InputTypeError, ["whole number"]),
    case("beta 0", {"beta": 0}, InputError, ["above 0"]),
    case("beta negative", {"beta": -0.5}, InputError, ["above 0", "-0.5"]),
    case("beta nan", {"beta": np.nan}, InputError, ["finite"]),
    case("beta text", {"beta": "hot"}, InputTypeError, ["'hot'"]),
    case("beta gives 0", {"beta": lambda epoch: 0.0}, InputError, ["beta(0)", "above 0"]),
    case("gamma 0", {"gamma": 0}, InputError, ["below 0"]),
    case("gamma positive", {"gamma": 0.1}, InputError, ["below 0", "0.1"]),
    case("gamma nan", {"gamma": np.nan}, InputError, ["finite"]),
    case("gamma -inf", {"gamma": -np.inf}, InputError, ["finite"]),
    case("zeta 1", {"zeta": 1}, InputError, ["above 1"]),
    case("zeta below 1", {"zeta": 0.9}, InputError, ["above 1", "0.9"]),
    case("zeta nan", {"zeta": np.nan}, InputError, ["finite"]),
    case("zeta text", {"zeta": "1.1"}, InputTypeError, ["'1.1'"]),
    case("init_keep_prob above 1", {"init_keep_prob": 1.01}, InputError, ["at most 1"]),
    case("init_keep_prob negative", {"init_keep_prob": -0.01}, InputError, ["at least 0"]),
    case("init_keep_prob nan", {"init_keep_prob": np.nan}, InputError, ["finite"]),
    case("init_keep_prob None", {"init_keep_prob": None}, InputTypeError, ["None"]),
    case("init_keep_prob text", {"init_keep_prob": "half"}, InputTypeError, ["'half'"]),
    case("init_keep_prob array, one above 1", {"init_keep_prob": [0.5] * 5 + [2]}, InputError, ["init_keep_prob[5] = 2"]),
    case("init_keep_prob array, one negative", {"init_keep_prob": [-1] + [0.5] * 5}, InputError, ["init_keep_prob[0] = -1"]),
    case("init_keep_prob array, nan", {"init_keep_prob": [0.5, np.nan] + [0.5] * 4}, InputError, ["init_keep_prob[1] is nan"]),
    case("init_keep_prob array, inf", {"init_keep_prob": [0.5, np.inf] + [0.5] * 4}, InputError, ["init_keep_prob[1] is inf"]),
    case("init_keep_prob short", {"init_keep_prob": [0.5] * 5}, InputError, ["6 wanted", "(5,)"]),
    case("init_keep_prob (N, 1)", {"init_keep_prob": np.full((N, 1), 0.5)}, InputError, ["(6, 1)", "squeeze"]),
    case("init_keep_prob complex", {"init_keep_prob": np.full(N, 0.5j)}, InputTypeError, ["complex128"]),
    case("seed negative", {"seed": -1}, InputError, ["at least 0"]),
    case("seed 2**64", {"seed": 2**64}, InputError, ["at most 18446744073709551615"]),
    case("seed 1.5", {"seed": 1.5}, InputError, ["whole number"]),
    case("seed text", {"seed": "1"}, InputTypeError, ["whole number"]),
    case("dtype int32", {"dtype": "int32"}, InputError, ["'float32'", "'float64'", "'int32'"]),
    case("dtype float16", {"dtype": np.float16}, InputError, ["'float32'", "'float64'"]),
    case("dtype None", {"dtype": None}, InputError, ["'float32'", "'float64'", "None"]),
    case("dtype unknown", {"dtype": "float23"}, InputError, ["'float32'", "'float64'", "'float23'"]),
    case("dtype no name at all", {"dtype": ",,"}, InputError, ["'float32'", "'float64'"]),
    case("device unknown", {"device": "tpu"}, InputError, ["'cpu'", "'numpy'", "'numba'", "'cuda'", "'auto'", "'tpu'"]),
    case("device in capitals", {"device": "CPU"}, InputError, ["'cpu'", "'CPU'"]),
    case("device with a wrong number", {"device": "cuda:-1"}, InputError, ["'cuda:N'", "'cuda:-1'"]),
    case("device None", {"device": None}, InputError, ["'cpu'", "None"]),
    case("test_time_temperature text", {"test_time_temperature": "no"}, InputTypeError, ["True or False"]),
]


@both_kinds
@pytest.mark.parametrize(("settings", "error", "parts"), BAD_CONSTRUCTIONS)
def test_construction_is_refused(kind, settings, error, parts):
    arguments = {"n_features": N, "device": "numpy"} | settings
    assert_refused(lambda: kind(**arguments), error, [next(iter(settings)), *parts])


@pytest.mark.parametrize(
    ("settings", "error", "parts"),
    [
        case("init_weights negative", {"init_weights": -1.0}, InputError, ["at least 0", "-1"]),
        case("init_weights nan", {"init_weights": np.nan}, InputError, ["finite"]),
        case("init_weights 1e39", {"init_weights": 1e39}, InputError, ["inf", "float32"]),
        case("init_weights text", {"init_weights": "one"}, InputTypeError, ["'one'"]),
        case("init_weights array, negative", {"init_weights": [1, 1, -2, 1, -3, 1]}, InputError, ["[2] = -2", "[4] = -3"]),
        case("init_weights array, nan", {"init_weights": [1, 1, 1, 1, 1, np.nan]}, InputError, ["init_weights[5] is nan"]),
        case("init_weights array, 1e39", {"init_weights": [1, 1e39, 1, 1, 1, 1]}, InputError, ["init_weights[1] is inf"]),
        case("init_weights short", {"init_weights": np.ones(5)}, InputError, ["6 wanted", "(5,)"]),
        case("init_weights (N, 1)", {"init_weights": np.ones((N, 1))}, InputError, ["(6, 1)", "squeeze"]),
        case("init_weights masked", {"init_weights": np.ma.ones(N)}, InputTypeError, ["masked"]),
        case("init_weights object", {"init_weights": np.ones(N, object)}, InputTypeError, ["object"]),
        case("init_weights ragged", {"init_weights": [[1], [1, 2]]}, InputError, ["cannot be read"]),
        case("log_weight_jitter_sd", {"log_weight_jitter_sd": -0.1}, InputError, ["at least 0"]),
        case("log_alpha_jitter_sd", {"log_alpha_jitter_sd": np.nan}, InputError, ["finite"]),
        case("use_gates", {"use_gates": 2}, InputTypeError, ["True or False"]),
    ],
)
def test_construction_of_calibration_is_refused(settings, error, parts):
    assert_refused(lambda: SparseCalibrationWeights(N, device="numpy", **settings), error, [next(iter(settings)), *parts])


def test_construction_of_regression_is_refused():
    assert_refused(lambda: SparseL0Linear(N, fit_intercept="yes"), InputTypeError, ["fit_intercept", "True or False"])


@pytest.mark.skipif(find_spec("cupy") is not None, reason="cupy is installed")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@both_kinds
def test_cuda_without_cupy_says_what_to_install(kind, device):
    with pytest.raises(BackendUnavailableError, match=r"CuPy.*pip install") as caught:
        kind(N, device=device)
    assert isinstance(caught.value, L0npError | RuntimeError)
    assert device in str(caught.value)


@both_kinds
@pytest.mark.parametrize(
    "settings",
    [
        case("seed 0", {"seed": 0}),
        case("largest seed", {"seed": 2**64 - 1}),
        case("seed of NumPy", {"seed": np.uint64(2**64 - 1)}),
        case("whole float", {"n_features": 6.0, "seed": 3.0}),
        case("NumPy numbers", {"n_features": np.int64(6), "beta": np.float32(0.5), "gamma": np.float64(-0.1)}),
        case("0-d arrays", {"n_features": np.array(6), "zeta": np.array(1.2)}),
        case("fraction", {"beta": Fraction(2, 3)}),
        case("keep probability 0", {"init_keep_prob": 0}),
        case("keep probability 1", {"init_keep_prob": 1}),
        case("keep probabilities", {"init_keep_prob": [0, 1, 0.5, 0.1, 0.9, 0.3]}),
        case("dtype of NumPy", {"dtype": np.float64}),
        case("dtype object", {"dtype": np.dtype("float32")}),
        case("beta as a schedule", {"beta": lambda epoch: 0.9**epoch}),
    ],
)
def test_construction_is_accepted(kind, settings):
    model = kind(**({"n_features": N, "device": "numpy", "seed": 1} | settings))
    model.fit(M, Y, epochs=2)
    assert model.n_features == N
    assert isinstance(model.seed_, int)
    assert model.seed_ == settings.get("seed", 1)
    assert np.isfinite(model.predict(M)).all()


# --- what is accepted


@pytest.mark.parametrize("device", DEVICES)
@both_kinds
def test_0_epochs_do_nothing_at_all(kind, device):
    fresh = kind(N, seed=1, device=device, **({"log_weight_jitter_sd": 0.5} if kind is SparseCalibrationWeights else {}))
    for model in (fresh, trained(kind, device)):
        before, epoch = bits(model), model.epoch_
        assert model.fit(M, Y, epochs=0, callbacks=[lambda progress: 1 / 0], verbose=True, verbose_freq=1) is model
        assert bits(model) == before
        assert model.epoch_ == epoch


@both_kinds
@pytest.mark.parametrize("epochs", [10, 10.0, np.int64(10), np.uint8(10), np.float32(10), np.array(10)], ids=repr)
def test_whole_numbers_of_epochs(kind, epochs):
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    model.fit(M, Y, epochs=epochs)
    assert model.epoch_ == 10
    assert isinstance(model.epoch_, int)
    assert bits(model) == bits(reference.fit(M, Y, epochs=10))


WHOLE = np.random.default_rng(1).integers(0, 5, size=(Q, N))


@pytest.mark.parametrize(
    ("matrix", "equal"),
    [
        case("bool", WHOLE > 2, WHOLE > 2),
        case("int64", WHOLE, WHOLE),
        case("uint8", WHOLE.astype(np.uint8), WHOLE),
        case("float16", WHOLE.astype(np.float16), WHOLE),
        case("float64", WHOLE.astype(np.float64), WHOLE),
        case("Fortran order", np.asfortranarray(WHOLE), WHOLE),
        case("list of lists", WHOLE.tolist(), WHOLE),
        case("list of lists of bool", (WHOLE > 2).tolist(), WHOLE > 2),
        case("ColumnMatrix", ColumnMatrix.build(WHOLE), WHOLE),
        case("ColumnMatrix in float64", ColumnMatrix.build(WHOLE, "float64"), WHOLE),
        *(case(f"{f} of bool", sparse.csr_array(WHOLE > 2).asformat(f), WHOLE > 2) for f in FORMATS),
        *(case(f"{f} of int8", sparse.csr_array(WHOLE.astype(np.int8)).asformat(f), WHOLE) for f in FORMATS),
    ],
)
@both_kinds
def test_matrices_of_every_kind_give_the_same_fit(kind, matrix, equal):
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    reference.fit(equal.astype(np.float32), Y, epochs=4)
    assert bits(model.fit(matrix, Y, epochs=4)) == bits(reference)
    assert model.predict(matrix).tobytes() == reference.predict(equal.astype(np.float32)).tobytes()


@both_kinds
@pytest.mark.parametrize("target", [Y.round().tolist(), Y.round().astype(int), Y.round().astype(np.float16)], ids=type)
def test_targets_of_every_kind_give_the_same_fit(kind, target):
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    assert bits(model.fit(M, target, epochs=4)) == bits(reference.fit(M, Y.round(), epochs=4))


@both_kinds
def test_data_frames(kind):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(WHOLE, columns=list("abcdef"))
    frame["f"] = frame["f"].astype(float)
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    model.fit(frame, pandas.Series(Y, index=range(100, 100 + Q)), epochs=4)
    assert bits(model) == bits(reference.fit(WHOLE, Y, epochs=4))
    text = frame.assign(c="text")
    assert_refused(lambda: model.fit(text, Y), InputTypeError, [f"{MATRIX[kind]} must hold real numbers"], model)
    assert_refused(lambda: model.fit(frame.T, Y), InputError, ["transposed"], model)
    hole = frame.assign(c=np.nan)
    assert_refused(lambda: model.fit(hole, Y), InputError, [f"{MATRIX[kind]}[0, 2] is nan"], model)
    assert_refused(lambda: model.fit(frame, pandas.DataFrame(Y)), InputError, ["y", "squeeze"], model)


def test_groups_from_pandas():
    pandas = pytest.importorskip("pandas")
    texts = [f"group {label}" for label in GROUPS]
    model, reference = (SparseCalibrationWeights(N, seed=1, device="numpy") for _ in range(2))
    reference.fit(M, Y, epochs=3, target_groups=GROUPS, group_multipliers={2: 3.0})
    for labels in (texts, pandas.Series(texts), pandas.Series(texts, dtype="category"), np.array(texts, dtype=object)):
        model.reset()
        model.fit(M, Y, epochs=3, target_groups=labels, group_multipliers={"group 2": 3.0})
        assert bits(model) == bits(reference)
    missing = pandas.Series([*texts[:-1], None])
    assert_refused(lambda: model.fit(M, Y, target_groups=missing), InputTypeError, ["target_groups"], model)


@both_kinds
def test_arguments_are_not_changed(kind):
    matrix, target = M.copy(), Y.copy()
    kind(N, seed=1, device="numpy").fit(matrix, target, epochs=2)
    assert (matrix == M).all()
    assert (target == Y).all()
    assert matrix.flags.writeable
    assert target.flags.writeable


# --- the state


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
    case("key is no text", lambda s: s.update({1: 1}), InputError, ["unknown ['1']"]),
    case("short", lambda s: s.update(log_alpha=np.zeros(N - 1)), InputError, ["log_alpha", "6 wanted", "(5,)"]),
    case("number", lambda s: s.update(log_alpha=0.0), InputError, ["log_alpha", "6 wanted", "()"]),
    case("2-D", lambda s: s.update(log_alpha=np.zeros((N, 1))), InputError, ["log_alpha", "(6, 1)"]),
    case("nan", lambda s: s.update(log_alpha=changed(np.zeros(N), 2, np.nan)), InputError, ["log_alpha[2] is nan"]),
    case("inf", lambda s: s.update(log_alpha=np.full(N, np.inf)), InputError, ["log_alpha[0] is inf"]),
    case("1e39", lambda s: s.update(log_alpha_first_moment=np.full(N, 1e39)), InputError, ["log_alpha_first_moment[0]"]),
    case(
        "negative second moment",
        lambda s: s.update(log_alpha_second_moment=changed(np.zeros(N), 4, -1e-9)),
        InputError,
        ["log_alpha_second_moment[4] = -1e-09", "negative"],
    ),
    case("complex", lambda s: s.update(log_alpha=np.zeros(N, complex)), InputTypeError, ["log_alpha", "complex128"]),
    case("object", lambda s: s.update(log_alpha=np.zeros(N, object)), InputTypeError, ["log_alpha", "object"]),
    case("None", lambda s: s.update(log_alpha=None), InputTypeError, ["log_alpha", "None"]),
    case("masked", lambda s: s.update(log_alpha=np.ma.zeros(N)), InputTypeError, ["log_alpha", "masked"]),
    case("epoch negative", lambda s: s.update(epoch=-1), InputError, ["epoch", "at least 0"]),
    case("epoch 1.5", lambda s: s.update(epoch=1.5), InputError, ["epoch", "whole number"]),
    case("epoch 2**32", lambda s: s.update(epoch=2**32), InputError, ["epoch", "at most 4294967295"]),
    case("epoch text", lambda s: s.update(epoch="3"), InputTypeError, ["epoch", "whole number"]),
    case("adam_step negative", lambda s: s.update(adam_step=-1), InputError, ["adam_step", "at least 0"]),
    case("lambda_l0 missing", lambda s: s.pop("lambda_l0"), InputError, ["missing ['lambda_l0']"]),
    case("lambda_l0 nan", lambda s: s.update(lambda_l0=np.nan), InputError, ["lambda_l0", "finite"]),
    case("governor short", lambda s: s.update(governor=np.ones(2)), InputError, ["governor", "3 wanted"]),
    case("governor nan", lambda s: s.update(governor=np.full(3, np.nan)), InputError, ["governor[0] is nan"]),
    case("selection short", lambda s: s.update(selection=np.ones(N - 1, bool)), InputError, ["selection", "6 wanted"]),
    case("selection of 2", lambda s: s.update(selection=np.full(N, 2)), InputError, ["selection[0] = 2", "selected"]),
    case("seed negative", lambda s: s.update(seed=-1), InputError, ["seed", "at least 0"]),
    case("seed 2**64", lambda s: s.update(seed=2**64), InputError, ["seed", "at most"]),
]


@both_kinds
@pytest.mark.parametrize(("change", "error", "parts"), BAD_STATES)
def test_state_is_refused(kind, change, error, parts):
    model, state = trained(kind), trained(kind, seed=2).state_dict()
    change(state)
    assert_refused(lambda: model.load_state_dict(state), error, parts, model)


@pytest.mark.parametrize("state", [None, [], "state", 5, [("epoch", 1)]], ids=repr)
@both_kinds
def test_state_that_is_no_mapping_is_refused(kind, state):
    model = trained(kind)
    assert_refused(lambda: model.load_state_dict(state), InputTypeError, ["state_dict", "mapping"], model)


def test_state_of_another_model_is_refused():
    calibration, regression = trained(SparseCalibrationWeights), trained(SparseL0Linear)
    plain = trained(SparseL0Linear, fit_intercept=False)
    parts = ["missing", "log_weight", "unknown", "bias"]
    assert_refused(lambda: calibration.load_state_dict(regression.state_dict()), InputError, parts, calibration)
    assert_refused(lambda: regression.load_state_dict(plain.state_dict()), InputError, ["missing", "bias"], regression)
    assert_refused(lambda: plain.load_state_dict(regression.state_dict()), InputError, ["unknown", "bias"], plain)
    long_bias = regression.state_dict() | {"bias": np.zeros(2)}
    assert_refused(lambda: regression.load_state_dict(long_bias), InputError, ["bias", "1 wanted", "(2,)"], regression)


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


# --- divergence: numbers that leave their range during a fit


def diverges(model, *arguments, **settings):
    """Fit, and return the error; no warning may leak out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DivergenceError) as caught:
            model.fit(*arguments, **settings)
    error = caught.value
    assert isinstance(error, L0npError)
    assert isinstance(error, ArithmeticError)
    assert isinstance(error.epoch, int)
    assert isinstance(error.loss, float)
    assert f"epoch {error.epoch} " in str(error)
    assert f"learning rate {error.learning_rate:g}" in str(error)
    assert "dtype='float64'" in str(error)
    return error


@pytest.mark.parametrize("device", DEVICES)
@both_kinds
@pytest.mark.parametrize(("verbose_freq", "kept"), [(5, 10), (4, 8), (100, 0)])
def test_divergence_leaves_the_model_at_its_last_finite_report(kind, device, verbose_freq, kept):
    model, reference = (kind(N, seed=1, device=device, init_keep_prob=0.99) for _ in range(2))
    seen, before = [], bits(model)
    error = diverges(
        model,
        M,
        100.0 * Y,
        lr=from_epoch(11, 1e39),
        epochs=20,
        verbose_freq=verbose_freq,
        callbacks=[lambda progress: seen.append(progress.epoch)],
    )
    assert (error.epoch, error.learning_rate) == (12, 1e39)
    assert model.epoch_ == kept
    assert seen == list(range(verbose_freq, kept + 1, verbose_freq))
    if kept:
        reference.fit(M, 100.0 * Y, lr=0.01, epochs=kept)
    else:
        assert bits(reference) == before
    assert bits(model) == bits(reference)


@pytest.mark.parametrize("device", DEVICES)
@both_kinds
def test_divergence_without_a_report_leaves_the_model_as_before_fit(kind, device):
    model = trained(kind, device)
    before = bits(model)
    error = diverges(model, M, 100.0 * Y, lr=1e39, epochs=5)
    assert error.epoch == 4  # the first of this fit, counted over all fits
    assert bits(model) == before
    assert np.isfinite(model.predict(M)).all()
    assert model.fit(M, Y, epochs=1).epoch_ == 4


def one_column(device, **settings):
    return SparseL0Linear(1, fit_intercept=False, seed=1, device=device, init_keep_prob=1.0, **settings)


CAUSES = {
    "weights overflow": lambda device: diverges(trained(SparseCalibrationWeights, device), M, 100.0 * Y, lr=1e30, epochs=5),
    "learning rate beyond float32": lambda device: diverges(trained(SparseL0Linear, device), M, Y, lr=1e300, epochs=5),
    "weight, then gradient": lambda device: diverges(trained(SparseL0Linear, device), M, 100.0 * Y, lr=1e30, epochs=5),
    "second moment": lambda device: diverges(one_column(device), [[1.0]], [1e19], lr=0.1, epochs=5),
    "second moment, later": lambda device: diverges(
        one_column(device), [[1e17]], [0.0], lr=from_epoch(3, 1e10, 1e-3), epochs=20
    ),
    "gradient": lambda device: diverges(trained(SparseCalibrationWeights, device), 1e20 * M, 1e21 * Y, epochs=5),
    "lambda_l0": lambda device: diverges(trained(SparseCalibrationWeights, device), M, Y, lambda_l0=1e300, epochs=5),
    "lambda_l2": lambda device: diverges(trained(SparseCalibrationWeights, device), M, Y, lambda_l2=1e300, epochs=5),
    "float64": lambda device: diverges(
        trained(SparseCalibrationWeights, device, dtype="float64"), M, 100.0 * Y, lr=from_epoch(5, 1e4), epochs=9
    ),
}


@needs_numba
@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_both_backends_name_the_same_epoch(cause):
    expected, found = cause("numpy"), cause("numba")
    assert found.epoch == expected.epoch
    assert found.learning_rate == expected.learning_rate


@pytest.mark.parametrize("device", DEVICES)
def test_the_border_of_the_second_moment_is_a_gradient_of_2_to_the_64(device):
    # d/dw (w - y)^2 = -2 y; its square overflows in float32 from 2^64 = 1.84e19
    model = one_column(device)
    model.fit([[1.0]], [9.2e18], lr=0.1, epochs=1)
    assert np.isfinite(model.state_dict()["weight_second_moment"]).all()
    assert diverges(one_column(device), [[1.0]], [9.3e18], lr=0.1, epochs=1).epoch == 1
    one_column(device, dtype="float64").fit([[1.0]], [9.3e18], lr=0.1, epochs=1)


@pytest.mark.parametrize("device", DEVICES)
def test_a_second_moment_of_the_intercept_overflows(device):
    # The column sums to 0, so that a shift of all targets moves the intercept alone.
    column = np.array([[1.0], [-1.0]] * 4)
    model = SparseL0Linear(1, seed=1, device=device).fit(column, np.zeros(8), epochs=1)
    before = bits(model)
    assert diverges(model, column, np.full(8, 1e20), lr=0.1, epochs=3).epoch == 2
    assert bits(model) == before


@pytest.mark.parametrize("device", DEVICES)
def test_a_closed_column_takes_no_part_whatever_its_entries(device):
    # What the first column would get as a gradient is infinite in float32, but its gate is closed.
    model = SparseCalibrationWeights(2, init_keep_prob=[0.0, 1.0], seed=1, device=device)
    model.fit([[1e30, 1.0]], [1e10], epochs=3)
    assert model.epoch_ == 3
    assert np.isfinite(model.predict([[1e30, 1.0]])).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("keep_prob", [1.0, 0.0], ids=["open gates", "closed gates"])
def test_weights_that_the_jitter_makes_infinite_diverge_in_the_first_epoch(device, keep_prob):
    model = SparseCalibrationWeights(
        N, seed=2, device=device, init_keep_prob=keep_prob, init_weights=1e38, log_weight_jitter_sd=9.0
    )
    before = bits(model)
    error = diverges(model, M, Y, lr=lambda epoch: 0.1 * (epoch + 1), epochs=3)
    assert (error.epoch, error.learning_rate) == (1, 0.1)
    assert bits(model) == before


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("device", DEVICES)
def test_no_warning_where_nothing_diverges(kind, device):
    model = kind(N, seed=1, device=device, beta=0.01, init_keep_prob=[0, 1e-9, 0.01, 0.5, 0.999, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(M, Y, lr=0.5, epochs=20)
        assert np.isfinite(model.predict(M)).all()
        assert np.isfinite(model.get_deterministic_gates()).all()
        assert 0.0 <= model.get_sparsity() <= 1.0
        assert np.isfinite(model.get_l0_penalty())


def test_divergence_error_survives_pickle():
    error = DivergenceError(7, 0.25, float("inf"))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is DivergenceError
        assert (copy.epoch, copy.learning_rate, copy.loss) == (7, 0.25, float("inf"))
        assert str(copy) == str(error)


# --- found by trying hard


def test_labels_of_float32_match_their_multipliers():
    groups = np.array([0.1, 0.2, 0.2] * 3, np.float32)
    model = SparseCalibrationWeights(N, seed=1, device="numpy").fit(
        M, Y, epochs=2, target_groups=groups, group_multipliers={groups[0]: 2}
    )
    twin = SparseCalibrationWeights(N, seed=1, device="numpy")
    assert bits(model) == bits(twin.fit(M, Y, epochs=2, target_groups=[1, 2, 2] * 3, group_multipliers={1: 2}))


@pytest.mark.parametrize("columns", [{0: bool}, {0: "Int64", 1: "Float64"}, {0: "Int64", 1: int}, {0: "boolean", 2: "float32"}])
def test_data_frames_of_different_numbers(columns):
    pandas = pytest.importorskip("pandas")
    dense = np.round(10 * np.abs(M)) % 2
    frame = pandas.DataFrame(dense).astype(columns)
    assert np.array_equal(l0np.ColumnMatrix.build(frame).to_scipy().toarray(), dense)
    frame.loc[1, 1] = None if str(frame[1].dtype) == "Float64" else np.nan
    with pytest.raises(InputError, match="M"):
        l0np.ColumnMatrix.build(frame)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "UInt8", "Float32"])
def test_data_frames_that_may_miss_values(dtype):
    pandas = pytest.importorskip("pandas")
    dense = np.round(10 * np.abs(M)) % 2
    frame = pandas.DataFrame(dense).astype(dtype)
    for given in (frame, frame.T.T):
        assert np.array_equal(l0np.ColumnMatrix.build(given).to_scipy().toarray(), dense)
    assert np.array_equal(validation.numeric_array("y", frame[1]), dense[:, 1])
    frame.loc[2, 1] = pandas.NA
    for given in (frame, frame.astype(object), frame.assign(more=True)):
        with pytest.raises(InputError, match=r"M\[2, 1\] is nan"):
            l0np.ColumnMatrix.build(given)
    with pytest.raises(InputError, match=r"y\[2\] is nan"):
        l0np.calibrate(M, frame[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinite_weights_are_refused(dtype):
    model = SparseCalibrationWeights(N, seed=1, device="numpy", dtype=dtype)
    state = model.state_dict() | {"log_weight": np.full(N, 800.0)}
    assert_refused(lambda: model.load_state_dict(state), InputError, ["log_weight[0] = 800", "infinite"], model)
    SparseCalibrationWeights(N, init_weights=np.finfo(dtype).max / 2, dtype=dtype)
    if dtype == "float32":  # rounding its logarithm makes it larger
        largest = np.finfo(dtype).max
        assert_refused(lambda: SparseCalibrationWeights(N, init_weights=largest), InputError, ["init_weights", "infinite"])


def test_series_in_another_order_than_the_rows_are_refused():
    pandas = pytest.importorskip("pandas")
    rows = [f"row {i}" for i in range(len(Y))]
    frame, series = pandas.DataFrame(M, index=rows), pandas.Series(Y, index=rows)
    groups = pandas.Series(range(len(Y)), index=rows)
    model = SparseCalibrationWeights(N, seed=1, device="numpy").fit(frame, series, epochs=1, target_groups=groups)
    for arguments, name in (((frame, series[::-1]), "y"), ((frame, series), "target_groups")):
        other = {"target_groups": groups[::-1]} if name == "target_groups" else {}
        parts = [f"{name} has the labels", f"{name}.reindex(M.index)"]
        assert_refused(lambda a=arguments, o=other: model.fit(*a, **o), InputError, parts, model)
    model.fit(frame, pandas.Series(Y), epochs=1)  # other labels: by position
    linear = SparseL0Linear(N, seed=1, device="numpy")
    assert_refused(lambda: linear.fit(frame, series[::-1]), InputError, ["reindex(X.index)"], linear)


@pytest.mark.parametrize("function", ["calibrate", "l0_path", "check_targets", "diagnose", "target_table", "refit"])
@pytest.mark.parametrize("option", ["dtype", "n_targets", "tolerance", "n_actives"])
def test_unknown_options_are_refused_in_the_name_of_the_function(function, option):
    model = SparseCalibrationWeights(N, seed=1, device="numpy")
    call = {
        "l0_path": lambda **options: l0np.l0_path(M, Y, [3], **options),
        "diagnose": lambda **options: l0np.diagnose(M, Y, np.ones(N), **options),
        "target_table": lambda **options: l0np.target_table(M, Y, np.ones(N), **options),
        "calibrate": lambda **options: l0np.calibrate(np.zeros(3), Y, **options),  # before anything is looked at
        "check_targets": lambda **options: l0np.check_targets(M, Y, **options),
        "refit": lambda **options: model.refit(M, Y, **options),
    }[function]
    parts = [f"{function}() takes no argument '{option}'", "tolerances, caps, aggregates, exclude, names"]
    assert_refused(lambda: call(**{option: 1}), InputTypeError, parts, model)


def labelled():
    """Return a frame with names of rows and columns, its targets and weights of its records."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(M, index=[f"row {i}" for i in range(Q)], columns=[f"record {j}" for j in range(N)])
    return frame, pandas.Series(Y, index=frame.index), pandas.Series(np.arange(1.0, N + 1), index=frame.columns)


def test_weights_in_another_order_than_the_columns_are_refused():
    frame, y, weights = labelled()
    other, model = weights[::-1], SparseCalibrationWeights(N, seed=1, device="numpy").fit(frame, y, epochs=1)
    calls = {
        "base_weights": [
            lambda: l0np.calibrate(frame, y, 3, other),
            lambda: l0np.l0_path(frame, y, [3], base_weights=other),
            lambda: l0np.check_targets(frame, y, other),
            lambda: l0np.diagnose(frame, y, weights, other),
        ],
        "weights": [lambda: l0np.diagnose(frame, y, other), lambda: l0np.target_table(frame, y, other)],
        "reference": [lambda: model.refit(frame, y, reference=other)],
        "init_weights": [lambda: SparseCalibrationWeights(N, init_weights=other, device="numpy").fit(frame, y)],
    }
    for name, several in calls.items():
        for call in several:
            assert_refused(call, InputError, [f"{name} has the labels of M.columns in another order", "reindex(M.columns)"])
    linear = SparseL0Linear(N, init_keep_prob=weights[::-1] / 10, device="numpy")
    assert_refused(lambda: linear.fit(frame, y), InputError, ["init_keep_prob has the labels of X.columns"], linear)
    assert_refused(lambda: l0np.diagnose(M, Y, weights, other), InputError, ["base_weights has the labels of weights.index"])
    by_name, by_position = l0np.calibrate(frame, y, base_weights=weights), l0np.calibrate(M, Y, base_weights=weights)
    np.testing.assert_array_equal(by_name.weights, by_position.weights)


def test_labels_that_say_something_else_are_refused():
    pandas = pytest.importorskip("pandas")
    frame, y, weights = labelled()
    partly, wholly = y.rename({"row 3": "row 99"}), y.rename(lambda name: f"other {name}")
    for target, place in ((partly, "at position 3 'row 99' and not 'row 3'"), (wholly, "at position 0 'other row 0'")):
        parts = ["y has other labels than M.index", place, "y.to_numpy()"]
        assert_refused(lambda y=target: l0np.calibrate(frame, y), InputError, parts)
    parts = ["base_weights has other labels than M.columns"]
    assert_refused(lambda: l0np.calibrate(frame, y, 3, y.iloc[:N]), InputError, parts)
    numbered = pandas.Series(Y)  # a default index says nothing, on either side
    l0np.diagnose(frame, numbered, weights.to_numpy())
    l0np.diagnose(pandas.DataFrame(M), y, weights)
    twice = frame.rename(index={"row 1": "row 0"})
    other = y.rename({"row 1": "row 0"})[::-1]
    assert_refused(lambda: l0np.diagnose(twice, other, weights), InputError, ["another order, and order counts"])


def test_masks_names_and_aggregates_have_the_order_of_the_rows():
    pandas = pytest.importorskip("pandas")
    frame, y, weights = labelled()
    mask = y.index == "row 3"
    for name, value in {
        "exclude": pandas.Series(mask, index=y.index),
        "names": pandas.Series(list("abcdefghi"), index=y.index),
        "aggregates": pandas.Series([1, 1, 1, 2, 2, 2, 3, 3, 3], index=y.index),
    }.items():
        l0np.diagnose(frame, y, weights, **{name: value})
        parts = [f"{name} has the labels of M.index in another order"]
        assert_refused(lambda: l0np.diagnose(frame, y, weights, **{name: value[::-1]}), InputError, parts)  # noqa: B023
    matrix = pandas.DataFrame(np.eye(2, Q), columns=y.index, index=["one", "two"])
    l0np.diagnose(frame, y, weights, aggregates=matrix)
    parts = ["aggregates.T has the labels of M.index in another order"]
    assert_refused(lambda: l0np.diagnose(frame, y, weights, aggregates=matrix[matrix.columns[::-1]]), InputError, parts)
    listed = pandas.Series(["row 0"] * Q, index=list("abcdefghi"))  # names, not a mask
    assert l0np.diagnose(frame, y, weights, exclude=listed).held_out.n == 1


def test_transposed_frames_of_mixed_numbers_are_accepted():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"one": 1, "income": [1.5, 2.5], "female": [True, False]})
    assert l0np.ColumnMatrix.build(frame.T).to_scipy().toarray().tolist() == [[1, 1], [1.5, 2.5], [1, 0]]
    with pytest.raises(InputTypeError, match="object"):
        l0np.ColumnMatrix.build(frame.assign(name="x").T)
    multipliers = pandas.Series({1: 2.0, 2: 1.0})
    model = SparseCalibrationWeights(N, seed=1, device="numpy")
    model.fit(M, Y, epochs=1, target_groups=[1, 2, 2] * 3, group_multipliers=multipliers, callbacks=None, verbose=0)


def test_what_may_be_written_in_other_ways():
    class Device:
        def __str__(self):
            return "numpy"

    model = SparseCalibrationWeights(N, seed=1, device=Device(), use_gates=1)
    assert repr(model) == f"SparseCalibrationWeights(n_features={N}, epoch=0, active={N}, backend='numpy')"
    with pytest.raises(AttributeError):
        model.n_features = 3
    with pytest.raises(InputTypeError, match="verbose must be True or False"):
        model.fit(M, Y, verbose=2)
    seen = []
    model.fit(M, Y, epochs=2, verbose_freq=2, callbacks=[lambda progress: seen.append(repr(progress))])
    assert seen[0].startswith("Progress(epoch=2, loss=")
