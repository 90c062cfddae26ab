"""What the totals are to be, and how far an estimate is from them: row space, for people.

`Targets` is what a user says of the targets, checked once; it makes the loss that training minimises.
`TargetTable` shows each target with its estimate, and `metrics` sums errors and weights up.
"""

from l0np.targets import metrics
from l0np.targets.aggregates import Aggregate, listed
from l0np.targets.options import DEFAULTS, TargetOptions, takes_target_options
from l0np.targets.restored import check_restored
from l0np.targets.table import TargetTable
from l0np.targets.targets import AggregatedTargets, Targets

__all__ = [
    "DEFAULTS",
    "Aggregate",
    "AggregatedTargets",
    "TargetOptions",
    "TargetTable",
    "Targets",
    "check_restored",
    "listed",
    "metrics",
    "takes_target_options",
]
