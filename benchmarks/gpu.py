"""Measure an epoch on a CUDA device, beside l0-python and PyTorch on the same card and l0np on the CPU.

    nox -s gpu
    python benchmarks/gpu.py [PROBLEM ...] [--device cuda] [--turns 5]

Rivals take turns. The time of an epoch is the slope between a short and a long fit, so that copying the
matrix to the device and capturing the graph do not count; medians over the turns are reported. A rival that
is not installed is left out, one that fails is reported with its error. Writes benchmarks/results/gpu.json
and gpu.md, which name the card.
"""

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from problems import Case, national, readme, stress
from rivals import ours
from scipy import sparse

RESULTS = Path(__file__).parent / "results"
BYTES = 6  # of an entry: what an epoch reads at least
Fit = Callable[[int], Any]


@dataclass(frozen=True)
class Problem:
    """What is measured: a title for the report, the problem, and the epochs of each rival's short fit.

    The long fit has three times as many epochs: enough for the difference to stand out from the time that
    copying the matrix takes, which varies.
    """

    title: str
    make: Callable[[], Case]
    epochs: dict[str, int]


PROBLEMS = {
    "readme": Problem(
        "README example, 200 x 10,000", readme, {"ours": 2000, "cpu": 200, "original": 100, "torch": 500}
    ),
    "stress": Problem(
        "stress, 2,000 x 20,000", stress, {"ours": 1000, "cpu": 30, "original": 50, "torch": 200}
    ),
    "national-5m": Problem(
        "national, 19,480 x 5,000,000",
        lambda: national(5_000_000),
        {"ours": 500, "cpu": 3, "original": 50, "torch": 100},
    ),
}


def original(case: Case, device: str) -> Fit:
    """Return a fit of l0-python on the same card."""
    import torch
    from l0.calibration import SparseCalibrationWeights

    model = SparseCalibrationWeights(case.shape[1], device=device, **case.model)
    csr = sparse.csr_matrix(case.csr())

    def fit(epochs: int) -> None:
        model.fit(csr, case.y, epochs=epochs, **case.fit)
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return fit


def torch_user(case: Case, device: str) -> Fit:
    """Return what a careful PyTorch user writes: CSR products with M and its transpose, gradients by hand.

    Everything but the products is compiled by `torch.compile`.
    """
    import torch

    def tensor(m: Any) -> Any:
        parts = [torch.from_numpy(part.astype(np.int32)) for part in (m.indptr, m.indices)]
        return torch.sparse_csr_tensor(*parts, torch.from_numpy(m.data), size=m.shape).to(device)

    csr, n, beta = case.csr(), case.shape[1], case.model["beta"]
    M, MT = tensor(csr), tensor(csr.T.tocsr())
    y = torch.tensor(case.y, dtype=torch.float32, device=device)
    scale = 2 / (y + 1) ** 2
    keep = min(max(case.model["init_keep_prob"], 1e-6), 1 - 1e-6)
    theta = torch.full((n,), float(np.log(case.model["init_weights"])), device=device)
    alpha = torch.full((n,), float(np.log(keep / (1 - keep))), device=device)
    moments = [torch.zeros(n, device=device) for _ in range(4)]
    shift = float(-beta * np.log(0.1 / 1.1))
    l0, l2, lr = case.fit["lambda_l0"], case.fit.get("lambda_l2", 0.0), case.fit["lr"]

    @torch.compile
    def sample(theta: Any, alpha: Any, u: Any) -> Any:
        a, u = alpha.clamp(-20, 20), u.clamp(1e-6, 1 - 1e-6)
        s = torch.sigmoid((torch.log(u / (1 - u)) + a) / beta)
        bar, w = s * 1.2 - 0.1, theta.exp()
        return w * bar.clamp(0, 1), w, torch.where((bar > 0) & (bar < 1), s * (1 - s), 0.0) * (1.2 / beta)

    @torch.compile
    def update(G: Any, wz: Any, w: Any, slope: Any, theta: Any, alpha: Any, moments: Any, c: Any) -> Any:
        p = torch.sigmoid(alpha.clamp(-20, 20) + shift)
        g1, g2 = G * wz + 2 * l2 * w * w, G * w * slope + l0 * p * (1 - p)
        m1, v1, m2, v2 = moments
        m1, v1 = 0.9 * m1 + 0.1 * g1, 0.999 * v1 + 0.001 * g1 * g1
        m2, v2 = 0.9 * m2 + 0.1 * g2, 0.999 * v2 + 0.001 * g2 * g2
        theta = theta - c[0] * m1 / (v1.sqrt() * c[1] + 1e-8)
        alpha = alpha - c[0] * m2 / (v2.sqrt() * c[1] + 1e-8)
        return theta, alpha, m1, v1, m2, v2

    step = 0

    @torch.no_grad()  # for this rival alone: l0-python, in the same process, needs gradients
    def fit(epochs: int) -> None:
        nonlocal theta, alpha, moments, step
        sizes = [(lr / (1 - 0.9**t), 1 / np.sqrt(1 - 0.999**t)) for t in range(step + 1, step + epochs + 1)]
        corrections = torch.tensor(sizes, dtype=torch.float32, device=device)
        for c in corrections:
            wz, w, slope = sample(theta, alpha, torch.rand(n, device=device))
            G = torch.mv(MT, scale * (torch.mv(M, wz) - y))
            theta, alpha, *moments = update(G, wz, w, slope, theta, alpha, moments, c)
        step += epochs
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return fit


