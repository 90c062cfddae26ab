import json
from pathlib import Path

import cupy_stand_in
import pytest
from hypothesis import settings
from support import HAS_CUDA

# Reproducible, and without a deadline: the first call of a kernel compiles it
settings.register_profile("l0np", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("l0np")


@pytest.fixture(scope="session")
def golden():
    return json.loads((Path(__file__).parent / "golden" / "trajectories.json").read_text())


@pytest.fixture(autouse=True)
def cuda_somewhere(request, monkeypatch):
    """Tests for the device "cuda" run on the stand-in for CuPy where there is no such device."""
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    if parameters.get("device") == "cuda" and not HAS_CUDA:
        cupy_stand_in.install(monkeypatch)
