"""Answers as frames and files, and repeated from their settings."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import l0np
from l0np.errors import InputError

N = 60
rng = np.random.default_rng(0)
PEOPLE = {
    "person": [f"p{i}" for i in range(N)],
    "sex": rng.choice(["f", "m"], N).tolist(),
    "income": rng.lognormal(3, 1, N).round(1).tolist(),
    "weight": rng.uniform(5, 9, N).round(2).tolist(),
}
TOTALS = {"sex": {"f": 220.0, "m": 200.0}, "income": 15000.0}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def problem_of(kind="polars"):
    return l0np.margins(FRAMES[kind](PEOPLE), TOTALS, weight="weight", id="person")


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_the_kind_that_came_in(kind):
    problem = problem_of(kind)
    answer = l0np.calibrate(problem, n_active=20, seed=0)
    frame = answer.to_frame()
    assert type(frame) is type(FRAMES[kind](PEOPLE))
    read = {"pyarrow": "to_pydict", "polars": "to_dict", "pandas": "to_dict"}[kind]
    columns = pd.DataFrame(getattr(frame, read)())
    columns.columns = ["person", "weight", "base_weight", "ratio"]
    assert columns["person"].tolist() == [PEOPLE["person"][i] for i in answer.indices]
    assert columns["weight"].tolist() == answer.selected_weights.tolist()
    assert columns["base_weight"].tolist() == [PEOPLE["weight"][i] for i in answer.indices]
    np.testing.assert_allclose(columns["ratio"], columns["weight"] / columns["base_weight"])
    assert len(answer.to_frame(all=True)) == N
    for other in (answer.targets, answer.diagnostics, l0np.l0_path(problem, n_active=[9, 20], seed=0)):
        assert type(other.to_frame()) is type(frame)


def test_the_table_of_targets():
    answer = l0np.calibrate(problem_of(), n_active=20, seed=0, tolerances=[1.0, 0.0, 2.0])
    frame = answer.targets.to_frame()
    assert frame.columns == ["name", "group", "target", "before", "after", "error", "tolerance", "met"]
    assert frame["name"].to_list() == ["sex = f", "sex = m", "sum of income"]
    is_f = np.array(PEOPLE["sex"]) == "f"
    before = [
        np.dot(is_f, PEOPLE["weight"]),
        np.dot(~is_f, PEOPLE["weight"]),
        np.dot(PEOPLE["income"], PEOPLE["weight"]),
    ]
    np.testing.assert_allclose(frame["before"], before)
    assert frame["after"].to_list() == answer.targets.estimate.tolist()
    assert frame["error"].to_list() == answer.targets.error.tolist()
    assert frame["tolerance"].to_list() == [1.0, 0.0, 2.0]
    assert frame["met"].all()
    assert answer.targets.worst(1).to_frame().shape == (1, 8)


def test_before_in_diagnoses():
    table = l0np.diagnose([[1.0, 2.0]], [5.0], [1.0, 2.0], base_weights=[1.0, 1.0]).targets
    assert table.to_frame()["before"].to_list() == [3.0]
    assert np.isnan(l0np.diagnose([[1.0, 2.0]], [5.0], [1.0, 2.0]).targets.to_frame()["before"][0])


def test_records_without_identifiers():
    M = pd.DataFrame([[1.0, 1.0, 1.0]], columns=["a", "b", "c"])
    assert l0np.calibrate(M, [6.0]).to_frame()["record"].tolist() == ["a", "b", "c"]
    frame = l0np.calibrate(M.to_numpy(), [6.0], base_weights=[1.0, 0.0, 1.0]).to_frame(all=True)
    assert frame["record"].to_list() == [0, 1, 2]
    assert np.isnan(frame["ratio"][1])


def test_paths_and_diagnostics():
    path = l0np.l0_path(problem_of("pandas"), n_active=[9, 20], seed=0)
    frame = path.to_frame()
    assert frame["records"].tolist() == [9, 20]
    assert frame["within_10"].tolist() == path.within[:, 1].tolist()
    assert frame["effective_sample_size"].tolist() == path.effective_sample_size.tolist()
    found = l0np.calibrate(
        problem_of("pandas"), target_groups=["sex", "sex", "income"], exclude=[2]
    ).diagnostics
    assert found.to_frame()["targets"].tolist() == ["targets", "sex", "held out"]
    assert found.to_frame()["number"].tolist() == [2, 2, 1]


def test_errors_of_diagnostics():
    M, y = np.eye(4), np.array([10.0, 10.0, 10.0, 10.0])
    found = l0np.diagnose(M, y, [10.0, 10.7, 12.0, 14.0], names=list("abcd"), tolerances=[0, 1, 0, 0])
    row = found.to_frame().to_dicts()[0]
    assert [row[name] for name in ("within_5", "within_10", "within_25", "met")] == [0.25, 0.5, 0.75, 0.5]
    assert (row["targets"], row["number"], row["worst_name"]) == ("targets", 4, "d")
    assert [row["median"], row["mean"], row["worst"]] == pytest.approx([0.135, 0.1675, 0.4])


def test_files(tmp_path):
    answer = l0np.calibrate(problem_of(), n_active=20, seed=0)
    things = {"answer": answer, "targets": answer.targets, "diagnostics": answer.diagnostics}
    things["path"] = l0np.l0_path(problem_of(), n_active=[9, 20], seed=0)
    for name, thing in things.items():
        for ending in ("csv", "parquet", "npz"):
            thing.write(tmp_path / f"{name}.{ending}")
        assert pl.read_csv(tmp_path / f"{name}.csv").columns == thing.to_frame().columns
        assert pl.read_parquet(tmp_path / f"{name}.parquet").equals(thing.to_frame(), null_equal=True)
    with np.load(tmp_path / "answer.npz") as arrays:
        assert arrays["weight"].tolist() == answer.selected_weights.tolist()
    answer.write(tmp_path / "all.csv", all=True)
    assert len(pl.read_csv(tmp_path / "all.csv")) == N
    with pytest.raises(InputError, match=r"must end in \.csv or \.parquet or \.npz"):
        answer.write(tmp_path / "weights.xlsx")


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_active": 20},
        {"n_active": 20, "method": "gates", "epochs": 30, "dtype": np.float32},
        {"distance": "raking", "bounds": (0.2, 9.0), "caps": np.array([1.0, 2.0, 3.0]), "total": 425.0},
        {"base_weights": np.linspace(5, 8, N), "exclude": {"sum of income"}},
    ],
)
def test_settings_repeat_an_answer(arguments):
    problem = problem_of()
    answer = l0np.calibrate(problem, **arguments)
    again = l0np.calibrate(problem, **json.loads(json.dumps(answer.settings)))
    assert (again.weights == answer.weights).all()
    assert set(arguments) <= set(answer.settings)
    assert again.settings == answer.settings


def test_settings_repeat_a_path():
    path = l0np.l0_path(problem_of(), lambda_l0=[0.1, 1e-4], epochs=40)
    again = l0np.l0_path(problem_of(), **json.loads(json.dumps(path.settings)))
    for one, other in zip(path.answers, again.answers, strict=True):
        assert (one.weights == other.weights).all()
