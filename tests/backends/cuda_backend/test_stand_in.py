"""The stand-in for CuPy is as strict as CuPy where that matters."""

import cupy_stand_in
import numpy as np
import pytest
from cuda_support import needs_stand_in
from support import needs_cuda

from l0np.backends.cuda.source import source

pytestmark = [needs_cuda, pytest.mark.cuda]


@needs_stand_in
def test_the_stand_in_refuses_what_cupy_refuses(cuda_somewhere):
    import cupy

    array = cupy.array(np.ones(3))
    with pytest.raises(TypeError, match="host array"):
        array + np.ones(3)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(array)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for forbidden in (
            array.get,
            lambda: cupy.zeros(3),
            lambda: float(array[0]),
            lambda: cupy.array(np.ones(2)),
        ):
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="Capture"):
                forbidden()
        stream.end_capture()
    with pytest.raises(AssertionError, match="exact dtype"):
        cupy_stand_in.Kernel(source(), "weigh")((1,), (32,), (array, 3, array))
