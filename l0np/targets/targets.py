"""`Targets`: what is to be met, and what a miss costs. Row space only; the one place where users' wishes become a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from l0np.errors import InputError, InputTypeError
from l0np.inputs import index_names, row_mask, validation
from l0np.inputs import row_names as named_rows
from l0np.maths import SCALES, Aggregated, Loss, RobustSquares, Sum, WeightedSquares
from l0np.matrix import ColumnMatrix, weighted_totals
from l0np.targets import metrics
from l0np.targets.aggregates import Aggregate, adding_matrix, listed
from l0np.targets.weights import group_weights

FLOAT = np.dtype(np.float64)


class TargetOptions(TypedDict, total=False):
    """What may be said of targets: keyword arguments of `calibrate` and of every other function that takes targets.

    Parameters
    ----------
    target_groups : array of shape (Q,), optional
        A label for each target: groups count alike, and have errors of their own in diagnostics.
    normalize_groups : bool
        Divide each target's weight by the size of its group (the default).
    group_multipliers : mapping from label to float, optional
        Factors on the weights of whole groups, 0 or more.
    target_weights : float or array of shape (Q,), optional
        Factors on the weights of single targets; 0 only scores a target.
    target_scales : float or array of shape (Q,), optional
        What errors are divided by, above 0; ``max(|y|, 1)`` by default.
    tolerances : float or array of shape (Q,), optional
        Sizes of errors that count as none, in the units of y.
    caps : float or array of shape (Q,), optional
        The most that one target adds to the loss, above 0: a wrong target then spoils little (squared relative errors).
    aggregates : Aggregate, array of Q labels, matrix of shape (G, Q), or list of these, optional
        Totals of targets that are to be met too: see `l0np.Aggregate`.
    exclude : array of row indices, boolean mask of shape (Q,), or names, optional
        Targets that are held out: scored, not fitted.
    names : sequence of Q texts, optional
        What targets are called; by default the index of M or y.
    loss_type : {"mse", "relative"}
        What errors of a training are divided by where `target_scales` does not say; nothing else looks at it.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import TargetOptions, calibrate
    >>> options: TargetOptions = {"names": ["people", "income"], "tolerances": [0.0, 50.0], "caps": 0.1}
    >>> calibrate(np.array([[1.0, 1.0], [30.0, 50.0]]), [10.0, 450.0], base_weights=5.0, **options).missed
    ()
    """

    loss_type: str
    target_groups: ArrayLike | None
    normalize_groups: bool
    group_multipliers: Mapping[Any, float] | None
    target_weights: ArrayLike | None
    target_scales: ArrayLike | None
    tolerances: ArrayLike | None
    caps: ArrayLike | None
    aggregates: Any
    exclude: Any
    names: Sequence[str] | None


def check_options(function: str, options: Mapping[str, Any]) -> None:
    """Refuse, in the name of a public function, keyword arguments that are not among the `TargetOptions`."""
    unknown = [name for name in options if name not in TargetOptions.__annotations__]
    if unknown:
        known = ", ".join(TargetOptions.__annotations__)
        raise InputTypeError(
            f"{function}() takes no argument {unknown[0]!r}{validation.and_more(len(unknown))}; of targets it takes {known}"
        )


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
    """An `Aggregate`, checked: the matrix that adds targets up (G x Q), the G totals as targets, the weight of their loss."""

    matrix: ColumnMatrix
    totals: Targets
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Targets:
    """What Q targets are and what missing them costs; made by `Targets.build`, which checks everything.

    One target adds ``weights * s / (1 + s / cap)`` to the loss, ``s = (d / scale)^2``, where ``d = sign(e) max(|e| - tolerance,
    0)`` is what the error ``e = estimate - value`` exceeds the tolerance by: see `l0np.maths.RobustSquares`.

    Attributes
    ----------
    value : array of shape (Q,)
        The targets themselves, float64 (after a cast to the run's dtype).
    scale : array of shape (Q,)
        What errors are divided by, above 0.
    weights : array of shape (Q,)
        Weight of the group, times that of the target; 0 where excluded.
    tolerance : array of shape (Q,)
        Size of errors that cost nothing, in the units of the targets.
    cap : array of shape (Q,)
        The most that one target adds to the loss for each unit of its weight; infinite where there is no cap.
    fitted : array of shape (Q,)
        False for targets that are only scored.
    groups : array of shape (Q,), optional
        The label of each target's group.
    names : tuple of str, optional
        The name of each target.
    aggregates : tuple of AggregatedTargets
        Totals of targets that are to be met too.
    scales_given : bool
        Whether the scales were given (`target_scales`), so that reports use them too.
    """

    value: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    cap: NDArray[np.float64]
    fitted: NDArray[np.bool_]
    groups: NDArray[Any] | None = None
    names: tuple[str, ...] | None = None
    aggregates: tuple[AggregatedTargets, ...] = ()
    scales_given: bool = False

    @classmethod
    def build(
        cls,
        y: ArrayLike,
        n_targets: int,
        *,
        M: Any = None,
        dtype: DTypeLike = FLOAT,
        loss_type: str = "mse",
        target_groups: ArrayLike | None = None,
        normalize_groups: bool = True,
        group_multipliers: Mapping[Any, float] | None = None,
        target_weights: ArrayLike | None = None,
        target_scales: ArrayLike | None = None,
        tolerances: ArrayLike | None = None,
        caps: ArrayLike | None = None,
        aggregates: Any = None,
        exclude: Any = None,
        names: Sequence[str] | None = None,
    ) -> Self:
        """Check what a user says of the targets.

        Parameters
        ----------
        y : array of shape (n_targets,)
            The targets.
        n_targets : int
            Rows of M.
        M : object, optional
            The matrix as the user gave it: where it is a frame, its index names the targets, and Series must have its labels
            in its order (`validation.check_order`).
        dtype : float32 or float64
            That of the run, to which y is cast before it is looked at.
        loss_type : {"mse", "relative"}
            Scales of 1 or of ``|y + 1|``, where `target_scales` gives none.
        target_groups : array of shape (n_targets,), optional
            A label for each target.
        normalize_groups : bool
            Divide each target's weight by the number of fitted targets in its group.
        group_multipliers : mapping from label to float, optional
            Factors on the weights of whole groups.
        target_weights : float or array of shape (n_targets,), optional
            Factors on the weights of single targets, 0 or more.
        target_scales : float or array of shape (n_targets,), optional
            What errors are divided by, above 0, for any `loss_type`; for instance the targets' standard errors.
        tolerances : float or array of shape (n_targets,), optional
            Size of errors that cost nothing, 0 or more, in the units of y.
        caps : float or array of shape (n_targets,), optional
            The most that one target adds to the loss for each unit of its weight, above 0; infinity for no cap. A squared
            scaled error: with relative errors and a cap of 1 no target costs more than an error of 100 % would.
        aggregates : Aggregate, array of labels, matrix, or list of these, optional
            Totals of targets to be met too, see `Aggregate`.
        exclude : array of row indices, boolean mask of shape (n_targets,), or names, optional
            Targets that are scored in the reports and not fitted.
        names : sequence of n_targets texts, optional
            Names of the targets; by default the index of M or y, where that is a pandas object with labels.

        Raises
        ------
        InputError, InputTypeError
            For anything that cannot be used: what it was, what was wanted, and where.
        """
        normalize = validation.flag("normalize_groups", normalize_groups)
        scale_of = validation.one_of("loss_type", loss_type, SCALES)
        reference = ("M", M) if validation.is_pandas(M) else ("y", y)

        def per_row(name: str, value: Any, default: float, **bounds: Any) -> NDArray[np.float64]:
            if value is None:
                return np.full(n_targets, default)
            validation.check_order(name, value, *reference)
            return validation.scalar_or_vector(name, value, n_targets, FLOAT, per="row of M", **bounds)

        validation.check_order("y", y, *reference)
        target = validation.vector("y", y, n_targets, np.dtype(dtype), per="row of M").astype(np.float64)
        validation.check_order("target_groups", target_groups, *reference)
        groups = None
        if target_groups is not None:
            groups = validation.labels("target_groups", target_groups, n_targets, per="row of M")
        if names is None:
            row_names = index_names(M, y)
        else:
            validation.check_order("names", names, *reference)
            row_names = named_rows("names", names, n_targets, per="row of M")
        if getattr(getattr(exclude, "dtype", None), "kind", "") == "b":  # else it lists rows, and has labels of its own
            validation.check_order("exclude", exclude, *reference)
        excluded = row_mask("exclude", exclude, n_targets, row_names)
        if excluded.all():
            raise InputError(f"exclude leaves no target to fit: it holds all {n_targets}")
        fitted = ~excluded
        multipliers = validation.multipliers("group_multipliers", group_multipliers)
        weights = group_weights(groups, n_targets, normalize, multipliers, fitted)
        weights *= per_row("target_weights", target_weights, 1.0, at_least=0.0)
        scale = scale_of(target) if target_scales is None else per_row("target_scales", target_scales, 1.0, above=0.0)
        cap = per_row("caps", caps, np.inf, above=0.0, infinite=True)
        tolerance = per_row("tolerances", tolerances, 0.0, at_least=0.0)
        for name, sizes in (("y", target), ("target_weights", weights), ("tolerances", tolerance)):
            validation.check_squarable(name, np.abs(sizes).max(), validation.DIVISIBLE)
        finite = np.where(cap < np.inf, cap, 1.0)
        for name, divisors in (("target_scales", np.ones(1) if target_scales is None else scale), ("caps", finite)):
            validation.check_squarable(name, divisors, validation.DIVISIBLE, "[{}]")
        rule = 'the relative loss divides by y + 1; give target_scales, use loss_type="mse" or exclude these targets'
        validation.check_elements("y", target, (scale == 0) & fitted, rule)
        targets = cls(
            value=target,
            scale=np.where(scale == 0, 1.0, scale),
            weights=weights,
            tolerance=tolerance,
            cap=cap,
            fitted=fitted,
            groups=groups,
            names=row_names,
            scales_given=target_scales is not None,
        )
        if aggregates is None:
            return targets
        for name, one in listed("aggregates", aggregates):
            is_frame = validation.is_pandas(one.members) and one.members.ndim == 2
            validation.check_order(*((f"{name}.T", one.members.T) if is_frame else (name, one.members)), *reference)
        return replace(targets, aggregates=_aggregated(aggregates, targets, loss_type))

    @classmethod
    def of(cls, M: Any, y: ArrayLike, options: TargetOptions) -> tuple[ColumnMatrix, Self]:
        """Check a matrix and its targets, for what is exact; not the names of the options."""
        matrix = ColumnMatrix.of(M)
        validation.check_rows("M", matrix.shape, "y", y)
        return matrix, cls.build(y, matrix.shape[0], M=M, **options)

    @classmethod
    def plain(cls, value: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        """Return targets of checked values whose squared errors are weighted and summed, nothing else."""
        n = len(value)
        return cls(value, np.ones(n), weights, np.zeros(n), np.full(n, np.inf), np.ones(n, bool))

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
    def given_scale(self) -> NDArray[np.float64] | None:
        """The scales where they were given: then reports speak of errors relative to them."""
        return self.scale if self.scales_given else None

    @property
    def error_scale(self) -> NDArray[np.float64]:
        """What tables, checks and refits divide errors by: the scales where they were given, else ``max(|y|, 1)``.

        Unlike ``y + 1`` that has a meaning for targets of 0 and below.
        """
        return self.scale if self.scales_given else metrics.table_scale(self.value)

    def scaled_by_errors(self) -> Self:
        """Return the targets with `error_scale` as their scales, and so their totals: the loss is then what refits minimise."""
        aggregates = tuple(replace(a, totals=a.totals.scaled_by_errors()) for a in self.aggregates)
        return replace(self, scale=self.error_scale, aggregates=aggregates)

    def missed(self, estimate: NDArray[np.float64]) -> int:
        """Return how many of the targets that are to be met, and of their totals, an estimate does not meet."""
        met = metrics.is_met(estimate - self.value, self.tolerance, self.error_scale)
        totals = ((a.totals, weighted_totals(a.matrix, estimate)) for a in self.aggregates if a.weight)
        return int(np.count_nonzero((self.weights > 0) & ~met)) + sum(part.missed(sums) for part, sums in totals)

    def check_sizes(self, matrix: ColumnMatrix, name: str, weights: NDArray[np.float64]) -> None:
        """Refuse a matrix and weights, called `name`, with which squares of relative errors leave the range of float64."""
        limits, (entry, sizes) = validation.DIVISIBLE, (_largest(matrix), np.abs(weights))
        validation.check_squarable("M", entry, limits)
        validation.check_squarable(name, sizes.max(), limits)
        estimate = entry * float(sizes.sum())
        for part, factor in ((self, 1.0), *((a.totals, _largest(a.matrix) * len(self)) for a in self.aggregates)):
            largest = max(estimate * factor, float(np.abs(part.value).max())) / float(part.error_scale.min())
            if largest > limits[1]:
                raise InputError(f"M @ {name} or y may be {largest:.3g} times what errors are divided by: use other units")

    def loss(self, products: Products) -> Loss:
        """Return the loss on a backend's device: the plain squares where nothing else was asked for."""
        value, scale, weights = (products.asarray(array) for array in (self.value, self.scale, self.weights))
        tolerance = products.asarray(self.tolerance) if self.tolerance.any() else None
        cap = products.asarray(self.cap) if np.isfinite(self.cap).any() else None
        own: Loss = WeightedSquares(value, scale, weights)
        if tolerance is not None or cap is not None:
            own = RobustSquares(value, scale, weights, tolerance, cap)
        if not self.aggregates:
            return own
        return Sum([own, *(_loss_of_totals(a, products) for a in self.aggregates)], products.xp.empty_like(value))


def _largest(matrix: ColumnMatrix) -> float:
    return float(max(matrix.data.max(initial=0.0), -matrix.data.min(initial=0.0)))


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
    return tuple(_checked_aggregate(name, one, targets, loss_type) for name, one in listed("aggregates", given))


def _checked_aggregate(name: str, aggregate: Aggregate, targets: Targets, loss_type: str) -> AggregatedTargets:
    """Check the totals as targets of their own."""
    matrix, names = adding_matrix(name, aggregate.members, len(targets))
    if aggregate.totals is None:
        matrix = ColumnMatrix.build(matrix.to_scipy() * targets.fitted, FLOAT, name=name)
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
