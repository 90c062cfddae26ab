"""Models of columns that ranks share: the same bits for any number of ranks, and what ranks must agree on."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from thread_ranks import on_ranks

from l0np import SparseCalibrationWeights, SparseL0Linear, callbacks
from l0np.errors import DivergenceError, InputError, InputTypeError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # these fits are short

RNG = np.random.default_rng(0)
Q, N = 30, 400
M = sparse.random_array((Q, N), density=0.3, rng=RNG, format="csc")
Y = M @ RNG.lognormal(2, 1, N)
CUTS = ([0, N], [0, 128, N], [0, 64, 320, N], [0, 64, 128, 256, N], [0, 131, N])
PLAIN = {"lr": 0.1, "epochs": 60, "loss_type": "relative", "lambda_l0": 1e-3}
EXACTLY_K = {"lr": 0.1, "epochs": 100, "loss_type": "relative", "n_active": 40}


def part_of(ranks, cuts):
    return slice(cuts[ranks.rank], cuts[ranks.rank + 1])


def calibrated(ranks, cuts, fit=PLAIN, device="cpu", dtype="float32", **arguments):
    part = part_of(ranks, cuts)
    arguments = {"seed": 3, "init_weights": 8.0, "log_weight_jitter_sd": 0.05, "beta": 0.35} | arguments
    model = SparseCalibrationWeights(part.stop - part.start, device=device, dtype=dtype, **arguments)
    return model.fit(M[:, part], Y, communicator=ranks, **fit)


def joined(states):
    """Return one state_dict of those of all ranks."""
    return {
        name: np.concatenate([state[name] for state in states])
        if np.shape(value) and name != "governor" and not name.startswith("bias")
        else value
        for name, value in states[0].items()
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize(("device", "dtype"), [("numpy", "float64"), ("cpu", "float32"), ("cpu", "float64")])
@pytest.mark.parametrize("fit", [PLAIN, EXACTLY_K, PLAIN | {"lambda_l2": 1e-4, "l2_anchor": "initial"}])
def test_any_number_of_ranks_trains_the_same_bits(device, dtype, fit):
    states = [
        joined(
            [
                model.state_dict()
                for model in on_ranks(len(cuts) - 1, lambda r, c=cuts: calibrated(r, c, fit, device, dtype))
            ]
        )
        for cuts in CUTS
    ]
    for state in states[1:]:
        assert_same(state, states[0])
    if "n_active" in fit:
        assert states[0]["selection"].sum() == 40


def test_regression_trains_the_same_bits_too():
    X = RNG.normal(size=(60, 40))
    y = X[:, :3] @ [2.0, -3.0, 4.0] + 1.0

    def fitted(ranks, cuts):
        part = part_of(ranks, cuts)
        model = SparseL0Linear(part.stop - part.start, seed=1)
        model.fit(X[:, part], y, lambda_l0=0.01, lr=0.05, epochs=150, communicator=ranks)
        return model.state_dict(), model.predict(X[:, part], communicator=ranks)

    one, *others = (
        on_ranks(len(c) - 1, lambda r, c=c: fitted(r, c)) for c in ([0, 40], [0, 11, 40], [0, 1, 2, 40])
    )
    for other in others:
        assert_same(joined([state for state, _ in other]), joined([state for state, _ in one]))
        for _, prediction in other:
            np.testing.assert_array_equal(prediction, one[0][1])


def test_the_draws_and_the_start_are_those_of_a_model_of_all_columns():
    """So that what is trained differs from a fit without ranks only by the rounding of sums."""
    cuts, few = CUTS[2], PLAIN | {"epochs": 2}
    alone = SparseCalibrationWeights(
        N, seed=3, init_weights=8.0, log_weight_jitter_sd=0.05, beta=0.35, dtype="float64"
    )
    alone.fit(M, Y, **few)
    models = on_ranks(3, lambda ranks: calibrated(ranks, cuts, few, dtype="float64"))
    for name in ("log_alpha", "log_weight"):
        np.testing.assert_allclose(
            np.concatenate([getattr(m, name) for m in models]), getattr(alone, name), atol=1e-9
        )
    np.testing.assert_allclose(
        np.concatenate([m.get_weights() for m in models]), alone.get_weights(), rtol=1e-7
    )
    whole = SparseCalibrationWeights(N, seed=3, dtype="float64").log_alpha
    for model, (first, stop) in zip(models, itertools.pairwise(cuts), strict=True):
        model.reset()
        np.testing.assert_array_equal(model.log_alpha, whole[first:stop])


def test_chunks_and_a_state_that_is_loaded_go_on_as_one_fit():
    def in_chunks(ranks):
        model = calibrated(ranks, CUTS[1], PLAIN | {"epochs": 23})
        other = SparseCalibrationWeights(model.n_features, seed=9, beta=0.35)
        other.load_state_dict(model.state_dict())
        return other.fit(
            M[:, part_of(ranks, CUTS[1])], Y, communicator=ranks, **PLAIN | {"epochs": 37}
        ).state_dict()

    at_once = on_ranks(2, lambda ranks: calibrated(ranks, CUTS[1]).state_dict())
    assert_same(joined(on_ranks(2, in_chunks)), joined(at_once))


def test_reports_are_of_all_columns_and_any_rank_may_stop():
    def watched(ranks):
        seen = []

        def look(progress):
            seen.append(
                (
                    progress.loss,
                    progress.l0_penalty,
                    progress.active_count,
                    progress.n_columns,
                    *progress.estimates,
                )
            )
            return ranks.rank == 1 and progress.epoch == 40

        fit = PLAIN | {"epochs": 60, "verbose_freq": 20, "callbacks": [look]}
        return seen, calibrated(ranks, [0, 128, N], fit).epoch_

    (first, epoch), (second, other_epoch) = on_ranks(2, watched)
    assert epoch == other_epoch == 40
    assert len(first) == 2
    assert first == second
    alone = on_ranks(1, lambda ranks: calibrated(ranks, [0, N], PLAIN | {"epochs": 40}))[0]
    assert first[-1][3] == N
    assert first[-1][2] == alone.get_active_weights()["count"]
    np.testing.assert_allclose(first[-1][4:], alone.predict(M), rtol=1e-6)


def test_only_the_first_rank_prints_and_writes(tmp_path, capsys):
    def logged(ranks):
        log = callbacks.csv_log(tmp_path / f"{ranks.rank}.csv")
        return calibrated(ranks, [0, 128, N], PLAIN | {"epochs": 4, "callbacks": [log], "verbose": True})

    on_ranks(2, logged)
    assert (tmp_path / "0.csv").read_text().count("\n") > Q
    assert (tmp_path / "1.csv").read_text().count("\n") <= 1  # the header, from when the callback was made
    assert capsys.readouterr().out.count("Epoch") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": [1, 2]}, "seed .give one to every rank. of rank 1 differs from that of rank 0"),
        ({"dtype": ["float32", "float64"]}, "dtype of rank 1 differs"),
        ({"beta": [0.3, 0.4]}, "beta of rank 1 differs"),
        ({"lr": [0.1, 0.2]}, "lr of rank 1 differs"),
        ({"verbose_freq": [10, 20]}, "verbose_freq of rank 1 differs"),
        ({"n_active": [10, None]}, "lambda_l0 of rank 1 differs|n_active of rank 1 differs"),
        ({"y": [Y, Y + 1]}, "y of rank 1 differs"),
        ({"caps": [None, 1.0]}, "a target option of rank 1 differs"),
        ({"rows": [Q, Q - 1]}, "the number of rows of rank 1 differs"),
    ],
)
def test_what_differs_between_ranks_is_named_on_all_of_them(arguments, message):
    def refused(ranks):
        own = {name: values[ranks.rank] for name, values in arguments.items()}
        model = SparseCalibrationWeights(
            5, seed=own.get("seed", 0), dtype=own.get("dtype", "float32"), beta=own.get("beta", 0.5)
        )
        rows = own.pop("rows", Q)
        fit = {k: v for k, v in own.items() if k not in ("seed", "dtype", "beta", "y") and v is not None}
        with pytest.raises(InputError, match=message):
            model.fit(M[:rows, :5], own.get("y", Y)[:rows], epochs=3, communicator=ranks, **fit)
        assert model.epoch_ == 0

    on_ranks(2, refused)


def test_a_divergence_of_one_rank_is_that_of_all():
    def diverges(ranks):
        model = SparseCalibrationWeights(5, seed=0, init_weights=1e30 if ranks.rank else 1.0)
        with pytest.raises(DivergenceError) as caught:
            model.fit(M[:, :5], Y, lr=50.0, epochs=30, verbose_freq=10, communicator=ranks)
        return model.epoch_, caught.value.epoch

    (epochs, diverged), other = on_ranks(2, diverges)
    assert (epochs, diverged) == other
    assert epochs == 0
    assert diverged < 10


def test_k_of_all_columns_may_lie_on_one_rank_and_must_be_there():
    def selected(ranks):
        part = slice(0, 3) if ranks.rank == 0 else slice(3, N)
        model = SparseCalibrationWeights(part.stop - part.start, seed=0, init_weights=8.0)
        model.fit(M[:, part], Y, n_active=200, lr=0.1, epochs=30, loss_type="relative", communicator=ranks)
        with pytest.raises(InputError, match=f"n_active must be at most {N}"):
            model.fit(M[:, part], Y, n_active=N + 1, communicator=ranks)
        return model.get_active_weights()["count"]

    assert sum(on_ranks(2, selected)) == 200


def test_a_communicator_is_one():
    with pytest.raises(InputTypeError, match="communicator must be l0np"):
        SparseCalibrationWeights(N, seed=0).fit(M, Y, communicator=2)
