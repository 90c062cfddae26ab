"""beta, gamma, zeta and test_time_temperature: checked where they are assigned, not where they are read."""

from fractions import Fraction

import numpy as np
import pytest
from both_models import FIT, both_models, calibration
from support import same_state, small_problem

from l0np.errors import InputError, InputTypeError

BAD = {
    "beta": [
        (0, InputError),
        (-1.0, InputError),
        (1e-7, InputError),
        ("hot", InputTypeError),
        (lambda e: 0, InputError),
    ],
    "gamma": [(0.1, InputError), (0, InputError), (-np.inf, InputError), (None, InputTypeError)],
    "zeta": [(1, InputError), (np.nan, InputError), (1e7, InputError), ("1.1", InputTypeError)],
    "test_time_temperature": [("no", InputTypeError), (2, InputTypeError)],
}
CASES = [(name, value, error) for name, cases in BAD.items() for value, error in cases]


@pytest.mark.parametrize(
    ("name", "value", "error"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)]
)
def test_an_assignment_is_refused_and_changes_nothing(name, value, error):
    for model, _ in both_models():
        before = getattr(model, name), model.get_deterministic_gates()
        with pytest.raises(error, match=name):
            setattr(model, name, value)
        assert getattr(model, name) == before[0]
        assert np.array_equal(model.get_deterministic_gates(), before[1])


def test_an_assigned_constant_is_that_of_the_next_fit():
    M, y = small_problem()
    constants = {"beta": 0.7, "gamma": -0.2, "zeta": 1.3, "test_time_temperature": False}
    for (made, fit), (changed, _) in zip(both_models(**constants), both_models(), strict=True):
        for name, value in constants.items():
            setattr(changed, name, value)
        assert same_state(
            made.fit(M, y, epochs=10, **fit).state_dict(), changed.fit(M, y, epochs=10, **fit).state_dict()
        )
        assert np.array_equal(made.get_deterministic_gates(), changed.get_deterministic_gates())
        assert made.get_l0_penalty() == changed.get_l0_penalty()


@pytest.mark.parametrize("number", [np.float32(0.5), Fraction(1, 2), np.array(0.5)], ids=repr)
def test_numbers_of_any_kind(number):
    model = calibration()
    model.beta = number
    assert model.beta == 0.5
    assert type(model.beta) is float


def test_a_schedule_of_beta_is_evaluated_at_the_epochs_that_are_needed():
    M, y = small_problem()
    seen = []

    def beta(epoch):
        seen.append(epoch)
        return 0.5 + 0.01 * epoch if epoch < 25 else -1.0

    model = calibration(beta=beta)
    assert set(seen) == {0}
    seen.clear()
    model.fit(M, y, epochs=10, **FIT)
    assert sorted(set(seen)) == list(
        range(11)
    )  # one more: the last step draws the gates of the epoch after it
    seen.clear()
    model.get_sparsity()
    assert set(seen) == {10}
    before = model.state_dict()
    with pytest.raises(InputError, match=r"beta\(25\)"):
        model.fit(M, y, epochs=15, **FIT)
    assert same_state(before, model.state_dict())


def test_an_assigned_schedule_is_checked_at_the_epoch_of_the_model():
    M, y = small_problem()
    model = calibration().fit(M, y, epochs=10, **FIT)
    with pytest.raises(InputError, match=r"beta\(10\)"):
        model.beta = lambda epoch: 1.0 - 0.1 * epoch
    model.beta = lambda epoch: 0.1 * epoch  # 0 at epoch 0, which is over
    model.fit(M, y, epochs=5, **FIT)
    assert model.epoch_ == 15
