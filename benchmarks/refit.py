"""Measure calibration of given records, without selection: 60,000 records, 30,000 targets.

    python benchmarks/refit.py [NAME ...]

Reports time, memory, errors and g-weights of `l0np.calibrate(M, y, base_weights=base, ...)`; each case runs
in a process of its own. NAME is one of `CASES`. Writes benchmarks/results/refit.json and refit.md.
OPENBLAS_NUM_THREADS and NUMBA_NUM_THREADS limit the threads.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from pages import machine, paragraph
from problems import Geography, national

import l0np

HERE = Path(__file__).parent
RECORDS, GEOGRAPHY = 60_000, Geography(districts=449, states=50, variables=60)
BOUNDS = (0.2, 4.0)
CASES: dict[str, dict[str, Any]] = {
    "chi-square": {"distance": "chi-square", "bounds": (None, None)},
    "chi-square, bounds": {"distance": "chi-square", "bounds": BOUNDS},
    "raking": {"distance": "raking", "bounds": (None, None)},
    "logit": {"distance": "logit", "bounds": BOUNDS},
    "chi-square, tolerances": {"distance": "chi-square", "tolerances": 0.01},
    "chi-square, caps": {"distance": "chi-square", "caps": 1e-2},
    "chi-square, absolute errors": {"distance": "chi-square", "loss_type": "absolute"},
}
# keys of "asked" in refit.json
ASKED = {
    "all can be met": "The targets are the totals under the base weights times lognormal factors of 20 %.",
    "not all can be met": (
        "The totals of states and of the nation are then multiplied by lognormal factors of 3 %, so that "
        "they contradict those of their districts, and 1 % of all targets are tripled."
    ),
}
TOO_LONG = [("not all can be met", "chi-square, caps")]
MISSED = (
    "**Missed:** caps where not all targets can be met are left out by the script: the descent ends when its "
    "factorisations are used up, and says that it has not converged."
)


def problem(asked: str) -> tuple[Any, Any, Any, Any]:
    """Return the matrix, the targets, the base weights, and which targets were left unchanged."""
    case = national(RECORDS, geography=GEOGRAPHY)
    M = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape)
    rng = np.random.default_rng(5)
    base = rng.lognormal(5, 0.5, RECORDS)
    y = M.to_scipy().astype(float) @ (base * rng.lognormal(0, 0.2, RECORDS))
    unchanged = np.ones(len(y), bool)
    if asked == "not all can be met":
        above_district = np.arange(len(y)) % GEOGRAPHY.areas >= GEOGRAPHY.districts
        tripled = rng.random(len(y)) < 0.01
        y = y * np.where(above_district, rng.lognormal(0, 0.03, len(y)), 1.0) * np.where(tripled, 3.0, 1.0)
        unchanged = ~(above_district | tripled)
    return M, y, base, unchanged


def peak_kilobytes() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(asked: str, name: str) -> dict[str, Any]:
    """Calibrate in this process; return a row of the table."""
    M, y, base, unchanged = problem(asked)
    options = dict(CASES[name])
    if "tolerances" in options:
        options["tolerances"] = options["tolerances"] * np.abs(y)
    before = peak_kilobytes()
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    answer = l0np.calibrate(M, y, base_weights=base, **options)
    seconds = time.perf_counter() - start
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime - used
    refit = answer.refit
    errors = np.maximum(np.abs(refit.errors) - options.get("tolerances", 0.0), 0.0)
    errors /= np.maximum(np.abs(y), 1.0)
    return {
        "asked": asked, "case": name, "seconds": seconds, "user_seconds": user,
        "steps": refit.steps, "converged": answer.converged, "missed": len(answer.missed),
        "worst": errors[unchanged].max(), "median": float(np.median(errors)),
        "least": refit.ratios.min(), "most": refit.ratios.max(),
        "at_lower": refit.at_lower, "at_upper": refit.at_upper,
        "gigabytes": peak_kilobytes() / 1e6, "gigabytes_before": before / 1e6,
        "entries": M.nnz, "targets": len(y), "records": M.shape[1],
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table for one kind of targets."""
    lines = [
        "| distance | seconds | user seconds | Newton steps | converged | targets missed | worst error "
        "| median error | g-weights | at lower, upper bound | peak GB |",
        "|---" + "|--:" * 10 + "|",
    ]
    for row in rows:
        cells = (
            row["case"], f"{row['seconds']:.0f}", f"{row['user_seconds']:.0f}", row["steps"],
            "yes" if row["converged"] else "**no**", f"{row['missed']:,}", f"{row['worst']:.2g}",
            f"{row['median']:.2g}", f"{row['least']:.3g} to {row['most']:.3g}",
            f"{row['at_lower']:,}, {row['at_upper']:,}", f"{row['gigabytes']:.2f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def page(rows: list[dict[str, Any]], measured_on: str) -> str:
    """Return the whole of refit.md."""
    first = rows[0]
    about = (
        f"{first['records']:,} records of {GEOGRAPHY.districts} districts in {GEOGRAPHY.states} states, "
        f"{first['targets']:,} targets ({GEOGRAPHY.variables} variables at all three levels), "
        f"{first['entries']:,} non-zeros, base weights from 20 to 1,300. Goal: minutes on 2 cores."
    )
    sections = ["# Calibration of given records at scale", paragraph(about)]
    for asked, meaning in ASKED.items():
        measured = [row for row in rows if row["asked"] == asked]
        if measured:
            sections += [f"## Targets: {asked}", paragraph(meaning), table(measured)]
    before = max(row["gigabytes_before"] for row in rows)
    note = (
        f"{measured_on}. `python benchmarks/refit.py`. Errors are relative and beyond the tolerance; the "
        "worst error is that of the targets that were left unchanged. Tolerances are 1 % of the targets, "
        f"caps 0.01 (the square of an error of 10 %), bounds {BOUNDS[0]:g} and {BOUNDS[1]:g} where there "
        "are any; the others with words after the distance use the default bounds, 0.05 and none. Absolute "
        "errors miss few targets by much where squares miss each by a little. One thread, on a machine that "
        "did other work at the same time, which makes user seconds longer too. Peak memory includes the "
        f"problem ({before:.2f} GB while it is made)."
    )
    return "\n\n".join([*sections, paragraph(MISSED), paragraph(note)]) + "\n"


def main() -> None:
    """Measure the cases that are named, keep the results of the others, write JSON and Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{'; '.join(CASES)}; all by default")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(CASES)
    if unknown:
        parser.error(f"unknown case {', '.join(sorted(unknown))}; there are {'; '.join(CASES)}")
    if arguments.one:
        print(json.dumps(measure(arguments.one, *arguments.names), default=float))
        return
    path = HERE / "results" / "refit.json"
    earlier = json.loads(path.read_text())["rows"] if path.exists() else []
    found = {(row["asked"], row["case"]): row for row in earlier}
    for asked in ASKED:
        for name in arguments.names or CASES:
            if (asked, name) in TOO_LONG:
                continue
            command = [sys.executable, __file__, name, "--one", asked]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[asked, name] = json.loads(done.stdout)
            print(found[asked, name], file=sys.stderr, flush=True)
            rows = [
                found[key] for key in ((asked, name) for asked in ASKED for name in CASES) if key in found
            ]
            path.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
            (HERE / "results" / "refit.md").write_text(page(rows, machine()))


if __name__ == "__main__":
    main()
