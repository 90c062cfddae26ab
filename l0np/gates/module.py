"""`Module`: what gates and layers share, which is parameters with gradients beside them, and parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np

from l0np._namespace import array_namespace
from l0np.errors import InputError
from l0np.gates.items import asarray_like, on_host
from l0np.inputs import validation
from l0np.maths import IdentityLink, l2_penalty


@dataclass(frozen=True)
class ParameterReference:
    """One parameter of a module, and its gradient, which the module keeps under the name ``grad_NAME``.

    Attributes
    ----------
    owner : Module
        The module.
    name : str
        The parameter's name in it, for instance "weight".
    """

    owner: Module
    name: str

    @property
    def value(self) -> Any:
        """The parameter: an array."""
        return getattr(self.owner, self.name)

    @property
    def gradient(self) -> Any:
        """What backward passes have added up since the last `zero_grad`: an array of the same shape."""
        return getattr(self.owner, f"grad_{self.name}")

    def add_to_gradient(self, derivative: Any) -> None:
        """Add to the gradient, without writing into it: arrays of JAX cannot be changed."""
        setattr(self.owner, f"grad_{self.name}", self.gradient + derivative)

    def squares(self) -> tuple[float, Any]:
        """Return the sum of squares, in float64, which is the L2 penalty of weights, and its gradient."""
        value, gradient = l2_penalty(self.value, IdentityLink())
        return float(value), gradient

    def replace(self, value: Any) -> None:
        """Replace the parameter by an array of the same shape, and set the gradient to 0."""
        setattr(self.owner, self.name, value)
        self.clear_gradient()

    def clear_gradient(self) -> None:
        """Set the gradient to 0."""
        setattr(self.owner, f"grad_{self.name}", array_namespace(self.value).zeros_like(self.value))


class Module:
    """An object with parameters, and with parts that are such objects too: a gate, a layer, a network.

    Attributes
    ----------
    training : bool
        Whether gates are drawn (True, from the start) or at their test-time values.
    """

    PARAMETERS: ClassVar[tuple[str, ...]] = ()  # names of the module's own, without those of its parts
    COUNTERS: ClassVar[dict[str, int]] = {}  # numbers of its state beside them, and the largest of each
    training: bool = True

    @property
    def xp(self) -> Any:
        """The array API namespace of the module's own parameters."""
        return array_namespace(getattr(self, self.PARAMETERS[0]))

    def named_modules(self, name: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this module, as `name`, and all its parts, each once, by names such as "fc1.weight_gates"."""
        seen: set[int] = set()
        waiting: list[tuple[str, Module]] = [(name, self)]
        while waiting:
            of, module = waiting.pop(0)
            if id(module) not in seen:
                seen.add(id(module))
                yield of, module
                parts = [(part, value) for part, value in vars(module).items() if isinstance(value, Module)]
                waiting[:0] = [(_joined(of, part), value) for part, value in parts]

    def parameters(self) -> list[ParameterReference]:
        """Return all parameters, those of the parts included, each once; those that are None left out."""
        return [reference for _, reference in self._named_parameters()]

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to continue elsewhere, by names such as "fc1.weight_gates.log_alpha".

        The dict holds copies of all parameters, those of the parts included, on the host, and of gates the
        seed and the epoch of the next draw: arrays and numbers, so that ``numpy.savez("network.npz",
        **network.state_dict())`` stores them and ``network.load_state_dict("network.npz")`` restores them;
        nothing is pickled. Hyper-parameters, the temperature among them, and gradients are not included, nor
        is what `Adam` keeps.
        """
        state: dict[str, Any] = {
            name: np.array(on_host(reference.value)) for name, reference in self._named_parameters()
        }
        return state | {name: getattr(module, counter) for name, module, counter, _ in self._named_counters()}

    def load_state_dict(self, state_dict: Mapping[str, Any] | str | PathLike[str]) -> None:
        """Continue from what `state_dict` of an object of the same kind and sizes returned.

        All gradients are 0 afterwards.

        Parameters
        ----------
        state_dict : mapping or path
            The state, or the npz file in which ``numpy.savez`` has stored it.

        Raises
        ------
        InputError, InputTypeError
            For missing or unknown names, other shapes, values that are not finite or impossible, and for a
            damaged file; the object stays as it was.
        OSError
            If there is no such file, or it may not be read.
        """
        given = validation.read_state(state_dict)
        parameters, counters = list(self._named_parameters()), list(self._named_counters())
        expected = {name for name, _ in parameters} | {name for name, *_ in counters}
        validation.check_state_keys(f"this {type(self).__name__}", given, expected, set())
        arrays = [_checked_parameter(name, given[name], reference.value) for name, reference in parameters]
        numbers = [
            validation.integer(name, given[name], at_least=0, at_most=largest)
            for name, _, _, largest in counters
        ]
        for (_, reference), array in zip(parameters, arrays, strict=True):
            reference.replace(array)
        for (_, module, counter, _), number in zip(counters, numbers, strict=True):
            setattr(module, counter, number)

    def _named_parameters(self) -> Iterator[tuple[str, ParameterReference]]:
        """Yield all parameters by their names in `state_dict`."""
        for of, module in self.named_modules():
            for parameter in module.PARAMETERS:
                if getattr(module, parameter) is not None:
                    yield _joined(of, parameter), ParameterReference(module, parameter)

    def _named_counters(self) -> Iterator[tuple[str, Module, str, int]]:
        """Yield name in `state_dict`, module, attribute and largest value of each counter."""
        for of, module in self.named_modules():
            for counter, largest in module.COUNTERS.items():
                yield _joined(of, counter.removesuffix("_")), module, counter, largest

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        for parameter in self.parameters():
            parameter.clear_gradient()

    def train(self, mode: bool = True) -> Self:
        """Draw gates from now on, in this module and its parts; with ``mode=False`` as `eval`."""
        for _, module in self.named_modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Use test-time gates from now on, without noise."""
        return self.train(False)


def _joined(of: str, name: str) -> str:
    return f"{of}.{name}" if of else name


def _checked_parameter(name: str, value: Any, like: Any) -> Any:
    """Return what replaces the parameter `like`, in its library and dtype."""
    array = validation.numeric_array(name, value)
    if array.shape != tuple(like.shape):
        wanted = f"has the shape {array.shape}, it must have {tuple(like.shape)}"
        raise InputError(f"state_dict does not fit: {name} {wanted}")
    dtype = "float32" if like.dtype == array_namespace(like).float32 else "float64"
    return asarray_like(validation.cast(name, array, np.dtype(dtype)), like)
