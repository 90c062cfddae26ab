"""Input that is accepted in several forms, all of which give the same fit."""

import numpy as np
import pytest
from bad_inputs import FORMATS, M, N, Q, Y, bits, both_kinds, case, trained
from scipy import sparse
from support import DEVICES

from l0np import ColumnMatrix, SparseCalibrationWeights

INTEGERS = np.random.default_rng(1).integers(0, 5, size=(Q, N))


@pytest.mark.parametrize("device", DEVICES)
@both_kinds
def test_0_epochs_do_nothing_at_all(kind, device):
    fresh = kind(
        N,
        seed=1,
        device=device,
        **({"log_weight_jitter_sd": 0.5} if kind is SparseCalibrationWeights else {}),
    )
    for model in (fresh, trained(kind, device)):
        before, epoch = bits(model), model.epoch_
        assert (
            model.fit(M, Y, epochs=0, callbacks=[lambda progress: 1 / 0], verbose=True, verbose_freq=1)
            is model
        )
        assert bits(model) == before
        assert model.epoch_ == epoch


@both_kinds
@pytest.mark.parametrize(
    "epochs", [10, 10.0, np.int64(10), np.uint8(10), np.float32(10), np.array(10)], ids=repr
)
def test_epochs_may_be_any_kind_of_integer(kind, epochs):
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    model.fit(M, Y, epochs=epochs)
    assert model.epoch_ == 10
    assert isinstance(model.epoch_, int)
    assert bits(model) == bits(reference.fit(M, Y, epochs=10))


@pytest.mark.parametrize(
    ("matrix", "equal"),
    [
        case("bool", INTEGERS > 2, INTEGERS > 2),
        case("int64", INTEGERS, INTEGERS),
        case("uint8", INTEGERS.astype(np.uint8), INTEGERS),
        case("float16", INTEGERS.astype(np.float16), INTEGERS),
        case("float64", INTEGERS.astype(np.float64), INTEGERS),
        case("Fortran order", np.asfortranarray(INTEGERS), INTEGERS),
        case("list of lists", INTEGERS.tolist(), INTEGERS),
        case("list of lists of bool", (INTEGERS > 2).tolist(), INTEGERS > 2),
        case("ColumnMatrix", ColumnMatrix.build(INTEGERS), INTEGERS),
        case("ColumnMatrix in float64", ColumnMatrix.build(INTEGERS, "float64"), INTEGERS),
        *(case(f"{f} of bool", sparse.csr_array(INTEGERS > 2).asformat(f), INTEGERS > 2) for f in FORMATS),
        *(
            case(f"{f} of int8", sparse.csr_array(INTEGERS.astype(np.int8)).asformat(f), INTEGERS)
            for f in FORMATS
        ),
    ],
)
@both_kinds
def test_matrices_of_every_kind_give_the_same_fit(kind, matrix, equal):
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    reference.fit(equal.astype(np.float32), Y, epochs=4)
    assert bits(model.fit(matrix, Y, epochs=4)) == bits(reference)
    assert model.predict(matrix).tobytes() == reference.predict(equal.astype(np.float32)).tobytes()


@both_kinds
@pytest.mark.parametrize(
    "target", [Y.round().tolist(), Y.round().astype(int), Y.round().astype(np.float16)], ids=type
)
def test_targets_of_every_kind_give_the_same_fit(kind, target):
    model, reference = (kind(N, seed=1, device="numpy") for _ in range(2))
    assert bits(model.fit(M, target, epochs=4)) == bits(reference.fit(M, Y.round(), epochs=4))


def test_labels_of_float32_match_their_multipliers():
    groups = np.array([0.1, 0.2, 0.2] * 3, np.float32)
    model = SparseCalibrationWeights(N, seed=1, device="numpy").fit(
        M, Y, epochs=2, target_groups=groups, group_multipliers={groups[0]: 2}
    )
    twin = SparseCalibrationWeights(N, seed=1, device="numpy")
    assert bits(model) == bits(
        twin.fit(M, Y, epochs=2, target_groups=[1, 2, 2] * 3, group_multipliers={1: 2})
    )


@both_kinds
def test_arguments_are_not_changed(kind):
    matrix, target = M.copy(), Y.copy()
    kind(N, seed=1, device="numpy").fit(matrix, target, epochs=2)
    assert (matrix == M).all()
    assert (target == Y).all()
    assert matrix.flags.writeable
    assert target.flags.writeable
