"""From targets to an answer: select exactly k records, refit their weights, say how good they are; and paths over k.

Three ways to select, and the rule by which "auto" takes one (measured by ``benchmarks/selection.py``):

1. "balanced": a sample by the cube method, with probabilities in proportion to the weights that meet the targets with all
   records, but no record less likely than the largest share it holds of any one target. Weights come out nearly equal, so
   the effective sample size is highest. Where its refit misses targets, records that it puts near their lower bounds are
   swapped for such as the errors call for. Taken wherever it meets the targets as closely as all records together do.
2. "exchange": where fewer records than independent targets cannot meet them: pursuit of the residual, then exchanges.
   Nothing is random. Taken then where it can be afforded (up to some hundred targets), if it comes closer.
3. "gates": training with Hard Concrete gates, whose price is governed so that k stay open. Where exchanges cost too much and
   training does not, "auto" trains them and swaps records as above; it takes what comes closer.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np._text import counted
from l0np.backends import backend_name, get_backend, uses_compiled_kernels
from l0np.calibration import SparseCalibrationWeights, fixed_total
from l0np.diagnostics import Diagnostics
from l0np.errors import InputError
from l0np.inputs import validation
from l0np.maths import Loss
from l0np.matrix import ColumnMatrix, weighted_totals
from l0np.models import LARGEST_SEED
from l0np.refit import DEFAULT_BOUNDS, Distance, Refit, distance_of, refit_to_targets
from l0np.sampling import balanced_sample, inclusion_probabilities, largest_shares
from l0np.selection.pursuit import exchange, pursue
from l0np.selection.swaps import Choice, Swaps
from l0np.targets import Aggregate, TargetOptions, Targets, TargetTable, check_options, listed, metrics

Floats = NDArray[np.float64]

FULL_REFIT_COST = 5e8  # products of two entries of a column, up to which all records are refitted by Newton's method
EXCHANGE_COST = 2e10  # targets times records times k squared, up to which exchanges are tried
EXCHANGE_SIZE = 1e8  # targets times records, which exchanges hold as a dense matrix
GATES_COST = 1e10  # epochs times non-zeros, up to which "auto" trains gates
SAMPLES, SAMPLES_SIZE = 3, 1e6  # balanced samples that are drawn before another way is tried; non-zeros from which it is one
FULL_EPOCHS, FULL_LEARNING_RATE = 300, 0.05  # of the training without gates that stands in for the refit of all records
FULL_ERROR, FULL_LOOK = 1e-3, 50  # root mean square of the errors at which it ends, and epochs between two looks at them
AS_GOOD = 1.01  # times the loss that all records leave
EVERY_RECORD = "where records are selected, for one with a weight of 0 or less would not be kept"
KEEP_PROBABILITY, TEMPERATURE = 0.9, 0.35  # of gates in training


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """Selected records, their weights, and what these are worth.

    Attributes
    ----------
    weights : array of shape (N,)
        The weight of every record, 0 where it is not selected.
    indices : array of shape (k,)
        The selected records, ascending.
    refit : Refit
        How their weights were found: ratios to the reference weights, how many lie at a bound, steps taken.
    selected_weights : array of shape (k,)
        Their weights.
    reference_weights : array of shape (k,)
        What the weights were kept near to: before selection / inclusion probability.
    targets : TargetTable
        Each target with its estimate and error.
    diagnostics : Diagnostics
        Effective sample size, ratios to the base weights, errors by group.
    missed : tuple of str
        Names of the targets, and then of the totals of targets, that were to be met and are not within their tolerance.
    converged : bool
        Whether the weights had come to rest.
    method : str
        How the records were selected: "all", "balanced", "exchange", "gates" or "path".
    lambda_l0 : float or None
        Where the price of an open gate ended, if there were gates.
    seed : int
        What gives the same answer again.
    """

    weights: Floats
    indices: NDArray[np.int64]
    refit: Refit
    reference_weights: Floats
    targets: TargetTable
    diagnostics: Diagnostics
    missed: tuple[str, ...]
    method: str
    lambda_l0: float | None
    seed: int

    @property
    def selected_weights(self) -> Floats:
        """The weights of the selected records."""
        return self.refit.weights

    @property
    def converged(self) -> bool:
        """Whether the weights had come to rest."""
        return self.refit.converged

    def __repr__(self) -> str:
        """Show what is printed, so that an interactive session does too."""
        return str(self)

    def __str__(self) -> str:
        """Tell how the records were selected, whether the targets are met, and the diagnostics."""
        refit, kept = self.refit, counted(len(self.indices), "record")
        told = f"{kept} ({self.method}), {refit.state}, {self.diagnostics.verdict}{refit.told_total()}{refit.told_bounds()}"
        return f"Calibration: {told}\n\n{self.diagnostics}"


def calibrate(
    M: Any,
    y: ArrayLike,
    n_active: int | None = None,
    base_weights: ArrayLike = 1.0,
    *,
    method: str = "auto",
    distance: str = "chi-square",
    bounds: tuple[float | None, float | None] = DEFAULT_BOUNDS,
    total: float | None = None,
    epochs: int = 1500,
    lr: float = 0.1,
    device: str = "cpu",
    seed: int | None = None,
    **options: Unpack[TargetOptions],
) -> Calibration:
    """Select exactly `n_active` records and give them weights that meet the targets.

    First all records are calibrated; then records are selected, which is what `method` says; then the weights of the selected
    are refitted. These stay near to (weight before selection) / (inclusion probability), which makes them as even as the
    targets allow.

    Parameters
    ----------
    M : ColumnMatrix, scipy.sparse array or matrix, array, list of lists or DataFrame, shape (Q, N)
        What each record adds to each target for one unit of weight. Of a DataFrame the order counts: Series of other arguments
        must have the labels of its rows or columns in that order, or no labels but a default index.
    y : array of shape (Q,)
        The targets.
    n_active : int, optional
        Number of records to keep; None keeps all that have a base weight: classical calibration (Deville and Sarndal 1992).
    base_weights : float or array of shape (N,)
        Design weights, 0 or more; records of weight 0 are never selected.
    method : {"auto", "balanced", "exchange", "gates"}
        How records are selected: see `l0np.selection.methods`.
    distance : {"chi-square", "raking", "logit"}
        How the distance of weights to reference weights is measured: see `l0np.refit.distances`.
    bounds : (float or None, float or None)
        Least and largest ratio of weight to reference weight, None for no bound: "chi-square" may then make weights negative,
        "raking" and "logit" keep ratios at 1e-4 and above. With `n_active` the least must be above 0, so that every selected
        record keeps a weight; classical calibration takes (0, None) and (None, None) too.
    total : float, optional
        A sum that the weights must have.
    epochs, lr, device
        Of the training, where gates are trained.
    seed : int, optional
        Fixes whatever is random; None draws one, which the answer tells.
    **options
        `tolerances`: errors that count as none; `caps`: the most that one target may cost; `target_weights`: what it counts;
        `target_scales`: what its errors are divided by (``max(|y|, 1)`` by default); `exclude`: targets to score only;
        `aggregates`: totals of targets to meet too; `target_groups`, `names` and more: see `l0np.TargetOptions`.

    Returns
    -------
    Calibration
        Weights, selected records, the table of targets and diagnostics; it prints itself.

    Raises
    ------
    InputError, InputTypeError
        For unusable arguments, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> import l0np
    >>> rng = np.random.default_rng(0)
    >>> M = np.vstack([np.ones(1000), rng.random((4, 1000)) < 0.3, rng.lognormal(size=1000)])
    >>> answer = l0np.calibrate(M, M @ np.ones(1000), n_active=50, seed=0)
    >>> len(answer.indices), answer.method, bool(answer.targets.relative_error.max() < 1e-9)
    (50, 'balanced', True)
    >>> bool(answer.diagnostics.effective_sample_size > 45)
    True
    """
    check_options("calibrate", options)
    choice = validation.one_of("method", method, METHODS)
    training, selects = Training.checked(epochs, lr), n_active is not None
    study = Study.checked(M, y, base_weights, distance, bounds, total, device, seed, options, selects=selects)
    if n_active is None:
        return study.calibrate_all().keep_all()
    count = study.checked_count("n_active", n_active)
    return choice(study.calibrate_all(), count, training)


@dataclass(frozen=True)
class Training:
    """How long and how fast gates are trained."""

    epochs: int
    lr: float

    @classmethod
    def checked(cls, epochs: Any, lr: Any) -> Training:
        """Check what a user says."""
        return cls(validation.whole_number("epochs", epochs, at_least=1), validation.real_number("lr", lr, above=0.0))

    def later(self) -> Training:
        """Return the training of a model that another size has trained before."""
        return replace(self, epochs=max(self.epochs // 3, 1))


@dataclass(frozen=True, eq=False)
class Study:
    """One problem: what all selections of it share."""

    matrix: ColumnMatrix
    targets: Targets
    base: Floats
    distance: Distance
    total: float | None
    device: str
    seed: int
    options: dict[str, Any]  # of the targets, as `fit` takes them
    calibrated: Floats  # the weights that meet the targets with all records; the base weights until `calibrate_all`
    full: Refit | None = None  # how they were found, where by Newton's method

    @classmethod
    def checked(
        cls,
        M: Any,
        y: Any,
        base_weights: Any,
        distance: Any,
        bounds: Any,
        total: Any,
        device: str,
        seed: Any,
        options: Any,
        *,
        selects: bool = True,
    ) -> Study:
        """Check what the user gave; where records are selected, none may get the weight 0."""
        found = distance_of(distance, bounds, no_zero=EVERY_RECORD if selects else "")
        total = fixed_total(total)
        matrix, targets = Targets.of(M, y, options)
        base = validation.column_values("base_weights", base_weights, "M", M, matrix.shape[1], at_least=0.0)
        if not base.any():
            raise InputError("base_weights are all 0: there is no record to select")
        targets.check_sizes(matrix, "base_weights", base)
        seed = secrets.randbits(63) if seed is None else validation.whole_number("seed", seed, at_least=0, at_most=LARGEST_SEED)
        for_fit: dict[str, Any] = {name: value for name, value in options.items() if name != "names"}
        for_fit |= {
            "loss_type": "relative",
            "target_scales": targets.error_scale,
            "exclude": None if targets.fitted.all() else ~targets.fitted,
            "aggregates": _scaled(options.get("aggregates"), targets),
        }
        return cls(matrix, targets, base, found, total, backend_name(device), seed, for_fit, calibrated=base)

    def calibrate_all(self) -> Study:
        """Return the study with the weights that all records need to meet the targets."""
        eligible, weights = np.flatnonzero(self.base), self.base.copy()
        counts = np.diff(self.matrix.indptr).astype(np.float64)
        if (counts**2).sum() <= FULL_REFIT_COST:
            full = self.refit(eligible, self.base[eligible])
            weights[eligible] = full.weights
            return replace(self, calibrated=weights, full=full)
        model = self.model(self.base, use_gates=False)
        enough = FULL_ERROR**2 * float(self.targets.weights.sum())
        model.fit(
            self.matrix,
            self.targets.value,
            lr=FULL_LEARNING_RATE,
            epochs=FULL_EPOCHS,
            verbose_freq=FULL_LOOK,
            callbacks=[lambda progress: progress.data_loss <= enough],
            **self.options,
        )
        weights[eligible] = model.get_weights(deterministic=True)[eligible]
        return replace(self, calibrated=weights)

    def model(self, weights: Floats, **arguments: Any) -> SparseCalibrationWeights:
        """Return a model of this problem that starts at these weights."""
        n, dtype = self.matrix.shape[1], self.matrix.dtype
        return SparseCalibrationWeights(n, init_weights=weights, device=self.device, seed=self.seed, dtype=dtype, **arguments)

    def checked_count(self, name: str, k: Any) -> int:
        """Return k if so many records can be selected."""
        count = validation.whole_number(name, k, at_least=1, at_most=self.matrix.shape[1])
        eligible = np.count_nonzero(self.base)
        if count > eligible:
            raise InputError(
                f"{name} must be at most {eligible}, the number of records with a base weight above 0, got {count}"
            )
        return count

    def keep_all(self) -> Calibration:
        """Return the answer without selection."""
        eligible = np.flatnonzero(self.base)
        refit = self.full or self.refit(eligible, self.base[eligible])
        return self.answer(eligible, self.base[eligible], refit, "all")

    def probabilities(self, k: int) -> Floats:
        """Return inclusion probabilities for k records: in proportion to the weights that they stand for."""
        if np.count_nonzero(self.positive) < k:  # unbounded weights may be negative
            return inclusion_probabilities(self.base, largest_shares(self.matrix, self.base), k)
        return inclusion_probabilities(self.positive, self._shares, k)

    @cached_property
    def positive(self) -> Floats:
        """The weights of all records, 0 where they are negative."""
        return np.maximum(self.calibrated, 0.0)

    @cached_property
    def _shares(self) -> Floats:
        return largest_shares(self.matrix, self.positive)

    @cached_property
    def before_selection(self) -> Floats:
        """The weights that a selection stands for, above 0 wherever base weights are."""
        return np.where(self.calibrated > 0, self.calibrated, self.base)

    def refit(self, indices: NDArray[np.int64], reference: Floats) -> Refit:
        """Return the weights of a selection."""
        return refit_to_targets(self.matrix, indices, self.targets, reference, self.distance, self.total)

    def reference(self, indices: NDArray[np.int64], probabilities: Floats) -> Floats:
        """Return (weight before selection) / (inclusion probability) of selected records."""
        likely = np.where(probabilities[indices] > 0, probabilities[indices], len(indices) / len(probabilities))
        return self.before_selection[indices] / likely

    def choice(self, indices: NDArray[np.int64], probabilities: Floats) -> Choice:
        """Return a selection with its weights."""
        reference = self.reference(indices, probabilities)
        refit = self.refit(indices, reference)
        return Choice(indices, reference, refit, self.loss(self.targets.value + refit.errors))

    def swapped(self, choice: Choice, probabilities: Floats) -> Choice:
        """Return the selection after swaps, where it misses targets."""
        wanted = np.where(self.base > 0, self.before_selection, 0.0)
        wanted /= np.where(probabilities > 0, probabilities, len(choice.indices) / len(wanted))
        swaps = Swaps(self.matrix, self.targets, wanted, lambda indices: self.choice(indices, probabilities))
        return swaps.improve(choice, self.suffices)

    def attempt(self, indices: NDArray[np.int64], k: int, method: str, lambda_l0: float | None = None) -> Calibration:
        """Return the answer for a selection that was not drawn by design."""
        return self.tell(self.choice(indices, self.probabilities(k)), method, lambda_l0)

    def tell(self, choice: Choice, method: str, lambda_l0: float | None = None) -> Calibration:
        """Return the answer that a choice is."""
        return self.answer(choice.indices, choice.reference, choice.refit, method, lambda_l0)

    def answer(
        self, indices: NDArray[np.int64], reference: Floats, refit: Refit, method: str, lambda_l0: float | None = None
    ) -> Calibration:
        """Put an answer together."""
        weights = np.zeros(self.matrix.shape[1])
        weights[indices] = refit.weights
        found = Diagnostics.of(self.targets, weighted_totals(self.matrix, weights), weights, self.base)
        tables = (found.targets, found.totals) if found.totals else (found.targets,)
        return Calibration(
            weights=weights,
            indices=indices,
            refit=refit,
            reference_weights=reference,
            targets=found.targets,
            diagnostics=found,
            missed=tuple(name for table in tables for name in table.name[table.missed].tolist()),
            method=method,
            lambda_l0=lambda_l0,
            seed=self.seed,
        )

    def can_exchange(self, k: int) -> bool:
        """Return whether exchanges can be afforded, and speak of the same loss: plain squares of the targets' errors."""
        n_targets, n_records = self.matrix.shape
        plain = not self.targets.aggregates and not self.targets.tolerance.any()
        size = float(n_targets) * n_records
        return plain and size <= EXCHANGE_SIZE and size * float(k) ** 2 <= EXCHANGE_COST

    def loss(self, estimate: Floats) -> float:
        """Return what missing the targets and their totals costs."""
        return float(self._loss.value(estimate))

    @cached_property
    def _loss(self) -> Loss:
        return self.targets.scaled_by_errors().loss(get_backend("numpy"))

    @cached_property
    def _least_loss(self) -> float:
        """What all records leave, or errors that count as none."""
        left = self.loss(weighted_totals(self.matrix, self.calibrated))
        return AS_GOOD * left + metrics.MET**2 * float(self.targets.weights.sum())

    def suffices(self, choice: Choice) -> bool:
        """Return whether a selection misses no target that all records together meet."""
        unreachable = 0 if self.full is None else self._n_missed(self.full)
        return self._n_missed(choice.refit) <= unreachable or choice.loss <= self._least_loss

    def _n_missed(self, refit: Refit) -> int:
        return self.targets.missed(self.targets.value + refit.errors)


