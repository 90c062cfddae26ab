"""Select a few hundred of California's 6,194 schools, with weights, that represent all of them.

Each school starts with weight 1. The targets are 68 totals of the whole population: the numbers of schools of
each type, in each county, and that met their growth targets or not, and the sums of four variables.
The data are in apipop.csv, which README.md in this folder describes.
"""

import csv
import time
from pathlib import Path

import numpy as np

from l0np import SparseCalibrationWeights, diagnose, schedules

DATA = Path(__file__).parent / "apipop.csv"
CATEGORIES = {
    "stype": "type",
    "sch_wide": "met school-wide target",
    "comp_imp": "met comparable improvement",
    "cname": "county",
}
AMOUNTS = ("api99", "api00", "meals", "api_stu")
SHOWN = 12  # targets with the largest errors


def read_targets() -> tuple[list[str], np.ndarray]:
    """Return the names of the targets, and the matrix of what each school adds to each, shape (68, 6194)."""
    with DATA.open(newline="") as file:
        schools = list(csv.DictReader(file))
    rows = {
        f"{title} = {level}": [school[column] == level for school in schools]
        for column, title in CATEGORIES.items()
        for level in sorted({school[column] for school in schools})
    }
    rows |= {f"sum of {name}": [float(school[name]) for school in schools] for name in AMOUNTS}
    return list(rows), np.array(list(rows.values()), dtype=float)


def main() -> None:
    """Fit, and print the targets with the largest errors and a summary of the weights."""
    names, M = read_targets()
    y = M.sum(axis=1)
    n_schools = M.shape[1]

    start = time.perf_counter()
    model = SparseCalibrationWeights(n_schools, init_weights=1.0, beta=0.35, init_keep_prob=0.5, seed=2000)
    lr = schedules.Cosine(0.1, 0.002, epochs=4000)
    model.fit(M, y, lambda_l0=3e-3, lambda_l2=4e-7, lr=lr, epochs=4000, loss_type="relative")
    seconds = time.perf_counter() - start

    weights = model.get_weights(deterministic=True)
    estimates = model.predict(M)
    errors = estimates / y - 1
    order = np.argsort(-np.abs(errors), kind="stable")

    print(f"{'target':<42}{'total':>14}{'estimate':>14}{'error':>9}")
    for i in order[:SHOWN]:
        print(f"{names[i]:<42}{y[i]:>14,.0f}{estimates[i]:>14,.1f}{errors[i]:>+9.2%}")
    rest = np.abs(errors[order[SHOWN:]])
    mean = np.abs(errors).mean()
    print(
        f"... and {len(rest)} more targets, each within {rest.max():.2%} (mean of all {len(y)}: {mean:.2%})\n"
    )

    count = model.get_active_weights()["count"]
    size = diagnose(M, y, weights).effective_sample_size
    print(f"{'schools selected':<24}{count:>10,} of {n_schools:,}")
    print(f"{'total weight':<24}{weights.sum():>10,.1f}   (population {n_schools:,})")
    print(f"{'effective sample size':<24}{size:>10,.1f}   (Kish; {size / count:.0%} of the schools selected)")
    print(f"{'seconds':<24}{seconds:>10.1f}   ({model.backend_} backend)")


if __name__ == "__main__":
    main()
