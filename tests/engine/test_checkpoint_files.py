"""Checkpoints on disk: written whole or not at all, and read with suspicion."""

import hashlib
import io
import json
import resource
import zipfile

import numpy as np
import pytest

from l0np.engine import Checkpoint, has_checkpoint, read_checkpoint, write_checkpoint
from l0np.errors import CheckpointError, CheckpointWarning

CHECKPOINT = Checkpoint(
    {
        "a/floats": np.array([1.0, -0.0, np.inf], np.float32),
        "flags": np.array([True, False]),
        "names": np.array(["x", "äöü"]),
        "table": np.arange(6).reshape(2, 3),
    },
    {"epoch": 7, "lr": 0.1 + 0.2, "cap": float("inf"), "name": "é", "seed": 2**64 - 1},
)


def at(epoch):
    return Checkpoint(CHECKPOINT.arrays, CHECKPOINT.document | {"epoch": epoch})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def rewrite(path, change):
    """Change the JSON of a checkpoint, with a checksum that is right again."""
    head = json.loads((path / "checkpoint.json").read_text())
    change(head)
    (path / "checkpoint.json").write_text(json.dumps(head))


def test_what_is_written_is_read(tmp_path):
    assert not has_checkpoint(tmp_path / "nowhere")
    path = write_checkpoint(tmp_path, CHECKPOINT)
    assert has_checkpoint(tmp_path)
    assert names(path) == ["arrays.npz", "checkpoint.json"]
    assert json.loads((path / "checkpoint.json").read_text())["format"] == 1
    found, read = read_checkpoint(tmp_path)
    assert (found, read.document) == (path, CHECKPOINT.document)
    assert read.arrays.keys() == CHECKPOINT.arrays.keys()
    for name, array in CHECKPOINT.arrays.items():
        assert read.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(read.arrays[name], array)
        assert read.arrays[name].tobytes() == array.tobytes()


def test_the_last_two_are_kept_and_remnants_removed(tmp_path):
    for remnant in (".draft-000003", ".retired-000001"):
        (tmp_path / remnant).mkdir()
        (tmp_path / remnant / "arrays.npz").write_bytes(b"half")
    for epoch in range(4):
        write_checkpoint(tmp_path, at(epoch))
        assert read_checkpoint(tmp_path)[1].document["epoch"] == epoch
    assert names(tmp_path) == ["checkpoint-000003", "checkpoint-000004"]


@pytest.mark.parametrize("file", ["arrays.npz", "checkpoint.json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes().replace(b"e", b"f", 1)),
        lambda path: path.write_bytes(path.read_bytes()[::-1]),
    ],
    ids=["truncated", "empty", "missing", "one byte", "garbage"],
)
def test_damage_is_noticed_and_the_older_one_is_read(tmp_path, file, damage):
    write_checkpoint(tmp_path, at(1))
    path = write_checkpoint(tmp_path, CHECKPOINT)
    damage(path / file)
    with pytest.warns(CheckpointWarning, match=r"checkpoint-000002 is .*: going on from checkpoint-000001"):
        assert read_checkpoint(tmp_path)[1].document["epoch"] == 1
    damage(tmp_path / "checkpoint-000001" / file)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is whole: checkpoint-000002 is"):
        read_checkpoint(tmp_path)


def test_every_single_byte_counts(tmp_path):
    path = write_checkpoint(tmp_path, CHECKPOINT)
    rng = np.random.default_rng(0)
    for file in (path / "arrays.npz", path / "checkpoint.json"):
        content = file.read_bytes()
        for place in rng.integers(len(content), size=60):
            changed = bytearray(content)
            changed[place] ^= 1 << int(rng.integers(7))
            file.write_bytes(changed)
            try:
                read = read_checkpoint(tmp_path)[1]
            except CheckpointError:
                continue
            assert read.document == CHECKPOINT.document  # white space between the tokens of JSON
        file.write_bytes(content)


def test_nothing_and_a_later_version_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no checkpoint in .*nowhere"):
        read_checkpoint(tmp_path / "nowhere")
    write_checkpoint(tmp_path, CHECKPOINT)
    path = write_checkpoint(tmp_path, CHECKPOINT)
    rewrite(path, lambda head: head.update(format=2))
    with pytest.raises(CheckpointError, match=r"is of format 2, .* reads formats up to 1: use a later"):
        read_checkpoint(tmp_path)


def npz(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", members.pop("compression", zipfile.ZIP_STORED)) as out:
        for name, content in members.items():
            out.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npz(a=npy(np.array([{}], object), allow_pickle=True)), "does not hold numbers"),
        (npz(a=npy(np.zeros(10**6)), compression=zipfile.ZIP_DEFLATED), "is compressed"),
        (npz(a=header("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,), }\n")), "size"),
        (npz(a=header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n")), "size"),
        (npz(a=npy(np.zeros((2, 3), order="F"))), "C order"),
        (npz(a=b"no array at all"), "magic"),
        (b"no zip", "zip"),
        (npz(a=header("__import__('os').system('true')\n")), "malformed"),
    ],
)
def test_hostile_arrays_with_right_checksums_are_refused(tmp_path, content, message):
    path = write_checkpoint(tmp_path, CHECKPOINT)
    (path / "arrays.npz").write_bytes(content)
    rewrite(path, lambda head: head.update(arrays_sha256=hashlib.sha256(content).hexdigest()))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[]", "{}", '{"format": "1"}', '{"format": 1, "document": 3}']
)
def test_hostile_json_is_refused(tmp_path, text):
    path = write_checkpoint(tmp_path, CHECKPOINT)
    (path / "checkpoint.json").write_text(text)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_older_ones(tmp_path):
    write_checkpoint(tmp_path, CHECKPOINT)
    large = Checkpoint({"a": np.zeros(10_000)}, {})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_checkpoint(tmp_path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["checkpoint-000001"]
    assert read_checkpoint(tmp_path)[1].document == CHECKPOINT.document
    write_checkpoint(tmp_path, large)
