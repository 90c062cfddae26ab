"""`mpiexec -n R l0np calibrate FOLDER TOTALS`: the table of one rank, on any number of ranks."""

import json
import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mpi_programs import mpirun, needs_mpi, output_of

import l0np
from l0np import ColumnMatrix
from l0np.cli import main
from l0np.errors import InputError

COMMAND = "import sys; from l0np.cli import main; sys.exit(main(sys.argv[1:]))"
N = 400


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    district = np.sort(rng.integers(0, 8, N))
    counts = np.equal.outer(np.arange(8), district).astype(float)
    M = np.concatenate([counts, counts * rng.random(N), rng.lognormal(size=(2, N))])
    base = rng.uniform(5, 15, N)
    ColumnMatrix.build(M, "float64").save(tmp_path / "M", ids=[f"r{i}" for i in range(N)])
    np.save(tmp_path / "base.npy", base)
    group = ["counts"] * 8 + ["other"] * 10
    names = [f"row {i}" for i in range(len(M))]
    pl.DataFrame({"name": names, "value": M @ base, "group": group}).write_csv(tmp_path / "totals.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(output, *more):
    return ["calibrate", "M", "totals.csv", "--weight", "base.npy", "--seed", "1", "--output", output, *more]


@pytest.mark.parametrize("method", [["--n-active", "80"], []])
def test_a_saved_matrix_is_calibrated_like_one_in_memory(folder, capsys, method):
    assert main(arguments("w.csv", "--targets", "t.csv", *method)) == 0
    assert "400 records" in capsys.readouterr().out
    M, totals = ColumnMatrix.open("M"), pl.read_csv("totals.csv")
    answer = l0np.calibrate(
        M, totals["value"].to_numpy(), int(method[1]) if method else None, np.load("base.npy"), seed=1,
        names=totals["name"].to_list(), target_groups=totals["group"].to_list(),
    )  # fmt: skip
    table = pl.read_csv("w.csv")
    assert table["id"].to_list() == [f"r{i}" for i in answer.indices]
    np.testing.assert_allclose(table["weight"], answer.selected_weights, rtol=1e-9)
    assert pl.read_csv("t.csv")["name"].to_list() == totals["name"].to_list()
    assert json.loads((folder / "w.settings.json").read_text())["arguments"]["seed"] == 1
    assert main(["calibrate", "--config", "w.settings.json", "--output", "again.csv"]) == 0
    assert pl.read_csv("again.csv").equals(table)


@needs_mpi
@pytest.mark.parametrize("method", [["thinned"], ["gates", "--epochs", "60"]], ids=str)
def test_the_table_is_that_of_one_rank(folder, method):
    more = "--n-active", "80", "--method", *method
    assert main(arguments("one.csv", *more)) == 0
    one = pl.read_csv("one.csv")
    for n in (2, 3):
        printed = output_of(n, COMMAND, *arguments(f"{n}.csv", *more))
        assert printed.count("Calibration:") == 1
        found = pl.read_csv(f"{n}.csv")
        assert found["id"].to_list() == one["id"].to_list()
        np.testing.assert_allclose(found["weight"], one["weight"], rtol=1e-9)


@needs_mpi
def test_an_error_ends_all_ranks(folder):
    (folder / "M" / "data.npy").write_bytes(b"")
    done = mpirun(2, COMMAND, *arguments("w.csv"))
    assert done.returncode != 0
    assert "data.npy was altered" in done.stderr


@pytest.mark.parametrize(
    ("totals", "more", "message"),
    [
        ("name,value\na,1\n", [], "totals.csv has 1 rows, the matrix has 18"),
        ("value,region\n1,2\n", [], 'totals.csv has the column "region"'),
        (None, ["--unit", "household"], "unit is an option for a table of records"),
        (None, ["--weight", "none.npy"], "weight must be a .npy file"),
    ],
)
def test_mistakes(folder, capsys, totals, more, message):
    if totals is not None:
        (folder / "totals.csv").write_text(totals)
    assert main(arguments("w.csv", *more)) == 2
    assert message in capsys.readouterr().err.replace("--", "")


def test_every_value_must_be_there(folder):
    from l0np.cli.settings import Settings
    from l0np.cli.stored import calibrate_stored, ranks_of_run

    (folder / "totals.csv").write_text("value\n" + "1\n" * 17 + "\n")
    settings = Settings("calibrate", records=folder / "M", totals=folder / "totals.csv")
    with pytest.raises(InputError, match="totals"):
        calibrate_stored(settings, ranks_of_run(), lambda progress: None)


def test_the_example_saves_what_can_be_calibrated(tmp_path):
    example = Path(__file__).parents[2] / "examples" / "save_national.py"
    if not example.exists():
        pytest.skip("the examples are not here")
    totals = runpy.run_path(str(example))["save"](tmp_path / "nation", 1000)
    assert main(["calibrate", str(tmp_path / "nation"), str(totals), "--max-error", "1e-6"]) == 0


def test_a_folder_whose_writing_was_interrupted_is_named(folder, capsys):
    (folder / "M" / "matrix.json").unlink()
    assert main(arguments("w.csv")) == 2
    assert "the folder M was not written to its end" in capsys.readouterr().err
