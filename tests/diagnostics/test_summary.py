"""Tables of targets, diagnostics, and the log file, against naive loops and by eye."""

import csv
import math
import statistics
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from support import small_problem

from l0np import Aggregate, ColumnMatrix, SparseCalibrationWeights, SparseL0Linear, callbacks, diagnose, target_table
from l0np.errors import InputError, InputTypeError, L0npError
from l0np.matrix import blocks
from l0np.targets.table import number, percent, shorten

M = [[1.0, 0.0, 2.0, 1.0, 0.0], [0.0, -1.0, 0.0, 3.0, 1.0], [5.0, 5.0, 5.0, 5.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]]
Y = [12.0, 4.0, 80.0, 0.25]
WEIGHTS = [4.0, 0.0, 2.5, 1.5, 6.0]
ESTIMATES = [sum(m * w for m, w in zip(row, WEIGHTS, strict=True)) for row in M]


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_entries_in_blocks(block, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", block)
    dense = np.random.default_rng(0).random((6, 9)) * (np.random.default_rng(1).random((6, 9)) < 0.4)
    dense[:, [0, 4, 5, 8]] = 0.0
    matrix, again = ColumnMatrix.build(dense, "float64"), np.zeros((6, 9))
    for rows, columns, values in blocks.entry_blocks(matrix):
        assert len(rows) <= block
        again[rows, columns] = values
    assert np.array_equal(again, dense)
    w = np.arange(9.0)
    np.testing.assert_allclose(blocks.weighted_totals(matrix, w), dense @ w, rtol=1e-13)


@pytest.mark.parametrize("given", [np.array, sparse.csr_array, ColumnMatrix.build, pd.DataFrame, list])
def test_table_against_naive_loops(given):
    table = target_table(given(M), Y, WEIGHTS, tolerances=[1.5, 6.4, 40.0, 0.0], target_groups=[1, 2, 1, 2], exclude=[3])
    scales = [max(abs(y), 1.0) for y in Y]
    assert table.estimate.tolist() == pytest.approx(ESTIMATES)
    assert table.error.tolist() == pytest.approx([e - y for e, y in zip(ESTIMATES, Y, strict=True)])
    assert table.relative_error.tolist() == pytest.approx([(e - y) / s for e, y, s in zip(ESTIMATES, Y, scales, strict=True)])
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
    frame = target_table(pd.DataFrame(M, index=list("abcd")), Y, WEIGHTS, target_groups=[1, 2, 1, 2]).to_pandas()
    assert list(frame.columns) == [
        "name", "target", "estimate", "error", "relative_error", "within_tolerance", "fitted", "weight", "group",
    ]  # fmt: skip
    assert frame["name"].tolist() == list("abcd")
    assert "group" not in target_table(M, Y, WEIGHTS).to_pandas().columns


def test_printed_table():
    rng = np.random.default_rng(0)
    wide, names = rng.random((12, 5)), [f"district {i} of a state with a very long name indeed" for i in range(12)]
    text = str(target_table(wide, 1e6 * wide.sum(axis=1), np.ones(5), names=names, exclude=[3]))
    lines = text.splitlines()
    assert len(lines) == 12
    assert all(len(line) == 96 for line in lines[1:11] if not line.endswith("held out"))
    assert "district 3 of a state with a very long ..." not in text
    assert "and 2 more, each within 100.00%" in lines[-1]


@pytest.mark.parametrize("size", [0.3, 1e3, 1e7, 1e14, 1e40])
def test_columns_of_numbers_of_any_size_stay_apart(size):
    y, scales = np.array([-1e-3, 1e3, size, -size]), [1e-3, 1.0, 1.0, 1.0]
    found = diagnose(M, y, WEIGHTS, 1 / size, target_scales=scales, target_groups=["a", "b", "c", "c"], exclude=[1])
    header, *rows = str(found.targets).splitlines()
    assert header.split() == ["target", "estimate", "error", "relative"]
    assert sorted(len(row.replace("held out", "").split()) for row in rows) == [6] * 4  # the name has two words
    lines = str(found).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("relative errors"))
    names = ["targets", "a", "c", "held out"]  # the only target of group b is held out
    for name, line in zip(names, lines[start + 1 :], strict=True):
        assert len(line.strip().removeprefix(name).split()) == 9
    ratios = next(lines[i + 1] for i, line in enumerate(lines) if line.startswith("weight / base"))
    assert len(ratios.split()) == 9


