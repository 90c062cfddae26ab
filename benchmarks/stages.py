"""Profile the compiled epoch: what each stage costs a column whose state is in the cache, and what compiling it costs.

    python benchmarks/stages.py columns     nanoseconds for each column and stage, on one thread
    python benchmarks/stages.py compiling   seconds of a first fit, by function; give NUMBA_CACHE_DIR an empty folder

Prints a line of JSON. Section "parts" of cpu.py runs both.
"""

import json
import sys
import time
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

import l0np
from l0np._jit import OPTIONS
from l0np.backends.numba import kernels as kernels
from l0np.backends.numba.kernels import BLOCK

N, QUADS, ZERO, FOUR = (np.uint64(number) for number in (BLOCK, BLOCK // 4, 0, 4))
N_BLOCKS, REPEATS, ROUNDS = 8, 300, 9
CONSTANTS = {
    "shift": 0.8, "beta": 0.35, "gamma": -0.1, "stretch": 1.2, "slope": 3.4, "penalty_shift": 0.8, "lambda_l0": 1e-3,
    "lambda_l2": 1e-8, "step_size": 0.0, "root_factor": 1.0, "decay1": 0.9, "gain1": 0.1, "decay2": 0.999, "gain2": 0.001,
    "epsilon": 1e-8, "bound": 30.0, "largest_number": 3e38, "zero": 0.0, "one": 1.0, "two": 2.0, "smallest_exponent": -86.0,
    "largest_exponent": 86.0, "largest_log_weight": 89.0,
}  # fmt: skip


class Arrays(NamedTuple):
    """What the stages work on: rows of column space, and of one block."""

    theta: Any
    first: Any
    second: Any
    log_alpha: Any
    slope: Any
    gradient: Any
    change: Any
    weight: Any
    gate: Any
    gate_slope: Any
    uniform: Any
    listed: Any


def columns() -> dict[str, float]:
    """Run each stage over a few blocks, again and again; return nanoseconds for a column."""
    import numba

    jit, rng = numba.njit(**OPTIONS), np.random.default_rng(0)
    constants = kernels.Constants(**{name: np.float32(number) for name, number in CONSTANTS.items()})
    space = [np.abs(rng.normal(size=N_BLOCKS * BLOCK)).astype(np.float32) for _ in range(5)]
    block = [rng.random(BLOCK + 8).astype(np.float32) for _ in range(6)]
    arrays = Arrays(*space, *block, np.empty(BLOCK + 1, np.uint64))

    stages = {
        "noise": lambda j, a, c: kernels._uniforms(j // FOUR, QUADS, j, j, a.uniform),
        "gates": lambda j, a, c: kernels._gates(a.log_alpha, j, N, a.uniform, ZERO, c, a.gate, a.gate_slope),
        "weights and slopes": lambda j, a, c: kernels._slopes(
            a.theta, a.gate, a.gate_slope, a.weight, j, N, True, c, a.slope, a.slope
        ),
        "lists of open columns": lambda j, a, c: kernels._list_open(a.gate, j, N, a.listed),
        "chain rule, weights": lambda j, a, c: kernels._chain_theta(a.gradient, a.slope, a.theta, j, N, True, c, a.change),
        "chain rule, gates": lambda j, a, c: kernels._chain_log_alpha(a.gradient, a.slope, a.log_alpha, j, N, c, a.change),
        "Adam": lambda j, a, c: kernels._adam(a.theta, a.first, a.second, j, N, a.gradient, c),
    }
    twice = ("lists of open columns", "Adam")  # in an epoch

    def run(stage: Any) -> float:
        stage = jit(stage)

        def blocks(repeats: int, arrays: Any, constants: Any) -> None:
            for _ in range(repeats):
                for place in range(N_BLOCKS):
                    stage(np.uint64(place * BLOCK), arrays, constants)

        compiled, times = jit(blocks), []
        compiled(1, arrays, constants)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            compiled(REPEATS, arrays, constants)
            times.append(time.perf_counter() - start)
        return float(1e9 * np.median(times) / (REPEATS * N_BLOCKS * BLOCK))

    return {name: (2 if name in twice else 1) * run(stage) for name, stage in stages.items()}


def compiling() -> dict[str, float]:
    """Fit a small problem; return the seconds of each compilation, without those of the functions that it calls."""
    from numba.core import event

    seconds: dict[str, float] = defaultdict(float)

    class Listener(event.Listener):
        def __init__(self) -> None:
            self.open: list[list[float]] = []

        def on_start(self, event: Any) -> None:
            self.open.append([time.perf_counter(), 0.0])

        def on_end(self, event: Any) -> None:
            start, inner = self.open.pop()
            whole = time.perf_counter() - start
            seconds[event.data["dispatcher"].py_func.__name__] += whole - inner
            if self.open:
                self.open[-1][1] += whole

    M = np.random.default_rng(0).random((10, 200))
    with event.install_listener("numba:compile", Listener()):
        start = time.perf_counter()
        l0np.SparseCalibrationWeights(200, seed=0).fit(M, M.sum(axis=1), epochs=10, loss_type="relative")
        whole = time.perf_counter() - start
    return dict(sorted(seconds.items(), key=lambda item: -item[1])) | {"first fit": whole}


if __name__ == "__main__":
    print(json.dumps({"columns": columns, "compiling": compiling}[sys.argv[1]]()))
