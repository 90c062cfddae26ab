"""Measure an epoch on the CPU beside its rivals, and write the table that docs/performance.md shows.

    nox -s bench -- [SECTION ...] [--rounds 5]

Each measurement is a process of its own (rivals.py). The rivals of a problem take turns, round by round, and
the medians over the rounds are reported. Sections that are not named keep their earlier results. Writes
benchmarks/results/cpu.json and, through cpu_report.py, cpu.md and cpu.png. nox makes two environments: one
with this package, and one with PyTorch and l0-python, whose Python is passed on as --rival-python.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pages import processor
from problems import CASES

HERE = Path(__file__).parent
RESULTS = HERE / "results"
CPUS = len(os.sched_getaffinity(0))
THREADS = (1, CPUS) if CPUS > 1 else (1,)
# section: {rival: (thread counts, epochs of one timed fit)}
COMPARED = {
    "readme": {
        "ours": (THREADS, 2000), "ours-numpy": ((1,), 100), "scipy": ((1,), 100),
        "torch": (THREADS, 60), "original": (THREADS, 10), "limit": (THREADS, 100),
    },
    "readme-fit": {"ours": (THREADS, 2000), "original": (THREADS, 100)},
    "stress": {
        "ours": (THREADS, 500), "ours-numpy": ((1,), 10), "scipy": ((1,), 10),
        "torch": (THREADS, 20), "original": (THREADS, 3), "limit": (THREADS, 30),
    },
    "national-500k": {
        "ours": (THREADS, 60), "ours-numpy": ((1,), 5), "scipy": ((1,), 5),
        "torch": (THREADS, 5), "original": (THREADS, 2), "limit": (THREADS, 10),
    },
    "regression": {
        "ours": (THREADS, 40), "ours-numpy": ((1,), 5), "scipy": ((1,), 5),
        "torch": (THREADS, 10), "original": (THREADS, 3), "limit": (THREADS, 20),
    },
}  # fmt: skip
ALONE = {
    "stress-closed": 1000, "national-500k-closed": 100,
    **{f"sized-{e}": min(10 ** (9 - e) // 5, 5000) for e in (4, 5, 6, 7, 8)},
    **{f"stress-{keep}": 200 for keep in (0.5, 0.2, 0.1, 0.05, 0.02)},
}  # fmt: skip


def call(python: str, *arguments: Any, **environment: str) -> dict[str, Any]:
    """Run a process whose last line of output is JSON, and return what it says."""
    command = [python, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, env=os.environ | environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def limit(name: str, threads: int, runs: int, folder: Path) -> dict[str, Any]:
    """Run the plain C loops on the same problem."""
    own = folder / name
    if not own.exists():
        own.mkdir()
        case = CASES[name]()
        arrays = {"data": case.data, "indices": case.indices, "indptr": case.indptr.astype("int64")}
        for part, array in arrays.items():
            array.tofile(own / part)
        index = {2: "uint16_t", 4: "int32_t"}[case.indices.itemsize]
        flags = ["-O3", "-march=native", "-pthread", f"-DINDEX={index}"]
        subprocess.run(["cc", *flags, str(HERE / "limit.c"), "-o", str(own / "run")], check=True)
        (own / "rows").write_text(str(case.shape[0]))
    arguments = [own / "run", own, (own / "rows").read_text(), threads, runs]
    output = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=True).stdout
    return {"seconds": [float(line) for line in output.split()][1:]}


def compare(
    name: str, rivals: dict[str, Any], rounds: int, rival_python: str, folder: Path
) -> dict[str, Any]:
    """Let the rivals take turns; return each one's median seconds for an epoch."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for turn in range(rounds):
        for rival, (thread_counts, epochs) in rivals.items():
            for threads in thread_counts:
                if rival == "limit":
                    found = limit(name, threads, epochs, folder)
                else:
                    python = sys.executable if rival.startswith("ours") else rival_python
                    environment = {"OMP_NUM_THREADS": str(threads)} if not rival.startswith("ours") else {}
                    found = call(python, "rivals.py", rival, name, threads, epochs, 1, **environment)
                seconds = statistics.median(found["seconds"])
                runs.setdefault(f"{rival}/{threads}", []).append(found | {"seconds": seconds})
                print(
                    f"{name}: {rival}, {threads} threads, round {turn + 1}: {1e3 * seconds:.3f} ms",
                    flush=True,
                )
    return {
        key: {field: statistics.median(run[field] for run in of_rival) for field in of_rival[0]}
        | {"all_seconds": [run["seconds"] for run in of_rival]}
        for key, of_rival in runs.items()
    }


