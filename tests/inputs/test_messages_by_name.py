"""Messages on frames and Series name targets, records, observations and features by their labels."""

import re

import numpy as np
import pytest
from bad_inputs import M, N, Q, Y, assert_refused, labelled

import l0np
from l0np import ColumnMatrix, SparseCalibrationWeights, SparseL0Linear
from l0np.errors import DivergenceError, InputError, InputTypeError


def calibrations():
    model = SparseCalibrationWeights(N, seed=1, device="numpy")
    return (
        lambda M, y, **options: l0np.calibrate(M, y, seed=0, **options),
        lambda M, y, **options: model.fit(M, y, epochs=1, **options),
        lambda M, y, **options: l0np.diagnose(M, y, np.ones(N), **options),
    )


def regressions():
    model = SparseL0Linear(N, seed=1, device="numpy")
    return lambda X, y: model.fit(X, y, epochs=1), model.refit, l0np.l0_regression_path


def test_entries_are_named_by_target_and_record():
    frame, y, _ = labelled()
    hole = frame.copy()
    hole.loc["row 2", "record 3"] = np.nan
    hole.loc["row 4", "record 1"] = np.inf
    parts = ['M["row 4", "record 1"] is inf', ": 2)", ': target "row 4" of record "record 1"']
    for call in calibrations():
        assert_refused(lambda call=call: call(hole, y), InputError, parts)


def test_entries_are_named_by_feature_and_observation():
    frame, y, _ = labelled()
    hole = frame.copy()
    hole.loc["row 2", "record 3"] = np.nan
    parts = ['X["row 2", "record 3"] is nan', ': feature "record 3" of observation "row 2"']
    for call in regressions():
        assert_refused(lambda call=call: call(hole, y), InputError, parts)
        assert_refused(
            lambda call=call: call(hole.reset_index(drop=True), Y), InputError, ['X[2, "record 3"] is nan']
        )


def test_frames_without_labels_are_spoken_of_by_position():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.where(np.arange(Q * N).reshape(Q, N) == 8, np.nan, M))
    with pytest.raises(InputError) as caught:
        ColumnMatrix.build(frame)
    assert str(caught.value) == "M[1, 2] is nan (non-finite entries: 1)"


def test_columns_and_rows_of_strings():
    pandas = pytest.importorskip("pandas")
    frame, y, _ = labelled()
    text = frame.rename(columns={"record 2": "tenure"}).astype({"record 4": object})
    text["tenure"] = "own"
    parts = ['X must hold real numbers, column "tenure" holds strings (', "pandas.get_dummies"]
    for call in regressions():
        assert_refused(lambda call=call: call(text, y), InputTypeError, parts)
    text["record 0"] = "rent"
    parts = ['column "record 0" (and 1 more) holds strings']
    assert_refused(lambda: l0np.l0_regression_path(text, y), InputTypeError, parts)
    records = frame.T.assign(tenure="own").T
    parts = ['M must hold real numbers, row "tenure" holds strings (object)']
    assert_refused(lambda: l0np.calibrate(records, np.ones(Q + 1)), InputTypeError, parts)
    dates = frame.assign(when=pandas.Timestamp("2020-01-01"))
    parts = ['column "when" holds Timestamp (datetime64', "convert it to numbers"]
    assert_refused(lambda: ColumnMatrix.build(dates), InputTypeError, parts)
    assert_refused(
        lambda: l0np.calibrate(frame, y.astype(object).replace(y.iloc[3], "many")),
        InputTypeError,
        ["y[\"row 3\"] is 'many' (str)"],
    )


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"tolerances": [-1.0] * Q}, 'tolerances["row 0"] = -1, tolerances["row 1"] = -1'),
        ({"caps": [1.0, 0.0] + [1.0] * (Q - 2)}, 'caps["row 1"] = 0: must be above 0'),
        ({"caps": [1.0, 1e-300] + [1.0] * (Q - 2)}, 'caps["row 1"] is of the size'),
        ({"target_weights": [1.0, np.nan] + [1.0] * (Q - 2)}, 'target_weights["row 1"] is nan'),
        ({"target_scales": [1.0, -2.0] + [1.0] * (Q - 2)}, 'target_scales["row 1"] = -2'),
    ],
)
def test_options_name_the_target(options, start):
    frame, y, _ = labelled()
    for call in calibrations():
        for matrix, target in ((frame, y), (frame, Y), (M, y)):  # names of M or of y
            with pytest.raises(InputError) as caught:
                call(matrix, target, **options)
            assert str(caught.value).startswith(start)


