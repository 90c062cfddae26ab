"""Checks of targets before training, against naive answers and planted faults."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from support import small_problem

from l0np import ColumnMatrix, calibrate, check_targets
from l0np.diagnostics.feasibility import feasibility, row_ranges
from l0np.diagnostics.row_dependence import proportional_rows, row_dependence
from l0np.diagnostics.target_checks import BoundedProblem, CheckLimits, checks_of
from l0np.errors import InputError, InputTypeError, L0npError
from l0np.targets import Targets

ATTRIBUTES = (
    "unreachable",
    "contradictory",
    "inconsistent",
    "infeasible",
    "at_bound",
    "redundant",
    "outliers",
    "dependent",
)


def feasible(n_targets=12, n_records=60, seed=0):
    rng = np.random.default_rng(seed)
    M = rng.random((n_targets, n_records)) * (rng.random((n_targets, n_records)) < 0.5) + 0.01
    return M, M @ rng.lognormal(0, 0.3, n_records)


def found_nothing(found, *, but=()):
    return all(len(getattr(found, name)) == 0 for name in ATTRIBUTES if name not in but)


def test_nothing_is_found_where_nothing_is_wrong():
    M, y = feasible()
    for given in (M, sparse.csr_array(M), ColumnMatrix.build(M, "float64"), pd.DataFrame(M), M.tolist()):
        found = check_targets(given, y)
        assert found.ok
        assert found_nothing(found)
        assert found.rank == 12
        assert len(found.unused_records) == 0
        assert "nothing keeps them" in str(found)


# --- one row at a time


def naive_reachable(row, y, lower, upper, tolerance):
    """The range of a row, corner by corner; upper bounds are finite here."""
    corners = [
        sum(m * w for m, w in zip(row, w, strict=True))
        for w in itertools.product(*zip(lower, upper, strict=True))
    ]
    return min(corners) - tolerance <= y <= max(corners) + tolerance


def test_reachability_is_that_of_the_corners():
    rng = np.random.default_rng(3)
    M = rng.integers(-2, 3, size=(40, 5)).astype(float)
    base, y, tolerance = (
        rng.random(5) + 0.5,
        rng.integers(-9, 10, 40) + 0.25,
        rng.integers(0, 2, 40).astype(float),
    )
    found = check_targets(M, y, base, bounds=(0.5, 1.5), tolerances=tolerance)
    expected = [i for i in range(40) if not naive_reachable(M[i], y[i], 0.5 * base, 1.5 * base, tolerance[i])]
    assert 0 < len(expected) < 40
    assert found.unreachable.tolist() == expected


def test_reasons():
    M = [[0, 0, 0], [1, 2, 0], [-1, 0, -1], [1, -1, 0], [0, 0, 0], [1, 1, 1]]
    found = check_targets(M, [5, -1, 2, -100, 0, 0], names=list("abcdef"), bounds=(0, None))
    assert dict(zip(found.unreachable.tolist(), found.unreachable_why, strict=True)) == {
        0: "no record contributes to it",
        1: "all contributions are positive",
        2: "all contributions are negative",
    }
    assert found.at_bound.tolist() == [5]  # all weights 0, or it is missed
    assert not found.ok
    assert "a (no record contributes to it)" in str(found)
    narrow = check_targets(M[5:], [10.0], base_weights=2.0, bounds=(0.1, 1.5))
    assert narrow.unreachable_why == ("weights within the bounds give at most 9",)
    narrow = check_targets(M[5:], [0.5], base_weights=2.0, bounds=(0.1, None))
    assert narrow.unreachable_why == ("weights within the bounds give at least 0.6",)


def test_bounds_are_those_of_calibrate():
    M, y = [[1, 1, 1], [1, 0, 0]], [3, 0.01]  # the first record may not fall so far
    for options in (
        {},
        {"bounds": (0, None)},
        {"bounds": (None, None)},
        {"bounds": np.array([0.05, np.inf])},
    ):
        assert check_targets(M, y, **options).ok == (not calibrate(M, y, **options).missed)
    assert check_targets(M, y).unreachable.tolist() == [1]
    negative = check_targets(M, [3.0, -4.0], [1.0, 1.0, 0.0], bounds=(None, None))  # the last stays at 0
    assert negative.ok
    assert check_targets(M, [3.0, -4.0], bounds=(-3, None)).unreachable.tolist() == [1]


def test_records_without_base_weight_cannot_help():
    assert check_targets(
        [[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], base_weights=[1.0, 0.0]
    ).unreachable.tolist() == [1]
    assert check_targets([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], base_weights=[1.0, 1.0]).ok


def test_ranges_of_rows():
    least, most = row_ranges(
        ColumnMatrix.build([[1.0, -1.0], [2.0, 0.0]], "float64"),
        np.array([1.0, 2.0]),
        np.array([3.0, np.inf]),
    )
    assert (least.tolist(), most.tolist()) == ([-np.inf, 2.0], [1.0, 6.0])


def test_records_in_no_target():
    M, y = feasible()
    M[:, [3, 8, 59]] = 0.0
    found = check_targets(M, y)
    assert found.unused_records.tolist() == [3, 8, 59]
    assert "3   3, 8, 59" in str(found)


# --- rows that are multiples of others


def test_multiples_against_pairs():
    rng = np.random.default_rng(0)
    rows = rng.integers(-2, 3, size=(60, 3)).astype(float)
    groups = proportional_rows(ColumnMatrix.build(rows, "float64"))
    together = {frozenset(pair) for group, _ in groups for pair in itertools.combinations(group.tolist(), 2)}
    expected = {
        frozenset((i, j))
        for i, j in itertools.combinations(range(60), 2)
        if rows[i].any() and rows[j].any() and np.linalg.matrix_rank(rows[[i, j]]) == 1
    }
    assert len(expected) > 10
    assert together == expected
    for group, factors in groups:
        for i, factor in zip(group, factors, strict=True):
            np.testing.assert_allclose(rows[i] / factor, rows[group[0]] / factors[0], atol=1e-12)


@pytest.mark.parametrize("factor", [1.0, 3.0, -0.1])
def test_contradictory_and_redundant_multiples(factor):
    M, y = feasible()
    M, y = np.vstack([M, factor * M[4]]), np.append(y, factor * y[4])
    agree = check_targets(M, y)
    assert agree.ok
    assert [rows.tolist() for rows in agree.redundant] == [[4, 12]]
    assert agree.dependent.tolist() == [12]
    assert agree.rank == 12
    y[12] *= 1.01
    differ = check_targets(M, y)
    assert [rows.tolist() for rows in differ.contradictory] == [[4, 12]]
    assert not differ.ok
    assert "contradictory             1   target 4 ~ target 12" in str(differ)
    assert not len(differ.redundant)
    assert check_targets(M, y, exclude=[12]).ok
    tolerances = np.zeros(13)
    tolerances[[4, 12]] = 0.6 * 0.01 * np.abs(y[[4, 12]])
    assert check_targets(M, y, tolerances=tolerances).ok
    assert not check_targets(M, y, tolerances=0.5 * tolerances).ok


# --- rank


def planted(wide):
    """Rows 10 and 11 are sums of others; more columns than the decomposition takes as they are, or not."""
    M, y = feasible(12, 400 if wide else 20)
    M[10], M[11] = M[0] + M[1] + M[2], 2 * M[3] - 0.5 * M[4]
    y[10], y[11] = y[0] + y[1] + y[2], 2 * y[3] - 0.5 * y[4]
    return M, y


@pytest.mark.parametrize("wide", [True, False])
def test_rank_and_dependence(wide):
    M, y = planted(wide)
    parts = row_dependence(sparse.csr_array(M), M.dtype)
    assert parts.rank == np.linalg.matrix_rank(M) == 10
    assert sorted([*parts.independent, *parts.dependent]) == list(range(12))
    np.testing.assert_allclose(parts.coefficients.T @ M[parts.independent], M[parts.dependent], atol=1e-9)
    found = check_targets(M, y)
    assert (found.rank, len(found.dependent)) == (10, 2)
    assert np.linalg.matrix_rank(np.delete(M, found.dependent, axis=0)) == 10
    assert not len(found.inconsistent)
    assert "rank                     10 of 12 rows" in str(found)


@pytest.mark.parametrize("wide", [True, False])
def test_inconsistent_sums(wide):
    M, y = planted(wide)
    y[10] += 1e-3 * y[10]
    found = check_targets(M, y)
    assert not found.ok
    (rows,) = found.inconsistent
    assert set(rows.tolist()) == {0, 1, 2, 10}
    assert "inconsistent sums" in str(found)
    assert check_targets(M, y, tolerances=np.where(np.arange(12) == 10, 2e-3 * y[10], 0)).inconsistent == ()
    assert check_targets(M, y, exclude=[1]).rank == 10
    assert check_targets(M, y, exclude=[1]).inconsistent == ()


def test_rank_in_float32():
    M, y = planted(wide=True)
    found = check_targets(ColumnMatrix.build(M), y)  # whose sums of rows are rounded
    assert found.rank == 10
    assert found.inconsistent == ()
    exact = M.astype(np.float32)  # these numbers as such are no sums
    assert check_targets(sparse.csr_array(exact), y).rank == 12
    assert check_targets(exact.astype(np.float64), y).rank == 12


# --- sizes


def test_outliers_in_size():
    M, y = feasible(30)
    y[4] *= 30
    y[9] /= 30
    found = check_targets(M, y)
    assert found.outliers.tolist() == [4, 9]
    assert found.outlier_factors.tolist() == pytest.approx([30, 1 / 30], rel=0.5)
    assert "outliers in size          2" in str(found)


def test_outliers_are_those_of_their_group():
    M, y = feasible(30)
    groups = ["people"] * 15 + ["dollars"] * 15
    y[15:] *= 1000.0
    assert len(check_targets(M, y, target_groups=groups).outliers) == 0
    y[3] *= 1000.0
    assert check_targets(M, y, target_groups=groups).outliers.tolist() == [3]
    assert check_targets(M, y, target_groups=groups, exclude=[3]).outliers.tolist() == []


def test_small_differences_are_no_outliers_even_among_equals():
    M, y = feasible(30)
    y = M.sum(axis=1)
    y[3] *= 1.9
    assert len(check_targets(M, y).outliers) == 0
    y[3] *= 1.2
    assert check_targets(M, y).outliers.tolist() == [3]


# --- all together


def test_districts_that_do_not_add_up_by_linear_programming():
    M, y = np.vstack([np.eye(3), np.ones(3)]), [10.0, 20.0, 30.0, 66.0]
    found = check_targets(M, y)
    assert found.infeasible.tolist() == [3]  # relative to its size it is missed by least
    assert found.misses.tolist() == pytest.approx([-6 / 66])
    assert found.opposed.tolist() == [0, 1, 2]
    assert "not met together          1   target 3 (missed by -0.0909)" in str(found)
    assert not found.ok


def test_linear_programme_knows_that_weights_are_not_negative():
    M = np.array(
        [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    )  # full rank, so that signs are all there is to it
    assert check_targets(M, [2.0, 2.0, 2.0]).ok
    found = check_targets(M, [10.0, 10.0, 30.0])
    assert found.rank == 3
    assert len(found.unreachable) == len(found.inconsistent) == 0
    assert len(found.infeasible) == 1
    assert not found.ok


def test_linear_programme_with_bounds_tolerances_and_scales():
    M, y = np.vstack([np.eye(3), np.ones(3)]), np.array([10.0, 20.0, 30.0, 66.0])
    assert check_targets(M, y, tolerances=[0, 0, 0, 6]).ok
    assert check_targets(M, y, tolerances=1.5).ok
    assert len(check_targets(M, y, tolerances=1.4).infeasible)
    assert check_targets(M, y, target_scales=[1, 1, 100, 1]).infeasible.tolist() == [2]
    nested = [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]  # each within its range; the third record would need 35
    assert check_targets(nested, [60.0, 25.0], 20.0, bounds=(0.5, 1.75)).ok
    found = check_targets(nested, [60.0, 25.0], 20.0, bounds=(0.5, 1.5))
    assert (found.unreachable.size, found.infeasible.size) == (0, 1)


def test_feasible_problems_are_feasible():
    for seed in range(5):
        M = sparse.csr_array(small_problem(seed=seed)[0])
        n = M.shape[1]
        found = feasibility(M, M @ np.ones(n), np.zeros(6), np.ones(6), np.zeros(n), np.full(n, np.inf), 10.0)
        assert len(found.violated) == len(found.misses) == len(found.opposed) == 0


# --- what is too large


@pytest.mark.parametrize(
    ("limits", "skipped", "words"),
    [
        ({"rank_targets": 11}, "rank_skipped", "12 targets and 720 non-zeros; done up to 11 and 20,000,000"),
        ({"rank_nonzeros": 719}, "rank_skipped", "done up to 2,000 and 719"),
        ({"lp_targets": 11}, "linear_programme_skipped", "done up to 11 and 1,000,000"),
        ({"lp_nonzeros": 719}, "linear_programme_skipped", "done up to 1,000 and 719"),
        ({"lp_seconds": 1e-9}, "linear_programme_skipped", "not solved in 1e-09 s"),
    ],
)
def test_what_is_too_large_is_skipped_and_reported(limits, skipped, words):
    M, y = feasible()
    matrix, targets = Targets.of(M, y, {})
    base = np.ones(60)
    problem = BoundedProblem(matrix, targets, base, 0.05 * base, np.full(60, np.inf), matrix.dtype)
    assert getattr(checks_of(problem), skipped) == ""
    found = checks_of(problem, CheckLimits(**limits))
    assert words in getattr(found, skipped)
    assert words in str(found)
    assert (found.rank is None) == (skipped == "rank_skipped")


def test_excluded_rows_are_not_looked_at():
    M, y = feasible()
    M = np.vstack([M, np.zeros(60), M[0], M[1] + M[2]])
    y = np.append(y, [7.0, -y[0], 1e9])
    assert not check_targets(M, y).ok
    found = check_targets(M, y, exclude=[12, 13, 14])
    assert found.ok
    assert found_nothing(found)
    assert found.rank == 12


def test_all_rows_empty():
    found = check_targets(np.zeros((2, 3)), [1.0, 0.0])
    assert found.unreachable.tolist() == [0]
    assert found.rank == 0
    assert found.unused_records.tolist() == [0, 1, 2]
    assert check_targets(np.zeros((1, 3)), [1.0]).infeasible.size == 0


def test_names_from_a_frame_and_long_lists():
    frame = pd.DataFrame(np.zeros((9, 2)), index=[f"place {i}" for i in range(9)])
    text = str(check_targets(frame, np.ones(9)))
    assert "unreachable               9   place 0 (no record" in text
    assert "and 4 more" in text
    assert "place 5" not in text
    assert repr(check_targets(frame, np.ones(9))) == text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"base_weights": -1}, InputError, "base_weights must be at least 0, got -1"),
        (
            {"base_weights": [1, 2]},
            InputError,
            "base_weights must have one value for each column of M: 60 wanted",
        ),
        ({"bounds": (2, 1)}, InputError, "bounds[0] must be at most 1, got 2"),
        ({"bounds": (0, 0)}, InputError, "bounds[1] must be at least 1, got 0"),
        ({"bounds": 3}, InputTypeError, "bounds must be a pair (lower, upper), None for no bound"),
        ({"bounds": (0, 1, 2)}, InputTypeError, "bounds must be a pair"),
        ({"bounds": "01"}, InputTypeError, "bounds must be a pair"),
        ({"exclude": [99]}, InputError, "exclude[0] = 99"),
        ({"tolerances": -1}, InputError, "tolerances must be at least 0"),
        (
            {"total": 5},
            InputTypeError,
            'check_targets has no argument "total": its arguments are M, y, base_weights, ',
        ),
        ({"base_weights": 1e60}, InputError, "base_weights[0] is of the size 1e+60 (and 59 more)"),
    ],
)
def test_check_targets_refuses(options, error, message):
    with pytest.raises(L0npError) as caught:
        check_targets(*feasible(), **options)
    assert type(caught.value) is error
    assert message in str(caught.value)


def test_rows_whose_squares_underflow():
    M, y = planted(wide=True)
    M[0] *= 1e-200
    y[0] *= 1e-200
    with np.errstate(all="raise"):
        parts = row_dependence(sparse.csr_array(M), M.dtype)
    assert parts.rank == 10
