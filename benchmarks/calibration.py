"""Measure calibration without selection, `l0np.calibrate(M, y, base_weights=base)`, beside other programs.

    python benchmarks/calibration.py [PROBLEM ...] [--rounds 3] [--rival PACKAGE=PYTHON ...]

Each measurement is a process of its own, on one thread; the programs alternate. User seconds and peak memory
are reported, medians over the rounds. A process calibrates a small problem of the same kind first, so that
imports and compiled kernels do not count. `--rival` names the Python of an environment in which a package of
calibration_rivals.py is installed, and SciPy with it; the page says which are left out. A run is ended after
`--patience` seconds, and one that takes more than a fifth of that is not repeated. Writes
benchmarks/results/calibration.json and calibration.md.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from calibration_rivals import RIVALS, TOLERANCE
from pages import machine, paragraph
from scipy import sparse

HERE = Path(__file__).parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
MARGINS = (2, 4, 6, 8, 10, 10, 20)  # categories of the variables whose margins are targets, in this order


class Problem(NamedTuple):
    """A matrix by rows, its targets, the base weights and, for margins, the categories of the records."""

    M: Any
    y: Any
    base: Any
    categories: Any = None


def margins(records: int, targets: int) -> Problem:
    """Return the margins of categorical variables, in all `targets` categories."""
    rng, found = np.random.default_rng(0), []
    for size in MARGINS:
        start = sum(len(shares) for _, shares in found)
        size = min(size, targets - start)
        if size > 0:
            found.append((rng.integers(size, size=records), np.arange(start, start + size)))
    rows = np.stack([rows[category] for category, rows in found], axis=1)
    indptr = np.arange(records + 1, dtype=np.int32) * len(found)
    entries = np.ones(rows.size), rows.ravel().astype(np.int32), indptr
    M = sparse.csr_array(entries, shape=(records, targets)).T.tocsr()
    base = rng.lognormal(3, 0.5, records)
    y = M @ (base * rng.lognormal(0, 0.2, records))
    for _, rows in found:  # all margins have one total
        y[rows] *= y[found[0][1]].sum() / y[rows].sum()
    return Problem(M, y, base, [category for category, _ in found])


def cells(records: int, n_cells: int = 200) -> Problem:
    """Return nine measures in each of 200 cells, some negative, some of few records."""
    rng = np.random.default_rng(0)
    cell = np.sort(rng.integers(n_cells, size=records))
    money = [np.exp(rng.normal(10, s, records)).round() for s in (0.6, 0.9)]
    money.append(rng.normal(2000, 6000, records).round() * (rng.random(records) < 0.05))
    marks = [(rng.random(records) < share).astype(float) for share in (1.0, 0.004, 0.25, 0.4, 0.02, 0.004)]
    rows, columns, values = [], [], []
    for i, x in enumerate(money + marks):
        on = np.flatnonzero(x)
        rows.append(cell[on] * 9 + i)
        columns.append(on)
        values.append(x[on])
    triplets = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    M = sparse.coo_array(triplets, shape=(n_cells * 9, records)).tocsr()
    base = np.round(rng.lognormal(2.6, 0.8, records)).clip(1)
    return Problem(M, M @ (base * rng.lognormal(0, 0.1, records)), base)


def scattered(records: int) -> Problem:
    """Return 500 targets, 5 % dense."""
    rng = np.random.default_rng(0)
    M = sparse.random_array((500, records), density=0.05, random_state=rng, format="csr")
    base = rng.lognormal(3, 0.5, records)
    return Problem(M, M @ (base * rng.lognormal(0, 0.2, records)), base)


class Case(NamedTuple):
    """How a problem is made, at its size and at the size that warms up, and the distance."""

    text: str
    make: Callable[[int], Problem]
    records: int
    warm: int
    distance: str


CASES = {
    "margins-10k": Case("40 margins", lambda n: margins(n, 40), 10_000, 10_000, "raking"),
    "cells-linear": Case("1,800 targets in cells", cells, 100_000, 50_000, "chi-square"),
    "cells-raking": Case("1,800 targets in cells", cells, 100_000, 50_000, "raking"),
    "scattered": Case("500 targets, 5 % dense", scattered, 300_000, 5_000, "chi-square"),
    "margins-1m": Case("60 margins", lambda n: margins(n, 60), 1_000_000, 200_000, "raking"),
}


def calibrated(problem: Problem, distance: str) -> Any:
    """Return the weights that this package finds; g-weights have no bounds."""
    import l0np

    bounds = (None, None)
    return l0np.calibrate(
        problem.M, problem.y, base_weights=problem.base, distance=distance, bounds=bounds
    ).weights


PROGRAMS = {"l0np": calibrated} | RIVALS


def reset_peak() -> bool:
    """Let the peak memory of this process start anew; return whether the system can do that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_kilobytes() -> int:
    """Return the peak memory of this process since it was reset, or ever."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(name: str, program: str) -> dict[str, Any]:
    """Calibrate in this process; return user seconds, peak memory and the worst relative error."""
    case, run = CASES[name], PROGRAMS[program]
    problem = case.make(case.records)
    run(case.make(case.warm), case.distance)
    reset_peak()
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    weights = run(problem, case.distance)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    peak = peak_kilobytes()
    worst = float((np.abs(problem.M @ weights - problem.y) / np.maximum(np.abs(problem.y), 1)).max())
    return {
        "user": after.ru_utime - before.ru_utime,
        "seconds": seconds,
        "gigabytes": peak / 1e6,
        "worst": worst,
    }


def page(found: dict[str, Any]) -> str:
    """Return calibration.md."""
    programs = [p for p in PROGRAMS if any(p in rows for rows in found["problems"].values())]
    sections = ["# Calibration without selection, beside other programs"]
    for name, rows in found["problems"].items():
        case = CASES[name]
        lines = ["| program | user s | seconds | worst error | peak GB | runs |", "|---" + "|--:" * 5 + "|"]
        for program in sorted(rows, key=lambda program: rows[program].get("user", np.inf)):
            row = rows[program]
            if "failed" in row:
                lines.append(f"| {program} | {row['failed']} | | | | |")
                continue
            cells = f"{row['user']:.3g}", f"{row['seconds']:.3g}", f"{row['worst']:.1g}"
            lines.append(f"| {program} | {' | '.join(cells)} | {row['gigabytes']:.2f} | {row['runs']} |")
        sections += [f"## {case.records:,} records, {case.text}, {case.distance}", "\n".join(lines)]
    notes = (
        f"{found['machine']}. `python benchmarks/calibration.py`. User seconds of one thread, medians of "
        "runs that alternate between the programs; a process is warmed up by a small problem. Tolerances of "
        f"the other programs are {TOLERANCE:g} where they can be set. Peak memory is that of the call, "
        "problem and imports included. The machine did other work at the same time, which makes seconds "
        "and, less so, user seconds longer."
    )
    missing = [p for p in RIVALS if p not in programs]
    if missing:
        notes += f" Not measured, because no environment was given: {', '.join(missing)}."
    notes += " R was not available: its survey package is not measured."
    return "\n\n".join([*sections, paragraph(notes)]) + "\n"


def one_run(python: str, name: str, program: str, patience: float) -> dict[str, Any]:
    """Measure in a process of its own; what keeps it from an answer is under "failed"."""
    command = [python, __file__, name, "--one", program]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | ONE_THREAD, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"> {patience:.0f}"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:100]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def is_not_its_kind(run: dict[str, Any]) -> bool:
    """Return whether a program does not solve such problems."""
    return "NotImplementedError" in run.get("failed", "")


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of several runs and their number, or why there are none."""
    good = [run for run in runs if "failed" not in run]
    if not good:
        return runs[-1]
    return {field: statistics.median(run[field] for run in good) for field in good[0]} | {"runs": len(good)}


