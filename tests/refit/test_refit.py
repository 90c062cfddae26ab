"""Weights on a fixed selection: published results, optimality, infeasible targets, the door."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, sparse

import l0np
from l0np.errors import InputError, InputTypeError
from l0np.matrix.column_matrix import ColumnMatrix
from l0np.refit import newton
from l0np.refit.distances import distance_of
from l0np.refit.newton import NewtonSystems
from l0np.refit.refit import _System, refit_to_targets, refit_weights
from l0np.targets.targets import Targets

DATA = Path(__file__).parents[1] / "data"
# R's survey package 4.1.1, example of `calibrate`: apiclus1 calibrated on school type and api99. As R prints them with
# options(digits=10): mean of api00, total of enrolment, range of the g-weights.
PUBLISHED = {
    ("chi-square", (None, None)): (665.3090712, 3638487.204, 0.4185924622, 1.8332948832),
    ("chi-square", (0.6, 1.6)): (665.4849459, 3662212.873, 0.6, 1.6),
    ("raking", (None, None)): (665.393796, 3616588.564, 0.5342313687, 1.9947612437),
    ("logit", (0.5, 2.5)): (665.4315747, 3624254.103, 0.5943692382, 1.9358791456),
}


@pytest.fixture(scope="module")
def apiclus1():
    with (DATA / "apiclus1.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(("distance", "bounds"), PUBLISHED)
def test_agrees_with_the_survey_package(apiclus1, distance, bounds):
    api99, api00, enroll, pw = (apiclus1[name].astype(float) for name in ("api99", "api00", "enroll", "pw"))
    M = np.array([np.ones(len(pw)), apiclus1["stype"] == "H", apiclus1["stype"] == "M", api99])
    answer = l0np.calibrate(M, [6194, 755, 1018, 3914069], base_weights=pw, distance=distance, bounds=bounds)
    w = answer.selected_weights
    mean, total, least, most = PUBLISHED[distance, bounds]
    assert np.isclose(w @ api00 / w.sum(), mean, rtol=2e-9)
    assert np.isclose(w @ enroll, total, rtol=2e-9)
    np.testing.assert_allclose([(w / pw).min(), (w / pw).max()], [least, most], rtol=2e-8)
    assert answer.converged
    assert not answer.missed


def random_problem(seed, n_targets=6, k=25):
    rng = np.random.default_rng(seed)
    M = rng.lognormal(size=(n_targets, k)) * (rng.random((n_targets, k)) < 0.6)
    M[0] = 1.0
    reference = rng.lognormal(1, 0.5, size=k)
    y = M @ (reference * rng.uniform(0.7, 1.4, size=k))
    return M, y, reference


def refit(M, y, reference, distance="chi-square", bounds=(0.05, None), tolerance=0.0, **options):
    ones = np.ones(len(y))
    options = {"scale": np.maximum(np.abs(y), 1), "importance": ones, "tolerance": tolerance * ones} | options
    return refit_weights(sparse.csr_array(M), y, reference, distance_of(distance, bounds), **options)


DISTANCE = {
    "chi-square": lambda g: (g - 1) ** 2 / 2,
    "raking": lambda g: g * np.log(g) - g + 1,
}


@pytest.mark.parametrize("distance", DISTANCE)
@pytest.mark.parametrize("seed", range(5))
def test_no_feasible_neighbour_is_nearer(distance, seed):
    M, y, reference = random_problem(seed)
    found = refit(M, y, reference, distance, (0.3, 3.0))
    assert found.converged
    np.testing.assert_allclose(M @ found.weights, y, rtol=1e-9)
    assert found.ratios.min() >= 0.3 - 1e-12
    best = reference @ DISTANCE[distance](found.ratios)
    null = np.linalg.svd(M)[2][len(y) :]
    rng = np.random.default_rng(seed)
    tried = 0
    for _ in range(200):
        ratios = (found.weights + 0.02 * reference.min() * rng.normal(size=len(null)) @ null) / reference
        if ratios.min() >= 0.3 and ratios.max() <= 3.0:
            tried += 1
            assert reference @ DISTANCE[distance](ratios) > best - 1e-12
    assert tried > 10


@pytest.mark.parametrize("distance", ["chi-square", "raking"])
def test_infeasible_targets_are_missed_as_little_as_can_be(distance):
    M, y, reference = random_problem(3, n_targets=4, k=12)
    y[1] *= -1.0  # cannot be: all entries are positive
    y[2] *= 50.0  # out of reach of the bounds
    found = refit(M, y, reference, distance, (0.2, 4.0))
    scale = np.maximum(np.abs(y), 1)
    rival = optimize.lsq_linear(M / scale[:, None], y / scale, (0.2 * reference, 4.0 * reference), tol=1e-14)
    ours = np.sum((found.errors / scale) ** 2)
    assert np.isclose(ours, 2 * rival.cost, rtol=1e-6)
    assert {1, 2} <= set(found.missed)
    assert found.ratios.min() >= 0.2 - 1e-12
    assert found.ratios.max() <= 4.0 + 1e-12


@pytest.mark.parametrize(("distance", "bounds"), [("raking", (None, None)), ("raking", (0.0, None)), ("logit", (None, 4.0))])
def test_without_a_lower_bound_positive_weights_keep_a_floor(distance, bounds):
    M, y, reference = random_problem(3, n_targets=4, k=12)
    y[1] *= -1.0  # cannot be: all entries are positive
    found = refit(M, y, reference, distance, bounds)
    floor, upper, scale = 1e-4, bounds[1] or np.inf, np.maximum(np.abs(y), 1)
    rival = optimize.lsq_linear(M / scale[:, None], y / scale, (floor * reference, upper * reference), tol=1e-14)
    assert found.converged
    assert np.isclose(np.sum((found.errors / scale) ** 2), 2 * rival.cost, rtol=1e-6)
    assert found.ratios.min() >= floor * (1 - 1e-9)
    assert 0 < found.at_lower == np.count_nonzero(found.ratios < 1.001 * floor) < 12


def test_answers_tell_how_many_weights_lie_at_a_bound():
    M, y, reference = random_problem(0)
    free = l0np.calibrate(M, y, base_weights=reference, bounds=(None, None))
    assert (free.refit.at_lower, free.refit.at_upper) == (0, 0)
    assert "bound" not in repr(free.refit) + str(free)
    least, most = np.sort(free.refit.ratios)[[1, -3]]  # so that they hold some weights back
    held = l0np.calibrate(M, y, base_weights=reference, bounds=(least, most))
    at = [int(np.count_nonzero(np.abs(held.refit.ratios - bound) < 1e-9)) for bound in (least, most)]
    assert min(at) > 0
    assert [held.refit.at_lower, held.refit.at_upper] == at
    told = f", {at[0]} at the lower bound, {at[1]} at the upper bound"
    assert repr(held.refit).endswith(told + ")")
    assert str(held).splitlines()[0].endswith(told)
    for least in (0.0, 1e-12, 0.3):
        driven = refit(np.ones((1, 3)), np.zeros(1), np.ones(3), bounds=(least, None))
        assert (driven.at_lower, driven.at_upper) == (3, 0)


@pytest.mark.parametrize(
    ("distance", "bounds"),
    [("chi-square", (0.05, None)), ("chi-square", (None, None)), ("raking", (None, None)), ("logit", (0.2, 4))],
)
def test_contradictory_duplicates_end_at_their_weighted_mean(distance, bounds):
    M, y, reference = random_problem(5)
    twice, asked = np.vstack([M, M[2]]), np.append(y, 1.3 * y[2])
    answer = l0np.calibrate(twice, asked, base_weights=reference, distance=distance, bounds=bounds, names=list("abcdefg"))
    assert answer.converged
    assert answer.missed == ("c", "g")
    inverse = asked[[2, 6]] ** -2.0  # errors are divided by the targets
    meant = y.copy()
    meant[2] = inverse @ asked[[2, 6]] / inverse.sum()
    nearest = l0np.calibrate(M, meant, base_weights=reference, distance=distance, bounds=bounds)
    assert not nearest.missed
    np.testing.assert_allclose(answer.weights, nearest.weights, rtol=1e-6)


def test_fewer_records_than_targets():
    M, y, reference = random_problem(1, n_targets=9, k=5)
    found = refit(M, y, reference, bounds=(0.05, None))
    scale = np.maximum(np.abs(y), 1)
    rival = optimize.lsq_linear(M / scale[:, None], y / scale, (0.05 * reference, np.inf), tol=1e-14)
    assert found.converged
    np.testing.assert_allclose(found.weights, rival.x, rtol=1e-5, atol=1e-6)


def test_fixed_total_holds_where_targets_do_not():
    M, y, reference = random_problem(2)
    y = y * 1.5
    found = refit(M[1:], y[1:], reference, bounds=(0.5, 1.3), total=float(reference.sum()))
    assert np.isclose(found.weights.sum(), reference.sum(), rtol=1e-6)
    assert len(found.missed)


def test_tolerance_costs_nothing_and_saves_movement():
    M, y, reference = random_problem(4)
    exact, loose = refit(M, y, reference), refit(M, y, reference, tolerance=0.02 * np.abs(y))
    assert not len(loose.missed)
    assert np.abs(loose.errors / y).max() <= 0.02 + 1e-6
    moved = [reference @ (found.ratios - 1) ** 2 for found in (exact, loose)]
    assert moved[1] < 0.9 * moved[0]


@pytest.mark.parametrize("share", [0.01, 0.1])
@pytest.mark.parametrize("wild", [False, True])
def test_many_tolerances_lead_to_the_weights_of_least_movement(share, wild):
    """Of multipliers, 0 inside a tolerance and of the error's sign at its edge, the pull is the movement."""
    rng = np.random.default_rng(0)
    district = rng.integers(12, size=800)
    member = (np.arange(12)[:, None] == district).astype(float)
    marks = (rng.random((20, 800)) < np.linspace(0.05, 0.6, 20)[:, None]) * rng.lognormal(size=(20, 800))
    M = np.vstack([*(member * mark for mark in marks), marks])
    reference = rng.lognormal(1, 0.3, size=800)
    y = M @ (reference * rng.lognormal(0, 0.2, size=800))
    if wild:
        y[:10] *= 3.0
    tolerance = np.where(np.arange(len(y)) % 7, share * np.abs(y), 0.0)
    found = refit(M, y, reference, bounds=(None, None), tolerance=tolerance)
    assert found.converged
    assert found.steps < 60
    assert wild == bool(len(found.missed))
    if wild:  # no movement lowers the squares of what exceeds the tolerances
        beyond = np.sign(found.errors) * np.maximum(np.abs(found.errors) - tolerance, 0.0) / np.maximum(y, 1) ** 2
        assert np.abs(M.T @ beyond).max() < 1e-4 * (M.T @ np.abs(beyond)).max()
        return
    inside = np.abs(found.errors) < tolerance * (1 - 1e-6)
    assert 20 < inside.sum() < 200
    limited = tolerance[~inside] > 0
    active = M[~inside] * np.where(limited, -np.sign(found.errors[~inside]), 1.0)[:, None]
    fitted = optimize.lsq_linear(active.T, found.ratios - 1.0, (np.where(limited, 0.0, -np.inf), np.inf), tol=1e-13)
    assert np.sqrt(2 * fitted.cost) < 1e-5 * np.linalg.norm(found.ratios - 1.0)


