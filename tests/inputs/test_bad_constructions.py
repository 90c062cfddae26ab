"""Arguments of the models' constructors that are refused, and those that are accepted."""

from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest
from bad_inputs import M, N, Y, assert_refused, both_kinds, case

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import BackendUnavailableError, InputError, InputTypeError, L0npError

BAD_CONSTRUCTIONS = [
    case("n_features 0", {"n_features": 0}, InputError, ["at least 1"]),
    case("n_features -1", {"n_features": -1}, InputError, ["at least 1", "-1"]),
    case("n_features 1.5", {"n_features": 1.5}, InputError, ["integer", "1.5"]),
    case("n_features nan", {"n_features": np.nan}, InputError, ["integer"]),
    case("n_features string", {"n_features": "6"}, InputTypeError, ["integer", "'6'"]),
    case("n_features bool", {"n_features": True}, InputTypeError, ["integer"]),
    case("n_features None", {"n_features": None}, InputTypeError, ["integer"]),
    case("beta 0", {"beta": 0}, InputError, ["above 0"]),
    case("beta negative", {"beta": -0.5}, InputError, ["above 0", "-0.5"]),
    case("beta nan", {"beta": np.nan}, InputError, ["finite"]),
    case("beta string", {"beta": "hot"}, InputTypeError, ["'hot'"]),
    case("beta gives 0", {"beta": lambda epoch: 0.0}, InputError, ["beta(0)", "above 0"]),
    case("gamma 0", {"gamma": 0}, InputError, ["below 0"]),
    case("gamma positive", {"gamma": 0.1}, InputError, ["below 0", "0.1"]),
    case("gamma nan", {"gamma": np.nan}, InputError, ["finite"]),
    case("gamma -inf", {"gamma": -np.inf}, InputError, ["finite"]),
    case("zeta 1", {"zeta": 1}, InputError, ["above 1"]),
    case("zeta below 1", {"zeta": 0.9}, InputError, ["above 1", "0.9"]),
    case("zeta nan", {"zeta": np.nan}, InputError, ["finite"]),
    case("zeta string", {"zeta": "1.1"}, InputTypeError, ["'1.1'"]),
    case("init_keep_prob above 1", {"init_keep_prob": 1.01}, InputError, ["at most 1"]),
    case("init_keep_prob negative", {"init_keep_prob": -0.01}, InputError, ["at least 0"]),
    case("init_keep_prob nan", {"init_keep_prob": np.nan}, InputError, ["finite"]),
    case("init_keep_prob None", {"init_keep_prob": None}, InputTypeError, ["None"]),
    case("init_keep_prob string", {"init_keep_prob": "half"}, InputTypeError, ["'half'"]),
    case(
        "init_keep_prob array, one above 1",
        {"init_keep_prob": [0.5] * 5 + [2]},
        InputError,
        ["init_keep_prob[5] = 2"],
    ),
    case(
        "init_keep_prob array, one negative",
        {"init_keep_prob": [-1] + [0.5] * 5},
        InputError,
        ["init_keep_prob[0] = -1"],
    ),
    case(
        "init_keep_prob array, nan",
        {"init_keep_prob": [0.5, np.nan] + [0.5] * 4},
        InputError,
        ["init_keep_prob[1] is nan"],
    ),
    case(
        "init_keep_prob array, inf",
        {"init_keep_prob": [0.5, np.inf] + [0.5] * 4},
        InputError,
        ["init_keep_prob[1] is inf"],
    ),
    case("init_keep_prob short", {"init_keep_prob": [0.5] * 5}, InputError, ["6 wanted", "(5,)"]),
    case(
        "init_keep_prob (N, 1)", {"init_keep_prob": np.full((N, 1), 0.5)}, InputError, ["(6, 1)", "squeeze"]
    ),
    case("init_keep_prob complex", {"init_keep_prob": np.full(N, 0.5j)}, InputTypeError, ["complex128"]),
    case("seed negative", {"seed": -1}, InputError, ["at least 0"]),
    case("seed 2**64", {"seed": 2**64}, InputError, ["at most 18446744073709551615"]),
    case("seed 1.5", {"seed": 1.5}, InputError, ["integer"]),
    case("seed string", {"seed": "1"}, InputTypeError, ["integer"]),
    case("dtype int32", {"dtype": "int32"}, InputError, ["'float32'", "'float64'", "'int32'"]),
    case("dtype float16", {"dtype": np.float16}, InputError, ["'float32'", "'float64'"]),
    case("dtype None", {"dtype": None}, InputError, ["'float32'", "'float64'", "None"]),
    case("dtype unknown", {"dtype": "float23"}, InputError, ["'float32'", "'float64'", "'float23'"]),
    case("dtype no name at all", {"dtype": ",,"}, InputError, ["'float32'", "'float64'"]),
    case(
        "device unknown",
        {"device": "tpu"},
        InputError,
        ["'cpu'", "'numpy'", "'numba'", "'cuda'", "'auto'", "'tpu'"],
    ),
    case("device in capitals", {"device": "CPU"}, InputError, ["'cpu'", "'CPU'"]),
    case("device with a wrong number", {"device": "cuda:-1"}, InputError, ["'cuda:N'", "'cuda:-1'"]),
    case("device None", {"device": None}, InputError, ["'cpu'", "None"]),
    case("test_time_temperature string", {"test_time_temperature": "no"}, InputTypeError, ["True or False"]),
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
        case("init_weights string", {"init_weights": "one"}, InputTypeError, ["'one'"]),
        case(
            "init_weights array, negative",
            {"init_weights": [1, 1, -2, 1, -3, 1]},
            InputError,
            ["[2] = -2", "[4] = -3"],
        ),
        case(
            "init_weights array, nan",
            {"init_weights": [1, 1, 1, 1, 1, np.nan]},
            InputError,
            ["init_weights[5] is nan"],
        ),
        case(
            "init_weights array, 1e39",
            {"init_weights": [1, 1e39, 1, 1, 1, 1]},
            InputError,
            ["init_weights[1] is inf"],
        ),
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
    assert_refused(
        lambda: SparseCalibrationWeights(N, device="numpy", **settings), error, [next(iter(settings)), *parts]
    )


def test_construction_of_regression_is_refused():
    assert_refused(
        lambda: SparseL0Linear(N, fit_intercept="yes"), InputTypeError, ["fit_intercept", "True or False"]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinite_weights_are_refused(dtype):
    model = SparseCalibrationWeights(N, seed=1, device="numpy", dtype=dtype)
    state = model.state_dict() | {"log_weight": np.full(N, 800.0)}
    assert_refused(
        lambda: model.load_state_dict(state), InputError, ["log_weight[0] = 800", "infinite"], model
    )
    SparseCalibrationWeights(N, init_weights=np.finfo(dtype).max / 2, dtype=dtype)
    if dtype == "float32":  # rounding its logarithm makes it larger
        largest = np.finfo(dtype).max
        assert_refused(
            lambda: SparseCalibrationWeights(N, init_weights=largest),
            InputError,
            ["init_weights", "infinite"],
        )


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
        case("float without a fraction", {"n_features": 6.0, "seed": 3.0}),
        case(
            "NumPy numbers", {"n_features": np.int64(6), "beta": np.float32(0.5), "gamma": np.float64(-0.1)}
        ),
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
