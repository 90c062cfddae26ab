"""Exactly k records: probabilities, balanced samples, exchanges, the whole answer, paths."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from support import needs_numba, needs_speed

import l0np
from l0np.errors import InputError, InputTypeError, L0npError
from l0np.matrix.column_matrix import ColumnMatrix
from l0np.sampling import cube, cube_flight
from l0np.sampling.cube import balanced_sample
from l0np.sampling.cube_landing import land
from l0np.sampling.inclusion import inclusion_probabilities, largest_shares
from l0np.selection.api import Study
from l0np.selection.pursuit import _best_to_join, exchange, pursue

SCHOOLS = Path(__file__).parents[2] / "examples" / "apipop.csv"


@pytest.fixture(scope="module")
def schools():
    with SCHOOLS.open() as file:
        rows = list(csv.DictReader(file))
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    labels = [values[name] == level for name in ("stype", "sch_wide", "comp_imp", "cname") for level in np.unique(values[name])]
    return np.array([*labels, *(values[name].astype(float) for name in ("api99", "api00", "meals", "api_stu"))], dtype=float)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), share=st.floats(0, 1))
def test_probabilities_add_up_and_keep_their_bounds(seed, n, share):
    rng = np.random.default_rng(seed)
    size, least = rng.lognormal(0, 2, size=n), rng.random(n) ** 4 * rng.integers(0, 2)
    k = 1 + int(share * (n - 1))
    p = inclusion_probabilities(size, least, k)
    assert np.isclose(p.sum(), k)
    assert (p > 0).all() or least.sum() >= k
    assert (p <= 1).all()
    if least.sum() <= k:
        assert (p >= least - 1e-12).all()
        free = (p > least + 1e-9) & (p < 1)
        np.testing.assert_allclose((p / size)[free], (p / size)[free][:1].repeat(free.sum()), rtol=1e-6)


def test_largest_shares_match_a_loop():
    rng = np.random.default_rng(0)
    M, w = rng.normal(size=(5, 9)) * (rng.random((5, 9)) < 0.4), rng.random(9)
    expected = [max((abs(M[i, j]) * w[j] / (np.abs(M[i]) @ w) for i in range(5) if M[i].any()), default=0) for j in range(9)]
    np.testing.assert_allclose(largest_shares(ColumnMatrix.build(M, "float64"), w), expected)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_samples_have_their_size_and_their_probabilities(monkeypatch, block):
    monkeypatch.setattr(cube, "ARRIVALS", block)
    rng = np.random.default_rng(1)
    M = ColumnMatrix.build(rng.random((3, 30)), "float64")
    p = inclusion_probabilities(rng.lognormal(size=30), np.zeros(30), 8)
    drawn = np.zeros(30)
    for seed in range(1500):
        sample = balanced_sample(M, np.ones(30), p, seed)
        assert len(np.unique(sample)) == 8
        drawn[sample] += 1
    deviation = (drawn / 1500 - p) / np.sqrt(np.maximum(p * (1 - p), 1e-4) / 1500)
    assert np.abs(deviation).max() < 4.5


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_numba)])
def test_equal_probabilities_that_stop_together_keep_their_totals(monkeypatch, compiled):
    monkeypatch.setattr(cube, "LARGE", 0)
    regions = ColumnMatrix.build(np.repeat(np.eye(5), 4, axis=1))
    for seed in range(40):
        drawn = balanced_sample(regions, np.ones(20), np.full(20, 0.5), seed, compiled=compiled)
        np.testing.assert_array_equal(np.bincount(drawn // 4, minlength=5), 2)


def tied(seed):
    """Records of four regions, their probabilities and their draws, in a random order."""
    rng = np.random.default_rng(seed)
    regions = np.repeat(np.eye(4), 8, axis=0)[rng.permutation(32)]
    return np.arange(32), np.column_stack((np.ones(32), regions)), np.full(32, 0.5), rng.random(32)


def test_steps_of_length_0_keep_the_totals(monkeypatch):
    lengths, draw = [], cube_flight.draw
    monkeypatch.setattr(cube_flight, "draw", lambda *arguments: lengths.append(draw(*arguments)) or lengths[-1])
    for seed in range(20):
        records, columns, p, draws = tied(seed)
        cube_flight.Flight(5, compiled=False).take(records, columns, p, draws)
        np.testing.assert_allclose(p @ columns, [16, 4, 4, 4, 4], atol=1e-12)
        assert set(p.tolist()) == {0.0, 1.0}
    assert any(step == 0 for step, _ in lengths)


@needs_numba
def test_the_compiled_flight_takes_ties_as_that_of_numpy():
    for seed in range(20):
        ends = []
        for compiled in (False, True):
            records, columns, p, draws = tied(seed)
            flown = cube_flight.Flight(5, compiled)
            flown.take(records, columns, p, draws)
            ends.append((p, flown.basic, flown.transform))
        for ours, numpy in zip(*ends, strict=True):
            np.testing.assert_array_equal(ours, numpy)


@needs_numba
@pytest.mark.parametrize("equal", [True, False])
def test_the_compiled_flight_is_that_of_numpy(monkeypatch, equal):
    monkeypatch.setattr(cube, "LARGE", 0)
    rng = np.random.default_rng(0)
    M = ColumnMatrix.build(rng.random((12, 600)) * (rng.random((12, 600)) < 0.4), "float64")
    p = inclusion_probabilities(np.ones(600) if equal else rng.lognormal(size=600), np.zeros(600), 90)
    ours, numpy = (balanced_sample(M, np.ones(600), p, seed=1, compiled=compiled) for compiled in (True, False))
    np.testing.assert_array_equal(ours, numpy)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 30), r=st.integers(0, 12), e=st.integers(0, 3))
def test_landing_keeps_what_is_exact_and_leaves_no_more_than_that_undecided(seed, n, r, e):
    rng = np.random.default_rng(seed)
    exact = np.column_stack((np.ones(n), rng.random((n, e))))
    start = rng.uniform(0.01, 0.99, size=n)
    end = land(sparse.csr_array(rng.random((n, r)) + 0.0), exact, start, rng.random(n))
    assert ((end >= 0) & (end <= 1)).all()
    assert np.count_nonzero((end > 1e-9) & (end < 1 - 1e-9)) <= 1 + e
    np.testing.assert_allclose(end @ exact, start @ exact, atol=1e-6 * n)


def test_landing_keeps_probabilities_and_totals_better_than_chance():
    rng = np.random.default_rng(3)
    columns, p = rng.random((12, 12)), rng.uniform(0.2, 0.8, size=12)
    p[-1] += np.round(p.sum()) - p.sum()
    ends = np.array([land(sparse.csr_array(columns), np.ones((12, 1)), p, rng.random(12)) for _ in range(3000)])
    assert (np.abs(ends.mean(axis=0) - p) / np.sqrt(p * (1 - p) / 3000)).max() < 4.5
    spread = ((ends - p) @ columns).var(axis=0).sum()
    assert spread < 0.6 * (p * (1 - p)) @ (columns**2).sum(axis=1)


def test_totals_are_balanced_as_the_rank_allows():
    rng = np.random.default_rng(2)
    dense = np.vstack([rng.lognormal(size=(10, 2000)), np.ones((1, 2000)), np.zeros((1, 2000))])  # with dependent rows
    M, p = ColumnMatrix.build(dense, "float64"), np.full(2000, 0.1)
    totals, ours, chance = dense[:10] @ np.ones(2000), [], []
    for seed in range(20):
        ours.append(np.abs(10 * dense[:10, balanced_sample(M, np.ones(2000), p, seed)].sum(axis=1) / totals - 1).mean())
        chance.append(np.abs(10 * dense[:10, rng.choice(2000, 200, replace=False)].sum(axis=1) / totals - 1).mean())
    assert np.mean(ours) < 0.25 * np.mean(chance)


def test_strata_are_balanced_when_there_are_too_many_rows(monkeypatch):
    monkeypatch.setattr(cube, "MOST_ROWS", 8)  # fewer than the 3 * (20 + 1) rows
    rng = np.random.default_rng(3)
    district = rng.integers(20, size=4000)
    member = (np.arange(20)[:, None] == district).astype(float)
    marks = [np.ones(4000), *(rng.random((2, 4000)) < 0.4)]
    dense = np.vstack([member * mark for mark in marks] + [np.array(marks)])
    M = ColumnMatrix.build(dense, "float64")
    sample = balanced_sample(M, np.ones(4000), np.full(4000, 0.1), seed=0)
    assert len(sample) == 400
    sizes = member.sum(axis=1)
    assert np.abs(np.bincount(district[sample], minlength=20) - 0.1 * sizes).max() <= 4
    coarse = np.repeat([False, True], [60, 3])  # what all strata share is no stratum's home
    assert len(list(cube._strata(M, np.bincount(M.indices, minlength=63), np.arange(4000), coarse))) == 1
    strata = list(cube._strata(M, np.bincount(M.indices, minlength=63), np.arange(4000), np.ones(63, bool)))
    assert sorted(len(stratum) for stratum in strata) == sorted(sizes.astype(int).tolist())


def test_the_same_seed_gives_the_same_sample_and_another_does_not():
    M, p = ColumnMatrix.build(np.random.default_rng(0).random((4, 100))), np.full(100, 0.2)
    samples = [balanced_sample(M, np.ones(100), p, seed, attempt) for seed, attempt in ((0, 0), (0, 0), (1, 0), (0, 1))]
    np.testing.assert_array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])
    assert not np.array_equal(samples[0], samples[3])


def test_pursuit_and_exchange_find_a_planted_selection():
    rng = np.random.default_rng(0)
    rows = rng.random((30, 80))
    truth = np.sort(rng.choice(80, 6, replace=False))
    target = rows[:, truth] @ rng.uniform(1, 3, size=6)
    start = np.sort(rng.choice(np.setdiff1d(np.arange(80), truth), 6, replace=False))
    np.testing.assert_array_equal(exchange(rows, target, pursue(rows, target, 6)), truth)
    errors = [_squared_error(rows, target, selection) for selection in (start, exchange(rows, target, start))]
    assert errors[1] < 0.5 * errors[0]


def _squared_error(rows, target, selection):
    from scipy.optimize import nnls

    return nnls(rows[:, selection], target)[1] ** 2


@pytest.mark.parametrize(("k", "size"), [(100, 0.74), (231, 0.93), (771, 0.99)])
def test_schools_above_the_rank(schools, k, size):
    answer = l0np.calibrate(schools, schools.sum(axis=1), n_active=k, seed=0)
    assert answer.method == "balanced"
    assert len(answer.indices) == np.count_nonzero(answer.weights) == k
    assert np.abs(answer.targets.relative_error).max() < 1e-9
    assert answer.diagnostics.effective_sample_size > size * k
    assert not answer.missed
    assert answer.converged
    np.testing.assert_allclose(schools @ answer.weights, answer.targets.estimate)
    assert np.count_nonzero(l0np.calibrate(schools, schools.sum(axis=1), n_active=1, seed=0).weights) == 1


@pytest.mark.parametrize("k", [10, 60])
def test_schools_below_the_rank(schools, k):
    y = schools.sum(axis=1)
    answer = l0np.calibrate(schools, y, n_active=k, seed=0)
    rows = schools / y[:, None]
    pursued = pursue(rows, np.ones(len(y)), k)
    from scipy.optimize import nnls

    rival = np.abs(rows[:, pursued] @ nnls(rows[:, pursued], np.ones(len(y)))[0] - 1).mean()
    assert answer.method == "exchange"
    assert np.count_nonzero(answer.weights) == k
    assert np.abs(answer.targets.relative_error).mean() <= rival + 1e-9
    assert answer.missed


@needs_speed
def test_gates_and_every_record(schools):
    y = schools.sum(axis=1)
    gated = l0np.calibrate(schools, y, n_active=120, method="gates", epochs=300, seed=0)
    assert gated.method == "gates"
    assert len(gated.indices) == 120
    assert gated.lambda_l0 is not None
    for k in (None, schools.shape[1]):
        np.testing.assert_allclose(l0np.calibrate(schools, y, n_active=k, seed=0).weights, 1.0, rtol=1e-9)


def problem(n=300, q=8, seed=0):
    rng = np.random.default_rng(seed)
    M = np.vstack([np.ones(n), (rng.random((q - 1, n)) < 0.4) * rng.lognormal(size=(q - 1, n))])
    base = rng.lognormal(3, 0.7, size=n)
    return M, M @ (base * rng.uniform(0.8, 1.2, size=n)), base


def test_base_weights_that_differ_come_out_even():
    M, y, base = problem()
    base[:20] = 0.0
    y = M @ base
    answer = l0np.calibrate(M, y, n_active=60, base_weights=base, seed=1)
    assert answer.indices.min() >= 20
    assert answer.diagnostics.effective_sample_size > 50
    assert np.abs(answer.targets.relative_error).max() < 1e-9


@needs_speed
def test_target_options_reach_selection_and_refit():
    M, y, base = problem()
    y[3] *= 30.0  # plainly wrong
    free = l0np.calibrate(M, y, 50, base, seed=0, exclude=[3])
    assert not free.missed
    fitted = np.delete(np.abs(free.targets.relative_error), 3)
    assert fitted.max() < 1e-9
    assert free.diagnostics.held_out.worst > 0.5
    capped = l0np.calibrate(M, y, 50, base, seed=0, caps=0.01, bounds=(0.3, 3.0))
    plain = l0np.calibrate(M, y, 50, base, seed=0, bounds=(0.3, 3.0))
    others = [np.delete(np.abs(answer.targets.relative_error), 3).mean() for answer in (capped, plain)]
    assert others[0] < 0.2 * others[1]
    sums = l0np.calibrate(M, y, 50, base, seed=0, exclude=[3], aggregates=l0np.Aggregate([0, 0, 0, None, 1, 1, 1, 1]))
    assert sums.diagnostics.aggregates.worst < 1e-6
    fixed = l0np.calibrate(M[1:], y[1:], 50, base, seed=0, exclude=[2], total=base.sum())
    assert np.isclose(fixed.weights.sum(), base.sum(), rtol=1e-6)


def test_paths_and_the_smallest_adequate(schools):
    y = schools.sum(axis=1)
    path = l0np.l0_path(schools, y, n_active=[231, 20, 100, 60], seed=0)
    np.testing.assert_array_equal(path.n_active, [20, 60, 100, 231])
    assert (np.diff(path.mean_error) <= 1e-12).all()
    assert len(path.smallest_adequate(max_error=1e-6).indices) == 100
    assert len(path.smallest_adequate(share_within=(0.95, 0.1)).indices) == 60
    assert path.smallest_adequate(max_error=0.0) is None or path.worst_error.min() == 0
    single = l0np.calibrate(schools, y, n_active=100, seed=0)
    np.testing.assert_array_equal(path.answers[2].weights, single.weights)
    assert "231" in str(path)


def test_paths_by_price_and_by_gates():
    M, y, base = problem()
    path = l0np.l0_path(M, y, lambda_l0=[1e-3, 1e-6], base_weights=base, epochs=300, seed=0)
    assert path.n_active[0] < path.n_active[1]
    np.testing.assert_array_equal(path.lambda_l0, [1e-3, 1e-6])
    gates = l0np.l0_path(M, y, n_active=[10, 50], base_weights=base, method="gates", epochs=150, seed=0)
    np.testing.assert_array_equal(gates.n_active, [10, 50])


def test_kinds_of_matrices_give_one_answer():
    M, y, base = problem()
    answers = [l0np.calibrate(kind(M), y, 40, base, seed=0).weights for kind in (np.array, sparse.csr_array, sparse.coo_matrix)]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n_active": 0}, InputError, "n_active must be at least 1"),
        ({"n_active": 301}, InputError, "n_active must be at most 300"),
        ({"n_active": 2.5}, InputError, "n_active must be a whole number"),
        ({"n_active": "few"}, InputTypeError, "n_active"),
        ({"n_active": 5, "base_weights": -1.0}, InputError, "base_weights"),
        ({"n_active": 5, "base_weights": 0.0}, InputError, "base_weights are all 0"),
        ({"n_active": 5, "base_weights": np.eye(1, 300)[0]}, InputError, "at most 1, the number of records with a base weight"),
        ({"n_active": 5, "method": "magic"}, InputError, "method"),
        ({"n_active": 5, "distance": "magic"}, InputError, "distance"),
        ({"n_active": 5, "seed": -1}, InputError, "seed"),
        ({"n_active": 5, "epochs": 0}, InputError, "epochs"),
        ({"n_active": 5, "lr": 0}, InputError, "lr"),
        ({"n_active": 5, "total": 0}, InputError, "total"),
        ({"n_active": 5, "exclude": [99]}, InputError, "exclude"),
        ({"n_active": 5, "device": "gpu"}, InputError, "device must be one of"),
        ({"n_active": 5, "bounds": (0, None)}, InputError, r"bounds\[0\] must be above 0, where records are selected.*got 0"),
        ({"n_active": 5, "bounds": (None, None)}, InputError, r"bounds\[0\] must be above 0.*got None"),
        ({"n_active": 5, "bounds": np.array([-1, 3])}, InputError, r"bounds\[0\] must be above 0.*got -1"),
        ({"bounds": {0.05, 3}}, InputTypeError, "bounds must be a pair"),
        ({"dtype": "float32"}, InputTypeError, r"calibrate\(\) takes no argument 'dtype'; of targets it takes loss_type, "),
        ({"nactive": 5, "cap": 1}, InputTypeError, r"calibrate\(\) takes no argument 'nactive' \(and 1 more\)"),
        ({"caps": 1e-300}, InputError, r"caps\[0\] is of the size 1e-300 \(and 7 more\)"),
        ({"target_scales": 1e-300}, InputError, r"target_scales\[0\] is of the size 1e-300"),
        ({"tolerances": 1e155}, InputError, r"tolerances is of the size 1e\+155"),
        ({"base_weights": 1e200}, InputError, r"base_weights\[0\] is of the size 1e\+200"),
        ({"total": 1e-300}, InputError, "total is of the size 1e-300"),
        ({"target_scales": 1e-49}, InputError, "times what errors are divided by"),
    ],
)
def test_the_door_of_calibrate(options, error, text):
    M, y, _ = problem()
    with pytest.raises(error, match=text):
        l0np.calibrate(M, y, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"n_active": 0},
        {"n_active": 5, "method": "magic"},
        {"n_active": 5, "lr": 0},
        {"n_active": 5, "bounds": (0.0, None)},
        {"n_active": 5, "distance": "logit", "bounds": (-1, 3)},
        {"n_active": 5, "dtype": "float32"},
    ],
)
@pytest.mark.parametrize("study", [l0np.calibrate, lambda M, y, n_active, **rest: l0np.l0_path(M, y, [n_active], **rest)])
def test_what_is_refused_is_refused_before_any_work(monkeypatch, study, options):
    monkeypatch.setattr(Study, "refit", lambda *arguments: pytest.fail("work was done"))
    M, y, _ = problem()
    with pytest.raises(L0npError):
        study(M, y, **options)


@pytest.mark.parametrize("bounds", [[0.3, None], np.array([0.3, 3.0]), (0.3, np.inf), [1e-9, 3]])
def test_bounds_of_any_kind_keep_every_record(bounds):
    M, y, base = problem()
    answer = l0np.calibrate(M, y, 20, base, bounds=bounds, seed=0)
    assert (answer.selected_weights > 0).all()
    assert (answer.selected_weights >= bounds[0] * answer.reference_weights * (1 - 1e-6)).all()
    assert l0np.calibrate(M, y, base_weights=base, bounds=[-np.inf, np.inf]).method == "all"  # without a selection


@pytest.mark.parametrize("size", [1e-155, 1e-60, 1e60, 1e155, 1e200])
def test_sizes_whose_squares_leave_the_range_are_refused(size):
    M, y, base = problem()
    weights = {"weights": size * base}
    for call in (
        lambda: l0np.calibrate(size * M, y),
        lambda: l0np.calibrate(M, size * y),
        lambda: l0np.calibrate(M, y, 5, size * base),
        lambda: l0np.check_targets(M, size * y),
        lambda: l0np.diagnose(size * M, y, base),
        lambda: l0np.diagnose(M, y, **weights),
        lambda: l0np.diagnose(M, y, base, size * base),
        lambda: l0np.target_table(M, size * y, base),
        lambda: l0np.SparseCalibrationWeights(300, device="numpy", dtype="float64").refit(M, y, reference=size * base),
    ):
        with pytest.raises(InputError, match=r"is of the size .*(leave the range of float64|and \d+ more)"):
            call()


@pytest.mark.parametrize("power", [-1, 1])
def test_the_largest_and_smallest_sizes_overflow_nowhere(power):
    size = 1e40**power
    M, y, base = problem()
    options = {"caps": 1e-49, "tolerances": 1e-6 * size, "target_scales": y * size, "aggregates": [[1, 1] + 6 * [0]]}
    for matrix, weights in ((size * M, base), (M, size * base)):
        answer = l0np.calibrate(matrix, size * y, 20, weights, seed=0, **options)
        assert np.isfinite(answer.weights).all()
        str(l0np.diagnose(matrix, size * y, answer.weights, weights, **options))


def test_a_matrix_that_looks_transposed():
    M, y, base = problem()
    for call in (l0np.calibrate, l0np.check_targets, lambda M, y: l0np.diagnose(M, y, base)):
        with pytest.raises(InputError, match=r"M must have one row .* it has shape \(300, 8\)\. .* pass M\.T"):
            call(M.T, y)


@needs_speed
def test_totals_of_minus_one_train_gates_too():
    M, y, base = problem()
    totals = l0np.Aggregate([0, 0, 0, 1, 1, 2, 2, 2], totals=[-1.0, 2.0, 3.0], weight=1e-9)
    for method in ("balanced", "gates"):
        answer = l0np.calibrate(M, y, 30, base, method=method, epochs=30, aggregates=totals, seed=0)
        assert answer.diagnostics.aggregates.n == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "one of them"),
        ({"n_active": [1], "lambda_l0": [1.0]}, "one of them"),
        ({"n_active": []}, "at least one size"),
        ({"n_active": [5, 301]}, r"n_active\[1\] must be at most 300"),
        ({"lambda_l0": [-1.0]}, r"lambda_l0\[0\]"),
    ],
)
def test_the_door_of_paths(options, text):
    M, y, _ = problem()
    with pytest.raises(InputError, match=text):
        l0np.l0_path(M, y, **options)
    with pytest.raises(InputTypeError, match="n_active must be a sequence of numbers"):
        l0np.l0_path(M, y, n_active=30)
    path = l0np.l0_path(M, y, n_active=[30], seed=0)
    with pytest.raises(InputError, match="needs max_error"):
        path.smallest_adequate()
    with pytest.raises(InputTypeError, match="share_within"):
        path.smallest_adequate(share_within=0.9)


@pytest.mark.parametrize(
    ("M", "y", "missed"),
    [
        (np.ones((1, 1)), [3.0], 0),
        (np.zeros((3, 20)), np.ones(3), 3),
        (np.vstack([np.ones((1, 30)), np.zeros((1, 30))]), [30.0, 5.0], 1),
        (np.ones((2, 30)), [-30.0, -30.0], 2),
    ],
    ids=["one record", "nothing in any target", "an empty row", "the wrong sign"],
)
def test_degenerate_problems_come_to_rest(M, y, missed):
    answer = l0np.calibrate(M, y, n_active=min(5, M.shape[1]), seed=0)
    assert answer.converged
    assert len(answer.missed) == missed
    assert (answer.selected_weights > 0).all()


def test_the_first_line_counts_what_was_to_be_met():
    M, y, base = problem()

    def first_line(n_active=None, **options):
        return str(l0np.calibrate(M, y, n_active, base, seed=0, **options)).splitlines()[0]

    assert first_line() == "Calibration: 300 records (all), converged, all targets met"
    y[:3] *= -1.0
    aside = {"exclude": [0, 1], "target_weights": [1, 1, 1, 0, 1, 1, 1, 1]}
    assert first_line(**aside).startswith(
        "Calibration: 300 records (all), converged, 1 of 5 targets missed, 2 held out, 1 of weight 0"
    )
    y[2] *= -1.0
    assert first_line(**aside).endswith("all targets met, 2 held out, 1 of weight 0")
    total = l0np.Aggregate([None, None, 1, 1, 1, 2, 2, 2], totals=[-5.0, y[5:].sum()])
    answer = l0np.calibrate(M, y, 60, base, seed=0, exclude=[0, 1], aggregates=[total], target_weights=[*[1e6] * 8])
    assert "1 of 2 aggregates missed, 2 held out" in str(answer)
    assert answer.missed[-1] == "1"
    y[:2] *= -1.0
    assert first_line(n_active=1).startswith("Calibration: 1 record (balanced), converged, 8 of 8 targets missed")


def test_a_path_of_targets_without_weight_is_adequate():
    M, y, base = problem()
    path = l0np.l0_path(M, y, [5], base_weights=base, target_weights=0.0, seed=0)
    assert path.smallest_adequate(max_error=0.0) is path.answers[0]
    assert str(path).splitlines()[1].split()[2:5] == ["-", "-", "-"]


def test_errors_of_a_path_stay_apart():
    M, y, base = problem()
    path = l0np.l0_path(M, y, [1], base_weights=base, target_scales=1e-9, seed=0)
    assert len(str(path).splitlines()[1].split()) == 6


def test_a_record_in_no_target_leaves_first():
    rows = np.array([[1.0, 0.0, 0.2, 2.0], [0.0, 0.0, 1.0, 1.0]])
    np.testing.assert_array_equal(exchange(rows, np.array([3.0, 1.5]), np.array([0, 1])), [0, 2])
    M = np.hstack([np.eye(4), np.zeros((4, 20))])
    assert len(l0np.calibrate(M, [1, 2, 3, 4], 10, method="exchange").indices) == 10


def test_targets_of_no_weight_move_nothing():
    M, y, base = problem()
    answer = l0np.calibrate(M, 2 * y, n_active=None, base_weights=base, target_weights=0.0)
    np.testing.assert_allclose(answer.weights, base)


def test_totals_are_balanced_where_weights_and_probabilities_differ():
    rng = np.random.default_rng(6)
    dense, weights = rng.random((6, 1500)), rng.lognormal(0, 0.5, size=1500)
    p = inclusion_probabilities(rng.lognormal(0, 0.5, size=1500), np.zeros(1500), 150)
    M, totals, ours, plain = ColumnMatrix.build(dense, "float64"), dense @ weights, [], []
    for seed in range(10):
        drawn = balanced_sample(M, weights, p, seed)
        ours.append(np.abs(dense[:, drawn] @ (weights / p)[drawn] / totals - 1).mean())
        drawn = balanced_sample(ColumnMatrix.build(np.ones((1, 1500)), "float64"), p, p, seed)
        plain.append(np.abs(dense[:, drawn] @ (weights / p)[drawn] / totals - 1).mean())
    assert np.mean(ours) < 0.35 * np.mean(plain)


def test_the_record_that_joins_lowers_the_error_most():
    rng = np.random.default_rng(4)
    rows, chosen = rng.random((8, 40)) * rng.lognormal(0, 2, size=40), np.array([3, 11])
    target = rows @ rng.random(40)
    left = [np.linalg.lstsq(rows[:, [*chosen, j]], target, rcond=None)[1].sum() for j in range(40)]
    basis = np.linalg.lstsq(rows[:, chosen], target, rcond=None)[0]
    assert (basis > 0).all()  # so that least squares with and without signs agree before
    pull = rows.T @ (target - rows[:, chosen] @ basis)
    allowed = np.where(pull > 0, left, np.inf)
    allowed[chosen] = np.inf
    assert _best_to_join(rows, (rows**2).sum(axis=0), target, chosen) == np.argmin(allowed)


@needs_speed
def test_many_records_are_calibrated_by_training(monkeypatch):
    M, y, base = problem()
    y = y * np.linspace(0.6, 1.5, len(y))
    exact = l0np.calibrate(M, y, 60, base, seed=0)
    monkeypatch.setattr("l0np.selection.api.FULL_REFIT_COST", 0)
    study = Study.checked(M, y, base, "chi-square", (0.05, None), None, "cpu", 0, {}).calibrate_all()
    before, after = (np.abs(M @ weights / y - 1).mean() for weights in (base, study.calibrated))
    assert after < 0.1 * before
    trained = l0np.calibrate(M, y, 60, base, seed=0)
    assert trained.method == "balanced"
    assert not trained.missed
    assert trained.diagnostics.effective_sample_size > 0.8 * exact.diagnostics.effective_sample_size


@needs_speed
def test_later_sizes_train_a_third_of_the_epochs(monkeypatch):
    M, y, base = problem()
    trained, fit = [], l0np.SparseCalibrationWeights.fit

    def noting(model, *arguments, **options):
        trained.append(options["epochs"])
        return fit(model, *arguments, **options)

    monkeypatch.setattr(l0np.SparseCalibrationWeights, "fit", noting)
    l0np.l0_path(M, y, n_active=[10, 20, 50], base_weights=base, method="gates", epochs=90, seed=0)
    assert trained == [90, 30, 30]


def test_a_fixed_total_that_is_missed_is_told_with_the_answer():
    rng = np.random.default_rng(1)
    M = np.vstack([rng.random((4, 300)) < 0.3, rng.lognormal(size=300)])
    asked = {"bounds": (0.5, 2), "tolerances": 1e4, "seed": 0}
    missed = l0np.calibrate(M, M.sum(axis=1), 20, total=9000.0, **asked)
    assert "total missed by" in str(missed).splitlines()[0]
    assert missed.weights.sum() == pytest.approx(9000 * (1 + missed.refit.total_error))
    assert "total" not in str(l0np.calibrate(M, M.sum(axis=1), 20, total=330.0, **asked)).splitlines()[0]
