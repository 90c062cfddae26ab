"""What the CUDA kernels share with Python, and what they write a second time."""

import dataclasses
import re

import numpy as np
import pytest
from support import needs_cuda

from l0np.backends.cuda.source import Clock, enums, source
from l0np.backends.numpy.constants import EpochConstants, epoch_constants
from l0np.engine.state import Problem
from l0np.maths import exponential, hard_concrete, philox
from l0np.maths.hard_concrete import HardConcrete
from l0np.maths.links import ExponentialLink

pytestmark = [needs_cuda, pytest.mark.cuda]


def enum(name, text):
    (body,) = re.findall(rf"enum {name} \{{(.*?)\}}", text, re.S)
    return [item.split("=")[0].strip() for item in body.split(",") if item.strip()]


def test_what_kernels_share_with_python_is_written_by_python():
    assert enum("Clock", enums())[:-1] == [position.name for position in Clock]
    assert enum("Constant", enums())[:-1] == [name.upper() for name in EpochConstants._fields]
    assert source().count("enum ") == 4
    assert "#include" not in source()


def test_constants_of_the_kernels_are_those_of_the_reference():
    text = source()
    for name in ("EXP_RANGE", "LOG2_E", "LN2_HIGH", "LN2_LOW", "LN2"):
        (value,) = re.findall(rf"\b{name} = (-?[\d.e-]+)f?[,;]", text)
        assert float(value) == getattr(exponential, name)
    problem = Problem(
        None,
        np.zeros(1),
        None,
        ExponentialLink(),
        lambda epoch: HardConcrete(0.5 + epoch),
        0.125,
        lambda epoch: 0.1,
    )
    row = EpochConstants(*epoch_constants(problem, -0.25, 3, 3, 1, np.dtype("float64"))[0])
    gates, before = HardConcrete(3.5), HardConcrete(2.5)
    assert row.beta == 3.5
    assert (row.shift, row.penalty_shift) == (gates.shift, before.shift)
    assert (row.lambda_l0, row.lambda_l2, row.bound) == (-0.25, 0.125, hard_concrete.LOG_ALPHA_BOUND)
    anchored = dataclasses.replace(problem, l2_anchor=np.zeros(1))
    both = EpochConstants(*epoch_constants(anchored, -0.25, 3, 3, 1, np.dtype("float64"))[0])
    assert (row.lambda_anchor, both.lambda_l2, both.lambda_anchor) == (0, 0, 0.125)
    assert (row.decay1, row.decay2, row.epsilon) == (0.9, 0.999, 1e-8)
    for number in (*philox.MULTIPLIERS, *philox.KEY_STEPS):
        assert f"0x{number:X}u" in text