# Seconds of the import and of a first fit
START = """
import time; start = time.perf_counter()
import l0np; imported = time.perf_counter() - start
import json, numpy as np
M = np.random.default_rng(0).random((10, 200))
start = time.perf_counter()
l0np.SparseCalibrationWeights(200, seed=0).fit(M, M.sum(axis=1), epochs=10, loss_type="relative")
print(json.dumps({"import": imported, "first_fit": time.perf_counter() - start}))
"""

# Conversion of a csr matrix: seconds, and bytes per entry beyond input and result; the same for a short fit
CONVERT = """
import json, time, numpy as np
from problems import CASES
from l0np import ColumnMatrix, SparseCalibrationWeights
case = CASES["national-500k"]()
csr = case.csr(); csr.data = csr.data.astype(np.float64)
part = csr[:, :50_000]
ColumnMatrix.build(part)  # loads Numba and compiles, because it has more than a million entries
SparseCalibrationWeights(50_000, **case.model).fit(part, case.y, epochs=2, **case.fit)
y, model, fit = case.y, case.model, case.fit
del case, part
def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])
def now():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1])
open("/proc/self/clear_refs", "w").write("5")  # the peak is counted from here again
before = now()
start = time.perf_counter()
matrix = ColumnMatrix.build(csr)
seconds = time.perf_counter() - start
result = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
beyond = (1024 * (peak() - before) - result) / matrix.nnz
matrix = None
open("/proc/self/clear_refs", "w").write("5")
before = now()
SparseCalibrationWeights(csr.shape[1], **model).fit(csr, y, epochs=5, **fit)
fit = (1024 * (peak() - before) - 100 * csr.shape[1]) / csr.nnz
print(json.dumps({"seconds": seconds, "beyond": beyond, "fit": fit, "entries": csr.nnz}))
"""

# Nanoseconds of the two products, for each entry, and of an epoch with all gates closed, for each column
PARTS = """
import json, statistics, sys, time, numba, numpy as np
numba.set_num_threads(1)
import l0np
from l0np.backends import get_backend
from problems import CASES, HOLD
case = CASES[sys.argv[1]]()
M = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape, copy=False)
backend = get_backend("numba")
matrix, rows, weights = backend.matrix(M), np.ones(case.shape[0]), np.ones(case.shape[1], np.float32)
def seconds(call):
    call(); times = []
    for _ in range(11):
        start = time.perf_counter(); call(); times.append(time.perf_counter() - start)
    return statistics.median(times)
closed = l0np.SparseCalibrationWeights(case.shape[1], **case.model | {"init_keep_prob": 1e-6})
epochs = max(1, 2_000_000 // case.shape[1])
fit = lambda: closed.fit(M, case.y, epochs=epochs, **case.fit | {"lr": HOLD})
print(json.dumps({
    "gather": 1e9 * seconds(lambda: backend.rmatvec(matrix, rows)) / M.nnz,
    "scatter": 1e9 * seconds(lambda: backend.matvec(matrix, weights)) / M.nnz,
    "closed column": 1e9 * seconds(fit) / epochs / case.shape[1],
}))
"""

# A fit at national size: seconds and peak memory
WHOLE = """
import json, resource, sys, time
from problems import national
import l0np
case = national(5_000_000)
matrix = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape, copy=False)
model = l0np.SparseCalibrationWeights(case.shape[1], **case.model)
start = time.perf_counter()
model.fit(matrix, case.y, epochs=int(sys.argv[1]), **case.fit)
seconds = time.perf_counter() - start
peak, still_open = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, model.get_l0_penalty()
print(json.dumps({"seconds": seconds, "entries": matrix.nnz, "peak_bytes": peak, "open": still_open}))
"""


def starts(rounds: int) -> dict[str, Any]:
    """Measure import and first fit in processes of their own, without and with the kernel cache."""
    with tempfile.TemporaryDirectory() as cache:
        # Python's own cache of byte code is filled first, as it is after an installation
        python = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{cache}/python"}
        call(sys.executable, "-c", START, NUMBA_CACHE_DIR=f"{cache}/first", **python)
        cold, warm = (
            [
                call(sys.executable, "-c", START, NUMBA_CACHE_DIR=f"{cache}/{turn}", **python)
                for turn in range(rounds)
            ]
            for _ in range(2)
        )
    return {
        "import": statistics.median(run["import"] for run in warm),
        "first_fit_cold": statistics.median(run["first_fit"] for run in cold),
        "first_fit_cached": statistics.median(run["first_fit"] for run in warm),
    }


