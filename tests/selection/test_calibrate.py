"""The answer of `calibrate`: even weights, options of targets, degenerate problems, what is printed."""

import numpy as np
import pytest
from scipy import sparse
from support import needs_speed
from survey_problems import problem

import l0np


def test_all_records_that_meet_the_targets_stay_as_they_are(schools):
    y = schools.sum(axis=1)
    for k in (None, schools.shape[1]):
        np.testing.assert_allclose(l0np.calibrate(schools, y, n_active=k, seed=0).weights, 1.0, rtol=1e-9)


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
    state = l0np.Aggregate([0, 0, 0, None, 1, 1, 1, 1])
    sums = l0np.calibrate(M, y, 50, base, seed=0, exclude=[3], aggregates=state)
    assert sums.diagnostics.aggregates.worst < 1e-6
    fixed = l0np.calibrate(M[1:], y[1:], 50, base, seed=0, exclude=[2], total=base.sum())
    assert np.isclose(fixed.weights.sum(), base.sum(), rtol=1e-6)


@needs_speed
def test_totals_of_minus_one_train_gates_too():
    M, y, base = problem()
    totals = l0np.Aggregate([0, 0, 0, 1, 1, 2, 2, 2], totals=[-1.0, 2.0, 3.0], weight=1e-9)
    for method in ("balanced", "gates"):
        answer = l0np.calibrate(M, y, 30, base, method=method, epochs=30, aggregates=totals, seed=0)
        assert answer.diagnostics.aggregates.n == 3


def test_kinds_of_matrices_give_one_answer():
    M, y, base = problem()
    kinds = (np.array, sparse.csr_array, sparse.coo_matrix)
    answers = [l0np.calibrate(kind(M), y, 40, base, seed=0).weights for kind in kinds]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


@pytest.mark.parametrize("bounds", [[0.3, None], np.array([0.3, 3.0]), (0.3, np.inf), [1e-9, 3]])
def test_bounds_of_any_kind_keep_every_record(bounds):
    M, y, base = problem()
    answer = l0np.calibrate(M, y, 20, base, bounds=bounds, seed=0)
    assert (answer.selected_weights > 0).all()
    assert (answer.selected_weights >= bounds[0] * answer.reference_weights * (1 - 1e-6)).all()
    assert l0np.calibrate(M, y, base_weights=base, bounds=[-np.inf, np.inf]).method == "all"


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
def test_degenerate_problems_converge(M, y, missed):
    answer = l0np.calibrate(M, y, n_active=min(5, M.shape[1]), seed=0)
    assert answer.converged
    assert len(answer.missed) == missed
    assert (answer.selected_weights > 0).all()


def test_targets_of_no_weight_move_nothing():
    M, y, base = problem()
    answer = l0np.calibrate(M, 2 * y, n_active=None, base_weights=base, target_weights=0.0)
    np.testing.assert_allclose(answer.weights, base)


@pytest.mark.parametrize("power", [-1, 1])
def test_the_largest_and_smallest_sizes_overflow_nowhere(power):
    size = 1e40**power
    M, y, base = problem()
    scales = {"tolerances": 1e-6 * size, "target_scales": y * size}
    options = {"caps": 1e-49, "aggregates": [[1, 1] + 6 * [0]]} | scales
    for matrix, weights in ((size * M, base), (M, size * base)):
        answer = l0np.calibrate(matrix, size * y, 20, weights, seed=0, **options)
        assert np.isfinite(answer.weights).all()
        str(l0np.diagnose(matrix, size * y, answer.weights, weights, **options))


def test_the_first_line_counts_what_was_to_be_met():
    M, y, base = problem()

    def first_line(n_active=None, **options):
        return str(l0np.calibrate(M, y, n_active, base, seed=0, **options)).splitlines()[0]

    assert first_line() == "Calibration: 300 records (all), converged, all targets met"
    y[:3] *= -1.0
    aside = {"exclude": [0, 1], "target_weights": [1, 1, 1, 0, 1, 1, 1, 1]}
    assert first_line(**aside).startswith(
        "Calibration: 300 records (all), nearest weights found, "
        "1 of 5 targets missed, 2 held out, 1 of weight 0"
    )
    y[2] *= -1.0
    assert first_line(**aside).endswith("all targets met, 2 held out, 1 of weight 0")
    total = l0np.Aggregate([None, None, 1, 1, 1, 2, 2, 2], totals=[-5.0, y[5:].sum()])
    options = {"exclude": [0, 1], "aggregates": [total], "target_weights": [*[1e6] * 8]}
    answer = l0np.calibrate(M, y, 60, base, seed=0, **options)
    assert "1 of 2 aggregates missed, 2 held out" in str(answer)
    assert answer.missed[-1] == "1"
    y[:2] *= -1.0
    assert first_line(n_active=1).startswith(
        "Calibration: 1 record (balanced), nearest weights found, 8 of 8 targets missed"
    )


def test_a_fixed_total_that_is_missed_is_reported_with_the_answer():
    rng = np.random.default_rng(1)
    M = np.vstack([rng.random((4, 300)) < 0.3, rng.lognormal(size=300)])
    asked = {"bounds": (0.5, 2), "tolerances": 1e4, "seed": 0}
    missed = l0np.calibrate(M, M.sum(axis=1), 20, total=9000.0, **asked)
    assert "total missed by" in str(missed).splitlines()[0]
    assert missed.weights.sum() == pytest.approx(9000 * (1 + missed.refit.total_error))
    met = l0np.calibrate(M, M.sum(axis=1), 20, total=330.0, **asked)
    assert "total" not in str(met).splitlines()[0]
