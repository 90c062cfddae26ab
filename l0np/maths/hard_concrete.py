"""The Hard Concrete distribution: gates in [0, 1] that are exactly 0 or exactly 1 with positive probability.

C. Louizos, M. Welling, D. P. Kingma: Learning sparse neural networks through L0 regularization
(arXiv:1712.01312), equations 10 to 13. Each function returns value and derivative together. Arrays may be of
any array API namespace.
"""

import math
from dataclasses import dataclass
from typing import Any

from l0np._namespace import array_namespace
from l0np.maths.exponential import exp_float32

LOG_ALPHA_BOUND = 20.0  # beyond it a gate does not move, because its sigmoid is practically 0 or 1
ROUNDING_OF_LOGITS = 0.01  # far more than the rounding errors of a test-time gate amount to
SMALLEST_UNIFORM = 1e-6  # keeps the logit of a draw within +-13.8
# Bounds of the constants, beyond which nobody goes: values beyond would leave the range of float32
BETA_BOUNDS = {"at_least": 1e-6, "at_most": 1e6}
GAMMA_BOUNDS = {"below": 0.0, "at_least": -1e6, "at_most": -1e-30}
ZETA_BOUNDS = {"above": 1.0, "at_most": 1e6}
KEEP_PROB_MARGIN = 1e-6  # keep probabilities are clipped to [this, 1 - this], so that their logits are finite


