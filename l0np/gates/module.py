"""`Module`: what gates and layers share, which is parameters with gradients beside them, and parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from l0np._namespace import array_namespace
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
                waiting[:0] = [(f"{of}.{part}" if of else part, value) for part, value in parts]

    def parameters(self) -> list[ParameterReference]:
        """Return all parameters, those of the parts included, each once; those that are None left out."""
        return [
            ParameterReference(module, parameter)
            for _, module in self.named_modules()
            for parameter in module.PARAMETERS
            if getattr(module, parameter) is not None
        ]

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