def test_targets_of_weight_0_are_told_apart():
    found = diagnose(M, Y, WEIGHTS, target_weights=[1, 0, 2, 1], exclude=[3], aggregates=[["a", "a", None, None]])
    assert (found.fitted.n, found.unweighted.n, found.held_out.n) == (2, 1, 1)
    assert found.unweighted.worst_names == ("target 1",)
    assert found.targets.asked.tolist() == [True, False, True, False]
    assert found.targets.missed.tolist() == [True, False, True, False]
    assert found.verdict == "2 of 2 targets missed, 1 of 1 aggregate missed, 1 held out, 1 of weight 0"
    assert [line.split("  ")[0] for line in str(found).splitlines()[-4:]] == ["targets", "aggregates", "held out", "weight 0"]
    assert "target 1" in next(line for line in str(found.targets).splitlines() if line.endswith("  weight 0"))
    nothing = diagnose(M, Y, WEIGHTS, target_weights=0.0)
    assert nothing.verdict == "no target to meet, 4 of weight 0"
    free = Aggregate(["a", "a", None, None], weight=0.0)
    assert diagnose(M, ESTIMATES, WEIGHTS, aggregates=[free]).verdict == "all targets met, no aggregate to meet"


def naive_errors(rows, scales):
    errors = [abs(ESTIMATES[i] - Y[i]) / scales[i] for i in rows]
    return len(rows), statistics.fmean(errors), statistics.median(errors), max(errors)


def test_diagnostics_against_naive_loops():
    scales, base = [max(abs(y), 1.0) for y in Y], [1.0, 1.0, 2.0, 3.0, 4.0]
    found = diagnose(M, Y, WEIGHTS, base, exclude=[3], target_groups=["a", "b", "a", "c"], tolerances=1.0)
    active = [w for w in WEIGHTS if w]
    size = sum(active) ** 2 / sum(w * w for w in active)
    assert (found.n_records, found.n_active, found.total_weight) == (5, 4, 14.0)
    assert found.effective_sample_size == pytest.approx(size)
    assert found.design_effect == pytest.approx(4 / size)
    assert found.design_effect == pytest.approx(1 + statistics.pvariance(active) / statistics.fmean(active) ** 2)
    assert found.top_share == pytest.approx(6 / 14)
    ratios = sorted(w / b for w, b in zip(WEIGHTS, base, strict=True) if w)
    assert (found.ratio_quantiles[0], found.ratio_quantiles[-1]) == (ratios[0], ratios[-1])
    assert found.ratio_quantiles[4] == pytest.approx(statistics.median(ratios))
    for errors, rows in [
        (found.fitted, [0, 1, 2]),
        (found.held_out, [3]),
        (found.by_group["a"], [0, 2]),
        (found.by_group["b"], [1]),
    ]:
        assert (errors.n, errors.mean, errors.median, errors.worst) == pytest.approx(naive_errors(rows, scales))
    assert list(found.by_group) == ["a", "b"]  # the only member of c is held out
    of_fitted = [abs(ESTIMATES[i] - Y[i]) / scales[i] for i in range(3)]
    assert found.fitted.within == pytest.approx([sum(e <= limit for e in of_fitted) / 3 for limit in (0.05, 0.1, 0.25)])
    assert found.fitted.met == pytest.approx(sum(abs(ESTIMATES[i] - Y[i]) <= 1 for i in range(3)) / 3)
    assert found.fitted.worst_names[0] == "target 1"
    assert found.aggregates is None


def test_diagnostics_of_aggregates():
    state = Aggregate(["x", "x", None, None], totals=[20.0])
    found = diagnose(M, Y, WEIGHTS, aggregates=[state, [[1, 1, 1, 1]]])
    errors = [abs(sum(ESTIMATES[:2]) - 20) / 20, abs(sum(ESTIMATES) - sum(Y)) / sum(Y)]
    assert (found.aggregates.n, found.aggregates.mean) == pytest.approx((2, statistics.fmean(errors)))
    assert set(found.aggregates.worst_names) == {"x", "target 0"}


