"""Tables of targets, against naive loops and by eye."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from l0np import ColumnMatrix, target_table

M = [
    [1.0, 0.0, 2.0, 1.0, 0.0],
    [0.0, -1.0, 0.0, 3.0, 1.0],
    [5.0, 5.0, 5.0, 5.0, 0.0],
    [0.0, 0.0, 1.0, 0.0, 0.0],
]
Y = [12.0, 4.0, 80.0, 0.25]
WEIGHTS = [4.0, 0.0, 2.5, 1.5, 6.0]
ESTIMATES = [sum(m * w for m, w in zip(row, WEIGHTS, strict=True)) for row in M]


@pytest.mark.parametrize("given", [np.array, sparse.csr_array, ColumnMatrix.build, pd.DataFrame, list])
def test_table_against_naive_loops(given):
    table = target_table(
        given(M), Y, WEIGHTS, tolerances=[1.5, 6.4, 40.0, 0.0], target_groups=[1, 2, 1, 2], exclude=[3]
    )
    scales = [abs(y) for y in Y]
    assert table.estimate.tolist() == pytest.approx(ESTIMATES)
    assert table.error.tolist() == pytest.approx([e - y for e, y in zip(ESTIMATES, Y, strict=True)])
    assert table.relative_error.tolist() == pytest.approx(
        [(e - y) / s for e, y, s in zip(ESTIMATES, Y, scales, strict=True)]
    )
    assert table.within_tolerance.tolist() == [True, False, True, False]
    assert table.fitted.tolist() == [True, True, True, False]
    assert table.group.tolist() == [1, 2, 1, 2]
    assert table.name.tolist() == ["target 0", "target 1", "target 2", "target 3"]
    assert len(table) == 4


def test_table_uses_given_scales_and_names():
    table = target_table(M, Y, WEIGHTS, target_scales=[2.0, 4.0, 8.0, 16.0], names=list("abcd"))
    assert table.relative_error.tolist() == pytest.approx(
        [(e - y) / s for e, y, s in zip(ESTIMATES, Y, (2, 4, 8, 16), strict=True)]
    )
    assert table.worst(2).name.tolist() == ["c", "b"]
    assert table[1:3].target.tolist() == [4.0, 80.0]
    with pytest.raises(FrozenInstanceError):
        table.name = None


def test_table_as_a_data_frame():
    frame = target_table(
        pd.DataFrame(M, index=list("abcd")), Y, WEIGHTS, target_groups=[1, 2, 1, 2]
    ).to_pandas()
    assert list(frame.columns) == [
        "name", "target", "estimate", "error", "relative_error", "within_tolerance", "fitted", "weight",
        "group",
    ]  # fmt: skip
    assert frame["name"].tolist() == list("abcd")
    assert "group" not in target_table(M, Y, WEIGHTS).to_pandas().columns


def test_printed_table():
    rng = np.random.default_rng(0)
    wide, names = (
        rng.random((12, 5)),
        [f"district {i} of a state with a very long name indeed" for i in range(12)],
    )
    text = str(target_table(wide, 1e6 * wide.sum(axis=1), np.ones(5), names=names, exclude=[3]))
    lines = text.splitlines()
    assert len(lines) == 12
    assert all(len(line) == 96 for line in lines[1:11] if not line.endswith("held out"))
    assert "district 3 of a state with a very long ..." not in text
    assert "and 2 more, each within 100.00%" in lines[-1]
