"""Compare ways to select k records, each followed by the same refit: error, effective sample size, time.

    python benchmarks/selection.py [nhanes] [schools] [stress] [national] [--rival-python PYTHON]

Writes benchmarks/results/selection.json and selection.md. With --rival-python (an environment with l0-python and PyTorch) the
original takes part, its lambda tuned by bisection to the same count. Its gates are refitted as ours are; records whose weight
it has lost count as such.
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import problems

import l0np
from l0np.refit.refit import DEFAULT_BOUNDS
from l0np.selection.api import Study
from l0np.selection.pursuit import pursue

HERE = Path(__file__).parent
SEEDS = range(10)
ORIGINAL = """
import json, sys, time
import numpy as np, scipy.sparse as sp
from l0.calibration import SparseCalibrationWeights
folder, k, epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
M, y, base = sp.load_npz(folder + "/M.npz").tocsr(), np.load(folder + "/y.npy"), np.load(folder + "/base.npy")
low, high, best, runs, start = -9.0, 2.0, None, 0, time.process_time()
while runs < int(sys.argv[5]):
    price, runs = (low + high) / 2, runs + 1
    model = SparseCalibrationWeights(n_features=M.shape[1], beta=0.35, init_keep_prob=0.9, init_weights=base, seed=seed)
    model.fit(M, y, lambda_l0=10.0**price, lr=0.1, epochs=epochs, loss_type="relative", verbose=False)
    active = model.get_active_weights()
    count = int(active["count"])
    if count and (best is None or abs(count - k) < abs(best["count"] - k)):
        best = {"count": count, "indices": active["indices"].tolist(), "lambda": 10.0**price}
    if abs(count - k) <= max(1, k // 100):
        break
    low, high = (price, high) if count > k else (low, price)
print(json.dumps(best | {"seconds": time.process_time() - start, "runs": runs}))
"""


def schools() -> Any:
    """68 targets of 6,194 Californian schools, base weights 1."""
    with (HERE.parent / "examples" / "apipop.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    labels = [values[name] == level for name in ("stype", "sch_wide", "comp_imp", "cname") for level in np.unique(values[name])]
    M = np.array([*labels, *(values[name].astype(float) for name in ("api99", "api00", "meals", "api_stu"))], dtype=float)
    return l0np.ColumnMatrix.build(M, "float64"), M.sum(axis=1), np.ones(M.shape[1])


def stress() -> Any:
    """The stress example: 2,000 targets, 20,000 records, 10 % dense; base weights 1."""
    case = problems.stress()
    return l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape), case.y, np.ones(case.shape[1])


def national() -> Any:
    """100,000 records of 40 districts in 9 states, 2,000 targets; lognormal base weights, targets off by a few per cent."""
    problems.DISTRICTS, problems.STATES, problems.AREAS = 40, 9, 50
    case = problems.national(100_000)
    M = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape)
    rng = np.random.default_rng(5)
    base = rng.lognormal(5, 0.5, size=100_000)
    return M, M.to_scipy().astype(float) @ (base * rng.lognormal(0, 0.2, size=100_000)), base


def nhanes() -> Any:
    """10,337 persons of NHANES II with final weights from 2,000 to 79,634; 75 targets, off by up to 7 per cent.

    The targets are totals under weights that differ from the final ones at random: persons by region and race, by region and
    sampling unit and by stratum, cases of high blood pressure and diabetes by region, and sums of zinc by region.
    """
    with (HERE / "data" / "nhanes2.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {name: np.array([float(row[name] or 0) for row in rows]) for name in rows[0]}
    region = [values["region"] == level for level in np.unique(values["region"])]
    race = [values["race"] == level for level in np.unique(values["race"])]
    unit = [values["psuid"] == level for level in np.unique(values["psuid"])]
    stratum = [values["stratid"] == level for level in np.unique(values["stratid"])]
    amounts = [values[name] for name in ("highbp", "diabetes", "zinc")]
    crossed = [one * other for one in region for other in (*race, *unit, *amounts)]
    M = np.array([*region, *race, *unit, *stratum, *crossed, *amounts], dtype=float)
    base = values["finalwgt"]
    y = M @ (base * np.random.default_rng(6).lognormal(0, 0.2, size=len(base)))
    return l0np.ColumnMatrix.build(M, "float64"), y, base


PROBLEMS = {
    "nhanes": (nhanes, (40, 150, 500), range(3)),
    "schools": (schools, (10, 20, 40, 60, 65, 100, 231, 771), SEEDS),
    "stress": (stress, (1000, 3000, 6000), range(3)),
    "national": (national, (1500, 4000, 10000), range(3)),
}


def pursuit(study: Any, k: int) -> Any:
    """Non-negative orthogonal matching pursuit (Bruckstein et al. 2008), the rival below the rank: ours without exchanges."""
    scale = study.targets.error_scale
    return pursue(study.matrix.to_scipy().toarray() / scale[:, None], study.targets.value / scale, k)


def at_random(study: Any, k: int, seed: int) -> Any:
    """Probability in proportion to the base weight."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(len(study.base), k, replace=False, p=study.base / study.base.sum()))


def stratified(study: Any, k: int, seed: int) -> Any:
    """Systematic sampling in proportion to base weights within strata of records with the same rarest target."""
    rng = np.random.default_rng(seed)
    lengths = np.bincount(study.matrix.indices, minlength=study.matrix.shape[0])
    home = np.array([lengths[rows].min() * len(lengths) + rows[lengths[rows].argmin()] if len(rows) else -1
                     for rows in np.split(study.matrix.indices, study.matrix.indptr[1:-1])])  # fmt: skip
    order = np.lexsort((rng.random(len(home)), home))
    size = np.minimum(k * study.base[order] / study.base.sum(), 1.0)
    ends = np.cumsum(size) * (k / size.sum())
    return np.sort(order[np.unique(np.searchsorted(ends, np.arange(k) + rng.random()).clip(0, len(home) - 1))])


def measure(answer: Any, seconds: float, k: int) -> dict[str, Any]:
    """Return a row of the table."""
    errors, found = np.abs(answer.targets.relative_error), answer.diagnostics
    plus_one = np.abs(answer.targets.estimate - answer.targets.target) / np.abs(answer.targets.target + 1)
    return {
        "method": answer.method, "count": len(answer.indices), "mean": errors.mean(), "worst": errors.max(),
        "mean_y_plus_1": plus_one.mean(), "ess": found.effective_sample_size / k,
        "lost": int((answer.selected_weights <= 1.001 * DEFAULT_BOUNDS[0] * answer.reference_weights).sum()),
        "seconds": seconds,
    }  # fmt: skip


def run(name: str, rival: str | None) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (k, way, row) for one problem."""
    make, sizes, seeds = PROBLEMS[name]
    M, y, base = make()
    ways = ("auto", "balanced", "gates") if M.nnz < 10**6 else ("auto", "balanced")
    l0np.calibrate(M, y, sizes[-1], base, seed=0) if name == "schools" else None  # loads what is loaded once
    for k in sizes:
        for seed in seeds:
            for way in ways:
                if seed > (0 if way == "gates" else 2) and way != "auto":
                    continue
                start = time.process_time()
                answer = l0np.calibrate(M, y, k, base, method=way, seed=seed)
                yield k, f"ours, {way}", measure(answer, time.process_time() - start, k)
            if seed > 2:
                continue
            start = time.process_time()
            study = Study.checked(M, y, base, "chi-square", DEFAULT_BOUNDS, None, "cpu", seed, {}).calibrate_all()
            shared = time.process_time() - start
            rivals = {"random": at_random, "stratified": stratified}
            if name == "schools" and k <= 100 and seed == 0:
                rivals["pursuit"] = lambda study, k, seed: pursuit(study, k)
            for way, select in rivals.items():
                start = time.process_time()
                indices = select(study, k, seed)
                reference = base[indices] * (base.sum() / base[indices].sum())
                if way == "pursuit":
                    answer = study.attempt(indices, k, way)
                else:
                    answer = study.answer(indices, reference, study.refit(indices, reference), way)
                yield k, way, measure(answer, shared + time.process_time() - start, k)
        if rival and (name != "schools" or k in (100, 231, 771)):
            yield k, "original, tuned", original(rival, M, y, base, k, study)


def original(rival: str, M: Any, y: Any, base: Any, k: int, study: Any) -> dict[str, Any]:
    """Tune the original's lambda to k in its own process, and refit what it selects."""
    from scipy import sparse

    with tempfile.TemporaryDirectory() as folder:
        sparse.save_npz(folder + "/M.npz", M.to_scipy().tocsr().astype(np.float64))
        np.save(folder + "/y.npy", y)
        np.save(folder + "/base.npy", base)
        epochs, runs = (1500, 12) if M.nnz < 10**6 else (300, 6)
        arguments = [folder, str(k), str(epochs), "0", str(runs)]
        done = subprocess.run([rival, "-c", ORIGINAL, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
    best = json.loads(done.stdout.strip().splitlines()[-1])
    indices = np.array(best["indices"])
    reference = base[indices] * (base.sum() / base[indices].sum())
    answer = study.answer(indices, reference, study.refit(indices, reference), "original")
    return measure(answer, best["seconds"], len(indices))


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table: means over seeds."""
    lines = [
        "| problem | k | way | chosen by | kept | mean error | worst error | ess / k | at bound | seconds |",
        "|---|" + "--:|---" + "|---" + "|--:" * 6 + "|",
    ]
    keys = list(dict.fromkeys((row["problem"], row["k"], row["way"]) for row in rows))
    for problem, k, way in keys:
        group = [row for row in rows if (row["problem"], row["k"], row["way"]) == (problem, k, way)]
        mean = {name: np.mean([row[name] for row in group]) for name in ("count", "mean", "ess", "lost", "seconds")}
        worst = max(row["worst"] for row in group)
        chosen = ", ".join(sorted({row["method"] for row in group}))
        lines.append(
            f"| {problem} | {k} | {way} | {chosen} | {mean['count']:.0f} | {mean['mean']:.4g} | {worst:.2g} "
            f"| {mean['ess']:.3f} | {mean['lost']:.1f} | {mean['seconds']:.2g} |"
        )
    return "\n".join(lines)


ROUNDING = 1e-12  # errors below it are none
ABOUT = """\
Schools: 6,194 Californian schools, 68 targets, base weights 1, ten seeds. Nhanes: 10,337 persons of NHANES II with their final
weights, 75 targets. Stress: 20,000 records, 2,000 targets, 10 % dense, base weights 1. National: 100,000 records, 40 districts
in 9 states, 2,000 targets, lognormal base weights. Three seeds each; one of the original, and of gates.

Ours: `calibrate` with its default and with `method=` (gates: compilation included in the first of them). Random: in proportion
to the base weights. Stratified: systematically so within strata of the same rarest target. Pursuit: non-negative orthogonal
matching pursuit. Original: the gates of l0-python, its lambda tuned until they keep about k. Errors: relative to max(|y|, 1);
none: below 1e-12."""


def means(rows: list[dict[str, Any]], problem: str, k: int) -> dict[str, dict[str, float]]:
    """Return the means over seeds of each way to choose k records."""
    chosen = [row for row in rows if (row["problem"], row["k"]) == (problem, k)]
    ways = dict.fromkeys(row["way"] for row in chosen)
    fields = ("count", "mean", "mean_y_plus_1", "worst", "ess", "lost", "seconds")
    return {way: {name: float(np.mean([row[name] for row in chosen if row["way"] == way])) for name in fields} for way in ways}


def verdicts(rows: list[dict[str, Any]]) -> str:
    """Say for each problem and size whether the default is first in error and in effective sample size."""
    lines = [
        "## Is the default first?",
        "",
        "| problem | k | in mean error | in effective sample size / k |",
        "|---|--:|---|---|",
    ]
    for problem, k in dict.fromkeys((row["problem"], row["k"]) for row in rows):
        found = means(rows, problem, k)
        ours = found.pop("ours, auto")
        rivals = {way: figures for way, figures in found.items() if not way.startswith("ours")}
        closest, evenest = min(rivals, key=lambda way: rivals[way]["mean"]), max(rivals, key=lambda way: rivals[way]["ess"])
        error, best = ours["mean"], rivals[closest]["mean"]
        first = max(error, ROUNDING) <= 1.001 * max(best, ROUNDING)
        even = ours["ess"] >= rivals[evenest]["ess"] - 0.0005
        told = "none; none" if max(error, best) <= ROUNDING else f"{error:.2g}; {closest} {best:.2g}"
        lines.append(
            f"| {problem} | {k} | {'yes' if first else '**no**'}: {told} "
            f"| {'yes' if even else '**no**'}: {ours['ess']:.3f}; {evenest} {rivals[evenest]['ess']:.3f} |"
        )
    return "\n".join(lines)


PURSUIT = {60: 0.0074, 40: 0.234, 20: 0.535, 10: 0.704}  # measured before, in units of |y + 1|
EVENNESS = {100: 0.75, 231: 0.93, 771: 0.99}  # effective sample size / k aimed at


def aims(rows: list[dict[str, Any]]) -> str:
    """Say which aims for the schools are met."""
    schools = [row for row in rows if row["problem"] == "schools" and row["way"] == "ours, auto"]
    sizes = dict.fromkeys(row["k"] for row in schools)
    aimed = [(f"exactly k records, {len(schools)} runs", all(row["count"] == row["k"] for row in schools), "")]
    for k, least in EVENNESS.items():
        chosen = [row for row in schools if row["k"] == k]
        worst, lost = max(row["worst"] for row in chosen), sum(row["lost"] for row in chosen)
        ess = float(np.mean([row["ess"] for row in chosen]))
        aimed.append((f"k = {k}: worst error <= 1e-6 in every run", worst <= 1e-6, f"{worst:.1g}"))
        aimed.append((f"k = {k}: effective sample size / k >= {least}", ess >= least, f"{ess:.3f}"))
        aimed.append((f"k = {k}: no record at its bound", lost == 0, f"{lost}"))
    differences = []
    for k, mark in PURSUIT.items():
        found = means(rows, "schools", k)
        ours, now = found["ours, auto"], found["pursuit"]
        differences.append(now["mean"] - ours["mean"])
        told = f"{ours['mean_y_plus_1']:.4f} of abs(y + 1), the mark is {mark}; "
        told += f"{ours['mean']:.4f} of max(abs(y), 1), pursuit {now['mean']:.4f}"
        met = ours["mean"] <= now["mean"] * (1 + 1e-9) and ours["mean_y_plus_1"] <= mark + 0.0005
        aimed.append((f"k = {k}: mean error not above that of matching pursuit (the mark is rounded)", met, told))
    aimed.append(("k = 60, 40, 20, 10: better on average", float(np.mean(differences)) > 0, f"by {np.mean(differences):.4f}"))
    seconds = float(np.median([row["seconds"] for row in schools if row["k"] == 231]))
    aimed.append(("k = 231: select and refit within 1 s (median)", seconds <= 1.0, f"{seconds:.2f} s"))
    lines = [
        "## Aims for the schools",
        "",
        "k of " + ", ".join(map(str, sizes)) + ".",
        "",
        "| aim | | measured |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *(f"| {aim} | {'met' if met else '**missed**'} | {told} |" for aim, met, told in aimed)])


def main() -> None:
    """Run what is asked for and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problems", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--rival-python")
    arguments = parser.parse_args()
    path = HERE / "results" / "selection.json"
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [row for row in kept if row["problem"] not in arguments.problems]
    for name in arguments.problems:
        for k, way, row in run(name, arguments.rival_python):
            rows.append({"problem": name, "k": k, "way": way} | row)
            print(rows[-1], file=sys.stderr, flush=True)
        machine = (
            f"{platform.processor() or platform.machine()}, 2 cores, Python {platform.python_version()}, NumPy {np.__version__}"
        )
        path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1, default=float) + "\n")
        (HERE / "results" / "selection.md").write_text(page(rows, machine))


def page(rows: list[dict[str, Any]], machine: str) -> str:
    """Return the Markdown page."""
    note = (
        "Means over the seeds; worst error: of all runs. At bound: weights that the refit put at 0.05 of their reference. "
        "Seconds are the processor's, all cores together; those of the original are of all its runs (at most 12 of 1,500 "
        "epochs; 6 of 300 for stress and national) until its lambda keeps about k."
    )
    parts = ["# Ways to select k records, each with the same refit", ABOUT, verdicts(rows)]
    if any(row["problem"] == "schools" for row in rows):
        parts.append(aims(rows))
    command = "`python benchmarks/selection.py --rival-python PYTHON`"
    return "\n\n".join([*parts, "## All figures", table(rows), f"{machine}. {command}. {note}"]) + "\n"


if __name__ == "__main__":
    main()
