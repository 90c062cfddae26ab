"""The rule between answers: both of its parts, and that the least sum is taken."""

from dataclasses import replace

import numpy as np
import pytest
from survey_problems import problem

import l0np
from l0np.refit import DEFAULT_BOUNDS, distance_of
from l0np.selection.all_records import AllRecords
from l0np.selection.methods import METHODS
from l0np.selection.problem import GateTraining, SelectionProblem
from l0np.selection.ranking import best_of


def checked(M, y, base):
    distance, training = distance_of("chi-square", DEFAULT_BOUNDS), GateTraining.checked(60, 0.1, "cpu", None)
    return SelectionProblem.checked(M, y, base, distance, None, training, 0, {})


def parts(M, y, answer, spread=1.0):
    """Mean squared relative error, and spread / Kish's effective sample size, written out."""
    errors = (M @ answer.weights - y) / y
    return (errors**2).mean(), spread * (answer.weights**2).sum() / answer.weights.sum() ** 2


# Only "auto" compares sums; of any other method the spread is a factor on its own second part
@pytest.mark.parametrize(
    ("method", "spread"), [("auto", 0.0), ("auto", 1.0), *((method, 0.3) for method in METHODS)]
)
def test_both_parts_are_reported_for_every_method_tried(method, spread):
    M, y, base = problem()
    answer = l0np.calibrate(M, y, 5, base, method=method, spread=spread, epochs=60, seed=0)
    (taken,) = (one for one in answer.tried if one.method == answer.method)
    np.testing.assert_allclose((taken.squared_error, taken.spread), parts(M, y, answer, spread))
    assert taken.n_missed == len(answer.missed)
    names = ["thinned", "balanced", "exchange"] if method == "auto" else [method]
    exchanged = ["thinned, exchanged"] if method == "auto" and spread else []
    assert [one.method for one in answer.tried] == names + exchanged
    assert taken.total <= answer.tried[-1].total
    for one in answer.tried[: len(names)]:
        other = l0np.calibrate(M, y, 5, base, method=one.method, spread=spread, epochs=60, seed=0)
        assert other.tried == (one,)
        assert taken.total <= one.total


def test_spread_moves_the_answer_from_met_targets_to_even_weights():
    M, y, base = problem()
    answers = [l0np.calibrate(M, y, 6, base, spread=spread, seed=0) for spread in (0.0, 1.0)]
    errors, sizes = zip(*(parts(M, y, answer) for answer in answers), strict=True)
    assert errors[0] < errors[1]
    assert sizes[0] >= sizes[1]
    assert answers[0].method == "exchange"


def test_without_a_spread_the_most_even_of_the_selections_that_meet_the_targets_is_taken():
    M, y, base = problem()
    met = AllRecords.calibrated(replace(checked(M, y, base), spread=0.0))
    found = [replace(METHODS["thinned"](met, k), tried=()) for k in (9, 12, 60, 30)]
    assert all(one.refit.n_missed == 0 for one in found)
    assert best_of(met.problem, found).records.size == 60


def test_options_count_as_they_do_in_the_loss():
    M, y, base = problem()
    sums = l0np.Aggregate([0, 0, 0, 0, 1, 1, 1, 1], weight=3.0)
    options = {
        "target_weights": np.arange(1.0, 9.0),
        "tolerances": 0.01 * y,
        "caps": 0.1,
        "exclude": [2],
        "aggregates": sums,
    }
    answer = l0np.calibrate(M, y, 5, base, method="thinned", seed=0, **options)

    def squares(target, estimate, tolerance, cap):
        s = (np.maximum(np.abs(estimate - target) - tolerance, 0.0) / target) ** 2
        return s / (1 + s / cap)

    estimate, fitted = M @ answer.weights, np.arange(8) != 2
    weights, adding = np.arange(1.0, 9.0) * fitted, np.repeat(np.eye(2), 4, axis=1) * fitted
    total = weights @ squares(y, estimate, 0.01 * y, 0.1)
    total += 3.0 * squares(adding @ y, adding @ estimate, 0.0, np.inf).sum()
    np.testing.assert_allclose(answer.tried[0].squared_error, total / (weights.sum() + 6.0))


def test_the_error_of_a_target_of_0_is_relative_to_its_row():
    M, y, base = problem()
    M[3] *= np.random.default_rng(1).choice([-1.0, 1.0], size=300)
    y[3] = 0.0
    answer = l0np.calibrate(M, y, 5, base, method="thinned", seed=0)
    scale = np.where(y == 0, np.abs(M) @ base, y)
    errors = (M @ answer.weights - y) / scale
    np.testing.assert_allclose(answer.tried[0].squared_error, (errors**2).mean())


def test_fewer_missed_targets_break_ties():
    M, y, base = problem()
    found = checked(M, y, base)
    selection = METHODS["thinned"](AllRecords.calibrated(found), 5)
    others = [
        replace(selection, method=name, refit=replace(selection.refit, n_missed=n))
        for name, n in (("a", 3), ("b", 2), ("c", 4))
    ]
    assert best_of(found, others).method == "b"


@pytest.mark.parametrize(("spread", "words"), [(-1.0, "at least 0"), (np.nan, "nan")])
def test_a_spread_that_cannot_be_used_is_refused(spread, words):
    M, y, base = problem()
    for call in (l0np.calibrate, l0np.l0_path):
        with pytest.raises(l0np.errors.InputError, match=words):
            call(M, y, n_active=5 if call is l0np.calibrate else [5], base_weights=base, spread=spread)
