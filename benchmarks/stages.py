"""Profile the compiled epoch: the cost of each stage for a column in the cache, and the cost of compiling it.

    python benchmarks/stages.py columns     nanoseconds per column and stage, on one thread
    python benchmarks/stages.py compiling   seconds of a first fit, by function; NUMBA_CACHE_DIR must be empty

Prints a line of JSON. The section "parts" of cpu.py runs both.

This is the one benchmark that uses names which are not public. A stage is a function that exists only inside
the compiled epoch, and nothing public runs one stage alone. The stages come from the room
`l0np.backends.numba`, by its modules `kernels` and `elementary_kernels`, their constants from the room
`l0np.backends.numpy`; where one of them has another name, the script reports which.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

import l0np
from l0np.backends.numba import elementary_kernels, kernels
from l0np.backends.numpy import EpochConstants

STAGES = ("gates", "slopes", "list_open", "chain_theta", "chain_log_alpha", "adam")
OPTIONS = {"nogil": True, "error_model": "numpy"}  # those of the kernels
BLOCK = kernels.BLOCK
N, QUADS, ZERO, FOUR = (np.uint64(number) for number in (BLOCK, BLOCK // 4, 0, 4))
N_BLOCKS, REPEATS, ROUNDS = 8, 300, 9
CONSTANTS = {
    "shift": 0.8, "beta": 0.35, "gamma": -0.1, "stretch": 1.2, "slope": 3.4, "penalty_shift": 0.8,
    "lambda_l0": 1e-3, "lambda_l2": 1e-8, "lambda_anchor": 0.0, "step_size": 0.0, "root_factor": 1.0,
    "decay1": 0.9, "gain1": 0.1, "decay2": 0.999, "gain2": 0.001, "epsilon": 1e-8,
    "bound": 20.0, "largest_number": 3e38, "zero": 0.0, "one": 1.0, "two": 2.0,
    "smallest_exponent": -86.0, "largest_exponent": 86.0, "largest_log_weight": 89.0,
}  # fmt: skip


class Arrays(NamedTuple):
    """What the stages work on: parameters and slopes of all columns, and the arrays of one block."""

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
    is_open: Any
    product: Any
    listed: Any


def check_names() -> None:
    """Exit with a message if the kernels name a stage or a constant otherwise."""
    missing = [name for name in STAGES if not hasattr(kernels, name)]
    missing += [name for name in ("uniforms",) if not hasattr(elementary_kernels, name)]
    missing += sorted(set(EpochConstants._fields) ^ set(CONSTANTS))
    if missing:
        sys.exit(f"stages.py and the room l0np.backends.numba disagree on the names {', '.join(missing)}")


def columns() -> dict[str, float]:
    """Run each stage over a few blocks, many times; return nanoseconds per column."""
    import numba

    check_names()
    jit, rng = numba.njit(**OPTIONS), np.random.default_rng(0)
    constants = EpochConstants(**{name: np.float32(number) for name, number in CONSTANTS.items()})
    space = [np.abs(rng.normal(size=N_BLOCKS * BLOCK)).astype(np.float32) for _ in range(5)]
    block = [rng.random(BLOCK + 8).astype(np.float32) for _ in range(8)]
    arrays = Arrays(*space, *block, np.empty(BLOCK + 1, np.uint64))

    stages = {
        "noise": lambda j, a, c: elementary_kernels.uniforms(j // FOUR, QUADS, j, j, a.uniform),
        "gates": lambda j, a, c: kernels.gates(
            a.log_alpha, j, N, a.uniform, ZERO, c, a.gate, a.gate_slope, a.is_open
        ),
        "weights and slopes": lambda j, a, c: kernels.slopes(
            a.theta, a.gate, a.gate_slope, j, N, True, c, a.weight, a.product, a.slope, a.slope
        ),
        "lists of open columns": lambda j, a, c: kernels.list_open(a.gate, j, N, a.listed),
        "chain rule, weights": lambda j, a, c: kernels.chain_theta(
            a.gradient, a.slope, a.theta, j, N, True, c, a.change
        ),
        "chain rule, gates": lambda j, a, c: kernels.chain_log_alpha(
            a.gradient, a.slope, a.log_alpha, j, N, c, a.change
        ),
        "Adam": lambda j, a, c: kernels.adam(a.theta, a.first, a.second, j, N, a.gradient, c),
    }
    twice = ("lists of open columns", "Adam")  # an epoch runs these twice

    def run(stage: Any) -> float:
        stage = jit(stage)

        def blocks(repeats: int, arrays: Any, constants: Any) -> None:
            for _ in range(repeats):
                for number in range(N_BLOCKS):
                    stage(np.uint64(number * BLOCK), arrays, constants)

        compiled, times = jit(blocks), []
        compiled(1, arrays, constants)
        for _ in range(ROUNDS):
            start = time.process_time()  # not wall time, in which other processes would count
            compiled(REPEATS, arrays, constants)
            times.append(time.process_time() - start)
        return float(1e9 * np.median(times) / (REPEATS * N_BLOCKS * BLOCK))

    return {name: (2 if name in twice else 1) * run(stage) for name, stage in stages.items()}


def compiling() -> dict[str, float]:
    """Fit a small problem; return the seconds of each compilation, without those of the functions called."""
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


def main() -> None:
    """Profile and print."""
    profiles = {"columns": columns, "compiling": compiling}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("profile", choices=profiles)
    print(json.dumps(profiles[parser.parse_args().profile]()))


if __name__ == "__main__":
    main()
