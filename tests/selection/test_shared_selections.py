"""Selections of records that ranks share: the answers of one rank that holds all records."""

import numpy as np
import pytest
from thread_ranks import on_ranks

import l0np
from l0np import ColumnMatrix, SparseCalibrationWeights
from l0np.errors import InputError
from l0np.matrix import SharedMatrix
from l0np.sampling import CubeLimits, balanced_flight

RNG = np.random.default_rng(5)
DISTRICTS, N = 12, 720
DISTRICT = np.repeat(np.arange(DISTRICTS), N // DISTRICTS)
TRAITS = (RNG.random((4, N)) < 0.4) * RNG.lognormal(size=(4, N))
BY_DISTRICT = np.concatenate(
    [np.where(d == DISTRICT, np.vstack([np.ones(N), TRAITS[:1]]), 0) for d in range(DISTRICTS)]
)
M = np.concatenate([BY_DISTRICT, TRAITS])
BASE = RNG.uniform(5, 15, N)
Y = M @ BASE * RNG.uniform(0.98, 1.02, len(M))
CUTS = ([0, N], [0, 360, N], [0, 180, 555, N])


def part_of(ranks, cuts):
    return slice(cuts[ranks.rank], cuts[ranks.rank + 1])


def on_parts(cuts, work):
    return on_ranks(len(cuts) - 1, lambda ranks: work(ranks, part_of(ranks, cuts)))


def assert_same_answer(parts, alone, cuts):
    weights = np.concatenate([part.weights for part in parts])
    np.testing.assert_array_equal(np.flatnonzero(weights), alone.indices)
    np.testing.assert_allclose(weights, alone.weights, rtol=1e-9)
    for part, first in zip(parts, cuts, strict=False):
        np.testing.assert_array_equal(part.weights[part.indices], part.selected_weights)
        np.testing.assert_allclose(
            part.diagnostics.effective_sample_size, alone.diagnostics.effective_sample_size
        )
        np.testing.assert_allclose(part.targets.estimate, alone.targets.estimate, rtol=1e-9)
        assert part.missed == alone.missed
        assert part.diagnostics.n_records == N
        own = np.isin(alone.indices, part.indices + first)
        np.testing.assert_allclose(part.reference_weights, alone.reference_weights[own], rtol=1e-9)


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_active": 200},
        {"n_active": 90, "exclude": list(range(DISTRICTS))},
        {"n_active": 60, "method": "exchange", "distance": "raking", "total": float(BASE.sum())},
    ],
    ids=str,
)
def test_the_answer_is_that_of_one_rank(cuts, arguments):
    alone = l0np.calibrate(M, Y, base_weights=BASE, seed=3, **arguments)

    def calibrated(ranks, part):
        return l0np.calibrate(M[:, part], Y, base_weights=BASE[part], seed=3, communicator=ranks, **arguments)

    assert_same_answer(on_parts(cuts, calibrated), alone, cuts)


@pytest.mark.parametrize("cuts", CUTS)
def test_balanced_samples_of_ranks_are_as_good_as_those_of_one_rank(cuts):
    """A landing is a linear programme of many solutions: rounding may decide between them."""
    options = {"n_active": 200, "method": "balanced", "seed": 3}
    alone = l0np.calibrate(M, Y, base_weights=BASE, **options)
    parts = on_parts(
        cuts,
        lambda ranks, part: l0np.calibrate(
            M[:, part], Y, base_weights=BASE[part], communicator=ranks, **options
        ),
    )
    weights = np.concatenate([part.weights for part in parts])
    assert np.count_nonzero(weights) == 200
    assert np.abs(alone.targets.relative_error).max() < 0.01
    np.testing.assert_allclose(M @ weights, parts[0].targets.estimate, rtol=1e-9)
    for part in parts:
        assert np.abs(part.targets.relative_error).max() < 0.01
        size = part.diagnostics.effective_sample_size
        assert size == pytest.approx(alone.diagnostics.effective_sample_size, rel=0.02)


def test_gates_select_the_same_on_any_number_of_ranks():
    def calibrated(ranks, part):
        options = {"method": "gates", "epochs": 60, "seed": 3}
        return l0np.calibrate(M[:, part], Y, 100, BASE[part], communicator=ranks, gather=True, **options)

    (one,), *others = (on_parts(cuts, calibrated) for cuts in CUTS)
    assert len(one.indices) == 100
    for parts, cuts in zip(others, CUTS[1:], strict=True):
        np.testing.assert_array_equal(parts[0].indices, one.indices)
        np.testing.assert_allclose(parts[0].weights, one.weights, rtol=1e-9)
        np.testing.assert_allclose(parts[1].weights, one.weights[cuts[1] : cuts[2]], rtol=1e-9)
        assert parts[0].settings
        assert not parts[1].settings


