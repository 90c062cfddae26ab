"""A class and a line of the table are all that a new loss takes, on every backend."""

import inspect

import numpy as np
import pytest
from support import DEVICES, small_problem

from l0np import SparseCalibrationWeights, TargetOptions
from l0np._namespace import array_namespace
from l0np.errors import InputError
from l0np.maths import LOSSES, TargetLoss
from l0np.targets import Targets

# On CUDA a loss without a kernel of its own is announced as slow; here it is only to be right
pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PerformanceWarning")


class PoissonDeviance(TargetLoss):
    """2 sum weights (target log(target / prediction) - target + prediction), for counts above 0."""

    ignores = frozenset({"target_scales", "tolerances", "caps"})
    refusal = "counts must be above 0"

    @staticmethod
    def default_scale(target):
        xp = array_namespace(target)
        return xp.astype(target > 0, target.dtype)

    def value(self, prediction):
        xp = array_namespace(prediction)
        return 2.0 * xp.sum(
            self.weights * (self.target * xp.log(self.target / prediction) - self.target + prediction)
        )

    def gradient(self, prediction, out):
        out[...] = 2.0 * self.weights * (1.0 - self.target / prediction)


def test_a_loss_refuses_what_means_nothing_to_it(monkeypatch):
    monkeypatch.setitem(LOSSES, "poisson", PoissonDeviance)
    for name in ("target_scales", "tolerances", "caps"):
        with pytest.raises(InputError, match=f"{name} mean nothing to loss_type='poisson'"):
            train("numpy", "poisson", **{name: 1.0})
    with pytest.raises(InputError, match=r"y\[1\] = 0: counts must be above 0"):
        Targets.build([1.0, 0.0], 2, loss_type="poisson")
    assert Targets.build([1.0, 0.0], 2, loss_type="poisson", exclude=[1]).weights.tolist() == [1.0, 0.0]


def train(device, loss_type, epochs=40, **options):
    M, y = small_problem()
    losses = []
    model = SparseCalibrationWeights(
        40, init_keep_prob=0.9, seed=1, device=device, dtype="float64", log_weight_jitter_sd=0.05
    )
    model.fit(
        M, y, lambda_l0=1e-4, lr=0.05, epochs=epochs, loss_type=loss_type, verbose_freq=epochs // 2,
        callbacks=[lambda progress: losses.append(progress.data_loss)], **options,
    )  # fmt: skip
    return model, losses


@pytest.mark.parametrize("device", DEVICES)
def test_a_loss_of_ones_own_trains_on_every_backend(device, monkeypatch):
    monkeypatch.setitem(LOSSES, "poisson", PoissonDeviance)
    model, losses = train(device, "poisson")
    reference, expected = train("numpy", "poisson")
    np.testing.assert_allclose(model.log_weight, reference.log_weight, rtol=0, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert losses[1] < losses[0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "options", [{}, {"caps": 0.5, "tolerances": 0.01}, {"aggregates": [0, 0, 1, 1, 2, 2]}]
)
def test_absolute_errors_train_on_every_backend(device, options):
    model, losses = train(device, "absolute", **options)
    reference, expected = train("numpy", "absolute", **options)
    np.testing.assert_allclose(model.log_weight, reference.log_weight, rtol=0, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)


def test_absolute_errors_give_up_a_wrong_target_where_squares_spread_the_contradiction():
    M, y = small_problem()
    M, y = (
        np.vstack([M.toarray(), M.toarray()[0]]),
        np.append(y, 3.0 * y[0]),
    )  # the last contradicts the first
    M, y = np.vstack([M, M[0]]), np.append(y, y[0])  # which is asked for twice
    errors = {}
    for loss_type in ("absolute", "relative"):
        model = SparseCalibrationWeights(40, use_gates=False, seed=0, dtype="float64")
        model.fit(M, y, lr=lambda epoch: 0.1 * 0.995**epoch, epochs=1500, loss_type=loss_type)
        errors[loss_type] = np.abs(model.predict(M) - y) / (y + 1)
    absolute, squared = errors["absolute"], errors["relative"]
    assert absolute[[0, 7]].max() < 0.005 < 0.5 < absolute[6]
    assert squared[[0, 7]].min() > 0.05


def test_the_docstring_lists_the_table():
    listed = inspect.getdoc(TargetOptions).split("loss_type : {")[1].split("}")[0]
    assert [name.strip().strip('"') for name in listed.split(",")] == list(LOSSES)