def test_nothing_active():
    found = diagnose(M, Y, np.zeros(5), base_weights=0.0)
    assert (found.n_active, found.effective_sample_size, found.ratio_quantiles) == (0, 0.0, None)
    assert math.isnan(found.design_effect)
    assert "nan" not in str(found)


def test_printed_diagnostics():
    names = ["people", "cars", "a target with a name that is far too long for a line", "d"]
    found = diagnose(
        M, Y, WEIGHTS, 1.0, names=names, target_groups=[2020, 2020, 2021, 2021], exclude=[3], aggregates=[1, 1, 2, 2]
    )
    text = str(found)
    assert repr(found) == text
    assert repr(found.targets) == str(found.targets)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 128
    assert [line.split("  ")[0] for line in lines if line and not line.startswith(" ")] == [
        "records", "total weight", "effective sample size", "design effect", "largest 1% of records", "weight / base weight",
        "relative errors", "targets", "aggregates", "held out",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines if line.startswith("  20")] == ["2020", "2021"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.8, "1,234,568"), (1e45, "1e+45"), (12.3456, "12.35"), (-1000.0, "-1,000"), (0.0, "0"), (np.nan, "-")],
)
def test_numbers_in_words(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1234, "12.34%"),
        (0.0, "0.00%"),
        (1e-14, "1e-12%"),
        (-2.0, "-200.00%"),
        (99.99, "9999.00%"),
        (99.999, "100x"),
        (-5730.2, "-5730x"),
        (99_999.7, "1e+05x"),
        (1e200, "1e+200x"),
        (np.nan, "-"),
    ],
)
def test_shares_in_words(value, text):
    assert percent(value) == text
    assert shorten("abcdef", 5) == "ab..."


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((M, Y, WEIGHTS[:-1]), {}, InputError, "weights must have one value for each column of M: 5 wanted"),
        ((M, Y, [1, 2, 3, 4, np.nan]), {}, InputError, "weights[4] is nan"),
        ((M, Y[:-1], WEIGHTS), {}, InputError, "y must have one value for each row of M: 4 wanted"),
        ((M, Y, WEIGHTS, -1.0), {}, InputError, "base_weights must be at least 0, got -1"),
        ((M, Y, WEIGHTS, [0, 0, 1, 1, 1]), {}, InputError, "base_weights[0] = 0: must be above 0 where a weight is not 0"),
        ((M, Y, WEIGHTS), {"exclude": [9]}, InputError, "exclude[0] = 9"),
        (("M", Y, WEIGHTS), {}, InputTypeError, "M must be an array of numbers"),
    ],
)
def test_diagnose_refuses(arguments, options, error, message):
    with pytest.raises(L0npError) as caught:
        diagnose(*arguments, **options)
    assert type(caught.value) is error
    assert message in str(caught.value)


# --- reports of a running fit


FIT = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative", "verbose_freq": 10}


def test_progress_speaks_of_given_scales_and_held_out_rows():
    matrix, y = small_problem()
    seen = []
    model = SparseCalibrationWeights(40, seed=1)
    model.fit(matrix, y, epochs=10, target_scales=2.0, exclude=[1], callbacks=[seen.append], **FIT)
    (progress,) = seen
    np.testing.assert_allclose(progress.relative_errors, np.abs(y - model.predict(matrix)) / 2, rtol=1e-5)
    assert progress.fitted.tolist() == [True, False, True, True, True, True]
    assert progress.target_table.relative_error.tolist() == pytest.approx(((model.predict(matrix) - y) / 2).tolist(), rel=1e-4)


