"""Measure calibration without selection, `l0np.calibrate(M, y, base_weights=base)`, beside other programs.

    python benchmarks/calibration.py [PROBLEM ...] [--rounds 3] [--rival-python PATH]

Each measurement is a process of its own, on one thread; user seconds and peak memory are reported, medians
over the rounds. A process calibrates a small problem of the same kind first, so that imports and compiled
kernels do not count. `--rival-python` is the Python of an environment in which ipfn is installed; without it,
or without the package, that rival is left out, and the page says so. Writes
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
    M = sparse.random_array((500, records), density=0.05, rng=rng, format="csr")
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
RIVALS = ("ipfn",)


def calibrated(problem: Problem, distance: str) -> Any:
    """Return the weights that this package finds; g-weights have no bounds."""
    import l0np

    bounds = (None, None)
    return l0np.calibrate(
        problem.M, problem.y, base_weights=problem.base, distance=distance, bounds=bounds
    ).weights


def fitted_by_ipfn(problem: Problem, distance: str) -> Any:
    """Return the weights of iterative proportional fitting, for margins only."""
    import pandas as pd
    from ipfn import ipfn

    if distance != "raking" or problem.categories is None:
        raise NotImplementedError("ipfn fits margins only")
    names = [f"v{i}" for i in range(len(problem.categories))]
    frame = pd.DataFrame(dict(zip(names, problem.categories, strict=True))).assign(total=problem.base)
    targets, start = [], 0
    for name, category in zip(names, problem.categories, strict=True):
        size = int(category.max()) + 1
        index = pd.Index(range(size), name=name)
        targets.append(pd.Series(problem.y[start : start + size], index, name="total"))
        start += size
    dimensions = [[name] for name in names]
    return ipfn.ipfn(frame, targets, dimensions, convergence_rate=1e-8).iteration()["total"].to_numpy()


PROGRAMS = {"l0np": calibrated, "ipfn": fitted_by_ipfn}


def measure(name: str, program: str) -> dict[str, Any]:
    """Calibrate in this process; return user seconds, peak memory and the worst relative error."""
    case, run = CASES[name], PROGRAMS[program]
    problem = case.make(case.records)
    run(case.make(case.warm), case.distance)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    weights = run(problem, case.distance)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    worst = float((np.abs(problem.M @ weights - problem.y) / np.maximum(np.abs(problem.y), 1)).max())
    return {
        "user": after.ru_utime - before.ru_utime,
        "seconds": seconds,
        "gigabytes": after.ru_maxrss / 1e6,
        "gigabytes_before": before.ru_maxrss / 1e6,
        "worst": worst,
    }


def counted(rounds: int) -> str:
    """Return how many processes there were."""
    return f"{rounds} process{'es' * (rounds != 1)}"


def page(found: dict[str, Any]) -> str:
    """Return calibration.md."""
    programs = [p for p in PROGRAMS if any(p in rows for rows in found["problems"].values())]
    lines = [
        "| problem | distance |" + "".join(f" {p}, user s | {p}, worst error | {p}, GB |" for p in programs),
        "|---|---" + "|--:" * 3 * len(programs) + "|",
    ]
    for name, rows in found["problems"].items():
        case, cells = CASES[name], []
        for program in programs:
            row = rows.get(program)
            cells += (
                [f"{row['user']:.3g}", f"{row['worst']:.1g}", f"{row['gigabytes']:.2f}"] if row else ["-"] * 3
            )
        lines.append(f"| {case.records:,} records, {case.text} | {case.distance} | {' | '.join(cells)} |")
    notes = (
        f"{found['machine']}. `python benchmarks/calibration.py`. User seconds of one thread, medians of "
        f"{counted(found['rounds'])}, each warmed up by a small problem. Peak memory includes the problem "
        "and the imports. The machine did other work too, which makes user seconds longer."
    )
    missing = [p for p in RIVALS if p not in programs]
    if missing:
        notes += f" Not measured, because not installed: {', '.join(missing)}."
    title = "# Calibration without selection, beside other programs"
    return "\n\n".join([title, "\n".join(lines), paragraph(notes)]) + "\n"


def main() -> None:
    """Measure the problems that are named, keep the results of the others, write JSON and Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="PROBLEM", help=f"{', '.join(CASES)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rival-python", help="Python of an environment with ipfn")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(CASES)
    if unknown:
        parser.error(f"unknown problem {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    if arguments.one:
        print(json.dumps(measure(*arguments.names, arguments.one)))
        return
    path = HERE / "results" / "calibration.json"
    earlier = json.loads(path.read_text())["problems"] if path.exists() else {}
    for name in arguments.names or CASES:
        for program in PROGRAMS:
            python = arguments.rival_python if program in RIVALS else sys.executable
            if python is None:
                continue
            runs = []
            for _ in range(arguments.rounds):
                command = [python, __file__, name, "--one", program]
                done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ONE_THREAD)
                if done.returncode:
                    print(f"{name}: {program} left out: {done.stderr.splitlines()[-1]}", file=sys.stderr)
                    break
                runs.append(json.loads(done.stdout.splitlines()[-1]))
            if runs:
                medians = {field: statistics.median(run[field] for run in runs) for field in runs[0]}
                earlier.setdefault(name, {})[program] = medians
                print(name, program, medians, file=sys.stderr, flush=True)
    problems = {name: earlier[name] for name in CASES if name in earlier}
    found = {"machine": machine(), "rounds": arguments.rounds, "problems": problems}
    path.write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "results" / "calibration.md").write_text(page(found))


if __name__ == "__main__":
    main()
