"""Families of mutually exclusive rows: totals of two variables that do not agree are named as such."""

import numpy as np
import pytest
from scipy import sparse

from l0np import check_targets
from l0np.diagnostics.exclusive_rows import describe_family, families_that_count_the_same
from l0np.targets import Targets

N = 3_000


def margin(rng, n_levels):
    level = np.concatenate([np.arange(n_levels), rng.integers(n_levels, size=N - n_levels)])
    return sparse.csr_array((np.ones(N), (level, np.arange(N))), shape=(n_levels, N))


def survey(seed=0):
    """Three variables with 3, 7 and 40 levels, incomes by the first, their sum, and a trait of a few."""
    rng = np.random.default_rng(seed)
    tenure, region, county = (margin(rng, n) for n in (3, 7, 40))
    income = rng.lognormal(10, 1, size=N)
    by_tenure = tenure * income
    trait = sparse.csr_array((rng.random((1, N)) < 0.1).astype(float))
    M = sparse.vstack([trait, tenure, region, county, by_tenure, sparse.csr_array(income[None])]).tocsr()
    names = [
        "disabled",
        *(f"tenure = {i}" for i in range(3)),
        *(f"region = {i}" for i in range(7)),
        *(f"county = {i}" for i in range(40)),
        *(f"income of tenure {i}" for i in range(3)),
        "income",
    ]
    return M, M @ rng.lognormal(0, 0.2, size=N), names


def test_nothing_is_said_where_the_totals_agree():
    M, y, names = survey()
    found = check_targets(M, y, names=names)
    assert found.disagreeing == ()
    assert found.ok
    assert "disagree" not in str(found)


@pytest.mark.parametrize("named", [True, False], ids=["names", "no names"])
@pytest.mark.parametrize("shuffled", [True, False], ids=["shuffled", "in order"])
def test_totals_of_variables_that_disagree_are_found_with_their_sums(named, shuffled):
    M, y, names = survey()
    y[1:4] *= 1.02  # tenure
    order = np.random.default_rng(1).permutation(len(y)) if shuffled else np.arange(len(y))
    options = {"names": [names[i] for i in order]} if named else {}
    found = check_targets(M[order], y[order], **options)
    assert not found.ok
    ((*families,),) = found.disagreeing
    original = [sorted(order[rows].tolist()) for rows in families]
    assert sorted(original) == sorted([[1, 2, 3], list(range(4, 11)), list(range(11, 51))])
    line = next(line for line in str(found).splitlines() if "totals disagree" in line)
    assert f"{y[1:4].sum():,.10g}" in line
    assert f"{y[4:11].sum():,.10g}" in line
    assert "(1.96% apart)" in line
    if named:
        assert "tenure adds up to" in line
        assert "region, and county add up to" in line or "county, and region add up to" in line


def test_a_single_row_may_be_the_sum_of_a_family():
    M, y, names = survey()
    y[-1] *= 0.9
    found = check_targets(M, y, names=names)
    ((*families,),) = found.disagreeing
    assert sorted(rows.tolist() for rows in families) == [[51, 52, 53], [54]]
    assert "income of tenure adds up to" in str(found)
    assert f"income is {y[-1]:,.10g} (10% apart)" in str(found).replace("10.00%", "10%")


def test_tolerances_and_excluded_targets_are_respected():
    M, y, names = survey()
    y[1:4] *= 1.02
    assert check_targets(M, y, names=names, tolerances=0.01 * y).disagreeing == ()
    assert check_targets(M, y, names=names, exclude=[2]).disagreeing == ()


def test_a_disagreement_is_not_repeated_as_an_inconsistent_sum():
    M, y, names = survey()
    y[1:4] *= 1.02
    found = check_targets(M, y, names=names)
    assert found.inconsistent
    assert "inconsistent sums" not in str(found)
    y[-1] *= 0.9
    y[0] = 0.0
    M = sparse.vstack([M, M[[0]] + M[[-1]]]).tocsr()  # a sum that no family explains
    assert "inconsistent sums" in str(check_targets(M, np.append(y, 1.0), names=[*names, "both"]))


def test_a_group_names_its_family():
    M, y, _ = survey()
    groups = np.repeat([0, 1, 2, 3, 4, 5], [1, 3, 7, 40, 3, 1])
    y[1:4] *= 1.02
    found = check_targets(M, y, target_groups=groups)
    assert "1 adds up to" in str(found)


@pytest.mark.parametrize(
    ("names", "rows", "expected"),
    [
        (["sex=male", "sex=married"], [0, 1], "sex"),
        (["county = Los Angeles", "county = Los Altos"], [0, 1], "county"),
        (["income of owners", "income of tenants"], [0, 1], "income of"),
        (["age18", "age19"], [0, 1], "age18 and age19"),
        (["a", "b", "c"], [0, 1, 2], "a to c"),
        (["people"], [0], "people"),
    ],
)
def test_what_a_family_is_called(names, rows, expected):
    targets = Targets.build(np.ones(len(names)), len(names), names=names)
    assert describe_family(targets, np.array(rows)) == expected


def test_every_record_is_counted_once_in_each_family_of_a_set():
    M, _, names = survey(seed=3)
    targets = Targets.build(np.ones(len(names)), len(names), names=names)
    sets = families_that_count_the_same(M, targets)
    assert len(sets) == 2
    for families in sets:
        sums = [np.asarray(M[rows].sum(axis=0)).ravel() for rows in families]
        for total in sums[1:]:
            np.testing.assert_allclose(total, sums[0], rtol=1e-12)


def test_more_families_than_marks():
    """Overlapping rows use up the marks; what is found before is kept."""
    rng = np.random.default_rng(5)
    overlapping = sparse.csr_array((rng.random((80, N)) < 0.5).astype(float))
    M = sparse.vstack([margin(rng, 3), margin(rng, 4), overlapping]).tocsr()
    y = M @ np.ones(N)
    y[:3] *= 2
    ((*families,),) = check_targets(M, y).disagreeing
    assert [rows.tolist() for rows in families] == [[0, 1, 2], [3, 4, 5, 6]]
