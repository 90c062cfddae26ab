"""`calibrate`: select exactly k records, give them weights that meet the targets, and diagnose these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from numpy.typing import ArrayLike, DTypeLike

from l0np.engine import Communicator
from l0np.inputs import validation
from l0np.models import checked_communicator
from l0np.refit import DEFAULT_BOUNDS, checked_total, distance_of
from l0np.selection.all_records import AllRecords
from l0np.selection.methods import METHODS
from l0np.selection.problem import GateTraining, SelectionProblem
from l0np.selection.ranks import own_part, shared_input
from l0np.selection.result import Calibration, calibration_of
from l0np.selection.selections import Selection
from l0np.selection.settings import settings_of
from l0np.targets import TargetOptions, takes_target_options

NO_ZERO = "where records are selected, because one with a weight of 0 or less would be lost"


@takes_target_options
def calibrate(
    M: Any,
    y: ArrayLike | None = None,
    n_active: int | None = None,
    base_weights: ArrayLike | None = None,
    *,
    method: str = "auto",
    spread: float = 1.0,
    certainty: Any = None,
    at_least: Mapping[Any, int] | None = None,
    groups_of_records: ArrayLike | None = None,
    distance: str = "chi-square",
    bounds: tuple[float | None, float | None] = DEFAULT_BOUNDS,
    total: float | None = None,
    epochs: int = 1500,
    lr: float = 0.1,
    device: str = "cpu",
    dtype: DTypeLike | None = None,
    seed: int | None = None,
    callbacks: Sequence[Callable[[Any], bool | None]] = (),
    verbose: bool = False,
    communicator: Communicator | None = None,
    gather: bool = False,
    **options: Unpack[TargetOptions],
) -> Calibration:
    """Select exactly `n_active` records and give them weights that meet the targets.

    First all records are calibrated; then records are selected, by the method that `method` names; then the
    weights of the selected records are refitted. These stay near to (weight before selection) / (inclusion
    probability), which makes them as even as the targets allow.

    Parameters
    ----------
    M : MarginProblem, ColumnMatrix, scipy.sparse array or matrix, array, list of lists or DataFrame, (Q, N)
        What each record adds to each target for one unit of weight; or what `margins` returned, which stands
        for M, y, base weights and target options. In a DataFrame the order counts: Series
        given as other arguments must have the labels of its rows or columns in that order, or a default
        index.
    y : array of shape (Q,)
        The targets; left out with a MarginProblem.
    n_active : int, optional
        Number of records to select; None keeps all records that have a base weight: classical calibration
        (Deville and Sarndal 1992).
    base_weights : float or array of shape (N,), optional
        Design weights, 0 or more; by default those of a MarginProblem, else 1. Records of weight 0 are never
        selected.
    method : {"auto", "thinned", "balanced", "exchange", "gates"}
        How records are selected: see `l0np.selection.methods`.
    spread : float
        How much uneven weights count, 0 or more, where "auto" compares methods. Of the answers found it takes
        the one with the least *mean squared relative error of the targets + spread / effective sample size*:
        what targeted totals are off by for certain, plus the relative variance of an untargeted total whose
        coefficient of variation is 1. 0 means targets first; fewer missed targets break ties.
    certainty : array of record indices, boolean mask of shape (N,), or names, optional
        Records that are always selected. As `at_least`, it requires `method` "auto", which then thins out, or
        "thinned".
    at_least : mapping from label to int, optional
        The number of records to be selected from an area at least.
    groups_of_records : array of N labels, optional
        The area of each record; the answer then counts the selected records by area.
    distance : {"chi-square", "raking", "logit"}
        How the distance of weights to reference weights is measured: see `l0np.refit.distances`.
    bounds : (float or None, float or None)
        Smallest and largest g-weight, the ratio of weight to reference weight; None for no bound. Without a
        lower bound "chi-square" may make weights negative; "raking" and "logit" keep g-weights at 1e-4 and
        above. With `n_active` the smallest must be above 0, so that every selected record has a weight;
        classical calibration also accepts (0, None) and (None, None).
    total : float, optional
        A sum that the weights must have.
    epochs, lr, device
        Epochs, learning rate and device of training, if gates are trained.
    dtype : {"float32", "float64"}, optional
        Precision of training; by default the dtype of M, or float64 if M has another dtype. Refits are in
        float64 and use the exact entries.
    seed : int, optional
        Seed of everything random; None draws one, which is the `seed` of the answer. The last digits may
        depend on the number of threads of NumPy's BLAS (``OPENBLAS_NUM_THREADS``), which refits use.
    callbacks : sequence of callables
        Each gets a `StageProgress` at each step of a stage ("calibrating all records", "sampling", "refit",
        ...), and a `Progress` while gates are trained (see `l0np.callbacks`). One that returns True stops the
        run: the answer is the best so far, with exactly `n_active` records, and marked as `stopped`.
        `callbacks.checkpoint` keeps the training of gates; other methods start anew.
    verbose : bool
        Print the stages of the run.
    communicator : Communicator, optional
        `l0np.mpi.World()`, if ranks share the records: M, base weights and all else with one value for each
        record are the rank's own. Diagnostics are of all records; callbacks are called on every rank.
    gather : bool
        With a communicator: whether the first rank returns the answer for all records. Otherwise each rank
        returns the part of its own records.
    **options
        `tolerances`: errors that cost nothing; `caps`: the most that one target may cost; `target_weights`:
        factors on the cost; `target_scales`: what errors are divided by (``|y|`` by default);
        `exclude`: targets that are only scored; `aggregates`: totals of targets to meet too; `target_groups`,
        `names` and more: see `l0np.TargetOptions`.

    Returns
    -------
    Calibration
        Weights, selected records, the table of targets and diagnostics; it prints itself.

    Raises
    ------
    InputError, InputTypeError
        For unusable arguments, before any work.

    Warns
    -----
    L0npWarning
        If records are selected with ``loss_type="absolute"``: gates are trained and weights refitted with it,
        but pursuit, swaps and the comparison of selections minimise squared errors.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> rng = np.random.default_rng(0)
    >>> M = np.vstack([np.ones(1000), rng.random((4, 1000)) < 0.3, rng.lognormal(size=1000)])
    >>> answer = l0np.calibrate(M, M @ np.ones(1000), n_active=50, seed=0)
    >>> len(answer.indices), answer.method, bool(answer.targets.relative_error.max() < 1e-9)
    (50, 'thinned', True)
    >>> bool(answer.diagnostics.effective_sample_size > 45)
    True
    """
    given: dict[str, Any] = {
        "method": method,
        "spread": spread,
        "certainty": certainty,
        "at_least": at_least,
        "groups_of_records": groups_of_records,
        "distance": distance,
        "bounds": bounds,
        "total": total,
        "epochs": epochs,
        "lr": lr,
        "device": device,
        "dtype": dtype,
        "seed": seed,
    }
    no_zero = "" if n_active is None else NO_ZERO
    ranks = communicator and checked_communicator(communicator)
    problem = checked_problem(M, y, base_weights, given, options, no_zero, ranks).watched(callbacks, verbose)
    whole = validation.flag("gather", gather) and ranks is not None and ranks.rank == 0
    k = None if n_active is None else problem.checked_count("n_active", n_active)
    settings = {"n_active": n_active, "base_weights": base_weights, **given, "seed": problem.seed, **options}
    if k is not None:
        problem.warn_of_squares()
    with problem.stages:
        if k is None:
            selection = Selection.of_all(problem)
        else:
            selection = METHODS[method](AllRecords.calibrated(problem), k)
    answer = calibration_of(problem, selection, settings_of(settings))
    return answer if whole else own_part(problem, answer)


def checked_problem(
    M: Any,
    y: Any,
    base_weights: Any,
    given: Mapping[str, Any],
    options: TargetOptions,
    no_zero: str,
    ranks: Communicator | None,
) -> SelectionProblem:
    """Check what `calibrate` and `l0_path` have in common; `given` holds their arguments by name.

    `no_zero` says why no g-weight may be 0, if none may; `ranks` share the records, if there are any.
    """
    if ranks is not None:
        M, y, base_weights, given, options = shared_input(M, y, base_weights, given, options, ranks)
    method = given["method"]
    validation.one_of("method", method, METHODS)
    training = GateTraining.checked(*(given[name] for name in ("epochs", "lr", "device", "dtype")))
    measure = distance_of(given["distance"], given["bounds"], no_zero=no_zero)
    spread = validation.real_number("spread", given["spread"], at_least=0.0)
    total, seed = checked_total(given["total"]), given["seed"]
    problem = SelectionProblem.checked(M, y, base_weights, measure, total, training, seed, options)
    certainty, at_least, groups = (given[n] for n in ("certainty", "at_least", "groups_of_records"))
    return replace(problem, spread=spread).requiring(certainty, at_least, groups, method)