def rivals(case: Case, device: str) -> dict[str, Callable[[], Fit]]:
    """Return what makes the fit of each rival that is installed."""
    found: dict[str, Callable[[], Fit]] = {
        "ours": lambda: ours(case, 1, device),
        "cpu": lambda: ours(case, len(os.sched_getaffinity(0))),
    }
    if importlib.util.find_spec("torch"):
        found["torch"] = lambda: torch_user(case, device)
        if importlib.util.find_spec("l0"):
            found["original"] = lambda: original(case, device)
    return found


def ready(makers: dict[str, Callable[[], Fit]]) -> tuple[dict[str, Fit], dict[str, str]]:
    """Make each rival's fit and warm it up; return those that run, and the errors of the others.

    An error of this package's own fit on the device is raised.
    """
    fits: dict[str, Fit] = {}
    failures: dict[str, str] = {}
    for name, make in makers.items():
        try:
            fit = make()
            fit(2)
            fits[name] = fit
        except Exception as reason:  # from any library: too little memory, no compiler
            if name == "ours":
                raise
            failures[name] = f"{type(reason).__name__}: {str(reason).strip().partition(chr(10))[0]}"
    return fits, failures


def slope(fit: Fit, epochs: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of an epoch, from the difference between a fit of 3 `epochs` and one of `epochs`."""
    times = []
    for n in (epochs, 3 * epochs):
        start = clock()
        fit(n)
        times.append(clock() - start)
    return (times[1] - times[0]) / (2 * epochs)


def take_turns(fits: dict[str, Fit], epochs: dict[str, int], turns: int) -> dict[str, list[float]]:
    """Return each rival's seconds for an epoch, one figure per turn."""
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    for _ in range(turns):
        for name, fit in fits.items():
            seconds[name].append(slope(fit, epochs[name]))
    return seconds


def copy_bandwidth(cupy: Any, size: int = 1 << 30, turns: int = 20) -> float:
    """Return the bytes that a copy on the device reads and writes per second."""
    source = cupy.zeros(size, cupy.uint8)
    target = cupy.empty_like(source)
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.copyto(target, source)
    start.record()
    for _ in range(turns):
        cupy.copyto(target, source)
    stop.record()
    stop.synchronize()
    return 2 * size * turns / (1e-3 * float(cupy.cuda.get_elapsed_time(start, stop)))


def table(results: dict[str, Any]) -> str:
    """Return the report in Markdown."""
    machine, bandwidth = results["machine"], results["copy_bandwidth"]
    lines = [
        f"# An epoch on {machine['card']}",
        "",
        f"CUDA {machine['cuda']}, driver {machine['driver']}, CuPy {machine['cupy']}; "
        f"a copy on the device moves {bandwidth / 1e9:,.0f} GB/s. "
        "Medians over turns. GB/s counts 6 bytes for each non-zero, once.",
        "",
        "| problem | non-zeros | l0np, µs | GB/s | of the copy "
        "| l0-python, µs | PyTorch, µs | l0np on the CPU, µs | l0-python / l0np |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    notes = []
    for found in results["problems"].values():
        median = {rival: 1e6 * statistics.median(seconds) for rival, seconds in found["seconds"].items()}
        speed = BYTES * found["entries"] / (1e-6 * median["ours"])
        others = [
            f"{median[rival]:,.0f}" if rival in median else "-" for rival in ("original", "torch", "cpu")
        ]
        ratio = f"**{median['original'] / median['ours']:.0f}**" if "original" in median else "-"
        cells = [
            found["title"],
            f"{found['entries'] / 1e6:.1f} M",
            f"{median['ours']:,.1f}",
            f"{speed / 1e9:,.0f}",
        ]
        lines.append("| " + " | ".join([*cells, f"{speed / bandwidth:.0%}", *others, ratio]) + " |")
        for rival, reason in found["failures"].items():
            notes += ["", f"{found['title']}: {rival} did not run, {reason}."]
    return "\n".join([*lines, *notes]).rstrip() + "\n"


def machine(index: int) -> tuple[dict[str, Any], float]:
    """Return the card's name with the versions of its software, and the bandwidth of a copy on it."""
    import cupy

    with cupy.cuda.Device(index):
        runtime = cupy.cuda.runtime
        about = {
            "card": runtime.getDeviceProperties(index)["name"].decode(),
            "cuda": runtime.runtimeGetVersion(),
            "driver": runtime.driverGetVersion(),
            "cupy": cupy.__version__,
        }
        return about, copy_bandwidth(cupy)


def measure(
    problems: Mapping[str, Problem],
    device: str,
    turns: int,
    about: tuple[dict[str, Any], float],
    folder: Path,
) -> dict[str, Any]:
    """Measure the problems one after the other; after each, write all results so far into the folder."""
    results: dict[str, Any] = {"machine": about[0], "copy_bandwidth": about[1], "problems": {}}
    folder.mkdir(exist_ok=True)
    for name, problem in problems.items():
        case = problem.make()
        fits, failures = ready(rivals(case, device))
        results["problems"][name] = {
            "title": problem.title,
            "entries": int(case.indptr[-1]),
            "seconds": take_turns(fits, problem.epochs, turns),
            "failures": failures,
        }
        (folder / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
        (folder / "gpu.md").write_text(table(results))
    return results


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "problems", nargs="*", metavar="PROBLEM", help=f"{', '.join(PROBLEMS)}; all by default"
    )
    parser.add_argument("--device", default="cuda", help='"cuda" or "cuda:1" (default: cuda)')
    parser.add_argument("--turns", type=int, default=5, help="turns of each rival (default: 5)")
    options = parser.parse_args()
    unknown = set(options.problems) - set(PROBLEMS)
    if unknown:
        parser.error(f"unknown problem {', '.join(sorted(unknown))}; there are {', '.join(PROBLEMS)}")
    about = machine(int(options.device.partition(":")[2] or 0))
    problems = {name: PROBLEMS[name] for name in options.problems or PROBLEMS}
    print(table(measure(problems, options.device, options.turns, about, RESULTS)))


if __name__ == "__main__":
    main()
