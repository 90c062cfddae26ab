"""Noise: known answers, and quantiles of the normal distribution for every possible draw."""

import numpy as np
import pytest
from scipy import special

from l0np.maths import philox


def test_philox_known_answers(golden):
    for case in golden["noise"]["philox4x32_10"]:
        counter = tuple(np.array([word], dtype=np.uint64) for word in case["counter"])
        assert [int(word[0]) for word in philox.philox4x32(counter, tuple(case["key"]))] == case["words"]


def test_uniform_known_answers(golden):
    for case in golden["noise"]["uniform"]:
        for column_, expected in zip(case["columns"], case["u"], strict=True):
            for first in {column_, max(column_ - 5, 0)}:  # whatever column the run of columns starts with
                draws = philox.uniform(
                    np, case["seed"], case["stream"], case["epoch"], first, column_ - first + 1
                )
                assert draws.dtype == np.float32
                assert draws[-1] == np.float32(expected)


def test_uniforms_stay_inside_the_unit_interval_and_normals_are_their_quantiles():
    draws = philox.uniform(np, 7, philox.LOG_ALPHA_JITTER, 0, 0, 100_000)
    assert 0 < draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1
    assert draws.mean() == pytest.approx(0.5, abs=0.005)
    normals = philox.normal(7, philox.LOG_ALPHA_JITTER, 100_000)
    np.testing.assert_allclose(special.ndtr(normals), draws, rtol=1e-12)


def test_streams_epochs_and_seeds_differ():
    runs = [(0, 0, 0), (1, 0, 0), (2**32, 0, 0), (0, 1, 0), (0, 0, 1)]
    draws = [philox.uniform(np, seed, stream, epoch, 0, 64).tobytes() for seed, stream, epoch in runs]
    assert len(set(draws)) == len(runs)


def test_normal_quantiles_are_scipys_whatever_the_draw():
    """All draws of the tails, those around the borders of the two formulas, and every 31st between them."""
    n, border = 2**23, round(2**23 * 0.925)
    tail, near = np.arange(2**17), np.arange(border - 2**12, border + 2**12)
    numbers = np.unique(np.concatenate((tail, n - 1 - tail, near, n - 1 - near, np.arange(0, n, 31))))
    draws = (numbers + 0.5) * 2.0**-23
    np.testing.assert_allclose(philox.normal_quantile(draws), special.ndtri(draws), rtol=3e-15)
