"""L0 regularisation with Hard Concrete gates, for survey calibration and sparse regression.

Louizos, Welling and Kingma (2017), Learning sparse neural networks through L0 regularization,
arXiv:1712.01312.
"""

from l0np import callbacks, errors, schedules
from l0np.calibration import SparseCalibrationWeights
from l0np.diagnostics import Diagnostics, TargetChecks, check_targets, diagnose, target_table
from l0np.margin_tables import MarginProblem, margins
from l0np.matrix import ColumnMatrix
from l0np.regression import RegressionPath, l0_regression_path
from l0np.selection import Calibration, CalibrationPath, calibrate, l0_path
from l0np.sparse import SparseL0Linear
from l0np.targets import Aggregate, TargetOptions, TargetTable

__version__ = "0.1.0"

__all__ = [
    "Aggregate",
    "Calibration",
    "CalibrationPath",
    "ColumnMatrix",
    "Diagnostics",
    "MarginProblem",
    "RegressionPath",
    "SparseCalibrationWeights",
    "SparseL0Linear",
    "TargetChecks",
    "TargetOptions",
    "TargetTable",
    "calibrate",
    "callbacks",
    "check_targets",
    "diagnose",
    "errors",
    "l0_path",
    "l0_regression_path",
    "margins",
    "schedules",
    "target_table",
]
