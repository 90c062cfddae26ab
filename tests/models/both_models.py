"""The two models on small problems, as the test files of this folder use them."""

from l0np import SparseCalibrationWeights, SparseL0Linear

FIT = {"lambda_l0": 1e-2, "lambda_l2": 1e-6, "lr": 0.1, "loss_type": "relative"}
N_ACTIVE_FIT = {"lr": 0.1, "loss_type": "relative"}  # beside n_active, which finds lambda_l0


def calibration(n=40, **options):
    return SparseCalibrationWeights(n, **{"seed": 11, "beta": 0.5, "log_weight_jitter_sd": 0.05, **options})


def both_models(n=40, device="cpu", **options):
    """Return each model with arguments of its `fit`."""
    return [
        (SparseCalibrationWeights(n, seed=3, device=device, log_weight_jitter_sd=0.1, **options), FIT),
        (SparseL0Linear(n, seed=3, device=device, **options), {"lambda_l0": 0.02, "lr": 0.05}),
    ]


def both_models_for_n_active(device="cpu"):
    """Return each model with arguments of its `fit` beside `n_active`."""
    return [
        (calibration(device=device), N_ACTIVE_FIT),
        (SparseL0Linear(40, seed=3, device=device), {"lr": 0.05}),
    ]