def test_a_target_left_out_is_scored_only():
    M, y, reference = random_problem(5)
    wrong = y.copy()
    wrong[3] *= 100
    importance = np.ones(len(y))
    importance[3] = 0.0
    found = refit(M, wrong, reference, importance=importance)
    assert 3 not in found.missed
    assert abs(found.errors[3]) > abs(wrong[3]) / 2
    np.testing.assert_allclose(np.delete(M @ found.weights, 3), np.delete(y, 3), rtol=1e-9)


@pytest.mark.parametrize("n", [5, 3200])
def test_newton_systems_dense_and_sparse(n):
    rng = np.random.default_rng(0)
    rows = sparse.random_array((n, 2 * n), density=min(1.0, 4 / n), rng=rng, format="csr")
    curvature, diagonal, right = rng.random(2 * n), 0.1 + rng.random(n), rng.normal(size=n)
    x = NewtonSystems(rows).solve(curvature, diagonal, right)
    left = rows @ (curvature * (rows.T @ x)) + diagonal * x
    assert np.linalg.norm(left - right) < 2e-4 * np.linalg.norm(right)


def model_and_problem():
    rng = np.random.default_rng(0)
    M = rng.random((8, 60)) * (rng.random((8, 60)) < 0.5)
    return l0np.SparseCalibrationWeights(60, seed=0, dtype="float64"), M, M @ rng.lognormal(1, 0.3, size=60)


