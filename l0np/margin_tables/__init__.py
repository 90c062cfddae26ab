"""From a table of records and a table of totals to a problem of calibration: `margins`.

The totals (counts by level, crossed levels, sums, sums within domains) become rows of M, and both tables are
checked against each other by name. `MarginProblem` is what comes out, and what `calibrate`, `l0_path`,
`check_targets`, `diagnose` and `fit` take in the place of M and y; they read it through `problem_parts`.
"""

from l0np.margin_tables.margins import margins
from l0np.margin_tables.problem import Keys, MarginProblem, problem_parts

__all__ = ["Keys", "MarginProblem", "margins", "problem_parts"]
