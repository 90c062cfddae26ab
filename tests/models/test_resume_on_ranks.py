"""Checkpoints of fits on ranks: parts and a manifest, from which any number of ranks goes on."""

import numpy as np
import pytest
from scipy import sparse
from thread_ranks import on_ranks

import l0np
from l0np import SparseCalibrationWeights, callbacks
from l0np.errors import CheckpointError, InputError

pytestmark = pytest.mark.filterwarnings("ignore::l0np.errors.PoorFitWarning")  # these fits are short

RNG = np.random.default_rng(0)
Q, N = 20, 300
M = sparse.random_array((Q, N), density=0.3, rng=RNG, format="csc")
Y = M @ RNG.lognormal(2, 1, N)
INIT = RNG.uniform(5, 9, N)
FIT = {"lr": 0.1, "loss_type": "relative", "n_active": 40, "verbose_freq": 10}
CUTS = {1: [0, N], 2: [0, 128, N], 3: [0, 90, 200, N]}


class CrashError(Exception):
    pass


def part_of(ranks):
    return slice(*CUTS[ranks.size][ranks.rank : ranks.rank + 2])


def crashed(ranks, folder, at=45):
    part = part_of(ranks)

    def crash(progress):
        if progress.epoch >= at:
            raise CrashError

    saved = callbacks.checkpoint(folder, every=20)
    model = SparseCalibrationWeights(part.stop - part.start, seed=3, init_weights=INIT[part])
    with pytest.raises(CrashError):
        model.fit(M[:, part], Y, epochs=80, callbacks=[crash, saved], communicator=ranks, **FIT)


def resumed(ranks, folder, **changes):
    part = part_of(ranks)
    options = {"callbacks": [callbacks.checkpoint(folder, every=20)], "communicator": ranks} | changes
    return SparseCalibrationWeights.resume(folder, M[:, part], Y, **options).state_dict()


def joined(states):
    return {
        name: np.concatenate([state[name] for state in states])
        if np.ndim(value) and name != "governor"
        else value
        for name, value in states[0].items()
    }


@pytest.fixture(scope="module")
def at_once():
    def fitted(ranks):
        model = SparseCalibrationWeights(N, seed=3, init_weights=INIT)
        return model.fit(M, Y, epochs=80, communicator=ranks, **FIT).state_dict()

    return on_ranks(1, fitted)[0]


@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 3), (3, 2), (3, 1), (1, 2)])
def test_a_fit_goes_on_on_another_number_of_ranks_bit_for_bit(tmp_path, at_once, before, after):
    on_ranks(before, lambda ranks: crashed(ranks, tmp_path))
    state = joined(on_ranks(after, lambda ranks: resumed(ranks, tmp_path)))
    assert state.keys() == at_once.keys()
    for name in state:
        np.testing.assert_array_equal(state[name], at_once[name], err_msg=name)
    # of what has ended nothing is trained
    again = joined(on_ranks(2, lambda ranks: resumed(ranks, tmp_path)))
    np.testing.assert_array_equal(again["log_weight"], at_once["log_weight"])


def test_a_part_without_a_manifest_does_not_count(tmp_path, at_once):
    """As if one rank had written its next part when the others crashed."""
    on_ranks(2, lambda ranks: crashed(ranks, tmp_path))
    newest = sorted((tmp_path / "part-1-of-2").iterdir())[-1]
    newest.rename(newest.with_name("checkpoint-000007"))
    with pytest.raises(CheckpointError):
        on_ranks(2, lambda ranks: resumed(ranks, tmp_path))
    (newest.with_name("checkpoint-000007")).rename(newest)
    state = joined(on_ranks(2, lambda ranks: resumed(ranks, tmp_path)))
    np.testing.assert_array_equal(state["log_weight"], at_once["log_weight"])


def test_other_matrices_and_numbers_of_columns_are_refused(tmp_path):
    on_ranks(2, lambda ranks: crashed(ranks, tmp_path))

    def other(ranks):
        part = part_of(ranks)
        with pytest.raises(InputError, match="M is another matrix"):
            SparseCalibrationWeights.resume(tmp_path, 2 * M[:, part], Y, communicator=ranks)
        with pytest.raises(CheckpointError, match="is of 300 columns, the matrix has 20"):
            SparseCalibrationWeights.resume(tmp_path, M[:, :10], Y, communicator=ranks)

    on_ranks(2, other)


def test_a_selection_by_gates_goes_on(tmp_path):
    base = INIT

    def calibrated(ranks, folder, *, crash, resume=False):
        part = part_of(ranks)
        epochs = []

        def watch(progress):
            if progress.stage == "training":
                epochs.append(progress.epoch)
                if crash and progress.epoch >= 60:
                    raise CrashError

        saved = [callbacks.checkpoint(folder, every=20, resume=resume)]
        arguments = {"method": "gates", "epochs": 100, "seed": 3, "communicator": ranks, "gather": True}
        arguments["dtype"] = "float32"  # whose rounding y does not share
        answer = l0np.calibrate(M[:, part], Y, 40, base[part], callbacks=[watch, *saved], **arguments)
        return answer, epochs

    def crashes(ranks):
        with pytest.raises(CrashError):
            calibrated(ranks, tmp_path / "a", crash=True)

    on_ranks(2, crashes)
    (answer, epochs), *_ = on_ranks(
        3, lambda ranks: calibrated(ranks, tmp_path / "a", crash=False, resume=True)
    )
    go_on = {"crash": False, "resume": True}
    assert min(epochs) > 20
    (whole, _), *_ = on_ranks(1, lambda ranks: calibrated(ranks, tmp_path / "b", **go_on))
    np.testing.assert_array_equal(answer.indices, whole.indices)
    np.testing.assert_allclose(answer.weights, whole.weights, rtol=1e-9)

    def another(ranks):
        arguments = {"method": "gates", "epochs": 100, "seed": 4, "communicator": ranks, "dtype": "float32"}
        saved = [callbacks.checkpoint(tmp_path / "a", resume=True)]
        with pytest.raises(CheckpointError, match="of 40 records with seed 3, not of 40 with seed 4"):
            l0np.calibrate(M[:, part_of(ranks)], Y, 40, base[part_of(ranks)], callbacks=saved, **arguments)

    on_ranks(2, another)
