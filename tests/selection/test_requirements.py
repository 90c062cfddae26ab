"""Records of certainty, least numbers by area, and what the answer says of probabilities and areas."""

import numpy as np
import pandas as pd
import pytest
from survey_problems import problem

import l0np
from l0np.selection.requirements import Requirements

AREAS = np.array(["north", "south", "west"])[np.r_[np.zeros(200, int), np.ones(80, int), np.full(20, 2)]]


def select(k=40, seed=0, **options):
    M, y, base = problem()
    return l0np.calibrate(M, y, k, base, seed=seed, **options)


@pytest.mark.parametrize(("method", "k"), [("auto", 6), ("thinned", 15), ("auto", 40), ("thinned", 250)])
def test_records_of_certainty_are_always_selected(method, k):
    certain = [3, 77, 150, 299]
    for seed in range(3):
        answer = select(k, seed, method=method, certainty=certain)
        assert len(answer.indices) == k
        assert np.isin(certain, answer.indices).all()
        np.testing.assert_array_equal(answer.inclusion_probabilities[certain], 1.0)
        assert (answer.weights[certain] > 0).all()
        assert k < 12 or not answer.missed


def test_auto_is_thinned_where_records_are_certain():
    auto, thinned = (select(15, method=method, certainty=[3, 77]) for method in ("auto", "thinned"))
    np.testing.assert_array_equal(auto.weights, thinned.weights)


def test_a_record_of_certainty_that_calibration_leaves_no_weight_is_selected():
    M, y, base = problem()
    y[3] = 0.0
    certain = int(np.flatnonzero(M[3])[0])
    answer = l0np.calibrate(M, y, 40, base, seed=0, certainty=[certain])
    assert certain in answer.indices
    assert len(answer.indices) == np.count_nonzero(answer.weights) == 40


def test_a_mask_and_names_stand_for_the_same_records():
    M, y, base = problem()
    mask, names = np.zeros(300, bool), [f"h{j}" for j in range(300)]
    mask[[5, 9]] = True
    by_index = select(certainty=[5, 9])
    frame = pd.DataFrame(M, columns=names)
    by_name = l0np.calibrate(frame, y, 40, base, seed=0, certainty=["h5", "h9"])
    for other in (select(certainty=mask), by_name):
        np.testing.assert_array_equal(other.weights, by_index.weights)


@pytest.mark.parametrize(
    ("k", "least"),
    [
        (15, {"west": 9}),
        (15, {"west": 5, "south": 4}),
        (15, {"north": 1, "south": 2}),
        (40, {"west": 5, "south": 4}),
        (120, {"west": 9}),
    ],
)
def test_areas_keep_their_least_number(k, least):
    for seed in range(3):
        answer = select(k, seed, at_least=least, groups_of_records=AREAS)
        assert len(answer.indices) == k
        counts = {area: int((AREAS[answer.indices] == area).sum()) for area in ("north", "south", "west")}
        assert answer.n_active_by_group == counts
        assert all(counts[area] >= number for area, number in least.items())
        p = answer.inclusion_probabilities
        np.testing.assert_allclose(p.sum(), k)
        assert all(p[area == AREAS].sum() >= number * (1 - 1e-8) for area, number in least.items())
        assert not answer.missed


def test_certainty_and_least_numbers_together_down_to_the_smallest_selection():
    options = {"certainty": [281, 0], "at_least": {"west": 3, "south": 2}, "groups_of_records": AREAS}
    answer = select(6, **options)
    assert answer.n_active_by_group == {"north": 1, "south": 2, "west": 3}
    with pytest.raises(l0np.errors.InputError, match="n_active must be at least 6"):
        select(5, **options)


def test_paths_keep_what_is_required():
    M, y, base = problem()
    path = l0np.l0_path(M, y, [20, 40], base_weights=base, seed=0, certainty=[7])
    assert all(7 in answer.indices for answer in path.answers)


def test_without_requirements_areas_are_only_counted():
    plain, counted = select(), select(groups_of_records=AREAS)
    np.testing.assert_array_equal(plain.weights, counted.weights)
    assert plain.n_active_by_group is None
    assert sum(counted.n_active_by_group.values()) == 40
    M, y, base = problem()
    assert l0np.calibrate(M, y, None, base).inclusion_probabilities is None


def test_probabilities_are_raised_where_groups_fall_short():
    sizes, eligible = np.ones(10), np.ones(10, bool)
    groups = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    required = Requirements.checked([0], {1: 2}, groups, eligible, None)
    p = required.probabilities(sizes, np.zeros(10), 5.0)
    np.testing.assert_allclose(p, [1.0, *[2 / 7] * 7, 1.0, 1.0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"certainty": [300]}, "records 0 to 299"),
        ({"certainty": ["a"]}, "the records have no names"),
        ({"certainty": [True]}, "300"),
        ({"certainty": [1], "method": "gates"}, 'certainty needs method "auto" or "thinned"'),
        ({"at_least": {"west": 1}}, "groups_of_records"),
        ({"at_least": {"wset": 1}, "groups_of_records": AREAS}, 'did you mean "west"'),
        ({"at_least": {"west": 21}, "groups_of_records": AREAS}, "has 20 records"),
        ({"at_least": {"west": -1}, "groups_of_records": AREAS}, "at least 0"),
        ({"groups_of_records": AREAS[:-1]}, "groups_of_records"),
        ({"certainty": np.arange(50)}, "n_active must be at least 50"),
    ],
)
def test_what_cannot_be_required_is_refused(options, words):
    with pytest.raises(l0np.errors.InputError, match=words):
        select(**options)


def test_a_record_without_base_weight_cannot_be_certain():
    M, y, base = problem()
    base[4] = 0.0
    with pytest.raises(l0np.errors.InputError, match="record 4, which has no base weight"):
        l0np.calibrate(M, y, 20, base, certainty=[4])
