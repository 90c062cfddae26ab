"""The flight of the cube method where several probabilities reach 0 or 1 in the same step."""

import numpy as np
from support import needs_numba

from l0np.sampling.cube_flight import Flight


def tied(seed):
    """Records of four regions, their columns, probabilities and uniform numbers, in a random order."""
    rng = np.random.default_rng(seed)
    regions = np.repeat(np.eye(4), 8, axis=0)[rng.permutation(32)]
    return np.arange(32), np.column_stack((np.ones(32), regions)), np.full(32, 0.5), rng.random(32)


def test_steps_of_length_0_keep_the_totals():
    n_zero_steps = 0
    for seed in range(20):
        records, columns, p, uniforms = tied(seed)
        flight = Flight(5, compiled=False)
        for i in records:  # one by one, to see the steps
            before, basic = p.copy(), flight.basic.copy()
            flight.take(records[i : i + 1], columns[i : i + 1], p, uniforms[i : i + 1])
            replaced = (basic >= 0) & (
                flight.basic != basic
            )  # i walked, and takes the index of a decided record
            n_zero_steps += bool(replaced.any() and np.array_equal(before, p))
        np.testing.assert_allclose(p @ columns, [16, 4, 4, 4, 4], atol=1e-12)
        assert set(p.tolist()) == {0.0, 1.0}
    assert n_zero_steps > 20


@needs_numba
def test_the_compiled_flight_takes_ties_as_that_of_numpy():
    for seed in range(20):
        ends = []
        for compiled in (False, True):
            records, columns, p, uniforms = tied(seed)
            flight = Flight(5, compiled)
            flight.take(records, columns, p, uniforms)
            ends.append((p, flight.basic, flight.transform))
        for ours, numpy in zip(*ends, strict=True):
            np.testing.assert_array_equal(ours, numpy)