def _scaled(aggregates: Any, targets: Targets) -> list[Aggregate] | None:
    """Return the aggregates as `fit` takes them, with the scales by which refits divide their errors."""
    if aggregates is None:
        return None
    given = listed("aggregates", aggregates)
    return [
        replace(one, scales=checked.totals.error_scale) for (_, one), checked in zip(given, targets.aggregates, strict=True)
    ]


def _balanced(study: Study, k: int, training: Training) -> Calibration:
    return study.tell(_sampled(study, k), "balanced")


def _sampled(study: Study, k: int) -> Choice:
    """Return the best of some balanced samples: the first that meets all targets, else that which comes closest."""
    probabilities = study.probabilities(k)
    compiled = uses_compiled_kernels(study.device)
    best: Choice | None = None
    # fewer records than targets meet them rarely
    several = k >= np.count_nonzero(study.targets.fitted) and study.matrix.nnz <= SAMPLES_SIZE
    for attempt in range(SAMPLES if several else 1):
        indices = balanced_sample(study.matrix, study.before_selection, probabilities, study.seed, attempt, compiled=compiled)
        choice = study.swapped(study.choice(indices, probabilities), probabilities)
        if best is None or choice.loss < best.loss:
            best = choice
        if study.suffices(best):
            break
    assert best is not None
    return best


