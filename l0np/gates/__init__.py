"""Hard Concrete gates as objects: with parameters, gradients and random numbers, for loops of one's own.

`HardConcrete` has any shape; its formulas are those of `l0np.maths`, and nothing is computed a second time
here. The other gates select samples, features or other items. `Module` is what gates and layers share.

Selections are deterministic: the items whose gates are most likely to be open, exactly as many as were asked
for. Gates are drawn only where that is asked for, by ``sample=True``.
"""

from l0np.gates.feature_gate import FeatureGate
from l0np.gates.hard_concrete import HardConcrete
from l0np.gates.hybrid_gate import HybridGate
from l0np.gates.item_gate import L0Gate
from l0np.gates.module import Module, ParameterReference
from l0np.gates.sample_gate import SampleGate

__all__ = [
    "FeatureGate",
    "HardConcrete",
    "HybridGate",
    "L0Gate",
    "Module",
    "ParameterReference",
    "SampleGate",
]
