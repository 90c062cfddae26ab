"""From targets to few records: `calibrate` selects exactly k and refits their weights, `l0_path` does so for many k."""

from l0np.selection.api import Calibration, calibrate
from l0np.selection.path import CalibrationPath, l0_path

__all__ = ["Calibration", "CalibrationPath", "calibrate", "l0_path"]
