"""Sparse linear regressions of every size, and the choice among them.

Three methods rank or search features, by inclusion probability, by exchanges or by trained gates; a criterion chooses the size.
"""

from l0np.regression.path import RegressionPath, l0_regression_path

__all__ = ["RegressionPath", "l0_regression_path"]
