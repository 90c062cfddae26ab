"""Measure ranks that share the columns: against threads, in weak scaling, and from files larger than memory.

Needs the extra `mpi` and an MPI library (`pip install ".[mpi]" mpich`).

    python benchmarks/mpi.py                  # national problems of 500,000 and 5,000,000 records
    python benchmarks/mpi.py --sizes 100000   # smaller ones; both write the page
    python benchmarks/mpi.py --large          # 20,000,000 records x 20,000 targets, 5 GB on disk; prints
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pages import machine, paragraph
from problems import national

from l0np import ColumnMatrix

RESULTS = Path(__file__).parent / "results"
WORKER = """
import json, os, sys, time
import numpy as np
from l0np import ColumnMatrix, SparseCalibrationWeights
folder, epochs, with_ranks = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "ranks"
exchanged = [0.0]
communicator, columns, rank = None, None, 0
if with_ranks:
    from l0np.mpi import World

    class Timed(World):
        def allreduce(self, array):
            start = time.perf_counter()
            total = super().allreduce(array)
            exchanged[0] += time.perf_counter() - start
            return total

    communicator = Timed()
    columns, rank = communicator.columns(folder), communicator.rank
M = ColumnMatrix.open(folder, columns)
y = np.load(folder + ".y.npy")
weight = float(np.load(folder + ".weight.npy"))
model = SparseCalibrationWeights(M.shape[1], seed=0, beta=0.35, init_keep_prob=0.999, init_weights=weight)
fit = {"lr": 1e-6, "lambda_l0": 1e-9, "loss_type": "relative", "verbose_freq": 10**9}
model.fit(M, y, epochs=2, communicator=communicator, **fit)
times = []
for _ in range(3):  # an epoch is what longer fits take more than shorter ones
    seconds = []
    for n in (1, 1 + epochs):
        exchanged[0] = 0.0
        start = time.perf_counter()
        model.fit(M, y, epochs=n, communicator=communicator, **fit)
        seconds.append((time.perf_counter() - start, exchanged[0]))
    times.append([(long - short) / epochs for short, long in zip(*seconds)])
def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1e6 for line in status if line.startswith(name))
epoch, exchange = min(times)
found = {"epoch": epoch, "exchange": exchange, "anonymous": memory("RssAnon"), "peak": memory("VmHWM"),
         "entries": M.nnz, "columns": M.shape[1], "rows": M.shape[0]}