def bandwidth(folder: Path) -> dict[str, float]:
    """Return how fast memory is read, in bytes per second, for each number of threads."""
    program = folder / "bandwidth"
    flags = ["-O3", "-march=native", "-pthread"]
    subprocess.run(["cc", *flags, str(HERE / "bandwidth.c"), "-o", str(program)], check=True)
    runs = [subprocess.run([program, str(n)], capture_output=True, text=True, check=True) for n in THREADS]
    return {str(n): float(run.stdout) for n, run in zip(THREADS, runs, strict=True)}


def machine(rival_python: str) -> dict[str, str]:
    """Return the processor and the versions of what was measured."""
    versions = "import importlib.metadata as m, json; print(json.dumps({p: m.version(p) for p in %r}))"
    about = {"cpu": f"{processor()}, {CPUS} threads", "python": platform.python_version()}
    about |= call(sys.executable, "-c", versions % ["numpy", "scipy", "numba"])
    return about | call(rival_python, "-c", versions % ["torch", "l0-python"])


def parts(folder: Path) -> dict[str, Any]:
    """Return the results that say where the time of an epoch and of a first fit goes."""
    names = ("readme", "stress", "national-500k")
    return {
        "parts": {name: call(sys.executable, "-c", PARTS, name) for name in names},
        "stages": call(sys.executable, "stages.py", "columns"),
        "compiling": call(sys.executable, "stages.py", "compiling", NUMBA_CACHE_DIR=f"{folder}/empty"),
    }


def memory(rival_python: str, folder: Path) -> dict[str, Any]:
    """Return the peak memory of each rival on each problem, in kilobytes."""
    peaks = {}
    for name, rivals in COMPARED.items():
        short = {rival: ((1,), 2) for rival in rivals if rival != "limit"}
        found = compare(name, short, 1, rival_python, folder)
        peaks[name] = {key.split("/")[0]: run["peak_kb"] for key, run in found.items()}
    return peaks


def conversion(rounds: int) -> dict[str, Any]:
    """Return the medians of `CONVERT`."""
    turns = [call(sys.executable, "-c", CONVERT) for _ in range(rounds)]
    return {field: statistics.median(turn[field] for turn in turns) for field in turns[0]}


def alone(rounds: int, folder: Path) -> dict[str, Any]:
    """Return what this package takes for problems of many sizes and fractions of open gates."""
    return {
        name: compare(name, {"ours": ((CPUS,), epochs)}, rounds, "", folder) for name, epochs in ALONE.items()
    }


def measure(section: str, rounds: int, rival_python: str, folder: Path) -> dict[str, Any]:
    """Return the results of a section by name."""
    if section in COMPARED:
        return {section: compare(section, COMPARED[section], rounds, rival_python, folder)}
    if section == "alone":
        return alone(rounds, folder)
    others: dict[str, Callable[[], dict[str, Any]]] = {
        "memory": lambda: {"memory": memory(rival_python, folder)},
        "start": lambda: {"start": starts(rounds)},
        "convert": lambda: {"convert": conversion(rounds)},
        "parts": lambda: parts(folder),
        "bandwidth": lambda: {"bandwidth": bandwidth(folder)},
        "national-5m": lambda: {"national-5m": call(sys.executable, "-c", WHOLE, 1000)},
    }
    return others[section]()


SECTIONS = (*COMPARED, "memory", "alone", "start", "convert", "parts", "bandwidth", "national-5m")


def main() -> None:
    """Measure the sections that are named, keep the results of the others, write JSON and Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; all by default"
    )
    parser.add_argument(
        "--rival-python",
        default=os.environ.get("RIVAL_PYTHON", sys.executable),
        help="Python of the environment with PyTorch and l0-python (default: RIVAL_PYTHON, else this one)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each rival (default: 5)")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "cpu.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine(options.rival_python)
    with tempfile.TemporaryDirectory() as folder:
        for section in options.sections or SECTIONS:
            results |= measure(section, options.rounds, options.rival_python, Path(folder))
            path.write_text(json.dumps(results, indent=1) + "\n")
    subprocess.run([sys.executable, str(HERE / "cpu_report.py")], check=True)


if __name__ == "__main__":
    main()
