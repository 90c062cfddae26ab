"""Tables written to files: formats, exact numbers, and whole files only."""

import numpy as np
import polars as pl
import pytest

from l0np.errors import InputError, MissingPackageError
from l0np.tables import Table, frame_of, replaced, write_columns, write_text

COLUMNS = {"id": np.array(["a", "b"]), "weight": np.array([0.1 + 0.2, 1e300])}


def test_numbers_come_back_exactly(tmp_path):
    for ending in ("csv", "parquet", "npz"):
        write_columns(tmp_path / f"weights.{ending}", COLUMNS)
    with np.load(tmp_path / "weights.npz") as arrays:
        assert arrays["id"].tolist() == ["a", "b"]
        assert arrays["weight"].tolist() == COLUMNS["weight"].tolist()
    for frame in (pl.read_csv(tmp_path / "weights.csv"), pl.read_parquet(tmp_path / "weights.parquet")):
        assert frame["weight"].to_list() == COLUMNS["weight"].tolist()


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "weights.csv"
    file.write_text("old")

    def interrupted():
        with replaced(file) as temporary:
            temporary.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["weights.csv"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    (tmp_path / "weights.csv").write_text("old")
    (tmp_path / "settings.json").write_text("old")
    with pytest.raises(ValueError, match="shorter"):
        write_columns(tmp_path / "weights.csv", {"id": ["a", "b"], "weight": [1.0]})
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "settings.json", "half of the new\udcff")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {
        "weights.csv": "old", "settings.json": "old",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("weights.xlsx", "must end in .csv or .parquet or .npz"),
        ("nowhere/weights.csv", "there is no folder"),
        ("folder.csv", "it is a folder"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path, path, message):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=message):
        write_columns(tmp_path / path, COLUMNS)


def test_a_damaged_file(tmp_path):
    file = tmp_path / "records.parquet"
    file.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"records: .* cannot be read as PARQUET"):
        Table.of("records", file)


def test_a_missing_package_is_named_with_its_extra():
    with pytest.raises(MissingPackageError, match=r'needs cudf, .*: pip install cudf, .* the extra "frames"'):
        frame_of(COLUMNS, "cudf")
