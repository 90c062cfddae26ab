"""`progress_bar`: what it shows, in training and in other stages."""

import builtins
import io

import numpy as np
import pytest
from support import small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear, callbacks
from l0np.callbacks import StageProgress
from l0np.errors import InputError, L0npError, MissingPackageError
from l0np.targets import Targets

FIT = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative", "verbose_freq": 10}
M, Y = small_problem()


def drawings(screen):
    """Return what was drawn, one after the other."""
    return [line.strip() for line in screen.getvalue().replace("\n", "\r").split("\r") if line.strip()]


def test_a_bar_shows_where_the_fit_stands():
    screen, seen = io.StringIO(), []
    model = SparseCalibrationWeights(40, seed=1)
    watch = [callbacks.progress_bar(min_seconds=0, file=screen), seen.append]
    model.fit(M, Y, epochs=30, callbacks=watch, **FIT)
    shown = drawings(screen)
    assert [line[:14] for line in shown[:3]] == ["training:  33%", "training:  67%", "training: 100%"]
    assert "epoch 20/30" in shown[1]
    report = seen[1]
    state = f"loss={report.loss:.4g}, active={report.active_count}, worst={report.worst_error:.2%}"
    assert state in shown[1]
    assert screen.getvalue().endswith("\n")


def test_the_end_is_drawn_whatever_the_frequency():
    screen = io.StringIO()
    model = SparseCalibrationWeights(40, seed=1)
    bar = callbacks.progress_bar(min_seconds=1e6, file=screen)
    model.fit(M, Y, epochs=100, callbacks=[bar, lambda progress: progress.epoch == 70], **FIT)
    shown = drawings(screen)
    assert "epoch 10/100" in shown[0]
    assert "epoch 70/100" in shown[-1]
    assert len({line.split("[")[0] for line in shown}) == 2


def test_a_second_fit_goes_on_where_the_first_ended():
    screen = io.StringIO()
    model = SparseL0Linear(40, seed=1)
    bar = callbacks.progress_bar(min_seconds=0, file=screen)
    for _ in range(2):
        model.fit(M, Y, epochs=20, verbose_freq=20, callbacks=[bar])
    assert "epoch 20/20" in drawings(screen)[0]
    assert "epoch 40/40" in drawings(screen)[-1]


def test_a_fit_that_fails_leaves_the_bar_behind():
    screen = io.StringIO()

    def fail(progress):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        SparseCalibrationWeights(40, seed=1).fit(
            M, Y, epochs=30, callbacks=[callbacks.progress_bar(file=screen), fail], **FIT
        )
    assert screen.getvalue().endswith("\n")


def test_other_stages_have_bars_of_their_own():
    screen = io.StringIO()
    bar = callbacks.progress_bar(min_seconds=0, file=screen)
    targets = Targets.build(Y, 6)
    bar(StageProgress("sampling", 0.5, 2.0, targets, np.array(Y) * 1.25))
    bar(StageProgress("refit", None, 1.0, size=2, n_sizes=5))
    bar.close(None)
    shown = drawings(screen)
    assert shown[0].startswith("sampling:  50%")
    assert f"worst={0.25 * (Y / (Y + 1)).max():.2%}" in shown[0]
    assert shown[-1].startswith("refit (size 2 of 5) [00:01")


def test_what_is_missing_is_named(monkeypatch):
    plain = builtins.__import__

    def without_tqdm(name, *rest, **named):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return plain(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_tqdm)
    with pytest.raises(
        MissingPackageError, match=r"progress_bar needs tqdm, which is not installed: pip install"
    ) as caught:
        callbacks.progress_bar()
    assert isinstance(caught.value, L0npError)
    monkeypatch.undo()
    with pytest.raises(InputError, match="min_seconds must be at least 0"):
        callbacks.progress_bar(min_seconds=-1)
