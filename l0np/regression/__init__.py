"""Sparse linear regressions of every size, and the choice among them.

Three methods rank or search features, by inclusion probability, by exchanges or by trained gates; a criterion
or cross-validation chooses the size. `methods` and `criteria` hold the tables.
"""

from l0np.regression.path import l0_regression_path
from l0np.regression.result import RegressionPath
from l0np.regression.standardised import standardised

__all__ = ["RegressionPath", "l0_regression_path", "standardised"]