def test_verbose_tells_held_out_errors_apart(capsys):
    matrix, y = small_problem()
    off = np.array(y)
    off[4] *= 100
    model = SparseCalibrationWeights(40, seed=1)
    groups = [1, 1, 1, 2, 2, 2]
    model.fit(matrix, off, epochs=10, exclude=[4], target_groups=groups, verbose=True, **FIT)
    errors = np.abs(off - model.predict(matrix)) / (off + 1)
    lines = capsys.readouterr().out.splitlines()
    mean = (errors[:3].mean() + errors[[3, 5]].mean()) / 2
    assert lines[1].startswith(f"Epoch   10: mean_group_mare={mean:.4%}, max_error={errors[[0, 1, 2, 3, 5]].max():.1%}, ")
    assert lines[3].strip() == f"Held out: 1 target, mean_error={errors[4]:.4%}, max_error={errors[4]:.1%}"


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


HEADER = "epoch,loss,target_name,target,estimate,error,abs_error,rel_abs_error"


def test_csv_log(tmp_path):
    matrix, y = small_problem()
    names = [f'place "{i}", with a comma' for i in range(6)]
    path, losses = tmp_path / "log.csv", []
    model = SparseCalibrationWeights(40, seed=1)
    frame = pd.DataFrame(matrix.toarray(), index=names)
    watchers = [callbacks.csv_log(path), lambda progress: losses.append(progress.loss)]
    model.fit(frame, y, epochs=30, callbacks=watchers, **FIT)
    assert path.read_text().splitlines()[0] == HEADER
    rows = read(path)
    assert [row["epoch"] for row in rows] == ["10"] * 6 + ["20"] * 6 + ["30"] * 6
    assert [row["target_name"] for row in rows[:6]] == names
    estimates = model.predict(matrix)
    for row, target, estimate in zip(rows[12:], y, estimates, strict=True):
        assert float(row["loss"]) == pytest.approx(losses[-1], rel=1e-8)
        assert float(row["target"]) == pytest.approx(target, rel=1e-6)
        assert float(row["estimate"]) == pytest.approx(estimate, rel=1e-6)
        assert float(row["error"]) == pytest.approx(estimate - target, abs=1e-5)
        assert float(row["abs_error"]) == abs(float(row["error"]))
        assert float(row["rel_abs_error"]) == pytest.approx(abs(estimate - target) / max(abs(target), 1), abs=1e-6)


def test_csv_log_of_the_worst_only(tmp_path):
    matrix, y = small_problem()
    model = SparseCalibrationWeights(40, seed=1)
    everything, worst = tmp_path / "all.csv", tmp_path / "worst.csv"
    model.fit(matrix, y, epochs=20, callbacks=[callbacks.csv_log(everything), callbacks.csv_log(worst, worst=2)], **FIT)
    for epoch in ("10", "20"):
        rows = [row for row in read(everything) if row["epoch"] == epoch]
        rows.sort(key=lambda row: -float(row["rel_abs_error"]))
        assert [row for row in read(worst) if row["epoch"] == epoch] == rows[:2]


def test_csv_log_starts_anew_or_goes_on(tmp_path):
    matrix, y = small_problem()
    path = tmp_path / "log.csv"

    def run(**options):
        SparseCalibrationWeights(40, seed=1).fit(matrix, y, epochs=10, callbacks=[callbacks.csv_log(path, **options)], **FIT)
        return path.read_text()

    once = run()
    assert run() == once
    path.write_text(once + "20,0.5,target")  # cut off in the middle of a line
    twice = run(append=True)
    assert twice == once + once.removeprefix(HEADER + "\n")
    path.unlink()
    assert run(append=True) == once
    path.write_text("epoch,lo")
    assert run(append=True) == once


def test_csv_log_of_a_regression(tmp_path):
    path = tmp_path / "log.csv"
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    model = SparseL0Linear(3, seed=0).fit(X, X[:, 0], epochs=10, verbose_freq=10, callbacks=[callbacks.csv_log(path)])
    assert float(read(path)[7]["estimate"]) == pytest.approx(model.predict(X)[7], abs=1e-5)


def test_csv_log_refuses_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        callbacks.csv_log(tmp_path / "nowhere" / "log.csv")
    with pytest.raises(InputError, match="worst must be at least 1, got 0"):
        callbacks.csv_log(tmp_path / "log.csv", worst=0)
