"""Distances: calibration functions and derivatives, bounds, and the table that names them."""

import re

import numpy as np
import pytest
from refit_problems import random_problem

import l0np
from l0np.refit import DISTANCES, Distance, distance_of


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


@pytest.mark.parametrize("name", ["chi-square", "raking"])
def test_no_bound_above_0_is_lost_to_rounding(name):
    ratio, _ = distance_of(name, (1e-20, None))(np.array([-1e3, 0.0]))
    assert 1e-20 <= ratio[0] <= 1.0001e-20


@pytest.mark.parametrize("function", [l0np.calibrate, l0np.SparseCalibrationWeights.refit])
def test_docstrings_list_the_distances(function):
    (listed,) = re.findall(r"distance : \{(.*)\}", function.__doc__)
    assert re.findall(r'"([^"]+)"', listed) == list(DISTANCES)


def hellinger(lower, upper):
    """Distance 2 (sqrt(w) - sqrt(r))^2, F(u) = 1 / (1 - u / 2)^2 (Deville and Sarndal, table 1, case 3)."""

    def function(u):
        root = 1.0 / (1.0 - u / 2.0)
        return root**2, root**3

    return Distance(function, lambda ratio: 2.0 * (1.0 - ratio**-0.5), max(lower, 1e-4), min(upper, 1e4))


@pytest.mark.parametrize("n_active", [None, 25])
def test_a_distance_of_ones_own_through_the_table(monkeypatch, n_active):
    monkeypatch.setitem(DISTANCES, "hellinger", hellinger)
    M, y, reference = random_problem(0, k=100)
    found = l0np.calibrate(M, y, n_active, base_weights=reference, distance="hellinger", seed=0)
    assert found.converged
    assert not found.missed
    nearest = found.selected_weights
    null = np.linalg.svd(M[:, found.indices])[2][len(y) :]
    rng = np.random.default_rng(0)

    def moved(weights):
        return 2.0 * np.sum((np.sqrt(weights) - np.sqrt(found.reference_weights)) ** 2)

    for _ in range(50):
        neighbour = nearest + 0.05 * nearest.min() * rng.normal(size=len(null)) @ null
        if neighbour.min() > 0:
            assert moved(neighbour) > moved(nearest) - 1e-12
