"""Matrices in folders: saved, written block by block, opened as memory maps; and folders that do not open."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import sparse

from l0np import ColumnMatrix, SparseCalibrationWeights
from l0np.errors import InputError, InputTypeError
from l0np.matrix import even_cuts

DENSE = sparse.random_array((7, 40), density=0.3, rng=0).toarray()
PARTS = [slice(None), slice(0, 9), slice(9, 40), slice(39, None), slice(3, 4)]


@pytest.fixture
def folder(tmp_path):
    ColumnMatrix.build(DENSE).save(tmp_path / "M", ids=np.arange(100, 140))
    return tmp_path / "M"


@pytest.mark.parametrize("columns", PARTS)
def test_a_part_of_a_saved_matrix_is_that_part(folder, columns):
    part = ColumnMatrix.open(folder, columns, verify=True)
    np.testing.assert_array_equal(part.to_scipy().toarray(), DENSE[:, columns].astype(np.float32))
    assert part.indices.dtype == np.uint16
    assert ColumnMatrix.stored_ids(folder, columns).tolist() == np.arange(100, 140)[columns].tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_rows", [7, 70_000])
def test_blocks_make_the_matrix_that_is_saved_at_once(tmp_path, dtype, n_rows):
    whole = sparse.csc_array(np.vstack([DENSE, np.zeros((n_rows - 7, 40))]))
    ColumnMatrix.build(whole, dtype).save(tmp_path / "at once")
    with ColumnMatrix.writer(tmp_path / "blocks", n_rows, dtype) as writer:
        for first in range(0, 40, 13):
            writer.append(whole[:, first : first + 13])
    at_once, blocks = (json.loads((tmp_path / f / "matrix.json").read_text()) for f in ("at once", "blocks"))
    assert at_once == blocks
    assert ColumnMatrix.open(tmp_path / "blocks").indices.dtype == (
        np.int32 if n_rows > 65_535 else np.uint16
    )
    assert ColumnMatrix.stored_ids(tmp_path / "blocks") is None


def test_the_document_holds_sizes_and_hashes(folder):
    document = json.loads((folder / "matrix.json").read_text())
    assert document["format"] == 1
    assert document["properties"] == {"shape": [7, 40], "dtype": "float32", "non_zeros": 84}
    for name, said in document["arrays"].items():
        content = (folder / f"{name}.npy").read_bytes()
        assert said["bytes"] == len(content)
        assert said["sha256"] == hashlib.sha256(content).hexdigest()
        assert len(np.load(folder / f"{name}.npy")) == said["shape"][0]


def test_a_matrix_without_entries_and_one_with_names_of_columns(tmp_path):
    ColumnMatrix.build(np.zeros((2, 3))).save(tmp_path, ids=["a", "bb", "c"])
    assert ColumnMatrix.open(tmp_path, slice(1, 3)).nnz == 0
    assert ColumnMatrix.stored_ids(tmp_path).tolist() == ["a", "bb", "c"]


@pytest.mark.parametrize("name", ["data", "indices", "indptr", "row_counts", "ids"])
def test_missing_and_altered_files_are_refused_by_name(folder, name):
    file = folder / f"{name}.npy"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=rf"{name}\.npy was altered: its SHA-256"):
        ColumnMatrix.open(folder, verify=True)
    file.write_bytes(content + b"0")
    with pytest.raises(InputError, match=rf"{name}\.npy was altered: it has"):
        ColumnMatrix.open(folder)
    file.unlink()
    with pytest.raises(InputError, match=rf"{name}\.npy is missing"):
        ColumnMatrix.open(folder)


def test_row_numbers_out_of_range_are_refused_without_hashes(folder):
    """Because kernels have no bounds checks."""
    file = folder / "indices.npy"
    content = bytearray(file.read_bytes())
    content[-1] = 255
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged: .*out of range"):
        ColumnMatrix.open(folder)


def altered(folder, change):
    document = json.loads((folder / "matrix.json").read_text())
    change(document)
    (folder / "matrix.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=2), "needs a later version of l0np: it uses format 2"),
        (lambda d: d.update(features=["folded"]), "needs a later version of l0np: it uses folded"),
        (lambda d: d.pop("arrays"), "is damaged: it lacks 'arrays'"),
        (lambda d: d["arrays"].pop("indptr"), r"damaged: it does not list indptr\.npy"),
        (lambda d: d["properties"].pop("shape"), "is damaged: it lacks 'shape'"),
        (lambda d: d["properties"].update(shape=[7, 41]), "its arrays do not fit its shape"),
        (lambda d: d["arrays"]["data"].update(dtype="<f8"), "does not hold what"),
    ],
)
def test_documents_that_cannot_be_used(folder, change, message):
    altered(folder, change)
    with pytest.raises(InputError, match=message):
        ColumnMatrix.open(folder)


@pytest.mark.parametrize(("columns", "kind"), [(slice(5, 5), InputError), (slice(0, 9, 2), InputError)])
def test_columns_must_be_neighbours(folder, columns, kind):
    with pytest.raises(kind, match="columns must be a slice of at least one neighbouring column"):
        ColumnMatrix.open(folder, columns)
    with pytest.raises(InputTypeError, match="columns must be a slice"):
        ColumnMatrix.open(folder, [1, 2])


def test_folders_that_are_not_written_to(folder, tmp_path):
    matrix = ColumnMatrix.build(DENSE)
    with pytest.raises(InputError, match="holds a matrix already"):
        matrix.save(folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"holds other files, such as notes\.txt"):
        matrix.save(tmp_path / "other")
    with pytest.raises(InputError, match="does not exist"):
        ColumnMatrix.open(tmp_path / "nowhere")


def append_all(folder, *blocks):
    with ColumnMatrix.writer(folder, 7) as writer:
        for block, ids in blocks:
            writer.append(block, ids=ids)


def test_blocks_that_do_not_fit_leave_nothing(tmp_path):
    with pytest.raises(InputError, match=r"block must have 7 rows, it has the shape \(6, 40\)"):
        append_all(tmp_path, (DENSE, None), (DENSE[:6], None))
    with pytest.raises(InputError, match="for every block or for none"):
        append_all(tmp_path, (DENSE, None), (DENSE, range(40)))
    with pytest.raises(InputError, match="the matrix is empty"):
        append_all(tmp_path)
    assert not list(tmp_path.iterdir())


WRITES = """
import sys
from l0np import ColumnMatrix
with ColumnMatrix.writer(sys.argv[1], 3) as writer:
    while True:
        writer.append([[1.0], [0.0], [2.0]])
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot kill by a signal")
def test_a_killed_writer_leaves_no_folder_that_opens_and_the_next_one_starts_anew(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (tmp_path / "indptr.npy").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=60)
    with pytest.raises(InputError, match="was not written to its end"):
        ColumnMatrix.open(tmp_path)
    ColumnMatrix.build(DENSE).save(tmp_path)
    assert ColumnMatrix.open(tmp_path, verify=True).shape == (7, 40)


