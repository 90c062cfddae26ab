"""Compare methods of selecting k records, each with the same refit: errors, effective sample size, time.

    python benchmarks/selection.py [PROBLEM ...] [--rival-python PYTHON]

PROBLEM is nhanes, schools, stress, national, persons, districts, at_odds, insurance (which needs statsmodels)
or dense (3 GB); all by default. Problems that are not named keep their earlier results, as do those of
l0-python where it does not take part. PYTHON is that of an environment with l0-python and PyTorch: l0-python
then takes part, its lambda found by bisection so that about k records are left. All selections get the same
refit; a record whose weight the refit puts at its lower bound is counted as such. Writes
benchmarks/results/selection.json and selection.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pages import machine, paragraph
from scipy import sparse
from scipy.optimize import nnls
from selection_problems import BOUNDS, PROBLEMS, Problem

import l0np
from l0np.sampling import inclusion_probabilities  # no public name gives them for a selection made elsewhere

HERE = Path(__file__).parent
ORIGINAL = """
import json, sys, time
import numpy as np, scipy.sparse as sp
from l0.calibration import SparseCalibrationWeights
folder, k, epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
M, y, base = sp.load_npz(folder + "/M.npz").tocsr(), np.load(folder + "/y.npy"), np.load(folder + "/base.npy")
low, high, best, runs, start = -9.0, 2.0, None, 0, time.process_time()
while runs < int(sys.argv[5]):
    exponent, runs = (low + high) / 2, runs + 1
    model = SparseCalibrationWeights(
        n_features=M.shape[1], beta=0.35, init_keep_prob=0.9, init_weights=base, seed=seed
    )
    options = dict(lambda_l0=10.0**exponent, lr=0.1, epochs=epochs, loss_type="relative", verbose=False)
    model.fit(M, y, **options)
    active = model.get_active_weights()
    count = int(active["count"])
    if count and (best is None or abs(count - k) < abs(best["count"] - k)):
        best = {"count": count, "indices": active["indices"].tolist(), "lambda": 10.0**exponent}
    if abs(count - k) <= max(1, k // 100):
        break
    low, high = (exponent, high) if count > k else (low, exponent)
print(json.dumps(best | {"seconds": time.process_time() - start, "runs": runs}))
"""


LARGE = ("persons", "districts", "at_odds", "dense")  # l0np's default method alone


def at_random(problem: Problem, k: int, seed: int) -> Any:
    """Select with probabilities in proportion to the base weights."""
    rng, base = np.random.default_rng(seed), problem.base
    return np.sort(rng.choice(len(base), k, replace=False, p=base / base.sum()))


def stratified(problem: Problem, k: int, seed: int) -> Any:
    """Select systematically, in proportion to the base weights, within strata of the same rarest target."""
    rng, base = np.random.default_rng(seed), problem.base
    indices, indptr = problem.M.indices, problem.M.indptr
    lengths = np.bincount(indices, minlength=problem.M.shape[0])
    stratum = np.array([
        lengths[rows].min() * len(lengths) + rows[lengths[rows].argmin()] if len(rows) else -1
        for rows in np.split(indices, indptr[1:-1])
    ])  # fmt: skip
    order = np.lexsort((rng.random(len(stratum)), stratum))
    size = np.minimum(k * base[order] / base.sum(), 1.0)
    ends = np.cumsum(size) * (k / size.sum())
    found = np.searchsorted(ends, np.arange(k) + rng.random()).clip(0, len(stratum) - 1)
    return np.sort(order[np.unique(found)])


def pursuit(problem: Problem, k: int) -> Any:
    """Select by non-negative orthogonal matching pursuit (Bruckstein, Elad and Zibulevsky 2008)."""
    scale = np.maximum(np.abs(problem.y), 1.0)
    rows, target = problem.M.to_scipy().toarray() / scale[:, None], problem.y / scale
    norms = np.linalg.norm(rows, axis=0)
    norms[norms == 0] = np.inf
    selected: list[int] = []
    residual = target
    for _ in range(k):
        correlation = rows.T @ residual / norms
        correlation[selected] = -np.inf
        selected.append(int(correlation.argmax()))
        weights, _ = nnls(rows[:, selected], target, maxiter=30 * len(selected) + 100)
        residual = target - rows[:, selected] @ weights
    return np.sort(selected)


def scaled_up(problem: Problem, indices: Any) -> Any:
    """Return reference weights: the base weights of the selected, times one factor that keeps the total."""
    base = problem.base
    return base[indices] * (base.sum() / base[indices].sum())


def by_inclusion(problem: Problem, indices: Any) -> Any:
    """Return reference weights as `calibrate` makes them: calibrated weight over inclusion probability."""
    weights = l0np.calibrate(problem.M, problem.y, base_weights=problem.base, bounds=BOUNDS).weights
    parts = abs(problem.M.to_scipy().toarray()) * weights
    fractions = (parts / parts.sum(axis=1, keepdims=True)).max(axis=0)  # the largest of any one total
    return weights[indices] / inclusion_probabilities(weights, fractions, len(indices))[indices]


def measure(answer: Any, method: str, seconds: float, k: int) -> dict[str, Any]:
    """Return a row of the table."""
    errors = np.abs(answer.targets.relative_error)
    plus_one = np.abs(answer.targets.estimate - answer.targets.target) / np.abs(answer.targets.target + 1)
    at_bound = answer.selected_weights <= 1.001 * BOUNDS[0] * answer.reference_weights
    return {
        "method": method, "count": len(answer.indices), "mean": errors.mean(), "worst": errors.max(),
        "mean_y_plus_1": plus_one.mean(), "ess": answer.diagnostics.effective_sample_size / k,
        "lost": int(at_bound.sum()), "seconds": seconds, "missed": len(answer.missed),
        "sum": float((errors**2).mean() + 1 / answer.diagnostics.effective_sample_size),
    }  # fmt: skip


def run(name: str, rival: str | None) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (k, way, row) for one problem."""
    make, sizes, seeds = PROBLEMS[name]
    problem = make()
    M, y, base = problem
    methods = ("auto", "thinned", "balanced", "gates") if M.nnz < 10**6 else ("auto", "thinned", "balanced")
    if name in LARGE:
        methods = ("auto",)
    if name == "schools":
        l0np.calibrate(M, y, sizes[-1], base, seed=0)  # loads what is loaded once
    rivals = {} if name in LARGE else {"random": at_random, "stratified": stratified}
    for k in sizes:
        for seed in seeds:
            for method in methods + (("spread 0", "exchange") if name == "schools" and k <= 70 else ()):
                if seed > (0 if method == "gates" else 2) and method not in ("auto", "spread 0"):
                    continue
                given: Any = {"spread": 0.0} if method == "spread 0" else {"method": method}
                start = time.process_time()
                answer = l0np.calibrate(M, y, k, base, bounds=BOUNDS, seed=seed, **given)
                seconds = time.process_time() - start
                yield k, f"ours, {method}", measure(answer, answer.method, seconds, k)
            for way, select in rivals.items() if seed <= 2 else ():
                start = time.process_time()
                indices = select(problem, k, seed)
                answer = problem.refit(indices, scaled_up(problem, indices))
                yield k, way, measure(answer, way, time.process_time() - start, k)
            if name == "schools" and k <= 100 and seed == 0:
                start = time.process_time()
                indices = pursuit(problem, k)
                answer = problem.refit(indices, by_inclusion(problem, indices))
                yield k, "pursuit", measure(answer, "pursuit", time.process_time() - start, k)
        if rival and name not in LARGE and (name != "schools" or k in (100, 231, 771)):
            yield k, "original, tuned", original(rival, problem, k)


def original(rival: str, problem: Problem, k: int) -> dict[str, Any]:
    """Tune the lambda of l0-python to k in a process of its own, and refit the records that are left."""
    with tempfile.TemporaryDirectory() as folder:
        sparse.save_npz(folder + "/M.npz", problem.M.to_scipy().tocsr().astype(np.float64))
        np.save(folder + "/y.npy", problem.y)
        np.save(folder + "/base.npy", problem.base)
        epochs, runs = (1500, 12) if problem.M.nnz < 10**6 else (300, 6)
        arguments = [folder, str(k), str(epochs), "0", str(runs)]
        done = subprocess.run([rival, "-c", ORIGINAL, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
    best = json.loads(done.stdout.strip().splitlines()[-1])
    indices = np.array(best["indices"])
    answer = problem.refit(indices, scaled_up(problem, indices))
    return measure(answer, "original", best["seconds"], len(indices))


FIRST = "ours, spread 0"  # targets first
OWN = ("ours, exchange", "ours, balanced", "ours, gates")
NAMES = {"ours, auto": "l0np, auto", "ours, balanced": "l0np, balanced", "ours, gates": "l0np, gates",
         "ours, thinned": "l0np, thinned", "ours, exchange": "l0np, exchange",
         "ours, spread 0": "l0np, spread=0",
         "original, tuned": "l0-python, tuned", "original": "l0-python"}  # fmt: skip
ROUNDING = 1e-12  # errors below it are rounding errors
ABOUT = (
    "Schools: 6,194 Californian schools, 68 targets, base weights 1. Nhanes: 10,337 persons of NHANES II "
    "with their final weights, 75 targets. Stress: 20,000 records, 2,000 targets, 10 % dense, base weights "
    "1. National: 100,000 records, 40 districts in 9 states, 2,000 targets, lognormal base weights. Persons: "
    "100,000 records in 200 cells, 1,800 targets, some of them 0. Districts: 100,000 records, 436 districts "
    "in 51 states, 8,784 targets, lognormal base weights. At_odds: the same with targets that contradict "
    "each other by 3 %. Dense: 50,000 records, 5,000 dense lognormal targets. These four have the default "
    "method and one seed. Insurance: 20,190 years of persons of the RAND Health Insurance Experiment, 330 "
    "targets, 69 of them 0 and 8 of two records, base weights that vary more than tenfold. "
    "The default method has ten seeds for the schools and three elsewhere; the others have three, but "
    "l0-python, gates and pursuit one.",
    'l0np: `calibrate` with its default method, "auto", and with `method=` (the first row of gates includes '
    "compilation). Random: with probabilities in proportion to the base weights. Stratified: "
    "systematically, in the same proportion, within strata of the same rarest target. Pursuit: "
    "non-negative orthogonal matching pursuit. l0-python: its gates, with lambda tuned until about k "
    "records are left. Errors are relative to max(|y|, 1); rounding: below 1e-12.",
)


def named(name: str) -> str:
    """Return how the page calls a method of selection.json."""
    return NAMES.get(name, name)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table: means over seeds."""
    lines = [
        "| problem | k | method | selected by | records | mean error | worst error | ESS / k "
        "| missed | sum | at bound | seconds |",
        "|---|" + "--:|---" + "|---" + "|--:" * 8 + "|",
    ]
    keys = list(dict.fromkeys((row["problem"], row["k"], row["way"]) for row in rows))
    for problem, k, way in keys:
        group = [row for row in rows if (row["problem"], row["k"], row["way"]) == (problem, k, way)]
        mean = {
            name: np.mean([row[name] for row in group])
            for name in ("count", "mean", "ess", "lost", "seconds")
        }
        worst = max(row["worst"] for row in group)
        missed, total = (  # not in figures of before
            f"{np.mean([row[name] for row in group]):{form}}" if all(name in row for row in group) else "-"
            for name, form in (("missed", ".1f"), ("sum", ".3g"))
        )
        by = ", ".join(sorted({named(row["method"]) for row in group}))
        lines.append(
            f"| {problem} | {k} | {named(way)} | {by} | {mean['count']:.0f} | {mean['mean']:.4g} | "
            f"{worst:.2g} | {mean['ess']:.3f} | {missed} | {total} | {mean['lost']:.1f} | "
            f"{mean['seconds']:.2g} |"
        )
    return "\n".join(lines)


def means(rows: list[dict[str, Any]], problem: str, k: int) -> dict[str, dict[str, float]]:
    """Return the means over seeds of each method for one problem and size."""
    of_size = [row for row in rows if (row["problem"], row["k"]) == (problem, k)]
    fields = ("count", "mean", "mean_y_plus_1", "worst", "ess", "lost", "seconds", "sum")
    return {
        way: {
            name: float(np.mean([row.get(name, np.nan) for row in of_size if row["way"] == way]))
            for name in fields
        }
        for way in dict.fromkeys(row["way"] for row in of_size)
    }


def verdicts(rows: list[dict[str, Any]]) -> str:
    """Return, for each problem and size, whether the default method is best in error and in sample size."""
    lines = [
        "## Is the default method best?",
        "",
        "Each cell: the default; the best of the others, l0np's own methods aside.",
        "",
        "| problem | k | mean error | effective sample size / k |",
        "|---|--:|---|---|",
    ]
    for problem, k in dict.fromkeys((row["problem"], row["k"]) for row in rows):
        found = means(rows, problem, k)
        ours = found.pop("ours, auto")
        rivals = {way: figures for way, figures in found.items() if not way.startswith("ours")}
        if not rivals:
            continue
        closest = min(rivals, key=lambda way: rivals[way]["mean"])
        evenest = max(rivals, key=lambda way: rivals[way]["ess"])
        error, least = ours["mean"], rivals[closest]["mean"]
        first = max(error, ROUNDING) <= 1.001 * max(least, ROUNDING)
        even = ours["ess"] >= rivals[evenest]["ess"] - 0.0005
        figures = "rounding; rounding"
        if max(error, least) > ROUNDING:
            figures = f"{error:.2g}; {named(closest)} {least:.2g}"
        lines.append(
            f"| {problem} | {k} | {'yes' if first else '**no**'}: {figures} | {'yes' if even else '**no**'}: "
            f"{ours['ess']:.3f}; {named(evenest)} {rivals[evenest]['ess']:.3f} |"
        )
    return "\n".join(lines)


PURSUIT = {
    60: 0.0074,
    40: 0.234,
    20: 0.535,
    10: 0.704,
}  # goals: errors of pursuit, measured before, over |y + 1|
EVENNESS = {66: 0.44, 70: 0.5, 80: 0.65, 100: 0.78, 231: 0.95, 771: 0.996}  # goals: effective size / k


def goals(rows: list[dict[str, Any]]) -> str:
    """Return which goals for the schools are met."""
    schools = [row for row in rows if row["problem"] == "schools" and row["way"] == "ours, auto"]
    sizes = dict.fromkeys(row["k"] for row in schools)
    exact = all(row["count"] == row["k"] for row in schools)
    found = [(f"exactly k records, {len(schools)} runs", exact, "")]
    for k, least in EVENNESS.items():
        of_size = [row for row in schools if row["k"] == k]
        if k == 66:
            of_size = [row for row in rows if (row["problem"], row["k"], row["way"]) == ("schools", k, FIRST)]
        worst, missed = max(row["worst"] for row in of_size), sum(row["missed"] for row in of_size)
        ess = float(np.mean([row["ess"] for row in of_size]))
        found.append((f"k = {k}: no target missed in any run", missed == 0, f"{worst:.1g}"))
        found.append((f"k = {k}: effective sample size / k >= {least}", ess >= least, f"{ess:.3f}"))
    differences = []
    for k, goal in PURSUIT.items():
        of_size = means(rows, "schools", k)
        ours, rival = of_size[FIRST], of_size["pursuit"]
        differences.append(rival["mean"] - ours["mean"])
        figures = (
            f"{ours['mean_y_plus_1']:.4f} of abs(y + 1), goal {goal}; "
            f"{ours['mean']:.4f} of max(abs(y), 1), pursuit {rival['mean']:.4f}"
        )
        met = ours["mean"] <= rival["mean"] * (1 + 1e-9) and ours["mean_y_plus_1"] <= goal + 0.0005
        goal_text = "mean error with spread=0 not above that of pursuit (the goal is rounded)"
        found.append((f"k = {k}: {goal_text}", met, figures))
        ours, others = of_size["ours, auto"]["sum"], [of_size[way]["sum"] for way in OWN if way in of_size]
        found.append(
            (
                f"k = {k}: sum of the default not above that of exchange, balanced or gates",
                ours <= min(others) * (1 + 1e-9),
                f"{ours:.4f}, best of the others {min(others):.4f}",
            )
        )
    gain = float(np.mean(differences))
    found.append(
        (
            "k = 60, 40, 20, 10: mean error with spread=0 below that of pursuit, on average",
            gain > 0,
            f"by {gain:.4f}",
        )
    )
    seconds = float(np.median([row["seconds"] for row in schools if row["k"] == 231]))
    found.append(("k = 231: selection and refit within 1 s (median)", seconds <= 1.0, f"{seconds:.2f} s"))
    lines = [
        "## Goals for the schools",
        "",
        "k is " + ", ".join(map(str, sizes)) + ".",
        "",
        "| goal | | measured |",
        "|---|---|---|",
    ]
    lines += [f"| {goal} | {'met' if met else '**missed**'} | {figures} |" for goal, met, figures in found]
    return "\n".join(lines)


def page(rows: list[dict[str, Any]], measured_on: str) -> str:
    """Return the whole of selection.md."""
    note = (
        f"{measured_on}. `python benchmarks/selection.py --rival-python PYTHON`. Means over the seeds; the "
        "worst error is that of all runs. ESS: effective sample size (Kish). Sum: mean squared relative "
        "error + 1 / ESS. At bound: weights that the refit put at 0.05 of their reference. Seconds are "
        "processor time, all cores together. Those of "
        "l0-python are the time of all its runs until lambda leaves about k records: at most 12 of 1,500 "
        "epochs, for stress and national 6 of 300."
    )
    if any(row.get("with_full_calibration") for row in rows):
        note += (
            " Those of random and stratified include a calibration of all records, which the two do not "
            "need; the script no longer includes it."
        )
    sections = [
        "# Selecting k records: methods compared, each with the same refit",
        *(paragraph(t) for t in ABOUT),
    ]
    sections.append(verdicts(rows))
    if any(row["problem"] == "schools" for row in rows):
        sections.append(goals(rows))
    return "\n\n".join([*sections, "## All figures", table(rows), paragraph(note)]) + "\n"


def main() -> None:
    """Measure the problems that are named, keep the results of the others, write JSON and Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "problems", nargs="*", metavar="PROBLEM", help=f"{', '.join(PROBLEMS)}; all by default"
    )
    parser.add_argument(
        "--rival-python", metavar="PYTHON", help="of an environment with l0-python and PyTorch"
    )
    options = parser.parse_args()
    unknown = set(options.problems) - set(PROBLEMS)
    if unknown:
        parser.error(f"unknown problem {', '.join(sorted(unknown))}; there are {', '.join(PROBLEMS)}")
    names = options.problems or list(PROBLEMS)
    path = HERE / "results" / "selection.json"
    earlier = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = earlier
    for name in names:
        measured = []
        for k, way, row in run(name, options.rival_python):
            measured.append({"problem": name, "k": k, "way": way} | row)
            print(measured[-1], file=sys.stderr, flush=True)
        if not options.rival_python:
            measured += [row for row in earlier if (row["problem"], row["way"]) == (name, "original, tuned")]
        rows = [row for row in rows if row["problem"] != name] + measured
        path.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1, default=float) + "\n")
        (HERE / "results" / "selection.md").write_text(page(rows, machine()))


if __name__ == "__main__":
    main()
