"""Numbers that leave their range during a fit: which epoch is named, and where the model stands."""

import pickle
import warnings

import numpy as np
import pytest
from bad_inputs import KINDS, M, N, Y, bits, both_kinds, from_epoch, trained
from support import DEVICES, needs_numba

from l0np import SparseCalibrationWeights, SparseL0Linear
from l0np.errors import DivergenceError, L0npError


def diverges(model, *arguments, **settings):
    """Fit, and return the error; no warning may leak out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DivergenceError) as caught:
            model.fit(*arguments, **settings)
    error = caught.value
    assert isinstance(error, L0npError)
    assert isinstance(error, ArithmeticError)
    assert isinstance(error.epoch, int)
    assert isinstance(error.loss, float)
    assert f"epoch {error.epoch} " in str(error)
    assert f"learning rate {error.learning_rate:g}" in str(error)
    assert "dtype='float64'" in str(error)
    return error


@pytest.mark.parametrize("device", DEVICES)
@both_kinds
@pytest.mark.parametrize(("verbose_freq", "kept"), [(5, 10), (4, 8), (100, 0)])
def test_divergence_leaves_the_model_at_its_last_finite_report(kind, device, verbose_freq, kept):
    model, reference = (kind(N, seed=1, device=device, init_keep_prob=0.99) for _ in range(2))
    seen, before = [], bits(model)
    error = diverges(
        model,
        M,
        100.0 * Y,
        lr=from_epoch(11, 1e39),
        epochs=20,
        verbose_freq=verbose_freq,
        callbacks=[lambda progress: seen.append(progress.epoch)],
    )
    assert (error.epoch, error.learning_rate) == (12, 1e39)
    assert model.epoch_ == kept
    assert seen == list(range(verbose_freq, kept + 1, verbose_freq))
    if kept:
        reference.fit(M, 100.0 * Y, lr=0.01, epochs=kept)
    else:
        assert bits(reference) == before
    assert bits(model) == bits(reference)


@pytest.mark.parametrize("device", DEVICES)
@both_kinds
def test_divergence_without_a_report_leaves_the_model_as_before_fit(kind, device):
    model = trained(kind, device)
    before = bits(model)
    error = diverges(model, M, 100.0 * Y, lr=1e39, epochs=5)
    assert error.epoch == 4  # the first of this fit, counted over all fits
    assert bits(model) == before
    assert np.isfinite(model.predict(M)).all()
    assert model.fit(M, Y, epochs=1).epoch_ == 4


def one_column(device, **settings):
    return SparseL0Linear(1, fit_intercept=False, seed=1, device=device, init_keep_prob=1.0, **settings)


CAUSES = {
    "weights overflow": lambda device: diverges(
        trained(SparseCalibrationWeights, device), M, 100.0 * Y, lr=1e30, epochs=5
    ),
    "learning rate beyond float32": lambda device: diverges(
        trained(SparseL0Linear, device), M, Y, lr=1e300, epochs=5
    ),
    "weight, then gradient": lambda device: diverges(
        trained(SparseL0Linear, device), M, 100.0 * Y, lr=1e30, epochs=5
    ),
    "second moment": lambda device: diverges(one_column(device), [[1.0]], [1e19], lr=0.1, epochs=5),
    "second moment, later": lambda device: diverges(
        one_column(device), [[1e17]], [0.0], lr=from_epoch(3, 1e10, 1e-3), epochs=20
    ),
    "gradient": lambda device: diverges(
        trained(SparseCalibrationWeights, device), 1e20 * M, 1e21 * Y, epochs=5
    ),
    "lambda_l0": lambda device: diverges(
        trained(SparseCalibrationWeights, device), M, Y, lambda_l0=1e300, epochs=5
    ),
    "lambda_l2": lambda device: diverges(
        trained(SparseCalibrationWeights, device), M, Y, lambda_l2=1e300, epochs=5
    ),
    "float64": lambda device: diverges(
        trained(SparseCalibrationWeights, device, dtype="float64"),
        M,
        100.0 * Y,
        lr=from_epoch(5, 1e4),
        epochs=9,
    ),
}


@needs_numba
@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_both_backends_name_the_same_epoch(cause):
    expected, found = cause("numpy"), cause("numba")
    assert found.epoch == expected.epoch
    assert found.learning_rate == expected.learning_rate


@pytest.mark.parametrize("device", DEVICES)
def test_the_border_of_the_second_moment_is_a_gradient_of_2_to_the_64(device):
    # d/dw (w - y)^2 = -2 y; its square overflows in float32 from 2^64 = 1.84e19
    model = one_column(device)
    model.fit([[1.0]], [9.2e18], lr=0.1, epochs=1)
    assert np.isfinite(model.state_dict()["weight_second_moment"]).all()
    assert diverges(one_column(device), [[1.0]], [9.3e18], lr=0.1, epochs=1).epoch == 1
    one_column(device, dtype="float64").fit([[1.0]], [9.3e18], lr=0.1, epochs=1)


@pytest.mark.parametrize("device", DEVICES)
def test_a_second_moment_of_the_intercept_overflows(device):
    # The column sums to 0, so that a shift of all targets moves the intercept alone.
    column = np.array([[1.0], [-1.0]] * 4)
    model = SparseL0Linear(1, seed=1, device=device).fit(column, np.zeros(8), epochs=1)
    before = bits(model)
    assert diverges(model, column, np.full(8, 1e20), lr=0.1, epochs=3).epoch == 2
    assert bits(model) == before


@pytest.mark.parametrize("device", DEVICES)
def test_a_closed_column_takes_no_part_whatever_its_entries(device):
    # What the first column would get as a gradient is infinite in float32, but its gate is closed.
    model = SparseCalibrationWeights(2, init_keep_prob=[0.0, 1.0], seed=1, device=device)
    model.fit([[1e30, 1.0]], [1e10], epochs=3)
    assert model.epoch_ == 3
    assert np.isfinite(model.predict([[1e30, 1.0]])).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("keep_prob", [1.0, 0.0], ids=["open gates", "closed gates"])
def test_weights_that_the_jitter_makes_infinite_diverge_in_the_first_epoch(device, keep_prob):
    model = SparseCalibrationWeights(
        N, seed=2, device=device, init_keep_prob=keep_prob, init_weights=1e38, log_weight_jitter_sd=9.0
    )
    before = bits(model)
    error = diverges(model, M, Y, lr=lambda epoch: 0.1 * (epoch + 1), epochs=3)
    assert (error.epoch, error.learning_rate) == (1, 0.1)
    assert bits(model) == before


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("device", DEVICES)
def test_no_warning_where_nothing_diverges(kind, device):
    model = kind(N, seed=1, device=device, beta=0.01, init_keep_prob=[0, 1e-9, 0.01, 0.5, 0.999, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(M, Y, lr=0.5, epochs=20)
        assert np.isfinite(model.predict(M)).all()
        assert np.isfinite(model.get_deterministic_gates()).all()
        assert 0.0 <= model.get_sparsity() <= 1.0
        assert np.isfinite(model.get_l0_penalty())


def test_divergence_error_survives_pickle():
    error = DivergenceError(7, 0.25, float("inf"))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is DivergenceError
        assert (copy.epoch, copy.learning_rate, copy.loss) == (7, 0.25, float("inf"))
        assert str(copy) == str(error)


def test_the_likeliest_cure_of_a_divergence_comes_first():
    y = 1e30 * Y
    error = diverges(SparseCalibrationWeights(N, seed=0), M, y, lr=1e3, epochs=20)
    assert 'Use loss_type="relative", because "mse" squares the errors of targets up to' in str(error)
    assert error.cure[1:] in str(pickle.loads(pickle.dumps(error)))
    error = diverges(SparseCalibrationWeights(N, seed=0), M, Y, lr=1e6, epochs=20, loss_type="relative")
    assert "Use a smaller lr" in str(error)
    error = diverges(SparseL0Linear(N, seed=0), M, 1e30 * Y, lr=1e39, epochs=20)
    assert "Use a smaller lr" in str(error)
    assert "loss_type" not in str(error)
