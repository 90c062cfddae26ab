"""`HeldState`: the state of a gated model, what is reported of it, and how it is stored and loaded."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from l0np.backends import get_backend
from l0np.engine import State, Statistics, exact_totals
from l0np.inputs import is_on_a_device, validation
from l0np.maths import HardConcrete, Link, Parameter, l0_penalty, l2_penalty, log_alpha_of, philox
from l0np.matrix import ColumnMatrix
from l0np.models import matrices
from l0np.models.active_columns import gates_at_test_time, weights_at_test_time
from l0np.models.column_names import NamedColumns, names_entry, names_in
from l0np.models.gate_schedule import GateConstants, GateSchedule
from l0np.models.ranks import checked_communicator
from l0np.models.state_dict import LARGEST_SEED, state_dict_of, state_from

MOST_COLUMNS = 2**32  # far more than fit into any memory


class HeldState(GateConstants, NamedColumns):
    """The part of a gated model that holds a state, reports it, and stores and loads it.

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
        self.dtype = validation.float_dtype(dtype)
        if seed is not None:
            seed = validation.integer("seed", seed, at_least=0, at_most=LARGEST_SEED)
        self.seed = seed
        self.device = device
        self.use_gates = True
        self._backend = get_backend(device)
        self._statistics: Statistics | None = None
        self._known_faults: set[str] = set()  # of which fits have warned
        self._first_column = 0  # number of the first column, where ranks share the columns
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

    def get_active_prob(self) -> NDArray[Any]:
        """Return the probability of each gate of being open in a draw, P(gate > 0), shape (n_features,).

        Without gates all are 1. A selection by `n_active` leaves these probabilities as they were.

        Examples
        --------
        >>> from l0np import SparseL0Linear
        >>> SparseL0Linear(n_features=2, seed=0).get_active_prob().round(2)
        array([0.83, 0.83], dtype=float32)
        """
        state = self._state
        gates = self._gates(state)
        log_alpha = state.log_alpha.value
        return self._answer(np.ones_like(log_alpha) if gates is None else gates.prob_open(log_alpha)[0])

    def get_sparsity(self) -> float:
        """Return the fraction of columns whose test-time weight is 0."""
        return np.float64(1.0 - np.count_nonzero(self._test_time_weights(self._state)) / self.n_features)

    def get_l0_penalty(self) -> float:
        """Return the expected number of open gates; 0 without gates, when there is no such penalty."""
        state = self._state
        gates = self._gates(state)
        return np.float64(l0_penalty(state.log_alpha.value, gates)[0] if gates else 0.0)

    def get_l2_penalty(self) -> float:
        """Return the sum of squared ungated weights, whatever `l2_anchor` was."""
        with np.errstate(all="ignore"):  # the gradient may overflow; it is not used
            return np.float64(l2_penalty(self._state.theta.value, self._link)[0])

    def _gates(self, state: State) -> HardConcrete | None:
        return self._gate_schedule.at(state.epoch) if self.use_gates else None

    def _test_time_gates(self, state: State) -> NDArray[Any]:
        return gates_at_test_time(state, self._gates(state))

    def _test_time_weights(self, state: State) -> NDArray[Any]:
        return weights_at_test_time(state, self._gates(state), self._link)

    def _predict(self, name: str, M: Any, state: State, communicator: Any) -> NDArray[np.float64]:
        """Return M @ test-time weights of all ranks, in float64, on the device that holds M."""
        ranks = checked_communicator(communicator)
        backend, matrix = self._backend, self._trainable(name, M)
        with backend.active():
            weights = backend.asarray(self._test_time_weights(state))
            if ranks.reproducible:
                return exact_totals(backend, backend.matrix(matrix), weights, ranks)
            product: NDArray[np.float64] = backend.matvec(backend.matrix(matrix), weights)
            return product if is_on_a_device(M) else backend.to_numpy(product)

    def _trainable(self, name: str, M: Any, fold: bool | str | None = None) -> Any:
        """Return the form of a matrix that `train_on` takes; `fold` is that of `matrices.for_training`."""
        return matrices.for_training(name, self._with_columns(name, M), self._backend, self.dtype, fold)

    def _refittable(self, name: str, M: Any) -> ColumnMatrix:
        """Return the form of a matrix that refits take."""
        return matrices.for_refit(name, self._with_columns(name, M))

    def _with_columns(self, name: str, M: Any) -> Any:
        per_column = {of: getattr(self, of, None) for of in ("init_weights", "init_keep_prob")}
        return matrices.with_columns(name, self._in_order(name, M), self.n_features, per_column)

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
        given = validation.read_state(state_dict)
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
        log_alpha = log_alpha_of(probability)
        if jitter_sd:
            log_alpha += jitter_sd * philox.normal(
                self.seed_, philox.LOG_ALPHA_JITTER, self.n_features, self._first_column
            )
        return np.asarray(log_alpha, self.dtype)

    def _jittered_log_alpha(self) -> NDArray[Any]:
        """Return log_alpha at construction."""
        raise NotImplementedError

    def _place(self, first_column: int) -> None:
        """Take the columns from this number on, whose noise the model then draws; it may draw jitter anew."""
        if first_column == self._first_column:
            return
        self._first_column, is_new = first_column, self._state is self._start
        self._start = replace(self._start, log_alpha=Parameter.start(self._jittered_log_alpha()))
        if is_new:
            self._state = self._start

    def _first_state(self, target: NDArray[np.float64]) -> State:
        """Return the state in which the first fit starts."""
        raise NotImplementedError


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
