"""From targets to few records: `calibrate` selects exactly k and refits their weights, `l0_path` for many k.

The way through the room: `api` (`calibrate`) checks what the user gave and makes a `problem`; `all_records`
calibrates all records; a function of `methods` selects k of them; `ranking` compares selections; `result`
puts the answer together.
`evenness_bound` says how far from the best one an answer can be; `holdout` leaves families of
targets out.
"""

from l0np.selection.api import calibrate
from l0np.selection.certificate import evenness_bound
from l0np.selection.holdout import Holdout, holdout
from l0np.selection.path import CalibrationPath, l0_path
from l0np.selection.result import Calibration

__all__ = [
    "Calibration",
    "CalibrationPath",
    "Holdout",
    "calibrate",
    "evenness_bound",
    "holdout",
    "l0_path",
]
