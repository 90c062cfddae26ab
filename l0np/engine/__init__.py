"""The one loop that trains gates, and what it works on: a problem, a state, a backend and a group of ranks.

The engine knows gates, penalties and a loss of the predictions, but nothing of surveys or regressions.
Checkpoints are written and read here, as arrays and a document whose meaning the models know.
`Backend` and `Communicator` are the protocols to implement for another device and for sums over machines.
"""

from l0np.engine.backend import Backend, first_bad_epoch, statistics, with_intercept
from l0np.engine.checkpoint import (
    Checkpoint,
    has_checkpoint,
    part_folder,
    read_checkpoint,
    write_checkpoint,
    write_part,
)
from l0np.engine.communicator import Communicator, Serial
from l0np.engine.exact_sums import column_total, exact_totals
from l0np.engine.lambda_control import most_open
from l0np.engine.loss_trend import LossTrend
from l0np.engine.progress import TrainingProgress
from l0np.engine.state import (
    NEVER,
    ControllerState,
    Problem,
    Slopes,
    State,
    Statistics,
    SumReference,
    selected_weights,
    test_time_weights,
)
from l0np.engine.training import train

__all__ = [
    "NEVER",
    "Backend",
    "Checkpoint",
    "Communicator",
    "ControllerState",
    "LossTrend",
    "Problem",
    "Serial",
    "Slopes",
    "State",
    "Statistics",
    "SumReference",
    "TrainingProgress",
    "column_total",
    "exact_totals",
    "first_bad_epoch",
    "has_checkpoint",
    "most_open",
    "part_folder",
    "read_checkpoint",
    "selected_weights",
    "statistics",
    "test_time_weights",
    "train",
    "with_intercept",
    "write_checkpoint",
    "write_part",
]
