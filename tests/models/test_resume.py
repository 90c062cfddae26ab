"""`resume`: an interrupted fit goes on from its checkpoint as if it had never stopped."""

import json
import os
import resource
import signal

import numpy as np
import pandas as pd
import pytest
from both_models import FIT, both_models, calibration
from crashes import CrashAt, CrashError, M, Y, crash
from support import DEVICES, same_state

from l0np import Aggregate, SparseCalibrationWeights, schedules
from l0np.callbacks import FitCallback, checkpoint, csv_log, early_stopping, history
from l0np.engine import read_checkpoint
from l0np.errors import CheckpointWarning, InputError, InputTypeError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


def models(device="cpu", **options):
    return zip(*(both_models(40, device, **options) for _ in range(2)), strict=True)


@pytest.mark.parametrize("device", DEVICES)
def test_a_resumed_fit_equals_one_that_never_stopped(device, tmp_path):
    for (whole, fit), (broken, _) in models(device):
        whole.fit(M, Y, epochs=60, **fit)
        folder = tmp_path / type(whole).__name__
        crash(broken, folder, 37, epochs=60, **fit)
        resumed = type(whole).resume(folder, M, Y)
        assert same_state(whole.state_dict(), resumed.state_dict())
        assert (resumed.seed_, resumed.device, resumed.dtype) == (whole.seed_, device, whole.dtype)


def test_again_and_again(tmp_path):
    whole = calibration().fit(M, Y, epochs=60, **FIT)
    crash(calibration(), tmp_path, 25, epochs=60, **FIT)
    for epoch in (30, 31, 47):
        with pytest.raises(CrashError):
            SparseCalibrationWeights.resume(
                tmp_path, M, Y, callbacks=[checkpoint(tmp_path, 10), CrashAt(epoch)]
            )
    resumed = SparseCalibrationWeights.resume(tmp_path, M, Y)
    assert same_state(whole.state_dict(), resumed.state_dict())


def test_exactly_k_with_its_controller(tmp_path):
    def model():
        return calibration(dtype="float64")

    fit = {"n_active": 12, "lr": 0.1, "loss_type": "relative", "epochs": 80}
    whole = model().fit(M, Y, **fit)
    crash(model(), tmp_path, 43, every=7, **fit)
    resumed = SparseCalibrationWeights.resume(tmp_path, M, Y, callbacks=[checkpoint(tmp_path)])
    assert same_state(whole.state_dict(), resumed.state_dict())
    assert resumed.get_active_weights()["count"] == 12
    again = SparseCalibrationWeights.resume(tmp_path, M, Y)  # of the end, with the selection
    assert same_state(whole.state_dict(), again.state_dict())


OPTIONS = {
    "target_groups": ["a", "a", "b", "b", "b", "c"],
    "normalize_groups": False,
    "group_multipliers": {"a": 2.0},
    "target_weights": [1.0, 2.0, 1.0, 1.0, 0.5, 0.0],
    "target_scales": np.linspace(1, 2, 6),
    "tolerances": 0.1,
    "caps": [0.5, np.inf, 0.5, 0.5, 0.5, 0.5],
    "aggregates": [Aggregate(["x", "x", None, "y", "y", "y"], weight=2.0, tolerances=0.5)],
    "exclude": [3],
    "loss_type": "relative",
}


def test_target_options_come_from_the_checkpoint_and_may_be_given_again(tmp_path):
    fit = {**OPTIONS, "lr": 0.1, "lambda_l0": 1e-3, "lambda_l2": 1e-5, "epochs": 40}
    whole = calibration().fit(M, Y, **fit)
    crash(calibration(), tmp_path, 25, **fit)
    seen = []
    resumed = SparseCalibrationWeights.resume(tmp_path, M, Y, callbacks=[seen.append])
    assert same_state(whole.state_dict(), resumed.state_dict())
    assert seen[-1].fitted.tolist() == [True, True, True, False, True, True]
    assert seen[-1].targets.groups.tolist() == OPTIONS["target_groups"]
    given = SparseCalibrationWeights.resume(tmp_path, M, Y, **OPTIONS)
    assert same_state(whole.state_dict(), given.state_dict())
    others = {
        "caps": 0.4,
        "tolerances": 0.2,
        "exclude": [2],
        "target_weights": 1.0,
        "target_scales": 3.0,
        "aggregates": [Aggregate(["x", "x", None, "y", "y", "y"], weight=3.0, tolerances=0.5)],
        "loss_type": "mse",
        "group_multipliers": {"a": 3.0},
    }
    for option, value in others.items():
        with pytest.raises(InputError, match=f"{option}.* differs from that of the interrupted fit"):
            SparseCalibrationWeights.resume(tmp_path, M, Y, **OPTIONS | {option: value})
    with pytest.raises(InputTypeError, match=r"resume has no argument .cap.: did you mean caps"):
        SparseCalibrationWeights.resume(tmp_path, M, Y, cap=1.0)


