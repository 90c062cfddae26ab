"""Models keep the names of the columns that they were fitted to, and use later frames by name."""

import io

import numpy as np
import pytest
from bad_inputs import MATRIX, M, N, Y, assert_refused, bits, both_kinds

from l0np import ColumnMatrix, SparseCalibrationWeights, SparseL0Linear
from l0np.errors import DivergenceError, InputError, InputTypeError

NAMES = tuple("abcdef")


def frames(library):
    """Return a frame with names, and the same with its columns in another order."""
    module = pytest.importorskip(library)
    frame = module.DataFrame({name: M[:, j] for j, name in enumerate(NAMES)})
    return frame, frame[list("fbdace")]


def fitted(kind, X, **settings):
    return kind(N, seed=1, device="numpy").fit(X, Y, **({"lr": 0.05, "epochs": 4} | settings))


@both_kinds
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_are_used_by_name(kind, library):
    frame, other = frames(library)
    model = fitted(kind, frame)
    assert model.column_names_ == NAMES
    for X in (frame, other, M, ColumnMatrix.build(M)):
        assert np.array_equal(model.predict(X), model.predict(M))
    reference = fitted(kind, frame)
    assert bits(model.fit(other, Y, epochs=3)) == bits(reference.fit(frame, Y, epochs=3))
    model.refit(other, Y)
    reference.refit(frame, Y)
    assert bits(model) == bits(reference)


@both_kinds
def test_other_columns_are_refused_by_name(kind):
    frame, _ = frames("pandas")
    model, name = fitted(kind, frame), MATRIX[kind]
    wide = frame.rename(columns={"a": "A", "c": "C"}).assign(more=1.0)
    start = f"{name} has other columns than at the fit: "
    for X, parts in {
        "missing": (frame.drop(columns=["a", "b", "c", "d"]), ['missing "a", "b", "c" (and 1 more)']),
        "more": (frame.assign(more=1.0), ['not known "more"']),
        "both": (wide, ['missing "a", "c", not known "A", "C", "more"']),
        "renamed": (frame.rename(columns={"a": "A"}), [f"pass {name}.to_numpy()", "reset() the model first"]),
    }.values():
        for call in (model.predict, lambda X: model.fit(X, Y), lambda X: model.refit(X, Y)):
            assert_refused(lambda X=X, call=call: call(X), InputError, [start, *parts], model)
    assert_refused(lambda: model.predict(frame.T), InputError, ["It looks transposed"], model)


@both_kinds
def test_repeated_names_matter_only_where_names_are_matched(kind):
    frame, _ = frames("pandas")
    twice = frame.set_axis(list("aabcde"), axis=1)
    model = fitted(kind, twice)
    assert np.array_equal(model.predict(twice), model.predict(M))
    parts = ['several columns of the name "a"', "must be unique"]
    assert_refused(lambda: model.predict(twice[twice.columns[::-1].unique()]), InputError, parts, model)
    assert_refused(lambda: model.predict(twice.set_axis(list("bcdeaa"), axis=1)), InputError, parts, model)


@both_kinds
def test_when_names_are_kept_and_forgotten(kind):
    pandas = pytest.importorskip("pandas")
    frame, other = frames("pandas")
    model = fitted(kind, pandas.DataFrame(M))  # columns that are only numbered
    assert model.column_names_ is None
    model.predict(frame)
    assert model.column_names_ is None
    model.fit(frame, Y, epochs=1)
    model.fit(M, Y, epochs=1)
    assert model.column_names_ == NAMES
    model.reset()
    assert model.column_names_ is None
    model.fit(other, Y, epochs=1)
    assert model.column_names_ == tuple("fbdace")
    fresh = kind(N, seed=1, device="numpy")
    assert fresh.refit(frame, Y) is not None
    assert fresh.column_names_ == NAMES


@both_kinds
def test_a_refused_or_diverged_first_fit_keeps_no_names(kind):
    frame, _ = frames("pandas")
    model = kind(N, seed=1, device="numpy")
    assert_refused(lambda: model.fit(frame, Y, lr=lambda epoch: 0.0), InputError, ["lr"], model)
    with pytest.raises(DivergenceError):
        model.fit(frame, Y, lr=1e30, epochs=50)
    assert model.column_names_ is None


@both_kinds
def test_names_travel_in_the_state(kind):
    frame, other = frames("pandas")
    model = fitted(kind, frame)
    file = io.BytesIO()
    np.savez(file, **model.state_dict())
    file.seek(0)
    loaded = kind(N, device="numpy")
    loaded.load_state_dict(np.load(file))  # allow_pickle is False
    assert loaded.column_names_ == NAMES
    assert np.array_equal(loaded.predict(other), model.predict(frame))
    plain = fitted(kind, M).state_dict()
    assert "column_names" not in plain
    loaded.load_state_dict(plain)
    assert loaded.column_names_ is None


@both_kinds
@pytest.mark.parametrize(
    ("names", "error", "part"),
    [
        (np.array(list("abcde")), InputError, "column_names must have one name for each of 6 columns"),
        (np.arange(N), InputTypeError, "column_names must be an array of strings"),
        (np.array(list("abcdef"), dtype=object), InputTypeError, "column_names must be an array of strings"),
    ],
)
def test_bad_names_in_a_state_are_refused(kind, names, error, part):
    frame, _ = frames("pandas")
    model = fitted(kind, frame)
    bad = fitted(kind, M).state_dict() | {"column_names": names}
    assert_refused(lambda: model.load_state_dict(bad), error, [part], model)


def test_reference_weights_follow_the_columns():
    pandas = pytest.importorskip("pandas")
    frame, other = frames("pandas")
    reference = pandas.Series(np.arange(1.0, N + 1), index=list(NAMES))
    expected = fitted(SparseCalibrationWeights, frame).refit(frame, Y, reference=reference).weights
    for given in (reference, reference[::-1], reference[list(other.columns)]):
        model = fitted(SparseCalibrationWeights, frame)
        assert np.array_equal(model.refit(other, Y, reference=given).weights, expected)
    model = fitted(SparseCalibrationWeights, frame)
    parts = ["reference must be a Series with the names of the columns"]
    assert_refused(lambda: model.refit(other, Y, reference=np.ones(N)), InputError, parts, model)
    assert_refused(
        lambda: model.refit(other, Y, reference=reference.rename({"a": "z"})),
        InputError,
        ["reference has other labels than M.columns"],
        model,
    )
    model.refit(other, Y, reference=2.0)


def test_warnings_of_a_refit_point_to_the_caller():
    X = np.column_stack([M, M[:, 0]])
    model = SparseL0Linear(N + 1, seed=1, device="numpy", init_keep_prob=0.99)
    with pytest.warns(RuntimeWarning, match="have rank") as caught:
        model.refit(X, Y)
    assert [warning.filename for warning in caught] == [__file__]
