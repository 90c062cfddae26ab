"""Reports of a running fit: progress, what is printed, and `csv_log`."""

import csv

import numpy as np
import pandas as pd
import pytest
from support import small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear, callbacks
from l0np.errors import InputError

FIT = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative", "verbose_freq": 10}
HEADER = "epoch,loss,target_name,target,estimate,error,abs_error,rel_abs_error"


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


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
        assert float(row["rel_abs_error"]) == pytest.approx(
            abs(estimate - target) / max(abs(target), 1), abs=1e-6
        )


def test_csv_log_of_the_worst_only(tmp_path):
    matrix, y = small_problem()
    model = SparseCalibrationWeights(40, seed=1)
    everything, worst = tmp_path / "all.csv", tmp_path / "worst.csv"
    model.fit(
        matrix,
        y,
        epochs=20,
        callbacks=[callbacks.csv_log(everything), callbacks.csv_log(worst, worst=2)],
        **FIT,
    )
    for epoch in ("10", "20"):
        rows = [row for row in read(everything) if row["epoch"] == epoch]
        rows.sort(key=lambda row: -float(row["rel_abs_error"]))
        assert [row for row in read(worst) if row["epoch"] == epoch] == rows[:2]


def test_csv_log_starts_anew_or_goes_on(tmp_path):
    matrix, y = small_problem()
    path = tmp_path / "log.csv"

    def run(**options):
        SparseCalibrationWeights(40, seed=1).fit(
            matrix, y, epochs=10, callbacks=[callbacks.csv_log(path, **options)], **FIT
        )
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
    model = SparseL0Linear(3, seed=0).fit(
        X, X[:, 0], epochs=10, verbose_freq=10, callbacks=[callbacks.csv_log(path)]
    )
    assert float(read(path)[7]["estimate"]) == pytest.approx(model.predict(X)[7], abs=1e-5)


def test_csv_log_refuses_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        callbacks.csv_log(tmp_path / "nowhere" / "log.csv")
    with pytest.raises(InputError, match="worst must be at least 1, got 0"):
        callbacks.csv_log(tmp_path / "log.csv", worst=0)


def test_progress_speaks_of_given_scales_and_held_out_rows():
    matrix, y = small_problem()
    seen = []
    model = SparseCalibrationWeights(40, seed=1)
    model.fit(matrix, y, epochs=10, target_scales=2.0, exclude=[1], callbacks=[seen.append], **FIT)
    (progress,) = seen
    np.testing.assert_allclose(progress.relative_errors, np.abs(y - model.predict(matrix)) / 2, rtol=1e-5)
    assert progress.fitted.tolist() == [True, False, True, True, True, True]
    assert progress.target_table.relative_error.tolist() == pytest.approx(
        ((model.predict(matrix) - y) / 2).tolist(), rel=1e-4
    )


def test_verbose_reports_held_out_errors_apart(capsys):
    matrix, y = small_problem()
    off = np.array(y)
    off[4] *= 100
    model = SparseCalibrationWeights(40, seed=1)
    groups = [1, 1, 1, 2, 2, 2]
    model.fit(matrix, off, epochs=10, exclude=[4], target_groups=groups, verbose=True, **FIT)
    errors = np.abs(off - model.predict(matrix)) / (off + 1)
    lines = capsys.readouterr().out.splitlines()
    mean = (errors[:3].mean() + errors[[3, 5]].mean()) / 2
    assert lines[1].startswith(
        f"Epoch   10: mean_group_mare={mean:.4%}, max_error={errors[[0, 1, 2, 3, 5]].max():.1%}, "
    )
    assert lines[3].strip() == f"Held out: 1 target, mean_error={errors[4]:.4%}, max_error={errors[4]:.1%}"
