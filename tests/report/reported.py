"""Answers that the tests of reports share."""

from types import SimpleNamespace

import numpy as np
from scipy import sparse

import l0np
from l0np.report import write_report

SCRIPT, END = "<script>alert(1)</script>", "a </script> & \"quoted\" 'name' \u2028<!--"


def small(path, **changes):
    """Write the report of an answer with missed, met, held-out and only scored targets; return the answer."""
    rng = np.random.default_rng(0)
    M = np.vstack([np.ones(200), rng.lognormal(size=(59, 200))])
    base = rng.uniform(1, 5, 200)
    y = M @ (base * rng.uniform(0.5, 1.5, 200))
    names = [SCRIPT, END, *(f"target {i}" for i in range(2, 60))]
    groups = [END] * 20 + ["b & <i>c</i>"] * 20 + ["a"] * 20
    weights = np.r_[np.ones(59), 0.0]
    given = {"names": names, "target_groups": groups, "exclude": [7, 8], "target_weights": weights}
    given["device"] = "numpy"  # fast enough without compilation too
    answer = l0np.calibrate(M, y, 25, base, seed=0, tolerances=np.abs(y) / 50, **given)
    answer.report(path, **{"title": f"Of {SCRIPT}", **changes})
    return answer


def large(path, n=40_000):
    """Write the report of weights for n targets."""
    rng = np.random.default_rng(0)
    M = sparse.random_array((n, 60), density=0.2, format="csr", rng=rng)
    weights = rng.uniform(1, 3, 60)
    y = M @ np.ones(60) * 2 * rng.uniform(0.9, 1.1, n)
    names = [f"number of persons in region {i // 40} of age {i % 40}" for i in range(n)]
    groups = [f"region {i // 40}" for i in range(n)]
    found = l0np.diagnose(M, y, weights, np.full(60, 2.0), names=names, target_groups=groups)
    answer = SimpleNamespace(
        weights=weights, indices=np.arange(60), base_weights=np.full(60, 2.0), targets=found.targets,
        diagnostics=found, missed=tuple(found.targets.name[found.targets.missed]), method="all", seed=1,
        refit=SimpleNamespace(ratios=weights / 2, converged=True, at_lower=0, at_upper=0), settings={},
        tried=(), keys=SimpleNamespace(noun="record", margins=None), stopped=False, n_active_by_group=None,
    )  # fmt: skip
    write_report(path, answer, found.targets, "A large report")
    return answer
