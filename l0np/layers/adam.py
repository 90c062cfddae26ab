"""`Adam`: moves the parameters of gates and layers against their gradients."""

from __future__ import annotations

from l0np.gates import Module
from l0np.inputs import known_arguments, validation
from l0np.maths import Parameter, adam_update


class Adam:
    """Adam (Kingma and Ba, arXiv:1412.6980) for gates and layers, in a loop of one's own.

    Parameters
    ----------
    model : gate, layer or network
        Whose parameters are moved. They must be NumPy or CuPy arrays, and are changed in place.
    lr : float
        Learning rate, above 0; it may be assigned later.
    lr_gates : float, optional
        Learning rate of the gates' log_alpha, if it is another one; it may be assigned later.

    Raises
    ------
    InputError, InputTypeError
        For an argument outside these bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from l0np.gates import HardConcrete
    >>> from l0np.layers import Adam
    >>> gates = HardConcrete(2, seed=0)
    >>> adam = Adam(gates, lr=0.1)
    >>> adam.zero_grad(), gates.penalty_backward(1.0), adam.step()
    (None, None, None)
    >>> gates.log_alpha.round(3)
    array([-0.1, -0.1], dtype=float32)
    """

    @known_arguments()
    def __init__(self, model: Module, lr: float = 0.001, *, lr_gates: float | None = None) -> None:
        if not isinstance(model, Module):
            raise validation.wrong_kind("model", "a gate, a layer or a network of l0np", model)
        self.lr = validation.real_number("lr", lr, above=0.0)
        rate = self.lr if lr_gates is None else lr_gates
        self.lr_gates = validation.real_number("lr_gates", rate, above=0.0)
        self._n_steps = 0
        self._moved = [(reference, Parameter.start(reference.value)) for reference in model.parameters()]

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to 0."""
        for reference, _ in self._moved:
            reference.clear_gradient()

    def step(self) -> None:
        """Move all parameters once."""
        self._n_steps += 1
        for reference, parameter in self._moved:
            rate = self.lr_gates if reference.name == "log_alpha" else self.lr
            parameter.value = reference.value  # which load_state_dict may have replaced
            adam_update(parameter, reference.gradient, rate, self._n_steps)
