"""What `calibrate` and `l0_path` refuse, and that they do so before any work."""

import numpy as np
import pytest
from survey_problems import problem

import l0np
from l0np.errors import InputError, InputTypeError, L0npError
from l0np.refit import RefitProblem


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n_active": 0}, InputError, "n_active must be at least 1"),
        ({"n_active": 301}, InputError, "n_active must be at most 300"),
        ({"n_active": 2.5}, InputError, "n_active must be a"),
        ({"n_active": "few"}, InputTypeError, "n_active"),
        ({"n_active": 5, "base_weights": -1.0}, InputError, "base_weights"),
        ({"n_active": 5, "base_weights": 0.0}, InputError, "base_weights are all 0"),
        (
            {"n_active": 5, "base_weights": np.eye(1, 300)[0]},
            InputError,
            "at most 1, the number of records with",
        ),
        ({"n_active": 5, "method": "magic"}, InputError, "method"),
        ({"n_active": 5, "distance": "magic"}, InputError, "distance"),
        ({"n_active": 5, "seed": -1}, InputError, "seed"),
        ({"n_active": 5, "epochs": 0}, InputError, "epochs"),
        ({"n_active": 5, "lr": 0}, InputError, "lr"),
        ({"n_active": 5, "total": 0}, InputError, "total"),
        ({"n_active": 5, "exclude": [99]}, InputError, "exclude"),
        ({"n_active": 5, "device": "gpu"}, InputError, "device must be one of"),
        (
            {"n_active": 5, "dtype": "float16"},
            InputError,
            "dtype must be 'float32' or 'float64', got 'float16'",
        ),
        (
            {"n_active": 5, "bounds": (0, None)},
            InputError,
            r"bounds\[0\] must be above 0, where records.*got 0",
        ),
        ({"n_active": 5, "bounds": (None, None)}, InputError, r"bounds\[0\] must be above 0.*got None"),
        ({"n_active": 5, "bounds": np.array([-1, 3])}, InputError, r"bounds\[0\] must be above 0.*got -1"),
        ({"bounds": {0.05, 3}}, InputTypeError, "bounds must be a pair"),
        (
            {"cap": 1},
            InputTypeError,
            'calibrate has no argument "cap": did you mean caps\\?',
        ),
        (
            {"nactive": 5, "cap": 1},
            InputTypeError,
            r'calibrate has no argument "nactive" \(and 1 more\): did you mean n_active\?',
        ),
        ({"caps": 1e-300}, InputError, r"caps\[0\] is of the size 1e-300 \(and 7 more\)"),
        ({"target_scales": 1e-300}, InputError, r"target_scales\[0\] is of the size 1e-300"),
        ({"tolerances": 1e155}, InputError, r"tolerances is of the size 1e\+155"),
        ({"base_weights": 1e200}, InputError, r"base_weights\[0\] is of the size 1e\+200"),
        (
            {"base_weights": 1e40, "dtype": "float32"},
            InputError,
            r"base_weights holds 1e\+40, beyond .* float32",
        ),
        ({"total": 1e-300}, InputError, "total is of the size 1e-300"),
        ({"target_scales": 1e-49}, InputError, "times what errors are divided by"),
    ],
)
def test_calibrate_refuses(options, error, text):
    M, y, _ = problem()
    with pytest.raises(error, match=text):
        l0np.calibrate(M, y, **options)


def test_entries_beyond_the_range_of_training_are_refused():
    M, y, _ = problem()
    M[2, 7] = 1e40
    with pytest.raises(
        InputError, match=r"M holds 1e\+40, beyond the range of float32: .* dtype=\"float64\""
    ):
        l0np.calibrate(M, y, 5, dtype="float32")
    assert len(l0np.calibrate(M, y, 5, seed=0).indices) == 5


@pytest.mark.parametrize(
    "options",
    [
        {"n_active": 0},
        {"n_active": 5, "method": "magic"},
        {"n_active": 5, "lr": 0},
        {"n_active": 5, "bounds": (0.0, None)},
        {"n_active": 5, "distance": "logit", "bounds": (-1, 3)},
        {"n_active": 5, "dtype": "float16"},
        {"n_active": 5, "base_weights": 1e40, "dtype": "float32"},
    ],
)
@pytest.mark.parametrize(
    "call", [l0np.calibrate, lambda M, y, n_active, **rest: l0np.l0_path(M, y, [n_active], **rest)]
)
def test_what_is_refused_is_refused_before_any_work(monkeypatch, call, options):
    monkeypatch.setattr(RefitProblem, "refit", lambda *arguments: pytest.fail("work was done"))
    M, y, _ = problem()
    with pytest.raises(L0npError):
        call(M, y, **options)


@pytest.mark.parametrize("size", [1e-155, 1e-60, 1e60, 1e155, 1e200])
def test_sizes_whose_squares_leave_the_range_are_refused(size):
    M, y, base = problem()
    weights = {"weights": size * base}
    model = l0np.SparseCalibrationWeights(300, device="numpy", dtype="float64")
    for call in (
        lambda: l0np.calibrate(size * M, y),
        lambda: l0np.calibrate(M, size * y),
        lambda: l0np.calibrate(M, y, 5, size * base),
        lambda: l0np.check_targets(M, size * y),
        lambda: l0np.diagnose(size * M, y, base),
        lambda: l0np.diagnose(M, y, **weights),
        lambda: l0np.diagnose(M, y, base, size * base),
        lambda: l0np.target_table(M, size * y, base),
        lambda: model.refit(M, y, reference=size * base),
    ):
        with pytest.raises(InputError, match=r"is of the size .*(leave the range of float64|and \d+ more)"):
            call()


def test_a_matrix_that_looks_transposed():
    M, y, base = problem()
    for call in (l0np.calibrate, l0np.check_targets, lambda M, y: l0np.diagnose(M, y, base)):
        with pytest.raises(InputError, match=r"M must have one row .* has shape \(300, 8\)\. .* pass M\.T"):
            call(M.T, y)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "exactly one of n_active and lambda_l0, got neither"),
        ({"n_active": [1], "lambda_l0": [1.0]}, "exactly one of n_active and lambda_l0, got both"),
        ({"n_active": []}, "at least one size"),
        ({"n_active": [5, 301]}, r"n_active\[1\] must be at most 300"),
        ({"lambda_l0": [-1.0]}, r"lambda_l0\[0\]"),
    ],
)
def test_paths_refuse(options, text):
    M, y, _ = problem()
    with pytest.raises(InputError, match=text):
        l0np.l0_path(M, y, **options)
    with pytest.raises(InputTypeError, match="n_active must be a sequence of numbers"):
        l0np.l0_path(M, y, n_active=30)


def test_the_smallest_adequate_refuses():
    M, y, _ = problem()
    path = l0np.l0_path(M, y, n_active=[30], seed=0)
    with pytest.raises(InputError, match="needs at least one of max_error"):
        path.smallest_adequate()
    with pytest.raises(InputTypeError, match="share_within"):
        path.smallest_adequate(share_within=0.9)
