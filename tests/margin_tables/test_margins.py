"""`margins`: M, y and what belongs to them, from tables of every kind."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from surveys import ROWS, UNIT_ROW, N, naive_matrix, people, totals

import l0np
from l0np.errors import InputError, L0npWarning

PEOPLE = people()
FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy": lambda d: pl.LazyFrame(d),
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_rows_of_every_kind_of_frame_equal_naive_loops(kind):
    frame = FRAMES[kind]
    problem = l0np.margins(frame(PEOPLE), frame(totals()), weight="weight", id="id")
    np.testing.assert_allclose(problem.matrix.to_scipy().toarray(), naive_matrix(PEOPLE), rtol=1e-15)
    assert problem.y.tolist() == [row[-1] for row, _ in ROWS]
    assert problem.base_weights.tolist() == PEOPLE["weight"]
    assert problem.ids.tolist() == PEOPLE["id"]
    assert problem.keys.kind == {"lazy": "polars"}.get(kind, kind)


def test_relations_of_duckdb():
    duckdb = pytest.importorskip("duckdb")
    problem = l0np.margins(duckdb.from_arrow(pa.table(PEOPLE)), pa.table(totals()), weight="weight")
    np.testing.assert_allclose(problem.matrix.to_scipy().toarray(), naive_matrix(PEOPLE), rtol=1e-15)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files(tmp_path, ending):
    for name, columns in (("people", PEOPLE), ("totals", totals())):
        frame = pl.DataFrame(columns, infer_schema_length=None)
        getattr(frame, f"write_{ending}")(tmp_path / f"{name}.{ending}")
    problem = l0np.margins(str(tmp_path / f"people.{ending}"), tmp_path / f"totals.{ending}", id="id")
    np.testing.assert_allclose(problem.matrix.to_scipy().toarray(), naive_matrix(PEOPLE), rtol=1e-15)
    assert problem.base_weights.tolist() == [1.0] * N


def test_ids_in_csv_keep_their_zeros(tmp_path):
    (tmp_path / "people.csv").write_text("id,number,sex\n007,7,f\n08,8,m\n")
    problem = l0np.margins(tmp_path / "people.csv", {"sex": {"f": 3, "m": 4}}, id="id")
    assert problem.ids.tolist() == ["007", "08"]
    problem = l0np.margins(tmp_path / "people.csv", {"sex": {"f": 3, "m": 4}}, id="number")
    assert problem.ids.tolist() == [7, 8]


@pytest.mark.parametrize("text", [False, True])
def test_units_add_up_their_members(text):
    columns = dict(PEOPLE)
    if text:
        columns["household"] = [f"h{i}" for i in columns["household"]]
    order = np.random.default_rng(1).permutation(N)
    columns = {name: [values[i] for i in order] for name, values in columns.items()}
    rows = [*ROWS, UNIT_ROW]
    problem = l0np.margins(
        pd.DataFrame(columns), pd.DataFrame(totals(rows)), weight="weight", unit="household"
    )
    wanted = naive_matrix(columns, rows, unit="household")
    np.testing.assert_allclose(problem.matrix.to_scipy().toarray(), wanted, rtol=1e-13)
    assert problem.ids.tolist() == list(dict.fromkeys(columns["household"]))
    weight = dict(zip(columns["household"], columns["weight"], strict=True))
    assert problem.base_weights.tolist() == [weight[unit] for unit in problem.ids.tolist()]
    assert (problem.keys.name, problem.keys.noun) == ("household", "unit")


def test_short_form():
    frame = pd.DataFrame(PEOPLE)
    region = pd.Series({"north": 1.0, "south": 2.0, "west": 3.0})
    owners = pd.Series({("north", True): 4.0, ("west", False): 5.0})
    problem = l0np.margins(frame, {"region": region, ("region", "owner"): owners, "income": 7.0, "": 6.0})
    assert problem.y.tolist() == [1, 2, 3, 4, 5, 7, 6]
    assert problem.names == (
        "region = north", "region = south", "region = west",
        "region = north, owner = True", "region = west, owner = False", "sum of income", "number of records",
    )  # fmt: skip
    dense = problem.matrix.to_scipy().toarray()
    assert (dense[4] == ((frame.region == "west") & ~frame.owner)).all()
    assert dense[5].tolist() == PEOPLE["income"]


def test_empty_lines_are_no_targets(tmp_path):
    (tmp_path / "totals.csv").write_text("region,value\nnorth,1\n,\nsouth,2\nwest,3\n,\n")
    assert l0np.margins(pl.DataFrame(PEOPLE), tmp_path / "totals.csv").y.tolist() == [1, 2, 3]


def test_truth_values_whoever_wrote_them():
    rows = pd.DataFrame({"owner": ["true", "FALSE"], "value": [1.0, 2.0]})
    one = l0np.margins(pd.DataFrame(PEOPLE), rows).matrix.to_scipy().toarray()
    other = l0np.margins(pl.DataFrame(PEOPLE), rows).matrix.to_scipy().toarray()
    assert (one == other).all()
    assert one[0].tolist() == PEOPLE["owner"]


def test_numbers_that_missing_values_made_floats():
    frame = pd.DataFrame({"code": ["1", "2", "1"], "size": [1, 2, 2]})
    rows = pd.DataFrame({"code": [1, 2, None], "size": [None, None, 2], "value": [1.0, 2.0, 3.0]})
    problem = l0np.margins(frame, rows, uncovered="allow")
    assert problem.matrix.to_scipy().toarray().tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 1]]


def test_target_options():
    table = pd.DataFrame(
        {
            "region": ["north", "south", "west"],
            "value": ["10", "20", "30"],
            "name": ["N", None, "W"],
            "group": ["a", None, "a"],
            "importance": [2, None, 1],
            "tolerance": [None, 3, None],
            "scale": [None, None, 5],
            "cap": [None, 1, None],
            "exclude": ["no", None, "yes"],
        }
    )
    options = l0np.margins(pd.DataFrame(PEOPLE), table).options
    assert options["names"] == ["N", "region = south", "W"]
    assert options["target_groups"] == ["a", "region", "a"]
    assert options["target_weights"] == [2, 1, 1]
    assert options["tolerances"] == [0, 3, 0]
    assert options["target_scales"] == [10, 20, 5]
    assert options["caps"] == [np.inf, 1, np.inf]
    assert options["exclude"].tolist() == [False, False, True]


def test_missing_values_are_zero_if_asked():
    frame = pd.DataFrame({"income": [1.0, None, 3.0], "sex": ["f", None, "m"]})
    table = {"sex": {"f": 1, "m": 2}, "income": 9.0}
    problem = l0np.margins(frame, table, missing="zero")
    assert problem.matrix.to_scipy().toarray().tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 3]]
    assert problem.notes == (
        '"sex": 1 missing value taken as no level',
        '"income": 1 missing value taken as 0',
    )
    assert problem.notes[1] in str(problem)


def test_weights_that_were_forgotten():
    region = {"region": {"north": 10, "south": 20, "west": 30}}
    note = 'every base weight is 1, the column "weight" is not used: weight="weight" uses it'
    assert note in str(l0np.margins(pl.DataFrame(PEOPLE), region))
    assert l0np.margins(pl.DataFrame(PEOPLE), region, weight="weight").notes == ()
    assert l0np.margins(pl.DataFrame(PEOPLE), region | {"weight": 9.0}).notes == ()


def test_margins_whose_sums_disagree_are_named_with_both_sums():
    table = {"region": {"north": 10, "south": 20, "west": 30}, "owner": {"true": 20, "false": 39}, "": 60}
    message = r"region adds up to 60, owner adds up to 59 \(1.67% apart\)$"
    with pytest.warns(L0npWarning, match=message):
        problem = l0np.margins(pl.DataFrame(PEOPLE), table)
    assert "totals disagree: region adds up to 60" in str(problem)


def test_sums_that_tolerances_reconcile_agree():
    table = pd.DataFrame(
        {"region": ["north", "south|west", None], "value": [10.0, 20, 31], "tolerance": [None, None, 1.0]}
    )
    assert l0np.margins(pd.DataFrame(PEOPLE), table, weight="weight").notes == ()


def test_every_function_takes_the_problem():
    problem = l0np.margins(pd.DataFrame(PEOPLE), pd.DataFrame(totals()), weight="weight", id="id")
    plain = problem.matrix, problem.y
    names = list(problem.names)
    answer = l0np.calibrate(problem, n_active=50, seed=1)
    other = l0np.calibrate(*plain, n_active=50, base_weights=problem.base_weights, seed=1, names=names)
    assert (answer.weights == other.weights).all()
    assert answer.selected_names == tuple(PEOPLE["id"][i] for i in answer.indices)
    assert str(l0np.check_targets(problem)) == str(
        l0np.check_targets(*plain, problem.base_weights, names=names)
    )
    diagnosed = l0np.diagnose(*plain, answer.weights, problem.base_weights, names=names)
    for found in (l0np.diagnose(problem, answer.weights), l0np.diagnose(problem, weights=answer.weights)):
        assert str(found) == str(diagnosed) == str(answer.diagnostics)
        assert isinstance(found.to_frame(), pd.DataFrame)
    table = l0np.target_table(problem, answer.weights)
    assert table.name.tolist() == names
    assert (table.estimate == answer.targets.estimate).all()
    assert isinstance(table.to_frame(), pd.DataFrame)
    path = l0np.l0_path(problem, n_active=[50], seed=1)
    assert (path.answers[0].weights == answer.weights).all()
    fits = [
        l0np.SparseCalibrationWeights(N, seed=0, **start).fit(*given, epochs=20)
        for start, given in (({}, (problem,)), ({"init_weights": problem.base_weights}, plain))
    ]
    assert (fits[0].log_weight == fits[1].log_weight).all()
    assert (fits[0].predict(problem) == fits[1].predict(problem.matrix)).all()
    for fit in fits:
        fit.fit(*plain, epochs=20, n_active=30)
    assert (fits[0].refit(problem).weights == fits[1].refit(*plain).weights).all()
    fits[0].reset()
    fits[1].reset()
    fits[1].fit(*plain, epochs=20)
    assert (fits[0].fit(problem, epochs=20).log_weight == fits[1].log_weight).all()


def test_base_weights_of_a_problem_do_not_replace_those_of_a_model():
    problem = l0np.margins(pd.DataFrame(PEOPLE), pd.DataFrame(totals()), weight="weight")
    model = l0np.SparseCalibrationWeights(N, init_weights=7.0, seed=0).fit(problem, epochs=0)
    np.testing.assert_allclose(np.exp(model.log_weight), 7.0, rtol=1e-6)


def test_what_is_given_beside_a_problem_goes_first():
    problem = l0np.margins(pd.DataFrame(PEOPLE), pd.DataFrame(totals()), weight="weight")
    answer = l0np.calibrate(problem, base_weights=80.0, names=list("abcdefg"))
    assert answer.targets.name.tolist() == list("abcdefg")
    assert set(answer.reference_weights.tolist()) == {80.0}


def test_many_records():
    n = 150_000
    rng = np.random.default_rng(0)
    region, age = rng.choice(["north", "south"], n), rng.integers(0, 90, n)
    income = np.where(rng.random(n) < 0.5, 0.0, rng.lognormal(3, 1, n))
    table = {"region": region.tolist(), "age": age, "income": income}
    rows = {"region": ["north", None, None, "south"], "age": [None, "0-17|65+", None, None], "value": 1.0}
    rows["variable"] = [None, None, "income", "income"]
    found = l0np.margins(pl.DataFrame(table), pd.DataFrame(rows)).matrix.to_scipy().toarray()
    assert (found[0] == (region == "north")).all()
    assert (found[1] == ((age <= 17) | (age >= 65))).all()
    assert (found[2] == income).all()
    assert (found[3] == income * (region == "south")).all()


def test_what_is_missing_or_too_much_beside_a_problem_is_said():
    problem = l0np.margins(pd.DataFrame(PEOPLE), pd.DataFrame(totals()), weight="weight", id="id")
    with pytest.raises(InputError, match="weights is missing"):
        l0np.diagnose(problem)
    with pytest.raises(InputError, match="weights is missing: it comes after M and y"):
        l0np.target_table(problem.matrix, problem.y)
    with pytest.raises(InputError, match="y is missing"):
        l0np.diagnose(problem.matrix)
    with pytest.raises(InputError, match="leave y out"):
        l0np.diagnose(problem, problem.y, problem.base_weights)
