"""What the tests of refused input share: a small problem, trained models, and how a refusal is checked."""

import numpy as np
import pytest
from scipy import sparse

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError, InputTypeError, L0npError

Q, N = 9, 6
M = np.random.default_rng(0).uniform(1.0, 2.0, size=(Q, N))
Y = M.sum(axis=1)
KINDS = {"calibration": SparseCalibrationWeights, "regression": SparseL0Linear}
MATRIX = {SparseCalibrationWeights: "M", SparseL0Linear: "X"}
BUILTIN = {InputError: ValueError, InputTypeError: TypeError}
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
GROUPS = [1, 1, 1, 2, 2, 2, 3, 3, 3]
DATES = np.full((Q, N), np.datetime64("2020-01-01"))

both_kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def trained(kind, device="numpy", **settings):
    model = kind(N, **({"seed": 1, "device": device} | settings))
    return model.fit(M, Y, lr=0.05, epochs=3)


def bits(model):
    return {
        name: (np.asarray(value).dtype, np.asarray(value).tobytes())
        for name, value in model.state_dict().items()
    }


def assert_refused(call, error, parts, model=None):
    """`call` raises exactly `error`, its message holds all `parts`, and the model is the same bit for bit."""
    before = bits(model) if model else None
    with pytest.raises(L0npError) as caught:
        call()
    assert caught.type is error
    assert isinstance(caught.value, BUILTIN[error])
    for part in parts:
        assert part in str(caught.value)
    assert model is None or bits(model) == before


def case(name, *rest):
    return pytest.param(*rest, id=name)


def changed(array, place, value, dtype=float):
    result = np.array(array, dtype=dtype)
    result[place] = value
    return result


NAN_AT = changed(M, (2, 3), np.nan)


def broken(format_name, **arrays):
    """Return a matrix whose arrays somebody has changed by hand."""
    matrix = (
        sparse.csr_array(M).asformat(format_name)
        if format_name != "bsr"
        else sparse.bsr_array(M, blocksize=(3, 2))
    )
    for name, change in arrays.items():
        setattr(matrix, name, change(np.array(getattr(matrix, name))))
    return matrix


def at(place, value):
    return lambda array: changed(array, place, value, array.dtype)


def from_epoch(first, bad, good=0.01):
    return lambda epoch: good if epoch < first else bad


def labelled():
    """Return a frame with names of rows and columns, its targets and weights of its records."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        M, index=[f"row {i}" for i in range(Q)], columns=[f"record {j}" for j in range(N)]
    )
    return (
        frame,
        pandas.Series(Y, index=frame.index),
        pandas.Series(np.arange(1.0, N + 1), index=frame.columns),
    )
