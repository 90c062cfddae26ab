"""`PoorFitWarning`: each fault of a fit is reported with what may help, and a good fit in silence."""

import re
import warnings

import numpy as np
import pytest
from support import LONG_RUNS

from l0np import SparseCalibrationWeights, SparseL0Linear, calibrate, l0_path
from l0np.engine import LossTrend
from l0np.errors import PoorFitWarning
from l0np.schedules import Cosine

N, Q = 300, 5


def survey(scale=1.0):
    """Targets that the initial weights, `scale`, miss by up to 20 %."""
    rng = np.random.default_rng(0)
    M = rng.random((Q, N))
    return M, M @ np.full(N, scale) * rng.uniform(0.8, 1.2, Q)


def warned(fit):
    """Return the messages of the warnings that a fit gives."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit()
    assert all(issubclass(w.category, PoorFitWarning) for w in found)
    return [str(w.message) for w in found]


def fit(M, y, *, init_weights=None, use_gates=True, seed=0, **options):
    settings = {"loss_type": "relative", "lr": 0.05, "epochs": 400} | options
    model = SparseCalibrationWeights(
        N, seed=seed, init_weights=init_weights, use_gates=use_gates, device=LONG_RUNS
    )
    return model.fit(M, y, **settings)


def test_a_good_fit_is_silent():
    M, y = survey(1000.0)
    assert warned(lambda: fit(M, y, init_weights=1000.0, lambda_l0=3e-3, epochs=3000)) == []


def test_no_record_is_active():
    M, y = survey(1000.0)
    (message,) = warned(lambda: fit(M, y, init_weights=1000.0, lambda_l0=100.0))
    assert "- no record is active\n" in message
    assert "smaller lambda_l0, or n_active=k" in message
    assert "init_weights" not in message
    assert "median error" not in message  # which follows from it


def test_initial_weights_far_from_the_targets_are_named_as_the_cause():
    """The default weights of 1, the default multiplier, and targets in the millions."""
    M, y = survey(1e5)
    (message,) = warned(lambda: fit(M, y, lr=0.01, epochs=1000))
    assert "init_weights" in message
    assert re.search(r"totals are \S+e-05 times the targets in the median", message)


def test_weights_ruined_by_an_absolute_l2_penalty():
    M, y = survey(5000.0)
    (message,) = warned(lambda: fit(M, y, init_weights=5000.0, lambda_l0=1e-6, lambda_l2=1e-6, lr=0.2))
    assert "times what the targets ask for" in message
    assert "the median error of the targets is 9" in message
    assert "lambda_l2" in message
    assert message.index("What may help") > message.index("median error")
    assert (
        message.count('use l2_anchor="initial", or a smaller lambda_l2') == 1
    )  # though two faults have this cause


def test_weights_may_go_where_the_targets_ask_them_to():
    """The sum grows by a factor of 100, as it has to."""
    M, y = survey(100.0)
    assert warned(lambda: fit(M, y, init_weights=1.0, use_gates=False, lr=0.1, epochs=2000)) == []


def test_half_of_the_targets_are_missed_by_half():
    rng = np.random.default_rng(1)
    M = np.tile(rng.random((1, N)), (Q, 1))  # five targets of one row, which contradict each other
    y = M @ np.ones(N) * [1.5, 1.6, 4.0, 9.0, 16.0]
    (message,) = warned(lambda: fit(M, y, init_weights=1.0, lambda_l0=1e-6))
    assert "the median error of the targets is" in message
    assert "check_targets(M, y)" in message
    assert warned(lambda: fit(M, y, use_gates=False, epochs=1000, exclude=[2, 3, 4])) == []


def test_the_loss_still_falls():
    M, y = survey()
    y = y * 2.0
    (message,) = warned(lambda: fit(M, y, init_weights=1.0, use_gates=False, lr=2e-3, epochs=200))
    assert "the loss still falls, by " in message
    assert "- train for more epochs" in message
    assert "median error" not in message


def test_where_the_learning_rate_falls_the_noise_does_and_nothing_is_concluded():
    M, y = survey()
    y = y * 2.0
    schedule = Cosine(2e-3, 1e-6, epochs=200)
    assert warned(lambda: fit(M, y, init_weights=1.0, use_gates=False, lr=schedule, epochs=200)) == []


def test_a_short_fit_is_not_judged():
    M, y = survey(1e5)
    assert warned(lambda: fit(M, y, epochs=99)) == []
    assert warned(lambda: fit(M, y, epochs=100))


def test_gates_that_are_undecided():
    M, y = survey()
    options = {"init_weights": 1.0, "lambda_l0": 0.0, "epochs": 100, "lr": 1e-4}
    model = SparseCalibrationWeights(N, device=LONG_RUNS, seed=0, init_weights=1.0, init_keep_prob=0.6)
    (message,) = warned(lambda: model.fit(M, y, loss_type="relative", lambda_l0=0.0, epochs=100, lr=1e-4))
    assert "gates are undecided: those of test time change the totals by" in message
    kept = SparseCalibrationWeights(N, device=LONG_RUNS, seed=0, init_weights=1.0, init_keep_prob=1.0)
    settings = {name: value for name, value in options.items() if name != "init_weights"}
    assert warned(lambda: kept.fit(M, y, loss_type="relative", **settings)) == []


def test_each_fault_is_reported_once_until_reset():
    M, y = survey()
    model = SparseCalibrationWeights(N, device=LONG_RUNS, seed=0, init_weights=1.0)

    def train():
        model.fit(M, y, loss_type="relative", lambda_l0=100.0, epochs=100, lr=0.1)

    assert len(warned(train)) == 1
    assert warned(train) == []
    model.reset()
    assert len(warned(train)) == 1


def test_after_a_selection_refit_is_what_helps():
    M, y = survey(1000.0)
    model = SparseCalibrationWeights(N, device=LONG_RUNS, seed=0, init_weights=1000.0)
    (message,) = warned(lambda: model.fit(M, y, n_active=10, loss_type="relative", epochs=150, lr=0.01))
    assert "call refit(M, y), which fits the weights of the selected records" in message


def test_selections_do_not_warn_of_their_own_training():
    M, y = survey(1000.0)
    options = {"base_weights": 1000.0, "method": "gates", "seed": 0, "device": LONG_RUNS}
    assert warned(lambda: calibrate(M, y, n_active=20, **options)) == []
    assert warned(lambda: l0_path(M, y, n_active=[20], **options)) == []


def test_a_run_that_a_callback_stops_has_no_trend():
    M, y = survey()
    y = y * 2.0
    options = {"callbacks": [lambda progress: progress.epoch >= 150], "verbose_freq": 50}
    assert warned(lambda: fit(M, y, use_gates=False, lr=2e-3, epochs=200, **options)) == []


def regression():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 6))
    return X, 3.0 + X @ np.array([1.0, 0, -2, 0, 0, 0]) + 0.1 * rng.normal(size=200)


def test_a_good_regression_is_silent():
    X, y = regression()
    model = SparseL0Linear(6, seed=0)
    assert warned(lambda: model.fit(X, y, lambda_l0=0.05, lr=0.02, epochs=1000)) == []


def test_no_feature_is_active_in_the_words_of_a_regression():
    X, y = regression()
    model = SparseL0Linear(6, seed=0)
    (message,) = warned(lambda: model.fit(X, y, lambda_l0=1000.0, lr=0.02, epochs=1000))
    assert "- no feature is active\n" in message
    assert "n_active=k to select exactly k features" in message
    assert "record" not in message
    assert "target" not in message


def test_the_loss_of_a_regression_still_falls():
    X, y = regression()
    (message,) = warned(lambda: SparseL0Linear(6, seed=0).fit(X, 100 * y, lambda_l0=0.01, lr=0.5, epochs=200))
    assert "the loss still falls" in message


def test_the_warning_points_to_the_line_of_the_caller():
    M, y = survey(1e5)
    with pytest.warns(PoorFitWarning) as found:
        fit(M, y, epochs=100)
    assert found[0].filename == __file__


# --- the trend


def test_looks_are_in_the_last_two_tenths():
    trend = LossTrend(1000, 500)
    assert trend.epochs == tuple(range(1405, 1501, 5))
    assert trend.next_after(1000) == 1405
    assert trend.next_after(1405) == 1410
    assert trend.next_after(1500) is None


def test_the_fall_is_that_of_medians():
    trend = LossTrend(0, 100)
    losses = [2.0] * 6 + [9.0] * 4 + [1.0] * 6 + [50.0] * 4
    for epoch, loss in zip(trend.epochs, losses, strict=True):
        assert trend.fall is None
        trend.note(epoch, loss, 0.1)
    assert trend.fall == 0.5


@pytest.mark.parametrize(("end", "fall"), [(0.06, 0.5), (0.04, None)])
def test_there_is_no_trend_where_the_learning_rate_falls(end, fall):
    trend = LossTrend(0, 200)
    for i, epoch in enumerate(trend.epochs):
        trend.note(epoch, 2.0 if i < 10 else 1.0, np.linspace(0.1, end, 20)[i])
    assert trend.fall == fall


@pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")
def test_looking_changes_no_result():
    """Fits look at the loss in their last fifth; ten fits look elsewhere than one."""
    M, y = survey()
    one = fit(M, y, init_weights=1.0, epochs=1000, lambda_l0=1e-4)
    ten = SparseCalibrationWeights(N, device=LONG_RUNS, seed=0, init_weights=1.0)
    for _ in range(10):
        ten.fit(M, y, loss_type="relative", lr=0.05, epochs=100, lambda_l0=1e-4)
    assert np.array_equal(one.log_weight, ten.log_weight)
    assert np.array_equal(one.log_alpha, ten.log_alpha)


def test_initial_weights_of_nothing():
    M, y = survey()
    assert warned(lambda: fit(M, y, init_weights=0.0, epochs=100))
