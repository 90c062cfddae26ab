"""Compare sparse regressions with abess and LassoCV: which features are selected, prediction error, time.

    pip install . abess scikit-learn
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/regression.py [--seeds 10] [--gates]

The designs are those of T. Hastie, R. Tibshirani and R. J. Tibshirani (Best subset, forward stepwise or
lasso? Statistical Science 35, 2020): normal rows with correlations ``rho^|i - j|``, the first s
coefficients 1, and noise that gives the wanted signal-to-noise ratio. The rivals run with their documented
defaults; all run in one process and take turns on each data set. Differences are paired by data set, so
that their standard errors show which of them more seeds might reverse. Writes
benchmarks/results/regression.json and regression.md.

One thread is best: the problems are small, and on a machine that does other work too, linear algebra on
several threads measures how long they wait for each other. Times are processor times.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pages import paragraph, processor

RESULTS = Path(__file__).parent / "results"
SIZES = [(100, 10, 5), (500, 100, 5), (100, 1000, 10)]  # n, p, s
CORRELATIONS = (0.35, 0.7)
SIGNAL_TO_NOISE = (0.42, 0.71, 1.22, 2.07, 3.52, 6.0)
OURS, PLAIN, ABESS, LASSO = "l0np", "l0np, NumPy", "abess", "LassoCV"
LIMIT_F1, LIMIT_TIME = (
    0.02,
    30.0,
)  # goals: F1 at most so far below abess on average; time at most so many times

Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def draw(n: int, p: int, s: int, rho: float, snr: float, seed: int) -> tuple[np.ndarray, ...]:
    """Return X, y, the true coefficients and the covariance of a row."""
    rng = np.random.default_rng([seed, n, p, round(100 * rho), round(100 * snr)])
    covariance = rho ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    X = rng.normal(size=(n, p)) @ np.linalg.cholesky(covariance).T
    truth = np.zeros(p)
    truth[:s] = 1.0
    noise = np.sqrt(truth @ covariance @ truth / snr)
    return X, X @ truth + noise * rng.normal(size=n), truth, covariance


def methods(everything: bool) -> dict[str, Fit]:
    """Return the compared methods: for each name a function from data to coefficients."""
    from abess.linear import LinearRegression
    from sklearn.linear_model import LassoCV

    from l0np import l0_regression_path

    fits: dict[str, Fit] = {
        OURS: lambda X, y: l0_regression_path(X, y).coef_,
        PLAIN: lambda X, y: l0_regression_path(X, y, device="numpy").coef_,
        "l0np, least squares": lambda X, y: l0_regression_path(X, y, coefficients="least squares").coef_,
        "l0np exchange, EBIC": lambda X, y: l0_regression_path(X, y, method="exchange").coef_,
        "l0np exchange, GIC": lambda X, y: l0_regression_path(X, y, method="exchange", criterion="gic").coef_,
        "l0np exchange, cv=5": lambda X, y: l0_regression_path(X, y, method="exchange", cv=5).coef_,
        ABESS: lambda X, y: LinearRegression().fit(X, y).coef_,
        "abess, cv=5": lambda X, y: LinearRegression(cv=5).fit(X, y).coef_,
        LASSO: lambda X, y: LassoCV().fit(X, y).coef_,
    }
    if everything:
        fits["l0np gates, EBIC"] = lambda X, y: l0_regression_path(X, y, method="gates").coef_
    return fits


def measure(
    fit: Fit, X: np.ndarray, y: np.ndarray, truth: np.ndarray, covariance: np.ndarray
) -> dict[str, float]:
    """Return F1 of the support, relative risk, number of selected features and seconds."""
    start = time.process_time()
    coefficients = fit(X, y)
    seconds = time.process_time() - start
    found, true = coefficients != 0, truth != 0
    error = coefficients - truth
    return {
        "f1": 2.0 * float((found & true).sum()) / float(found.sum() + true.sum()),
        "risk": float(error @ covariance @ error / (truth @ covariance @ truth)),
        "size": float(found.sum()),
        "seconds": seconds,
    }


def run(seeds: int, everything: bool) -> list[dict[str, object]]:
    """Return a row of means (for seconds, medians) for each design and method."""
    fits, rows = methods(everything), []
    for fit in fits.values():
        fit(*draw(100, 10, 5, 0.35, 1.0, 0)[:2])  # imports and compiles
    for (n, p, s), rho, snr in itertools.product(SIZES, CORRELATIONS, SIGNAL_TO_NOISE):
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in fits}
        for seed in range(seeds):
            data = draw(n, p, s, rho, snr, seed)
            names = list(fits)
            for name in names[seed % len(names) :] + names[: seed % len(names)]:
                runs[name].append(measure(fits[name], *data))
        for name, results in runs.items():
            means = {key: statistics.fmean(r[key] for r in results) for key in ("f1", "risk", "size")}
            design = {"n": n, "p": p, "s": s, "rho": rho, "snr": snr, "method": name}
            seconds = statistics.median(r["seconds"] for r in results)
            each = {key + "_by_seed": [round(r[key], 4) for r in results] for key in ("f1", "risk")}
            rows.append(design | means | {"seconds": seconds} | each)
        print(
            f"{n} x {p}, rho {rho}, SNR {snr}: " + ", ".join(f"{m} {_last(rows, m)['f1']:.2f}" for m in fits),
            flush=True,
        )
    return rows


def _last(rows: list[dict], name: str) -> dict:
    return next(row for row in reversed(rows) if row["method"] == name)


def page(rows: list[dict], machine: dict[str, object]) -> str:
    """Return the whole of regression.md: averages, each design, and which goals are met."""
    names = list(dict.fromkeys(row["method"] for row in rows))
    cells = list(dict.fromkeys((row["n"], row["p"], row["rho"], row["snr"]) for row in rows))
    table = {(row["n"], row["p"], row["rho"], row["snr"], row["method"]): row for row in rows}
    about = (
        f"Designs of Hastie, Tibshirani and Tibshirani (2020), {machine['seeds']} seeds each; F1 of the "
        "support (higher is better), risk relative to that of the null model (lower is better), median "
        "processor time. Rivals run with their defaults."
    )
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    measured = (
        f"{machine['cpu']}, {machine['cores']} cores, threads: {machine['threads']}, Python "
        f"{machine['python']}; {versions}. `{machine['command']}`"
    )
    lines = [
        "# Sparse regression: support and risk of the model that is selected automatically",
        "",
        paragraph(about),
        "",
        paragraph(measured),
        "",
        "## Averages over all designs",
        "",
        "| method | F1 | relative risk | features selected "
        "| ms at 100 x 10 | ms at 500 x 100 | ms at 100 x 1000 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in names:
        mine = [row for row in rows if row["method"] == name]
        ms = [
            1e3 * statistics.median(row["seconds"] for row in mine if (row["n"], row["p"]) == size[:2])
            for size in SIZES
        ]
        means = [statistics.fmean(row[key] for row in mine) for key in ("f1", "risk", "size")]
        lines.append(
            f"| {name} | {means[0]:.3f} | {means[1]:.3f} | {means[2]:.1f} | "
            + " | ".join(f"{x:.3g}" for x in ms)
            + " |"
        )
    lines += ["", "## Each design: F1 (relative risk)", ""]
    lines += ["| n x p | rho | SNR | " + " | ".join(names) + " |", "|---|---:|---:|" + "---:|" * len(names)]
    for n, p, rho, snr in cells:
        entries = [table[n, p, rho, snr, name] for name in names]
        shown = " | ".join(f"{row['f1']:.2f} ({row['risk']:.2f})" for row in entries)
        lines.append(f"| {n} x {p} | {rho} | {snr} | {shown} |")
    ours, plain, abess, lasso = (
        [table[(*cell, name)] for cell in cells] for name in (OURS, PLAIN, ABESS, LASSO)
    )
    return (
        "\n".join(lines + _differences(cells, ours, abess, lasso) + _goals(cells, ours, plain, abess, lasso))
        + "\n"
    )


def _less(mine: dict, other: dict, key: str = "f1") -> tuple[float, float]:
    """Return the mean difference on the same data sets, and its standard error."""
    differences = [a - b for a, b in zip(mine[key + "_by_seed"], other[key + "_by_seed"], strict=True)]
    return statistics.fmean(differences), statistics.stdev(differences) / len(differences) ** 0.5


def _mean_less(mine: list[dict], other: list[dict], key: str) -> tuple[float, float]:
    """Return the mean of the differences over designs, whose data are independent, and its standard error."""
    pairs = [_less(a, b, key) for a, b in zip(mine, other, strict=True)]
    return statistics.fmean(d for d, _ in pairs), sum(se**2 for _, se in pairs) ** 0.5 / len(pairs)


def _differences(cells: list[tuple], ours: list[dict], abess: list[dict], lasso: list[dict]) -> list[str]:
    lines = [
        "",
        f"## Each design: {OURS} minus its rivals, paired by data set",
        "",
        f"Mean difference and standard error; bold where {OURS} is worse by more than two standard errors.",
        "",
        f"| n x p | rho | SNR | F1 minus {ABESS} | F1 minus {LASSO} "
        f"| risk minus {ABESS} | risk minus {LASSO} |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (n, p, rho, snr), mine, *rivals in zip(cells, ours, abess, lasso, strict=True):
        shown = []
        for key, sign in (("f1", 1), ("risk", -1)):
            for mean, se in (_less(mine, rival, key) for rival in rivals):
                shown.append(
                    f"**{mean:+.2f} ± {se:.2f}**" if sign * mean < -2 * se else f"{mean:+.2f} ± {se:.2f}"
                )
        lines.append(f"| {n} x {p} | {rho} | {snr} | " + " | ".join(shown) + " |")
    return lines


def _goals(
    cells: list[tuple], ours: list[dict], plain: list[dict], abess: list[dict], lasso: list[dict]
) -> list[str]:
    """Return which goals are met, and which differences may be due to chance."""
    (f1, f1_se), (risk, risk_se) = (_mean_less(ours, abess, key) for key in ("f1", "risk"))
    over_lasso, over_lasso_se = _mean_less(ours, lasso, "f1")
    worse = [c for c, o, a in zip(cells, ours, abess, strict=True) if o["f1"] < a["f1"] - LIMIT_F1]
    surely = [c for c, o, a in zip(cells, ours, abess, strict=True) if _less(o, a)[0] < -2 * _less(o, a)[1]]
    lost = [c for c, o, r in zip(cells, ours, lasso, strict=True) if o["f1"] <= r["f1"]]
    surely_lost = [
        c for c, o, r in zip(cells, ours, lasso, strict=True) if _less(o, r)[0] < -2 * _less(o, r)[1]
    ]
    lines = [
        "",
        "## Goals",
        "",
        f"- {_met(f1 >= -LIMIT_F1)}: F1 on average at most {LIMIT_F1} below that of {ABESS}. "
        f"Difference: {f1:+.3f} ± {f1_se:.3f}.",
        f"  - Designs in which it is further below: {_names(worse)}.",
        f"  - Designs in which it is below by more than two standard errors: {_names(surely)}.",
        f"- {_met(not lost)}: F1 above that of {LASSO} in every design. "
        f"Difference on average: {over_lasso:+.3f} ± {over_lasso_se:.3f}.",
        f"  - Designs in which it is not above: {_names(lost)}.",
        f"  - Designs in which it is below by more than two standard errors: {_names(surely_lost)}.",
        f"- {_met(risk <= 0)}: relative risk on average not above that of {ABESS}. "
        f"Difference: {risk:+.3f} ± {risk_se:.3f}.",
    ]
    for name, mine in ((OURS, ours), (PLAIN, plain)):
        times = {c: o["seconds"] / a["seconds"] for c, o, a in zip(cells, mine, abess, strict=True)}
        slow = [f"{n} x {p}: {max(t for c, t in times.items() if c[:2] == (n, p)):.0f}" for n, p, _ in SIZES]
        is_fast = _met(max(times.values()) <= LIMIT_TIME)
        lines.append(f"- {is_fast}: {name} takes at most {LIMIT_TIME:.0f} times as long as {ABESS}.")
        lines.append(f"  - Largest ratios: {', '.join(slow)}.")
    return lines


def _met(is_met: bool) -> str:
    return "**Met**" if is_met else "**Missed**"


def _names(cells: list[tuple]) -> str:
    return "; ".join(f"{n} x {p}, rho {rho}, SNR {snr}" for n, p, rho, snr in cells) or "none"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="data sets of each design, at least 2 (default: 10)"
    )
    parser.add_argument(
        "--gates", action="store_true", help="also train gates along the path, which takes long"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # LassoCV warns where it has not converged
    rows = run(options.seeds, options.gates)
    packages = ("numpy", "scipy", "numba", "abess", "scikit-learn")
    machine = {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "seeds": options.seeds,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "command": f"python benchmarks/regression.py --seeds {options.seeds}" + " --gates" * options.gates,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "regression.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    text = page(rows, machine)
    (RESULTS / "regression.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
