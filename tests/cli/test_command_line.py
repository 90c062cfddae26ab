"""The command `l0np`: what it prints and writes, its exit status, and repeating from settings."""

import json
import os
import re
import shlex
from html import unescape

import numpy as np
import polars as pl
import pytest

import l0np
from l0np.cli import main

N = 120


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    household = np.sort(rng.integers(0, 60, N))
    columns = {
        "id": [f"P{i:03}" for i in range(N)],
        "household": [f"H{i:02}" for i in household],
        "region": rng.choice(["north", "south"], 60)[household].tolist(),
        "age": rng.integers(0, 90, N).tolist(),
        "income": rng.lognormal(3, 1, N).round(1).tolist(),
        "weight": rng.uniform(5, 9, 60).round(2)[household].tolist(),
    }
    pl.DataFrame(columns).write_csv(tmp_path / "people.csv")
    (tmp_path / "totals.csv").write_text(
        "region,age,variable,value\nnorth,,,500\nsouth,,,450\n,0-17,,200\n,18+,,750\n,,income,36000\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


CALIBRATE = ["calibrate", "people.csv", "totals.csv", "--weight", "weight", "--id", "id"]


def test_calibrate_writes_what_the_function_returns(folder, capsys):
    status = main([*CALIBRATE, "--n-active", "40", "--seed", "5", "--output", "w.csv", "--targets", "t.csv"])
    assert status == 0
    problem = l0np.margins("people.csv", "totals.csv", weight="weight", id="id")
    answer = l0np.calibrate(problem, n_active=40, seed=5)
    assert pl.read_csv("w.csv").equals(answer.to_frame())
    assert pl.read_csv("t.csv")["after"].to_list() == answer.targets.estimate.tolist()
    printed = capsys.readouterr()
    assert f"{problem}\n\n{answer}\n\n" in printed.out
    (income,) = [line.split() for line in printed.out.splitlines() if line.startswith("sum of income")]
    before = answer.targets.to_frame()["before"][4]
    assert income[3:] == ["36,000", f"{before:,.0f}", "36,000", "0.00%"]
    assert "w.csv: 40 of 120 records" in printed.out
    steps = [line.split(":")[0] for line in printed.err.splitlines()]
    assert steps == [
        "reading people.csv and totals.csv", "selecting 40 of 120 records",
        "--config w.settings.json repeats this run",
    ]  # fmt: skip


def test_settings_repeat_a_run_to_the_byte(folder):
    assert main([*CALIBRATE, "--n-active", "40", "--bounds", "0.1,none", "--output", "w.csv"]) == 0
    first = (folder / "w.csv").read_bytes()
    (folder / "w.csv").unlink()
    os.chdir("/")  # paths in settings are relative to their folder
    assert main(["calibrate", "--config", str(folder / "w.settings.json")]) == 0
    assert (folder / "w.csv").read_bytes() == first
    (folder / "out").mkdir()
    again = str(folder / "out" / "again.csv")
    assert (
        main(["calibrate", "--config", str(folder / "w.settings.json"), "--output", again, "--seed", "9"])
        == 0
    )
    assert (folder / "out" / "again.csv").read_bytes() != first
    settings = json.loads((folder / "out" / "again.settings.json").read_text())
    assert (settings["arguments"]["seed"], settings["records"]) == (9, "../people.csv")


def test_a_report_has_the_command_that_repeats_the_run(folder):
    pytest.importorskip("jinja2", reason="jinja2 is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    run = [*CALIBRATE, "--n-active", "40", "--bounds", "0.1,none", "--targets", "a b.csv"]
    assert main([*run, "--report", "r.html"]) == 0
    html, targets = (folder / "r.html").read_text(encoding="utf-8"), (folder / "a b.csv").read_bytes()
    assert "Calibration of people.csv to totals.csv" in html
    (command,) = re.findall("<code>(.*?)</code>", html)
    words = shlex.split(unescape(command))
    assert words[0] == "l0np"
    assert words[-4:] == ["--targets", "a b.csv", "--report", "r.html"]
    (folder / "a b.csv").unlink()
    assert main(words[1:]) == 0
    assert (folder / "a b.csv").read_bytes() == targets
    settings = json.loads((folder / "r.settings.json").read_text())
    assert (settings["report"], settings["arguments"]["n_active"]) == ("r.html", 40)


def test_settings_without_an_option_are_repeated_from_their_file(folder):
    pytest.importorskip("jinja2", reason="jinja2 is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    (folder / "given.json").write_text('{"arguments": {"lr": 0.2}}')
    run = [*CALIBRATE, "--config", "given.json", "--report", "r.html"]
    assert main(run) == 0
    html = (folder / "r.html").read_text(encoding="utf-8")
    assert "<code>l0np calibrate --config r.settings.json</code>" in html
    assert main([*run, "--output", "w.csv"]) == 0
    html = (folder / "r.html").read_text(encoding="utf-8")
    assert "<code>l0np calibrate --config w.settings.json</code>" in html
    assert main(["calibrate", "--config", "w.settings.json"]) == 0


def test_units_and_missing_values(folder, capsys):
    text = (folder / "people.csv").read_text().splitlines()
    text[3] = ",".join(text[3].split(",")[:4]) + ",," + text[3].split(",")[5]
    (folder / "people.csv").write_text("\n".join(text))
    arguments = [*CALIBRATE[:-2], "--unit", "household", "--output", "w.parquet"]
    assert main(arguments) == 2
    assert "complete or drop them; --missing zero takes them as 0" in capsys.readouterr().err
    assert main([*arguments, "--missing", "zero"]) == 0
    assert pl.read_parquet("w.parquet").columns == ["household", "weight", "base_weight", "ratio"]
    assert '"income": 1 missing value taken as 0' in capsys.readouterr().out


def test_status_1_where_the_worst_target_is_too_far(folder, capsys):
    assert main([*CALIBRATE, "--n-active", "2", "--max-error", "0.1%"]) == 1
    printed = capsys.readouterr()
    table = printed.out.splitlines()
    worst = table[table.index(next(line for line in table if "before" in line and "after" in line)) + 1]
    message = f"{worst.split('  ')[0]} is farther from its target than --max-error: "
    assert message in printed.err
    assert main([*CALIBRATE, "--n-active", "40", "--max-error", "0.001"]) == 0


def test_path(folder, capsys):
    arguments = ["path", *CALIBRATE[1:], "--seed", "1", "--max-error", "1%"]
    assert main([*arguments, "--n-active", "40,2", "--output", "path.csv"]) == 0
    assert pl.read_csv("path.csv")["records"].to_list() == [2, 40]
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "enough for 1.000%: 40 records"
    assert main(["path", "--config", "path.settings.json"]) == 0
    assert capsys.readouterr().out == printed
    assert main([*arguments, "--n-active", "2"]) == 1
    assert "no size has all targets within 1.000%" in capsys.readouterr().err


def test_check(folder, capsys):
    assert main(["check", *CALIBRATE[1:]]) == 0
    assert "5 targets, 120 records: nothing keeps them" in capsys.readouterr().out
    totals = (folder / "totals.csv").read_text().replace("750", "700")
    (folder / "totals.csv").write_text(totals)
    assert main(["check", *CALIBRATE[1:]]) == 1
    printed = capsys.readouterr()
    assert "region adds up to 950, age adds up to 900 (5.26% apart)" in printed.out
    assert "warning: totals disagree" in printed.err


@pytest.mark.parametrize("command", ["info", "--version"])
def test_the_version(capsys, command):
    assert main([command]) == 0
    assert capsys.readouterr().out.startswith(f"l0np {l0np.__version__}\n")


def test_a_log_is_added_to(folder):
    for _ in range(2):
        main(["check", *CALIBRATE[1:], "--log", "run.log"])
    lines = (folder / "run.log").read_text().splitlines()
    assert [line.split(" ", 2)[2].split(":")[0] for line in lines] == [
        "reading people.csv and totals.csv", "checking the targets",
    ] * 2  # fmt: skip


def test_help_lists_every_command(capsys):
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        assert all(command in printed for command in ("calibrate", "path", "check", "info"))


def test_debug_shows_where(folder):
    with pytest.raises(l0np.errors.InputError):
        main(["check", "nowhere.csv", "totals.csv", "--debug"])
