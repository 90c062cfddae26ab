import json
from pathlib import Path

import pytest
from hypothesis import settings

# Reproducible, and without a deadline: the first call of a kernel compiles it
settings.register_profile("l0np", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("l0np")


@pytest.fixture(scope="session")
def golden():
    return json.loads((Path(__file__).parent / "golden" / "trajectories.json").read_text())


@pytest.fixture(autouse=True)
def cuda_somewhere(request, monkeypatch):
    """Tests marked `cuda` run on the stand-in for CuPy where there is no CUDA device."""
    if request.node.get_closest_marker("cuda"):
        # here: SciPy, imported before the tests' filters of warnings are set, would be silenced by none
        import cupy_stand_in
        from support import HAS_CUDA

        if not HAS_CUDA:
            cupy_stand_in.install(monkeypatch)
