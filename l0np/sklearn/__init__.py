"""Estimators for scikit-learn's pipelines, searches and cross-validation; needs the extra `sklearn`.

`L0Regressor` is the regression path, `L0Selector` its choice of features as a transformer, `L0GatedRegressor`
trains gates. Each `fit` starts afresh. `base` is the only file that imports scikit-learn, which `import l0np`
does not: ``from l0np.sklearn import L0Regressor``.
"""

from l0np.sklearn.gated_regressor import L0GatedRegressor
from l0np.sklearn.path_estimators import L0Regressor, L0Selector

__all__ = ["L0GatedRegressor", "L0Regressor", "L0Selector"]
