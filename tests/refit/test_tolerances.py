"""Tolerances: errors within them cost nothing, and the weights move no more than they must."""

import numpy as np
import pytest
from refit_problems import random_problem, refit
from scipy import optimize

from l0np.refit.multipliers import ScaledSystem


def test_tolerance_costs_nothing_and_saves_movement():
    M, y, reference = random_problem(4)
    exact, loose = refit(M, y, reference), refit(M, y, reference, tolerance=0.02 * np.abs(y))
    assert not len(loose.missed)
    assert np.abs(loose.errors / y).max() <= 0.02 + 1e-6
    moved = [reference @ (found.ratios - 1) ** 2 for found in (exact, loose)]
    assert moved[1] < 0.9 * moved[0]


@pytest.mark.slow  # solves each problem by a second, general method
@pytest.mark.parametrize("fraction", [0.01, 0.1])
@pytest.mark.parametrize("wild", [False, True])
def test_many_tolerances_lead_to_the_weights_of_least_movement(fraction, wild):
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
    tolerance = np.where(np.arange(len(y)) % 7, fraction * np.abs(y), 0.0)
    found = refit(M, y, reference, bounds=(None, None), tolerance=tolerance)
    assert found.converged
    assert found.steps < 60
    assert wild == bool(len(found.missed))
    if wild:  # no movement lowers the squares of what exceeds the tolerances
        beyond = (
            np.sign(found.errors) * np.maximum(np.abs(found.errors) - tolerance, 0.0) / np.maximum(y, 1) ** 2
        )
        assert np.abs(M.T @ beyond).max() < 1e-4 * (M.T @ np.abs(beyond)).max()
        return
    inside = np.abs(found.errors) < tolerance * (1 - 1e-6)
    assert 20 < inside.sum() < 200
    limited = tolerance[~inside] > 0
    active = M[~inside] * np.where(limited, -np.sign(found.errors[~inside]), 1.0)[:, None]
    fitted = optimize.lsq_linear(
        active.T, found.ratios - 1.0, (np.where(limited, 0.0, -np.inf), np.inf), tol=1e-13
    )
    assert np.sqrt(2 * fitted.cost) < 1e-5 * np.linalg.norm(found.ratios - 1.0)


def test_slack_and_its_derivative():
    system = ScaledSystem(np.ones((3, 1)), np.zeros(3), np.array([0.0, 0.1, 0.2]), np.ones(1), 1.0)
    for at in (-0.15, -0.05, 0.03, 0.3):
        width, step = 0.1, 1e-9
        slope = system.slack(at * np.ones(3), width)[1]
        low, high = (system.slack((at + sign * step) * np.ones(3), width)[0] for sign in (-1, 1))
        assert (np.abs(high) <= system.tolerance).all()
        np.testing.assert_allclose((high - low) / (2 * step), slope, rtol=1e-6)
