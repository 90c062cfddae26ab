"""Schedules of learning rate and temperature."""

import itertools

import pytest

from l0np import SparseCalibrationWeights, schedules
from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation
from l0np.inputs.scalars import AHEAD

KINDS = (schedules.Linear, schedules.Exponential, schedules.Cosine)


def test_schedules_reach_their_ends_and_stay_there():
    for kind in KINDS:
        schedule = kind(2.0, 0.5, epochs=10)
        values = [schedule(epoch) for epoch in range(15)]
        assert values[0] == 2.0
        assert values[10:] == pytest.approx([0.5] * 5)
        assert all(a > b for a, b in itertools.pairwise(values[:11]))
    assert schedules.Linear(2.0, 0.5, epochs=0)(0) == 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a", 1.0, 10), InputTypeError, "start must be a number, got 'a'"),
        ((1.0, float("nan"), 10), InputError, "end must be finite"),
        ((1.0, None, 10), InputTypeError, "end must be a number"),
        ((1.0, 0.5, -1), InputError, "epochs must be at least 0"),
        ((1.0, 0.5, 2.5), InputError, "epochs must be an integer"),
        ((1.0, 0.5, None), InputTypeError, "epochs must be an integer"),
    ],
)
def test_a_schedule_is_checked_when_it_is_made(kind, arguments, error, message):
    with pytest.raises(error, match=message):
        kind(*arguments)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0), (1.0, -1.0)])
def test_no_factor_connects_these_ends(ends):
    with pytest.raises(InputError, match="start and end must have one sign, and not be 0"):
        schedules.Exponential(*ends, 10)
    assert schedules.Linear(*ends, 10)(10) == ends[1]


def test_tiny_ends_of_one_sign():
    assert schedules.Exponential(1e-200, 1e-300, 10)(10) == pytest.approx(1e-300)


# --- how a run calls them


def test_a_schedule_is_called_once_for_each_epoch_a_block_ahead():
    called = []
    schedule = validation.schedule("lr", lambda epoch: called.append(epoch) or epoch + 1.0, 5, 3 * AHEAD + 7)
    assert called == list(range(5, 5 + AHEAD))
    for epoch in range(5, 5 + 3 * AHEAD + 7):
        assert schedule(epoch) == epoch + 1.0
        assert schedule(max(epoch - 1, 5)) == max(epoch, 6)
    assert called == list(range(5, 5 + 3 * AHEAD + 7))
    assert schedule(5) == 6.0  # long past: asked again


def test_a_value_that_is_refused_later_leaves_the_model_at_its_last_report():
    rates = {AHEAD + 100: -1.0}
    model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    with pytest.raises(InputError, match=rf"lr\({AHEAD + 100}\) must be above 0"):
        model.fit([[1, 1]], [2], lr=lambda epoch: rates.get(epoch, 0.1), epochs=2 * AHEAD, verbose_freq=1000)
    assert model.epoch_ == 1000
    with pytest.raises(InputError, match=r"lr\(1100\) must be above 0"):
        model.fit([[1, 1]], [2], lr=lambda epoch: -1.0 if epoch == 1100 else 0.1, epochs=200)
    assert model.epoch_ == 1000  # refused before any work


def test_a_run_does_not_wait_for_millions_of_epochs_of_its_schedule():
    called = []
    model = SparseCalibrationWeights(2, seed=0, use_gates=False)
    options = {"epochs": 4_000_000, "verbose_freq": 10, "callbacks": [lambda progress: True]}
    model.fit([[1, 1]], [2], lr=lambda epoch: called.append(epoch) or 0.1, **options)
    assert model.epoch_ == 10
    assert len(called) == AHEAD
