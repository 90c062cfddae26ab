"""Measure one rival on one problem in this process, and print a line of JSON: `cpu.py` starts it.

    python benchmarks/rivals.py RIVAL CASE THREADS EPOCHS RUNS

RIVAL is a name of `RIVALS`, CASE a name of `problems.CASES`. After a warm-up fit of one epoch, which compiles
and converts, RUNS fits of EPOCHS epochs are timed. The rivals written by hand train as this package's models
do: the same objective, the same optimiser (Adam), a draw of all gates in each epoch.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from problems import CASES, Case
from scipy import sparse


def ours(case: Case, threads: int, device: str = "numba") -> Callable[[int], Any]:
    """Return a fit of this package."""
    import numba

    import l0np

    numba.set_num_threads(threads)
    kind = l0np.SparseL0Linear if case.linear else l0np.SparseCalibrationWeights
    matrix = l0np.ColumnMatrix(case.data, case.indices, case.indptr, case.shape, copy=False).folded()
    model = kind(case.shape[1], device=device, **case.model)

    def fit(epochs: int) -> dict[str, Any]:
        model.fit(matrix, case.y, epochs=epochs, verbose_freq=10**6, **case.fit)
        return {"open": float(model.get_l0_penalty()) / case.shape[1]}

    return fit


def numpy_backend(case: Case, threads: int) -> Callable[[int], Any]:
    """Return a fit of this package on NumPy alone."""
    return ours(case, threads, "numpy")


def original(case: Case, threads: int) -> Callable[[int], Any]:
    """Return a fit of l0-python, which runs on PyTorch."""
    import torch

    torch.set_num_threads(threads)
    csr = sparse.csr_matrix(case.csr())
    if case.linear:
        from l0.sparse import SparseL0Linear

        model = SparseL0Linear(case.shape[1], **case.model)
        fit = {"lambda_reg": case.fit["lambda_l0"], "lr": case.fit["lr"]}
    else:
        from l0.calibration import SparseCalibrationWeights

        model, fit = SparseCalibrationWeights(case.shape[1], **case.model), case.fit
    return lambda epochs: model.fit(csr, case.y, epochs=epochs, **fit) and {}


def scipy_user(case: Case, threads: int) -> Callable[[int], Any]:
    """Return what a careful SciPy user writes: two sparse products, the rest vectorised in float32.

    Arrays are updated in place where that saves time.
    """
    del threads  # SciPy's products run on one
    M = sparse.csc_array(
        (case.data, case.indices.astype(np.int32), case.indptr.astype(np.int32)), shape=case.shape
    )
    MT = M.T  # csr over the same arrays
    n, beta, gamma, zeta = case.shape[1], np.float32(case.beta), np.float32(-0.1), np.float32(1.1)
    rng = np.random.default_rng(0)
    theta, alpha = (start.astype(np.float32) for start in case.starts(rng))
    intercept = np.zeros(1, np.float32)
    moments = [np.zeros(n, np.float32) for _ in range(4)] + [np.zeros(1, np.float32) for _ in range(2)]
    shift = np.float32(-beta * np.log(0.1 / 1.1))
    l0, l2, lr = case.fit["lambda_l0"], case.fit.get("lambda_l2", 0.0), case.fit["lr"]
    y, curvature = case.y.astype(np.float32), case.curvature().astype(np.float32)
    step = 0

    def adam(value: Any, m: Any, v: Any, g: Any) -> None:
        m *= np.float32(0.9)
        m += np.float32(0.1) * g
        v *= np.float32(0.999)
        g *= g
        v += np.float32(0.001) * g
        step_size, root_factor = np.float32(lr / (1 - 0.9**step)), np.float32(1 / np.sqrt(1 - 0.999**step))
        value -= step_size * m / (np.sqrt(v) * root_factor + np.float32(1e-8))

    def epoch() -> None:
        nonlocal step
        step += 1
        u = rng.random(n, dtype=np.float32)
        np.clip(u, 1e-6, 1 - 1e-6, out=u)
        a = np.clip(alpha, -20, 20)
        s = 1 / (1 + np.exp(-(np.log(u / (1 - u)) + a) / beta))
        bar = s * (zeta - gamma) + gamma
        z = np.clip(bar, 0, 1)
        w = theta if case.linear else np.exp(theta)
        wz = w * z
        r = M @ wz
        r -= y
        r += intercept
        r *= curvature
        G = MT @ r
        p = 1 / (1 + np.exp(-(a + shift)))
        slope = np.where((bar > 0) & (bar < 1), s * (1 - s), 0) * ((zeta - gamma) / beta)
        g_alpha = G * w * slope + np.float32(l0) * p * (1 - p)
        g_theta = G * z + np.float32(2 * l2) * w if case.linear else G * wz + np.float32(2 * l2) * w * w
        adam(theta, moments[0], moments[1], g_theta)
        adam(alpha, moments[2], moments[3], g_alpha)
        if case.linear:
            adam(intercept, moments[4], moments[5], r.sum(keepdims=True))

    def fit(epochs: int) -> dict[str, Any]:
        for _ in range(epochs):
            epoch()
        return {}

    return fit


def torch_user(case: Case, threads: int) -> Callable[[int], Any]:
    """Return what a careful PyTorch user writes: CSR products with M and its transpose, gradients by hand.

    Everything but the products is compiled and fused by `torch.compile`.
    """
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    csr = case.csr()

    def tensor(m: Any) -> Any:
        parts = (
            torch.from_numpy(m.indptr.astype(np.int32)),
            torch.from_numpy(m.indices.astype(np.int32)),
            torch.from_numpy(m.data),
        )
        return torch.sparse_csr_tensor(*parts, size=m.shape)

    M, MT = tensor(csr), tensor(csr.T.tocsr())
    n, beta, linear = case.shape[1], case.beta, case.linear
    theta, alpha = (
        torch.tensor(start, dtype=torch.float32) for start in case.starts(np.random.default_rng(0))
    )
    moments, intercept = [torch.zeros(n) for _ in range(4)], [torch.zeros(1) for _ in range(3)]
    shift = float(-beta * np.log(0.1 / 1.1))
    l0, l2, lr = case.fit["lambda_l0"], case.fit.get("lambda_l2", 0.0), case.fit["lr"]
    y, curvature = (torch.tensor(rows, dtype=torch.float32) for rows in (case.y, case.curvature()))

    def sample(theta: Any, alpha: Any, u: Any) -> Any:
        a = alpha.clamp(-20, 20)
        u = u.clamp(1e-6, 1 - 1e-6)
        s = torch.sigmoid((torch.log(u / (1 - u)) + a) / beta)
        bar = s * 1.2 - 0.1
        w = theta if linear else theta.exp()
        z = bar.clamp(0, 1)
        return w * z, w, z, torch.where((bar > 0) & (bar < 1), s * (1 - s), 0.0) * (1.2 / beta)

    def update(
        G: Any, w: Any, z: Any, slope: Any, theta: Any, alpha: Any, m1: Any, v1: Any, m2: Any, v2: Any, c: Any
    ) -> Any:
        p = torch.sigmoid(alpha.clamp(-20, 20) + shift)
        g1 = G * z + 2 * l2 * w if linear else G * w * z + 2 * l2 * w * w
        g2 = G * w * slope + l0 * p * (1 - p)
        m1, v1 = 0.9 * m1 + 0.1 * g1, 0.999 * v1 + 0.001 * g1 * g1
        m2, v2 = 0.9 * m2 + 0.1 * g2, 0.999 * v2 + 0.001 * g2 * g2
        theta = theta - c[0] * m1 / (v1.sqrt() * c[1] + 1e-8)
        alpha = alpha - c[0] * m2 / (v2.sqrt() * c[1] + 1e-8)
        return theta, alpha, m1, v1, m2, v2

    def residual(prediction: Any, intercept: Any) -> Any:
        return curvature * (prediction + intercept - y)

    def move(r: Any, b: Any, m: Any, v: Any, c: Any) -> Any:
        g = r.sum()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        return b - c[0] * m / (v.sqrt() * c[1] + 1e-8), m, v

    sample, update, residual, move = (torch.compile(f) for f in (sample, update, residual, move))
    step = 0

    def fit(epochs: int) -> dict[str, Any]:
        nonlocal theta, alpha, moments, intercept, step
        for _ in range(epochs):
            step += 1
            wz, w, z, slope = sample(theta, alpha, torch.rand(n))
            r = residual(torch.mv(M, wz), intercept[0])
            G = torch.mv(MT, r)
            c = torch.tensor([lr / (1 - 0.9**step), 1 / np.sqrt(1 - 0.999**step)])
            theta, alpha, *moments = update(G, w, z, slope, theta, alpha, *moments, c)
            if linear:
                intercept = list(move(r, *intercept, c))
        return {}

    return fit


RIVALS = {
    "ours": ours,
    "ours-numpy": numpy_backend,
    "original": original,
    "scipy": scipy_user,
    "torch": torch_user,
}


def peak_kilobytes() -> int:
    """Return this process's peak memory; what `resource` reports starts from the parent's peak."""
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rival", choices=RIVALS)
    parser.add_argument("case", choices=CASES, metavar="case", help=", ".join(CASES))
    for name in ("threads", "epochs", "runs"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    case = CASES[options.case]()
    before = peak_kilobytes()
    fit = RIVALS[options.rival](case, options.threads)
    fit(1)
    seconds, found = [], {}
    for _ in range(options.runs):
        start = time.perf_counter()
        found = fit(options.epochs)
        seconds.append((time.perf_counter() - start) / options.epochs)
    memory = {"peak_kb": peak_kilobytes(), "problem_kb": before}
    print(json.dumps({"seconds": seconds, "entries": int(case.indptr[-1])} | memory | found))


if __name__ == "__main__":
    main()
