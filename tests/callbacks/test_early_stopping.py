"""`early_stopping` and `history`."""

import numpy as np
import pytest
from support import DEVICES, LONG_RUNS, same_state, small_problem

from l0np import SparseCalibrationWeights, SparseL0Linear, callbacks
from l0np.callbacks import StageProgress
from l0np.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # short fits

FIT = {"lambda_l0": 1e-2, "lr": 0.3, "loss_type": "relative", "verbose_freq": 5}
M, Y = small_problem()


def model(**options):
    return SparseCalibrationWeights(40, seed=1, **{"device": LONG_RUNS} | options)


def errors_of(epochs):
    reports = callbacks.history()
    model().fit(M, Y, epochs=epochs, callbacks=[reports], **FIT)
    return reports


@pytest.mark.parametrize("error", ["loss", "mean", "worst"])
def test_the_fit_stops_when_the_error_stops_falling_and_returns_to_the_best(error):
    reports = errors_of(400)
    column = reports[{"loss": "test_time_loss", "mean": "mean_error", "worst": "worst_error"}[error]]
    best = stop = 0
    for i, epoch in enumerate(reports["epoch"]):
        best = i if column[i] < column[best] else best
        stop = epoch
        if epoch - reports["epoch"][best] >= 30:
            break
    seen, stopped = callbacks.history(), model()
    stopped.fit(M, Y, epochs=400, callbacks=[callbacks.early_stopping(error, patience=30), seen], **FIT)
    assert seen["epoch"][-1] == stop < 400
    at_best = model().fit(M, Y, epochs=int(reports["epoch"][best]), **FIT)
    assert same_state(stopped.state_dict(), at_best.state_dict())


def test_the_best_state_is_kept_where_the_fit_ends_by_itself():
    reports = errors_of(60)
    best = int(reports["epoch"][np.argmin(reports["worst_error"])])
    assert best < 60
    trained = model().fit(M, Y, epochs=60, callbacks=[callbacks.early_stopping("worst", patience=500)], **FIT)
    assert trained.epoch_ == best
    assert same_state(trained.state_dict(), model().fit(M, Y, epochs=best, **FIT).state_dict())


def test_k_are_selected_from_the_best_state():
    fit = {"n_active": 8, "lr": 0.1, "loss_type": "relative", "verbose_freq": 10, "epochs": 300}
    stop = callbacks.early_stopping("worst", max_active=12)
    trained = model().fit(M, Y, callbacks=[stop], **fit)
    at_best = model().fit(M, Y, **fit | {"epochs": trained.epoch_})
    assert trained.get_active_weights()["count"] == 8
    np.testing.assert_array_equal(trained.get_weights(), at_best.get_weights())


def test_a_target_a_change_and_a_count():
    reports = errors_of(400)
    goal = float(np.median(reports["mean_error"]))
    first = int(reports["epoch"][np.flatnonzero(reports["mean_error"] <= goal)[0]])
    stop = callbacks.early_stopping("mean", target=goal)
    assert model().fit(M, Y, epochs=400, callbacks=[stop], **FIT).epoch_ == first
    stop = callbacks.early_stopping("mean", min_change=1e9, patience=20)  # only the first report counts
    assert model().fit(M, Y, epochs=400, callbacks=[stop], **FIT).epoch_ == 5
    most = int(reports["active_count"].min())
    stop = callbacks.early_stopping("mean", max_active=most, patience=1000)
    trained = model().fit(M, Y, epochs=400, callbacks=[stop], **FIT)
    counts = reports["active_count"] <= most
    assert trained.epoch_ == reports["epoch"][counts][np.argmin(reports["mean_error"][counts])]


def test_a_function_may_say_what_the_error_is():
    stop = callbacks.early_stopping(lambda progress: abs(progress.epoch - 40) + 0.5, patience=10)
    assert model().fit(M, Y, epochs=400, callbacks=[stop], **FIT).epoch_ == 40
    stop = callbacks.early_stopping(lambda progress: np.nan, patience=10)  # never the best
    assert model().fit(M, Y, epochs=30, callbacks=[stop], **FIT).epoch_ == 30


def test_each_fit_starts_anew():
    stop = callbacks.early_stopping(lambda progress: progress.epoch % 50, patience=1000)
    trained = model().fit(M, Y, epochs=60, callbacks=[stop], **FIT)
    assert trained.epoch_ == 50
    assert trained.fit(M, Y, epochs=45, callbacks=[stop], **FIT).epoch_ == 55


@pytest.mark.parametrize("device", DEVICES)
def test_the_loss_at_test_time(device):
    seen = []
    trained = model(device=device)
    trained.fit(M, Y, epochs=20, callbacks=[seen.append], **FIT)
    expected = (((trained.predict(M) - Y) / (Y + 1)) ** 2).sum()
    assert seen[-1].test_time_loss == pytest.approx(expected, rel=1e-5)
    regression = SparseL0Linear(40, seed=1, device=device).fit(M, Y, epochs=20, callbacks=[seen.append])
    assert seen[-1].test_time_loss == pytest.approx(((regression.predict(M) - Y) ** 2).mean(), rel=1e-4)


def test_history():
    reports, seen = callbacks.history(), []
    assert not reports
    trained = model()
    trained.fit(M, Y, epochs=23, callbacks=[reports, seen.append], **FIT)
    assert reports["epoch"].tolist() == [5, 10, 15, 20, 23]
    for name in reports:
        assert reports[name].tolist() == [getattr(progress, name) for progress in seen]
    assert [progress.fraction for progress in seen] == [epoch / 23 for epoch in reports["epoch"]]
    assert (np.diff(reports["seconds"]) > 0).all()
    trained.fit(M, Y, epochs=5, callbacks=[reports], **FIT)
    assert reports["epoch"].tolist()[-2:] == [25, 28]
    with pytest.raises(KeyError, match="'error' is not one of epoch, loss"):
        reports["error"]
    assert repr(reports).startswith("History(7 reports of epoch, loss")
    reports(StageProgress("refit"))
    assert len(reports["epoch"]) == 7


def test_early_stopping_has_nothing_to_say_of_other_stages():
    assert callbacks.early_stopping()(StageProgress("refit", 0.5)) is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": "median"}, "must be one of 'loss', 'mean', 'worst'; got 'median'"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"min_change": -1.0}, "min_change must be at least 0, got -1"),
        ({"max_active": -1}, "max_active must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_given_to_early_stopping(options, message):
    with pytest.raises(InputError, match=message):
        callbacks.early_stopping(**options)
