"""What callbacks cost: the share of the README's fit that progress bar, early stopping and history take.

The clock runs between two callbacks of the benchmark, before and after all others, and at the end of the fit.
So both times come from one run, and a busy machine matters less. The script prints medians over the rounds;
the goal is less than 3 % at the default frequency of reports.

    python benchmarks/callbacks.py --rounds 11
"""

import argparse
import io
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse as sp

from l0np import SparseCalibrationWeights, callbacks, schedules

GOAL = 0.03
TOGETHER = ("progress_bar", "early_stopping", "history")
CASES = ("all three", *TOGETHER, "csv_log", "checkpoint")
EPOCHS = 2000


def problem() -> tuple[Any, Any]:
    """Return the matrix and the targets of the README's gated model."""
    rng = np.random.default_rng(0)
    Q, N = 200, 10_000
    M = sp.random(Q, N, density=0.3, format="csr", rng=rng)
    return M, M @ (rng.lognormal(2, 1, size=N) * (rng.random(N) < 0.3))


def watchers(name: str, folder: str) -> list[Any]:
    """Return the callbacks of a case; early stopping waits longer than the fit lasts."""
    made = {
        "progress_bar": lambda: callbacks.progress_bar(file=io.StringIO()),
        "early_stopping": lambda: callbacks.early_stopping("worst", patience=EPOCHS),
        "history": callbacks.history,
        "checkpoint": lambda: callbacks.checkpoint(tempfile.mkdtemp(dir=folder)),
        "csv_log": lambda: callbacks.csv_log(Path(folder) / "log.csv", worst=50),
    }
    return [made[each]() for each in (TOGETHER if name == "all three" else [name])]


class Clock(callbacks.FitCallback):
    """Adds up the time between its calls and those of its `partner`, which comes after all others."""

    def __init__(self, every: int) -> None:
        self.every, self.since, self.total = every, math.nan, 0.0
        self.partner = Partner(self)

    def __call__(self, progress: Any) -> None:
        """Start."""
        self.since = time.perf_counter()

    def close(self, final: Any) -> None:
        """Start, at the end of the fit, when bars are closed and checkpoints written."""
        if math.isnan(self.since):  # else a callback has stopped the fit
            self.since = time.perf_counter()


class Partner(callbacks.FitCallback):
    """Stops a clock."""

    after_others = True

    def __init__(self, clock: Clock) -> None:
        self.clock, self.every = clock, clock.every

    def __call__(self, progress: Any) -> None:
        """Stop."""
        self.clock.total += time.perf_counter() - self.clock.since
        self.clock.since = math.nan

    def close(self, final: Any) -> None:
        """Stop."""
        self(None)


def measured(M: Any, y: Any, watch: list[Any]) -> tuple[float, float]:
    """Return the seconds of one fit without its callbacks, and those of the callbacks."""
    model = SparseCalibrationWeights(M.shape[1], beta=0.35, log_weight_jitter_sd=0.05, seed=0)
    lr = schedules.Cosine(0.15, 0.001, epochs=EPOCHS)
    settings = {"lambda_l0": 1e-3, "lambda_l2": 1e-8, "lr": lr, "epochs": EPOCHS, "loss_type": "relative"}
    clock = Clock(min((callback.every or 100) for callback in watch))
    began = time.perf_counter()
    model.fit(M, y, callbacks=[clock, *watch, clock.partner], **settings)
    return time.perf_counter() - began - clock.total, clock.total


def main() -> None:
    """Measure each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=CASES, help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--rounds", type=int, default=11, help="fits for each case")
    given = parser.parse_args()
    M, y = problem()
    measured(M, y, [callbacks.history()])  # loads the kernels
    print(f"{'callbacks':<16}{'fit, s':>10}{'callbacks, s':>14}{'cost':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.cases:
            runs = [measured(M, y, watchers(name, folder)) for _ in range(given.rounds)]
            fit, inside = (statistics.median(times) for times in zip(*runs, strict=True))
            cost = statistics.median(b / a for a, b in runs)
            note = f"   goal {GOAL:.0%}: {'met' if cost < GOAL else 'missed'}" if name == "all three" else ""
            print(f"{name:<16}{fit:>10.3f}{inside:>14.4f}{cost:>8.1%}{note}", flush=True)


if __name__ == "__main__":
    main()
