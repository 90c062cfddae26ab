"""L0 regularisation with Hard Concrete gates: survey calibration and sparse regression, NumPy in and NumPy out.

Louizos, Welling and Kingma (2017), Learning sparse neural networks through L0 regularization, arXiv:1712.01312.
"""

from l0np import errors, schedules
from l0np.calibration import SparseCalibrationWeights
from l0np.matrix import ColumnMatrix
from l0np.sparse import SparseL0Linear

__version__ = "0.1.0"

__all__ = ["ColumnMatrix", "SparseCalibrationWeights", "SparseL0Linear", "errors", "schedules"]
