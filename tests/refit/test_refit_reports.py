"""What a refit reports: targets missed, weights at bounds, a total that is missed."""

import numpy as np
import pytest
from refit_problems import random_problem, refit

import l0np
from l0np import ColumnMatrix
from l0np.refit import RefitProblem, distance_of
from l0np.targets import Targets


def test_the_number_of_weights_at_a_bound_is_reported():
    M, y, reference = random_problem(0)
    free = l0np.calibrate(M, y, base_weights=reference, bounds=(None, None))
    assert (free.refit.at_lower, free.refit.at_upper) == (0, 0)
    assert "bound" not in repr(free.refit) + str(free)
    least, most = np.sort(free.refit.ratios)[[1, -3]]  # so that they hold some weights back
    held = l0np.calibrate(M, y, base_weights=reference, bounds=(least, most))
    at = [int(np.count_nonzero(np.abs(held.refit.ratios - bound) < 1e-9)) for bound in (least, most)]
    assert min(at) > 0
    assert [held.refit.at_lower, held.refit.at_upper] == at
    notes = f", {at[0]} at the lower bound, {at[1]} at the upper bound"
    assert repr(held.refit).endswith(notes + ")")
    assert str(held).splitlines()[0].endswith(notes)
    for least in (0.0, 1e-12, 0.3):
        driven = refit(np.ones((1, 3)), np.zeros(1), np.ones(3), bounds=(least, None))
        assert (driven.at_lower, driven.at_upper) == (3, 0)


def test_one_meaning_of_met():
    M, y, reference = random_problem(0)
    y[2] *= -1.0
    targets = Targets.build(y, len(y))
    problem = RefitProblem(ColumnMatrix.build(M, "float64"), targets, distance_of("chi-square", (0.5, 2)))
    found = problem.refit(np.arange(25), reference)
    table = l0np.target_table(M, y, found.weights)
    np.testing.assert_array_equal(np.flatnonzero(~table.within_tolerance), found.missed)
    nearly = l0np.target_table(np.eye(3), [1.0, 1.0, 1.0], [1 + 5e-7, 1 - 5e-7, 1 + 2e-6])
    assert nearly.within_tolerance.tolist() == [True, True, False]


def test_a_fixed_total_that_is_missed_is_reported():
    M, y, options = np.array([[1.0, 0.0, 2.0]]), np.array([3.0]), {"bounds": (0.5, 2.0), "tolerance": 1e4}
    met = refit(M, y, np.ones(3), total=5.0, **options)
    assert met.total_error == pytest.approx(0, abs=1e-9)
    assert "total" not in repr(met)
    missed = refit(M, y, np.ones(3), total=9.0, **options)
    assert missed.weights.sum() == pytest.approx(6.0)
    assert missed.total_error == pytest.approx(6 / 9 - 1)
    assert ", total missed by -0.333 of it" in repr(missed)
