"""Measure an epoch on a CUDA device: against the original and PyTorch on the same card, our own CPU, and the card's memory.

Run it through ``nox -s gpu``. Rivals take turns; the time of an epoch is the slope between a short and a long fit, so that
moving the matrix and capturing the graph do not count; medians over turns. A rival that is not installed is left out, one that
fails is named with its reason.
Writes results/gpu.json and results/gpu.md, both with the card's name.
"""

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from problems import CASES, Case, national
from rivals import ours
from scipy import sparse

RESULTS = Path(__file__).parent / "results"
Fit = Callable[[int], Any]
# problem: epochs of the short fit of each rival; the long one has three times as many, enough to stand out from the time that
# moving the matrix takes, which varies
EPOCHS = {
    "readme": {"ours": 2000, "cpu": 200, "original": 100, "torch": 500},
    "stress": {"ours": 1000, "cpu": 30, "original": 50, "torch": 200},
    "national-5m": {"ours": 500, "cpu": 3, "original": 50, "torch": 100},
}
TITLES = {
    "readme": "README example, 200 x 10,000",
    "stress": "stress, 2,000 x 20,000",
    "national-5m": "national, 19,480 x 5,000,000",
}
BYTES = 6  # of an entry: what an epoch reads at least


def original(case: Case, device: str) -> Fit:
    """l0-python on the same card."""
    import torch
    from l0.calibration import SparseCalibrationWeights

    model, csr = SparseCalibrationWeights(case.shape[1], device=device, **case.model), sparse.csr_matrix(case.csr())

    def fit(epochs: int) -> None:
        model.fit(csr, case.y, epochs=epochs, **case.fit)
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return fit


def torch_user(case: Case, device: str) -> Fit:
    """What a careful PyTorch user writes: CSR products both ways, gradients by hand, everything else compiled."""
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
    shift, l0, l2, lr = float(-beta * np.log(0.1 / 1.1)), case.fit["lambda_l0"], case.fit.get("lambda_l2", 0.0), case.fit["lr"]

    @torch.compile
    def draw(theta: Any, alpha: Any, u: Any) -> Any:
        a, u = alpha.clamp(-20, 20), u.clamp(1e-6, 1 - 1e-6)
        s = torch.sigmoid((torch.log(u / (1 - u)) + a) / beta)
        bar, w = s * 1.2 - 0.1, theta.exp()
        return w * bar.clamp(0, 1), w, torch.where((bar > 0) & (bar < 1), s * (1 - s), 0.0) * (1.2 / beta)

    @torch.compile
    def update(G: Any, wz: Any, w: Any, slope: Any, theta: Any, alpha: Any, m1: Any, v1: Any, m2: Any, v2: Any, c: Any) -> Any:
        p = torch.sigmoid(alpha.clamp(-20, 20) + shift)
        g1, g2 = G * wz + 2 * l2 * w * w, G * w * slope + l0 * p * (1 - p)
        m1, v1, m2, v2 = 0.9 * m1 + 0.1 * g1, 0.999 * v1 + 0.001 * g1 * g1, 0.9 * m2 + 0.1 * g2, 0.999 * v2 + 0.001 * g2 * g2
        return theta - c[0] * m1 / (v1.sqrt() * c[1] + 1e-8), alpha - c[0] * m2 / (v2.sqrt() * c[1] + 1e-8), m1, v1, m2, v2

    step = 0

    @torch.no_grad()  # for this rival alone: the original, in the same process, needs gradients
    def fit(epochs: int) -> None:
        nonlocal theta, alpha, moments, step
        sizes = [(lr / (1 - 0.9**t), 1 / np.sqrt(1 - 0.999**t)) for t in range(step + 1, step + epochs + 1)]
        corrections = torch.tensor(sizes, dtype=torch.float32, device=device)
        for c in corrections:
            wz, w, slope = draw(theta, alpha, torch.rand(n, device=device))
            G = torch.mv(MT, scale * (torch.mv(M, wz) - y))
            theta, alpha, *moments = update(G, wz, w, slope, theta, alpha, *moments, c)
        step += epochs
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return fit


