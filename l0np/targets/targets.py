"""`Targets`: the totals that are wanted and what missing them costs, checked once and passed on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs import index_names, row_mask, row_names, validation
from l0np.maths import LOSSES, Aggregated, Loss, Sum, TargetLoss
from l0np.matrix import ColumnMatrix, SharedMatrix, absolute_totals, largest_entry
from l0np.targets.aggregates import Aggregate, adding_matrix, listed
from l0np.targets.options import DEFAULTS, TargetOptions
from l0np.targets.weights import group_weights

FLOAT = np.dtype(np.float64)


class Products(Protocol):
    """What a loss needs of the backend on whose device the predictions live."""

    xp: Any

    def asarray(self, array: NDArray[Any]) -> Any:
        """Return a copy of a NumPy array on the device."""

    def matrix(self, matrix: ColumnMatrix) -> Any:
        """Return the device's form of a matrix."""

    def matvec(self, matrix: Any, columns: Any) -> Any:
        """Return A @ columns in float64."""

    def rmatvec(self, matrix: Any, rows: Any) -> Any:
        """Return A.T @ rows in float64."""


@dataclass(frozen=True, eq=False)
class AggregatedTargets:
    """An `Aggregate`, checked.

    The G x Q matrix that adds targets up, the G totals as targets of their own, and the weight of their loss.
    """

    matrix: ColumnMatrix
    totals: Targets
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Targets:
    """What Q targets are and what missing them costs; made by `Targets.build`, which checks everything.

    Attributes
    ----------
    value : array of shape (Q,)
        The targets themselves, float64 (after a cast to the run's dtype).
    scale : array of shape (Q,)
        What errors are divided by, above 0.
    weights : array of shape (Q,)
        Weight of the group, times that of the target; 0 where excluded.
    tolerance : array of shape (Q,)
        Errors that cost nothing, in the units of the targets.
    cap : array of shape (Q,)
        The most that one target adds to the loss for each unit of its weight; infinite where there is no cap.
    fitted : array of shape (Q,)
        False for targets that are only scored.
    loss_class : class
        The loss of these terms, one of `l0np.maths.LOSSES`.
    groups : array of shape (Q,), optional
        The label of each target's group.
    names : tuple of str, optional
        The name of each target.
    aggregates : tuple of AggregatedTargets
        Totals of targets that are to be met too.
    scales_given : bool
        Whether the scales were given (`target_scales`), so that reports use them too.
    row_size : array of shape (Q,), optional
        ``sum_j |M_ij| w_j`` under the base weights: what the error of a target of 0 is compared with; see
        `sized`.
    """

    value: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    cap: NDArray[np.float64]
    fitted: NDArray[np.bool_]
    loss_class: type[TargetLoss]
    groups: NDArray[Any] | None = None
    names: tuple[str, ...] | None = None
    aggregates: tuple[AggregatedTargets, ...] = ()
    scales_given: bool = False
    row_size: NDArray[np.float64] | None = None

    @classmethod
    def build(
        cls,
        y: Any,
        n_targets: int,
        *,
        M: Any = None,
        dtype: DTypeLike = FLOAT,
        **options: Unpack[TargetOptions],
    ) -> Self:
        """Check the target options.

        Parameters
        ----------
        y : array of shape (n_targets,)
            The targets.
        n_targets : int
            Rows of M.
        M : object, optional
            The matrix as the user gave it: where it is a frame, its index names the targets, and Series must
            have its labels in its order (`validation.check_order`).
        dtype : float32 or float64
            That of the run, to which y is cast before it is checked.
        **options
            See `TargetOptions`.

        Raises
        ------
        InputError, InputTypeError
            For anything that cannot be used: what it was, what was wanted, and where.
        """
        given: Any = DEFAULTS | options
        normalize = validation.flag("normalize_groups", given["normalize_groups"])
        loss_class = validation.one_of("loss_type", given["loss_type"], LOSSES)
        for name in loss_class.ignores:
            if given[name] is not None:
                raise InputError(f"{name} mean nothing to loss_type={given['loss_type']!r}: leave them out")
        reference = ("M", M) if validation.is_pandas(M) else ("y", y)
        rows = _Rows(reference, n_targets, validation.row_labels(M, y))
        rows.check_order("y", y)
        names = index_names(M, y)
        if given["names"] is not None:
            names = rows.names("names", given["names"])
            rows = replace(rows, of_rows=names)
        target = validation.vector(
            "y", y, n_targets, np.dtype(dtype), per="row of M", labels=rows.of_rows
        ).astype(np.float64)
        groups = rows.labels("target_groups", given["target_groups"])
        fitted = ~rows.mask("exclude", given["exclude"], names)
        if not fitted.any():
            raise InputError(f"exclude leaves no target to fit: it holds all {n_targets}")
        multipliers = validation.multipliers("group_multipliers", given["group_multipliers"])
        weights = group_weights(groups, n_targets, normalize, multipliers, fitted)
        weights *= rows.numbers("target_weights", given["target_weights"], 1.0, at_least=0.0)
        scales_given = given["target_scales"] is not None
        scale = rows.numbers("target_scales", given["target_scales"], 1.0, above=0.0)
        if not scales_given:
            scale = loss_class.default_scale(target)
        targets = cls(
            value=target,
            scale=np.where(scale == 0, 1.0, scale),
            weights=weights,
            tolerance=rows.numbers("tolerances", given["tolerances"], 0.0, at_least=0.0),
            cap=rows.numbers("caps", given["caps"], np.inf, above=0.0, infinite=True),
            fitted=fitted,
            loss_class=loss_class,
            groups=groups,
            names=names,
            scales_given=scales_given,
        )
        targets._check_squarable()
        validation.check_elements("y", target, (scale == 0) & fitted, loss_class.refusal, names)
        if given["aggregates"] is None:
            return targets
        for name, one in listed("aggregates", given["aggregates"]):
            rows.check_aggregate(name, one)
        return replace(targets, aggregates=_aggregated(given["aggregates"], targets, given["loss_type"]))

    @classmethod
    def of(cls, M: Any, y: Any, options: TargetOptions) -> tuple[ColumnMatrix, Self]:
        """Check a matrix and its targets, and keep M's exact values; option names are not checked."""
        matrix: Any = M if isinstance(M, SharedMatrix) else ColumnMatrix.of(M)
        validation.check_rows("M", matrix.shape, "y", y)
        return matrix, cls.build(y, matrix.shape[0], M=M, **options)

    @classmethod
    def plain(cls, value: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        """Return targets of checked values whose squared errors are weighted and summed, nothing else."""
        n = len(value)
        return cls(
            value, np.ones(n), weights, np.zeros(n), np.full(n, np.inf), np.ones(n, bool), LOSSES["mse"]
        )

    def __len__(self) -> int:
        """Return the number of targets Q."""
        return len(self.value)

    def __repr__(self) -> str:
        """Tell how many there are."""
        held_out, aggregates = int((~self.fitted).sum()), sum(len(a.totals) for a in self.aggregates)
        return f"Targets({len(self)} targets, {held_out} held out, {aggregates} totals of targets)"

    def name(self, i: int) -> str:
        """Return the name of the i-th target, or its number where it has none."""
        return self.names[i] if self.names else f"target {i}"

    @property
    def minimises_squares(self) -> bool:
        """Whether pursuits, which solve least squares, and refits minimise the loss of these targets."""
        return self.loss_class.minimises_squares

    @property
    def minimises_absolute_errors(self) -> bool:
        """Whether the loss of these targets is a sum of absolute errors, which refits minimise too."""
        return self.loss_class.minimises_absolute_errors

    @property
    def given_scale(self) -> NDArray[np.float64] | None:
        """The scales where they were given: then reports speak of errors relative to them."""
        return self.scale if self.scales_given else None

    @property
    def error_scale(self) -> NDArray[np.float64]:
        """What tables, checks and refits divide errors by: the given scales, else ``|y|``, shape (Q,).

        The error of a target of 0 is divided by the size of its row under the base weights (see `sized`), or
        by 1 where that is not known or 0. So no verdict changes when a row and its target are given in other
        units.
        """
        if self.scales_given:
            return self.scale
        of_zero = (
            np.ones(len(self)) if self.row_size is None else np.where(self.row_size > 0, self.row_size, 1.0)
        )
        return np.where(self.value != 0, np.abs(self.value), of_zero)

    def sized(self, matrix: ColumnMatrix, base_weights: NDArray[np.float64]) -> Self:
        """Return the targets with the sizes of their rows; the matrix is read only if a target is 0."""
        parts: list[Targets] = [self, *(aggregate.totals for aggregate in self.aggregates)]
        if all(part.scales_given or part.value.all() for part in parts):
            return self
        row_size = absolute_totals(matrix, base_weights)
        aggregates = tuple(
            replace(a, totals=replace(a.totals, row_size=absolute_totals(a.matrix, row_size)))
            for a in self.aggregates
        )
        return replace(self, row_size=row_size, aggregates=aggregates)

    def scaled_by_errors(self) -> Self:
        """Return the targets, and their totals, with `error_scale` as their scales, as refits take them."""
        aggregates = tuple(replace(a, totals=a.totals.scaled_by_errors()) for a in self.aggregates)
        return replace(self, scale=self.error_scale, aggregates=aggregates)

    def check_sizes(self, matrix: ColumnMatrix, name: str, weights: NDArray[np.float64]) -> None:
        """Refuse a matrix and weights, called `name`, whose squared relative errors overflow float64."""
        limits, (entry, sizes) = validation.DIVISIBLE, (largest_entry(matrix), np.abs(weights))
        validation.check_squarable("M", entry, limits)
        validation.check_squarable(name, sizes.max(), limits)
        estimate = entry * float(sizes.sum())
        for part, factor in (
            (self, 1.0),
            *((a.totals, largest_entry(a.matrix) * len(self)) for a in self.aggregates),
        ):
            largest = max(estimate * factor, float(np.abs(part.value).max())) / float(part.error_scale.min())
            if largest > limits[1]:
                raise InputError(
                    f"M @ {name} or y may be {largest:.3g} times what errors are divided by: use other units"
                )

    def loss(self, products: Products) -> Loss:
        """Return the loss of the targets, and of their totals, on a backend's device."""
        value, scale, weights = (products.asarray(array) for array in (self.value, self.scale, self.weights))
        tolerance = products.asarray(self.tolerance) if self.tolerance.any() else None
        cap = products.asarray(self.cap) if np.isfinite(self.cap).any() else None
        own = self.loss_class(value, scale, weights, tolerance, cap)
        if not self.aggregates:
            return own
        return Sum(
            [own, *(_loss_of_totals(a, products) for a in self.aggregates)], products.xp.empty_like(value)
        )

    def _check_squarable(self) -> None:
        """Refuse numbers whose squares leave the range of float64."""
        for name, sizes in (
            ("y", self.value),
            ("target_weights", self.weights),
            ("tolerances", self.tolerance),
        ):
            validation.check_squarable(name, np.abs(sizes).max(), validation.DIVISIBLE)
        scales = self.scale if self.scales_given else np.ones(1)
        for name, divisors in (
            ("target_scales", scales),
            ("caps", np.where(self.cap < np.inf, self.cap, 1.0)),
        ):
            labels = self.names if len(divisors) == len(self) else None
            validation.check_squarable(name, divisors, validation.DIVISIBLE, "[{}]", labels)


@dataclass(frozen=True)
class _Rows:
    """How options with one value for each row of M are read: in the order of M or y, the reference.

    `of_rows` are the names of the rows, if they have any, by which messages speak of them.
    """

    reference: tuple[str, Any]
    n: int
    of_rows: Any = None

    def check_order(self, name: str, value: Any) -> None:
        """Refuse a Series whose labels are not those of the reference in its order."""
        validation.check_order(name, value, *self.reference)

    def numbers(self, name: str, value: Any, default: float, **bounds: Any) -> NDArray[np.float64]:
        """Return one number for each row, the default where none is given."""
        if value is None:
            return np.full(self.n, default)
        self.check_order(name, value)
        return validation.scalar_or_vector(
            name, value, self.n, FLOAT, per="row of M", labels=self.of_rows, **bounds
        )

    def labels(self, name: str, value: Any) -> NDArray[Any] | None:
        """Return one label for each row, None where none are given."""
        self.check_order(name, value)
        return None if value is None else validation.labels(name, value, self.n, per="row of M")

    def names(self, name: str, value: Any) -> tuple[str, ...]:
        """Return one string for each row."""
        self.check_order(name, value)
        return row_names(name, value, self.n, per="row of M")

    def mask(self, name: str, value: Any, names: tuple[str, ...] | None) -> NDArray[np.bool_]:
        """Return which rows a mask, indices or names stand for."""
        # A mask must be in order; otherwise it lists rows, so its labels need not match
        if getattr(getattr(value, "dtype", None), "kind", "") == "b":
            self.check_order(name, value)
        return row_mask(name, value, self.n, names)

    def check_aggregate(self, name: str, aggregate: Aggregate) -> None:
        """Refuse members of an aggregate in another order."""
        if validation.is_pandas(aggregate.members) and aggregate.members.ndim == 2:
            self.check_order(f"{name}.T", aggregate.members.T)
        else:
            self.check_order(name, aggregate.members)


def _loss_of_totals(aggregate: AggregatedTargets, products: Products) -> Aggregated:
    matrix = products.matrix(aggregate.matrix)
    return Aggregated(
        lambda prediction: products.matvec(matrix, prediction),
        lambda totals: products.rmatvec(matrix, totals),
        aggregate.totals.loss(products),
        aggregate.weight,
        products.asarray(aggregate.totals.value),
    )


def _aggregated(given: Any, targets: Targets, loss_type: str) -> tuple[AggregatedTargets, ...]:
    return tuple(
        _checked_aggregate(name, one, targets, loss_type) for name, one in listed("aggregates", given)
    )


def _checked_aggregate(
    name: str, aggregate: Aggregate, targets: Targets, loss_type: str
) -> AggregatedTargets:
    """Check the totals as targets of their own."""
    matrix, names = adding_matrix(name, aggregate.members, len(targets))
    if aggregate.totals is None:
        matrix = ColumnMatrix.build(matrix.to_scipy() * targets.fitted, FLOAT, name=name, fold=False)
        totals = matrix.to_scipy() @ targets.value
    else:
        totals = aggregate.totals
    weight = validation.real_number(f"{name}.weight", aggregate.weight, at_least=0.0)
    try:
        inner = Targets.build(
            totals,
            matrix.shape[0],
            loss_type=loss_type,
            target_scales=aggregate.scales,
            tolerances=aggregate.tolerances,
            caps=aggregate.caps,
            names=names,
        )
    except (InputError, InputTypeError) as error:
        raise type(error)(f"{name}, of its {matrix.shape[0]} totals: {error}") from error
    return AggregatedTargets(matrix, inner, weight)
