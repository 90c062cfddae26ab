"""`CalibratedModel`: a gated model of records and targets; what its refit does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l0np.callbacks import Stages
from l0np.engine import Communicator
from l0np.errors import InputError
from l0np.margin_tables import problem_parts
from l0np.maths import LOSSES
from l0np.matrix import SharedMatrix
from l0np.models.fit_quality import Fault, FitEnd, faults_of_calibration
from l0np.models.ranks import check_same, checked_communicator
from l0np.models.resuming import ResumableModel
from l0np.refit import DEFAULT_BOUNDS, Refit, checked_total, distance_of, refit_to_targets
from l0np.targets import TargetOptions, Targets, takes_target_options

SMALLEST_WEIGHT = 1e-8  # added to the initial weights, because 0 has no logarithm


class CalibratedModel(ResumableModel):
    """A gated model of records, whose weights are calibrated to targets."""

    _initial_weights: NDArray[np.float64]

    def _cure_of_divergence(self, targets: Targets) -> str:
        usual = super()._cure_of_divergence(targets)
        if targets.loss_class is not LOSSES["mse"]:
            return usual
        why = f'"mse" squares the errors of targets up to {np.abs(targets.value).max():.3g}'
        return f'use loss_type="relative", because {why}; or {usual}'

    def _faults(self, end: FitEnd) -> Iterator[Fault]:
        return faults_of_calibration(end, self._initial_weights)

    @takes_target_options
    def refit(
        self,
        M: Any,
        y: ArrayLike | None = None,
        *,
        reference: ArrayLike | None = None,
        distance: str = "chi-square",
        bounds: tuple[float | None, float | None] = DEFAULT_BOUNDS,
        total: float | None = None,
        callbacks: Sequence[Callable[[Any], bool | None]] = (),
        verbose: bool = False,
        communicator: Communicator | None = None,
        **options: Unpack[TargetOptions],
    ) -> Refit:
        """Fix the selection and give it the weights that meet the targets as closely as the bounds allow.

        Among such weights it takes those nearest to the reference weights. Nothing is random, no record is
        dropped, and the model's weights are replaced. The selection is that of the last `fit` with
        `n_active`, else the records whose test-time weight is not 0.

        Parameters
        ----------
        M : MarginProblem, ColumnMatrix, scipy.sparse array, array, lists or DataFrame, shape (Q, n_features)
            As in `fit`.
        y : array of shape (Q,)
            The targets; left out with a MarginProblem.
        reference : float or array of shape (n_features,), optional
            Reference weights, above 0. By default the initial weights, scaled so that those of the selected
            records add up to the sum over all records.
        distance : {"chi-square", "raking", "logit"}
            How the distance to the reference weights is measured: see `l0np.refit.distances`. Chi-square with
            bounds is the bounded linear method.
        bounds : (float or None, float or None)
            Smallest and largest g-weight, the ratio of weight to reference weight; the smallest must be
            above 0. For "raking" and "logit", a smallest of None means 1e-4.
        total : float, optional
            A sum that the weights must have.
        callbacks : sequence of callables
            Each gets a `StageProgress` after each step (see `l0np.callbacks`); one that returns True ends the
            refit with the weights of that step.
        verbose : bool
            Print how the refit proceeds.
        communicator : Communicator, optional
            `l0np.mpi.World()`, if ranks share the records. The columns of the selected records are gathered,
            and every rank computes the weights of all of them; the answer holds the rank's own.
        **options
            Options on targets: see `l0np.TargetOptions`. Errors are divided by `target_scales`, by default
            ``|y|``; that matters only for targets that cannot all be met.

        Returns
        -------
        Refit
            Weights and g-weights of the selected records, whether the method converged, the targets missed.

        Raises
        ------
        InputError, InputTypeError
            For unusable arguments, before any work; the model stays as it was.

        Examples
        --------
        >>> import numpy as np
        >>> from l0np import SparseCalibrationWeights
        >>> M = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
        >>> model = SparseCalibrationWeights(n_features=4, seed=0).fit(M, [8.0, 10.0], n_active=3, lr=0.1)
        >>> model.refit(M, [8.0, 10.0])
        Refit(3 weights, converged in 3 steps, all 2 targets met)
        >>> model.predict(M).round(4)
        array([ 8., 10.])
        """
        found = distance_of(
            distance, bounds, no_zero="because the model stores the logarithms of its weights"
        )
        total = checked_total(total)
        M, y, _, options, _ = problem_parts(M, y, None, options)
        ranks = communicator and checked_communicator(communicator)
        matrix: Any = self._refittable("M", M)
        targets = Targets.build(y, matrix.shape[0], M=M, **options)
        is_selected = self._test_time_weights(self._state) != 0
        base = np.maximum(self._initial_weights, SMALLEST_WEIGHT)
        if reference is not None:
            base = self._column_values("reference", reference, "M", M, above=0.0)
        own, is_selected_of_all = slice(None), is_selected
        if ranks is not None:
            check_same(ranks, {"y": targets.value, "bounds": bounds, "distance": distance, "total": total})
            matrix = SharedMatrix(matrix, ranks)
            own, is_selected_of_all, base = matrix.columns, matrix.joined(is_selected), matrix.joined(base)
        selected = np.flatnonzero(is_selected_of_all)
        if not selected.size:
            raise InputError("no record is active: nothing to refit")
        if reference is None:
            base = base * (base.sum() / base[selected].sum())
        targets = targets.sized(matrix, base)
        targets.check_sizes(matrix, "init_weights" if reference is None else "reference", base)
        with Stages.checked(callbacks, verbose, targets, ranks) as stages:
            report = partial(stages.report, None) if stages.callbacks else None
            stages.begin("refit")
            refit = refit_to_targets(matrix, selected, targets, base[selected], found, total, report)
        is_own = np.zeros(len(base), bool)
        is_own[own] = True
        is_own = is_own[selected]
        refit = replace(refit, weights=refit.weights[is_own], ratios=refit.ratios[is_own])
        log_weight = np.array(self._state.theta.value)
        log_weight[is_selected] = np.log(refit.weights)
        with self._named_after(M):
            theta = replace(self._state.theta, value=log_weight)
            self._state = replace(self._state, theta=theta, selection=is_selected)
        return refit
