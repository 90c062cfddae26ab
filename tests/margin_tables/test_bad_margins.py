"""Mistakes in the two tables: each error names what is wrong and what was probably meant."""

import pandas as pd
import polars as pl
import pytest
from surveys import people

import l0np
from l0np.errors import InputError, InputTypeError, L0npError

PEOPLE = pd.DataFrame(people())
REGIONS = {"north": 1.0, "south": 2.0, "west": 3.0}


def table(**columns):
    return pd.DataFrame(columns)


def changed(column, i, value):
    frame = PEOPLE.copy()
    if isinstance(value, str):
        frame[column] = frame[column].astype(object)
    frame.loc[i, column] = value
    return frame


MISTAKES = {
    "level of the totals": (
        PEOPLE, table(region=["nroth", "south"], value=[1, 2]), {}, InputError,
        'row 0 of totals: no record has region "nroth": did you mean "north"?',
    ),
    "unknown level": (
        PEOPLE, table(region=["Berlin"], value=[1]), {}, InputError,
        'no record has region "Berlin": its levels are south, west, north',
    ),
    "number that no record has": (
        PEOPLE, table(age=["200+"], value=[1]), {}, InputError,
        "no record has age 200+: its values are 0 to 89",
    ),
    "crossed levels": (
        PEOPLE.query("not (region == 'west' and age > 60)"),
        table(region=["west"], age=["70+"], value=[5]), {},
        InputError, 'no record has region "west" and age "70+", but the total is 5',
    ),
    "level of the records": (
        PEOPLE, table(region=["north", "south"], value=[1, 2]), {}, InputError,
        'have region "west", for which the totals of region have no row: add their totals',
    ),
    "crossed level of the records": (
        PEOPLE, table(region=["north", "south", "west"], age=["0+", "0+", "0-80"], value=[1, 2, 3]), {},
        InputError, 'have region "west", age "8',
    ),
    "misspelt column": (
        PEOPLE, table(regoin=["north"], value=[1]), {}, InputError,
        'the column "regoin" of totals is neither a column of records nor one of value',
    ),
    "misspelt option": (PEOPLE, table(value=[1], toleranse=[1]), {}, InputError, 'did you mean "tolerance"?'),
    "misspelt value": (
        PEOPLE, table(region=["north"], valeu=[1]), {}, InputError,
        'must have a column "value"',
    ),
    "misspelt weight": (
        PEOPLE, {"region": REGIONS}, {"weight": "wieght"}, InputError,
        'did you mean "weight"?',
    ),
    "misspelt id": (
        PEOPLE, {"region": REGIONS}, {"id": "idd"}, InputError,
        'id names "idd", which is not a col',
    ),
    "misspelt variable": (
        PEOPLE, table(variable=["incme"], value=[1]), {}, InputError,
        'variable in row 0 of totals names "incme", which is not a column of records: did you mean "inc',
    ),
    "text in a value": (
        PEOPLE, table(value=["many"]), {}, InputTypeError,
        'value in row 0 of totals must be a number, "many" is text',
    ),
    "thousands": (PEOPLE, table(value=["1,200"]), {}, InputTypeError, '"1,200" is not a plain number'),
    "no value": (
        PEOPLE, table(region=["north", "west"], value=[1, None]), {}, InputError,
        "row 1 of totals has no",
    ),
    "text in an amount": (
        changed("income", 3, "n/a"), {"income": 1.0}, {"id": "id"}, InputTypeError,
        '"income" of record "p003" is "n/a": "income" must hold numbers',
    ),
    "numbers as strings": (
        PEOPLE.astype({"income": str}), {"income": 1.0}, {}, InputTypeError,
        '"income" of records holds numbers as st',
    ),
    "missing amounts": (
        changed("income", 3, None), {"income": 1.0}, {"id": "id"}, InputError,
        '"income" is missing in 1 record of records, the first is record "p003"',
    ),
    "missing levels": (
        changed("region", 5, None), {"region": REGIONS}, {}, InputError,
        'missing="zero" takes them',
    ),
    "missing weight": (
        changed("weight", 5, None), {"region": REGIONS}, {"weight": "weight", "missing": "zero"}, InputError,
        '"weight" of row 5 of records is missing',
    ),
    "negative weight": (
        changed("weight", 5, -2.0), {"region": REGIONS}, {"weight": "weight", "id": "id"}, InputError,
        '"weight" of record "p005" is -2: a weight must be 0 or more',
    ),
    "weights of 0": (
        PEOPLE.assign(weight=0), {"region": REGIONS}, {"weight": "weight"}, InputError, "is 0 in all records",
    ),
    "duplicate ids": (
        changed("id", 5, "p001"), {"region": REGIONS}, {"id": "id"}, InputError,
        '"id" is "p001" in several rows of records (1 duplicate): ids must be unique',
    ),
    "missing id": (
        changed("id", 5, None), {"region": REGIONS}, {"id": "id"}, InputError,
        '"id" is missing in row 5',
    ),
    "weights within a unit": (
        PEOPLE.assign(household=1), {"region": REGIONS}, {"weight": "weight", "unit": "household"},
        InputError,
        "it must be the same within a unit",
    ),
    "the same target twice": (
        PEOPLE, table(region=["north", "west", "north"], value=[1, 2, 3]), {}, InputError,
        "row 0 of totals and row 2 of totals are the same target: region = north",
    ),
    "range": (
        PEOPLE, table(age=["17-0"], value=[1]), {}, InputError,
        "age 17-0 is no range, because 17 is above 0",
    ),
    "text in a range": (
        PEOPLE, table(age=["young"], value=[1]), {}, InputError,
        '"young" is no number: age holds n',
    ),
    "counts": (PEOPLE, table(counts=["persons"], value=[1]), {}, InputError, "it must be records or units"),
    "sum of units": (
        PEOPLE, table(counts=["units"], variable=["income"], value=[1]), {}, InputError,
        "adds up income: counts=",
    ),
    "text among numbers": (
        PEOPLE.assign(age=["unknown", *map(str, PEOPLE["age"][1:])]),
        table(age=["0-17"], value=[1]),
        {},
        InputError,
        'no record has age "0-17": age has no ranges, because it holds text such as "unknown"',
    ),
    "exclude": (
        PEOPLE, table(exclude=["maybe"], value=[1]), {}, InputError,
        "exclude in row 0 of totals must be yes",
    ),
    "negative tolerance": (
        PEOPLE, table(tolerance=[-1], value=[1]), {}, InputError,
        "tolerance in row 0 of totals",
    ),
    "no totals": (PEOPLE, {}, {}, InputError, "totals holds no target"),
    "no records": (PEOPLE.iloc[:0], {"income": 1.0}, {}, InputError, "records has no rows"),
    "an array": ([[1.0]], {"income": 1.0}, {}, InputTypeError, "records must be a frame (pandas, polars"),
    "no file": ("nowhere.csv", {"income": 1.0}, {}, InputError, "the file nowhere.csv does not exist"),
    "a file of another kind": (
        "people.xlsx", {"income": 1.0}, {}, InputError,
        "must end in .csv or .parquet",
    ),
    "missing": (PEOPLE, {"income": 1.0}, {"missing": "drop"}, InputError, "missing must be"),
    "argument": (PEOPLE, {"income": 1.0}, {"weights": "weight"}, InputTypeError, "did you mean weight?"),
    "levels of a tuple": (
        PEOPLE, {("region", "age"): {"north": 1}}, {}, InputError,
        "must name a level of each",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    records, totals, arguments, kind, message = MISTAKES[mistake]
    with pytest.raises(L0npError) as raised:
        l0np.margins(records, totals, **arguments)
    assert message in str(raised.value)
    assert isinstance(raised.value, kind)


def test_lines_of_a_file(tmp_path):
    file = tmp_path / "totals.csv"
    file.write_text("region,value\nnorth,5\nsuoth,6\n")
    with pytest.raises(
        InputError, match=r'^line 3 of totals\.csv: no record has region "suoth": did you mean "so'
    ):
        l0np.margins(pl.from_pandas(PEOPLE), file)


def test_a_margin_may_have_gaps_if_that_is_allowed():
    given = table(region=["north", "south"], value=[1, 2])
    assert l0np.margins(PEOPLE, given, uncovered="allow").shape == (2, len(PEOPLE))


def test_a_few_levels_of_many_are_no_margin():
    frame = PEOPLE.assign(county=PEOPLE.index % 20)
    assert l0np.margins(frame, table(county=[1, 2, 3], value=[1, 2, 3])).shape == (3, len(PEOPLE))


def test_y_beside_a_problem():
    problem = l0np.margins(PEOPLE, {"region": REGIONS})
    for call in (l0np.calibrate, l0np.check_targets, lambda *a: l0np.SparseCalibrationWeights(200).fit(*a)):
        with pytest.raises(InputError, match=r"has its own totals: leave y out, .* as in n_active=100"):
            call(problem, 100)


def test_y_is_needed_without_a_problem():
    with pytest.raises(InputTypeError, match="y must be an array of numbers, got None"):
        l0np.calibrate([[1.0, 1.0]])