def test_y_names_the_target_or_the_observation():
    frame, y, weights = labelled()
    for call in (*calibrations(), *regressions()):
        for matrix, target in ((frame, y), (frame, Y), (M, y)):
            hole = target.copy()
            hole[5 if target is Y else "row 5"] = np.nan
            with pytest.raises(InputError, match=r'^y\["row 5"\] is nan$'):
                call(matrix, hole)
    names = [f"target {i} of ours" for i in range(Q)]
    with pytest.raises(InputError, match=r'^y\["target 5 of ours"\] is nan$'):
        l0np.diagnose(frame, np.where(np.arange(Q) == 5, np.nan, Y), weights, names=names)
    with pytest.raises(InputError, match=r'^y\["row 2"\] = -1'):
        l0np.calibrate(frame, y.where(y.index != "row 2", -1.0), loss_type="relative", n_active=2)


def test_values_of_columns_name_the_record():
    frame, y, weights = labelled()
    for given in (weights - 3.0, (weights - 3.0).to_numpy()):
        with pytest.raises(
            InputError, match=r'^base_weights\["record 0"\] = -2, base_weights\["record 1"\] = -1'
        ):
            l0np.calibrate(frame, y, base_weights=given)
    with pytest.raises(InputError, match=r'^init_weights\["record 0"\] = -2'):
        SparseCalibrationWeights(N, init_weights=weights - 3.0)


def test_names_that_several_targets_have_cannot_be_chosen():
    frame, _, weights = labelled()
    twice = frame.rename(index={"row 1": "row 0"})
    parts = ['exclude names "row 0", which is the name of several targets: give row indices or a mask']
    assert_refused(lambda: l0np.diagnose(twice, Y, weights, exclude=["row 0"]), InputError, parts)
    assert l0np.diagnose(twice, Y, weights, exclude=["row 2"]).held_out.n == 1  # elsewhere harmless


def test_regressions_do_not_speak_of_calibration_nor_calibrations_of_regression():
    frame, y, _ = labelled()
    strings, hole = frame.astype(str), frame.where(frame < 1.9)
    for call in regressions():
        for X, target in ((M[0], Y), (M[:0], Y[:0]), (M, Y[:3]), (strings, y), (hole, y), (M, None)):
            with pytest.raises((InputError, InputTypeError)) as caught:
                call(X, target)
            words = set(re.findall(r"\w+", re.sub('"record [0-9]"', "", str(caught.value))))  # labels aside
            assert not {"M", "target", "targets", "record", "records"} & words
    with pytest.raises(InputError, match="two dimensions \\(observations x features\\)"):
        l0np.l0_regression_path(M[0], Y)
    with pytest.raises(InputError, match="two dimensions \\(targets x records\\)"):
        l0np.calibrate(M[0], Y)
    with pytest.raises(InputError, match="init_keep_prob must have one value for each column: 6 wanted"):
        SparseL0Linear(N, init_keep_prob=[0.5])
    assert "rescale M" not in str(DivergenceError(1, 0.1, np.nan))


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    columns = {"age": [1, 2, 3, 5], "income": [1.5, 0.0, 2.5, 1.0], "owner": [True, False, True, True]}
    frame, expected = polars.DataFrame(columns), np.array(list(columns.values()), float).T
    assert np.array_equal(ColumnMatrix.build(frame).to_scipy().toarray(), expected)
    y = polars.Series([1.0, 2.0, 3.0, 4.0])
    assert np.array_equal(
        l0np.calibrate(frame, y, base_weights=polars.Series([1.0, 2.0, 1.0])).weights,
        l0np.calibrate(expected, y.to_numpy(), base_weights=[1.0, 2.0, 1.0]).weights,
    )
    missing = frame.with_columns(owner=polars.Series([True, None, True, True]))
    assert_refused(lambda: ColumnMatrix.build(missing), InputError, ['M[1, "owner"] is nan'])
    text = frame.with_columns(tenure=polars.Series(["own", "rent", "own", "own"]))
    parts = ['column "tenure" holds strings (String)', "to_dummies"]
    assert_refused(lambda: l0np.l0_regression_path(text, y), InputTypeError, parts)
    assert_refused(lambda: l0np.l0_regression_path(frame.lazy(), y), InputTypeError, ["X.collect()"])
    assert_refused(
        lambda: l0np.calibrate(frame, polars.Series(["a", "b", "c", "d"])), InputTypeError, ["y[0] is 'a'"]
    )
    pandas = pytest.importorskip("pandas")
    other = pandas.Series([1.0, 2.0, 1.0], index=["owner", "age", "income"])
    parts = ["base_weights has the labels of M.columns in another order"]
    assert_refused(lambda: l0np.calibrate(frame, y, base_weights=other), InputError, parts)
