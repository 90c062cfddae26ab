"""Compare sparse regressions on real data: R squared in cross-validation, features, time.

    pip install ".[sklearn]" abess skglm
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/sklearn_data.py [--repeats 4] [--data diabetes]

Four problems come with scikit-learn, the fifth is examples/apipop.csv. Each method is the last step of a
pipeline that standardises, and runs with its defaults; the penalties of skglm have none for their multiplier,
which 5-fold cross-validation over 20 values finds. All methods see the same 5 folds, drawn anew for each
repeat; for diabetes they are drawn 5 times as often, because methods differ little there. Writes
benchmarks/results/sklearn.json and sklearn.md; with --data only one data set is measured, and the results of
the others stay. Times are processor times of one fit.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pages import paragraph, processor

RESULTS = Path(__file__).parent / "results"
SCHOOLS = Path(__file__).parents[1] / "examples" / "apipop.csv"
OURS, PLAIN = "L0Regressor", "least squares, all features"
MORE_REPEATS = {"diabetes": 5}  # a factor, where 4 repeats cannot tell methods apart
MULTIPLIERS = 20  # of skglm's penalties, from a thousandth of the largest that matters to three times it


def problems() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the data sets: for each name X and y."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    diabetes, y = load_diabetes(return_X_y=True)
    p = diabetes.shape[1]
    products = [diabetes[:, i] * diabetes[:, j] for i in range(p) for j in range(i, p) if (i, j) != (1, 1)]
    wine, cancer = load_wine().data, load_breast_cancer().data
    return {
        "diabetes": (diabetes, y),
        "diabetes and products": (np.column_stack((diabetes, *products)), y),
        "wine: alcohol": (wine[:, 1:], wine[:, 0]),
        "breast cancer: fractal dimension": (np.delete(cancer, 9, axis=1), cancer[:, 9]),
        "schools: growth": _schools(),
    }


def _schools() -> tuple[np.ndarray, np.ndarray]:
    """Return what may explain how much a school's index grew in a year: its data, and its county."""
    names = ("api99", "meals", "ell", "mobility", "enroll")
    with SCHOOLS.open(newline="") as file:
        schools = [row for row in csv.DictReader(file) if all(row[name] for name in names)]
    numbers = [[float(row[name]) for name in names] for row in schools]
    counties = sorted({row["cname"] for row in schools})[1:]
    flags = [
        [row["stype"] == "E", row["stype"] == "H", *(row["cname"] == county for county in counties)]
        for row in schools
    ]
    growth = [float(row["api00"]) - float(row["api99"]) for row in schools]
    return np.column_stack((numbers, np.array(flags, float))), np.array(growth)


