"""What the two public models share: a state with gates over columns, and the one way into training.

`GatedModel.train_on` takes a checked matrix, `Targets` and `TrainingSettings`; every function that trains
calls it. `calibration` and `sparse` add the meaning of columns and rows.

Each module has one job: `held_state` what a model reports and stores, `gated_model` its training,
`calibrated_model` what only models of records do (their refit), `settings` the settings of a training,
`gate_schedule` the constants of the gates, `matrices` the forms of a matrix, `column_names` the names of its
columns, `active_columns` gates and weights at test time, `fit_quality` what is wrong with the end of a fit,
`state_dict` the file format of a state, `snapshots` what a checkpoint holds beside it, `records` how that is
written as JSON, `resuming` how a fit goes on from there, `ranks` what ranks that share the columns agree on.
"""

from l0np.models.calibrated_model import SMALLEST_WEIGHT, CalibratedModel
from l0np.models.fit_quality import Fault, FitEnd, faults_of_regression
from l0np.models.gated_model import GatedModel
from l0np.models.ranks import check_same, checked_communicator
from l0np.models.resuming import Changes, ResumableModel, ResumableRegression, resume
from l0np.models.settings import TrainingSettings
from l0np.models.state_dict import LARGEST_SEED, check_finite_weights

__all__ = [
    "LARGEST_SEED",
    "SMALLEST_WEIGHT",
    "CalibratedModel",
    "Changes",
    "Fault",
    "FitEnd",
    "GatedModel",
    "ResumableModel",
    "ResumableRegression",
    "TrainingSettings",
    "check_finite_weights",
    "check_same",
    "checked_communicator",
    "faults_of_regression",
    "resume",
]
