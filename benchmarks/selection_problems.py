"""The problems of `selection.py`: matrices, targets and base weights."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import problems
from scipy import sparse

import l0np

HERE = Path(__file__).parent
SEEDS = range(10)
BOUNDS = (0.05, None)  # of g-weights, in every refit


class Problem(NamedTuple):
    """A matrix by columns, its targets and the base weights."""

    M: l0np.ColumnMatrix
    y: Any
    base: Any

    def refit(self, indices: Any, reference: Any) -> Any:
        """Return the calibration of selected records from their reference weights."""
        return l0np.calibrate(self.M.to_scipy()[:, indices], self.y, base_weights=reference, bounds=BOUNDS)


def schools() -> Problem:
    """Return 68 targets of 6,194 Californian schools, base weights 1."""
    with (HERE.parent / "examples" / "apipop.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    classes = ("stype", "sch_wide", "comp_imp", "cname")
    labels = [values[name] == level for name in classes for level in np.unique(values[name])]
    amounts = [values[name].astype(float) for name in ("api99", "api00", "meals", "api_stu")]
    M = np.array([*labels, *amounts], dtype=float)
    return Problem(l0np.ColumnMatrix.build(M, "float64"), M.sum(axis=1), np.ones(M.shape[1]))


def stress() -> Problem:
    """Return the stress example: 2,000 targets, 20,000 records, 10 % dense; base weights 1."""
    case = problems.stress()
    M = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape)
    return Problem(M, case.y, np.ones(case.shape[1]))


def national() -> Problem:
    """Return 100,000 records of 40 districts in 9 states, 2,000 targets and lognormal base weights.

    The targets are totals under weights that differ from the base weights at random.
    """
    case = problems.national(100_000, geography=problems.Geography(districts=40, states=9, variables=40))
    M = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape)
    rng = np.random.default_rng(5)
    base = rng.lognormal(5, 0.5, size=100_000)
    return Problem(M, M.to_scipy().astype(float) @ (base * rng.lognormal(0, 0.2, size=100_000)), base)


def nhanes() -> Problem:
    """Return 10,337 persons of NHANES II with final weights from 2,000 to 79,634, and 75 targets.

    The targets are totals under weights that differ from the final ones at random, which moves them by up
    to 7 %: persons by region and race, by region and sampling unit, and by stratum; cases of high blood
    pressure and diabetes by region; sums of zinc by region.
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
    return Problem(l0np.ColumnMatrix.build(M, "float64"), y, base)


def persons() -> Problem:
    """Return 100,000 persons in 200 cells, 1,800 targets, base weights that vary more than tenfold.

    Nine measures in each cell, some negative, some of two records or none: their targets are 0.
    """
    rng, n, n_cells = np.random.default_rng(0), 100_000, 200
    cell = np.sort(rng.integers(0, n_cells, n))
    base = np.round(rng.lognormal(2.6, 0.8, n)).clip(1)
    rich = rng.normal(size=n_cells)[cell]
    rare = 0.004 * np.exp(rich)
    measures = [
        np.ones(n),
        np.exp(rng.normal(10 + 0.5 * rich, 0.6)).round(),
        np.where(rng.random(n) < 0.6, np.exp(rng.normal(10, 0.9, n)).round(), 0.0),
        np.where(rng.random(n) < 0.02 + 0.1 * (rich < -1), rng.normal(2000, 6000, n).round(), 0.0),
        np.where(rng.random(n) < rare, np.exp(rng.normal(9, 1, n)).round(), 0.0),
        *((rng.random(n) < share).astype(float) for share in (rare, 0.25, 0.4, 0.02)),
    ]
    entries = [(x[on], cell[on] * 9 + i, on) for i, x in enumerate(measures) for on in [np.flatnonzero(x)]]
    values, rows, columns = (np.concatenate(part) for part in zip(*entries, strict=True))
    M = sparse.coo_array((values, (rows, columns)), shape=(9 * n_cells, n)).tocsc()
    return Problem(l0np.ColumnMatrix.of(M), M @ base, base)


