"""The gates of each epoch: the constants of the Hard Concrete distribution; beta may be a schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from l0np.inputs import validation
from l0np.maths import BETA_BOUNDS, GAMMA_BOUNDS, ZETA_BOUNDS, HardConcrete


@dataclass(frozen=True)
class GateSchedule:
    """The constants of a model's gates, checked when the record is made; see `HardConcrete`.

    If beta is a schedule, its values are checked when the gates of their epochs are requested.
    """

    beta: float | Callable[[int], float]
    gamma: float
    zeta: float
    test_time_temperature: bool

    def __post_init__(self) -> None:
        """Check the constants."""
        checked = {
            "beta": self.beta if callable(self.beta) else self._betas(0, 1)(0),
            "gamma": validation.real_number("gamma", self.gamma, **GAMMA_BOUNDS),
            "zeta": validation.real_number("zeta", self.zeta, **ZETA_BOUNDS),
            "test_time_temperature": validation.flag("test_time_temperature", self.test_time_temperature),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def at(self, epoch: int) -> HardConcrete:
        """Return the gates of one epoch."""
        return self.over(epoch, 1)(epoch)

    def over(self, first_epoch: int, n_epochs: int) -> Callable[[int], HardConcrete]:
        """Return the gates by epoch, for `n_epochs` from `first_epoch`; a schedule is checked at each."""
        others = self.gamma, self.zeta, self.test_time_temperature
        if callable(self.beta):
            beta = self._betas(first_epoch, n_epochs)
            return lambda epoch: HardConcrete(beta(epoch), *others)
        constant = HardConcrete(self.beta, *others)
        return lambda epoch: constant

    def _betas(self, first_epoch: int, n_epochs: int) -> Callable[[int], float]:
        return validation.schedule("beta", self.beta, first_epoch, n_epochs, **BETA_BOUNDS)


class GateConstants:
    """The constants of a model's gates as attributes of the model, checked when they are assigned."""

    _gate_schedule: GateSchedule

    @property
    def epoch_(self) -> int:
        """Epochs trained so far, over all fits."""
        raise NotImplementedError

    @property
    def beta(self) -> float | Callable[[int], float]:
        """Temperature of the gates, above 0, or a schedule ``epoch -> beta``."""
        return self._gate_schedule.beta

    @beta.setter
    def beta(self, beta: float | Callable[[int], float]) -> None:
        self._set_gate_constant(beta=beta)

    @property
    def gamma(self) -> float:
        """Lower end of the interval to which gates are stretched before they are clipped; below 0."""
        return self._gate_schedule.gamma

    @gamma.setter
    def gamma(self, gamma: float) -> None:
        self._set_gate_constant(gamma=gamma)

    @property
    def zeta(self) -> float:
        """Upper end of that interval; above 1."""
        return self._gate_schedule.zeta

    @zeta.setter
    def zeta(self, zeta: float) -> None:
        self._set_gate_constant(zeta=zeta)

    @property
    def test_time_temperature(self) -> bool:
        """Whether test-time gates divide log_alpha by beta."""
        return self._gate_schedule.test_time_temperature

    @test_time_temperature.setter
    def test_time_temperature(self, test_time_temperature: bool) -> None:
        self._set_gate_constant(test_time_temperature=test_time_temperature)

    def _set_gate_constant(self, **constant: Any) -> None:
        """Set one constant, if the gates of this epoch are valid with it."""
        schedule = replace(self._gate_schedule, **constant)
        schedule.at(self.epoch_)
        self._gate_schedule = schedule
