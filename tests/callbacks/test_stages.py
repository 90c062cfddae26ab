"""Stages of a run: what callbacks get, and that a run which is stopped gives its best answer so far."""

import numpy as np
import pytest
from support import LONG_RUNS

import l0np
from l0np import l0_regression_path
from l0np.callbacks import Progress, StageProgress, Stages, stage_report
from l0np.errors import InputTypeError


class Recorder:
    """A callback that keeps what it gets, and stops the run at the n-th report, counted from 1."""

    def __init__(self, stop_at=None):
        self.reports, self.stop_at = [], stop_at

    def __call__(self, progress):
        assert isinstance(progress, Progress | StageProgress)
        self.reports.append(progress)
        return self.stop_at is not None and len(self.reports) >= self.stop_at

    @property
    def stages(self):
        return list(dict.fromkeys(report.stage for report in self.reports))


def test_without_callbacks_nothing_is_reported():
    stages = Stages()
    assert not stages.begin("sampling")
    assert not stages.report(0.5)


def test_once_stopped_no_callback_is_called_any_more():
    recorder = Recorder(stop_at=2)
    with Stages([recorder]) as stages:
        assert not stages.begin("sampling")
        assert stages.report(0.5)
        assert stages.report(0.6)
        assert stages.begin("refit")
    assert [(report.stage, report.fraction) for report in recorder.reports] == [
        ("sampling", None),
        ("sampling", 0.5),
    ]
    assert stages.stopped


def test_sizes_of_a_path_are_counted_and_end_early():
    recorder = Recorder(stop_at=2)
    with Stages([recorder]) as stages:
        seen = []
        for k in stages.each([10, 20, 30]):
            seen.append(k)
            stages.begin("refit")
    assert seen == [10, 20]
    assert [report.label for report in recorder.reports] == ["refit (size 1 of 3)", "refit (size 2 of 3)"]
    with Stages([lambda progress: True]) as stages:
        stages.begin("calibrating all records")
        assert list(stages.each([10, 20])) == [10]  # at least one


def test_printed_stages(capsys):
    report = stage_report(min_seconds=0.0)
    report(StageProgress("refit", fraction=0.25, seconds=2.0, size=1, n_sizes=3))
    report(StageProgress("refit", fraction=0.5, seconds=4.26, size=1, n_sizes=3))
    report = stage_report(min_seconds=60.0)
    for _ in range(3):
        report(StageProgress("sampling"))
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["refit (size 1 of 3): 25%, 2.0 s", "refit (size 1 of 3): 50%, 4.3 s", "sampling"]


# --- regression paths


def regression():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 12))
    return X, X[:, 2] - 2 * X[:, 7] + rng.normal(size=80)


STAGES = {"inclusion": "inclusion probabilities", "exchange": "exchanges", "gates": "training"}


@pytest.mark.parametrize("method", STAGES)
def test_a_regression_path_reports_its_stages_and_they_change_nothing(method):
    X, y = regression()
    recorder = Recorder()
    watched = l0_regression_path(X, y, method=method, device=LONG_RUNS, callbacks=[recorder])
    plain = l0_regression_path(X, y, method=method, device=LONG_RUNS)
    assert recorder.stages == [STAGES[method]]
    assert not watched.stopped
    assert np.array_equal(watched.coef_, plain.coef_)
    assert np.array_equal(watched.criterion, plain.criterion)
    fractions = [report.fraction for report in recorder.reports if report.fraction is not None]
    if method != "gates":  # which counts for each size
        assert fractions == sorted(fractions)
        assert 0 <= fractions[0] < fractions[-1] <= 1


@pytest.mark.parametrize("method", STAGES)
@pytest.mark.parametrize("stop_at", [1, 2, 3, 5])
def test_a_stopped_regression_path_gives_what_was_found(method, stop_at):
    X, y = regression()
    recorder = Recorder(stop_at)
    path = l0_regression_path(X, y, [3, 6], method=method, device=LONG_RUNS, callbacks=[recorder])
    assert path.stopped
    assert len(recorder.reports) == stop_at
    assert len(path.n_active) >= 1
    assert np.isfinite(path.predict(X)).all()
    assert "(stopped by a callback)" in str(path).splitlines()[0]


def test_cross_validation_is_a_stage_of_its_own():
    X, y = regression()
    recorder = Recorder()
    l0_regression_path(X, y, cv=4, callbacks=[recorder])
    assert recorder.stages == ["inclusion probabilities", "cross-validation"]
    assert [r.fraction for r in recorder.reports if r.stage == "cross-validation"] == [
        None,
        0.25,
        0.5,
        0.75,
        1,
    ]
    stops = [lambda progress: progress.stage == "cross-validation" and progress.fraction == 0.5]
    path = l0_regression_path(X, y, cv=4, callbacks=stops)
    assert path.stopped
    assert np.isfinite(path.criterion).all()


def test_verbose_prints_the_stages(capsys):
    X, y = regression()
    l0_regression_path(X, y, verbose=True)
    assert capsys.readouterr().out.startswith("inclusion probabilities")


def test_callbacks_of_a_regression_path_are_checked():
    X, y = regression()
    with pytest.raises(InputTypeError, match=r"callbacks\[0\] must be callable"):
        l0_regression_path(X, y, callbacks=[3])
    with pytest.raises(InputTypeError, match="verbose must be True or False"):
        l0_regression_path(X, y, verbose="yes")


# --- selections


