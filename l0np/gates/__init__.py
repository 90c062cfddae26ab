"""Gates by themselves, which select samples, features or other items: no layer, no model.

Selections are deterministic: the items whose gates are most likely to be open, exactly as many as were asked
for. Gates are drawn only where that is asked for, by ``sample=True``.
"""

from l0np.distributions import HardConcrete
from l0np.gates.feature_gate import FeatureGate
from l0np.gates.hybrid_gate import HybridGate
from l0np.gates.item_gate import L0Gate
from l0np.gates.sample_gate import SampleGate

__all__ = ["FeatureGate", "HardConcrete", "HybridGate", "L0Gate", "SampleGate"]
