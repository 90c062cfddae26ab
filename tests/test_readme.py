"""The README's code and the examples print what is shown; the README of l0-python runs too."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from support import needs_speed

from l0np.cli import main
from l0np.errors import PoorFitWarning

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
OUTPUTS = [text for language, text in BLOCKS if not language]
EXAMPLES = re.findall(r"```\n(.*?)```", (ROOT / "examples" / "README.md").read_text(), flags=re.DOTALL)
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
VARYING = ("targets   ",)  # how lines begin whose errors are due to rounding only

pytestmark = needs_speed
trains = pytest.mark.slow  # because it trains for thousands of epochs, as the README shows it


def compare(shown, printed, *, relative, absolute):
    """Compare line by line: equal words, and numbers within a tolerance, for rounding errors add up."""
    shown, printed = shown.strip().splitlines(), printed.strip().splitlines()
    assert len(shown) == len(printed), "\n".join(printed)
    for a, b in zip(shown, printed, strict=True):
        if a.startswith(VARYING):
            assert b.startswith(VARYING)
            continue
        assert NUMBER.sub("#", a).split() == NUMBER.sub("#", b).split(), (a, b)
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b), strict=True):
            x, y = (float(number.replace(",", "")) for number in (x, y))
            assert y == pytest.approx(x, rel=relative, abs=absolute), (a, b)


def run(code, names):
    output = io.StringIO()
    with redirect_stdout(output):
        exec(code, names)
    return output.getvalue()


def example(name, folder=ROOT / "tests"):
    return subprocess.run(
        [sys.executable, ROOT / "examples" / name],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
        cwd=folder,
    ).stdout


@pytest.mark.slow  # runs the README as a user does
@trains
def test_the_readme_prints_what_it_shows(in_copy):
    pytest.importorskip("jinja2")
    names = {}
    tables, gated_model, regression = (text for language, text in BLOCKS if language == "python")
    compare(OUTPUTS[0], run(tables, names), relative=0.03, absolute=0.3)
    assert (in_copy / "weights.csv").exists()
    assert (in_copy / "report.html").exists()
    compare(OUTPUTS[1], run(gated_model, names), relative=0.05, absolute=0.4)  # NumPy and Numba differ by 0.3
    compare(OUTPUTS[2], run(regression, names), relative=0.01, absolute=0.01)
    assert len(OUTPUTS) == 3


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.fixture
def in_copy(tmp_path, monkeypatch):
    """A folder with the examples, in which files may be written."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_command_prints_the_answer_that_the_readme_shows(in_copy, capsys):
    command = re.search(r"l0np (calibrate .*)", README)[1].split()
    assert main(command) == 0
    printed = capsys.readouterr().out
    answer, last = printed[printed.index("Calibration:") :], OUTPUTS[0].strip().splitlines()[-1]
    shown = OUTPUTS[0].strip().removesuffix(last).strip()
    compare(shown, "\n".join(answer.splitlines()[: len(shown.splitlines())]), relative=0.03, absolute=0.3)
    assert printed.rstrip().endswith("weights.csv: 342 of 6,194 records")
    with (in_copy / "weights.csv").open(newline="") as file:
        weights = list(csv.DictReader(file))
    with (ROOT / "examples" / "apipop.csv").open(newline="") as file:
        known = {school["cds"] for school in csv.DictReader(file)}
    assert len(weights) == 342
    assert {school["cds"] for school in weights} <= known
    assert sum(float(school["weight"]) for school in weights) == pytest.approx(6194)


def test_the_totals_are_those_of_all_schools():
    with (ROOT / "examples" / "apipop.csv").open(newline="") as file:
        schools = list(csv.DictReader(file))
    with (ROOT / "examples" / "school_totals.csv").open(newline="") as file:
        totals = list(csv.DictReader(file))
    assert len(totals) == 68
    for row in totals:
        value, variable = float(row.pop("value")), row.pop("variable")
        kept = [one for one in schools if all(one[c] == level for c, level in row.items() if level)]
        assert value == (sum(float(one[variable]) for one in kept) if variable else len(kept))


@pytest.mark.slow  # runs the example as a user does
@trains
def test_schools_example():
    printed = example("calibrate_schools.py")
    assert "Calibration: 342 records (thinned), converged, all targets met" in printed
    assert float(re.search(r"effective sample size +([\d.]+)", printed)[1]) > 320


@pytest.mark.slow  # runs the example as a user does
@trains
def test_regression_demo_recovers_the_support():
    printed = example("sparse_regression_demo.py")
    compare(EXAMPLES[0], printed, relative=0.01, absolute=0.01)
    assert "Selected variables:         1, 3\n" in printed


@pytest.mark.slow  # runs the example as a user does
def test_pipeline_example(in_copy):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    printed = example("sklearn_pipeline.py", in_copy)
    compare(EXAMPLES[1], printed, relative=0.001, absolute=0.02)


