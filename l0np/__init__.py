"""L0 regularisation with Hard Concrete gates, for survey calibration and sparse regression.

Louizos, Welling and Kingma (2017), Learning sparse neural networks through L0 regularization,
arXiv:1712.01312.
"""

from l0np import callbacks, errors, plots, schedules
from l0np.calibration import SparseCalibrationWeights
from l0np.diagnostics import Diagnostics, TargetChecks, check_targets, diagnose, target_table
from l0np.gates import FeatureGate, HardConcrete, HybridGate, L0Gate, SampleGate
from l0np.layers import L0Conv2d, L0DepthwiseConv2d, L0Linear, SparseMLP, prune_model
from l0np.margin_tables import MarginProblem, margins
from l0np.matrix import ColumnMatrix
from l0np.penalties import (
    PenaltyTracker,
    TemperatureScheduler,
    compute_l0_penalty,
    compute_l0l2_penalty,
    compute_l2_penalty,
    get_active_parameter_count,
    get_sparsity_stats,
    update_temperatures,
)
from l0np.regression import RegressionPath, l0_regression_path
from l0np.selection import (
    Calibration,
    CalibrationPath,
    Holdout,
    calibrate,
    evenness_bound,
    holdout,
    l0_path,
)
from l0np.sparse import SparseL0Linear
from l0np.targets import Aggregate, TargetOptions, TargetTable

__version__ = "0.1.0"

__all__ = [
    "Aggregate",
    "Calibration",
    "CalibrationPath",
    "ColumnMatrix",
    "Diagnostics",
    "FeatureGate",
    "HardConcrete",
    "Holdout",
    "HybridGate",
    "L0Conv2d",
    "L0DepthwiseConv2d",
    "L0Gate",
    "L0Linear",
    "MarginProblem",
    "PenaltyTracker",
    "RegressionPath",
    "SampleGate",
    "SparseCalibrationWeights",
    "SparseL0Linear",
    "SparseMLP",
    "TargetChecks",
    "TargetOptions",
    "TargetTable",
    "TemperatureScheduler",
    "calibrate",
    "callbacks",
    "check_targets",
    "compute_l0_penalty",
    "compute_l0l2_penalty",
    "compute_l2_penalty",
    "diagnose",
    "errors",
    "evenness_bound",
    "get_active_parameter_count",
    "get_sparsity_stats",
    "holdout",
    "l0_path",
    "l0_regression_path",
    "margins",
    "plots",
    "prune_model",
    "schedules",
    "target_table",
    "update_temperatures",
]