def test_the_model_keeps_its_selection_and_meets_the_targets():
    model, M, y = model_and_problem()
    before = model.fit(M, y, n_active=20, epochs=200, lr=0.1).get_active_weights()["indices"]
    found = model.refit(M, y)
    after = model.get_active_weights()
    np.testing.assert_array_equal(after["indices"], before)
    np.testing.assert_allclose(after["values"], found.weights, rtol=1e-12)
    assert after["count"] == 20
    np.testing.assert_allclose(model.predict(M), y, rtol=1e-9)
    assert found.ratios.min() >= 0.05
    reference = found.weights / found.ratios
    assert np.isclose(reference.sum(), 60)  # the initial weights are 1, and keep their total


def test_refit_after_lambda_keeps_the_active_records():
    model, M, y = model_and_problem()
    active = model.fit(M, y, lambda_l0=0.5, epochs=300, lr=0.1, loss_type="relative").get_active_weights()["indices"]
    model.refit(M, y)
    np.testing.assert_array_equal(model.get_active_weights()["indices"], active)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"distance": "euclid"}, InputError, "distance"),
        ({"distance": "logit"}, InputError, "finite bounds"),
        ({"bounds": (0.0, None)}, InputError, r"bounds\[0\] must be above 0"),
        ({"bounds": 3}, InputTypeError, "bounds"),
        ({"bounds": (1.5, 2.0)}, InputError, r"bounds\[0\]"),
        ({"bounds": (0.5, 0.9)}, InputError, r"bounds\[1\]"),
        ({"total": -1}, InputError, "total"),
        ({"reference": 0.0}, InputError, "reference"),
        ({"reference": np.ones(7)}, InputError, "reference"),
        ({"target_scales": 0.0}, InputError, "target_scales"),
    ],
)
def test_the_door_of_refit(options, error, text):
    model, M, y = model_and_problem()
    before = model.fit(M, y, n_active=20, epochs=5).state_dict()
    with pytest.raises(error, match=text):
        model.refit(M, y, **options)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("chi-square", (0.3, 2.5)),
        ("chi-square", (None, None)),
        ("raking", (None, None)),
        ("raking", (0.3, 2.5)),
        ("logit", (0.3, 2.5)),
    ],
)
def test_calibration_functions_and_their_derivatives(name, bounds):
    distance, u, step = distance_of(name, bounds), np.linspace(-2.03, 2.04, 60), 1e-5
    ratio, slope = distance(u)
    low, high = distance(u - step)[0], distance(u + step)[0]
    np.testing.assert_allclose(slope, (high - low) / (2 * step), atol=1e-6)
    assert np.isclose(distance(np.zeros(1))[0][0], 1.0)
    if bounds[0] is not None:
        assert ratio.min() >= bounds[0]
        assert ratio.max() <= bounds[1]


