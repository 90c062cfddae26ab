"""Mistakes on the command line: status 2, at most three lines on stderr, which say what to do."""

import pytest

from l0np.cli import main

PEOPLE = "id,region,age,income,weight\na,north,5,10,2\nb,south,40,20,3\nc,north,70,30,4\nd,south,30,5,1\n"
TOTALS = "region,variable,value\nnorth,,8\nsouth,,5\n,income,200\n"
RUN = ["calibrate", "people.csv", "totals.csv"]
WITH = [*RUN, "--weight", "weight", "--id", "id"]
SELECT = [*WITH, "--n-active", "2"]

# What is changed in the files, the arguments, and what the message must say
MISTAKES = {
    "no such command": ({}, ["calbrate"], "calbrate"),
    "no such option": ({}, [*RUN, "--wieght", "weight"], "--wieght"),
    "no value for an option": ({}, [*RUN, "--weight"], "--weight"),
    "a word for a number": ({}, [*RUN, "--n-active", "many"], "--n-active"),
    "a third file": ({}, [*RUN, "more.csv"], "more.csv"),
    "no files": ({}, ["calibrate"], "the file of records is missing: l0np calibrate RECORDS TOTALS"),
    "one file": ({}, RUN[:2], "the file of totals is missing"),
    "no such file": ({}, ["calibrate", "peple.csv", "totals.csv"], "the file peple.csv does not exist"),
    "a folder": ({}, ["calibrate", ".", "totals.csv"], "must end in .csv or .parquet"),
    "a spreadsheet": ({}, ["calibrate", "people.xlsx", "totals.csv"], "must end in .csv or .parquet"),
    "an empty file": ({"people.csv": ""}, WITH, "cannot be read as CSV"),
    "only a header": ({"people.csv": PEOPLE.splitlines()[0]}, WITH, "people.csv has no rows"),
    "binary": ({"people.csv": "\udcff\udcfe\x00\n"}, WITH, "people.csv"),
    "files in the wrong order": (
        {},
        ["calibrate", "totals.csv", "people.csv"],
        'people.csv must have a column "val',
    ),
    "semicolons": (
        {"totals.csv": TOTALS.replace(",", ";")},
        WITH,
        "totals.csv is separated by semicolons: separate its columns by commas",
    ),
    "misspelt weight": (
        {},
        [*RUN, "--weight", "wieght"],
        '--weight names "wieght", which is not a column of people',
    ),
    "misspelt id": ({}, [*RUN, "--id", "ID"], 'did you mean "id"?'),
    "misspelt level": (
        {"totals.csv": TOTALS.replace("north", "nroth")},
        WITH,
        "line 2 of totals.csv: no record has",
    ),
    "misspelt column": (
        {"totals.csv": TOTALS.replace("region", "regoin")},
        WITH,
        'the column "regoin" of totals.csv',
    ),
    "misspelt variable": ({"totals.csv": TOTALS.replace("income", "incom")}, WITH, 'did you mean "income"?'),
    "a level without a total": (
        {"people.csv": PEOPLE + "e,west,1,1,1\n"},
        WITH,
        'has region "west", for which the totals of region have no row',
    ),
    "text in a total": (
        {"totals.csv": TOTALS.replace("200", "2OO")},
        WITH,
        "line 4 of totals.csv must be a number",
    ),
    "a thousands separator": (
        {"totals.csv": TOTALS.replace("200", '"1,200"')},
        WITH,
        '"1,200" is not a plain number',
    ),
    "an empty total": ({"totals.csv": TOTALS.replace("200", "")}, WITH, "line 4 of totals.csv has no value"),
    "text in an amount": (
        {"people.csv": PEOPLE.replace("20,3", "x,3")},
        WITH,
        '"income" of record "b" is "x"',
    ),
    "a missing amount": (
        {"people.csv": PEOPLE.replace("20,3", ",3")},
        WITH,
        "--missing zero takes them as 0",
    ),
    "a negative weight": (
        {"people.csv": PEOPLE.replace("20,3", "20,-3")},
        WITH,
        '"weight" of record "b" is -3',
    ),
    "a missing weight": (
        {"people.csv": PEOPLE.replace("20,3", "20,")},
        WITH,
        '"weight" of record "b" is missing',
    ),
    "duplicate ids": (
        {"people.csv": PEOPLE.replace("b,", "a,")},
        WITH,
        'is "a" in several rows of people.csv',
    ),
    "weights within a unit": ({}, [*WITH, "--unit", "region"], "it must be the same within a unit"),
    "too many records": ({}, [*WITH, "--n-active", "5"], "--n-active must be at most 4, got 5"),
    "no records": ({}, [*WITH, "--n-active", "0"], "--n-active must be at least 1, got 0"),
    "method": ({}, [*WITH, "--n-active", "2", "--method", "balance"], "did you mean 'balanced'?"),
    "distance": ({}, [*WITH, "--distance", "chi2"], "did you mean 'chi-square'?"),
    "bounds": ({}, [*WITH, "--bounds", "0.1"], "--bounds must be two numbers"),
    "bounds the wrong way": ({}, [*WITH, "--bounds", "3,2"], "bounds"),
    "missing": ({}, [*WITH, "--missing", "drop"], "--missing must be"),
    "device": ({}, [*WITH, "--device", "gpu"], "--device must be one of"),
    "seed": ({}, [*WITH, "--seed", "-1"], "--seed must be"),
    "largest error": ({}, [*WITH, "--max-error", "small"], "--max-error must be a relative error"),
    "output": (
        {},
        [*WITH, "--output", "weights.xlsx"],
        "--output: the file must end in .csv or .parquet or .npz",
    ),
    "no folder for the output": ({}, [*WITH, "--output", "out/weights.csv"], "there is no folder out"),
    "log": ({}, [*WITH, "--log", "out/run.log"], "cannot write the log out/run.log"),
    "report": ({}, [*WITH, "--report", "report.pdf"], "--report: the file must end in .html or .htm"),
    "no folder for the report": ({}, [*WITH, "--report", "out/r.html"], "there is no folder out"),
    "no settings": ({}, ["calibrate", "--config", "settings.json"], "cannot read settings.json"),
    "settings that are no JSON": ({"s.json": "{"}, ["calibrate", "--config", "s.json"], "s.json is not JSON"),
    "a list of settings": ({"s.json": "[]"}, ["calibrate", "--config", "s.json"], "does not hold settings"),
    "unknown settings": (
        {"s.json": '{"record": "people.csv"}'},
        ["calibrate", "--config", "s.json"],
        'did you mean "records"?',
    ),
    "settings of another command": (
        {"s.json": '{"command": "path"}'},
        ["calibrate", "--config", "s.json"],
        "is of l0np path, not of l0np cali",
    ),
    "settings of another kind": (
        {"s.json": '{"records": 3}'},
        [*RUN, "--config", "s.json"],
        "must be a string",
    ),
    "unknown arguments in settings": (
        {"s.json": '{"arguments": {"n_actve": 3}}'},
        [*RUN, "--config", "s.json"],
        "did you mean --n-active?",
    ),
    "arguments of another kind in settings": (
        {"s.json": '{"arguments": {"n_active": "many"}}'},
        [*RUN, "--config", "s.json"],
        "--n-active must be an integer, got 'many' (str)",
    ),
    "options of margins in settings": (
        {"s.json": '{"margins": {"weights": "weight"}}'},
        [*RUN, "--config", "s.json"],
        'margins has no argument "weights": did you mean weight?',
    ),
    "an error in settings": (
        {"s.json": '{"max_error": "small"}'},
        [*RUN, "--config", "s.json"],
        "max_error in s.json must be a number, got 'small'",
    ),
    "certainty of nothing": (
        {},
        [*SELECT, "--certainty", "regoin"],
        '--certainty: "regoin" is neither a column of people.csv nor a file: did you mean "region"?',
    ),
    "certainty by ids that are not known": (
        {"certain.csv": "b\n"},
        [*RUN, "--n-active", "2", "--certainty", "certain.csv"],
        "give their column by --id",
    ),
    "certainty of an unknown record": (
        {"certain.csv": "id,why\nb,large\nx,large\n"},
        [*SELECT, "--certainty", "certain.csv"],
        '--certainty: no record has id "x", which certain.csv lists',
    ),
    "certainty in one of several columns": (
        {"certain.csv": "school,why\nb,large\n"},
        [*SELECT, "--certainty", "certain.csv"],
        'certain.csv must have the column "id", or only one column',
    ),
    "more of certainty than are selected": (
        {"certain.csv": "id\na\nb\nc\n"},
        [*SELECT, "--certainty", "certain.csv"],
        "--n-active must be at least 3, for 3 records of certainty",
    ),
    "at least how many": (
        {},
        [*SELECT, "--at-least", "region"],
        "--at-least must be COLUMN:LEVEL=NUMBER, such as region:north=5",
    ),
    "at least of an unknown level": (
        {},
        [*SELECT, "--at-least", "region:nroth=1"],
        '--at-least: no record has region "nroth": did you mean "north"?',
    ),
    "at least of an unknown column": ({}, [*SELECT, "--at-least", "area=1"], "not a column of people.csv"),
    "at least of two columns": (
        {},
        [*SELECT, "--at-least", "region:north=1", "--at-least", "age:40=1"],
        "--at-least must be of one column, got region and age",
    ),
    "at least twice": (
        {},
        [*SELECT, "--at-least", "region:north=1", "--at-least", "region:north=2"],
        '--at-least gives two numbers for "region:north"',
    ),
    "more than there are": (
        {},
        [*SELECT, "--at-least", "region:north=3"],
        "--at-least['north'] is 3, but the group has 2 records",
    ),
    "an area that is missing": (
        {"people.csv": PEOPLE.replace("d,south", "d,")},
        [*SELECT, "--missing", "zero", "--at-least", "region=1"],
        '--at-least: "region" is missing in line 5 of people.csv',
    ),
    "another kind of certainty in settings": (
        {"s.json": '{"certainty": 3}'},
        [*RUN, "--config", "s.json"],
        '"certainty" in s.json must be a string',
    ),
    "a path without sizes": (
        {},
        ["path", *WITH[1:]],
        "l0np path needs numbers of records: --n-active 100,200,400",
    ),
    "sizes of a path": (
        {},
        ["path", *WITH[1:], "--n-active", "10;20"],
        "--n-active must be numbers of records",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_cost_three_lines_at_most(mistake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    changes, arguments, message = MISTAKES[mistake]
    for name, text in {"people.csv": PEOPLE, "totals.csv": TOTALS, **changes}.items():
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    before = {path.name for path in tmp_path.iterdir()}
    assert main(arguments) == 2
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if not line.startswith("reading ")]
    assert 1 <= len(lines) <= 3
    assert "Traceback" not in printed.err
    assert "should not happen" not in printed.err
    assert lines[0].startswith("l0np: ")
    assert message in lines[0]
    assert {path.name for path in tmp_path.iterdir()} == before
