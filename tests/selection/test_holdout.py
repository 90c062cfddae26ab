"""Families of targets left out in turn: what is fitted, what is scored, what is printed and drawn."""

import numpy as np
import pytest
from survey_problems import problem

import l0np

FAMILIES = ["people", "a", "a", "b", "b", "c", "c", "c"]


def test_errors_are_those_of_paths_that_exclude_the_family():
    M, y, base = problem()
    found = l0np.holdout(M, y, [60, 15], base, groups=FAMILIES, seed=3)
    assert found.folds == (("a",), ("b",), ("c",), ("people",))
    np.testing.assert_array_equal(found.n_active, [15, 60])
    for f, (family,) in enumerate(found.folds):
        left_out = np.array(FAMILIES) == family
        for i, k in enumerate(found.n_active):
            answer = l0np.calibrate(M, y, int(k), base, exclude=left_out, seed=3)
            errors = np.abs(M @ answer.weights / y - 1)
            np.testing.assert_allclose(found.held_out_error[f, i], errors[left_out].mean())
            np.testing.assert_allclose(found.fitted_error[f, i], errors[~left_out].mean(), atol=1e-12)
            size = answer.diagnostics.effective_sample_size
            np.testing.assert_allclose(found.effective_sample_size[f, i], size)


def test_folds_hold_every_family_once_and_excluded_targets_never():
    M, y, base = problem()
    y[7] *= 100.0
    found = l0np.holdout(M, y, [40], base, groups=FAMILIES, folds=2, exclude=[7], seed=0)
    assert sorted(label for fold in found.folds for label in fold) == ["a", "b", "c", "people"]
    assert len(found.folds) == 2
    assert found.held_out_error.max() < 0.9  # the wrong target is not scored
    again = l0np.holdout(M, y, [40], base, groups=FAMILIES, folds=2, exclude=[7], seed=0)
    np.testing.assert_array_equal(found.held_out_error, again.held_out_error)


def test_it_prints_one_line_for_each_number_of_records():
    M, y, base = problem()
    found = l0np.holdout(M, y, [15, 60], base, groups=FAMILIES, folds=2, seed=0)
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines] == ["records", "15", "60"]
    assert repr(found) == str(found)


def test_it_draws_every_fold_and_the_mean():
    figures = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    M, y, base = problem()
    found = l0np.holdout(M, y, [15, 60], base, groups=FAMILIES, folds=2, seed=0)
    axes = figures.Figure().subplots()
    assert found.plot(axes) is axes.figure
    drawn = [line.get_ydata() for line in axes.lines]
    np.testing.assert_array_equal(drawn[:2], found.held_out_error)
    np.testing.assert_allclose(drawn[2], found.held_out_error.mean(axis=0))
    assert len(found.plot().axes[0].lines) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"groups": FAMILIES[:-1]}, "groups"),
        ({"groups": [1] * 8}, "at least 2 families"),
        ({"groups": FAMILIES, "folds": 1}, "folds must be at least 2"),
        ({"groups": FAMILIES, "folds": 5}, "folds must be at most 4"),
        ({"groups": FAMILIES, "method": "balance"}, "did you mean"),
        ({"groups": FAMILIES, "seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_used_is_refused(options, words):
    M, y, base = problem()
    with pytest.raises(l0np.errors.InputError, match=words):
        l0np.holdout(M, y, [20], base, **options)