def test_slack_and_its_derivative():
    system = _System(np.ones((3, 1)), np.zeros(3), np.array([0.0, 0.1, 0.2]), np.ones(1), 1.0)
    for at in (-0.15, -0.05, 0.03, 0.3):
        width, step = 0.1, 1e-9
        slope = system.slack(at * np.ones(3), width)[1]
        low, high = (system.slack((at + sign * step) * np.ones(3), width)[0] for sign in (-1, 1))
        assert (np.abs(high) <= system.tolerance).all()
        np.testing.assert_allclose((high - low) / (2 * step), slope, rtol=1e-6)


def test_caps_minimise_the_bounded_loss():
    rng = np.random.default_rng(0)
    M = rng.random((12, 4))
    y = M @ np.array([2.0, 3.0, 4.0, 5.0]) * rng.uniform(0.9, 1.1, size=12)
    y[2] *= 6.0
    targets, cap = Targets.build(y, 12, caps=0.02), 0.02

    def loss(w):
        squares = ((M @ w - y) / np.maximum(y, 1)) ** 2
        return np.sum(squares / (1 + squares / cap))

    found = refit_to_targets(
        ColumnMatrix.of(M), np.arange(4), targets, np.full(4, 3.0), distance_of("chi-square", (0.01, None))
    )
    best = optimize.minimize(
        loss, found.weights, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 5000}
    )
    np.testing.assert_allclose(found.weights, best.x, rtol=1e-3)


