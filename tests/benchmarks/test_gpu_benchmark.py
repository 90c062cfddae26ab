"""What of benchmarks/gpu.py needs no device: timing by slopes, turns, the report; and our rival on the stand-in for CuPy."""

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


def test_an_epoch_is_the_slope_between_two_fits(gpu):
    now = 0.0

    def fit(epochs):
        nonlocal now
        now += 5.0 + 0.25 * epochs  # the start does not count

    assert gpu.slope(fit, 10, clock=lambda: now) == 0.25


def test_rivals_take_turns(gpu):
    calls = []
    fits = {name: (lambda epochs, name=name: calls.append((name, epochs))) for name in ("a", "b")}
    seconds = gpu.take_turns(fits, {"a": 1, "b": 4}, turns=2)
    assert calls == [("a", 1), ("a", 3), ("b", 4), ("b", 12)] * 2
    assert {name: len(figures) for name, figures in seconds.items()} == {"a": 2, "b": 2}


def test_a_rival_that_fails_is_named_with_its_reason_and_ours_must_run(gpu):
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


@pytest.mark.skipif(not (find_spec("torch") and find_spec("l0")), reason="PyTorch and l0-python are not installed")
@pytest.mark.filterwarnings("ignore")  # PyTorch calls its sparse tensors a beta
def test_rivals_do_not_get_in_each_others_way(gpu):
    case = gpu.CASES["sized-4"]()
    _, failures = gpu.ready({"torch": lambda: gpu.torch_user(case, "cpu"), "original": lambda: gpu.original(case, "cpu")})
    assert failures == {}


def test_report(gpu):
    machine = {"card": "Card", "cuda": 13000, "driver": 13000, "cupy": "14"}
    seconds = {"ours": [2e-3, 1e-3, 9.0], "original": [40e-3] * 3}
    results = {
        "machine": machine,
        "copy_bandwidth": 3e12,
        "problems": {"national-5m": {"entries": 200_000_000, "seconds": seconds, "failures": {"torch": "E: no"}}},
    }
    report = gpu.table(results)
    assert "# An epoch on Card" in report
    assert "| 200.0 M | 2,000.0 | 600 | 20% | 40,000 | - | - | **20** |" in report
    assert report.endswith("national, 19,480 x 5,000,000: torch did not run, E: no.\n")


@needs_numba
@needs_cuda
@pytest.mark.cuda
def test_results_are_written_with_the_name_of_the_card(gpu, monkeypatch, tmp_path):
    """Our epochs run on the stand-in for CuPy where there is no device; a card's name and bandwidth cannot."""
    monkeypatch.setattr(gpu, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gpu, "EPOCHS", {"sized-4": dict.fromkeys(("ours", "cpu", "torch", "original"), 1)})
    monkeypatch.setattr(gpu, "TITLES", {"sized-4": "10,000 non-zeros"})
    told = {"card": "Some Card", "cuda": 13020, "driver": 13020, "cupy": "14.2.0"}
    monkeypatch.setattr(gpu, "machine", lambda index: (told, 3e12))
    gpu.main(["sized-4", "--turns", "2"])
    results = json.loads((tmp_path / "results" / "gpu.json").read_text())
    assert results["machine"] == told
    for rival in ("ours", "cpu"):
        assert len(results["problems"]["sized-4"]["seconds"][rival]) == 2
        assert np.isfinite(results["problems"]["sized-4"]["seconds"][rival]).all()
    report = (tmp_path / "results" / "gpu.md").read_text()
    assert report.startswith("# An epoch on Some Card")
    assert "| 10,000 non-zeros | 0.0 M |" in report
