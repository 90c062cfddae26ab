"""Every check that scikit-learn has for estimators passes; none is expected to fail.

`nox -s sklearn` runs this file with the oldest and the newest scikit-learn that are supported. The checks of
the array API want the environment variable SCIPY_ARRAY_API=1; without it scikit-learn skips them.
"""

import pytest
from support import needs_speed

sklearn = pytest.importorskip("sklearn")
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from l0np.sklearn import L0GatedRegressor, L0Regressor, L0Selector  # noqa: E402

pytestmark = [
    needs_speed,
    pytest.mark.filterwarnings("ignore:No features were selected:UserWarning"),  # in a check with pure noise
]


def checks_of(*estimators):
    pairs = [pair for estimator in estimators for pair in estimator_checks_generator(estimator)]
    ids = [f"{type(estimator).__name__}-{check.func.__name__}" for estimator, check in pairs]
    return pytest.mark.parametrize(("estimator", "check"), pairs, ids=ids)


@pytest.mark.slow  # runs all checks of scikit-learn
@checks_of(L0Regressor(), L0Selector(), L0GatedRegressor(epochs=200))
def test_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow  # 180 checks
@checks_of(
    L0Regressor(method="exchange", cv=3, lambda_l2=0.1),
    L0Selector(1, method="exchange", fit_intercept=False),
    L0GatedRegressor(n_active=1, epochs=300, refit=False),
)
def test_estimator_with_other_parameters(estimator, check):
    check(estimator)
