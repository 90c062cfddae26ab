"""The two models as a user sees them: resuming, threads, noise, callbacks, reports, every kind of matrix."""

import inspect
import io
import itertools
import os
import pickle
import pydoc
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from support import DEVICES, JIT_DISABLED, needs_numba, needs_speed, same_state, small_problem

import l0np
from l0np import ColumnMatrix, SparseCalibrationWeights, SparseL0Linear, schedules

FIT = {"lambda_l0": 1e-2, "lambda_l2": 1e-6, "lr": 0.1, "loss_type": "relative"}
FULL = 100 if JIT_DISABLED else 1000  # epochs of the long runs


def calibration(n=40, **options):
    return SparseCalibrationWeights(n, **{"seed": 11, "beta": 0.5, "log_weight_jitter_sd": 0.05, **options})


def both_models(n, device, **options):
    return [
        (SparseCalibrationWeights(n, seed=3, device=device, log_weight_jitter_sd=0.1, **options), FIT),
        (SparseL0Linear(n, seed=3, device=device, **options), {"lambda_l0": 0.02, "lr": 0.05}),
    ]


@pytest.mark.parametrize("device", DEVICES)
def test_ten_fits_equal_one_bit_for_bit(device):
    M, y = small_problem()
    for (whole, fit), (parts, _) in zip(both_models(40, device), both_models(40, device), strict=True):
        whole.fit(M, y, epochs=FULL, **fit)
        for _ in range(10):
            parts.fit(M, y, epochs=FULL // 10, **fit)
        assert same_state(whole.state_dict(), parts.state_dict())
        assert whole.epoch_ == FULL


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_resumes_in_another_model_through_a_file(device, tmp_path):
    M, y = small_problem()
    for (whole, fit), (first, _), (second, _) in zip(*(both_models(40, device) for _ in range(3)), strict=True):
        whole.fit(M, y, epochs=60, **fit)
        np.savez(tmp_path / "run.npz", **first.fit(M, y, epochs=25, **fit).state_dict())
        with np.load(tmp_path / "run.npz", allow_pickle=False) as stored:
            second.load_state_dict(stored)
        second.fit(M, y, epochs=35, **fit)
        assert same_state(whole.state_dict(), second.state_dict())


@needs_numba
def test_a_run_goes_on_on_another_backend():
    M, y = small_problem()
    numba, numpy = calibration(device="numba").fit(M, y, epochs=20, **FIT), calibration(device="numpy")
    numpy.load_state_dict(numba.state_dict())
    numba.fit(M, y, epochs=10, **FIT)
    numpy.fit(M, y, epochs=10, **FIT)
    np.testing.assert_allclose(numba.log_weight, numpy.log_weight, atol=1e-4)
    assert (numba.backend_, numpy.backend_) == ("numba", "numpy")


def test_reset_starts_over():
    M, y = small_problem()
    model = calibration()
    start = model.state_dict()
    once = model.fit(M, y, epochs=30, **FIT).state_dict()
    model.reset()
    assert same_state(model.state_dict(), start)
    assert same_state(model.fit(M, y, epochs=30, **FIT).state_dict(), once)


THREADS = """
import sys, numpy as np, numba
from scipy import sparse
from l0np import SparseCalibrationWeights
numba.set_num_threads(int(sys.argv[1]))
rng = np.random.default_rng(0)
M = sparse.random_array((30, 3001), density=0.4, format="csc", rng=rng)
y = M @ rng.lognormal(size=3001)
for dtype in ("float32", "float64"):
    model = SparseCalibrationWeights(3001, seed=1, device="numba", dtype=dtype, log_weight_jitter_sd=0.1)
    model.fit(M, y, lambda_l0=1e-3, lambda_l2=1e-9, lr=0.1, epochs=1000, loss_type="relative")
    print(model.log_weight.tobytes().hex(), model.log_alpha.tobytes().hex(), model.predict(M).tobytes().hex())
"""


@needs_numba
@needs_speed
def test_results_do_not_depend_on_the_number_of_threads():
    runs = [
        subprocess.run(
            [sys.executable, "-c", THREADS, str(n)],
            env=os.environ | {"NUMBA_NUM_THREADS": "3"}, capture_output=True, text=True, check=True,
        ).stdout
        for n in (1, 2, 3)
    ]  # fmt: skip
    assert len(runs[0]) > 1000
    assert runs[0] == runs[1] == runs[2]


FORK = """
import os, numpy as np
from l0np import SparseCalibrationWeights
M = np.random.default_rng(0).random((20, 2000))
y = M.sum(axis=1)
fit = lambda: SparseCalibrationWeights(2000, seed=1, device="numba").fit(M, y, lr=0.1, epochs=5, loss_type="relative")
ours = fit().log_weight.tobytes()
child = os.fork()
if child == 0:
    os._exit(0 if fit().log_weight.tobytes() == ours else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@needs_numba
@needs_speed
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_trains_too():
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "0"


@needs_numba
def test_threads_may_train_at_once():
    from concurrent.futures import ThreadPoolExecutor

    M, y = small_problem(20, 2000)

    def run(seed):
        return calibration(2000, seed=seed).fit(M, y, epochs=20, **FIT).log_weight.tobytes()

    alone = [run(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == alone


@pytest.mark.parametrize("device", DEVICES)
def test_a_second_matrix_of_equal_shape_and_non_zeros_is_not_mistaken_for_the_first(device):
    M, y = small_problem()
    other = M.copy()
    other.data = other.data[::-1].copy()
    for model, fit in both_models(40, device):
        model.fit(M, y, epochs=5, **fit)
        weights = model.get_weights(True) if isinstance(model, SparseCalibrationWeights) else model.get_coefficients(0.0)
        bias = getattr(model, "bias", 0.0)
        for matrix in (M, other, M):
            np.testing.assert_allclose(model.predict(matrix), matrix @ weights.astype(float) + bias, rtol=1e-6)
        state = model.state_dict()
        model.fit(other, y, epochs=5, **fit)
        after_other = model.state_dict()
        model.load_state_dict(state)
        model.fit(M, y, epochs=5, **fit)
        assert not same_state(after_other, model.state_dict())
        M.data[:] = M.data[::-1].copy()  # changed in place: still not mistaken
        model.load_state_dict(state)
        model.fit(M, y, epochs=5, **fit)
        assert same_state(after_other, model.state_dict())
        M.data[:] = M.data[::-1].copy()


FORMATS = ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"]


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_scipy_format_gives_the_same_run(name, kind):
    M, y = small_problem(5, 20)
    given = getattr(sparse, f"{name}_{kind}")(M)
    for (one, fit), (two, _) in zip(both_models(20, "cpu"), both_models(20, "cpu"), strict=True):
        assert same_state(one.fit(M, y, epochs=5, **fit).state_dict(), two.fit(given, y, epochs=5, **fit).state_dict())
        assert np.array_equal(one.predict(M), two.predict(given))


def test_dense_arrays_lists_and_column_matrices_give_the_same_run():
    M, y = small_problem(5, 20)
    runs = [
        calibration(20).fit(given, y, epochs=5, **FIT)
        for given in (M, M.toarray(), M.toarray().tolist(), np.asfortranarray(M.toarray()), ColumnMatrix.build(M))
    ]
    assert all(same_state(run.state_dict(), runs[0].state_dict()) for run in runs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("device", DEVICES)
def test_dtype_is_that_of_the_parameters(device, dtype):
    M, y = small_problem()
    for model, fit in both_models(40, device, dtype=dtype):
        model.fit(M, y, epochs=3, **fit)
        assert model.log_alpha.dtype == model.get_deterministic_gates().dtype == np.dtype(dtype)
        assert model.predict(M).dtype == np.float64


@needs_speed
@pytest.mark.parametrize("device", DEVICES)
def test_calibration_selects_records_that_meet_the_targets(device):
    M, y = small_problem(10, 400, density=0.7)
    model = SparseCalibrationWeights(400, beta=0.35, seed=0, device=device)
    model.fit(M, y, lambda_l0=1e-3, lr=0.05, epochs=3000, loss_type="relative")
    active = model.get_active_weights()
    weights = model.get_weights(deterministic=True)
    assert 0 < active["count"] < 100
    assert np.abs(model.predict(M) / y - 1).max() < 0.1
    assert (weights >= 0).all()
    assert active["count"] == np.count_nonzero(weights) == len(active["indices"])
    assert np.array_equal(weights[active["indices"]], active["values"])
    assert model.get_sparsity() == pytest.approx(1 - active["count"] / 400)


@needs_speed
@pytest.mark.parametrize("device", DEVICES)
def test_regression_finds_the_support(device):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 12))
    truth = np.zeros(12)
    truth[[2, 5, 7]] = 2.0, -1.5, 1.0
    y = 5 + X @ truth + 0.1 * rng.normal(size=300)
    model = SparseL0Linear(12, seed=0, device=device).fit(X, y, lambda_l0=0.05, lr=0.02, epochs=2000)
    assert model.get_selected_features().tolist() == [2, 5, 7]
    np.testing.assert_allclose(model.get_coefficients(), truth, atol=0.05)
    assert model.bias == pytest.approx(5, abs=0.05)
    assert model.get_sparsity() == pytest.approx(9 / 12)
    np.testing.assert_allclose(model.predict(X), X @ model.get_coefficients() + model.bias, rtol=1e-5)


def test_scaling_targets_and_weights_together_scales_the_answer():
    M, y = small_problem()
    one = calibration(dtype="float64", init_weights=1.0).fit(M, y, epochs=50, lambda_l0=0.1, lr=0.05)
    two = calibration(dtype="float64", init_weights=8.0).fit(M / 8, y, epochs=50, lambda_l0=0.1, lr=0.05)
    np.testing.assert_allclose(two.get_weights(True), 8 * one.get_weights(True), rtol=1e-5)


def test_without_gates_log_alpha_stays_and_sparsity_counts_weights():
    M, y = small_problem()
    for lambda_l0 in (None, 5.0):
        model = calibration(use_gates=False)
        before = model.log_alpha.copy()
        model.fit(M, y, epochs=20, lambda_l0=lambda_l0, lr=0.1)
        assert np.array_equal(model.log_alpha, before)
        assert (model.get_sparsity(), model.get_l0_penalty()) == (0, 0)
        assert (model.get_deterministic_gates() == 1).all()
        assert np.array_equal(model.get_weights(), model.get_weights(deterministic=True))


def test_sampled_weights_are_those_of_the_next_epoch():
    model = calibration(400)
    first = model.get_weights()
    assert np.array_equal(first, model.get_weights())
    assert 0 < (first == 0).mean() < 0.6
    M, y = small_problem(6, 400)
    model.fit(M, y, epochs=1, **FIT)
    assert not np.array_equal((first == 0), (model.get_weights() == 0))


def test_keep_probabilities_and_weights_of_any_kind():
    number = SparseCalibrationWeights(3, init_keep_prob=np.float32(0.25), init_weights=np.int64(2), log_alpha_jitter_sd=0)
    array = SparseCalibrationWeights(3, init_keep_prob=np.full(3, 0.25), init_weights=[2, 2, 2], log_alpha_jitter_sd=0)
    np.testing.assert_allclose(number.log_alpha, np.log(1 / 3), rtol=1e-6)
    assert np.array_equal(number.log_alpha, array.log_alpha)
    assert np.array_equal(number.log_weight, array.log_weight)
    ends = SparseCalibrationWeights(2, init_keep_prob=[0, 1], init_weights=[0, 3])
    assert np.isfinite(ends.log_alpha).all()
    np.testing.assert_allclose(np.exp(ends.log_weight), [1e-8, 3], rtol=1e-6)
    for extreme in (0, 1.0):
        assert np.isfinite(SparseL0Linear(2, init_keep_prob=extreme).log_alpha).all()


def test_a_seed_fixes_everything_and_none_draws_one():
    M, y = small_problem()
    drawn = SparseCalibrationWeights(40, log_weight_jitter_sd=0.1)
    assert drawn.seed is None
    assert drawn.seed_ != SparseCalibrationWeights(40).seed_
    again = SparseCalibrationWeights(40, log_weight_jitter_sd=0.1, seed=drawn.seed_)
    assert same_state(drawn.fit(M, y, epochs=10, **FIT).state_dict(), again.fit(M, y, epochs=10, **FIT).state_dict())
    largest = SparseCalibrationWeights(40, seed=2**64 - 1)
    assert largest.fit(M, y, epochs=2, **FIT).seed_ == 2**64 - 1


@pytest.mark.parametrize("device", DEVICES)
def test_schedules_are_followed_across_fits(device):
    M, y = small_problem()
    schedule = {"lr": schedules.Cosine(0.2, 0.01, epochs=30), "lambda_l0": 1e-2, "loss_type": "relative"}
    whole = calibration(device=device, beta=schedules.Linear(0.8, 0.2, epochs=30)).fit(M, y, epochs=30, **schedule)
    parts = calibration(device=device, beta=schedules.Linear(0.8, 0.2, epochs=30))
    for _ in range(3):
        parts.fit(M, y, epochs=10, **schedule)
    assert same_state(whole.state_dict(), parts.state_dict())
    constant = calibration(device=device, beta=0.8).fit(M, y, epochs=30, **schedule)
    assert not np.array_equal(whole.log_alpha, constant.log_alpha)


def test_a_schedule_that_says_the_same_changes_nothing():
    M, y = small_problem()
    number = calibration(beta=0.4).fit(M, y, epochs=15, lr=0.1, lambda_l0=0.01)
    called = calibration(beta=lambda epoch: 0.4).fit(M, y, epochs=15, lr=lambda epoch: 0.1, lambda_l0=0.01)
    assert same_state(number.state_dict(), called.state_dict())


def test_default_lambda_and_its_old_spelling():
    M, y = small_problem()
    runs = [
        SparseL0Linear(40, seed=1).fit(M, y, epochs=5, **given) for given in ({}, {"lambda_l0": 0.01}, {"lambda_reg": 0.01})
    ]
    assert all(same_state(run.state_dict(), runs[0].state_dict()) for run in runs)
    default, named = calibration().fit(M, y, epochs=5), calibration().fit(M, y, 0.01, epochs=5)
    assert same_state(default.state_dict(), named.state_dict())


@pytest.mark.parametrize("device", DEVICES)
def test_no_epochs_do_nothing(device):
    M, y = small_problem()
    for model, fit in both_models(40, device):
        before = model.state_dict()
        assert model.fit(M, y, epochs=0, **fit) is model
        assert same_state(before, model.state_dict())


def test_test_time_gates_without_temperature():
    with_, without = (
        calibration(beta=0.3, log_alpha_jitter_sd=1),
        calibration(beta=0.3, log_alpha_jitter_sd=1, test_time_temperature=False),
    )
    sharp, soft = with_.get_deterministic_gates(), without.get_deterministic_gates()
    np.testing.assert_allclose(soft, np.clip(1.2 / (1 + np.exp(-with_.log_alpha)) - 0.1, 0, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sharp, np.clip(1.2 / (1 + np.exp(-with_.log_alpha / 0.3)) - 0.1, 0, 1), rtol=1e-5, atol=1e-6)
    assert (np.abs(sharp - 0.5) >= np.abs(soft - 0.5) - 1e-6).all()
    M, y = small_problem()
    assert same_state(with_.fit(M, y, epochs=5, **FIT).state_dict(), without.fit(M, y, epochs=5, **FIT).state_dict())
    linear = SparseL0Linear(9, test_time_temperature=False, init_keep_prob=0.7, beta=0.3, seed=0)
    np.testing.assert_allclose(linear.get_deterministic_gates(), 0.7 * 1.2 - 0.1, atol=0.02)


def test_threshold_of_coefficients():
    model = SparseL0Linear(3, seed=0)
    state = model.state_dict()
    state["weight"], state["log_alpha"] = np.array([1.0, 2.0, 3.0]), np.array([-9.0, 0.0, 9.0])
    model.load_state_dict(state)
    assert model.get_deterministic_gates().round(2).tolist() == [0.0, 0.5, 1.0]
    assert model.get_coefficients().round(2).tolist() == [0.0, 1.0, 3.0]
    assert model.get_coefficients(threshold=0.6).tolist() == [0.0, 0.0, 3.0]
    assert model.get_selected_features().tolist() == model.get_selected_features(0.0).tolist() == [1, 2]
    assert model.get_selected_features(0.6).tolist() == [2]


def test_models_survive_pickle():
    M, y = small_problem()
    model = calibration().fit(M, y, epochs=5, **FIT)
    twin = pickle.loads(pickle.dumps(model))
    assert same_state(model.fit(M, y, epochs=5, **FIT).state_dict(), twin.fit(M, y, epochs=5, **FIT).state_dict())


# --- callbacks and reports


def test_callbacks_see_the_progress_and_can_stop():
    M, y = small_problem()
    seen, model = [], calibration()

    def look(progress):
        seen.append(progress)
        assert model.epoch_ == progress.epoch
        np.testing.assert_allclose(progress.weights, model.get_weights(True))
        np.testing.assert_allclose(progress.estimates, model.predict(M), rtol=1e-6)
        np.testing.assert_allclose(progress.relative_errors, np.abs(y - model.predict(M)) / (y + 1), rtol=1e-3, atol=1e-6)
        assert progress.active_count == model.get_active_weights()["count"]
        penalties = 1e-2 * model.get_l0_penalty() + 1e-6 * model.get_l2_penalty()
        assert progress.loss == pytest.approx(progress.data_loss + penalties)
        residual = (y - M @ model.get_weights()) / (y + 1)
        assert progress.data_loss == pytest.approx((residual**2).sum(), rel=1e-4)
        return progress.epoch >= 20

    model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[look, lambda progress: None], **FIT)
    assert [progress.epoch for progress in seen] == [10, 20]
    assert model.epoch_ == 20
    assert same_state(model.state_dict(), calibration().fit(M, y, epochs=20, **FIT).state_dict())


def test_a_callback_that_raises_leaves_the_model_at_its_report():
    M, y = small_problem()

    def fail(progress):
        if progress.epoch == 20:
            raise KeyboardInterrupt

    model = calibration()
    with pytest.raises(KeyboardInterrupt):
        model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[fail], **FIT)
    assert same_state(model.state_dict(), calibration().fit(M, y, epochs=20, **FIT).state_dict())


def test_a_callback_that_stops_may_restore_the_best_state():
    M, y = small_problem()
    model, best = calibration(), {}

    def stop(progress):
        if progress.epoch == 10:
            best.update(model.state_dict())
        if progress.epoch == 30:
            model.load_state_dict(best)
            return True
        return "go on"  # only True stops

    model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[stop], **FIT)
    assert model.epoch_ == 10
    assert same_state(model.state_dict(), best)


def test_a_callback_must_not_change_the_state_and_go_on():
    M, y = small_problem()
    model = calibration()
    with pytest.raises(l0np.errors.L0npError, match="state was changed during fit"):
        model.fit(M, y, epochs=100, verbose_freq=10, callbacks=[lambda progress: model.reset()], **FIT)
    assert model.epoch_ == 0


def test_loaded_weights_are_a_warm_start():
    M, y = small_problem()
    model = SparseL0Linear(40, seed=1)
    model.load_state_dict(model.state_dict() | {"weight": np.arange(40.0), "bias": np.array([5.0])})
    model.fit(M, y, epochs=1, lr=1e-6)
    np.testing.assert_allclose(model.weight, np.arange(40.0), atol=1e-4)
    assert model.bias == pytest.approx(5, abs=1e-4)


DAMAGED = """
import sys, warnings, pathlib, numpy as np
from l0np import SparseL0Linear
run = lambda: SparseL0Linear(3, seed=1, device="numba").fit(np.eye(3), [1.0, 2.0, 3.0], epochs=3).weight.tobytes().hex()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(run())
print(sum("compiles without Numba's cache" in str(w.message) for w in caught))
"""


@needs_numba
@needs_speed
def test_a_damaged_kernel_cache_costs_a_compilation_and_no_more(tmp_path):
    def run():
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", DAMAGED], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()

    fresh, warned = run()
    assert warned == "0"
    indexes = list(tmp_path.rglob("*.nbi"))
    assert indexes
    for path in indexes:
        path.write_bytes(b"")
    result, warned = run()
    assert result == fresh
    assert int(warned) > 0


def printed(model, *arguments, **options):
    output, stdout = io.StringIO(), sys.stdout
    sys.stdout = output
    try:
        model.fit(*arguments, verbose=True, **options)
    finally:
        sys.stdout = stdout
    return output.getvalue().splitlines()


def test_verbose_prints_what_the_original_prints():
    M, y = small_problem()
    model = calibration()
    lines = printed(model, M, y, epochs=25, verbose_freq=10, **FIT)
    assert lines[0] == "Groups: none (uniform weights)"
    assert len(lines) == 1 + 2 * 2  # reports at 10 and 20
    assert lines[1].startswith("Epoch   10: mean_error=")
    model.reset()
    model.fit(M, y, epochs=20, **FIT)
    errors, weights = np.abs(y - model.predict(M)) / (y + 1), model.get_weights(True)
    loss = (
        ((y - M @ model.get_weights()) ** 2 / (y + 1) ** 2).sum()
        + 1e-2 * model.get_l0_penalty()
        + 1e-6 * model.get_l2_penalty()
    )
    count = model.get_active_weights()["count"]
    assert lines[3] == (
        f"Epoch   20: mean_error={errors.mean():.4%}, max_error={errors.max():.1%}, total_loss={loss:.3f}, "
        f"active={count:4d}/40 ({100 - 100 * count / 40:.1f}% sparse)"
    )
    active = weights[weights > 0]
    limits = [0, 0.01, 0.1, 1, 10, 1000, np.inf]
    shares = [((active >= a) & (active < b)).mean() for a, b in itertools.pairwise(limits)]
    names = ["<0.01", "0.01-0.1", "0.1-1", "1-10", "10-1000", ">1000"]
    assert lines[4].strip() == f"Weight dist: [{', '.join(f'{n}: {s:.1%}' for n, s in zip(names, shares, strict=True))}]"


def test_verbose_with_groups_and_multipliers():
    M, y = small_problem()
    groups = [0, 0, 1, 1, 1, 2]
    model = calibration()
    lines = printed(model, M, y, epochs=10, verbose_freq=10, target_groups=groups, group_multipliers={2: 3.0}, **FIT)
    assert lines[0] == "Groups: 3 groups, normalize=on, multipliers={2: 3.0}"
    errors = np.abs(y - model.predict(M)) / (y + 1)
    mean = np.mean([errors[:2].mean(), errors[2:5].mean(), errors[5]])
    assert lines[1].startswith(f"Epoch   10: mean_group_mare={mean:.4%}, max_error={errors.max():.1%}")
    off = printed(calibration(), M, y, epochs=1, target_groups=groups, normalize_groups=False, **FIT)
    assert off == ["Groups: 3 groups, normalize=off"]


def test_verbose_with_nothing_active_and_in_regression():
    M, y = small_problem()
    lines = printed(calibration(init_keep_prob=0.001), M, y, epochs=1, verbose_freq=1, **FIT)
    assert "active=   0/40 (100.0% sparse)" in lines[1]
    assert lines[2].strip() == "Weight dist: [no active weights]"
    model = SparseL0Linear(40, seed=0)
    (line,) = printed(model, M, y, epochs=5, verbose_freq=5)
    active = np.count_nonzero(model.get_coefficients(0.0))
    assert line.startswith("Epoch    5: loss=")
    assert line.endswith(f"l0={model.get_l0_penalty():.2f}, active={active}")


def test_text_labels_and_series_are_groups_too():
    M, y = small_problem()
    numbers = calibration().fit(M, y, epochs=5, target_groups=[0, 0, 1, 1, 2, 2], group_multipliers={1: 2}, **FIT)
    texts = calibration().fit(M, list(y), epochs=5, target_groups=list("aabbcc"), group_multipliers={"b": 2}, **FIT)
    assert same_state(numbers.state_dict(), texts.state_dict())


@pytest.mark.parametrize("device", DEVICES)
def test_statistics_of_the_last_fit(device):
    M, y = small_problem()
    model = calibration(device=device, init_keep_prob=0.02)
    assert model.statistics_ is None
    model.fit(M, y, epochs=10, **FIT)
    told = model.statistics_
    assert 300 < told.closed < 11 * 40
    assert told.gathered <= 10 * M.nnz
    assert device != "numba" or told.scattered < 0.5 * 11 * M.nnz
    kept = calibration(device=device, use_gates=False).fit(M, y, epochs=10).statistics_
    assert (kept.gathered, kept.scattered, kept.closed) == (10 * M.nnz, 11 * M.nnz, 0)


@pytest.mark.parametrize("name", l0np.__all__)
def test_help_reads_well(name):
    """Annotations as they are written, not what they stand for."""
    thing = getattr(l0np, name)
    text = pydoc.plain(pydoc.render_doc(thing))
    own = text.partition("Method resolution order" if inspect.isclass(thing) else "\nDATA\n")[0]
    for clutter in ("numpy._typing", "numpy.ndarray[", "*<class", "Union[", "collections.abc"):
        assert clutter not in own
    if not inspect.ismodule(thing):
        assert "Examples\n" in text or name in WITHOUT_EXAMPLE


WITHOUT_EXAMPLE = {"Calibration", "CalibrationPath", "Diagnostics", "RegressionPath", "TargetChecks", "TargetTable"}  # answers


def test_public_names():
    assert l0np.__all__ == [
        "Aggregate", "Calibration", "CalibrationPath", "ColumnMatrix", "Diagnostics", "RegressionPath",
        "SparseCalibrationWeights", "SparseL0Linear", "TargetChecks", "TargetOptions", "TargetTable", "calibrate", "callbacks",
        "check_targets", "diagnose", "errors", "l0_path", "l0_regression_path", "schedules", "target_table",
    ]  # fmt: skip
    shared = "fit predict get_sparsity get_deterministic_gates get_l0_penalty log_alpha seed_ backend_"
    shared += " state_dict load_state_dict reset"
    own = {
        SparseCalibrationWeights: "get_weights get_active_weights get_l2_penalty log_weight refit",
        SparseL0Linear: "get_coefficients get_selected_features weight bias refit",
    }
    for kind, names in own.items():
        assert all(hasattr(kind(3), name) for name in f"{shared} {names}".split())
