"""What users attach to a run: printed reports, a progress bar, logs, early stopping and checkpoints.

A callback is any callable that takes a report, `Progress` while gates are trained and `StageProgress` in the
other stages of a run; one that returns True stops it. `FitCallback` is the base of those that also have to
know when a fit starts and ends. `Callbacks` calls all of them, for the functions that report.
"""

from l0np.callbacks.bars import progress_bar
from l0np.callbacks.checkpoints import checkpoint
from l0np.callbacks.dispatch import Callback, Callbacks, FitCallback
from l0np.callbacks.logs import csv_log
from l0np.callbacks.printed import calibration_report, regression_report, stage_report
from l0np.callbacks.progress import Progress, RunningFit, StageProgress
from l0np.callbacks.recording import history
from l0np.callbacks.stages import Stages
from l0np.callbacks.stopping import early_stopping

__all__ = [
    "Callback",
    "Callbacks",
    "FitCallback",
    "Progress",
    "RunningFit",
    "StageProgress",
    "Stages",
    "calibration_report",
    "checkpoint",
    "csv_log",
    "early_stopping",
    "history",
    "progress_bar",
    "regression_report",
    "stage_report",
]
