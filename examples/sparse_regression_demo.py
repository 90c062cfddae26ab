"""Find which of four variables matter: the true coefficients are 1, 0, -2, 0 and the intercept is 30."""

import numpy as np

from l0np import SparseL0Linear

COEFFICIENTS, INTERCEPT = np.array([1.0, 0.0, -2.0, 0.0]), 30.0
N_ROWS, CORRELATION, NOISE = 500, 0.5, 1.5


def main() -> None:
    """Fit, and print the coefficients and the test-time gates, with and without temperature."""
    rng = np.random.default_rng(1)
    covariance = np.full((4, 4), CORRELATION) + (1 - CORRELATION) * np.eye(4)
    # a Cholesky factor, because it is unique: every linear algebra library gives the same data
    X = rng.normal(size=(N_ROWS, 4)) @ np.linalg.cholesky(covariance).T
    y = INTERCEPT + X @ COEFFICIENTS + NOISE * rng.normal(size=N_ROWS)

    model = SparseL0Linear(n_features=4, beta=2 / 3, seed=0).fit(X, y, lambda_l0=0.2, lr=0.01, epochs=5000)
    without = SparseL0Linear(n_features=4, beta=2 / 3, seed=0, test_time_temperature=False)
    without.load_state_dict(model.state_dict())

    with np.printoptions(formatter={"float": lambda number: f"{number + 0.0:6.3f}"}):
        print(f"True coefficients:          {COEFFICIENTS}   intercept {INTERCEPT:.3f}")
        print(f"Recovered coefficients:     {model.get_coefficients()}   intercept {model.bias:.3f}")
        print(f"Gates with temperature:     {model.get_deterministic_gates()}")
        print(f"Gates without temperature:  {without.get_deterministic_gates()}")
    print(f"Selected variables:         {', '.join(str(i + 1) for i in model.get_selected_features())}")


if __name__ == "__main__":
    main()