def test_one_meaning_of_met():
    M, y, reference = random_problem(0)
    y[2] *= -1.0
    targets = Targets.build(y, len(y))
    found = refit_to_targets(
        ColumnMatrix.build(M, "float64"), np.arange(25), targets, reference, distance_of("chi-square", (0.5, 2))
    )
    table = l0np.target_table(M, y, found.weights)
    np.testing.assert_array_equal(np.flatnonzero(~table.within_tolerance), found.missed)
    nearly = l0np.target_table(np.eye(3), [1.0, 1.0, 1.0], [1 + 5e-7, 1 - 5e-7, 1 + 2e-6])
    assert nearly.within_tolerance.tolist() == [True, True, False]


@pytest.mark.parametrize("most_cost", [None, 0.0])
def test_blocks_with_a_border_and_the_diagonal_alone_give_one_answer(monkeypatch, most_cost):
    rng = np.random.default_rng(3)
    district = rng.integers(30, size=1500)
    member = (np.arange(30)[:, None] == district).astype(float)
    marks = (rng.random((20, 1500)) < 0.3) * rng.lognormal(size=(20, 1500))
    M = np.vstack([*(member * mark for mark in marks), marks])
    reference = rng.lognormal(1, 0.3, size=1500)
    y = M @ (reference * rng.uniform(0.8, 1.2, size=1500))
    if most_cost is not None:
        monkeypatch.setattr(newton, "MOST_COST", most_cost)
    plan = newton._Blocks._bordered(sparse.csr_array(M), 64)
    assert len(plan.bounds) > 3  # the longest rows hold the districts together
    curvature, diagonal, right = rng.random(1500), np.full(len(M), 1e-3), rng.normal(size=len(M))
    x = plan.factor(curvature, diagonal)(right)
    np.testing.assert_allclose(M @ (curvature * (M.T @ x)) + diagonal * x, right, atol=1e-8)
    found = refit(M, y, reference)
    assert found.converged
    assert not len(found.missed)


def test_what_was_cut_off_while_it_came_closer_is_not_called_converged(monkeypatch):
    """One weight is so large that the moves of the others, which carry the targets, are none beside it."""
    M = sparse.csr_array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 2.0]])
    y, reference, ones = np.array([1e9, 3.5, 3.2]), np.array([1e9, 1.0, 1.0, 1.0]), np.ones(3)
    told = {"scale": np.maximum(np.abs(y), 1), "importance": ones, "tolerance": 0 * ones}
    distance = distance_of("raking", (0.05, 20.0))
    assert refit_weights(M, y, reference, distance, **told).converged
    monkeypatch.setattr("l0np.refit.refit.MOST_MULTIPLIER_STEPS", 2)
    cut_off = refit_weights(M, y, reference, distance, **told)
    assert len(cut_off.missed)
    assert not cut_off.converged


def test_a_fixed_total_that_is_missed_is_told():
    M, ones = sparse.csr_array([[1.0, 0.0, 2.0]]), np.ones(1)
    told = {"scale": ones, "importance": ones, "tolerance": 1e4 * ones, "distance": distance_of("chi-square", (0.5, 2.0))}
    met = refit_weights(M, np.array([3.0]), np.ones(3), **told, total=5.0)
    assert met.total_error == pytest.approx(0, abs=1e-9)
    assert "total" not in repr(met)
    missed = refit_weights(M, np.array([3.0]), np.ones(3), **told, total=9.0)
    assert missed.weights.sum() == pytest.approx(6.0)
    assert missed.total_error == pytest.approx(6 / 9 - 1)
    assert ", total missed by -0.333 of it" in repr(missed)


@pytest.mark.parametrize("name", ["chi-square", "raking"])
def test_no_bound_above_0_is_lost_to_rounding(name):
    ratio, _ = distance_of(name, (1e-20, None))(np.array([-1e3, 0.0]))
    assert 1e-20 <= ratio[0] <= 1.0001e-20
