"""What the two models share: gates over columns, their state, and the way into the training loop."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.backends import get_backend
from l0np.callbacks import Progress
from l0np.engine import (
    GovernorMemory,
    Problem,
    Serial,
    State,
    Statistics,
    most_open,
    selected_weights,
    statistics,
    test_time_weights,
    train,
)
from l0np.errors import InputError, InputTypeError, L0npError
from l0np.inputs import is_on_a_device, validation
from l0np.maths import HardConcrete, Link, Parameter, l0_penalty, philox
from l0np.matrix import ColumnMatrix, float_dtype
from l0np.targets import Targets

DEFAULT_LAMBDA_L0 = 0.01
LARGEST_SEED = 2**64 - 1
KEEP_PROB_MARGIN = 1e-6  # keep probabilities of 0 and 1 stand for this and 1 minus this: their logits are finite


@dataclass(frozen=True)
class FitSettings:
    """What both models' `fit` are told about training, checked."""

    lambda_l0: float | None  # None: governed
    n_active: int | None
    lambda_l2: float
    learning_rate: Callable[[int], float]
    gates: Callable[[int], HardConcrete] | None
    epochs: int
    report_every: int
    callbacks: tuple[Callable[[Progress], bool | None], ...]


class GatedModel:
    """Gated weights over the columns of a matrix. Not for use by itself: see the two models.

    The state's arrays are never changed in place: `fit` works on a copy, which becomes the state at each report and at the
    end. So a fit that is broken off, by whatever, leaves the model at the last report or as it was.
    """

    _link: ClassVar[Link]
    _theta_name: ClassVar[str]  # what state_dict calls the free parameter

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
        self._n_features = validation.whole_number("n_features", n_features, at_least=1)
        self.beta, self.gamma, self.zeta = beta, gamma, zeta
        self.test_time_temperature = validation.flag("test_time_temperature", test_time_temperature)
        self.dtype = float_dtype(dtype)
        self.seed = None if seed is None else validation.whole_number("seed", seed, at_least=0, at_most=LARGEST_SEED)
        self.device = device
        self.use_gates = True
        self._gate_schedule(0, 1)  # checks beta, gamma and zeta
        self._backend = get_backend(device)
        self._statistics: Statistics | None = None
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
        """Tell where the model stands."""
        active = np.count_nonzero(self._test_time_weights(self._state))
        name = type(self).__name__
        return f"{name}(n_features={self.n_features}, epoch={self.epoch_}, active={active}, backend={self.backend_!r})"

    # --- what a fitted model tells

    @property
    def n_features(self) -> int:
        """Number of columns of the matrix; fixed at construction."""
        return self._n_features

    @property
    def log_alpha(self) -> NDArray[Any]:
        """Locations of the gates, shape (n_features,), read-only."""
        return self._answer(_read_only(self._state.log_alpha.value))

    def _read_only_theta(self) -> NDArray[Any]:
        return self._answer(_read_only(self._state.theta.value))

    @property
    def seed_(self) -> int:
        """The seed in use: `seed`, or the one drawn from the operating system where that is None."""
        return self._state.seed

    @property
    def epoch_(self) -> int:
        """Epochs trained so far, over all fits."""
        return self._state.epoch

    @property
    def backend_(self) -> str:
        """Name of the backend that was chosen: "numba", "numpy" or "cupy"."""
        return self._backend.name

    @property
    def statistics_(self) -> Statistics | None:
        """What the last finished fit read and skipped, added up over its epochs; None before."""
        return self._statistics

    @property
    def lambda_l0_(self) -> float | None:
        """The price of one open gate that the last fit was given or, with `n_active`, ended at; None before any fit.

        A price found for `n_active` is below 0 where gates had to be held open.
        """
        return None if self._state.epoch == 0 else self._state.lambda_l0

    # Each method reads the state once: another thread's fit may replace it meanwhile.

    def get_deterministic_gates(self) -> NDArray[Any]:
        """Return the test-time gates, shape (n_features,), in [0, 1]; all 1 without gates, 0 or 1 after `n_active`."""
        return self._answer(self._test_time_gates(self._state))

    def _answer_like(self, *inputs: Any) -> None:
        """Answer from now on with CuPy arrays if one of a fit's inputs is one, else with NumPy arrays."""
        self._answers_on_device = self._backend.on_device and any(map(is_on_a_device, inputs))

    def _answer(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return `array` where the last fit's M or y came from: as a CuPy array (whatever the types say), or as it is."""
        if self._answers_on_device:
            with self._backend.active():
                array = self._backend.asarray(array)
        return array

    def get_sparsity(self) -> float:
        """Return the share of columns whose test-time weight is 0."""
        return np.float64(1.0 - np.count_nonzero(self._test_time_weights(self._state)) / self.n_features)

    def get_l0_penalty(self) -> float:
        """Return the expected number of open gates; 0 without gates, where there is no such penalty."""
        state = self._state
        gates = self._gates(state)
        return np.float64(l0_penalty(state.log_alpha.value, gates)[0] if gates else 0.0)

    def _gates(self, state: State) -> HardConcrete | None:
        schedule = self._gate_schedule(state.epoch, 1)
        return schedule(state.epoch) if schedule else None

    def _test_time_gates(self, state: State) -> NDArray[Any]:
        if state.selection is not None:
            return np.asarray(state.selection, self.dtype)
        gates = self._gates(state)
        return np.asarray(gates.test_time_gate(state.log_alpha.value)) if gates else np.ones(self.n_features, self.dtype)

    def _gate_schedule(self, first_epoch: int, n_epochs: int) -> Callable[[int], HardConcrete] | None:
        """Check the gates' constants; return the gates by epoch, or None without gates."""
        beta = validation.schedule("beta", self.beta, first_epoch, n_epochs, at_least=1e-6, at_most=1e6)
        # Beyond these the constants leave float32; nobody uses them
        gamma = validation.real_number("gamma", self.gamma, below=0.0, at_least=-1e6, at_most=-1e-30)
        zeta = validation.real_number("zeta", self.zeta, above=1.0, at_most=1e6)
        if not self.use_gates:
            return None
        if callable(self.beta):
            return lambda epoch: HardConcrete(beta(epoch), gamma, zeta, self.test_time_temperature)
        constant = HardConcrete(beta(first_epoch), gamma, zeta, self.test_time_temperature)
        return lambda epoch: constant

    def _test_time_weights(self, state: State) -> NDArray[Any]:
        with np.errstate(all="ignore"):  # weights may underflow
            if state.selection is not None:
                return selected_weights(state.theta.value, state.selection, self._link)
            return np.asarray(test_time_weights(state.theta.value, state.log_alpha.value, self._link, self._gates(state)))

    def _select(self, state: State, n_active: int) -> State:
        """Return the state with a selection: the columns whose gates are most likely open."""
        # in float64: in float32 all logits beyond 17 have probability 1
        gates, log_alpha = self._gates(state), state.log_alpha.value.astype(np.float64)
        probability = gates.prob_open(log_alpha)[0] if gates else np.ones(self.n_features)
        with np.errstate(all="ignore"):
            weight = self._link.weight(state.theta.value)[0]
        return replace(state, selection=most_open(probability, weight, n_active))

    def _predict(self, name: str, M: Any, state: State) -> NDArray[np.float64]:
        """Return M @ test-time weights, in float64, where M is."""
        backend, matrix = self._backend, self._column_matrix(name, M)
        with backend.active():
            weights = backend.asarray(self._test_time_weights(state))
            product: NDArray[np.float64] = backend.matvec(backend.matrix(matrix), weights)
            return product if is_on_a_device(M) else backend.to_numpy(product)

    # --- the state

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on elsewhere: copies of parameters and moments, epoch, Adam's step, seed, lambda_l0.

        After a fit with `n_active` also "governor", three numbers, and "selection", the mask of the active columns.

        Arrays and numbers only, so that ``numpy.savez("run.npz", **model.state_dict())`` keeps it and
        ``model.load_state_dict(numpy.load("run.npz"))`` brings it back; nothing is pickled. Hyper-parameters are not in it:
        construct the model that loads it with the same arguments.
        """
        state = self._state
        arrays = {name: np.array(array) for name, array in self._arrays(state).items()}
        counters = {"epoch": state.epoch, "adam_step": state.adam_step, "seed": state.seed}
        optional: dict[str, Any] = {}
        if state.governor is not None:
            optional["governor"] = np.array(astuple(state.governor))
        if state.selection is not None:
            optional["selection"] = state.selection.copy()
        return arrays | counters | {"lambda_l0": state.lambda_l0} | optional

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned, on any backend. On an error the model stays as it was.

        Raises
        ------
        InputError
            For missing or unknown entries, wrong shapes, values that are not finite or impossible.
        """
        if not isinstance(state_dict, Mapping):
            raise validation.wrong_kind("state_dict", "a mapping as state_dict() returns it", state_dict)
        template = self._arrays(self._state)
        counters = {"epoch": 2**32 - 1, "adam_step": 2**32 - 1, "seed": LARGEST_SEED}
        expected, given = {*template, *counters, "lambda_l0"}, set(state_dict)
        missing, unknown = sorted(expected - given), sorted(map(str, given - expected - {"governor", "selection"}))
        if missing or unknown:
            raise InputError(f"state_dict does not fit this model: missing {missing}, unknown {unknown}")
        arrays = {
            name: validation.vector(name, state_dict[name], len(array), self.dtype, per="column")
            for name, array in template.items()
        }
        self._check_theta(self._theta_name, arrays[self._theta_name])
        for name, array in arrays.items():
            if name.endswith("_second_moment"):
                validation.check_elements(name, array, array < 0, "a second moment cannot be negative")
        numbers = {
            name: validation.whole_number(name, state_dict[name], at_least=0, at_most=most) for name, most in counters.items()
        }
        values = iter(arrays[name] for name in template)
        self._state = State(
            theta=Parameter(next(values), next(values), next(values)),
            log_alpha=Parameter(next(values), next(values), next(values)),
            intercept=None if self._state.intercept is None else Parameter(next(values), next(values), next(values)),
            epoch=numbers["epoch"],
            adam_step=numbers["adam_step"],
            seed=numbers["seed"],
            lambda_l0=validation.real_number("lambda_l0", state_dict["lambda_l0"]),
            governor=_loaded_governor(state_dict),
            selection=_loaded_selection(state_dict, self.n_features),
        )

    def _arrays(self, state: State) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by the names that state_dict gives them."""
        parameters = {self._theta_name: state.theta, "log_alpha": state.log_alpha, "bias": state.intercept}
        return {
            name + ending: getattr(parameter, attribute)
            for name, parameter in parameters.items()
            if parameter is not None
            for ending, attribute in (("", "value"), ("_first_moment", "first_moment"), ("_second_moment", "second_moment"))
        }

    def reset(self) -> None:
        """Return to the state after construction: same seed, same start, nothing trained."""
        self._state = self._start

    def _check_theta(self, name: str, theta: NDArray[Any]) -> None:
        """Refuse parameters whose weights are infinite."""
        with np.errstate(over="ignore"):
            weight = self._link.weight(theta)[0]
        validation.check_elements(name, theta, ~np.isfinite(weight), f"the weight is infinite in {self.dtype}")

    def _start_log_alpha(self, init_keep_prob: Any, jitter_sd: float) -> NDArray[Any]:
        probability = validation.scalar_or_vector(
            "init_keep_prob", init_keep_prob, self.n_features, np.dtype(np.float64), at_least=0.0, at_most=1.0
        )
        probability = np.clip(probability, KEEP_PROB_MARGIN, 1.0 - KEEP_PROB_MARGIN)
        log_alpha = np.log(probability / (1.0 - probability))
        if jitter_sd:
            log_alpha += jitter_sd * philox.normal(self.seed_, philox.LOG_ALPHA_JITTER, self.n_features)
        return np.asarray(log_alpha, self.dtype)

    # --- training

    def _settings(
        self, *, lambda_l0: Any, n_active: Any, lambda_l2: Any, lr: Any, epochs: Any, verbose_freq: Any, callbacks: Any
    ) -> FitSettings:
        """Check what both models' `fit` takes, each argument by its own name; without n_active, no lambda_l0 means 0.01."""
        if n_active is not None:
            n_active = validation.whole_number("n_active", n_active, at_least=1, at_most=self.n_features)
            if lambda_l0 is not None:
                raise InputError("n_active finds its own lambda_l0: give one of them")
            if not self.use_gates:
                raise InputError("n_active needs gates to close: this model has use_gates=False")
        elif lambda_l0 is None:
            lambda_l0 = DEFAULT_LAMBDA_L0
        epoch, epochs = self.epoch_, validation.whole_number("epochs", epochs, at_least=0)
        return FitSettings(
            lambda_l0=None if lambda_l0 is None else validation.real_number("lambda_l0", lambda_l0, at_least=0.0),
            n_active=n_active,
            lambda_l2=validation.real_number("lambda_l2", lambda_l2, at_least=0.0),
            learning_rate=validation.schedule("lr", lr, epoch, epochs),
            gates=self._gate_schedule(epoch, epochs + 1),  # one more: the last step draws the gates of the epoch after it
            epochs=epochs,
            report_every=validation.whole_number("verbose_freq", verbose_freq, at_least=1),
            callbacks=validation.callables("callbacks", callbacks),
        )

    def _checked_columns(self, name: str, M: Any) -> Any:
        """Return M with a shape, after its columns were compared with those that the model was made for."""
        if not hasattr(M, "shape"):
            M = validation.numeric_array(name, M)
        validation.check_columns(name, M.shape, self.n_features)
        for argument in ("init_weights", "init_keep_prob"):
            validation.check_order(argument, getattr(self, argument, None), name, M, axis="columns")
        return M

    def _column_matrix(self, name: str, M: Any) -> Any:
        """Return a ColumnMatrix or, where M is on the model's device, what the backend has made of it there."""
        M = self._checked_columns(name, M)
        adopted = self._backend.adopt(name, M, self.dtype)
        if adopted is not None:
            return adopted
        if is_on_a_device(M):
            raise InputTypeError(f'{name} is on a CUDA device, the model is not: use device="cuda", or pass {name}.get()')
        return ColumnMatrix.build(M, self.dtype, name=name)

    def _host_matrix(self, name: str, M: Any) -> ColumnMatrix:
        """Return a ColumnMatrix in main memory, where refits work, in float64 unless it is one already."""
        M = self._checked_columns(name, M)
        if is_on_a_device(M):
            raise InputTypeError(f"refit works in main memory: pass {name}.get()")
        return ColumnMatrix.of(M, name=name)

    def _first_state(self, target: NDArray[np.float64]) -> State:
        """Return the state in which the first fit starts."""
        raise NotImplementedError

    def _train(
        self,
        matrix: ColumnMatrix,
        targets: Targets,
        settings: FitSettings,
    ) -> None:
        """Train on from where the model stands and take over what comes out."""
        if settings.epochs:
            self._train_epochs(matrix, targets, settings)
        if settings.n_active is not None:  # also where a callback has stopped the fit
            self._state = self._select(self._state, settings.n_active)

    def _train_epochs(self, matrix: ColumnMatrix, targets: Targets, settings: FitSettings) -> None:
        state = self._state if self._state.epoch else self._first_state(targets.value)
        if settings.lambda_l0 is not None:
            state = replace(state, lambda_l0=settings.lambda_l0, governor=None)
        elif state.governor is None:  # the governor finds its own start at its first look
            state = replace(state, lambda_l0=0.0)
        backend, stop = self._backend, state.epoch + settings.epochs
        with backend.active():
            problem = Problem(
                matrix=backend.matrix(matrix),
                target=targets.value,
                loss=targets.loss(backend),
                link=self._link,
                gates=settings.gates,
                lambda_l2=settings.lambda_l2,
                learning_rate=settings.learning_rate,
                targets=targets,
            )
            state = replace(state.map(backend.asarray), selection=None)  # while it trains, the gates rule

            def report(data_loss: float) -> bool:
                self._state = reported = state.map(backend.to_numpy)
                progress = Progress(backend, problem, reported, data_loss)
                answers = [callback(progress) for callback in settings.callbacks]
                stops = any(isinstance(answer, bool | np.bool_) and answer for answer in answers)
                if self._state is not reported and not stops:
                    raise L0npError("the model's state was changed during fit: a callback may change it where it stops the fit")
                return stops

            every = settings.report_every
            if not train(
                backend,
                problem,
                state,
                stop,
                communicator=Serial(),
                report_every=every,
                report=report,
                n_active=settings.n_active,
            ):
                self._state = state.map(backend.to_numpy)  # else the report has done so, and its callbacks have the last word
            self._statistics = statistics(backend, state)


def _loaded_governor(state_dict: Mapping[str, Any]) -> GovernorMemory | None:
    if "governor" not in state_dict:
        return None
    values = validation.vector("governor", state_dict["governor"], 3, np.dtype(np.float64), per="memory of the governor")
    return GovernorMemory(*values.tolist())


def _loaded_selection(state_dict: Mapping[str, Any], n_features: int) -> NDArray[np.bool_] | None:
    if "selection" not in state_dict:
        return None
    values = validation.vector("selection", state_dict["selection"], n_features, np.dtype(np.float64), per="column")
    validation.check_elements("selection", values, (values != 0) & (values != 1), "a column is selected (1) or not (0)")
    return values.astype(np.bool_)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
