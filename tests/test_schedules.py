"""Schedules of learning rate and temperature."""

import itertools

import pytest

from l0np import schedules


def test_schedules_reach_their_ends_and_stay_there():
    for kind in (schedules.Linear, schedules.Exponential, schedules.Cosine):
        schedule = kind(2.0, 0.5, epochs=10)
        values = [schedule(epoch) for epoch in range(15)]
        assert values[0] == 2.0
        assert values[10:] == pytest.approx([0.5] * 5)
        assert all(a > b for a, b in itertools.pairwise(values[:11]))
    assert schedules.Linear(2.0, 0.5, epochs=0)(0) == 0.5
