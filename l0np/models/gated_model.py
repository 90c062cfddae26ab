"""`GatedModel`: what calibration and regression share. It trains the state that it holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from l0np.callbacks import Callbacks, Progress
from l0np.engine import Communicator, LossTrend, Problem, Serial, State, statistics, train
from l0np.errors import USUAL_CURE, DivergenceError, InputError, L0npError
from l0np.inputs import is_on_a_device, validation
from l0np.matrix import ColumnMatrix
from l0np.models import matrices
from l0np.models.active_columns import with_selection
from l0np.models.fit_quality import FEWEST_EPOCHS, Fault, FitEnd, warn_of_faults
from l0np.models.held_state import HeldState
from l0np.models.ranks import check_same, first_column, total
from l0np.models.settings import TrainingSettings
from l0np.models.snapshots import InterruptedFit, Snapshots, WatchedFit, settings_of
from l0np.models.state_dict import LARGEST, state_dict_of
from l0np.targets import Targets


class GatedModel(HeldState):
    """Gated weights over the columns of a matrix: the base of the two models, not for use by itself."""

    def train_on(
        self,
        matrix: Any,
        targets: Targets,
        settings: TrainingSettings,
        *,
        answer_like: Sequence[Any] = (),
        interrupted: InterruptedFit | None = None,
        judged: bool = False,
        communicator: Communicator | None = None,
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
        interrupted : InterruptedFit, optional
            The fit that this training resumes, whose state the model has loaded from a checkpoint.
        judged : bool
            Whether a poor result is warned of (`PoorFitWarning`), as `fit` does.
        communicator : Communicator, optional
            The ranks that share the columns, of which this model has its own. What is trained does not depend
            on how many there are.

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
        ranks, n_columns = communicator or Serial(), self.n_features
        if communicator is not None:
            check_same(ranks, self._same_on_all_ranks(targets, settings))
            offset, n_columns = first_column(ranks, self.n_features)
            self._place(offset)
            if isinstance(matrix, ColumnMatrix):
                matrix = matrix.folded(False)  # ranks would fold different rows, and round differently
        settings.check_for(n_columns, use_gates=self.use_gates, positive=self._link.exponential)
        epoch, n_epochs = self.epoch_, settings.epochs
        if epoch + n_epochs > LARGEST["epoch"]:
            found = f"{epoch:,} epochs are trained already"
            raise InputError(f"epochs must not lead beyond {LARGEST['epoch']:,}: {found}")
        learning_rate, gates = settings.learning_rate(epoch), None
        if self.use_gates:  # for one more epoch, because the last step draws the gates of the next one
            gates = self._gate_schedule.over(epoch, n_epochs + 1)
        self._answers_on_device = self._backend.on_device and any(map(is_on_a_device, answer_like))
        with self._watched(matrix, targets, settings, interrupted, ranks) as watched:
            if n_epochs:
                with self._backend.active():
                    anchor = None
                    if settings.l2_anchor and settings.lambda_l2:
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
                        column_offset=self._first_column,
                    )
                    if ranks.reproducible and self._backend.exact:
                        problem = replace(problem, row_starts=np.ones(len(targets)))
                    fit = watched.fit
                    trend = LossTrend(fit.first_epoch, fit.last_epoch - fit.first_epoch) if judged else None
                    self._train(problem, targets, settings, watched, trend, ranks)
                    fold = getattr(matrix, "fold", None)  # what is adopted on a device has none
                    if fold is not None and self._statistics is not None:
                        self._statistics = replace(self._statistics, folded_rows=fold.n_folded)
            if settings.n_active is not None:  # also if a callback has stopped the training
                gates_now = self._gates(self._state)
                self._state = with_selection(self._state, gates_now, self._link, settings.n_active, ranks)
        if n_epochs and trend and self.epoch_ >= FEWEST_EPOCHS:
            end = FitEnd(self._backend, problem, targets, settings, self._state, trend, ranks)
            warn_of_faults(self._faults(end), self._known_faults, silent=ranks.rank > 0)
        return self

    def _same_on_all_ranks(self, targets: Targets, settings: TrainingSettings) -> dict[str, Any]:
        """Return what must be the same on all ranks, by name."""
        state, schedule = self._state, self._gate_schedule
        return {
            "the number of rows": len(targets),
            "dtype": self.dtype,
            "seed (give one to every rank)": self.seed_,
            "the number of epochs trained before": [str(state.epoch), str(state.adam_step)],
            "use_gates": self.use_gates,
            "beta": schedule.beta,
            "gamma": schedule.gamma,
            "zeta": schedule.zeta,
            "test_time_temperature": schedule.test_time_temperature,
            **settings_of(settings),
            "verbose_freq, or a period of the callbacks,": [
                str(every) for every in sorted(Callbacks(settings.callbacks, settings.verbose_freq).periods)
            ],
            "y": targets.value,
            "a target option": targets,
        }

    def _cure_of_divergence(self, targets: Targets) -> str:
        """Return what is most likely to help if training diverges."""
        return USUAL_CURE

    def _faults(self, end: FitEnd) -> Iterator[Fault]:
        """Yield what is wrong with the end of a fit."""
        raise NotImplementedError

    def _train(
        self,
        problem: Problem,
        targets: Targets,
        settings: TrainingSettings,
        watched: WatchedFit,
        trend: LossTrend | None,
        ranks: Communicator,
    ) -> None:
        """Train a copy of the state, which becomes the state at each report and at the end."""
        backend = self._backend
        state = self._state_to_train(targets, settings)
        watched.start()

        def report(data_loss: float, interrupted: Callable[[], bool]) -> bool:
            self._state = reported = state.map(backend.to_numpy)
            heard: Any = {"interrupted": interrupted, "communicator": ranks}
            progress = Progress(backend, problem, reported, data_loss, targets, watched.fit, **heard)
            stops = bool(total(ranks, watched.callbacks.report(progress)))
            if self._state is not reported and not stops:
                rule = "a callback may change it only where it stops the fit"
                raise L0npError(f"the model's state was changed during fit: {rule}")
            return stops

        fit = watched.fit
        try:
            stopped = train(
                backend,
                problem,
                state,
                fit.last_epoch,
                communicator=ranks,
                report_every=watched.callbacks.periods,
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

    def _watched(
        self,
        matrix: Any,
        targets: Targets,
        settings: TrainingSettings,
        interrupted: InterruptedFit | None,
        ranks: Communicator,
    ) -> WatchedFit:
        """Return the callbacks of a fit, with the access to the model that they have."""

        def arguments() -> dict[str, Any]:
            names = inspect.signature(type(self)).parameters
            return {name: getattr(self, name) for name in names} | {"seed": self.seed_}

        epochs = self.epoch_, self.epoch_ + settings.epochs
        snapshots = Snapshots(type(self).__name__, arguments, settings, targets, matrix, self._backend)
        return WatchedFit(
            self, partial(state_dict_of, theta_name=self._theta_name), snapshots, epochs, interrupted, ranks
        )

    def _state_to_train(self, targets: Targets, settings: TrainingSettings) -> State:
        """Return a copy of the state on the backend, with the settings' multiplier and no selection."""
        state = self._state if self._state.epoch else self._first_state(targets.value)
        if settings.lambda_l0 is not None:
            state = replace(state, lambda_l0=settings.lambda_l0, controller=None)
        elif state.controller is None:  # the controller chooses its start at its first update
            state = replace(state, lambda_l0=0.0)
        return replace(state.map(self._backend.asarray), selection=None)


def _check_kinds(targets: Any, settings: Any) -> None:
    """Refuse targets and settings that `Targets.build` and `TrainingSettings.checked` have not made."""
    for name, value, kind in (("targets", targets, Targets), ("settings", settings, TrainingSettings)):
        if not isinstance(value, kind):
            raise validation.wrong_kind(name, f"of the class {kind.__name__}", value)
