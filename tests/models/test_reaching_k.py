"""With `n_active` the expected number of open gates reaches k: on every problem, scale and learning rate."""

import numpy as np
import pytest
from both_models import calibration
from scipy import sparse
from support import needs_numba, needs_speed, small_problem

from l0np import ColumnMatrix, SparseCalibrationWeights, SparseL0Linear, schedules

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits


def school_like(n=1500):
    """Sums of strata and of two skewed scores over a population, as in the schools example."""
    rng = np.random.default_rng(1)
    strata = rng.choice(20, p=rng.dirichlet(np.full(20, 0.8)), size=n)
    M = np.vstack([np.eye(20)[:, strata], rng.lognormal(6, 1, size=(2, n))])
    M = M[M.any(axis=1)]
    return (
        ColumnMatrix.build(M),
        M.sum(axis=1),
        lambda: SparseCalibrationWeights(n, beta=0.35, seed=0),
        {"loss_type": "relative"},
    )


def readme_like(n=2000):
    rng = np.random.default_rng(0)
    M = sparse.random_array((50, n), density=0.3, format="csc", rng=rng)
    y = M @ (rng.lognormal(2, 1, size=n) * (rng.random(n) < 0.3))
    options = {"beta": 0.35, "log_weight_jitter_sd": 0.05, "seed": 0}
    return (
        ColumnMatrix.build(M),
        y,
        lambda: SparseCalibrationWeights(n, **options),
        {"lambda_l2": 1e-8, "loss_type": "relative"},
    )


def regression_design(scale=1.0, n=300, p=400):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, p))
    y = scale * (X[:, :5].sum(axis=1) + 1.5 * rng.normal(size=n))
    return ColumnMatrix.build(X), y, lambda: SparseL0Linear(p, seed=0), {}


PROBLEMS = {
    "schools": school_like,
    "README": readme_like,
    "regression": regression_design,
    "large loss": lambda: regression_design(1e4),
    "small loss": lambda: regression_design(1e-4),
}


COSINE = schedules.Cosine(0.15, 0.001, epochs=1000)
# Of the columns; each learning rate is tried with large and small ones
FRACTIONS = {0.15: (0.005, 0.1, 0.6), COSINE: (0.02, 0.3, 0.9), 0.01: (0.005, 0.3, 0.9)}


@pytest.mark.slow  # trains thousands of epochs on five problems
@needs_numba
@needs_speed
@pytest.mark.parametrize("lr", FRACTIONS, ids=["0.15", "cosine", "0.01"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_expected_number_of_open_gates_reaches_k(name, lr):
    M, y, new, fit = PROBLEMS[name]()
    n = M.shape[1]
    for fraction in FRACTIONS[lr]:
        k = round(fraction * n)
        model = new().fit(M, y, lr=lr, epochs=1000, n_active=k, **fit)
        assert model.get_l0_penalty() == pytest.approx(k, rel=0.2), fraction
        assert np.isfinite(model.lambda_l0_)


def test_the_multiplier_scales_with_the_loss():
    """Adam does not know the scale of a loss, and neither does the controller."""
    M, y = small_problem()
    one, two = (calibration(dtype="float64", log_weight_jitter_sd=0.0) for _ in range(2))
    one.fit(M, y, epochs=200, n_active=10, lr=0.1, target_groups=[0] * 6, group_multipliers={0: 1.0})
    two.fit(M, y, epochs=200, n_active=10, lr=0.1, target_groups=[0] * 6, group_multipliers={0: 2.0**20})
    assert two.lambda_l0_ == pytest.approx(2.0**20 * one.lambda_l0_, rel=1e-2)
    assert one.get_active_weights()["indices"].tolist() == two.get_active_weights()["indices"].tolist()


def test_gates_that_are_all_far_closed_leave_numbers():
    """The expected number of open gates is then almost 0, as are the slopes the controller divides by."""
    M, y = small_problem()
    model = SparseCalibrationWeights(40, init_keep_prob=1e-6, gamma=-1e-30, seed=0, device="numpy")
    state = model.state_dict() | {"log_alpha": np.full(40, -1000.0)}
    model.load_state_dict(state)
    model.fit(M, y, n_active=3, lr=0.1, epochs=20, loss_type="relative")
    assert model.get_active_weights()["count"] == 3
    assert np.isfinite(model.lambda_l0_)
