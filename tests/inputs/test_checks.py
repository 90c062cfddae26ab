"""The checks themselves: bounds, kinds of numbers, schedules, and what their errors say."""

from fractions import Fraction

import numpy as np
import pytest

from l0np.errors import InputError, InputTypeError
from l0np.inputs import validation
from l0np.inputs.messages import and_more, described
from l0np.inputs.scalars import RULES

FLOAT = np.dtype(np.float64)


def test_every_bound_has_a_rule():
    assert set(RULES) == set(validation.Bounds.__annotations__)


@pytest.mark.parametrize(
    ("bound", "inside", "outside", "rule"),
    [
        ("above", 1.5, 1.0, "must be above 1"),
        ("below", 0.5, 1.0, "must be below 1"),
        ("at_least", 1.0, 0.5, "must be at least 1"),
        ("at_most", 1.0, 1.5, "must be at most 1"),
    ],
)
def test_numbers_vectors_and_schedules_keep_to_the_same_bounds(bound, inside, outside, rule):
    bounds = {bound: 1.0}
    assert validation.real_number("x", inside, **bounds) == inside
    assert validation.scalar_or_vector("x", inside, 3, FLOAT, **bounds).tolist() == [inside] * 3
    assert validation.scalar_or_vector("x", [inside] * 3, 3, FLOAT, **bounds).tolist() == [inside] * 3
    assert validation.schedule("x", lambda epoch: inside, 0, 2, **bounds)(1) == inside

    def late(epoch):
        return outside if epoch == 7 else inside

    for call, message in (
        (lambda: validation.real_number("x", outside, **bounds), f"x {rule}, got {outside:g}"),
        (lambda: validation.scalar_or_vector("x", outside, 3, FLOAT, **bounds), f"x {rule}, got {outside:g}"),
        (
            lambda: validation.scalar_or_vector("x", [inside, outside], 2, FLOAT, **bounds),
            f"x[1] = {outside:g}: {rule}",
        ),
        (lambda: validation.schedule("x", late, 5, 4, **bounds), f"x(7) {rule}, got {outside:g}"),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert str(raised.value) == message


def test_of_several_bounds_the_first_that_is_violated_is_named():
    with pytest.raises(InputError, match="must be above 0, got -2"):
        validation.real_number("x", -2, above=0.0, at_most=-5.0)
    assert validation.real_number("x", 3, above=0.0, at_most=3) == 3.0


def test_schedules_are_positive_without_being_told():
    with pytest.raises(InputError, match="lr must be above 0, got 0"):
        validation.schedule("lr", 0, 0, 5)
    rates = validation.schedule("lr", lambda epoch: 1.0 / (epoch + 1), 3, 2)
    assert [rates(3), rates(4)] == [0.25, 0.2]


def test_no_bound_is_written_as_infinity_where_that_is_allowed():
    caps = validation.scalar_or_vector("caps", [np.inf, 2.0], 2, FLOAT, above=0.0, infinite=True)
    assert caps.tolist() == [np.inf, 2.0]
    assert validation.scalar_or_vector("caps", np.inf, 2, FLOAT, infinite=True).tolist() == [np.inf] * 2
    for value in (np.inf, [np.inf, 2.0]):
        with pytest.raises(InputError, match="caps"):
            validation.scalar_or_vector("caps", value, 2, FLOAT)
    with pytest.raises(InputError, match=r"caps\[0\] is -inf"):
        validation.scalar_or_vector("caps", [-np.inf, 2.0], 2, FLOAT, infinite=True)


@pytest.mark.parametrize("value", [3, 3.0, np.int8(3), np.float32(3), np.array(3), Fraction(3)])
def test_integers_of_every_kind(value):
    found = validation.integer("n", value, at_least=1, at_most=3)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, InputError, "n must be at least 1, got 0"),
        (4, InputError, "n must be at most 3, got 4"),
        (1.5, InputError, "n must be an integer, got 1.5"),
        (np.inf, InputError, "n must be an integer, got inf"),
        ("2", InputTypeError, "n must be an integer, got '2' (str)"),
        (True, InputTypeError, "n must be an integer, got True (bool)"),
        ([2], InputTypeError, "n must be an integer, got [2] (list)"),
    ],
    ids=repr,
)
def test_what_is_no_integer_within_the_bounds(value, error, message):
    with pytest.raises(error) as raised:
        validation.integer("n", value, at_least=1, at_most=3)
    assert str(raised.value) == message


def test_choices_are_listed_from_the_table():
    table = {"one": 1, "two": 2}
    assert validation.one_of("method", "two", table) == 2
    for value in ("three", None, ["one"]):
        with pytest.raises(InputError) as raised:
            validation.one_of("method", value, table)
        assert str(raised.value) == f"method must be one of 'one', 'two'; got {described(value)}"


def test_long_values_and_long_lists_are_cut_in_messages():
    assert described("x" * 100) == "'" + "x" * 36 + "... (str)"
    assert (and_more(1), and_more(6, 5), and_more(5, 5)) == ("", " (and 1 more)", "")
    with pytest.raises(InputError) as raised:
        validation.check_elements("w", np.arange(9.0), np.arange(9) > 1, "must be small")
    assert str(raised.value) == "w[2] = 2, w[3] = 3, w[4] = 4, w[5] = 5, w[6] = 6 (and 2 more): must be small"


@pytest.mark.parametrize("size", [1e-160, 1e160])
def test_sizes_whose_squares_leave_float64(size):
    validation.check_squarable("X", np.array([0.0, 1.0, 1e-149, 1e149]))
    with pytest.raises(InputError, match=r"X\[:, 1\] is of the size 1e[+-]160: .*use other units"):
        validation.check_squarable("X", np.array([1.0, size]))
    with pytest.raises(InputError, match=r"^y is of the size"):
        validation.check_squarable("y", size)
    with pytest.raises(InputError, match=r"^w\[1\] is of the size 1e[+-]60"):
        validation.check_squarable("w", [1.0, size**0.375], validation.DIVISIBLE, "[{}]")