class SkglmByCrossValidation:
    """A penalty of skglm whose multiplier is found by 5-fold cross-validation."""

    def __init__(self, penalty: Any) -> None:
        self.penalty = penalty

    def fit(self, X: np.ndarray, y: np.ndarray) -> "SkglmByCrossValidation":
        """Fit at the best multiplier."""
        from sklearn.model_selection import KFold

        # divided by its standard deviation, because L0.5 penalises by the root of the coefficients' units
        self.mean, self.scale = y.mean(), y.std()
        y = (y - self.mean) / self.scale
        largest = np.abs(X.T @ y).max() / len(y)
        multipliers = largest * np.logspace(-3, 0.5, MULTIPLIERS)
        squares = np.zeros(MULTIPLIERS)
        for rows, others in KFold(5, shuffle=True, random_state=0).split(X):
            for i, model in enumerate(self._path(multipliers, X[rows], y[rows])):
                squares[i] += np.sum((y[others] - model.predict(X[others])) ** 2)
        *_, self.model = self._path(multipliers[: np.argmin(squares) + 1], X, y)
        self.coef_ = self.model.coef_
        return self

    def _path(self, multipliers: np.ndarray, X: np.ndarray, y: np.ndarray) -> Iterator[Any]:
        """Yield the model of each multiplier, ascending, warm-started from the one before.

        From coefficients of 0, which are stationary for L0.5, the solver would find no others: the first
        start is the lasso.
        """
        from skglm import GeneralizedLinearEstimator
        from skglm.datafits import Quadratic
        from skglm.penalties import L1
        from skglm.solvers import AndersonCD

        solver = AndersonCD(fit_intercept=True, warm_start=True, max_epochs=1000)
        model = GeneralizedLinearEstimator(Quadratic(), L1(multipliers[0]), solver).fit(X, y)
        for multiplier in multipliers:
            model.penalty = self.penalty(multiplier)
            yield model.fit(X, y)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the predictions."""
        return self.mean + self.scale * self.model.predict(X)


def methods() -> dict[str, Any]:
    """Return the compared methods: for each name a function that makes an estimator."""
    from abess.linear import LinearRegression as Abess
    from skglm.penalties import L0_5, MCPenalty
    from sklearn.linear_model import ElasticNetCV, LassoCV, LinearRegression

    from l0np.sklearn import L0GatedRegressor, L0Regressor

    return {
        OURS: L0Regressor,
        "L0Regressor(cv=5)": lambda: L0Regressor(cv=5),
        'L0Regressor(method="exchange")': lambda: L0Regressor(method="exchange"),
        "L0GatedRegressor": L0GatedRegressor,
        PLAIN: LinearRegression,
        "LassoCV": LassoCV,
        "ElasticNetCV": ElasticNetCV,
        "abess": Abess,
        "abess, cv=5": lambda: Abess(cv=5),
        "skglm L0.5": lambda: SkglmByCrossValidation(L0_5),
        "skglm MCP": lambda: SkglmByCrossValidation(lambda alpha: MCPenalty(alpha, 3.0)),
    }


def run(repeats: int, only: str | None = None) -> list[dict[str, Any]]:
    """Return a row of means (for seconds, medians) for each data set, or only one, and method."""
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import StandardScaler

    makers, rows = methods(), []
    warm_up = np.random.default_rng(0).normal(size=(60, 6))
    for make in makers.values():
        make().fit(warm_up, warm_up[:, 0] + warm_up[:, 3] ** 2)  # imports and compiles
    for name, (X, y) in problems().items():
        if only not in (None, name):
            continue
        found: dict[str, list[tuple[float, float, float]]] = {method: [] for method in makers}
        for repeat in range(repeats * MORE_REPEATS.get(name, 1)):
            for inside, outside in KFold(5, shuffle=True, random_state=repeat).split(X):
                scaler = StandardScaler().fit(X[inside])
                train, test = scaler.transform(X[inside]), scaler.transform(X[outside])
                for method, make in makers.items():
                    start = time.process_time()
                    model = make().fit(train, y[inside])
                    seconds = time.process_time() - start
                    size = np.count_nonzero(model.coef_)
                    found[method].append((r2_score(y[outside], model.predict(test)), size, seconds))
        for method, results in found.items():
            scores, sizes, seconds = zip(*results, strict=True)
            row = {"data": name, "n": len(y), "p": X.shape[1], "method": method, "repeats": len(scores) // 5}
            means = {"r2": statistics.fmean(scores), "size": statistics.fmean(map(float, sizes))}
            each = {"r2_by_fold": [round(score, 5) for score in scores]}
            rows.append(row | means | {"seconds": statistics.median(seconds)} | each)
        print(name, {row["method"]: round(row["r2"], 4) for row in rows if row["data"] == name}, flush=True)
    return rows


def page(rows: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return the whole of sklearn.md: a table for each data set, and where ours is not first."""
    about = (
        "Mean R squared on the rows left out in 5-fold cross-validation (higher is better), mean number of "
        "features with a coefficient other than 0, median processor time of one fit. Difference: R squared "
        f"minus that of {OURS}, paired by fold, and the standard deviation of the folds' differences; of "
        "least squares also the standard error of the mean (SE), from its spread over the repeats. Each "
        "method standardises first and runs with its defaults; the multipliers of skglm's penalties are "
        "found by 5-fold cross-validation over 20 values, each warm-started from the smaller one."
    )
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    measured = (
        f"{machine['cpu']}, {machine['cores']} cores, which did other work too, threads: "
        f"{machine['threads']}, Python {machine['python']}; {versions}. `{machine['command']}`"
    )
    lines = ["# Sparse regression on real data, through scikit-learn", "", paragraph(about), ""]
    lines += [paragraph(measured), ""]
    names = list(dict.fromkeys(row["data"] for row in rows))
    for name in names:
        mine = [row for row in rows if row["data"] == name]
        size = f"{mine[0]['n']:,} x {mine[0]['p']}, cross-validated {mine[0]['repeats']} times"
        lines += [f"## {name} ({size})", ""]
        lines += ["| method | R squared | difference | features | ms |", "|---|---:|---:|---:|---:|"]
        ours = next(row for row in mine if row["method"] == OURS)
        for row in mine:
            pairs = zip(row["r2_by_fold"], ours["r2_by_fold"], strict=True)
            differences = [one - other for one, other in pairs]
            difference = f"{statistics.fmean(differences):+.4f} ± {statistics.stdev(differences):.4f}"
            if row["method"] == PLAIN:
                of_repeats = np.reshape(differences, (row["repeats"], -1)).mean(axis=1)
                difference += f", SE {of_repeats.std(ddof=1) / len(of_repeats) ** 0.5:.4f}"
            shown = "" if row is ours else difference
            figures = f"{row['r2']:.4f} | {shown} | {row['size']:.1f} | {1e3 * row['seconds']:.3g}"
            lines.append(f"| {row['method']} | {figures} |")
        lines.append("")
    return "\n".join([*lines, *_verdict(rows, names)]) + "\n"


def _verdict(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
    """Return where the default is not first, and how it compares with least squares on all features."""
    lines = ["## Where L0Regressor is not first", ""]
    for name in names:
        table = {row["method"]: row for row in rows if row["data"] == name}
        ours, plain = table[OURS], table[PLAIN]
        better = [m for m, row in table.items() if row["r2"] > ours["r2"]]
        sparser = [m for m in better if table[m]["size"] <= ours["size"]]
        lines.append(
            f"- {name}: higher R squared of {', '.join(better) or 'none'}; of these with no more features: "
            f"{', '.join(sparser) or 'none'}. Against least squares on all features: "
            f"{ours['r2'] - plain['r2']:+.4f} with {ours['size']:.1f} of {ours['p']} features."
        )
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=4, help="times that folds are drawn (default: 4)")
    parser.add_argument("--data", choices=list(problems()), help="measure only this data set")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # LassoCV warns where it has not converged
    rows = run(options.repeats, options.data)
    if options.data is not None:
        old = json.loads((RESULTS / "sklearn.json").read_text())["rows"]
        rows = [
            row
            for name in problems()
            for row in (rows if name == options.data else old)
            if row["data"] == name
        ]
    packages = ("numpy", "scipy", "numba", "scikit-learn", "abess", "skglm")
    machine = {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "repeats": options.repeats,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "command": f"python benchmarks/sklearn_data.py --repeats {options.repeats}",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "sklearn.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    text = page(rows, machine)
    (RESULTS / "sklearn.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
