"""The problems that the benchmarks measure.

This file needs NumPy and SciPy only, so that the environment of every rival can build the problems.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Case:
    """A matrix by columns, its targets, and the keyword arguments that every rival gets."""

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]
    y: Any
    model: dict[str, Any]
    fit: dict[str, Any]

    @property
    def linear(self) -> bool:
        """Whether this is a regression: weights of either sign, an intercept, mean squared errors."""
        return "init_weights" not in self.model

    @property
    def beta(self) -> float:
        """The temperature; 2/3, the default of both packages, where none is given."""
        return float(self.model.get("beta", 2 / 3))

    def curvature(self) -> Any:
        """Return the derivative of the loss by each prediction for an error of 1."""
        return np.full(len(self.y), 2 / len(self.y)) if self.linear else 2 / (self.y + 1) ** 2

    def starts(self, rng: Any) -> tuple[Any, Any]:
        """Return initial log weights (weights, in a regression) and initial logits of the gates."""
        n, keep = self.shape[1], min(max(self.model.get("init_keep_prob", 0.5), 1e-6), 1 - 1e-6)
        if self.linear:
            start, spread = 0.0, 0.01
        else:
            start, spread = np.log(self.model["init_weights"]), self.model.get("log_weight_jitter_sd", 0)
        return rng.normal(start, spread, n), np.full(n, np.log(keep / (1 - keep)))

    def csr(self) -> Any:
        """Return the matrix in the format that users of l0-python have."""
        csc = sparse.csc_array((self.data, self.indices.astype(np.int32), self.indptr), shape=self.shape)
        return csc.tocsr()


@dataclass(frozen=True)
class Geography:
    """Districts, each in one state, and the nation; every variable has a target for each of these areas."""

    districts: int
    states: int
    variables: int

    @property
    def areas(self) -> int:
        """Number of districts, states and the nation."""
        return self.districts + self.states + 1


UNITED_STATES = Geography(districts=436, states=50, variables=40)  # 19,480 targets


def _from_csr(matrix: Any, y: Any, model: dict[str, Any], fit: dict[str, Any]) -> Case:
    csc = matrix.tocsc()
    data, indices = csc.data.astype(np.float32), csc.indices.astype(np.uint16)
    return Case(data, indices, csc.indptr, csc.shape, y, model, fit)


def readme(lambda_l0: float = 1e-9) -> Case:
    """Return the README example of l0-python; with the default lambda its gates stay open."""
    rng = np.random.default_rng(0)
    matrix = sparse.random(200, 10_000, density=0.3, format="csr", rng=rng)
    y = matrix @ (rng.lognormal(2, 1, size=10_000) * (rng.random(10_000) < 0.3))
    model = {
        "beta": 0.35,
        "init_keep_prob": 0.5,
        "init_weights": 1.0,
        "log_weight_jitter_sd": 0.05,
        "seed": 0,
    }
    fit = {"lambda_l0": lambda_l0, "lambda_l2": 1e-8, "lr": 0.15, "loss_type": "relative"}
    return _from_csr(matrix, y, model, fit)


HOLD = 1e-6  # a learning rate so small that gates stay where they start: the fraction of closed ones is known


def stress(keep: float = 0.999, lr: float = 0.2) -> Case:
    """Return 2,000 targets of 20,000 records, 10 % dense, with lognormal entries.

    `keep` is the initial keep probability, hence the fraction of open gates at the start.
    """
    rng = np.random.default_rng(1)
    matrix = sparse.random(2_000, 20_000, density=0.1, format="csr", rng=rng)
    matrix.data = rng.lognormal(0, 1, matrix.nnz)
    y = matrix @ (rng.lognormal(2, 1, size=20_000) * (rng.random(20_000) < 0.3))
    model = {
        "beta": 0.66,
        "init_keep_prob": keep,
        "init_weights": 1.0,
        "log_weight_jitter_sd": 0.05,
        "seed": 0,
    }
    fit = {"lambda_l0": 1e-9, "lambda_l2": 1e-8, "lr": lr, "loss_type": "relative"}
    return _from_csr(matrix, y, model, fit)


def national(
    n_columns: int, keep: float = 0.999, lr: float = 0.15, geography: Geography = UNITED_STATES
) -> Case:
    """Return records that belong to a district, its state and the nation.

    Each variable of a record that is not 0 has an entry in three rows, one at each level. The variables have
    prevalences from 2 to 60 %; half of them are counts, half are amounts of money with heavy tails.
    """
    rng = np.random.default_rng(2)
    districts, areas, variables = geography.districts, geography.areas, geography.variables
    prevalence = np.linspace(0.02, 0.60, variables)
    capacity = int(n_columns * prevalence.sum() * 3 * 1.01) + 10_000
    data, indices = np.empty(capacity, np.float32), np.empty(capacity, np.uint16)
    indptr = np.zeros(n_columns + 1, np.int64)
    y = np.zeros(variables * areas)
    first_row, end = np.arange(variables) * areas, 0
    for first in range(0, n_columns, 50_000):
        n = min(50_000, n_columns - first)
        district = rng.integers(districts, size=n)
        record, variable = np.nonzero(rng.random((n, variables)) < prevalence)
        amount = np.where(variable % 2, rng.lognormal(8, 1.5, len(record)), rng.integers(1, 6, len(record)))
        area = np.stack([district, districts + district % geography.states, np.full(n, areas - 1)], axis=1)
        rows = first_row[variable][:, None] + area[record]
        start, end = end, end + rows.size
        indices[start:end], data[start:end] = rows.ravel(), np.repeat(amount, 3)
        indptr[first + 1 : first + n + 1] = start + 3 * np.cumsum(np.bincount(record, minlength=n))
        weight = rng.lognormal(5, 0.5, n)
        y += np.bincount(rows.ravel(), weights=np.repeat(amount * weight[record], 3), minlength=len(y))
    model = {
        "beta": 0.65,
        "init_keep_prob": keep,
        "init_weights": 100.0,
        "log_weight_jitter_sd": 0.05,
        "seed": 0,
    }
    fit = {"lambda_l0": 1e-8, "lambda_l2": 1e-12, "lr": lr, "loss_type": "relative"}
    return Case(data[:end].copy(), indices[:end].copy(), indptr, (len(y), n_columns), y, model, fit)


def sized(entries: int) -> Case:
    """Return a random problem with about `entries` entries, 100 in each column, and 2,000 rows."""
    rng = np.random.default_rng(3)
    n = max(entries // 100, 1)
    indices = np.sort(rng.integers(0, 20, size=(n, 100)) + 20 * np.arange(100), axis=1).astype(np.uint16)
    indptr, data = np.arange(n + 1, dtype=np.int64) * 100, rng.lognormal(0, 1, n * 100).astype(np.float32)
    y = np.bincount(indices.ravel(), weights=data * 10.0, minlength=2_000) + 1
    model = {"beta": 0.66, "init_keep_prob": 0.999, "init_weights": 1.0, "seed": 0}
    fit = {"lambda_l0": 1e-9, "lr": 0.1, "loss_type": "relative"}
    return Case(data, indices.ravel(), indptr, (2_000, n), y, model, fit)


def regression() -> Case:
    """Return a sparse regression with 100,000 rows and 50,000 features, 0.1 % dense."""
    rng = np.random.default_rng(4)
    matrix = sparse.random(100_000, 50_000, density=1e-3, format="csc", rng=rng)
    truth = rng.normal(size=50_000) * (rng.random(50_000) < 0.01)
    y = matrix @ truth + 0.1 * rng.normal(size=100_000)
    data, indices = matrix.data.astype(np.float32), matrix.indices.astype(np.int32)
    return Case(data, indices, matrix.indptr, matrix.shape, y, {"seed": 0}, {"lambda_l0": 1e-6, "lr": 0.01})


CASES = {
    "readme": readme,
    "readme-fit": lambda: readme(lambda_l0=1e-3),
    "stress": stress,
    "stress-closed": lambda: stress(keep=0.011, lr=HOLD),
    "national-500k": lambda: national(500_000),
    "national-500k-closed": lambda: national(500_000, keep=0.011, lr=HOLD),
    "national-5m": lambda: national(5_000_000),
    "regression": regression,
    **{f"sized-{exponent}": lambda exponent=exponent: sized(10**exponent) for exponent in (4, 5, 6, 7, 8)},
    **{f"stress-{keep}": lambda keep=keep: stress(keep, lr=HOLD) for keep in (0.5, 0.2, 0.1, 0.05, 0.02)},
}
