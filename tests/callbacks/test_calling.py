"""When callbacks are called, in which order, and what they learn of a fit."""

import numpy as np
import pytest
from support import small_problem

from l0np import SparseCalibrationWeights, callbacks
from l0np.callbacks import Callbacks, FitCallback, StageProgress
from l0np.targets import Targets

FIT = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative"}
M, Y = small_problem()


class Note(FitCallback):
    def __init__(self, name, notes, every=None, after_others=False):
        self.name, self.notes, self.every, self.after_others = name, notes, every, after_others

    def start(self, fit, memory):
        self.notes.append((self.name, "start", fit.start_epoch, fit.last_epoch))

    def __call__(self, progress):
        self.notes.append((self.name, progress.epoch))

    def close(self, final):
        self.notes.append((self.name, "close", final is not None))


def fit(watch, **options):
    return SparseCalibrationWeights(40, seed=1, device="numpy").fit(M, Y, callbacks=watch, **FIT | options)


def test_each_comes_at_its_own_epochs_and_all_at_the_end():
    notes = []
    watch = [Note("last", notes, after_others=True, every=4), Note("three", notes, every=3)]
    watch.append(lambda progress: notes.append(("plain", progress.epoch)))
    fit(watch, epochs=13, verbose_freq=6)
    assert notes == [
        ("three", "start", 0, 13), ("last", "start", 0, 13),
        ("three", 3), ("last", 4), ("three", 6), ("plain", 6), ("last", 8), ("three", 9),
        ("three", 12), ("plain", 12), ("last", 12), ("three", 13), ("plain", 13), ("last", 13),
        ("three", "close", True), ("last", "close", True),
    ]  # fmt: skip


def test_those_that_come_last_do_not_come_when_another_stops():
    notes = []
    fit([Note("last", notes, after_others=True), lambda progress: True], epochs=20, verbose_freq=5)
    assert notes == [("last", "start", 0, 20), ("last", "close", True)]


def test_an_exception_closes_all():
    notes = []

    def fail(progress):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fit([Note("one", notes), fail], epochs=20, verbose_freq=5)
    assert notes == [("one", "start", 0, 20), ("one", 5), ("one", "close", False)]


def test_a_fit_of_no_epochs_is_none():
    notes = []
    fit([Note("one", notes)], epochs=0)
    assert notes == []


def test_stages_reach_all_and_true_stops(tmp_path):
    seen = []
    stage = StageProgress("sampling", 0.5, 1.0)
    assert not Callbacks([seen.append, callbacks.history()]).report_stage(stage)
    assert seen == [stage]
    assert Callbacks([seen.append, lambda progress: True]).report_stage(stage)
    assert not Callbacks([callbacks.checkpoint(tmp_path)]).report_stage(stage)
    assert list(tmp_path.iterdir()) == []  # only training is checkpointed


def test_csv_log_of_stages(tmp_path):
    path, targets = tmp_path / "log.csv", Targets.build([10.0, 20.0], 2)
    log = callbacks.csv_log(path)
    log(StageProgress("sampling", 0.5))  # no estimates, no rows
    log(StageProgress("refit", 0.5, 1.0, targets, np.array([11.0, 20.0]), size=2, n_sizes=3))
    assert path.read_text().splitlines()[1:] == [
        "refit (size 2 of 3),,target 0,10,11,1,1,0.1",
        "refit (size 2 of 3),,target 1,20,20,0,0,0",
    ]


def test_a_stage_knows_its_worst_error():
    targets = Targets.build([9.0, 19.0, 5.0], 3, exclude=[2])
    stage = StageProgress("refit", targets=targets, estimates=np.array([10.0, 20.0, 50.0]))
    assert stage.worst_error == pytest.approx(0.1)
    assert StageProgress("refit").worst_error is None
    assert StageProgress("refit").target_table is None
