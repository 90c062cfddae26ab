"""The table of l0-python's names is complete, and each line of it runs."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import l0np

ROOT = Path(__file__).parent.parent
TABLE = (ROOT / "docs" / "names.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| `(.+?)` \| .+ \|$", TABLE, flags=re.MULTILINE)
ORIGINAL = [
    "HardConcrete", "L0Linear", "L0Conv2d", "L0DepthwiseConv2d", "SparseMLP", "prune_model",
    "SparseL0Linear", "SparseCalibrationWeights", "L0Gate", "SampleGate", "FeatureGate", "HybridGate",
    "compute_l0_penalty", "compute_l2_penalty", "compute_l0l2_penalty", "get_sparsity_stats",
    "get_active_parameter_count", "TemperatureScheduler", "update_temperatures", "PenaltyTracker",
]  # fmt: skip


def test_the_table_is_complete():
    assert sorted(name for name, _, _ in ROWS) == sorted(ORIGINAL)
    assert len(set(ORIGINAL)) == 20


@pytest.fixture(scope="module")
def names():
    rng = np.random.default_rng(0)
    return {"np": np, "X": rng.random((6, 4)), "y": rng.random(6)}


@pytest.mark.parametrize(("name", "module", "code"), ROWS, ids=[name for name, _, _ in ROWS])
def test_each_line_runs_as_it_is_written(name, module, code, names):
    thing = getattr(importlib.import_module(module), name)
    assert callable(thing)
    assert getattr(l0np, name) is thing
    assert name in l0np.__all__
    assert f"{name}(" in code
    for earlier, of, line in ROWS:  # so that each line can be run alone
        names[earlier] = getattr(importlib.import_module(of), earlier)
        if earlier == name:
            break
        if "=" in line.split("(")[0]:
            exec(line, names)
    exec(code, names)
