"""What is wrong with targets before a run, and how good the weights are after it.

`check_targets` looks for targets that cannot be met, or not together; `diagnose` summarises errors and
weights.
"""

from l0np.diagnostics.findings import TargetChecks
from l0np.diagnostics.summary import Diagnostics, diagnose, target_table
from l0np.diagnostics.target_checks import check_targets

__all__ = ["Diagnostics", "TargetChecks", "check_targets", "diagnose", "target_table"]
