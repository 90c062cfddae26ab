"""`HardConcrete`: Hard Concrete gates as an object, with their parameters, gradients and random numbers."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from l0np import maths
from l0np._namespace import array_namespace
from l0np.backends import get_backend
from l0np.errors import InputError
from l0np.gates.checks import LARGEST, checked_shape
from l0np.gates.items import asarray_like
from l0np.gates.module import Module, ParameterReference
from l0np.inputs import is_on_a_device, known_arguments, validation
from l0np.maths import philox


class HardConcrete(Module):
    """Gates in [0, 1] that are exactly 0 or 1 with positive probability, and their derivatives.

    Each gate has a location `log_alpha`, which is to be trained. `sample`, `deterministic` and `prob_open`
    return one number for each gate, and `penalty` a sum over all; `backward` then takes the derivative of a
    loss by the last of these, and adds to `grad_log_alpha` what follows for log_alpha.

    Parameters
    ----------
    input_dim : int or tuple of int
        Number of gates, or the shape of an array of gates of any dimension.
    output_dim : int, optional
        With it there are ``(input_dim, output_dim)`` gates.
    temperature : float
        Temperature beta, above 0: the smaller, the closer the gates are to 0 and 1.
    stretch : float
        How far the stretched interval goes beyond [0, 1] on either side, above 0.
    init_mean : float
        Initial keep probability, from 0 to 1, whose logit is log_alpha. P(gate > 0) is larger. 0 and 1 stand
        for 1e-6 and 1 - 1e-6.
    gamma, zeta : float, optional
        The ends of the stretched interval, if they are not ``-stretch`` and ``1 + stretch``.
    seed : int, optional
        64-bit seed of the draws; None draws one, kept as `seed_`.
    dtype : {"float32", "float64"}
        Precision of `log_alpha`.
    device : str
        "cpu" for NumPy arrays, "cuda" or "cuda:1" for CuPy arrays; names of backends as in
        `SparseCalibrationWeights`.

    Attributes
    ----------
    log_alpha : array of shape gate_size
        Locations of the gates. An array of any library that follows the array API standard may be assigned,
        and all answers are then arrays of that library (JAX with ``jax_enable_x64``). Assigning clears the
        gradient.
    grad_log_alpha : array of shape gate_size
        The gradient by log_alpha, added up since the last `zero_grad`.
    gate_size : tuple of int
        Shape of the gates.
    temperature, gamma, zeta : float
        As above; `temperature` may be assigned.
    seed_ : int
        The seed in use.
    epoch : int
        Number of the next draw, from 0.
    training : bool
        Whether calling the object draws gates (`train`, at first) or returns test-time gates (`eval`).

    Raises
    ------
    InputError, InputTypeError
        For an argument outside these bounds.
    BackendUnavailableError
        For a device that this machine does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.gates import HardConcrete
    >>> gates = HardConcrete((2, 3), seed=0)
    >>> gates.sample(0).round(2)
    array([[0.27, 1.  , 0.96],
           [0.74, 1.  , 0.19]], dtype=float32)
    >>> gates.backward(np.ones((2, 3)))  # of the loss: the sum of these gates
    >>> gates.grad_log_alpha.round(2)
    array([[0.51, 0.  , 0.24],
           [0.5 , 0.  , 0.44]], dtype=float32)
    >>> round(gates.get_penalty(), 2), gates.get_num_active()
    (4.61, 6)
    """

    PARAMETERS: ClassVar[tuple[str, ...]] = ("log_alpha",)
    COUNTERS: ClassVar[dict[str, int]] = {"seed_": LARGEST["seed"], "epoch": LARGEST["epoch"]}

    @known_arguments()
    def __init__(
        self,
        input_dim: int | Sequence[int],
        output_dim: int | None = None,
        temperature: float = 0.5,
        stretch: float = 0.1,
        init_mean: float = 0.5,
        *,
        gamma: float | None = None,
        zeta: float | None = None,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        device: str = "cpu",
    ) -> None:
        self.gate_size = checked_shape(input_dim, output_dim)
        self.temperature = temperature
        self.stretch = validation.real_number("stretch", stretch, above=0.0)
        gamma, zeta = (
            (-self.stretch if gamma is None else gamma),
            (1 + self.stretch if zeta is None else zeta),
        )
        self.gamma = validation.real_number("gamma", gamma, **maths.GAMMA_BOUNDS)
        self.zeta = validation.real_number("zeta", zeta, **maths.ZETA_BOUNDS)
        self.init_mean = validation.real_number("init_mean", init_mean, at_least=0.0, at_most=1.0)
        if seed is not None:
            seed = validation.integer("seed", seed, at_least=0, at_most=LARGEST["seed"])
        self.seed_ = secrets.randbits(63) if seed is None else seed
        self.epoch = 0
        start = np.full(
            self.gate_size, maths.log_alpha_of(np.float64(self.init_mean)), validation.float_dtype(dtype)
        )
        # get_backend loads Numba for "cpu", which gates do not need
        self.log_alpha = start if str(device) == "cpu" else get_backend(device).asarray(start)

    def __repr__(self) -> str:
        """Show shape, constants and active count."""
        constants = f"temperature={self.temperature:g}, gamma={self.gamma:g}, zeta={self.zeta:g}"
        return f"HardConcrete({self.gate_size}, {constants}, active={self.get_num_active()})"

    @property
    def log_alpha(self) -> Any:
        """Locations of the gates, of the shape `gate_size`."""
        return self._log_alpha

    @log_alpha.setter
    def log_alpha(self, log_alpha: Any) -> None:
        if not hasattr(log_alpha, "shape") or not hasattr(log_alpha, "dtype"):
            raise validation.wrong_kind("log_alpha", "an array", log_alpha)
        xp = array_namespace(log_alpha)
        if tuple(log_alpha.shape) != self.gate_size:
            found = f"{tuple(log_alpha.shape)} was assigned"
            raise InputError(f"log_alpha must have the shape {self.gate_size} of the gates, {found}")
        if log_alpha.dtype not in (xp.float32, xp.float64):
            raise InputError(f"log_alpha must be of float32 or float64, got {log_alpha.dtype}")
        self._log_alpha = log_alpha
        self.grad_log_alpha = xp.zeros_like(log_alpha)
        self._slope: Any = None  # the derivative by log_alpha of what was computed last

    @property
    def temperature(self) -> float:
        """Temperature beta of the gates, above 0."""
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        self._temperature = validation.real_number("temperature", temperature, **maths.BETA_BOUNDS)

    @property
    def _formula(self) -> maths.HardConcrete:
        return maths.HardConcrete(self.temperature, self.gamma, self.zeta)

    @property
    def _flat(self) -> Any:
        """The locations as a vector, which the formulas take."""
        return array_namespace(self.log_alpha).reshape(self.log_alpha, (-1,))

    def sample(self, epoch: int) -> Any:
        """Return the gates of a draw, of the shape `gate_size`: the same ones for the same seed and epoch."""
        epoch = validation.integer("epoch", epoch, at_least=0, at_most=LARGEST["epoch"])
        gate, slope = self._formula.sample(self._flat, self._uniform(epoch))
        return self._shaped(gate, slope)

    def deterministic(self) -> Any:
        """Return the test-time gates, of the shape `gate_size`."""
        flat = self._flat
        return self._shaped(self._formula.test_time_gate(flat), self._formula.test_time_slope(flat))

    def prob_open(self) -> Any:
        """Return P(gate > 0) of each gate, of the shape `gate_size`."""
        return self._shaped(*self._formula.prob_open(self._flat))

    def penalty(self) -> float:
        """Return the expected number of open gates, which is the L0 penalty."""
        value, slope = maths.l0_penalty(self._flat, self._formula)
        self._slope = self._as_gates(slope)
        return float(value)

    def __call__(self, input_shape: Sequence[int] | None = None) -> Any:
        """Return the next draw or, after `eval`, the test-time gates.

        Parameters
        ----------
        input_shape : sequence of int, optional
            Shape of what the gates are to be multiplied with: dimensions of 1 are added at the end until
            there are as many as in it.
        """
        gates = self.sample(self.epoch) if self.training else self.deterministic()
        if self.training:
            self.epoch = (self.epoch + 1) % (LARGEST["epoch"] + 1)
        missing = 0 if input_shape is None else max(0, len(input_shape) - len(self.gate_size))
        return array_namespace(gates).reshape(gates, self.gate_size + (1,) * missing)

    def backward(self, upstream: Any) -> None:
        """Add to `grad_log_alpha` the derivative of a loss, by way of what was computed last.

        Parameters
        ----------
        upstream : float, or array of the shape of what was computed
            The derivative of the loss by the answer of the last of `sample`, `deterministic`, `prob_open`,
            `penalty` and calls of the object. One number stands for all gates.

        Raises
        ------
        InputError, InputTypeError
            If nothing was computed since `log_alpha` was assigned, or if `upstream` has another shape.
        """
        if self._slope is None:
            rule = "call sample, deterministic, prob_open, penalty or the object first"
            raise InputError(f"backward: nothing was computed since log_alpha was assigned: {rule}")
        xp = array_namespace(self.log_alpha)
        upstream = xp.asarray(upstream, dtype=self.log_alpha.dtype)
        if upstream.ndim:
            trailing = upstream.shape[len(self.gate_size) :]  # dimensions of 1 that a call has added
            if tuple(upstream.shape) != self.gate_size + (1,) * len(trailing):
                found = f"got the shape {tuple(upstream.shape)}"
                raise InputError(f"upstream must have the shape {self.gate_size} of the gates, {found}")
            upstream = xp.reshape(upstream, self.gate_size)
        ParameterReference(self, "log_alpha").add_to_gradient(upstream * self._slope)

    def penalty_backward(self, upstream: float) -> None:
        """Add `upstream` times the derivative of the penalty; what `backward` refers to stays as it is."""
        kept = self._slope
        self.penalty()
        self.backward(upstream)
        self._slope = kept

    def _shaped(self, value: Any, slope: Any) -> Any:
        self._slope = self._as_gates(slope)
        return self._as_gates(value)

    def _as_gates(self, flat: Any) -> Any:
        return array_namespace(flat).reshape(flat, self.gate_size)

    def _uniform(self, epoch: int) -> Any:
        """Return the uniforms of a draw, in the library and on the device of the gates."""
        xp = array_namespace(self.log_alpha)
        # NumPy makes them except on CUDA: JAX and PyTorch lack arithmetic of 64-bit unsigned integers
        made_by = xp if is_on_a_device(self.log_alpha) else np
        numbers = philox.uniform(made_by, self.seed_, philox.GATES, epoch, 0, math.prod(self.gate_size))
        return asarray_like(numbers, self.log_alpha)

    # --- what is reported: these leave alone what `backward` refers to

    def get_active_prob(self) -> Any:
        """Return P(gate > 0) of each gate, of the shape `gate_size`."""
        return self._as_gates(self._formula.prob_open(self._flat)[0])

    def get_test_time_gates(self) -> Any:
        """Return the test-time gates, of the shape `gate_size`."""
        return self._as_gates(self._formula.test_time_gate(self._flat))

    def get_num_active(self) -> int:
        """Return the number of gates that are active: whose test-time value is not 0."""
        gates = self.get_test_time_gates()
        xp = array_namespace(gates)
        return int(xp.sum(xp.astype(gates != 0.0, xp.int32)))

    def get_sparsity(self) -> float:
        """Return the fraction of the gates that are not active."""
        return 1.0 - self.get_num_active() / math.prod(self.gate_size)

    def get_penalty(self) -> float:
        """Return the expected number of open gates, as `penalty` does."""
        return float(self._formula.expected_open(self._flat))