def _exchange(study: Study, k: int, training: Training) -> Calibration:
    return study.tell(_exchanged(study, k), "exchange")


def _exchanged(study: Study, k: int) -> Choice:
    eligible = np.flatnonzero(study.base)
    factor = np.sqrt(study.targets.weights * study.targets.fitted) / study.targets.error_scale
    rows = study.matrix.to_scipy()[:, eligible].toarray().astype(np.float64) * factor[:, None]
    target = study.targets.value * factor
    return study.choice(eligible[exchange(rows, target, pursue(rows, target, k))], study.probabilities(k))


def _gates(study: Study, k: int, training: Training) -> Calibration:
    return governed(study, gated_model(study), k, training)


def _auto(study: Study, k: int, training: Training) -> Calibration:
    choice, method, price = _sampled(study, k), "balanced", None
    if study.suffices(choice):
        return study.tell(choice, method)
    if study.can_exchange(k):
        other = _exchanged(study, k)
        if other.loss < choice.loss:
            choice, method = other, "exchange"
    elif training.epochs * study.matrix.nnz <= GATES_COST:
        model = gated_model(study)
        other = study.swapped(_opened(study, model, k, training), study.probabilities(k))
        if other.loss < choice.loss:
            choice, method, price = other, "gates", model.lambda_l0_
    return study.tell(choice, method, price)


