"""`l2_anchor="initial"`: the L2 penalty on relative distances from the initial weights."""

import numpy as np
import oracles
import pytest
from both_models import FIT, calibration
from support import DEVICES, needs_speed, same_state, small_problem
from test_divergence import diverges

from l0np import SparseCalibrationWeights, schedules
from l0np.errors import PoorFitWarning
from l0np.maths import philox

M, Y = small_problem()
INITIAL = np.random.default_rng(2).lognormal(1, 0.5, 40)
ANCHORED = FIT | {"lambda_l2": 1e-2, "l2_anchor": "initial"}


def anchored(device="cpu", **options):
    return calibration(device=device, init_weights=INITIAL, **options)


def moment_of_the_penalty(model, lambda_l2):
    """Train where the data have no gradient; return Adam's first moment after one step, times 10."""
    empty = np.zeros((1, model.n_features))
    before = model.log_weight.copy()
    model.fit(empty, [0.0], lambda_l0=0.0, lambda_l2=lambda_l2, epochs=1, l2_anchor="initial")
    return before, 10 * model.state_dict()["log_weight_first_moment"]


@pytest.mark.parametrize("device", DEVICES)
def test_the_anchor_is_the_initial_weights_in_every_state(device):
    """Neither what a fit, a jitter or a loaded state has made of them; an initial weight of 0 is 1e-8."""
    initial = np.array([0.0, 1.0, 50.0, 3000.0])
    reference = np.log(initial + 1e-8)
    model = SparseCalibrationWeights(4, init_weights=initial, seed=1, device=device, dtype="float64")
    _, moment = moment_of_the_penalty(model, 0.5)
    assert np.abs(moment).max() < 1e-12  # at the anchor there is no gradient
    for shift in (0.3, -0.7):
        model.reset()
        model.load_state_dict(model.state_dict() | {"log_weight": reference + shift})
        _, moment = moment_of_the_penalty(model, 0.5)
        ratio = np.exp(shift)
        np.testing.assert_allclose(moment, 0.5 * 2 * (ratio - 1) * ratio, rtol=1e-9)
    jittered = SparseCalibrationWeights(
        4, init_weights=initial, seed=1, device=device, dtype="float64", log_weight_jitter_sd=0.2
    )
    _, moment = moment_of_the_penalty(jittered, 0.5)
    ratio = np.exp(0.2 * philox.normal(1, philox.LOG_WEIGHT_JITTER, 4))
    np.testing.assert_allclose(moment, 0.5 * 2 * (ratio - 1) * ratio, rtol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
def test_without_lambda_l2_it_does_nothing(device):
    fit = FIT | {"lambda_l2": 0.0}
    models = [anchored(device).fit(M, Y, epochs=20, l2_anchor=name, **fit) for name in (None, "initial")]
    assert same_state(*(model.state_dict() for model in models))


@pytest.mark.parametrize("device", DEVICES)
def test_fits_in_parts_and_a_loaded_state_equal_one_fit(device):
    whole, parts, loaded = (anchored(device) for _ in range(3))
    whole.fit(M, Y, epochs=60, **ANCHORED)
    for _ in range(3):
        parts.fit(M, Y, epochs=20, **ANCHORED)
    assert same_state(whole.state_dict(), parts.state_dict())
    loaded.load_state_dict(anchored(device).fit(M, Y, epochs=25, **ANCHORED).state_dict())
    loaded.fit(M, Y, epochs=35, **ANCHORED)
    assert same_state(whole.state_dict(), loaded.state_dict())


@pytest.mark.parametrize("anchor", ["initial", None])
def test_units_of_the_weights_do_not_matter(anchor):
    """Weights in another unit, with M in the inverse: the same gates. In absolute units they differ."""
    unit, options = 1024.0, {"dtype": "float64", "init_keep_prob": 0.9}
    fit = ANCHORED | {"l2_anchor": anchor, "lambda_l2": 1e-3, "epochs": 99}
    one = calibration(init_weights=INITIAL, **options).fit(M, Y, **fit)
    other = calibration(init_weights=unit * INITIAL, **options).fit(M / unit, Y, **fit)
    # The 1e-8 that is added to initial weights is the same in both
    ratio_is_unit = np.allclose(other.log_weight - one.log_weight, np.log(unit), rtol=0, atol=1e-5)
    same_gates = np.allclose(other.log_alpha, one.log_alpha, rtol=0, atol=1e-5)
    assert ratio_is_unit == same_gates == (anchor is not None)


@pytest.fixture(scope="module")
def naive_trajectory():
    """A problem, the settings of a fit, and where the naive formulas start and end."""
    rng, n, epochs, seed = np.random.default_rng(4), 8, 40, 9
    dense, initial = rng.uniform(0, 2, (3, n)).astype(np.float32), rng.lognormal(2, 1, n).astype(np.float32)
    y = (dense @ (0.5 * initial)).astype(np.float32).astype(float)
    fit = {"lambda_l0": 0.02, "lambda_l2": 0.05}

    def objective(values, epoch):
        u = philox.uniform(np, seed, philox.GATES, epoch, 0, n).tolist()
        return oracles.objective(
            values[:n], values[n:], 0.0, u, dense.tolist(), y.tolist(), [1.0] * 3, relative=True,
            exponential=True, gates=(0.5, -0.1, 1.1), anchor=initial.tolist(), **fit,
        )  # fmt: skip

    start = [*np.log(initial.astype(float) + 1e-8), *np.full(n, np.log(0.7 / 0.3))]
    expected = oracles.trajectory(start, objective, epochs, 0.05)
    arguments = {"init_weights": initial, "seed": seed, "beta": 0.5, "init_keep_prob": 0.7}
    return dense, y, arguments, {"lr": 0.05, "epochs": epochs, **fit}, start, expected


@pytest.mark.parametrize(("dtype", "absolute"), [("float32", 1e-4), ("float64", 1e-7)])
@pytest.mark.parametrize("device", DEVICES)
def test_a_trajectory_of_the_naive_formulas(device, dtype, absolute, naive_trajectory):
    dense, y, arguments, fit, start, expected = naive_trajectory
    model = SparseCalibrationWeights(8, log_alpha_jitter_sd=0.0, device=device, dtype=dtype, **arguments)
    model.fit(dense, y, loss_type="relative", l2_anchor="initial", **fit)
    found = np.concatenate((model.log_weight, model.log_alpha))
    np.testing.assert_allclose(found, expected, rtol=0, atol=absolute)
    assert np.abs(np.subtract(expected, start)).max() > 0.3


@pytest.mark.parametrize("device", DEVICES)
def test_a_report_counts_the_distances(device):
    model, losses = anchored(device), []

    def look(progress):
        ratio = np.exp(model.log_weight.astype(float) - np.log(INITIAL))
        penalties = 1e-2 * model.get_l0_penalty() + 1e-2 * ((ratio - 1) ** 2).sum()
        assert progress.loss == pytest.approx(progress.data_loss + penalties, rel=1e-4)
        losses.append(progress.loss)

    model.fit(M, Y, epochs=20, verbose_freq=10, callbacks=[look], **ANCHORED)
    assert len(losses) == 2
    assert model.get_l2_penalty() == pytest.approx((np.exp(model.log_weight.astype(float)) ** 2).sum())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "log_weight"), [("float32", 80.0), ("float64", 700.0)])