@pytest.mark.slow  # selects schools eight times
@trains
def test_the_picture_is_drawn_by_its_script(tmp_path):
    pytest.importorskip("matplotlib")
    printed = example("draw_schools.py", tmp_path)
    assert (tmp_path / "schools.png").read_bytes().startswith(b"\x89PNG")
    sizes = {int(line.split()[0]): line.split() for line in printed.splitlines()[1:]}
    assert min(sizes) == 40
    assert max(sizes) == 800
    assert "40 to 800" in README
    # what the README says of the picture
    assert next(k for k in sizes if sizes[k][3] == "0.0%") == 65
    assert all(float(sizes[k][-1]) > 0.8 * k for k in sizes if k >= 120)


def test_the_commands_are_two_and_ci_runs_the_second():
    commands = [text.strip() for language, text in BLOCKS if language == "sh"]
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    pattern = re.search(r"grep -E '(.*?)'", (ROOT / ".ci" / "run").read_text())[1]
    assert [line for line in README.splitlines() if re.search(pattern, line)] == [commands[1]]
    files = re.findall(r"examples/\w+\.csv", commands[0])
    assert len(files) == 2
    assert all((ROOT / file).exists() for file in files)


def figure(pattern):
    """Return the numbers in the line of the README's table of figures that matches."""
    (line,) = (line for line in README.splitlines() if line.startswith("|") and re.search(pattern, line))
    return [float(number.replace(",", "")) for number in NUMBER.findall(line.split("|")[2])]


def measured(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def cells(name, start):
    """Return the cells of the first line of a page of results that starts like this."""
    lines = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text().splitlines()
    return [cell.strip(" *") for cell in next(line for line in lines if line.startswith(start)).split("|")]


def test_the_five_figures_are_the_measured_ones():
    assert figure("an epoch of l0-python") == [float(cells("cpu", "| README example, 200")[10])]
    seconds, gigabytes = NUMBER.findall(cells("cpu", "| national, 19,480 x 5,000,000")[2])[-2:]
    assert figure("5,000,000 records") == [float(seconds), round(float(gigabytes), 1)]
    rows = [row for row in measured("selection")["rows"] if row["problem"] == "schools" and row["k"] == 231]
    sizes = [row["ess"] for row in rows if row["way"] == "ours, auto"]
    assert figure("231 of 6,194") == [round(100 * sum(sizes) / len(sizes)), 231]
    met = [row for row in measured("refit")["rows"] if row["asked"] == "all can be met"]
    (chi_square,) = (row for row in met if row["case"] == "chi-square")
    assert chi_square["converged"]
    assert figure("30,000 targets") == [round(chi_square["seconds"])]
    ours = [float(cells("regression", f"| {method} |")[2]) for method in ("l0np", "abess", "LassoCV")]
    assert figure("F1 of the features") == [round(f1, 2) for f1 in ours]
    assert len(re.findall(r"^\|.*\| `(?:nox|python) ", README, flags=re.MULTILINE)) == 5


ORIGINAL = """
import numpy as np
from scipy import sparse as sp
from l0np.calibration import SparseCalibrationWeights

# Setup: Q targets, N households
Q, N = 200, 10000
M = sp.random(Q, N, density=0.3, format="csr")  # Household characteristics
y = np.random.uniform(1e6, 1e8, size=Q)          # Population targets

# Initialize model
model = SparseCalibrationWeights(
    n_features=N,
    beta=0.35,
    gamma=-0.1,
    zeta=1.1,
    init_keep_prob=0.5,
    init_weights=1.0,
    log_weight_jitter_sd=0.05,
    device="cpu",
)

# Train with L0+L2 regularization
model.fit(
    M=M,
    y=y,
    lambda_l0=1e-6,
    lambda_l2=1e-8,
    lr=0.15,
    epochs=2000,
    loss_type="relative",
    verbose=True,
)

# Get results
active = model.get_active_weights()
print(f"Selected {active['count']} of {N} households")
print(f"Sparsity: {model.get_sparsity():.1%}")

from l0np.sparse import SparseL0Linear

# Sparse design matrix
X = sp.random(1000, 500, density=0.1, format="csr")
y = np.random.randn(1000)

model = SparseL0Linear(n_features=500)
model.fit(X, y, lambda_l0=0.001, epochs=1000)

# Get sparse coefficients
coef = model.get_coefficients(threshold=0.01)
"""


@pytest.mark.slow  # trains thousands of epochs
@trains
def test_the_originals_readme_runs_with_only_the_import_changed():
    names = {}
    with pytest.warns(PoorFitWarning, match="median error of the targets is 99") as warned:
        lines = run(ORIGINAL, names).splitlines()
    assert len(warned) == 1  # its targets are random numbers, which cannot be met; the regression is fine
    assert lines[0] == "Groups: none (uniform weights)"
    assert len(lines) == 1 + 2 * 20 + 2
    count = names["active"]["count"]
    assert lines[-2] == f"Selected {count} of 10000 households"
    assert lines[-1] == f"Sparsity: {1 - count / 10000:.1%}"
    assert count > 9000  # at this lambda nearly all records stay active, as with l0-python
    assert names["coef"].shape == (500,)
    assert 0 < np.count_nonzero(names["coef"]) < 500
