"""Paths: one problem for many numbers of records, by any method, and by L0 multipliers."""

import numpy as np
from support import LONG_RUNS, needs_speed
from survey_problems import problem

import l0np


def test_a_path_holds_the_answers_of_calibrate_by_size():
    M, y, base = problem()
    path = l0np.l0_path(M, y, n_active=[60, 3, 20, 6], base_weights=base, seed=0)
    np.testing.assert_array_equal(path.n_active, [3, 6, 20, 60])
    assert (np.diff([min(one.total for one in answer.tried) for answer in path.answers]) < 0).all()
    for k, answer in zip(path.n_active, path.answers, strict=True):
        single = l0np.calibrate(M, y, k, base, seed=0)
        np.testing.assert_array_equal(answer.weights, single.weights)
        assert answer.method == single.method
    methods = {answer.method for answer in path.answers}  # rounding decides between two that are as good
    assert {"thinned"} < methods <= {"thinned", "balanced", "exchange", "thinned, exchanged"}
    assert [line.split()[0] for line in str(path).splitlines()[1:]] == ["3", "6", "20", "60"]


def test_the_smallest_adequate_is_the_first_that_suffices():
    M, y, base = problem()
    path = l0np.l0_path(M, y, n_active=[3, 5, 6, 20, 60], base_weights=base, seed=0)
    errors = [np.abs(M @ answer.weights / y - 1) for answer in path.answers]
    found = set()
    for max_error, within in [
        (1e-6, None),
        (0.05, None),
        (None, (0.5, 0.1)),
        (None, (0.75, 0.02)),
        (0.3, (0.5, 0.05)),
        (0.0, None),
    ]:
        most, (fraction, limit) = np.inf if max_error is None else max_error, within or (0.0, 0.0)
        enough = [i for i, e in enumerate(errors) if e.max() <= most and (e <= limit).mean() >= fraction]
        answer = path.smallest_adequate(max_error, within)
        assert answer is (path.answers[enough[0]] if enough else None)
        found.add(enough[0] if enough else None)
    assert len(found) > 2


def test_the_smallest_adequate_by_met_targets_and_effective_size():
    M, y, base = problem()
    path = l0np.l0_path(M, y, n_active=[5, 12, 20, 60, 120], base_weights=base, seed=0)
    sizes, missed = path.effective_sample_size, [len(answer.missed) for answer in path.answers]
    assert missed[0]
    assert not missed[1]
    assert path.smallest_adequate(all_met=True) is path.answers[1]
    for least in (sizes[0], sizes[2], sizes[1] + 1e-6, sizes[4]):
        wanted = next(a for a, size in zip(path.answers, sizes, strict=True) if size >= least)
        assert path.smallest_adequate(effective_sample_size=least) is wanted
    assert path.smallest_adequate(all_met=True, effective_sample_size=sizes[0]) is path.answers[1]
    assert path.smallest_adequate(1e-9, effective_sample_size=sizes[2]) is path.answers[2]
    assert path.smallest_adequate(effective_sample_size=sizes[4] + 1) is None


def test_paths_by_multipliers_and_by_gates():
    M, y, base = problem()
    options = {"base_weights": base, "seed": 0, "device": LONG_RUNS}
    path = l0np.l0_path(M, y, lambda_l0=[1e-3, 1e-6], epochs=300, **options)
    assert path.n_active[0] < path.n_active[1]
    np.testing.assert_array_equal(path.lambda_l0, [1e-3, 1e-6])
    gates = l0np.l0_path(M, y, n_active=[10, 50], method="gates", epochs=150, **options)
    np.testing.assert_array_equal(gates.n_active, [10, 50])


def test_a_multiplier_that_closes_all_gates_leaves_one_record():
    M, y, base = problem()
    base[:20] = 0.0
    path = l0np.l0_path(M, y, lambda_l0=[1e3], base_weights=base, epochs=60, seed=0)
    (record,) = path.answers[0].indices
    assert record >= 20


@needs_speed
def test_later_sizes_train_a_third_of_the_epochs(monkeypatch):
    M, y, base = problem()
    trained, train_on = [], l0np.SparseCalibrationWeights.train_on

    def noting(model, matrix, targets, settings, **options):
        before = model.epoch_
        found = train_on(model, matrix, targets, settings, **options)
        trained.append(model.epoch_ - before)
        return found

    monkeypatch.setattr(l0np.SparseCalibrationWeights, "train_on", noting)
    l0np.l0_path(M, y, n_active=[10, 20, 50], base_weights=base, method="gates", epochs=90, seed=0)
    assert trained == [90, 30, 30]


def test_a_path_of_targets_without_weight_is_adequate():
    M, y, base = problem()
    path = l0np.l0_path(M, y, [5], base_weights=base, target_weights=0.0, seed=0)
    assert path.smallest_adequate(max_error=0.0) is path.answers[0]
    assert str(path).splitlines()[1].split()[2:5] == ["-", "-", "-"]


def test_errors_of_a_path_stay_apart():
    M, y, base = problem()
    path = l0np.l0_path(M, y, [1], base_weights=base, target_scales=1e-9, seed=0)
    assert len(str(path).splitlines()[1].split()) == 6
