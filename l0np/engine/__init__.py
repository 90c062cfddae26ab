"""The one loop that trains gates, and what it works on: a problem, a state, a backend and a group of ranks.

The engine knows gates, penalties and a loss of the predictions, but nothing of surveys or regressions.
`Backend` and `Communicator` are the protocols to implement for another device and for sums over machines.
"""

from l0np.engine.backend import Backend, first_bad_epoch, statistics, with_intercept
from l0np.engine.communicator import Communicator, Serial
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
    selected_weights,
    test_time_weights,
)
from l0np.engine.training import train

__all__ = [
    "NEVER",
    "Backend",
    "Communicator",
    "ControllerState",
    "LossTrend",
    "Problem",
    "Serial",
    "Slopes",
    "State",
    "Statistics",
    "TrainingProgress",
    "first_bad_epoch",
    "most_open",
    "selected_weights",
    "statistics",
    "test_time_weights",
    "train",
    "with_intercept",
]