def test_training_from_a_memory_map_gives_the_same_bits(folder):
    y = DENSE.sum(axis=1)
    fits = [
        SparseCalibrationWeights(40, seed=0).fit(M, y, epochs=20, lr=0.1, loss_type="relative").log_weight
        for M in (ColumnMatrix.build(DENSE), ColumnMatrix.open(folder))
    ]
    np.testing.assert_array_equal(*fits)


MEASURES = """
import sys
import numpy as np
from l0np import ColumnMatrix, SparseCalibrationWeights

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

small = SparseCalibrationWeights(8, seed=0, dtype="float64")
small.fit(ColumnMatrix.build(np.ones((2, 8)), "float64"), [8.0, 8.0], epochs=2)  # so that all code is loaded
before = anonymous()
M = ColumnMatrix.open(sys.argv[1])
model = SparseCalibrationWeights(M.shape[1], seed=0, dtype="float64")
model.fit(M, np.full(M.shape[0], 1e6), epochs=2, loss_type="relative", verbose_freq=1)
print(anonymous() - before)
"""


@pytest.mark.slow  # a matrix of 240 MB is written and trained
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux says how memory is used")
def test_training_from_a_memory_map_takes_little_anonymous_memory(tmp_path):
    rng = np.random.default_rng(0)
    with ColumnMatrix.writer(tmp_path / "M", 1000, "float64") as writer:
        for _ in range(12):
            writer.append(rng.uniform(0.5, 1.5, (1000, 2000)))
    measured = subprocess.run(
        [sys.executable, "-c", MEASURES, str(tmp_path / "M")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(measured.stdout) < sum(f.stat().st_size for f in (tmp_path / "M").iterdir()) / 4


def test_even_cuts_keep_districts_together(tmp_path):
    sizes = [5, 11, 3, 17, 4, 10]
    district = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.vstack([np.equal.outer(np.arange(len(sizes)), district), np.ones((2, len(district)))])
    ColumnMatrix.build(rows).save(tmp_path)
    borders = set(np.cumsum(sizes))
    for n_parts in (1, 2, 3):
        cuts = even_cuts(tmp_path, n_parts)
        assert len(cuts) == n_parts
        assert cuts[0].start == 0
        assert {cut.stop for cut in cuts} <= borders
        assert all(a.stop == b.start for a, b in itertools.pairwise(cuts))
    assert [cut.stop for cut in even_cuts(tmp_path, 2)] == [19, 50]
    with pytest.raises(InputError, match="the number of parts must be at most 50"):
        even_cuts(tmp_path, 51)


def test_even_cuts_give_every_part_a_column(tmp_path):
    """Also where all entries are in the last column, and where there are no districts."""
    rows = np.zeros((3, 6))
    rows[:, 5] = 1.0
    ColumnMatrix.build(rows).save(tmp_path)
    assert [cut.stop - cut.start for cut in even_cuts(tmp_path, 6)] == [1] * 6
    assert all(cut.stop > cut.start for cut in even_cuts(tmp_path, 3))
