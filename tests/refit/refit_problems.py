"""Refits that the tests of this room share."""

import numpy as np
from scipy import sparse

from l0np.refit import distance_of
from l0np.refit.multipliers import LIMITS
from l0np.refit.refit import WeightedTargets, refit_weights


def random_problem(seed, n_targets=6, k=25):
    """A matrix with a row of ones, targets that weights near the reference weights meet, and these."""
    rng = np.random.default_rng(seed)
    M = rng.lognormal(size=(n_targets, k)) * (rng.random((n_targets, k)) < 0.6)
    M[0] = 1.0
    reference = rng.lognormal(1, 0.5, size=k)
    y = M @ (reference * rng.uniform(0.7, 1.4, size=k))
    return M, y, reference


def weighted(y, scale=None, importance=None, tolerance=0.0):
    """Targets with errors relative to max(|y|, 1), all of importance 1."""
    ones = np.ones(len(y))
    scale = np.maximum(np.abs(y), 1) if scale is None else scale
    return WeightedTargets(y, scale, ones if importance is None else importance, tolerance * ones)


def refit(
    M, y, reference, distance="chi-square", bounds=(0.05, None), *, total=None, limits=LIMITS, **targets
):
    """Refit with a distance by name."""
    measure = distance_of(distance, bounds)
    return refit_weights(sparse.csr_array(M), weighted(y, **targets), reference, measure, total, limits)