def districts() -> Problem:
    """Return 100,000 records of 436 districts in 51 states, 18 variables at each level, 8,784 targets.

    The targets are totals under weights that differ from the lognormal base weights at random.
    """
    rng, n, n_districts, n_states, n_variables = np.random.default_rng(0), 100_000, 436, 51, 18
    district = rng.integers(0, n_districts, n)
    state = district * n_states // n_districts
    first_state, nation = n_districts * n_variables, (n_districts + n_states) * n_variables
    entries = []
    for v in range(n_variables):
        on = np.flatnonzero(rng.random(n) < rng.uniform(0.02, 0.6))
        x = rng.integers(1, 5, on.size).astype(float) if v % 2 == 0 else rng.lognormal(9, 1, on.size)
        places = district[on] * n_variables, first_state + state[on] * n_variables, np.full(on.size, nation)
        entries += [(x, place + v, on) for place in places]
    values, rows, columns = (np.concatenate(part) for part in zip(*entries, strict=True))
    M = sparse.coo_array((values, (rows, columns)), shape=(nation + n_variables, n)).tocsc()
    base = rng.lognormal(5, 0.7, n)
    return Problem(l0np.ColumnMatrix.of(M), M @ (base * rng.lognormal(0, 0.2, n)), base)


def districts_at_odds() -> Problem:
    """Return the problem of the districts with targets that contradict each other by some percent."""
    M, y, base = districts()
    return Problem(M, y * np.random.default_rng(1).lognormal(0, 0.03, len(y)), base)


def insurance() -> Problem:
    """Return 20,190 years of persons in the RAND Health Insurance Experiment, some 370 targets.

    Data: public domain, from the package statsmodels. Base weights vary more than tenfold. The targets are
    totals by coinsurance and number of chronic diseases; those of rare measures (40 visits and more) concern
    few records; some are of two records, and some are 0.
    """
    from statsmodels.datasets import randhie

    data = {name: column.to_numpy(float) for name, column in randhie.load_pandas().data.items()}
    n, rng = len(data["mdvis"]), np.random.default_rng(7)
    plan = np.unique(data["lncoins"], return_inverse=True)[1]
    health = np.digitize(data["disea"], np.quantile(data["disea"], [0.25, 0.5, 0.75, 0.9, 0.97]))
    area = plan * (health.max() + 1) + health
    visits = data["mdvis"]
    measures = [
        np.ones(n), visits, data["physlm"] > 0, data["hlthg"], data["hlthf"], data["hlthp"], data["idp"],
        data["lpi"], visits >= 20, visits >= 40, (visits >= 10) * data["hlthp"],
    ]  # fmt: skip
    M = np.array([x * (area == level) for level in np.unique(area) for x in measures], dtype=float)
    base = np.round(rng.lognormal(3, 0.8, n)).clip(1)
    return Problem(l0np.ColumnMatrix.build(M, "float64"), M @ base, base)


def dense() -> Problem:
    """Return 5,000 dense targets of 50,000 records, lognormal as in issue 69 of the tracker of L0Learn."""
    rng = np.random.default_rng(0)
    rows, n = 5_000, 50_000
    data = rng.standard_normal((n, rows), dtype=np.float32)
    np.exp(data, out=data)
    weights = rng.lognormal(0, 0.5, n).astype(np.float32)
    y = (weights @ data).astype(np.float64)
    indices = np.tile(np.arange(rows, dtype=np.uint16), n)
    M = l0np.ColumnMatrix(
        data.reshape(-1), indices, np.arange(n + 1, dtype=np.int64) * rows, (rows, n), copy=False
    )
    return Problem(M, y, np.ones(n))


PROBLEMS = {
    "nhanes": (nhanes, (40, 150, 500), range(3)),
    "schools": (schools, (10, 20, 40, 60, 65, 66, 70, 80, 100, 231, 771), SEEDS),
    "stress": (stress, (1000, 3000, 6000), range(3)),
    "national": (national, (1500, 4000, 10000), range(3)),
    "persons": (persons, (2000, 6000, 16000, 46000), range(1)),
    "districts": (districts, (12000, 16000, 30000), range(1)),
    "at_odds": (districts_at_odds, (16000,), range(1)),
    "insurance": (insurance, (400, 1000, 4000), range(3)),
    "dense": (dense, (3000,), range(1)),
}
