"""Ctrl-C: the epoch is completed, what was trained is kept and reported, and the run can be continued."""

import os
import signal
import threading

import numpy as np
import pytest
from support import DEVICES, same_state, small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.backends import BACKENDS, BackendEntry
from l0np.backends.numpy import NumpyBackend
from l0np.engine.interrupts import DelayedInterrupt

FIT = {"lambda_l0": 1e-3, "lr": 0.1, "loss_type": "relative", "verbose_freq": 5}


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_active", [None, 10])
def test_an_interrupted_fit_keeps_what_was_trained_and_goes_on_bit_for_bit(device, n_active):
    M, y = small_problem()
    options = FIT | ({} if n_active is None else {"lambda_l0": None, "n_active": n_active})
    model, epochs = SparseCalibrationWeights(40, seed=1, device=device), []

    def log(progress):
        epochs.append(progress.epoch)
        if progress.epoch == 10:
            interrupt()

    with pytest.raises(KeyboardInterrupt, match="after epoch 10; the model keeps"):
        model.fit(M, y, epochs=32, callbacks=[log], **options)
    assert epochs == [5, 10]
    assert model.epoch_ == 10
    model.fit(M, y, epochs=22, **options)
    whole = SparseCalibrationWeights(40, seed=1, device=device).fit(M, y, epochs=32, **options)
    assert same_state(model.state_dict(), whole.state_dict())


class InterruptedBackend(NumpyBackend):
    """Sends SIGINT in the middle of the eighth epoch."""

    def row_step(self, problem, state, prediction, out):
        if state.epoch == 7:
            interrupt()
        return super().row_step(problem, state, prediction, out)


@pytest.mark.parametrize("n_active", [None, 10])
def test_the_epoch_in_which_it_comes_is_completed_and_reported(n_active, monkeypatch):
    monkeypatch.setitem(BACKENDS, "interrupted", BackendEntry(lambda: InterruptedBackend))
    M, y = small_problem()
    options = FIT | ({} if n_active is None else {"lambda_l0": None, "n_active": n_active})
    model, epochs = SparseCalibrationWeights(40, seed=1, device="interrupted"), []
    with pytest.raises(KeyboardInterrupt, match="after epoch 8"):
        model.fit(M, y, epochs=12, callbacks=[lambda progress: epochs.append(progress.epoch)], **options)
    assert (epochs, model.epoch_) == ([5, 8], 8)
    whole = SparseCalibrationWeights(40, seed=1, device="numpy").fit(M, y, epochs=12, **options)
    model.load_state_dict(model.state_dict())
    assert same_state(model.fit(M, y, epochs=4, **options).state_dict(), whole.state_dict())


def test_the_handler_is_that_of_before_after_a_fit():
    before = signal.getsignal(signal.SIGINT)
    SparseL0Linear(2, seed=0).fit(np.eye(2), [1.0, 2.0], epochs=3)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_signal_interrupts_at_once():
    with DelayedInterrupt() as delayed:
        interrupt()
        assert delayed.requested
        with pytest.raises(KeyboardInterrupt):
            interrupt()


def test_other_handlers_and_other_threads_are_left_alone(monkeypatch):
    caught = []
    own = signal.signal(signal.SIGINT, lambda *arguments: caught.append(1))
    try:
        with DelayedInterrupt() as delayed:
            interrupt()
        assert caught == [1]
        assert not delayed.requested
    finally:
        signal.signal(signal.SIGINT, own)
    entered = []
    thread = threading.Thread(target=lambda: entered.append(DelayedInterrupt().__enter__().requested))
    thread.start()
    thread.join()
    assert entered == [False]


@pytest.mark.parametrize(("epochs", "reports"), [(12, [5, 10, 12]), (3, [3]), (10, [5, 10]), (0, [])])
def test_the_last_epoch_is_always_reported(epochs, reports):
    M, y = small_problem()
    seen = []
    model = SparseCalibrationWeights(40, seed=1, device="numpy")
    model.fit(M, y, epochs=epochs, callbacks=[lambda progress: seen.append(progress.epoch)], **FIT)
    assert seen == reports
