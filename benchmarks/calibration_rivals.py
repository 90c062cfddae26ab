"""What other programs make of the problems of calibration.py: one function for each, which returns weights.

Each function imports its program, which is installed in an environment of its own. A problem that a program
does not solve raises NotImplementedError. Tolerances are set to 1e-8 where they can be set.
"""

from typing import Any

import numpy as np

TOLERANCE = 1e-8


def by_svy(problem: Any, distance: str) -> Any:
    """Return the weights of `svy`: raking of margins, and linear calibration to a dense matrix."""
    import polars as pl
    import svy

    if distance == "raking":
        names, frame, controls = _margins(problem)
        sample = svy.Sample(pl.DataFrame(frame | {"base": problem.base}), svy.Design(wgt="base"))
        found = sample.weighting.rake(
            controls=dict(zip(names, controls, strict=True)), wgt_name="fitted", tol=TOLERANCE, max_iter=1000
        )
        return found.data["fitted"].to_numpy()
    sample = svy.Sample(pl.DataFrame({"base": problem.base}), svy.Design(wgt="base"))
    return sample.weighting.calibrate_matrix(
        aux_vars=problem.M.T.toarray(), controls=problem.y, weights_only=True
    )


def by_survey_kit(problem: Any, distance: str) -> Any:
    """Return the weights of the entropy balancing of `survey-kit`."""
    from survey_kit.entropy_balance_weighting import ebw_routines

    if distance != "raking":
        raise NotImplementedError("survey-kit balances entropy")
    mean = problem.base.mean()  # it wants weights of mean 1
    found = ebw_routines.entropy_balance(
        mean_population_moments=problem.y / (mean * len(problem.base)),
        x_sample=problem.M.T.tocsr(),
        weights0=problem.base / mean,
        options={"optimality_criterion": TOLERANCE},
    )
    return found.new_weights * mean


def by_ebal(problem: Any, distance: str) -> Any:
    """Return the weights of `ebal`, for margins: controls with the means of one treated record."""
    from ebal import ebal_bin

    _, frame, _ = _margins(problem, distance)
    # Without the first category of each margin, which follows from the others
    starts = np.cumsum([0, *(int(column.max()) + 1 for column in frame.values())])[:-1]
    kept = np.setdiff1d(np.arange(len(problem.y)), starts)
    total = problem.y[: starts[1]].sum()
    x = np.vstack([problem.M.tocsr()[kept].T.toarray(), problem.y[kept] / total])
    treated = np.append(np.zeros(len(problem.base)), 1.0)
    model = ebal_bin(PCA=False, print_level=-1, constraint_tolerance=TOLERANCE)
    found = model.ebalance(treated, x, np.zeros(len(x)), base_weight=problem.base)
    return found["w"][:-1] * total


def by_ipfn(problem: Any, distance: str) -> Any:
    """Return the weights of iterative proportional fitting by `ipfn`, for margins."""
    import pandas as pd
    from ipfn import ipfn

    names, frame, controls = _margins(problem, distance)
    targets = [
        pd.Series(list(totals.values()), pd.Index(list(totals), name=name), name="total")
        for name, totals in zip(names, controls, strict=True)
    ]
    data = pd.DataFrame(frame).assign(total=problem.base)
    fit = ipfn.ipfn(data, targets, [[name] for name in names], convergence_rate=TOLERANCE)
    return fit.iteration()["total"].to_numpy()


def by_balance(problem: Any, distance: str) -> Any:
    """Return the weights of raking by `balance`, which rounds the targets to a table of 100,000 rows."""
    import logging

    import pandas as pd
    from balance.weighting_methods.rake import rake

    logging.disable(logging.WARNING)
    names, frame, controls = _margins(problem, distance)
    texts = pd.DataFrame({name: column.astype(str) for name, column in frame.items()})
    margins = [{str(level): total for level, total in totals.items()} for totals in controls]
    found = rake(
        texts,
        pd.Series(problem.base),
        None,
        None,
        transformations=None,
        convergence_rate=TOLERANCE,
        target_margins=dict(zip(names, margins, strict=True)),
        target_margins_max_length=100_000,
    )
    weights = found["weight"].to_numpy()
    return weights * (sum(controls[0].values()) / weights.sum())


def _margins(problem: Any, distance: str = "raking") -> tuple[list[str], dict[str, Any], list[Any]]:
    """Return names of the variables, their columns, and the total of each category."""
    if distance != "raking" or problem.categories is None:
        raise NotImplementedError("only margins are raked")
    names = [f"v{i}" for i in range(len(problem.categories))]
    controls, start = [], 0
    for category in problem.categories:
        size = int(category.max()) + 1
        controls.append(dict(enumerate(problem.y[start : start + size].tolist())))
        start += size
    return names, dict(zip(names, problem.categories, strict=True)), controls


# By the names of their packages
RIVALS = {
    "svy": by_svy,
    "survey-kit": by_survey_kit,
    "ebal": by_ebal,
    "ipfn": by_ipfn,
    "balance": by_balance,
}
