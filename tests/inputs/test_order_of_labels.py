"""Series whose labels are not those of the matrix, in its order, are refused."""

from functools import partial

import numpy as np
import pytest
from bad_inputs import M, N, Q, Y, assert_refused, labelled

import l0np
from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import InputError


def test_series_in_another_order_than_the_rows_are_refused():
    pandas = pytest.importorskip("pandas")
    rows = [f"row {i}" for i in range(len(Y))]
    frame, series = pandas.DataFrame(M, index=rows), pandas.Series(Y, index=rows)
    groups = pandas.Series(range(len(Y)), index=rows)
    model = SparseCalibrationWeights(N, seed=1, device="numpy").fit(
        frame, series, epochs=1, target_groups=groups
    )
    for arguments, name in (((frame, series[::-1]), "y"), ((frame, series), "target_groups")):
        other = {"target_groups": groups[::-1]} if name == "target_groups" else {}
        parts = [f"{name} has the labels", f"{name}.reindex(M.index)"]
        assert_refused(lambda a=arguments, o=other: model.fit(*a, **o), InputError, parts, model)
    model.fit(frame, pandas.Series(Y), epochs=1)  # other labels: by position
    linear = SparseL0Linear(N, seed=1, device="numpy")
    assert_refused(lambda: linear.fit(frame, series[::-1]), InputError, ["reindex(X.index)"], linear)


def test_weights_in_another_order_than_the_columns_are_refused():
    frame, y, weights = labelled()
    other, model = weights[::-1], SparseCalibrationWeights(N, seed=1, device="numpy").fit(frame, y, epochs=1)
    calls = {
        "base_weights": [
            lambda: l0np.calibrate(frame, y, 3, other),
            lambda: l0np.l0_path(frame, y, [3], base_weights=other),
            lambda: l0np.check_targets(frame, y, other),
            lambda: l0np.diagnose(frame, y, weights, other),
        ],
        "weights": [lambda: l0np.diagnose(frame, y, other), lambda: l0np.target_table(frame, y, other)],
        "reference": [lambda: model.refit(frame, y, reference=other)],
        "init_weights": [
            lambda: SparseCalibrationWeights(N, init_weights=other, device="numpy").fit(frame, y)
        ],
    }
    for name, several in calls.items():
        for call in several:
            assert_refused(
                call,
                InputError,
                [f"{name} has the labels of M.columns in another order", "reindex(M.columns)"],
            )
    linear = SparseL0Linear(N, init_keep_prob=weights[::-1] / 10, device="numpy")
    assert_refused(
        lambda: linear.fit(frame, y), InputError, ["init_keep_prob has the labels of X.columns"], linear
    )
    assert_refused(
        lambda: l0np.diagnose(M, Y, weights, other),
        InputError,
        ["base_weights has the labels of weights.index"],
    )
    by_name, by_position = (
        l0np.calibrate(frame, y, base_weights=weights),
        l0np.calibrate(M, Y, base_weights=weights),
    )
    np.testing.assert_array_equal(by_name.weights, by_position.weights)


def test_labels_that_say_something_else_are_refused():
    pandas = pytest.importorskip("pandas")
    frame, y, weights = labelled()
    partly, wholly = y.rename({"row 3": "row 99"}), y.rename(lambda name: f"other {name}")
    for target, place in (
        (partly, "at position 3 'row 99' and not 'row 3'"),
        (wholly, "at position 0 'other row 0'"),
    ):
        parts = ["y has other labels than M.index", place, "y.to_numpy()"]
        assert_refused(lambda y=target: l0np.calibrate(frame, y), InputError, parts)
    parts = ["base_weights has other labels than M.columns"]
    assert_refused(lambda: l0np.calibrate(frame, y, 3, y.iloc[:N]), InputError, parts)
    numbered = pandas.Series(Y)  # a default index says nothing, on either side
    l0np.diagnose(frame, numbered, weights.to_numpy())
    l0np.diagnose(pandas.DataFrame(M), y, weights)
    twice = frame.rename(index={"row 1": "row 0"})
    other = y.rename({"row 1": "row 0"})[::-1]
    assert_refused(
        lambda: l0np.diagnose(twice, other, weights), InputError, ["another order, and order counts"]
    )


def test_masks_names_and_aggregates_have_the_order_of_the_rows():
    pandas = pytest.importorskip("pandas")
    frame, y, weights = labelled()
    mask = y.index == "row 3"
    for name, value in {
        "exclude": pandas.Series(mask, index=y.index),
        "names": pandas.Series(list("abcdefghi"), index=y.index),
        "aggregates": pandas.Series([1, 1, 1, 2, 2, 2, 3, 3, 3], index=y.index),
    }.items():
        l0np.diagnose(frame, y, weights, **{name: value})
        parts = [f"{name} has the labels of M.index in another order"]
        call = partial(l0np.diagnose, frame, y, weights, **{name: value[::-1]})
        assert_refused(call, InputError, parts)
    matrix = pandas.DataFrame(np.eye(2, Q), columns=y.index, index=["one", "two"])
    l0np.diagnose(frame, y, weights, aggregates=matrix)
    parts = ["aggregates.T has the labels of M.index in another order"]
    assert_refused(
        lambda: l0np.diagnose(frame, y, weights, aggregates=matrix[matrix.columns[::-1]]), InputError, parts
    )
    listed = pandas.Series(["row 0"] * Q, index=list("abcdefghi"))  # names, not a mask
    assert l0np.diagnose(frame, y, weights, exclude=listed).held_out.n == 1
