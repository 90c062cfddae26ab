"""Data frames and Series: their numbers, and labels that must be in the order of the matrix."""

import numpy as np
import pytest
from bad_inputs import GROUPS, MATRIX, M, N, Q, Y, assert_refused, bits, both_kinds

import l0np
from l0np import SparseCalibrationWeights
from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation

INTEGERS = np.random.default_rng(1).integers(0, 5, size=(Q, N))


@both_kinds
def test_data_frames(kind):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(INTEGERS, columns=list("abcdef"))
    frame["f"] = frame["f"].astype(float)
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    model.fit(frame, pandas.Series(Y, index=range(100, 100 + Q)), epochs=4)
    state = bits(model)
    assert state.pop("column_names") == (np.dtype("<U1"), np.array(list("abcdef")).tobytes())
    assert state == bits(reference.fit(INTEGERS, Y, epochs=4))
    text = frame.assign(c="text")
    assert_refused(
        lambda: model.fit(text, Y), InputTypeError, [f"{MATRIX[kind]} must hold real numbers"], model
    )
    assert_refused(lambda: model.fit(frame.T, Y), InputError, ["transposed"], model)
    hole = frame.assign(c=np.nan)
    assert_refused(lambda: model.fit(hole, Y), InputError, [f'{MATRIX[kind]}[0, "c"] is nan'], model)
    assert_refused(lambda: model.fit(frame, pandas.DataFrame(Y)), InputError, ["y", "squeeze"], model)


def test_groups_from_pandas():
    pandas = pytest.importorskip("pandas")
    strings = [f"group {label}" for label in GROUPS]
    model, reference = (SparseCalibrationWeights(N, seed=1, device="numpy") for _ in range(2))
    reference.fit(M, Y, epochs=3, target_groups=GROUPS, group_multipliers={2: 3.0})
    for labels in (
        strings,
        pandas.Series(strings),
        pandas.Series(strings, dtype="category"),
        np.array(strings, dtype=object),
    ):
        model.reset()
        model.fit(M, Y, epochs=3, target_groups=labels, group_multipliers={"group 2": 3.0})
        assert bits(model) == bits(reference)
    missing = pandas.Series([*strings[:-1], None])
    assert_refused(lambda: model.fit(M, Y, target_groups=missing), InputTypeError, ["target_groups"], model)


@pytest.mark.parametrize(
    "columns", [{0: bool}, {0: "Int64", 1: "Float64"}, {0: "Int64", 1: int}, {0: "boolean", 2: "float32"}]
)
def test_data_frames_of_different_numbers(columns):
    pandas = pytest.importorskip("pandas")
    dense = np.round(10 * np.abs(M)) % 2
    frame = pandas.DataFrame(dense).astype(columns)
    assert np.array_equal(l0np.ColumnMatrix.build(frame).to_scipy().toarray(), dense)
    frame.loc[1, 1] = None if str(frame[1].dtype) == "Float64" else np.nan
    with pytest.raises(InputError, match="M"):
        l0np.ColumnMatrix.build(frame)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "UInt8", "Float32"])
def test_data_frames_that_may_miss_values(dtype):
    pandas = pytest.importorskip("pandas")
    dense = np.round(10 * np.abs(M)) % 2
    frame = pandas.DataFrame(dense).astype(dtype)
    for given in (frame, frame.T.T):
        assert np.array_equal(l0np.ColumnMatrix.build(given).to_scipy().toarray(), dense)
    assert np.array_equal(validation.numeric_array("y", frame[1]), dense[:, 1])
    frame.loc[2, 1] = pandas.NA
    for given in (frame, frame.astype(object), frame.assign(more=True)):
        with pytest.raises(InputError, match=r'M\[2, ("?)1\1\] is nan'):  # a label, if not all are default
            l0np.ColumnMatrix.build(given)
    with pytest.raises(InputError, match=r"y\[2\] is nan"):
        l0np.calibrate(M, frame[1])


def test_transposed_frames_of_mixed_numbers_are_accepted():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"one": 1, "income": [1.5, 2.5], "female": [True, False]})
    assert l0np.ColumnMatrix.build(frame.T).to_scipy().toarray().tolist() == [[1, 1], [1.5, 2.5], [1, 0]]
    with pytest.raises(InputTypeError, match="object"):
        l0np.ColumnMatrix.build(frame.assign(name="x").T)
    multipliers = pandas.Series({1: 2.0, 2: 1.0})
    model = SparseCalibrationWeights(N, seed=1, device="numpy")
    model.fit(
        M, Y, epochs=1, target_groups=[1, 2, 2] * 3, group_multipliers=multipliers, callbacks=None, verbose=0
    )
