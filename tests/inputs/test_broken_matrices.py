"""Sparse matrices that are broken inside, which compiled code must not read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bad_inputs import MATRIX, M, N, Q, Y, assert_refused, at, both_kinds, broken, case, trained
from scipy import sparse

import l0np
from l0np import SparseCalibrationWeights
from l0np.errors import InputError, InputTypeError

BROKEN = [
    *(
        case(f"{f}: {name}", broken(f, **arrays), error, parts)
        for f in ("csr", "csc", "bsr")
        for name, arrays, error, parts in [
            ("index too large", {"indices": at(-1, 1000)}, InputError, ["1000", "out of range"]),
            ("index just too large", {"indices": lambda i: i + 1}, InputError, ["out of range"]),
            ("index negative", {"indices": at(0, -1)}, InputError, ["-1", "out of range"]),
            ("index very negative", {"indices": at(2, -(2**31))}, InputError, ["out of range"]),
            ("indptr falls", {"indptr": at(1, 10**6)}, InputError, ["indptr", "never fall"]),
            ("indptr negative inside", {"indptr": at(1, -5)}, InputError, ["indptr", "never fall"]),
            ("indptr starts at 1", {"indptr": at(0, 1)}, InputError, ["indptr", "start at 0"]),
            ("indptr starts at -1", {"indptr": at(0, -1)}, InputError, ["indptr", "start at 0"]),
            ("indptr ends past the data", {"indptr": at(-1, 10**6)}, InputError, ["indptr ends at 1000000"]),
            ("indptr short", {"indptr": lambda p: p[:-1]}, InputError, ["indptr"]),
            ("indptr long", {"indptr": lambda p: np.append(p, p[-1])}, InputError, ["indptr"]),
            ("indptr empty", {"indptr": lambda p: p[:0]}, InputError, ["indptr"]),
            ("indices short", {"indices": lambda i: i[:-1]}, InputError, ["indptr ends at"]),
            ("data short", {"data": lambda d: d[:-1]}, InputError, ["indptr ends at"]),
            ("indices in two dimensions", {"indices": lambda i: i[:, None]}, InputError, ["indices"]),
            (
                "indices of floats",
                {"indices": lambda i: i.astype(float)},
                InputTypeError,
                ["indices", "float64"],
            ),
            (
                "indptr of floats",
                {"indptr": lambda p: p.astype(float)},
                InputTypeError,
                ["indptr", "float64"],
            ),
        ]
    ),
    *(
        case(f"{f}: data in two dimensions", broken(f, data=lambda d: d[:, None]), InputError, [])
        for f in ("csr", "csc")
    ),
    case("bsr: data in one dimension", broken("bsr", data=np.ravel), InputError, []),
    case(
        "bsr: blocks do not divide the shape",
        broken(
            "bsr", data=lambda d: np.ones((2, 4, 2)), indptr=lambda p: np.arange(3), indices=lambda i: i[:2]
        ),
        InputError,
        [],
    ),
    case("coo: row too large", broken("coo", row=at(0, Q)), InputError, ["9", "out of range"]),
    case("coo: row negative", broken("coo", row=at(0, -1)), InputError, ["-1", "out of range"]),
    case("coo: column too large", broken("coo", col=at(-1, N)), InputError, ["6", "out of range"]),
    case("coo: column negative", broken("coo", col=at(-1, -3)), InputError, ["-3", "out of range"]),
    case("coo: rows short", broken("coo", row=lambda r: r[:-1]), InputError, ["broken"]),
    case("coo: data short", broken("coo", data=lambda d: d[:-1]), InputError, ["broken"]),
    case(
        "coo: rows of floats",
        broken("coo", coords=lambda c: tuple(c.astype(float))),
        InputTypeError,
        ["integers"],
    ),
]


@both_kinds
@pytest.mark.parametrize(("matrix", "error", "parts"), BROKEN)
def test_broken_sparse_matrix_is_refused(kind, matrix, error, parts):
    model = trained(kind)
    assert_refused(lambda: model.fit(matrix, Y), error, [MATRIX[kind], *parts], model)


@pytest.mark.parametrize("key", [(Q, 0), (0, N), (-1, 0), (0, -1)], ids=str)
def test_broken_dok_is_refused(key):
    matrix = sparse.dok_array(M)
    matrix._dict[key] = 1.0
    model = trained(SparseCalibrationWeights)
    assert_refused(lambda: model.fit(matrix, Y), InputError, ["M", "broken"], model)


# SciPy's conversions of lil and dia write and read past their arrays where these do not match.
UNSAFE = {
    "lil": {
        "column too large": "m.rows[0][0] = 99",
        "column negative": "m.rows[0][0] = -1",
        "string": "m.data[0][0] = 'a'",
        "fewer values than columns": "m.data[0] = [1.0]",
        "fewer columns than values": "m.rows[0] = [1]",
        "a row is no list": "m.rows[0] = 5",
        "a row of data is no list": "m.data[0] = None",
        "too few rows": "m.rows = m.rows[:-1]",
        "too few rows of data": "m.data = m.data[:-1]",
        "too many rows of data": "m.data = np.array([[1.0] * 3] * 1000 + [[1.0]], dtype=object)[:-1]",
        "too many rows": "m.rows = np.array([[0, 1]] * 1000 + [[0]], dtype=object)",
        "more columns than values": "m.rows[0] = [0] * 10**6",
        "many more values than columns": "m.data[0] = [1.0] * 10**6",
    },
    "dia": {
        "data in one dimension": "m.data = m.data[0]",
        "offsets too short": "m.offsets = m.offsets[:-1]",
        "offsets too long": "m.offsets = np.append(m.offsets, 1)",
        "offsets in two dimensions": "m.offsets = m.offsets[:, None]",
        "offsets of floats": "m.offsets = m.offsets + 0.5",
        "offsets beyond 32 bits": "m.offsets = m.offsets.astype(np.int64) + 2**32",
        "offsets far too short": "m.data, m.offsets = np.ones((10**5, 3)), m.offsets[:1]",
    },
}


def test_broken_matrix_that_would_crash_scipy_is_refused():
    cases = [(kind, name, change) for kind, changes in UNSAFE.items() for name, change in changes.items()]
    script = f"""
import numpy as np
from scipy import sparse
from l0np import ColumnMatrix
from l0np.errors import L0npError
for kind, name, change in {cases!r}:
    print(kind, name, end=": ", flush=True)
    m = sparse.csr_array(np.arange(1.0, 13.0).reshape(4, 3)).asformat(kind)
    exec(change)
    try:
        print("accepted", repr(ColumnMatrix.build(m)), flush=True)
    except L0npError as error:
        print("refused" if str(error).startswith("M") else error, flush=True)
    except Exception as error:
        print("raised", repr(error), flush=True)
"""
    # In a process of its own, for a crash would end this one.
    root = Path(l0np.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd=root
    )
    assert done.stdout.splitlines() == [f"{kind} {name}: refused" for kind, name, _ in cases]
    assert done.returncode == 0, done.stderr
