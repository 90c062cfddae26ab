"""Which measurements predict diabetes a year later: a pipeline from a frame with names to a plot.

Needs the extra `sklearn`, and pandas for the frame. If matplotlib is installed, the coefficients are drawn to
coefficients.png in the current folder.
"""

import importlib.util
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from l0np.sklearn import L0Regressor

PICTURE = "coefficients.png"


def pipeline(regressor: Any) -> Any:
    """Return a pipeline that standardises the features of a frame and keeps their names."""
    return make_pipeline(StandardScaler(), regressor).set_output(transform="pandas")


def draw(names: np.ndarray, coefficients: np.ndarray) -> None:
    """Draw the coefficients that are not 0, the largest at the top."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    order = np.argsort(np.abs(coefficients))
    order = order[coefficients[order] != 0]
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.barh(names[order], coefficients[order])
    axes.set_xlabel("change of the progression by one standard deviation of the feature")
    figure.savefig(PICTURE, dpi=100)


def main() -> None:
    """Fit, compare with least squares on all features, search the number of features, and draw."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = pipeline(L0Regressor()).fit(X, y)
    regressor = model[-1]
    for name, coefficient in zip(regressor.feature_names_in_, regressor.coef_, strict=True):
        print(f"{name:4} {coefficient:8.2f}" if coefficient else f"{name:4}        -")
    print(f"features: {', '.join(regressor.path_.selected_names)}")

    for title, one in (("L0Regressor", L0Regressor()), ("LinearRegression", LinearRegression())):
        scores = cross_val_score(pipeline(one), X, y)
        print(f"{title:16}  R squared in cross-validation {scores.mean():.3f}")
    search = GridSearchCV(pipeline(L0Regressor()), {"l0regressor__n_active": [2, 4, 6, 8]}).fit(X, y)
    print(f"best of 2, 4, 6 and 8 features: {search.best_params_['l0regressor__n_active']}")

    if importlib.util.find_spec("matplotlib"):
        draw(regressor.feature_names_in_, regressor.coef_)


if __name__ == "__main__":
    main()