def main() -> None:
    """Measure the problems that are named, keep the results of the others, write JSON and Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="PROBLEM", help=f"{', '.join(CASES)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rival", action="append", default=[], metavar="PACKAGE=PYTHON")
    parser.add_argument("--patience", type=float, default=150.0, help="seconds for a process")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(CASES)
    if unknown:
        parser.error(f"unknown problem {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    if arguments.one:
        print(json.dumps(measure(*arguments.names, arguments.one)))
        return
    pythons = {"l0np": sys.executable} | dict(given.split("=", 1) for given in arguments.rival)
    path = HERE / "results" / "calibration.json"
    earlier = json.loads(path.read_text())["problems"] if path.exists() else {}
    for name in arguments.names or CASES:
        runs: dict[str, list[dict[str, Any]]] = {program: [] for program in PROGRAMS if program in pythons}
        for _ in range(arguments.rounds):
            for program, done in runs.items():
                if done and ("failed" in done[-1] or done[-1]["seconds"] > arguments.patience / 5):
                    continue
                done.append(one_run(pythons[program], name, program, arguments.patience))
                print(name, program, done[-1], file=sys.stderr, flush=True)
        earlier[name] = {p: median(done) for p, done in runs.items() if not is_not_its_kind(done[-1])}
    problems = {name: earlier[name] for name in CASES if name in earlier}
    found = {"machine": machine(), "problems": problems}
    path.write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "results" / "calibration.md").write_text(page(found))


if __name__ == "__main__":
    main()
