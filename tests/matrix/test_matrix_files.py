"""`ColumnMatrix.read`: matrices of SciPy, of Matrix Market, and triplets."""

import numpy as np
import polars as pl
import pytest
from scipy import io, sparse

from l0np import ColumnMatrix
from l0np.errors import InputError, InputTypeError, L0npError

MATRIX = sparse.random_array((5, 9), density=0.4, format="csr", rng=0)


def write(path):
    entries = MATRIX.tocoo()
    table = pl.DataFrame({"target": entries.coords[0], "record": entries.coords[1], "value": entries.data})
    writers = {
        ".npz": lambda: sparse.save_npz(path, MATRIX),
        ".mtx": lambda: io.mmwrite(path, MATRIX, precision=17),
        ".csv": lambda: table.write_csv(path),
        ".parquet": lambda: table.write_parquet(path),
    }
    writers[path.suffix]()
    return path


@pytest.mark.parametrize("ending", ["npz", "mtx", "csv", "parquet"])
def test_every_format_gives_the_same_numbers(tmp_path, ending):
    found = ColumnMatrix.read(write(tmp_path / f"M.{ending}"))
    np.testing.assert_array_equal(found.to_scipy().toarray(), MATRIX.toarray())
    assert ColumnMatrix.read(str(tmp_path / f"M.{ending}"), "float32").dtype == np.float32


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("target,record\n0,1\n", InputError, 'names "value", which is not a column of M.csv'),
        ("target,record,value\n0,-1,2\n", InputError, '"record" of M.csv holds -1: records count from 0'),
        (
            "target,record,value\n0.5,1,2\n",
            InputTypeError,
            '"target" of M.csv must hold integers, not float64',
        ),
        ("target,record,value\n,1,2\n", InputTypeError, '"target" of M.csv must hold integers'),
        ("target,record,value\n0,1,x\n", InputTypeError, '"value" of M.csv must hold numbers'),
        ("target,record,value\n", InputError, "M.csv has no rows"),
    ],
)
def test_tables_that_are_no_triplets(tmp_path, text, kind, message):
    (tmp_path / "M.csv").write_text(text)
    with pytest.raises(L0npError) as raised:
        ColumnMatrix.read(tmp_path / "M.csv")
    assert message in str(raised.value)
    assert isinstance(raised.value, kind)


def test_files_that_hold_no_matrix(tmp_path):
    for name in ("M.npz", "M.mtx"):
        (tmp_path / name).write_text("nothing")
        with pytest.raises(InputError, match="cannot be read as a sparse matrix"):
            ColumnMatrix.read(tmp_path / name)
    np.savez(tmp_path / "M.npz", a=np.ones(3))
    with pytest.raises(InputError, match="cannot be read as a sparse matrix"):
        ColumnMatrix.read(tmp_path / "M.npz")
    with pytest.raises(InputError, match="does not exist"):
        ColumnMatrix.read(tmp_path / "N.mtx")
    with pytest.raises(InputTypeError, match="path must be the path of a file"):
        ColumnMatrix.read(3)