METHODS = {"auto": _auto, "balanced": _balanced, "exchange": _exchange, "gates": _gates}


def gated_model(study: Study) -> SparseCalibrationWeights:
    """Return a model whose gates are open at first, but for records without base weight."""
    keep = np.where(study.base > 0, KEEP_PROBABILITY, 0.0)
    return study.model(study.positive, beta=TEMPERATURE, init_keep_prob=keep)


def governed(study: Study, model: SparseCalibrationWeights, k: int, training: Training) -> Calibration:
    """Train gates until k are left, and refit these."""
    return study.tell(_opened(study, model, k, training), "gates", model.lambda_l0_)


def _opened(study: Study, model: SparseCalibrationWeights, k: int, training: Training) -> Choice:
    model.fit(study.matrix, study.targets.value, n_active=k, lr=training.lr, epochs=training.epochs, **study.options)
    return study.choice(np.flatnonzero(model.get_weights(deterministic=True)), study.probabilities(k))


def priced(study: Study, model: SparseCalibrationWeights, price: float, training: Training) -> Calibration:
    """Train gates at a given price, and refit the records whose gates stay open: the likeliest, if none does."""
    model.fit(study.matrix, study.targets.value, lambda_l0=price, lr=training.lr, epochs=training.epochs, **study.options)
    indices = np.flatnonzero((model.get_weights(deterministic=True) != 0) & (study.base > 0))
    if not indices.size:
        indices = np.array([int(np.argmax(np.where(study.base > 0, model.log_alpha, -np.inf)))])
    return study.attempt(indices, len(indices), "gates", price)
