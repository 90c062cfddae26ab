"""Penalties and sparsity of any collection of gates, layers and models, and what is logged of a training.

A collection is one such object, or a list, tuple or mapping of objects and collections. Whatever occurs in it
more than once counts once. The formulas are those of `l0np.maths`.
"""

from l0np.penalties.penalties import (
    compute_l0_penalty,
    compute_l0l2_penalty,
    compute_l2_penalty,
    update_temperatures,
)
from l0np.penalties.sparsity import get_active_parameter_count, get_sparsity_stats
from l0np.penalties.tracker import PenaltyTracker
from l0np.schedules import TemperatureScheduler

__all__ = [
    "PenaltyTracker",
    "TemperatureScheduler",
    "compute_l0_penalty",
    "compute_l0l2_penalty",
    "compute_l2_penalty",
    "get_active_parameter_count",
    "get_sparsity_stats",
    "update_temperatures",
]