def test_schedules_are_kept_and_functions_given_again(tmp_path):
    kept = {"lr": schedules.Cosine(0.2, 0.01, epochs=50), "epochs": 50, "lambda_l0": 1e-2}
    whole = calibration(beta=schedules.Linear(0.8, 0.4, epochs=50)).fit(M, Y, **kept)
    crash(calibration(beta=schedules.Linear(0.8, 0.4, epochs=50)), tmp_path / "kept", 35, **kept)
    resumed = SparseCalibrationWeights.resume(tmp_path / "kept", M, Y)
    assert same_state(whole.state_dict(), resumed.state_dict())

    def beta(epoch):
        return schedules.Linear(0.8, 0.4, epochs=50)(epoch)

    crash(calibration(beta=beta), tmp_path / "given", 35, **kept | {"lr": lambda epoch: kept["lr"](epoch)})
    with pytest.raises(InputError, match=r"beta was a function.* give the same to resume\(beta="):
        SparseCalibrationWeights.resume(tmp_path / "given", M, Y, lr=kept["lr"])
    with pytest.raises(InputError, match=r"lr was a function.* give the same to resume\(lr="):
        SparseCalibrationWeights.resume(tmp_path / "given", M, Y, beta=beta)
    resumed = SparseCalibrationWeights.resume(tmp_path / "given", M, Y, beta=beta, lr=kept["lr"])
    assert same_state(whole.state_dict(), resumed.state_dict())


def test_epochs_are_those_of_the_whole_fit(tmp_path):
    model = calibration().fit(M, Y, epochs=20, **FIT)  # an earlier fit, which does not count
    crash(model, tmp_path, 45, epochs=40, **FIT)
    longer = SparseCalibrationWeights.resume(tmp_path, M, Y, epochs=50)
    assert same_state(longer.state_dict(), calibration().fit(M, Y, epochs=70, **FIT).state_dict())
    with pytest.raises(InputError, match="epochs must be at least 20, which the interrupted fit has trained"):
        SparseCalibrationWeights.resume(tmp_path, M, Y, epochs=19)


def test_of_a_fit_that_has_ended_nothing_is_trained(tmp_path):
    model = calibration().fit(M, Y, epochs=30, callbacks=[checkpoint(tmp_path, 10)], **FIT)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert before == ["checkpoint-000002", "checkpoint-000003"]  # of epoch 20, and of the end
    seen = []
    again = SparseCalibrationWeights.resume(tmp_path, M, Y, callbacks=[seen.append, checkpoint(tmp_path)])
    assert same_state(model.state_dict(), again.state_dict())
    assert not seen
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    longer = SparseCalibrationWeights.resume(tmp_path, M, Y, epochs=40)
    assert same_state(longer.state_dict(), calibration().fit(M, Y, epochs=40, **FIT).state_dict())


def test_initial_weights_and_all_other_arguments_are_kept(tmp_path):
    def model():
        rng = np.random.default_rng(0)
        return SparseCalibrationWeights(
            40, init_weights=pd.Series(rng.uniform(1, 2, 40)), init_keep_prob=rng.uniform(size=40),
            gamma=-0.2, zeta=1.3, test_time_temperature=False, dtype="float64", log_alpha_jitter_sd=0.1,
        )  # fmt: skip

    one = model()
    crash(one, tmp_path, 25, epochs=30, **FIT)
    resumed = SparseCalibrationWeights.resume(tmp_path, M, Y)
    other = model()
    other.load_state_dict(one.state_dict())
    other.fit(M, Y, epochs=5, **FIT)
    assert same_state(other.state_dict(), resumed.state_dict())
    np.testing.assert_array_equal(other.get_weights(True), resumed.get_weights(True))
    np.testing.assert_array_equal(other.refit(M, Y).weights, resumed.refit(M, Y).weights)
    for name in ("gamma", "zeta", "test_time_temperature", "dtype", "log_alpha_jitter_sd", "use_gates"):
        assert getattr(resumed, name) == getattr(one, name)


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    model = SparseCalibrationWeights(40)
    crash(model, tmp_path, 15, epochs=20, **FIT)
    resumed = SparseCalibrationWeights.resume(tmp_path, M, Y)
    assert resumed.seed_ == model.seed_
    resumed.reset()
    model.reset()
    assert same_state(resumed.state_dict(), model.state_dict())


def test_a_damaged_checkpoint_costs_some_epochs_only(tmp_path):
    crash(calibration(), tmp_path, 25, epochs=30, **FIT)
    (tmp_path / "checkpoint-000002" / "arrays.npz").write_bytes(b"")
    with pytest.warns(CheckpointWarning, match="going on from checkpoint-000001"):
        resumed = SparseCalibrationWeights.resume(tmp_path, M, Y)
    assert same_state(resumed.state_dict(), calibration().fit(M, Y, epochs=30, **FIT).state_dict())


