"""The README's code and the examples print what the README shows; the README of l0-python runs too."""

import csv
import io
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
    names = {}
    pytest.importorskip("sklearn")
    tables, exactly_k, gated_model, long_runs, regression, pipeline = (
        text for language, text in BLOCKS if language == "python"
    )
    compare(OUTPUTS[1], run(tables, names), relative=0.01, absolute=0.1)
    compare(OUTPUTS[2], run(exactly_k, names), relative=0.01, absolute=0.1)
    compare(OUTPUTS[3], run(gated_model, names), relative=0.05, absolute=0.4)  # NumPy and Numba differ by 0.3
    compare(OUTPUTS[4], run(long_runs, names), relative=0, absolute=0)
    compare(OUTPUTS[5], run(regression, names), relative=0.01, absolute=0.01)
    compare(OUTPUTS[6], run(pipeline, names), relative=0, absolute=0)


@pytest.fixture
def in_copy(tmp_path, monkeypatch):
    """A folder with the examples, in which files may be written."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_command_prints_the_readmes_table(in_copy, capsys):
    command = re.search(r"l0np (calibrate .*)", README)[1].split()
    assert main(command) == 0
    compare(OUTPUTS[0], capsys.readouterr().out, relative=0.03, absolute=0.3)
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
    compare(OUTPUTS[7], printed, relative=0.01, absolute=0.01)
    assert "Selected variables:         1, 3\n" in printed


@pytest.mark.slow  # runs the example as a user does
def test_pipeline_example(in_copy):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    printed = example("sklearn_pipeline.py", in_copy)
    (shown,) = re.findall(r"```\n(.*?)```", (ROOT / "examples" / "README.md").read_text(), flags=re.DOTALL)
    compare(shown, printed, relative=0.001, absolute=0.02)


def test_the_commands_are_two_and_ci_runs_the_second():
    commands = [text.strip() for language, text in BLOCKS if language == "sh"]
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    pattern = re.search(r"grep -E '(.*?)'", (ROOT / ".ci" / "run").read_text())[1]
    assert [line for line in README.splitlines() if re.search(pattern, line)] == [commands[1]]
    files = re.findall(r"examples/\w+\.csv", commands[0])
    assert len(files) == 2
    assert all((ROOT / file).exists() for file in files)


def test_the_table_of_speed_is_the_measured_one():
    measured = (ROOT / "benchmarks" / "results" / "cpu.md").read_text()
    (table,) = re.findall(r"\| problem \|.*?(?=\n\n)", measured, flags=re.DOTALL)
    assert table in README


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


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