@dataclass(frozen=True)
class HardConcrete:
    """Gates with location log_alpha, stretched to (gamma, zeta) and clipped to [0, 1].

    Parameters
    ----------
    beta : float
        Temperature, above 0. The smaller, the closer the gates are to 0 and 1.
    gamma, zeta : float
        Ends of the stretched interval, gamma < 0 and zeta > 1.
    test_time_temperature : bool
        Whether the test-time gate divides log_alpha by beta. It does by default: gates come out closer to 0
        and 1, and the test-time gate is above 0 if and only if P(gate > 0) exceeds 1/2. Louizos et al. leave
        beta out.

    Examples
    --------
    >>> import numpy as np
    >>> gates = HardConcrete(beta=0.5)
    >>> log_alpha = np.array([-3.0, 0.5, 3.0])
    >>> gates.test_time_gate(log_alpha).round(3)
    array([0.   , 0.777, 1.   ])
    >>> HardConcrete(beta=0.5, test_time_temperature=False).test_time_gate(log_alpha).round(3)
    array([0.   , 0.647, 1.   ])
    >>> gates.prob_open(log_alpha)[0].round(3)
    array([0.142, 0.845, 0.985])
    """

    beta: float = 2 / 3
    gamma: float = -0.1
    zeta: float = 1.1
    test_time_temperature: bool = True

    @property
    def shift(self) -> float:
        """What is added to log_alpha to give the logit of the probability of being open."""
        return -self.beta * math.log(-self.gamma / self.zeta)

    def prob_open(self, log_alpha: Any) -> tuple[Any, Any]:
        """Return P(gate > 0) and its derivative with respect to log_alpha (equation 12).

        The sum of P(gate > 0) is the L0 penalty.
        """
        xp = array_namespace(log_alpha)
        open_, closed = self._probabilities(log_alpha)
        return open_, xp.where(self._moves(log_alpha), open_ * closed, 0.0 * open_)

    def expected_open(self, log_alpha: Any) -> Any:
        """Return the sum of P(gate > 0) in float64: the L0 penalty without its gradient."""
        xp = array_namespace(log_alpha)
        return xp.sum(self._probabilities(log_alpha)[0], dtype=xp.float64)

    def _probabilities(self, log_alpha: Any) -> tuple[Any, Any]:
        """Return the probabilities of being open and of being closed."""
        grown = self._exp(self._clip(log_alpha) + self.shift)
        closed = 1.0 / (1.0 + grown)
        return grown * closed, closed

    def is_closed(self, log_alpha: Any, uniform: Any) -> Any:
        """Return whether the gate drawn with `uniform` is exactly 0, which it is if u <= 1 - P(gate > 0).

        This is decided in float32 by one comparison with the same arithmetic in every backend, so that no two
        disagree. A float32 draw has 23 bits, so a wider comparison would not decide better.
        """
        xp = array_namespace(log_alpha)
        grown = exp_float32(xp.astype(self._clip(log_alpha) + self.shift, xp.float32))
        return _clip_uniform(uniform) <= 1.0 / (1.0 + grown)

    def sample(self, log_alpha: Any, uniform: Any) -> tuple[Any, Any]:
        """Return the gate drawn with `uniform`, and its derivative (equations 10 and 11).

        The derivative is with respect to log_alpha; `uniform` is float32 and in (0, 1).
        """
        xp = array_namespace(log_alpha)
        u = xp.astype(_clip_uniform(uniform), log_alpha.dtype)
        s = 1.0 / (1.0 + self._exp(-(xp.log(u / (1.0 - u)) + self._clip(log_alpha)) / self.beta))
        stretched = s * (self.zeta - self.gamma) + self.gamma
        closed = self.is_closed(log_alpha, uniform)
        zero = 0.0 * s
        gate = xp.where(closed, zero, xp.clip(stretched, 0.0, 1.0))
        moves = ~closed & (stretched < 1.0) & self._moves(log_alpha)
        return gate, xp.where(moves, s * (1.0 - s) * ((self.zeta - self.gamma) / self.beta), zero)

    def test_time_gate(self, log_alpha: Any) -> Any:
        """Return the gate used after training, without noise (equation 13; for beta see the class)."""
        return array_namespace(log_alpha).clip(self._test_time(log_alpha)[1], 0.0, 1.0)

    def test_time_slope(self, log_alpha: Any) -> Any:
        """Return the derivative of the test-time gate with respect to log_alpha; 0 where it is clipped."""
        xp = array_namespace(log_alpha)
        s, stretched = self._test_time(log_alpha)
        moves = (stretched > 0.0) & (stretched < 1.0) & self._moves(log_alpha)
        scale = self.beta if self.test_time_temperature else 1.0
        return xp.where(moves, s * (1.0 - s) * ((self.zeta - self.gamma) / scale), 0.0 * s)

    def _test_time(self, log_alpha: Any) -> tuple[Any, Any]:
        """Return the sigmoid of the test-time gate, and what it is before it is clipped."""
        scale = self.beta if self.test_time_temperature else 1.0
        s = 1.0 / (1.0 + self._exp(-self._clip(log_alpha) / scale))
        return s, s * (self.zeta - self.gamma) + self.gamma

    def may_be_active(self, log_alpha: Any) -> Any:
        """Return False where the test-time gate is 0, except within rounding of the bound."""
        scale = self.beta if self.test_time_temperature else 1.0
        bound = scale * (math.log(-self.gamma / self.zeta) - ROUNDING_OF_LOGITS)
        return self._clip(log_alpha) >= bound

    @staticmethod
    def _clip(log_alpha: Any) -> Any:
        return array_namespace(log_alpha).clip(log_alpha, -LOG_ALPHA_BOUND, LOG_ALPHA_BOUND)

    @staticmethod
    def _moves(log_alpha: Any) -> Any:
        return abs(log_alpha) <= LOG_ALPHA_BOUND

    @staticmethod
    def _exp(x: Any) -> Any:
        """Exponential in x's own dtype, clipped so that neither it nor its inverse overflows in float32."""
        xp = array_namespace(x)
        return exp_float32(x) if x.dtype == xp.float32 else xp.exp(xp.clip(x, -700.0, 700.0))


def log_alpha_of(keep_prob: Any) -> Any:
    """Return the log_alpha whose sigmoid is `keep_prob`; 0 and 1 stand for 1e-6 and 1 - 1e-6.

    Examples
    --------
    >>> import numpy as np
    >>> log_alpha_of(np.array([0.0, 0.5])).round(3)
    array([-13.816,   0.   ])
    """
    xp = array_namespace(keep_prob)
    probability = xp.clip(keep_prob, KEEP_PROB_MARGIN, 1.0 - KEEP_PROB_MARGIN)
    return xp.log(probability / (1.0 - probability))


def _clip_uniform(uniform: Any) -> Any:
    return array_namespace(uniform).clip(uniform, SMALLEST_UNIFORM, 1.0 - SMALLEST_UNIFORM)