def survey():
    rng = np.random.default_rng(0)
    M = np.vstack([np.ones(400), rng.random((6, 400)) < 0.3, rng.lognormal(size=400)])
    return M, M @ rng.uniform(0.8, 1.2, 400)


SELECTIONS = {  # method and k: the stages in their order
    ("thinned", 60): ["calibrating all records", "sampling", "thinning", "refit"],
    ("balanced", 60): ["calibrating all records", "sampling", "refit"],
    ("exchange", 4): ["calibrating all records", "pursuit", "exchanges", "refit"],
    ("gates", 30): ["calibrating all records", "training", "refit"],
    ("balanced", 4): ["calibrating all records", "sampling", "refit"],
}


@pytest.mark.parametrize(("method", "k"), SELECTIONS)
def test_a_selection_reports_its_stages_and_they_change_nothing(method, k):
    M, y = survey()
    recorder, options = Recorder(), {"method": method, "seed": 0, "epochs": 300, "device": LONG_RUNS}
    watched = l0np.calibrate(M, y, k, callbacks=[recorder], **options)
    assert recorder.stages == SELECTIONS[method, k]
    assert not watched.stopped
    assert np.array_equal(watched.weights, l0np.calibrate(M, y, k, **options).weights)
    last = recorder.reports[-1]
    if k == 4 and method == "balanced":
        return  # the last refit is that of swaps that were not made
    np.testing.assert_allclose(last.estimates, M @ watched.weights)
    assert last.worst_error is not None


@pytest.mark.parametrize(("method", "k"), SELECTIONS)
@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 6])
def test_a_stopped_selection_has_exactly_k_records(method, k, stop_at):
    M, y = survey()
    recorder = Recorder(stop_at)
    options = {"method": method, "seed": 0, "epochs": 300, "device": LONG_RUNS}
    answer = l0np.calibrate(M, y, k, callbacks=[recorder], **options)
    assert answer.stopped == (len(recorder.reports) == stop_at)
    assert len(recorder.reports) <= stop_at
    assert len(answer.indices) == np.count_nonzero(answer.weights) == k
    assert ("stopped by a callback" in str(answer).splitlines()[0]) == answer.stopped


def test_a_stopped_path_has_the_sizes_so_far():
    M, y = survey()

    def second_size(progress):
        return progress.size == 2 and progress.stage == "refit"

    path = l0np.l0_path(M, y, n_active=[20, 40, 80], method="balanced", seed=0, callbacks=[second_size])
    assert path.stopped
    assert path.n_active.tolist() == [20, 40]
    assert [answer.stopped for answer in path.answers] == [False, True]


def test_verbose_selections_print_their_stages(capsys):
    M, y = survey()
    l0np.calibrate(M, y, 60, method="balanced", seed=0, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["calibrating all records", "sampling", "refit"]


@pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")
def test_gates_of_a_selection_can_be_resumed(tmp_path):
    """Only their training is checkpointed; other stages start anew."""
    M, y = survey()

    def crash(progress):
        if progress.stage == "training" and progress.epoch == 200:
            raise RuntimeError

    saved = l0np.callbacks.checkpoint(tmp_path, every=50)
    options = {"method": "gates", "seed": 0, "epochs": 300, "device": LONG_RUNS}
    with pytest.raises(RuntimeError):
        l0np.calibrate(M, y, 30, callbacks=[saved, crash], **options)
    model = l0np.SparseCalibrationWeights.resume(tmp_path, M, y)
    answer = l0np.calibrate(M, y, 30, **options)
    assert np.array_equal(np.flatnonzero(model.get_weights(deterministic=True)), answer.indices)


def test_a_refit_reports_its_steps_and_may_be_stopped_at_each():
    rng = np.random.default_rng(1)
    M = rng.random((20, 400))
    y = M @ rng.uniform(0.2, 2.0, 400)
    recorder = Recorder()
    answer = l0np.calibrate(M, y, distance="raking", bounds=(0.5, 1.5), callbacks=[recorder])
    assert len(recorder.reports) > 4
    errors = [report.worst_error for report in recorder.reports if report.estimates is not None]
    assert errors[-1] < 0.2 * errors[0]
    for stop_at in range(2, len(recorder.reports), 3):
        stopped = l0np.calibrate(M, y, distance="raking", bounds=(0.5, 1.5), callbacks=[Recorder(stop_at)])
        assert stopped.stopped
        assert not stopped.converged
        assert (stopped.weights >= 0.5 - 1e-9).all()
        assert (stopped.weights <= 1.5 + 1e-9).all()
    assert answer.converged


@pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")
def test_the_refit_of_a_model_reports_and_may_be_stopped(capsys):
    M, y = survey()
    model = l0np.SparseCalibrationWeights(400, seed=0, device=LONG_RUNS).fit(
        M, y, n_active=60, epochs=100, loss_type="relative"
    )
    state, recorder = model.state_dict(), Recorder()
    refit = model.refit(M, y, distance="raking", callbacks=[recorder], verbose=True)
    assert refit.converged
    assert not refit.stopped
    assert recorder.stages == ["refit"]
    assert capsys.readouterr().out.startswith("refit")
    assert len(recorder.reports) > 2
    model.load_state_dict(state)
    stopped = model.refit(M, y, distance="raking", callbacks=[Recorder(stop_at=2)])
    assert stopped.stopped
    assert "stopped by a callback" in repr(stopped)
    np.testing.assert_allclose(model.predict(M) - y, stopped.errors, rtol=1e-4, atol=1e-3 * np.abs(y).max())