def rivals(case: Case, device: str) -> dict[str, Callable[[], Fit]]:
    """Return how to make whoever is installed here."""
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
    """Make each rival and warm it up; return those that run, and why the others do not. Ours must."""
    fits: dict[str, Fit] = {}
    failures: dict[str, str] = {}
    for name, make in makers.items():
        try:
            fit = make()
            fit(2)
            fits[name] = fit
        except Exception as reason:  # of any library: too little memory, no compiler
            if name == "ours":
                raise
            failures[name] = f"{type(reason).__name__}: {str(reason).strip().partition(chr(10))[0]}"
    return fits, failures


def slope(fit: Fit, epochs: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of an epoch: the difference of a fit of 3 `epochs` and one of `epochs`."""
    times = []
    for n in (epochs, 3 * epochs):
        start = clock()
        fit(n)
        times.append(clock() - start)
    return (times[1] - times[0]) / (2 * epochs)


def take_turns(fits: dict[str, Fit], epochs: dict[str, int], turns: int) -> dict[str, list[float]]:
    """Return each rival's seconds for an epoch, one figure for each turn."""
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    for _ in range(turns):
        for name, fit in fits.items():
            seconds[name].append(slope(fit, epochs[name]))
    return seconds


def copy_bandwidth(cupy: Any, size: int = 1 << 30, turns: int = 20) -> float:
    """Return bytes read and written in a second by a copy on the device."""
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
        f"measured copy {bandwidth / 1e9:,.0f} GB/s. Medians over turns. Bandwidth counts 6 bytes for each non-zero, once.",
        "",
        "| problem | non-zeros | l0np, µs | GB/s | of the copy | original, µs | PyTorch, µs | our CPU, µs | original / l0np |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    notes = []
    for name, title in TITLES.items():
        if name not in results["problems"]:
            continue
        told = results["problems"][name]
        median = {rival: 1e6 * statistics.median(seconds) for rival, seconds in told["seconds"].items()}
        speed = BYTES * told["entries"] / (1e-6 * median["ours"])
        others = [f"{median[rival]:,.0f}" if rival in median else "-" for rival in ("original", "torch", "cpu")]
        ratio = f"**{median['original'] / median['ours']:.0f}**" if "original" in median else "-"
        cells = [title, f"{told['entries'] / 1e6:.1f} M", f"{median['ours']:,.1f}", f"{speed / 1e9:,.0f}"]
        lines.append("| " + " | ".join([*cells, f"{speed / bandwidth:.0%}", *others, ratio]) + " |")
        notes += ["", *(f"{title}: {rival} did not run, {reason}." for rival, reason in told.get("failures", {}).items())]
    return "\n".join([*lines, *notes]).rstrip() + "\n"


def machine(index: int) -> tuple[dict[str, Any], float]:
    """Return what the report says of the card, and the bandwidth of a copy on it."""
    import cupy

    with cupy.cuda.Device(index):
        runtime = cupy.cuda.runtime
        told = {"card": runtime.getDeviceProperties(index)["name"].decode(), "cuda": runtime.runtimeGetVersion(),
                "driver": runtime.driverGetVersion(), "cupy": cupy.__version__}  # fmt: skip
        return told, copy_bandwidth(cupy)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", default=list(EPOCHS), help=f"of {', '.join(EPOCHS)}")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args(arguments)
    card, bandwidth = machine(int(options.device.partition(":")[2] or 0))
    results: dict[str, Any] = {"machine": card, "copy_bandwidth": bandwidth, "problems": {}}
    RESULTS.mkdir(exist_ok=True)
    for name in options.problems:
        case = national(5_000_000) if name == "national-5m" else CASES[name]()
        fits, failures = ready(rivals(case, options.device))
        seconds = take_turns(fits, EPOCHS[name], options.turns)
        results["problems"][name] = {"entries": int(case.indptr[-1]), "seconds": seconds, "failures": failures}
        (RESULTS / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
        (RESULTS / "gpu.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
