"""The controller of lambda_l0, and the selection of the columns most likely to be open."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l0np.engine import Problem, Serial, State, most_open
from l0np.engine.lambda_control import CONTROL_PERIOD, REFERENCE_RATE, control_lambda_l0
from l0np.maths import HardConcrete, Parameter


def look(log_alpha, k, state=None, second_moment=1e-6, epoch=CONTROL_PERIOD):
    """Return the state after the controller has looked at gates whose locations are all `log_alpha`."""
    values = np.full(100, float(log_alpha))
    parameter = Parameter(values, np.zeros(100), np.full(100, second_moment))
    controller, lambda_l0 = (None, 0.0) if state is None else (state.controller, state.lambda_l0)
    state = State(parameter, parameter, None, epoch, epoch, 0, lambda_l0=lambda_l0, controller=controller)
    problem = Problem(None, 1, None, None, lambda epoch: HardConcrete(0.5), 0.0, lambda epoch: 0.1)
    control_lambda_l0(problem, state, k, Serial())
    return state


def test_lambda_l0_rises_while_too_many_gates_are_open_and_falls_below_0_while_too_few_are():
    high = look(3.0, k=10)
    multipliers = [high.lambda_l0]
    for _ in range(5):
        high = look(3.0, 10, high)
        multipliers.append(high.lambda_l0)
    assert multipliers[0] > 0
    assert all(later > 2 * earlier for earlier, later in itertools.pairwise(multipliers))
    low = look(-5.0, k=50)
    assert low.lambda_l0 < 0
    assert look(-5.0, 50, low).lambda_l0 < low.lambda_l0


def test_the_reference_moves_by_little_an_epoch_and_stops_at_k():
    state = look(3.0, k=90)
    references = [state.controller.log_reference]
    for _ in range(9):
        state = look(3.0, 90, state)
        references.append(state.controller.log_reference)
    steps = -np.diff(references)
    assert steps[0] == pytest.approx(REFERENCE_RATE * CONTROL_PERIOD)
    assert steps.max() == steps[0]
    assert references[-1] == np.log(90)


def test_a_multiplier_that_does_not_help_stays_within_bounds():
    state = look(3.0, k=1)
    for _ in range(500):
        state = look(3.0, 1, state)
    assert state.lambda_l0 < 1e9
    assert look(3.0, 1, second_moment=0.0).lambda_l0 > 0  # no gradient at all: the unit is 1
    for _ in range(20):
        state = look(-12.0, 1, state)
    assert state.lambda_l0 < 0


@given(data=st.data())
def test_most_open_takes_the_k_most_probable_and_breaks_ties_by_weight_then_position(data):
    n = data.draw(st.integers(1, 30))
    levels = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    probability = np.array(data.draw(st.lists(levels, min_size=n, max_size=n)))
    weight = np.array(data.draw(st.lists(st.sampled_from([-2.0, 0.0, 1.0, 2.0]), min_size=n, max_size=n)))
    k = data.draw(st.integers(1, n))
    ranked = sorted(range(n), key=lambda j: (-probability[j], -abs(weight[j]), j))
    assert np.flatnonzero(most_open(probability, weight, k)).tolist() == sorted(ranked[:k])
