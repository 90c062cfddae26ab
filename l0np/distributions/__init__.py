"""The Hard Concrete distribution as an object: gates with parameters, gradients and random numbers.

Its formulas are those of `l0np.maths.HardConcrete`, its random numbers those of `l0np.maths.philox`; nothing
is computed a second time here. Gates for samples and features, and the layers, are made of it.
"""

from l0np.distributions.hard_concrete import HardConcrete

__all__ = ["HardConcrete"]
