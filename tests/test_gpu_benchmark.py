"""What of benchmarks/gpu.py needs no device: timing by slopes, turns, the report; and our rival on the stand-in for CuPy."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from support import needs_cuda, needs_numba

FOLDER = Path(__file__).parent.parent / "benchmarks"
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
    assert calls == [("a", 2), ("b", 2), *[("a", 1), ("a", 3), ("b", 4), ("b", 12)] * 2]
    assert {name: len(figures) for name, figures in seconds.items()} == {"a": 2, "b": 2}


def test_report(gpu):
    machine = {"card": "Card", "cuda": 13000, "driver": 13000, "cupy": "14"}
    seconds = {"ours": [2e-3, 1e-3, 9.0], "original": [40e-3] * 3}
    results = {
        "machine": machine,
        "copy_bandwidth": 3e12,
        "problems": {"national-5m": {"entries": 200_000_000, "seconds": seconds}},
    }
    report = gpu.table(results)
    assert "# An epoch on Card" in report
    assert "| 200.0 M | 2,000.0 | 600 | 20% | 40,000 | - | - | **20** |" in report


@needs_numba
@needs_cuda
@pytest.mark.cuda
def test_our_rival_runs(gpu):
    case = gpu.CASES["sized-4"]()
    case.model.pop("init_keep_prob")
    fits = {"ours": gpu.ours(case, 1, "cuda")}
    seconds = gpu.take_turns(fits, {"ours": 1}, turns=1)
    assert np.isfinite(seconds["ours"]).all()
