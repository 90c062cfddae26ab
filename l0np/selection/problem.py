"""`SelectionProblem`: what a user gave to `calibrate` or `l0_path`, checked once, for all selections."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from l0np.backends import backend_name, get_backend
from l0np.calibration import SparseCalibrationWeights
from l0np.callbacks import Stages
from l0np.engine import Communicator
from l0np.errors import InputError, L0npWarning, warn
from l0np.inputs import column_names, validation
from l0np.margin_tables import Keys, problem_parts
from l0np.maths import Loss
from l0np.matrix import ColumnMatrix, SharedMatrix, largest_entry
from l0np.models import LARGEST_SEED
from l0np.refit import Distance, RefitProblem, warn_if_not_minimised
from l0np.selection.requirements import NOTHING, Requirements
from l0np.tables import kind_of
from l0np.targets import TargetOptions, Targets

Floats = NDArray[np.float64]


class SelectionLimits(NamedTuple):
    """Problem sizes up to which expensive steps are tried.

    Attributes
    ----------
    full_refit_cost : float
        Number of pairs of entries in the same column up to which all records are calibrated by Newton's
        method, not by training.
    refit_from_zero_cost : float
        The same for the calibration with weights down to 0, which "thinned" starts from.
    exchange_cost : float
        Targets times records times k squared, up to which "auto" tries exchanges.
    exchange_size : float
        Targets times records up to which exchanges may hold the matrix densely.
    gates_cost : float
        Epochs times non-zeros, up to which "auto" trains gates.
    samples : int
        Largest number of balanced samples that are drawn until one meets the targets, and of thinned
        selections of the same surplus that are compared.
    samples_size : float
        Non-zeros above which only one sample is drawn.
    """

    full_refit_cost: float = 5e8
    refit_from_zero_cost: float = 2e9
    exchange_cost: float = 2e10
    exchange_size: float = 1e8
    gates_cost: float = 1e10
    samples: int = 3
    samples_size: float = 1e6


LIMITS = SelectionLimits()
THINNING = ("auto", "thinned")  # the methods that keep what is required of a selection
SQUARES_SELECT = (
    "pursuit, swaps and the comparison of selections minimise squared errors; gates are trained, and the "
    "weights of the selected records refitted, with the sum of absolute errors"
)


@dataclass(frozen=True)
class GateTraining:
    """How gates are trained: epochs, learning rate, device, and dtype (None: that of the matrix)."""

    epochs: int
    lr: float
    device: str
    dtype: np.dtype[Any] | None

    @classmethod
    def checked(cls, epochs: Any, lr: Any, device: Any, dtype: Any) -> Self:
        """Check what the user gave."""
        return cls(
            validation.integer("epochs", epochs, at_least=1),
            validation.real_number("lr", lr, above=0.0),
            backend_name(device),
            None if dtype is None else validation.float_dtype(dtype),
        )


@dataclass(frozen=True, eq=False)
class SelectionProblem:
    """A matrix, targets and base weights, and how weights are refitted and gates are trained.

    Attributes
    ----------
    matrix : ColumnMatrix of shape (Q, N)
        What each record adds to each target for one unit of weight.
    targets : Targets
        The Q targets.
    base_weights : array of shape (N,)
        Design weights; records of weight 0 are never selected.
    refits : RefitProblem
        Gives selected records their weights.
    training : GateTraining
        How gates are trained.
    seed : int
        Seed of the samples and of the gates.
    limits : SelectionLimits
        Sizes beyond which expensive steps are not tried.
    record_names : tuple of N str, optional
        The names of the columns, if M is a frame that has any, or the identifiers of a MarginProblem.
    keys : Keys
        How answers identify records, and the kind of frames in which they are given.
    stages : Stages
        To which the stages of the run are reported.
    requirements : Requirements
        What a selection must hold.
    spread : float
        How much uneven weights count beside missed targets: see `l0np.selection.ranking`.
    """

    matrix: ColumnMatrix
    targets: Targets
    base_weights: Floats
    refits: RefitProblem
    training: GateTraining
    seed: int
    limits: SelectionLimits = LIMITS
    record_names: tuple[str, ...] | None = None
    keys: Keys = field(default_factory=Keys)
    stages: Stages = field(default_factory=Stages)
    spread: float = 1.0
    requirements: Requirements = NOTHING

    @classmethod
    def checked(
        cls,
        M: Any,
        y: Any,
        base_weights: Any,
        distance: Distance,
        total: float | None,
        training: GateTraining,
        seed: Any,
        options: TargetOptions,
    ) -> Self:
        """Check M, y, base weights, seed and target options; the rest has been checked."""
        M, y, base_weights, options, keys = problem_parts(M, y, base_weights, options)
        matrix, targets = Targets.of(M, y, options)
        base_weights = 1.0 if base_weights is None else base_weights
        base = validation.column_values("base_weights", base_weights, "M", M, matrix.shape[1], at_least=0.0)
        if not base.any():
            raise InputError("base_weights are all 0: there is no record to select")
        targets = targets.sized(matrix, base)
        targets.check_sizes(matrix, "base_weights", base)
        if seed is None:
            seed = secrets.randbits(63)
        seed = validation.integer("seed", seed, at_least=0, at_most=LARGEST_SEED)
        warn_if_not_minimised(targets)
        refits = RefitProblem(matrix, targets, distance, total)
        keys = Keys(kind_of(M)) if keys is None else keys
        names = column_names(M) if keys.values is None else tuple(map(str, keys.values))
        problem = cls(matrix, targets, base, refits, training, seed, record_names=names, keys=keys)
        problem._check_range()
        return problem

    def watched(self, callbacks: Any, verbose: Any) -> Self:
        """Return the problem with stages that are reported to callbacks, which are checked."""
        return replace(self, stages=Stages.checked(callbacks, verbose, self.targets, self.ranks))

    def warn_of_squares(self) -> None:
        """Warn that records are selected by squared errors, if the loss is a sum of absolute ones."""
        if self.targets.minimises_absolute_errors:
            warn(SQUARES_SELECT, L0npWarning)

    def requiring(self, certainty: Any, at_least: Any, groups_of_records: Any, method: str) -> Self:
        """Return the problem with what a selection must hold, checked."""
        given = [certainty, at_least]
        if any(one is not None for one in given) and method not in THINNING:
            name = "certainty" if certainty is not None else "at_least"
            raise InputError(f'{name} needs method "auto" or "thinned", got {method!r}')
        required = Requirements.checked(
            certainty, at_least, groups_of_records, self.base_weights > 0, self.record_names
        )
        return replace(self, requirements=required)

    def _check_range(self) -> None:
        """Refuse entries and weights that the dtype of training cannot hold."""
        largest = float(np.finfo(self.dtype).max)
        for name, size in (
            ("M", largest_entry(self.matrix)),
            ("base_weights", float(self.base_weights.max())),
        ):
            if size > largest:
                advice = 'use other units or dtype="float64"'
                raise InputError(f"{name} holds {size:.3g}, beyond the range of {self.dtype}: {advice}")

    def checked_count(self, name: str, k: Any) -> int:
        """Return k, checked against the number of eligible records."""
        count = validation.integer(name, k, at_least=1, at_most=self.matrix.shape[1])
        if count > len(self.eligible):
            what = "the number of records with a base weight above 0"
            raise InputError(f"{name} must be at most {len(self.eligible)}, {what}, got {count}")
        self.requirements.check_count(name, count)
        return count

    @cached_property
    def eligible(self) -> NDArray[np.int64]:
        """The records that may be selected."""
        return np.flatnonzero(self.base_weights)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype in which gates are trained."""
        return self.matrix.dtype if self.training.dtype is None else self.training.dtype

    @cached_property
    def training_matrix(self) -> ColumnMatrix:
        """The matrix, or this rank's columns of it, in `dtype`, not copied if it has that dtype already."""
        own = self.shared.own if self.shared else self.matrix
        return ColumnMatrix.build(own, self.dtype)

    @property
    def shared(self) -> SharedMatrix | None:
        """The matrix, if ranks share its columns."""
        matrix: Any = self.matrix
        return matrix if isinstance(matrix, SharedMatrix) else None

    @property
    def ranks(self) -> Communicator | None:
        """The ranks that share the columns, which train gates together."""
        ranks: Communicator | None = self.shared.ranks if self.shared else None
        return ranks

    def of_all(self, own: Any) -> Any:
        """Return one value for each record, of which a rank gives those of its own."""
        return self.shared.joined(own) if self.shared else own

    @cached_property
    def training_targets(self) -> Targets:
        """The targets with the scales of the refits, so that training and refits divide errors alike."""
        return self.targets.scaled_by_errors()

    def model(self, weights: Floats, **arguments: Any) -> SparseCalibrationWeights:
        """Return an untrained model that starts from these weights: of all records, or of the rank's own."""
        own = self.shared.columns if self.shared else slice(None)
        arguments = {name: v[own] if isinstance(v, np.ndarray) else v for name, v in arguments.items()}
        return SparseCalibrationWeights(
            self.training_matrix.shape[1],
            init_weights=weights[own],
            device=self.training.device,
            seed=self.seed,
            dtype=self.dtype,
            **arguments,
        )

    def loss(self, estimate: Floats) -> float:
        """Return the loss of estimates of the targets, and of their totals."""
        return float(self._loss.value(estimate))

    @cached_property
    def _loss(self) -> Loss:
        return self.training_targets.loss(get_backend("numpy"))