print("FOUND " + json.dumps(found), flush=True)
"""
# Nominal latency (s) and bandwidth (bytes / s) of two networks, for the model
NETWORKS = {"InfiniBand HDR, 200 Gbit/s": (2e-6, 25e9), "Ethernet, 10 Gbit/s over TCP": (30e-6, 1.25e9)}
MODEL = {"records": 1e9, "targets": 20_000, "entries": 37e9, "ranks": (16, 64, 256)}


def measured(
    folder: Path, *, ranks: int, threads: int, epochs: int, with_ranks: bool = True, seconds: int = 3600
) -> list[Any]:
    """Return what each rank of a run measured."""
    environment = os.environ | {"NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", WORKER, str(folder), str(epochs)]
    if with_ranks:
        beside = str(Path(sys.executable).parent)
        mpiexec = shutil.which("mpiexec", path=os.pathsep.join([beside, os.environ["PATH"]]))
        command = [str(mpiexec), "-n", str(ranks), *command, "ranks"]
    else:
        command.append("threads")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds)
    if done.returncode:
        raise RuntimeError(done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    return [json.loads(line.removeprefix("FOUND ")) for line in lines]


def saved(folder: Path, n_columns: int) -> Path:
    """Save a national problem."""
    case = national(n_columns)
    ColumnMatrix(case.data, case.indices, case.indptr, case.shape, copy=False).save(folder)
    np.save(f"{folder}.y.npy", case.y)
    np.save(f"{folder}.weight.npy", case.model["init_weights"])
    return folder


def generated(folder: Path, n_columns: int, n_rows: int, per_column: int = 37, block: int = 250_000) -> Path:
    """Write a problem block by block: each record adds to rows of its district, its state and the nation."""
    rng, n_districts = np.random.default_rng(0), 400
    own = (n_rows - 2_000) // n_districts
    with ColumnMatrix.writer(folder, n_rows) as writer:
        for first in range(0, n_columns, block):
            n = min(block, n_columns - first)
            district = (first + np.arange(n)) * n_districts // n_columns
            narrow, wide = per_column // 3, per_column - per_column // 3
            steps = rng.integers(1, own // narrow, (n, narrow))
            rows = 2_000 + own * district[:, None] + np.cumsum(steps, axis=1) - 1
            shared = np.cumsum(rng.integers(1, 2_000 // wide, (n, wide)), axis=1) - 1
            indices = np.concatenate([shared, rows], axis=1).ravel()
            values = rng.lognormal(size=len(indices)).astype(np.float32)
            pointers = np.arange(0, len(indices) + 1, per_column)
            writer.append(ColumnMatrix(values, indices, pointers, (n_rows, n), copy=False))
    np.save(f"{folder}.y.npy", np.full(n_rows, 1e6))
    np.save(f"{folder}.weight.npy", 1.0)
    return folder


def rows_of(size: int, epochs: int, folder: Path) -> list[Any]:
    """Measure one size in all ways."""
    whole = saved(folder / "whole", size)
    runs = {
        "1 rank of 1 thread": measured(whole, ranks=1, threads=1, epochs=epochs),
        "2 threads, no ranks": measured(whole, ranks=1, threads=2, epochs=epochs, with_ranks=False),
        "2 ranks of 1 thread": measured(whole, ranks=2, threads=1, epochs=epochs),
    }
    half = saved(folder / "half", size // 2)
    runs["half the records, 1 rank"] = measured(half, ranks=1, threads=1, epochs=epochs)
    return [{"records": size, "run": name, "ranks": found} for name, found in runs.items()]


def epoch_model(entries_per_second: float) -> Iterator[tuple[str, int, float, float]]:
    """Return (network, ranks, seconds of computing, seconds of exchange) of an epoch of the large problem."""
    size = 8 * (MODEL["targets"] + 2)
    for network, (latency, bandwidth) in NETWORKS.items():
        for ranks in MODEL["ranks"]:
            computing = MODEL["entries"] / ranks / entries_per_second
            exchange = 2 * np.log2(ranks) * latency + 2 * (ranks - 1) / ranks * size / bandwidth
            yield network, ranks, computing, float(exchange)


def page(rows: list[Any], where: str) -> str:
    """Return the page of the figures."""
    lines = [
        "# Ranks that share the columns",
        "",
        paragraph(f"Written by `benchmarks/mpi.py` on {where}."),
        "",
    ]
    intro = (
        "Epochs of the national problem (19,480 targets), in float32, all gates open. Ranks are processes on "
        "one machine, each with its own columns of a memory map; ms are of the slowest rank, the least of "
        "three "
        "runs. Anonymous memory is that of one rank, the matrix not included."
    )
    lines += [paragraph(intro), ""]
    lines += ["| records | run | ms per epoch | in the all-reduce | entries per second | GB anonymous |"]
    lines += ["|---:|---|---:|---:|---:|---:|"]
    for row in rows:
        found = row["ranks"]
        epoch, entries = max(r["epoch"] for r in found), sum(r["entries"] for r in found)
        exchange = max(r["exchange"] for r in found)
        figures = f"{1e3 * epoch:.1f} | {1e3 * exchange:.2f} | {entries / epoch:.2e}"
        memory = max(r["anonymous"] for r in found)
        lines.append(f"| {row['records']:,} | {row['run']} | {figures} | {memory:.2f} |")
    one = [r for r in rows if r["run"] == "1 rank of 1 thread"][-1]["ranks"][0]
    speed = one["entries"] / one["epoch"]
    lines += ["", "## A model of a large machine", ""]
    model = (
        f"{MODEL['records']:.0e} records x {MODEL['targets']:,} targets, {MODEL['entries']:.1e} entries, one "
        f"thread for each rank, at the {speed:.2e} entries per second of one rank above. An all-reduce of "
        "the "
        "targets takes 2 log2(R) latencies and twice its bytes over the bandwidth; latencies and bandwidths "
        "are the nominal ones of the networks, not measured."
    )
    lines += [paragraph(model), ""]
    lines += ["| network | ranks | seconds per epoch | of these in the all-reduce |", "|---|---:|---:|---:|"]
    for network, ranks, computing, exchange in epoch_model(speed):
        part = exchange / (computing + exchange)
        lines.append(
            f"| {network} | {ranks} | {computing + exchange:.3f} | {exchange * 1e3:.3f} ms, {part:.2%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500_000, 5_000_000])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--columns", type=int, default=20_000_000, help="of --large")
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as name:
        folder = Path(name)
        if given.large:
            whole = generated(folder / "large", given.columns, 20_000)
            size = sum(f.stat().st_size for f in whole.iterdir()) / 1e9
            for found in measured(whole, ranks=2, threads=1, epochs=given.epochs):
                print(
                    f"{found['columns']:,} columns, {found['entries']:,} entries, {size:.1f} GB on disk:",
                    found,
                )
            return
        rows = []
        for size in given.sizes:
            rows += rows_of(size, given.epochs, folder / str(size))
    if given.print:
        print(page(rows, machine()))
        return
    (RESULTS / "mpi.json").write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    (RESULTS / "mpi.md").write_text(page(rows, machine()))


if __name__ == "__main__":
    main()
