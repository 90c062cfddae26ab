"""The parts of benchmarks/gpu.py that need no device: timing by slopes, turns, the report, our own fit."""

import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support import needs_cuda, needs_numba

FOLDER = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not here")


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("gpu")
    for name in ("gpu", "rivals", "problems"):
        sys.modules.pop(name, None)


def small_case():
    return importlib.import_module("problems").sized(10_000)


def test_an_epoch_is_the_slope_between_two_fits(gpu):
    now = 0.0

    def fit(epochs):
        nonlocal now
        now += 5.0 + 0.25 * epochs  # the constant part does not count

    assert gpu.slope(fit, 10, clock=lambda: now) == 0.25


def test_rivals_take_turns(gpu):
    calls = []
    fits = {name: (lambda epochs, name=name: calls.append((name, epochs))) for name in ("a", "b")}
    seconds = gpu.take_turns(fits, {"a": 1, "b": 4}, turns=2)
    assert calls == [("a", 1), ("a", 3), ("b", 4), ("b", 12)] * 2
    assert {name: len(figures) for name, figures in seconds.items()} == {"a": 2, "b": 2}


def test_a_rival_that_fails_is_reported_with_its_error_and_our_own_error_is_raised(gpu):
    def broken(epochs):
        raise MemoryError(f"no room for {epochs} epochs\nand more")

    def fit(epochs):
        return epochs

    assert gpu.ready({"ours": lambda: fit, "torch": lambda: broken}) == (
        {"ours": fit},
        {"torch": "MemoryError: no room for 2 epochs"},
    )
    with pytest.raises(MemoryError):
        gpu.ready({"ours": lambda: broken})


@pytest.mark.skipif(
    not (find_spec("torch") and find_spec("l0")), reason="PyTorch and l0-python are not installed"
)
@pytest.mark.filterwarnings("ignore")  # PyTorch calls its sparse tensors a beta
def test_rivals_in_one_process_do_not_disturb_each_other(gpu):
    case = small_case()
    makers = {"torch": lambda: gpu.torch_user(case, "cpu"), "original": lambda: gpu.original(case, "cpu")}
    _, failures = gpu.ready(makers)
    assert failures == {}


def test_report(gpu):
    machine = {"card": "Card", "cuda": 13000, "driver": 13000, "cupy": "14"}
    found = {
        "title": "national",
        "entries": 200_000_000,
        "seconds": {"ours": [2e-3, 1e-3, 9.0], "original": [40e-3] * 3},
        "failures": {"torch": "E: no"},
    }
    report = gpu.table({"machine": machine, "copy_bandwidth": 3e12, "problems": {"national-5m": found}})
    assert "# An epoch on Card" in report
    assert "| national | 200.0 M | 2,000.0 | 600 | 20% | 40,000 | - | - | **20** |" in report
    assert report.endswith("national: torch did not run, E: no.\n")


@pytest.mark.slow  # runs every rival of the benchmark once
@needs_numba
@needs_cuda
@pytest.mark.cuda
def test_results_are_written_with_the_name_of_the_card(gpu, tmp_path):
    """Without a device our epochs run on the stand-in for CuPy, which has neither name nor bandwidth."""
    about = {"card": "Some Card", "cuda": 13020, "driver": 13020, "cupy": "14.2.0"}
    epochs = dict.fromkeys(("ours", "cpu", "torch", "original"), 1)
    problem = gpu.Problem("10,000 non-zeros", small_case, epochs)
    gpu.measure({"small": problem}, "cuda", 2, (about, 3e12), tmp_path / "results")
    results = json.loads((tmp_path / "results" / "gpu.json").read_text())
    assert results["machine"] == about
    for rival in ("ours", "cpu"):
        assert len(results["problems"]["small"]["seconds"][rival]) == 2
        assert np.isfinite(results["problems"]["small"]["seconds"][rival]).all()
    report = (tmp_path / "results" / "gpu.md").read_text()
    assert report.startswith("# An epoch on Some Card")
    assert "| 10,000 non-zeros | 0.0 M |" in report
