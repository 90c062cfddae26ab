"""Sparse survey calibration: few records with positive weights whose weighted totals match the targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from l0np._text import counted
from l0np.callbacks import Progress, calibration_report
from l0np.engine import Communicator, State
from l0np.inputs import known_arguments, validation
from l0np.margin_tables import problem_parts
from l0np.maths import ExponentialLink, Link, Parameter, philox
from l0np.models import (
    SMALLEST_WEIGHT,
    CalibratedModel,
    TrainingSettings,
    check_finite_weights,
    checked_communicator,
)
from l0np.targets import Targets


class SparseCalibrationWeights(CalibratedModel):
    """Calibration weights ``exp(log_weight) * gate``, trained to meet the targets with few gates open.

    The objective is ``sum_i g_i e_i^2 + lambda_l0 E[open gates] + lambda_l2 sum_j exp(log_weight_j)^2`` (or,
    with ``l2_anchor="initial"``, ``lambda_l2 sum_j (exp(log_weight_j) / init_weights_j - 1)^2``) with
    errors ``e = (y - M w) / (y + 1)`` (relative) or ``y - M w`` (mse), weights g of the targets, and gates
    from the Hard Concrete distribution (Louizos, Welling and Kingma 2017, arXiv:1712.01312). Adam minimises
    it, with one draw of the gates in each epoch. `l0np.TargetOptions` describes g and other losses.

    Parameters
    ----------
    n_features : int
        Number of records N, the columns of M.
    beta : float or callable
        Temperature of the gates, above 0, or a schedule ``epoch -> beta`` (see `l0np.schedules`).
    gamma, zeta : float
        Ends of the interval to which gates are stretched before they are clipped to [0, 1]: gamma < 0 and
        zeta > 1.
    init_keep_prob : float or array of shape (n_features,)
        Initial keep probability, whose logit is log_alpha. 0 and 1 stand for 1e-6 and 1 - 1e-6.
    init_weights : float or array of shape (n_features,), optional
        Initial weights, 0 or more; 1 by default. For a survey, its base weights.
    log_weight_jitter_sd : float
        Standard deviation of the noise that is added to log_weight at the first fit.
    log_alpha_jitter_sd : float
        Standard deviation of the noise that is added to log_alpha at construction.
    device : str
        "cpu" (Numba if it is installed, else NumPy), "numpy", "numba", "cuda", "cuda:1" or "auto".
    use_gates : bool
        Whether there are gates. Without them no record is dropped and there is no L0 term.
    seed : int, optional
        64-bit seed of all noise; None draws one, kept as `seed_`.
    dtype : {"float32", "float64"}
        Precision of the parameters and of the matrix; sums are float64 in any case.
    test_time_temperature : bool
        Whether test-time gates are ``sigmoid(log_alpha / beta)`` (the default, closer to 0 and 1) or, as in
        Louizos et al., ``sigmoid(log_alpha)``, both stretched and clipped.

    Raises
    ------
    InputError, InputTypeError
        For an argument outside these bounds.
    BackendUnavailableError
        For a device that this machine does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np import SparseCalibrationWeights
    >>> M = np.random.default_rng(0).uniform(size=(3, 50))  # 3 targets, 50 records
    >>> y = M.sum(axis=1)
    >>> model = SparseCalibrationWeights(n_features=50, seed=0)
    >>> model = model.fit(M, y, lambda_l0=2e-3, lr=0.1, epochs=500, loss_type="relative")
    >>> active = model.get_active_weights()
    >>> bool(active["count"] < 50 and (active["values"] > 0).all())
    True
    >>> bool((abs(model.predict(M) / y - 1) < 0.2).all())
    True
    """

    _link: ClassVar[Link] = ExponentialLink()
    _theta_name: ClassVar[str] = "log_weight"

    @known_arguments()
    def __init__(
        self,
        n_features: int,
        beta: float | Callable[[int], float] = 2 / 3,
        gamma: float = -0.1,
        zeta: float = 1.1,
        init_keep_prob: ArrayLike = 0.5,
        init_weights: ArrayLike | None = None,
        log_weight_jitter_sd: float = 0.0,
        log_alpha_jitter_sd: float = 0.01,
        device: str = "cpu",
        use_gates: bool = True,
        seed: int | None = None,
        *,
        dtype: DTypeLike = "float32",
        test_time_temperature: bool = True,
    ) -> None:
        super().__init__(n_features, beta, gamma, zeta, device, seed, dtype, test_time_temperature)
        self.init_keep_prob = init_keep_prob
        self.init_weights = init_weights
        self.log_weight_jitter_sd = validation.real_number(
            "log_weight_jitter_sd", log_weight_jitter_sd, at_least=0.0
        )
        self.log_alpha_jitter_sd = validation.real_number(
            "log_alpha_jitter_sd", log_alpha_jitter_sd, at_least=0.0
        )
        self.use_gates = validation.flag("use_gates", use_gates)
        self._start_from(1.0 if init_weights is None else init_weights)
        log_alpha = self._jittered_log_alpha()
        self._start = self._state = replace(self._start, log_alpha=Parameter.start(log_alpha))

    def _jittered_log_alpha(self) -> NDArray[Any]:
        return self._start_log_alpha(self.init_keep_prob, self.log_alpha_jitter_sd)

    def _start_from(self, given: ArrayLike) -> None:
        n = self.n_features
        weights = validation.scalar_or_vector("init_weights", given, n, self.dtype, at_least=0.0)
        log_weight = np.log(weights.astype(np.float64) + SMALLEST_WEIGHT).astype(self.dtype)
        check_finite_weights("init_weights", log_weight, self._link)
        # A copy: the caller may change the array later. Refits take it in float64, as it was given
        self._initial_weights = validation.scalar_or_vector("init_weights", given, n, np.dtype(np.float64))
        self._start = self._state = replace(self._start, theta=Parameter.start(log_weight))

    @property
    def log_weight(self) -> NDArray[Any]:
        """Logarithms of the ungated weights, shape (n_features,), read-only."""
        return self._read_only_theta()

    @known_arguments()
    def fit(
        self,
        M: Any,
        y: ArrayLike | None = None,
        lambda_l0: float | None = None,
        lambda_l2: float = 0.0,
        lr: float | Callable[[int], float] = 0.01,
        epochs: int = 1000,
        loss_type: str = "mse",
        verbose: bool = False,
        verbose_freq: int = 100,
        target_groups: ArrayLike | None = None,
        normalize_groups: bool = True,
        group_multipliers: Mapping[Any, float] | None = None,
        *,
        n_active: int | None = None,
        callbacks: Sequence[Callable[[Progress], bool | None]] = (),
        target_weights: ArrayLike | None = None,
        target_scales: ArrayLike | None = None,
        tolerances: ArrayLike | None = None,
        caps: ArrayLike | None = None,
        aggregates: Any = None,
        exclude: Any = None,
        l2_anchor: str | None = None,
        fold: bool | str = "auto",
        communicator: Communicator | None = None,
    ) -> Self:
        """Train for more epochs: ten fits of 100 epochs equal one of 1,000, bit for bit.

        Parameters
        ----------
        M : MarginProblem, ColumnMatrix, scipy.sparse array, array, lists or DataFrame, shape (Q, n_features)
            What each record adds to each target for one unit of weight; or what `margins` returned, which
            stands for M, y and target options, and in the first fit for `init_weights` too, unless the model
            was given any. M is converted at every call, except
            a `ColumnMatrix`. The first frame with names of columns gives them to the model: columns of later
            frames are used by name, in any order, and all else by position (see `column_names_`). Series
            given as other arguments and as `init_weights` must have the frame's labels in its order, or a
            default index.
        y : array of shape (Q,)
            The targets, in the units of M @ weights; left out with a MarginProblem.
        lambda_l0 : float, optional
            L0 multiplier: what one expected open gate adds to the objective; None means 0.01.
        lambda_l2 : float
            What one squared unit of ungated weight adds to the objective. With ``l2_anchor="initial"``: what
            an ungated weight that is off by 100 % of its initial weight adds to the objective.
        lr : float or callable
            Learning rate of Adam, above 0, or a schedule ``epoch -> lr``.
        epochs : int
            Epochs to train; 0 does nothing.
        loss_type : {"mse", "relative", "absolute"}
            What is minimised: squared errors, squared relative errors, or absolute relative errors. See
            `l0np.TargetOptions` for this and the other target options.
        verbose : bool
            Print a report at every epoch that is a multiple of `verbose_freq`, and after the last one.
        verbose_freq : int
            Epochs between reports: printing, callbacks, the check that all numbers are finite.
        n_active : int, optional
            Select exactly this many records. A controller moves lambda_l0 so that the expected number of
            open gates moves towards n_active by at most 0.6 % per epoch and stays there (Gallego-Posada et
            al. 2022, arXiv:2208.04425). At the end, or when a callback stops the fit, the n_active records
            whose gates are most likely to be open are selected, with their ungated weights, and `lambda_l0_`
            is the last value of the multiplier. Callbacks still see the gates. If an exception interrupts the
            fit, nothing is selected. A later fit without n_active drops the selection and continues to train
            all gates.
        callbacks : sequence of callables
            Each gets a `Progress` at every report; one that returns True stops the fit.
        target_groups, normalize_groups, group_multipliers, target_weights, target_scales
            Weights of groups of targets and of single targets, and what their errors are divided by: see
            `l0np.TargetOptions`.
        tolerances, caps, aggregates, exclude
            Errors that cost nothing, the most that a target may cost, totals of targets to be met too, and
            targets that are held out: see `l0np.TargetOptions`.
        l2_anchor : {"initial"}, optional
            "initial" penalises squared relative distances of the weights from `init_weights` (0 counts as
            1e-8) in every fit, after any state. By default weights are penalised in absolute units, for
            which no one `lambda_l2` suits weights near 1 and in the thousands.
        fold : {"auto", True, False}
            Whether rows of M that are sums of other rows, as states are of districts, are added up in each
            epoch instead of being read: the same objective, and answers equal to rounding. See
            `ColumnMatrix.folded`; `statistics_` reports how many rows were folded. A `ColumnMatrix` that is
            folded is not searched again.
        communicator : Communicator, optional
            `l0np.mpi.World()`, if ranks share the columns: each has a model of its own columns, of the same
            seed. What is trained does not depend on how many ranks there are; callbacks are called on every
            rank, with figures of all columns, and the package's own print and write on the first. No rows are
            folded.

        Returns
        -------
        SparseCalibrationWeights
            The model itself.

        Raises
        ------
        InputError, InputTypeError
            For unusable arguments, before any training; the model stays as it was.
        DivergenceError
            If training produces infinity or NaN; the model is at its last finite report or, without one, as
            before.

        Warns
        -----
        PoorFitWarning
            If, from 100 epochs on, no record is active, the weights are far from what the targets ask for,
            the targets are missed by more than 50 % in the median, the loss still falls, or gates without
            noise change the totals; the message says what to try.
        """
        ranks = checked_communicator(communicator)
        settings = TrainingSettings.checked(
            lambda_l0=lambda_l0,
            n_active=n_active,
            lambda_l2=lambda_l2,
            l2_anchor=l2_anchor,
            lr=lr,
            epochs=epochs,
            verbose_freq=verbose_freq,
            callbacks=callbacks,
        ).with_fold(fold)
        show = validation.flag("verbose", verbose)
        given: Any = {
            "target_groups": target_groups,
            "group_multipliers": group_multipliers,
            "target_weights": target_weights,
            "target_scales": target_scales,
            "tolerances": tolerances,
            "caps": caps,
            "aggregates": aggregates,
            "exclude": exclude,
        }
        options: Any = {name: value for name, value in given.items() if value is not None}
        options |= {"loss_type": loss_type, "normalize_groups": normalize_groups}
        M, y, base_weights, options, _ = problem_parts(M, y, None, options)
        matrix = self._trainable("M", M, settings.fold if communicator is None else False)
        targets = Targets.build(y, matrix.shape[0], M=M, dtype=self.dtype, **options)
        if base_weights is not None and self.init_weights is None and self._state is self._start:
            self._start_from(base_weights)
        if show:
            multipliers = validation.multipliers("group_multipliers", group_multipliers)
            if ranks.rank == 0:
                print(_describe_groups(targets.groups, normalize_groups, multipliers), flush=True)  # noqa: T201
            settings = replace(settings, callbacks=(calibration_report(targets.groups), *settings.callbacks))
        with self._named_after(M):
            return self.train_on(
                matrix, targets, settings, answer_like=(M, y), judged=True, communicator=communicator
            )

    def _first_state(self, target: NDArray[np.float64]) -> State:
        """Return the state with the jitter of the first fit."""
        if not self.log_weight_jitter_sd:
            return self._state
        jitter = self.log_weight_jitter_sd * philox.normal(
            self.seed_, philox.LOG_WEIGHT_JITTER, self.n_features, self._first_column
        )
        log_weight = (self._state.theta.value + jitter).astype(self.dtype)
        return replace(self._state, theta=Parameter.start(log_weight))

    @known_arguments()
    def predict(self, M: Any, *, communicator: Communicator | None = None) -> NDArray[np.float64]:
        """Return the totals ``M @ weights`` at test time, shape (rows of M,), in float64.

        Columns of a frame are used by name if the model knows names (`column_names_`), else by position. A
        MarginProblem stands for its matrix. With a communicator, M has the rank's own columns, and the totals
        are those of all ranks.
        """
        M, *_ = problem_parts(M, None, None, {})
        return self._predict("M", M, self._state, communicator)

    @known_arguments()
    def get_weights(self, deterministic: bool = False) -> NDArray[Any]:
        """Return the weights, shape (n_features,).

        Parameters
        ----------
        deterministic : bool
            Return the test-time weights. By default the weights have the gates drawn for the next epoch;
            after a fit with `n_active` nothing is drawn, and both are the weights of the selection.
        """
        if validation.flag("deterministic", deterministic):
            return self._answer(self._test_time_weights(self._state))
        state = self._state
        if state.selection is not None:
            return self._answer(self._test_time_weights(state))
        with np.errstate(all="ignore"):  # weights may underflow
            weights, gates = np.asarray(np.exp(state.theta.value)), self._gates(state)
            if gates is None:
                return self._answer(weights)
            draw = state.seed, philox.GATES, state.epoch, self._first_column
            uniform = philox.uniform(np, *draw, self.n_features)
            return self._answer(np.asarray(weights * gates.sample(state.log_alpha.value, uniform)[0]))

    def get_active_weights(self) -> dict[str, Any]:
        """Return the active records as "indices", "values" (arrays) and "count" (int).

        These are the records whose test-time weight is not 0.
        """
        weights = self._test_time_weights(self._state)
        indices = np.flatnonzero(weights)
        return {
            "indices": self._answer(indices),
            "values": self._answer(weights[indices]),
            "count": len(indices),
        }


def _describe_groups(
    groups: NDArray[Any] | None, normalize: bool, multipliers: Mapping[Any, float] | None
) -> str:
    if groups is None:
        return "Groups: none (uniform weights)"
    parts = [counted(len(np.unique(groups)), "group"), f"normalize={'on' if normalize else 'off'}"]
    if multipliers is not None:
        parts.append(f"multipliers={dict(multipliers)}")
    return f"Groups: {', '.join(parts)}"