def test_a_folder_holds_the_checkpoints_of_one_run(tmp_path):
    keep = checkpoint(tmp_path, 10)
    model = calibration().fit(M, Y, epochs=10, callbacks=[keep], **FIT)
    model.fit(M, Y, epochs=10, callbacks=[keep], **FIT)  # the same callback goes on
    other = calibration()
    with pytest.raises(InputError, match="holds checkpoints of another run: resume that run"):
        other.fit(M, Y, epochs=10, callbacks=[checkpoint(tmp_path)], **FIT)
    assert other.epoch_ == 0
    crash(calibration(), tmp_path / "other", 15, epochs=20, **FIT)
    with pytest.raises(InputError, match="holds checkpoints of another run"):
        SparseCalibrationWeights.resume(tmp_path / "other", M, Y, callbacks=[checkpoint(tmp_path)])


def test_a_full_disk_costs_checkpoints_but_no_training(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    model = calibration()
    model.fit(M, Y, epochs=10, callbacks=[keep := checkpoint(tmp_path, 10)], **FIT)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.warns(CheckpointWarning, match="no checkpoint was written .*Training goes on") as caught:
            model.fit(M, Y, epochs=30, callbacks=[keep], **FIT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(caught) == 1
    assert same_state(model.state_dict(), calibration().fit(M, Y, epochs=40, **FIT).state_dict())
    assert read_checkpoint(tmp_path)[1].document["state"]["epoch"] == 10


def test_seconds_between_checkpoints(tmp_path):
    seldom, often = tmp_path / "seldom", tmp_path / "often"
    watch = [checkpoint(seldom, seconds=1e6), checkpoint(often, seconds=1e-9)]
    with pytest.raises(CrashError):
        calibration().fit(M, Y, epochs=30, verbose_freq=10, callbacks=[*watch, CrashAt(25)], **FIT)
    assert list(seldom.iterdir()) == []
    assert read_checkpoint(often)[1].document["state"]["epoch"] == 20


@pytest.mark.parametrize("when", [{"every": 100}, {"seconds": 1e6}])
def test_ctrl_c_writes_a_checkpoint(tmp_path, when):
    class Press(FitCallback):
        every = 7

        def __call__(self, progress):
            os.kill(os.getpid(), signal.SIGINT)

    model = calibration(device="numpy")
    with pytest.raises(KeyboardInterrupt):
        model.fit(M, Y, epochs=30, verbose_freq=7, callbacks=[Press(), checkpoint(tmp_path, **when)], **FIT)
    assert model.epoch_ == 7
    resumed = SparseCalibrationWeights.resume(tmp_path, M, Y)
    whole = calibration(device="numpy").fit(M, Y, epochs=30, **FIT)
    assert same_state(resumed.state_dict(), whole.state_dict())


def test_the_log_has_no_gap_and_no_epoch_twice(tmp_path):
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    fit = {"epochs": 60, "verbose_freq": 5, **FIT}
    calibration().fit(M, Y, callbacks=[csv_log(whole)], **fit)
    crash(calibration(), tmp_path / "run", 38, every=10, callbacks=[csv_log(broken)], **fit)
    assert "\n35," in broken.read_text()  # later than the checkpoint of epoch 30
    with broken.open("a") as log:
        log.write("4")  # and a row that was being written
    SparseCalibrationWeights.resume(tmp_path / "run", M, Y, callbacks=[csv_log(broken)])
    assert broken.read_text() == whole.read_text()


def test_early_stopping_and_history_go_on(tmp_path):
    def watch():
        return [early_stopping("mean", patience=25), history()]

    fit = {"epochs": 400, "verbose_freq": 5, **FIT, "lr": 0.3}
    stop, reports = watch()
    whole = calibration().fit(M, Y, callbacks=[stop, reports], **fit)
    assert whole.epoch_ < reports["epoch"][-1] < 400  # it stopped, and returned to its best state
    at = int(reports["epoch"][-1]) - 3  # when the best report is past
    crash(calibration(), tmp_path, at, every=10, callbacks=watch(), **fit)
    stop, again = watch()
    resumed = SparseCalibrationWeights.resume(
        tmp_path, M, Y, callbacks=[checkpoint(tmp_path, 10), stop, again]
    )
    assert same_state(whole.state_dict(), resumed.state_dict())
    for name in set(reports) - {"seconds"}:
        np.testing.assert_array_equal(reports[name], again[name])
    ended = SparseCalibrationWeights.resume(tmp_path, M, Y)  # the last checkpoint holds the best state
    assert same_state(whole.state_dict(), ended.state_dict())


def test_a_checkpoint_is_plain(tmp_path):
    crash(calibration(), tmp_path, 15, epochs=30, **FIT)
    (path,) = tmp_path.iterdir()
    with np.load(path / "arrays.npz", allow_pickle=False) as arrays:
        assert {"state/log_weight", "state/log_alpha", "targets/value"} <= set(arrays)
    document = json.loads((path / "checkpoint.json").read_text())["document"]
    assert document["seed"] == 11
    assert document["library_version"]
    assert document["settings"]["lambda_l2"] == 1e-6
    assert len(document["matrix"]["values_sha256"]) == len(document["targets_sha256"]) == 64
