"""`--certainty` and `--at-least`: as columns, files and levels, with units, and in settings."""

import json
import os

import numpy as np
import polars as pl
import pytest

import l0np
from l0np.cli import main

N, UNITS = 120, 60


@pytest.fixture
def people(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    household = np.sort(rng.integers(0, UNITS, N))
    frame = pl.DataFrame(
        {
            "id": [f"P{i:03}" for i in range(N)],
            "household": [f"H{i:02}" for i in household],
            "region": np.array(["north", "south", "west"])[np.minimum(household // 25, 2)].tolist(),
            "age": rng.integers(0, 90, N).tolist(),
            "large": [("yes" if i in (3, 40, 77) else ("no" if i % 2 else None)) for i in range(N)],
            "weight": rng.uniform(5, 9, UNITS).round(2)[household].tolist(),
        }
    )
    frame.write_csv(tmp_path / "people.csv")
    (tmp_path / "totals.csv").write_text("age,value\n,950\n0-17,200\n")
    monkeypatch.chdir(tmp_path)
    return frame


def run(*options):
    command = ["calibrate", "people.csv", "totals.csv", "--weight", "weight", "--n-active", "20"]
    assert main([*command, "--seed", "5", "--output", "w.csv", *options]) == 0
    return pl.read_csv("w.csv")


@pytest.mark.parametrize(
    "text", ["id\nP003\nP040\nP077\n", "id,why\nP003,a\nP040,b\nP077,c\n", "who\nP003\nP040\nP077\n"]
)
def test_a_file_and_a_column_stand_for_the_same_records(people, tmp_path, text):
    (tmp_path / "certain.csv").write_text(text)
    by_column = run("--id", "id", "--certainty", "large")
    assert len(by_column) == 20
    assert {"P003", "P040", "P077"} <= set(by_column["id"])
    assert run("--id", "id", "--certainty", "certain.csv").equals(by_column)
    problem = l0np.margins("people.csv", "totals.csv", weight="weight", id="id")
    answer = l0np.calibrate(problem, n_active=20, seed=5, certainty=[3, 40, 77])
    assert by_column.equals(answer.to_frame())


def test_units_of_certain_members_are_certain(people, tmp_path):
    certain = set(people["household"].gather([3, 40, 77]))
    by_column = run("--unit", "household", "--certainty", "large")
    assert certain <= set(by_column["household"])
    (tmp_path / "certain.csv").write_text("household\n" + "\n".join(sorted(certain)) + "\n")
    assert run("--unit", "household", "--certainty", "certain.csv").equals(by_column)


@pytest.mark.parametrize("unit", [(), ("--unit", "household")])
def test_least_numbers_by_level(people, unit):
    key = "household" if unit else "id"
    area = dict(zip(people[key], people["region"], strict=True))

    def counts(*options):
        found = run("--id", "id", *unit, *options)
        return {level: sum(area[one] == level for one in found[key]) for level in ("north", "south", "west")}

    assert counts("--at-least", "region=6") == pytest.approx({"north": 7, "south": 7, "west": 6}, abs=1)
    assert counts("--at-least", "region:west=9")["west"] >= 9
    some = counts("--at-least", "region:west=9", "--at-least", "region : south=8", "--at-least", "region=1")
    assert some["west"] >= 9
    assert some["south"] >= 8
    assert some["north"] >= 1


def test_areas_that_differ_within_a_unit_are_refused(people, capsys):
    people.with_columns(region=pl.Series(["north", "south"] * (N // 2))).write_csv("people.csv")
    command = ["calibrate", "people.csv", "totals.csv", "--unit", "household", "--n-active", "20"]
    assert main([*command, "--at-least", "region=2"]) == 2
    assert "is another than in the rest of its unit" in capsys.readouterr().err


def test_settings_keep_what_was_required(people, tmp_path):
    (tmp_path / "certain.csv").write_text("id\nP003\nP077\n")
    first = run("--id", "id", "--certainty", "certain.csv", "--at-least", "region:west=9")
    settings = json.loads((tmp_path / "w.settings.json").read_text())
    assert settings["certainty"] == "certain.csv"
    assert settings["at_least"] == ["region:west=9"]
    assert set(settings["arguments"]) & {"certainty", "at_least", "groups_of_records"} == set()
    os.chdir("/")  # paths in settings are relative to their folder
    (tmp_path / "w.csv").unlink()
    assert main(["calibrate", "--config", str(tmp_path / "w.settings.json")]) == 0
    assert pl.read_csv(tmp_path / "w.csv").equals(first)
    again = ["--config", str(tmp_path / "w.settings.json"), "--certainty", "large"]
    assert main(["calibrate", *again]) == 0
    assert "P040" in set(pl.read_csv(tmp_path / "w.csv")["id"])
    assert json.loads((tmp_path / "w.settings.json").read_text())["certainty"] == "large"


def test_a_path_keeps_what_is_required(people, capsys):
    command = ["path", "people.csv", "totals.csv", "--weight", "weight", "--id", "id", "--seed", "5"]
    assert main([*command, "--n-active", "10,20", "--certainty", "large"]) == 0
    problem = l0np.margins("people.csv", "totals.csv", weight="weight", id="id")
    path = l0np.l0_path(problem, n_active=[10, 20], seed=5, certainty=[3, 40, 77])
    assert str(path) in capsys.readouterr().out


def test_help_names_both(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["calibrate", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--certainty" in text
    assert "--at-least" in text
