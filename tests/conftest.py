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
