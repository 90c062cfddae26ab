"""`GatedModel`: what calibration and regression share. It holds a state, trains it, and reports it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.backends import get_backend
from l0np.callbacks import Progress
from l0np.engine import LossTrend, Problem, Serial, State, Statistics, statistics, train
from l0np.errors import USUAL_CURE, DivergenceError, InputError, L0npError
from l0np.inputs import is_on_a_device, validation
from l0np.maths import HardConcrete, Link, Parameter, l0_penalty, philox
from l0np.matrix import ColumnMatrix, float_dtype
from l0np.models import matrices
from l0np.models.active_columns import gates_at_test_time, weights_at_test_time, with_selection
from l0np.models.column_names import NamedColumns, names_entry, names_in
from l0np.models.fit_quality import FEWEST_EPOCHS, Fault, FitEnd, warn_of_faults
from l0np.models.gate_schedule import GateConstants, GateSchedule
from l0np.models.settings import TrainingSettings
from l0np.models.state_dict import LARGEST, LARGEST_SEED, read_state, state_dict_of, state_from
from l0np.targets import Targets

MOST_COLUMNS = 2**32  # far more than fit into any memory
KEEP_PROB_MARGIN = 1e-6  # probabilities are clipped to [this, 1 - this], so that their logits are finite


class GatedModel(GateConstants, NamedColumns):
    """Gated weights over the columns of a matrix: the base of the two models, not for use by itself.

    The state's arrays are never changed in place: a fit trains a copy, which becomes the state at each
    report and at the end. So a fit that is interrupted, for whatever reason, leaves the model at its last
    report, or as it was before the fit.
    """

    _link: ClassVar[Link]
    _theta_name: ClassVar[str]  # what state_dict calls the parameter of the weights

    def __init__(
        self,
        n_features: int,
        beta: float | Callable[[int], float],
        gamma: float,
        zeta: float,
        device: str,
        seed: int | None,
        dtype: DTypeLike,
        test_time_temperature: bool,
    ) -> None:
        self._n_features = validation.integer("n_features", n_features, at_least=1, at_most=MOST_COLUMNS)
        self._gate_schedule = GateSchedule(beta, gamma, zeta, test_time_temperature)
        self._gate_schedule.at(0)
        self.dtype = float_dtype(dtype)
        if seed is not None:
            seed = validation.integer("seed", seed, at_least=0, at_most=LARGEST_SEED)
        self.seed = seed
        self.device = device
        self.use_gates = True
        self._backend = get_backend(device)
        self._statistics: Statistics | None = None
        self._known_faults: set[str] = set()  # of which fits have warned
        self._answers_on_device = False  # whether the last fit's M or y came as CuPy arrays
        self._start = self._state = State(
            theta=Parameter.start(np.zeros(self.n_features, self.dtype)),
            log_alpha=Parameter.start(np.zeros(self.n_features, self.dtype)),
            intercept=None,
            epoch=0,
            adam_step=0,
            seed=secrets.randbits(63) if self.seed is None else self.seed,
        )

    def __repr__(self) -> str:
        """Show size, epoch, active count and backend."""
        name, active = type(self).__name__, np.count_nonzero(self._test_time_weights(self._state))
        size = f"n_features={self.n_features}, epoch={self.epoch_}, active={active}"
        return f"{name}({size}, backend={self.backend_!r})"

    # --- what a model reports. Each method reads the state only once, because a fit in another thread may
    # replace it

    @property
    def n_features(self) -> int:
        """Number of columns of the matrix; fixed at construction."""
        return self._n_features

    @property
    def log_alpha(self) -> NDArray[Any]:
        """Locations of the gates, shape (n_features,), read-only."""
        return self._answer(_read_only(self._state.log_alpha.value))

    @property
    def seed_(self) -> int:
        """The seed in use: `seed`, or if that is None the one drawn from the operating system."""
        return self._state.seed

    @property
    def epoch_(self) -> int:
        """Epochs trained so far, over all fits."""
        return self._state.epoch

    @property
    def backend_(self) -> str:
        """Name of the backend in use: "numba", "numpy" or "cupy"."""
        return self._backend.name

    @property
    def statistics_(self) -> Statistics | None:
        """What the last completed fit read and skipped, added up over its epochs; None before any."""
        return self._statistics

    @property
    def lambda_l0_(self) -> float | None:
        """The L0 multiplier of the last fit or, with `n_active`, where it ended; None before any fit.

        With `n_active` it may be negative, if gates had to be held open.
        """
        state = self._state
        return None if state.epoch == 0 else state.lambda_l0

    def get_deterministic_gates(self) -> NDArray[Any]:
        """Return the test-time gates, shape (n_features,), in [0, 1].

        All are 1 without gates; each is 0 or 1 after a fit with `n_active`.
        """
        return self._answer(self._test_time_gates(self._state))

    def get_sparsity(self) -> float:
        """Return the fraction of columns whose test-time weight is 0."""
        return np.float64(1.0 - np.count_nonzero(self._test_time_weights(self._state)) / self.n_features)

    def get_l0_penalty(self) -> float:
        """Return the expected number of open gates; 0 without gates, when there is no such penalty."""
        state = self._state
        gates = self._gates(state)
        return np.float64(l0_penalty(state.log_alpha.value, gates)[0] if gates else 0.0)

    def _gates(self, state: State) -> HardConcrete | None:
        return self._gate_schedule.at(state.epoch) if self.use_gates else None

    def _test_time_gates(self, state: State) -> NDArray[Any]:
        return gates_at_test_time(state, self._gates(state))

    def _test_time_weights(self, state: State) -> NDArray[Any]:
        return weights_at_test_time(state, self._gates(state), self._link)

    def _predict(self, name: str, M: Any, state: State) -> NDArray[np.float64]:
        """Return M @ test-time weights, in float64, on the device that holds M."""
        backend, matrix = self._backend, self._trainable(name, M)
        with backend.active():
            weights = backend.asarray(self._test_time_weights(state))
            product: NDArray[np.float64] = backend.matvec(backend.matrix(matrix), weights)
            return product if is_on_a_device(M) else backend.to_numpy(product)

    def _read_only_theta(self) -> NDArray[Any]:
        return self._answer(_read_only(self._state.theta.value))

    def _answer(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return `array`, as a CuPy array if the last fit's M or y was one.

        The annotation covers NumPy only.
        """
        if self._answers_on_device:
            with self._backend.active():
                array = self._backend.asarray(array)
        return array

    # --- the state

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to continue elsewhere.

        The dict holds copies of the parameters and of Adam's moments, the epoch, Adam's step, the seed and
        lambda_l0. After a fit with `n_active` it also holds "governor", the three numbers of the controller
        of lambda_l0, and "selection", the mask of the selected columns; after a fit to a frame with names it
        holds them, as an array of strings, in "column_names".

        All values are arrays and numbers, so that ``numpy.savez("run.npz", **model.state_dict())`` stores
        them and ``model.load_state_dict("run.npz")`` restores them; nothing is pickled.
        Hyper-parameters are not included: construct the model that loads the state with the same arguments.

        Examples
        --------
        >>> from l0np import SparseL0Linear
        >>> X, y = [[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], [1.0, 3.0, 4.0]
        >>> model = SparseL0Linear(n_features=2, seed=0).fit(X, y, epochs=20)
        >>> other = SparseL0Linear(n_features=2)
        >>> other.load_state_dict(model.state_dict())
        >>> bool((other.fit(X, y, epochs=5).weight == model.fit(X, y, epochs=5).weight).all())
        True
        """
        return state_dict_of(self._state, self._theta_name) | names_entry(self._names)

    def load_state_dict(self, state_dict: Mapping[str, Any] | str | PathLike[str]) -> None:
        """Continue from a state that `state_dict` returned, on any backend.

        Parameters
        ----------
        state_dict : mapping or path
            The state, or the npz file in which ``numpy.savez`` has stored it.

        Raises
        ------
        InputError, InputTypeError
            For missing or unknown keys, wrong shapes, values that are not finite or impossible, and for a
            damaged file; the model stays as it was.
        OSError
            If there is no such file, or it may not be read.
        """
        given = read_state(state_dict)
        state = state_from(given, self._state, self._theta_name, self._link)
        self._state, self._names = state, names_in(given, self.n_features)

    def reset(self) -> None:
        """Return to the state after construction: same seed, same start, nothing trained, no names."""
        self._state, self._names = self._start, None
        self._known_faults.clear()

    def _start_log_alpha(self, init_keep_prob: Any, jitter_sd: float) -> NDArray[Any]:
        probability = validation.scalar_or_vector(
            "init_keep_prob", init_keep_prob, self.n_features, np.dtype(np.float64), at_least=0.0, at_most=1.0
        )
        probability = np.clip(probability, KEEP_PROB_MARGIN, 1.0 - KEEP_PROB_MARGIN)
        log_alpha = np.log(probability / (1.0 - probability))
        if jitter_sd:
            log_alpha += jitter_sd * philox.normal(self.seed_, philox.LOG_ALPHA_JITTER, self.n_features)
        return np.asarray(log_alpha, self.dtype)

    def _first_state(self, target: NDArray[np.float64]) -> State:
        """Return the state in which the first fit starts."""
        raise NotImplementedError

    # --- training

    def train_on(
        self,
        matrix: Any,
        targets: Targets,
        settings: TrainingSettings,
        *,
        answer_like: Sequence[Any] = (),
    ) -> Self:
        """Train on checked input; `fit` and all other functions end up here.

        Parameters
        ----------
        matrix : ColumnMatrix of shape (Q, n_features)
            The matrix, which is cast to the model's dtype if necessary; or what the model's backend has made
            of a matrix on its device.
        targets : Targets of length Q
            The totals to be met, in calibration; in regression the observations, with weights 1 / Q.
        settings : TrainingSettings
            What is asked of the training.
        answer_like : sequence of objects
            If one of these is a CuPy array and the model is on a CUDA device, its methods return CuPy arrays
            from now on, else NumPy arrays.

        Returns
        -------
        GatedModel
            The model itself.

        Raises
        ------
        InputError, InputTypeError
            For arguments that do not fit the model or each other, `n_active` above `n_features` or without
            gates, an anchor of weights that may be 0, and schedules with impossible values, before any work;
            the model stays as it was.
        DivergenceError
            If training produces infinity or NaN; the model is at its last finite report or, without one, as
            before.

        Examples
        --------
        >>> import numpy as np
        >>> from l0np import ColumnMatrix, SparseCalibrationWeights
        >>> from l0np.models import TrainingSettings
        >>> from l0np.targets import Targets
        >>> M = ColumnMatrix.build(np.random.default_rng(0).uniform(size=(3, 50)))
        >>> targets = Targets.build([25.0, 26.0, 24.0], 3, loss_type="relative")
        >>> settings = TrainingSettings.checked(n_active=10, lr=0.1, epochs=300)
        >>> model = SparseCalibrationWeights(n_features=50, seed=0).train_on(M, targets, settings)
        >>> model.get_active_weights()["count"]
        10
        """
        matrix = matrices.checked_for_training("matrix", matrix, self._backend, self.dtype)
        validation.check_columns("matrix", matrix.shape, self.n_features)
        _check_kinds(targets, settings)
        if len(targets) != matrix.shape[0]:
            raise InputError(f"there are {len(targets)} targets, and matrix has the shape {matrix.shape}")
        settings.check_for(self.n_features, use_gates=self.use_gates, positive=self._link.exponential)
        epoch, n_epochs = self.epoch_, settings.epochs
        if epoch + n_epochs > LARGEST["epoch"]:
            found = f"{epoch:,} epochs are trained already"
            raise InputError(f"epochs must not lead beyond {LARGEST['epoch']:,}: {found}")
        learning_rate, gates = settings.learning_rate(epoch), None
        if self.use_gates:  # for one more epoch, because the last step draws the gates of the next one
            gates = self._gate_schedule.over(epoch, n_epochs + 1)
        self._answers_on_device = self._backend.on_device and any(map(is_on_a_device, answer_like))
        if n_epochs:
            with self._backend.active():
                anchor = None
                if settings.l2_anchored and settings.lambda_l2:
                    # Before the matrix, for which a device then has that much less free memory
                    anchor = self._backend.asarray(self._start.theta.value)
                problem = Problem(
                    matrix=self._backend.matrix(matrix),
                    n_rows=len(targets),
                    loss=targets.loss(self._backend),
                    link=self._link,
                    gates=gates,
                    lambda_l2=settings.lambda_l2,
                    l2_anchor=anchor,
                    learning_rate=learning_rate,
                )
                trend = LossTrend(epoch, n_epochs) if settings.judged else None
                self._train(problem, targets, settings, trend)
        if settings.n_active is not None:  # also if a callback has stopped the training
            self._state = with_selection(self._state, self._gates(self._state), self._link, settings.n_active)
        if n_epochs and trend and self.epoch_ >= FEWEST_EPOCHS:
            end = FitEnd(self._backend, problem, targets, settings, self._state, trend)
            warn_of_faults(self._faults(end), self._known_faults)
        return self

    def _cure_of_divergence(self, targets: Targets) -> str:
        """Return what is most likely to help if training diverges."""
        return USUAL_CURE

    def _faults(self, end: FitEnd) -> Iterator[Fault]:
        """Yield what is wrong with the end of a fit."""
        raise NotImplementedError

    def _train(
        self, problem: Problem, targets: Targets, settings: TrainingSettings, trend: LossTrend | None
    ) -> None:
        """Train a copy of the state, which becomes the state at each report and at the end."""
        backend = self._backend
        state = self._state_to_train(targets, settings)
        stop = state.epoch + settings.epochs

        def report(data_loss: float) -> bool:
            self._state = reported = state.map(backend.to_numpy)
            progress = Progress(backend, problem, reported, data_loss, targets)
            answers = [callback(progress) for callback in settings.callbacks]
            stops = any(isinstance(answer, bool | np.bool_) and answer for answer in answers)
            if self._state is not reported and not stops:
                rule = "a callback may change it only where it stops the fit"
                raise L0npError(f"the model's state was changed during fit: {rule}")
            return stops

        try:
            stopped = train(
                backend,
                problem,
                state,
                stop,
                communicator=Serial(),
                report_every=settings.verbose_freq,
                report=report,
                n_active=settings.n_active,
                trend=trend,
            )
        except DivergenceError as error:
            parts = error.epoch, error.learning_rate, error.loss, self._cure_of_divergence(targets)
            raise DivergenceError(*parts) from None
        if not stopped:  # else the last report has set the state, which its callbacks may have replaced
            self._state = state.map(backend.to_numpy)
        self._statistics = statistics(backend, state)

    def _state_to_train(self, targets: Targets, settings: TrainingSettings) -> State:
        """Return a copy of the state on the backend, with the settings' multiplier and no selection."""
        state = self._state if self._state.epoch else self._first_state(targets.value)
        if settings.lambda_l0 is not None:
            state = replace(state, lambda_l0=settings.lambda_l0, controller=None)
        elif state.controller is None:  # the controller chooses its start at its first update
            state = replace(state, lambda_l0=0.0)
        return replace(state.map(self._backend.asarray), selection=None)

    def _trainable(self, name: str, M: Any) -> Any:
        """Return the form of a matrix that `train_on` takes."""
        return matrices.for_training(name, self._with_columns(name, M), self._backend, self.dtype)

    def _refittable(self, name: str, M: Any) -> ColumnMatrix:
        """Return the form of a matrix that refits take."""
        return matrices.for_refit(name, self._with_columns(name, M))

    def _with_columns(self, name: str, M: Any) -> Any:
        per_column = {of: getattr(self, of, None) for of in ("init_weights", "init_keep_prob")}
        return matrices.with_columns(name, self._in_order(name, M), self.n_features, per_column)


def _check_kinds(targets: Any, settings: Any) -> None:
    """Refuse targets and settings that `Targets.build` and `TrainingSettings.checked` have not made."""
    for name, value, kind in (("targets", targets, Targets), ("settings", settings, TrainingSettings)):
        if not isinstance(value, kind):
            raise validation.wrong_kind(name, f"of the class {kind.__name__}", value)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
