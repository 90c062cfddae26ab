"""The pages of results are what the scripts write from the figures beside them; nobody types a figure."""

import importlib
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
RESULTS = FOLDER / "results"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the benchmarks are not here")


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a benchmark by name; what it imported is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in [name for name, module in sys.modules.items() if is_benchmark(module)]:
        del sys.modules[name]


def is_benchmark(module):
    return Path(getattr(module, "__file__", None) or "").parent == FOLDER


@pytest.mark.parametrize("name", ["refit", "selection", "regression"])
def test_page_of_a_benchmark(load, name):
    found = json.loads((RESULTS / f"{name}.json").read_text())
    assert load(name).page(found["rows"], found["machine"]) == (RESULTS / f"{name}.md").read_text()


def test_page_of_regressions_on_real_data(load):
    found = json.loads((RESULTS / "sklearn.json").read_text())
    assert load("sklearn_data").page(found["rows"], found["machine"]) == (RESULTS / "sklearn.md").read_text()


def test_page_of_the_epoch_on_the_cpu(load):
    found = json.loads((RESULTS / "cpu.json").read_text())
    assert load("cpu_report").page(found) == (RESULTS / "cpu.md").read_text()
