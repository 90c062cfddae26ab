"""Problems that the tests of selections share."""

import csv
from pathlib import Path

import numpy as np

SCHOOLS = Path(__file__).parents[2] / "examples" / "apipop.csv"
CATEGORIES, SCORES = ("stype", "sch_wide", "comp_imp", "cname"), ("api99", "api00", "meals", "api_stu")


def schools():
    """68 totals of California's 6,194 schools: by type, growth target and county, and sums of scores."""
    with SCHOOLS.open() as file:
        rows = list(csv.DictReader(file))
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    labels = [values[name] == level for name in CATEGORIES for level in np.unique(values[name])]
    return np.array([*labels, *(values[name].astype(float) for name in SCORES)], dtype=float)


def problem(n=300, q=8, seed=0):
    """A matrix, targets that weights near the base weights meet, and these."""
    rng = np.random.default_rng(seed)
    M = np.vstack([np.ones(n), (rng.random((q - 1, n)) < 0.4) * rng.lognormal(size=(q - 1, n))])
    base = rng.lognormal(3, 0.7, size=n)
    return M, M @ (base * rng.uniform(0.8, 1.2, size=n)), base
