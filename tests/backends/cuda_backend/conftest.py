import pytest

from l0np.backends import get_backend


@pytest.fixture
def backend(cuda_somewhere):
    return get_backend("cuda")