def test_what_is_required_of_a_selection_is_given_by_each_rank_for_its_own():
    label = np.array([f"area {d}" for d in DISTRICT])
    required = {"at_least": {"area 0": 40}, "seed": 3}
    alone = l0np.calibrate(M, Y, 150, BASE, certainty=[0, 700], groups_of_records=label, **required)

    def calibrated(ranks, part):
        certain = np.isin(np.arange(N)[part], [0, 700])
        return l0np.calibrate(
            M[:, part],
            Y,
            150,
            BASE[part],
            certainty=certain,
            groups_of_records=label[part],
            communicator=ranks,
            **required,
        )

    parts = on_parts(CUTS[2], calibrated)
    assert_same_answer(parts, alone, CUTS[2])
    assert parts[0].n_active_by_group == alone.n_active_by_group


def test_strata_fly_where_they_lie_and_the_rest_together():
    """With few rows in a flight there are levels; one stratum of the second division lies on two ranks."""
    matrix, p = ColumnMatrix.build(M, "float64"), np.full(N, 0.31)
    limits = CubeLimits(most_rows=8, joint_flight_cost=0.0)
    alone = balanced_flight(matrix, BASE, p, 7, compiled=False, limits=limits)

    def flown(ranks, part):
        shared = SharedMatrix(ColumnMatrix.build(M[:, part], "float64"), ranks)
        return balanced_flight(shared, BASE, p, 7, compiled=False, limits=limits)

    for cuts in CUTS:
        for after in on_parts(cuts, flown):
            np.testing.assert_allclose(after, alone, atol=1e-12)
    assert 0 < np.count_nonzero((alone > 0) & (alone < 1)) < N / 2


def test_paths_and_diagnoses():
    alone = l0np.l0_path(M, Y, [60, 200], base_weights=BASE, seed=3)

    def answered(ranks, part):
        path = l0np.l0_path(M[:, part], Y, [60, 200], base_weights=BASE[part], seed=3, communicator=ranks)
        found = l0np.diagnose(M[:, part], Y, path.answers[0].weights, BASE[part], communicator=ranks)
        return path, found

    for path, found in on_parts(CUTS[1], answered):
        np.testing.assert_array_equal(path.n_active, [60, 200])
        np.testing.assert_allclose(path.worst_error, alone.worst_error, rtol=1e-6, atol=1e-12)
        assert str(found) == str(l0np.diagnose(M, Y, alone.answers[0].weights, BASE))


def test_a_refit_of_a_model_is_that_of_one_rank():
    def refitted(ranks, part):
        model = SparseCalibrationWeights(part.stop - part.start, seed=1, init_weights=BASE[part])
        model.fit(M[:, part], Y, n_active=150, lr=0.1, epochs=40, loss_type="relative", communicator=ranks)
        model.refit(M[:, part], Y, communicator=ranks)
        return model.get_weights(deterministic=True), model.predict(M[:, part], communicator=ranks)

    (one,), *others = (on_parts(cuts, refitted) for cuts in CUTS)
    assert np.count_nonzero(one[0]) == 150
    for parts in others:
        np.testing.assert_allclose(np.concatenate([weights for weights, _ in parts]), one[0], rtol=1e-6)
        np.testing.assert_allclose(parts[0][1], one[1], rtol=1e-6)


def test_seeds_are_shared_and_differences_are_named():
    def calibrated(ranks, part):
        return l0np.calibrate(M[:, part], Y, 150, BASE[part], communicator=ranks).seed

    assert len(set(on_parts(CUTS[1], calibrated))) == 1

    def differs(ranks, part):
        with pytest.raises(InputError, match="spread of rank 1 differs"):
            l0np.calibrate(M[:, part], Y, 150, BASE[part], spread=float(ranks.rank), communicator=ranks)

    on_parts(CUTS[1], differs)


def test_any_rank_may_stop_a_run():
    def calibrated(ranks, part):
        stop = lambda progress: ranks.rank == 1 and progress.stage == "thinning"  # noqa: E731
        answer = l0np.calibrate(M[:, part], Y, 200, BASE[part], seed=3, callbacks=[stop], communicator=ranks)
        return answer.stopped, answer.diagnostics.n_active

    assert on_parts(CUTS[1], calibrated) == [(True, 200)] * 2
