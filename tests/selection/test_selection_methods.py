"""The table of methods, the rule of "auto", and what is done where a problem is large."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import nnls
from support import needs_speed
from survey_problems import problem

import l0np
from l0np.matrix import weighted_totals
from l0np.refit import DEFAULT_BOUNDS, distance_of
from l0np.selection import methods
from l0np.selection.all_records import AllRecords
from l0np.selection.methods import METHODS
from l0np.selection.problem import GateTraining, SelectionLimits, SelectionProblem
from l0np.selection.pursuit import pursue
from l0np.selection.result import calibration_of
from l0np.targets import Targets


def checked(M, y, base, *, limits=None, epochs=60, **options):
    """A selection problem, with limits of its own."""
    distance = distance_of("chi-square", DEFAULT_BOUNDS)
    training = GateTraining.checked(epochs, 0.1, "cpu", None)
    found = SelectionProblem.checked(M, y, base, distance, None, training, 0, options)
    return replace(found, limits=limits or SelectionLimits())


def test_the_docstring_lists_the_methods():
    (listed,) = re.findall(r"method : \{(.*)\}", l0np.calibrate.__doc__)
    assert re.findall(r'"([^"]+)"', listed) == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_selects_exactly_k_and_refits_them(method):
    M, y, base = problem()
    base[:20] = 0.0
    answer = l0np.calibrate(M, y, 30, base, method=method, epochs=60, seed=0)
    assert len(answer.indices) == np.count_nonzero(answer.weights) == 30
    assert answer.indices.min() >= 20
    assert (np.diff(answer.indices) > 0).all()
    assert answer.method in (method if method != "auto" else METHODS)
    np.testing.assert_allclose(M @ answer.weights, answer.targets.estimate)


def test_a_method_of_ones_own_through_the_table(monkeypatch):
    def heaviest(all_records, k):
        records = np.sort(np.argsort(-all_records.weights)[:k])
        return all_records.select(records, all_records.inclusion(k), "heaviest")

    monkeypatch.setitem(METHODS, "heaviest", heaviest)
    M, y, base = problem()
    answer = l0np.calibrate(M, y, 30, base, method="heaviest")
    assert answer.method == "heaviest"
    assert len(answer.indices) == 30
    assert base[answer.indices].min() > np.median(base)


@pytest.mark.parametrize(
    "call",
    [
        lambda *arguments, **options: l0np.calibrate(*arguments, n_active=20, **options),
        lambda *arguments, **options: l0np.l0_path(*arguments, n_active=[5, 40], **options),
        lambda *arguments, **options: l0np.l0_path(*arguments, lambda_l0=[1e-3, 1e-5], **options),
    ],
    ids=["calibrate", "path", "path of multipliers"],
)
@pytest.mark.parametrize("method", METHODS)
def test_targets_are_checked_once(monkeypatch, call, method):
    builds, build = [], Targets.build.__func__

    def counting(cls, *arguments, **options):
        builds.append(options)
        return build(cls, *arguments, **options)

    monkeypatch.setattr(Targets, "build", classmethod(counting))
    M, y, base = problem()
    call(M, y, base_weights=base, method=method, epochs=20, seed=0, tolerances=0.01)
    assert len(builds) == 1


@pytest.mark.slow  # selects from 6,194 schools
@pytest.mark.parametrize(("k", "size"), [(70, 0.5), (80, 0.65), (100, 0.74), (231, 0.95), (771, 0.996)])
def test_schools_above_the_rank(schools, k, size):
    answer = l0np.calibrate(schools, schools.sum(axis=1), n_active=k, seed=0)
    assert answer.method == "thinned"
    assert len(answer.indices) == np.count_nonzero(answer.weights) == k
    assert np.abs(answer.targets.relative_error).max() < 1e-9
    assert answer.diagnostics.effective_sample_size > size * k
    assert not answer.missed
    assert answer.converged


def test_one_school(schools):
    assert np.count_nonzero(l0np.calibrate(schools, schools.sum(axis=1), n_active=1, seed=0).weights) == 1


@pytest.mark.slow  # selects from 6,194 schools
@pytest.mark.parametrize("k", [10, 60])
def test_schools_below_the_rank(schools, k):
    y = schools.sum(axis=1)
    answer = l0np.calibrate(schools, y, n_active=k, seed=0, spread=0)
    scaled = schools / y[:, None]
    pursued = pursue(scaled, np.ones(len(y)), k)
    rival = np.abs(scaled[:, pursued] @ nnls(scaled[:, pursued], np.ones(len(y)))[0] - 1).mean()
    assert answer.method == "exchange"
    assert np.count_nonzero(answer.weights) == k
    assert np.abs(answer.targets.relative_error).mean() <= rival + 1e-9
    assert answer.missed


@pytest.mark.slow  # selects from 6,194 schools
@pytest.mark.parametrize("k", [10, 60])
def test_schools_below_the_rank_with_a_spread_that_counts(schools, k):
    answer = l0np.calibrate(schools, schools.sum(axis=1), n_active=k, seed=0)
    sums = {one.method: one.total for one in answer.tried}
    assert list(sums) == ["thinned", "balanced", "exchange", "thinned, exchanged"]
    assert sums[answer.method] == min(sums.values())


@needs_speed
@pytest.mark.parametrize(
    ("limits", "options", "tried"),
    [
        (SelectionLimits(), {}, ["by_exchange"]),
        (SelectionLimits(exchange_cost=0), {}, ["by_gates"]),
        (SelectionLimits(exchange_size=0), {}, ["by_gates"]),
        (SelectionLimits(exchange_size=0, gates_cost=0), {}, []),
        (SelectionLimits(), {"tolerances": 1e-9}, ["by_gates"]),  # exchanges know no tolerances
        (
            SelectionLimits(),
            {"aggregates": [[0, 0, 0, 0, 1, 1, 1, 1]]},
            ["by_gates"],
        ),  # nor totals of targets
        (SelectionLimits(), {"loss_type": "absolute"}, ["by_gates"]),  # nor other losses than squares
    ],
)
@pytest.mark.filterwarnings("ignore::l0np.errors.L0npWarning")
def test_auto_tries_what_can_be_afforded_and_takes_the_least_sum(monkeypatch, limits, options, tried):
    others = {}
    for name in ("by_exchange", "by_gates"):
        original = getattr(methods, name)

        def noting(all_records, k, name=name, original=original):
            return others.setdefault(name, original(all_records, k))

        monkeypatch.setattr(methods, name, noting)
    M, y, base = problem(seed=1)  # 8 targets, which 6 records cannot meet
    all_records = AllRecords.calibrated(checked(M, y, base, limits=limits, epochs=300, **options))
    found = METHODS["auto"](all_records, 6)
    assert list(others) == tried
    assert [one.method for one in found.tried][:2] == ["thinned", "balanced"]
    assert len(found.tried) == 2 + len(tried) + ("by_exchange" in tried)
    assert min(found.tried, key=lambda one: one.squared_error + one.spread).method == found.method


def test_auto_tries_nothing_else_where_a_sample_meets_the_targets(monkeypatch):
    for name in ("by_balanced_sample", "by_exchange", "by_gates"):
        monkeypatch.setattr(methods, name, lambda *arguments: pytest.fail("another selection was made"))
    M, y, base = problem()
    assert l0np.calibrate(M, y, 60, base, seed=0).method == "thinned"


@needs_speed
def test_gates_reach_k_and_report_their_multiplier(schools):
    answer = l0np.calibrate(schools, schools.sum(axis=1), 120, method="gates", epochs=200, seed=0)
    assert answer.method == "gates"
    assert len(answer.indices) == 120
    assert answer.lambda_l0 is not None


@needs_speed
def test_many_records_are_calibrated_by_training():
    M, y, base = problem()
    y = y * np.linspace(0.6, 1.5, len(y))
    exact = l0np.calibrate(M, y, 60, base, seed=0)
    case = checked(M, y, base, limits=SelectionLimits(full_refit_cost=0))
    all_records = AllRecords.calibrated(case)
    assert all_records.selection is None
    before = np.abs(M @ base / y - 1).mean()
    assert before > 0.1
    assert np.sqrt(np.mean((M @ all_records.weights / y - 1) ** 2)) < 1e-3
    trained = calibration_of(case, METHODS["auto"](all_records, 60))
    assert trained.method == "thinned"
    assert not trained.missed
    assert trained.diagnostics.effective_sample_size > 0.8 * exact.diagnostics.effective_sample_size


@pytest.mark.parametrize(
    ("k", "limits", "n_samples"),
    [
        (8, {"samples": 4}, 2),  # the second one meets the targets
        (8, {"samples": 1}, 1),
        (8, {"samples": 4, "samples_size": 10}, 1),  # the matrix has more entries
        (7, {"samples": 4}, 1),  # fewer records than targets
        (60, {"samples": 4}, 1),  # the first sample meets the targets
    ],
)
def test_more_samples_are_drawn_where_they_may_meet_the_targets(monkeypatch, k, limits, n_samples):
    attempts, draw = [], methods.balanced_sample

    def noting(matrix, weights, probabilities, seed, attempt, **options):
        attempts.append(attempt)
        return draw(matrix, weights, probabilities, seed, attempt, **options)

    monkeypatch.setattr(methods, "balanced_sample", noting)
    M, y, base = problem()
    METHODS["balanced"](AllRecords.calibrated(checked(M, y, base, limits=SelectionLimits(**limits))), k)
    assert attempts == list(range(n_samples))


def test_selections_are_matched_against_all_records():
    M, y, base = problem()
    all_records = AllRecords.calibrated(checked(M, y, base))
    good = METHODS["balanced"](all_records, 60)
    assert all_records.are_matched_by(good)
    poor = all_records.select(np.arange(4), all_records.inclusion(4), "first")
    assert not all_records.are_matched_by(poor)
    estimate = weighted_totals(all_records.problem.matrix, all_records.weights)
    assert all_records.problem.loss(estimate) < 1e-12
