"""The one loop that trains gates, and what it works on: a problem, a state, a backend and a group of ranks.

The engine knows a loss of predictions, gates and penalties; of surveys and regressions it knows nothing. `Backend` and
`Communicator` are the protocols to implement for another device and another way of adding up over machines.
"""

from l0np.engine.backend import Backend, first_bad_epoch, statistics, with_intercept
from l0np.engine.communicator import Communicator, Serial
from l0np.engine.lambda_control import most_open
from l0np.engine.state import (
    NEVER,
    Draw,
    GovernorMemory,
    Problem,
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
    "Draw",
    "GovernorMemory",
    "Problem",
    "Serial",
    "State",
    "Statistics",
    "first_bad_epoch",
    "most_open",
    "selected_weights",
    "statistics",
    "test_time_weights",
    "train",
    "with_intercept",
]
