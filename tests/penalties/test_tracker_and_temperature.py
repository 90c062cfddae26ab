"""The temperature scheduler as beta of both models, and the tracker."""

import csv
import math
import sys

import numpy as np
import pytest

from l0np import SparseCalibrationWeights, SparseL0Linear, callbacks, schedules
from l0np.errors import InputError, InputTypeError, MissingPackageError
from l0np.penalties import PenaltyTracker, TemperatureScheduler


@pytest.mark.parametrize("kind", ["linear", "exponential", "cosine"])
def test_the_schedules_are_those_of_the_package(kind):
    scheduler = TemperatureScheduler(2.0, 0.5, anneal_epochs=10, schedule=kind)
    same = getattr(schedules, kind.capitalize())(2.0, 0.5, epochs=10)
    assert [scheduler.get_temperature(t) for t in range(15)] == [same(t) for t in range(15)]
    assert [scheduler(t) for t in range(3)] == [same(t) for t in range(3)]
    assert TemperatureScheduler()(50) == pytest.approx(math.sqrt(2.0 * 0.1))


@pytest.mark.parametrize("model", [SparseCalibrationWeights, SparseL0Linear])
def test_it_drives_beta_of_both_models(model):
    rng = np.random.default_rng(0)
    M, y = rng.random((5, 12)), rng.random(5) + 3
    scheduler = TemperatureScheduler(1.0, 0.3, anneal_epochs=20)
    one, two = (model(12, beta=b, seed=0) for b in (scheduler, schedules.Exponential(1.0, 0.3, epochs=20)))
    one.fit(M, y, epochs=30), two.fit(M, y, epochs=30)
    assert np.array_equal(one.log_alpha, two.log_alpha)
    constant = model(12, beta=1.0, seed=0).fit(M, y, epochs=30)
    assert not np.array_equal(one.log_alpha, constant.log_alpha)


def test_a_checkpoint_keeps_it(tmp_path):
    rng = np.random.default_rng(0)
    M, y = rng.random((5, 12)), rng.random(5) + 3
    scheduler = TemperatureScheduler(1.0, 0.3, anneal_epochs=20, schedule="cosine")
    SparseL0Linear(12, beta=scheduler, seed=0).fit(
        M, y, epochs=30, callbacks=[callbacks.checkpoint(tmp_path)]
    )
    assert SparseL0Linear.resume(tmp_path, M, y).beta == scheduler


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"initial_temp": 0}, InputError, "initial_temp must be above 0"),
        ({"final_temp": "a"}, InputTypeError, "final_temp must be a number"),
        ({"anneal_epochs": -1}, InputError, "anneal_epochs must be at least 0"),
        ({"schedule": "cosin"}, InputError, "schedule: did you mean 'cosine'"),
    ],
)
def test_bad_schedulers(arguments, error, message):
    with pytest.raises(error, match=message):
        TemperatureScheduler(**arguments)


def tracker():
    made = PenaltyTracker()
    for value in (3.0, 1.0, 2.0):
        made.log("l0", value)
    made.log("loss", np.float32(0.5))
    return made


def test_history_and_statistics():
    made = tracker()
    assert made.get_history("l0") == [3.0, 1.0, 2.0]
    assert made.get_stats("l0") == {
        "mean": 2.0, "std": pytest.approx(math.sqrt(2 / 3)), "min": 1.0, "max": 3.0, "last": 2.0,
    }  # fmt: skip
    made.get_history("l0").append(9.0)
    assert made.get_history("l0") == [3.0, 1.0, 2.0]
    assert made.get_history("unknown") == []
    assert made.get_stats("unknown") == {}
    assert set(made.history) == {"l0", "loss"}
    made.log("loss", math.nan)
    assert math.isnan(made.get_stats("loss")["mean"])
    made.clear()
    assert made.get_history("l0") == []


def test_csv(tmp_path):
    tracker().save_to_csv(tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["l0", "loss"], ["3.0", "0.5"], ["1.0", ""], ["2.0", ""]]


def test_plot(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    figure = tracker().plot_history(save_path=tmp_path / "log.png")
    assert [axes.get_title() for axes in figure.axes] == ["l0", "loss"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [3.0, 1.0, 2.0]
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")
    assert len(tracker().plot_history(["loss"]).axes) == 1


def test_bad_uses(monkeypatch):
    made = tracker()
    with pytest.raises(InputError, match="value must be one number"):
        made.log("l0", [1.0, 2.0])
    with pytest.raises(InputTypeError, match="value must be an array of numbers"):
        made.log("l0", "a")
    with pytest.raises(InputTypeError, match="name must be a string"):
        made.log(3, 1.0)
    with pytest.raises(InputError, match="nothing was logged as 'los': did you mean \"loss\""):
        made.plot_history(["los"])
    with pytest.raises(InputError, match="nothing to plot"):
        PenaltyTracker().plot_history()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "l0np.plots.figures", raising=False)
    with pytest.raises(MissingPackageError, match="plot_history needs matplotlib"):
        made.plot_history()