def test_a_ratio_that_overflows_is_noticed(device, dtype, log_weight):
    """The weights themselves are finite, and their gates are closed."""
    model = SparseCalibrationWeights(
        3, init_weights=0.0, init_keep_prob=0.0, seed=1, device=device, dtype=dtype
    )
    model.load_state_dict(model.state_dict() | {"log_weight": [-18.0, log_weight, -18.0]})
    fit = {"lambda_l0": 0.0, "loss_type": "relative", "epochs": 3}
    before = model.state_dict()
    error = diverges(model, np.ones((2, 3)), [5.0, 6.0], lambda_l2=1e-3, l2_anchor="initial", **fit)
    assert error.epoch == 1
    assert same_state(before, model.state_dict())
    assert model.fit(np.ones((2, 3)), [5.0, 6.0], **fit).epoch_ == 3


@needs_speed
def test_what_it_is_for():
    """Design weights in the thousands, for which 1e-8 for a squared unit is too much."""
    rng, n = np.random.default_rng(0), 1000
    design = rng.lognormal(8, 0.5, n)
    traits = np.vstack([np.ones(n), rng.random((15, n)) < 0.3])
    totals = traits @ (design * rng.uniform(0.8, 1.3, n))
    lr = schedules.Cosine(0.1, 0.001, epochs=1000)

    def errors(**penalty):
        model = SparseCalibrationWeights(n, init_weights=design, beta=0.35, seed=0)
        model.fit(traits, totals, lambda_l0=1e-3, lr=lr, epochs=1000, loss_type="relative", **penalty)
        return np.abs(model.predict(traits) / totals - 1), model.get_active_weights()["count"]

    with pytest.warns(PoorFitWarning, match='use l2_anchor="initial"'):
        missed, _ = errors(lambda_l2=1e-8)
    met, count = errors(lambda_l2=1e-5, l2_anchor="initial")
    assert missed.min() > 0.5
    assert met.max() < 0.08
    assert 100 < count < 300
