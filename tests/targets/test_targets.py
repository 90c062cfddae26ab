"""Targets as users have them: weights, scales, tolerances, caps, aggregates, held-out rows."""

import math

import numpy as np
import oracles
import pandas as pd
import pytest
from scipy import sparse
from support import DEVICES, same_state

from l0np import Aggregate, ColumnMatrix, SparseCalibrationWeights, diagnose
from l0np.backends import get_backend
from l0np.errors import InputError, InputTypeError, L0npError
from l0np.targets.targets import Targets

Q = 6
Y = [10.0, 200.0, -30.0, 4.0, 5000.0, 7.0]
# On CUDA a loss without a kernel of its own is announced as slow; here it is only to be right
slower_on_cuda = pytest.mark.filterwarnings("ignore::l0np.errors.PerformanceWarning")


def build(y=Y, **options):
    return Targets.build(y, len(y), **options)


def gradient(loss, prediction):
    out = np.full(len(prediction), np.nan)
    loss.gradient(np.array(prediction), out=out)
    return out


def n_missed(estimate, **options):
    """Count, as the verdict of diagnostics does, with one record for each target."""
    found = diagnose(np.diag(estimate), Y, np.ones(len(Y)), **options)
    return int(found.targets.missed.sum() + found.totals.missed.sum())


def test_missed_targets_and_totals_are_counted():
    total = Aggregate([0, 0, None, None, None, None], totals=[215.0], tolerances=4.0)
    options = {"target_weights": [1, 1, 1, 0, 1, 1], "exclude": [5], "tolerances": 0.5, "aggregates": [total]}
    estimate = np.array(Y)
    assert n_missed(estimate, **options) == 1  # the total
    estimate[[0, 3, 5]] += 1.0
    # the first target, but no longer the total; the others are scored only
    assert n_missed(estimate, **options) == 1
    assert n_missed(Y, aggregates=[Aggregate(total.members, totals=[99.0], weight=0.0)]) == 0


# --- what Targets.build makes of what users say


def test_plain_targets_give_the_plain_loss():
    backend = get_backend("numpy")
    for options in ({}, {"loss_type": "relative"}, {"target_groups": [1, 1, 1, 2, 2, 3]}, {"exclude": [0]}):
        assert build(**options).loss(backend).plain_squares
    for options in (
        {"tolerances": 1.0},
        {"caps": [1.0, *[np.inf] * 5]},
        {"loss_type": "absolute"},
        {"aggregates": [1, 1, 1, 2, 2, 2]},
    ):
        assert not build(**options).loss(backend).plain_squares


def test_scales():
    assert build().scale.tolist() == [1.0] * 6
    assert build(loss_type="relative").scale.tolist() == [11, 201, 29, 5, 5001, 8]
    assert build(loss_type="relative", target_scales=2).scale.tolist() == [2.0] * 6
    given_scales = build(target_scales=[1, 2, 3, 4, 5, 6])
    assert given_scales.scale.tolist() == [1, 2, 3, 4, 5, 6]
    assert given_scales.given_scale is given_scales.scale
    assert build(loss_type="relative").given_scale is None


def test_minus_one_is_fine_with_a_scale_and_where_it_is_excluded():
    y = [1.0, -1.0, -1.0]
    with pytest.raises(InputError, match=r"y\[1\] = -1, y\[2\] = -1: the relative loss divides by y \+ 1"):
        build(y, loss_type="relative")
    assert build(y, loss_type="relative", target_scales=3.0).scale.tolist() == [3.0] * 3
    with pytest.raises(InputError, match=r"^y\[1\] = -1: "):
        build(y, loss_type="relative", exclude=[2])
    targets = build(y, loss_type="relative", exclude=[1, 2])
    assert (targets.scale > 0).all()
    assert np.isfinite(gradient(targets.loss(get_backend("numpy")), [0.0, 0.0, 0.0])).all()


def test_weights_are_those_of_groups_times_those_of_targets():
    options = {"target_groups": ["a", "a", "b", "b", "b", "c"], "group_multipliers": {"b": 6.0}}
    expected = oracles.group_weights(options["target_groups"], True, options["group_multipliers"])
    assert build(**options).weights.tolist() == expected
    weights = [1.0, 0.0, 2.0, 3.0, 0.5, 4.0]
    product = [g * w for g, w in zip(expected, weights, strict=True)]
    assert build(target_weights=weights, **options).weights.tolist() == product


def test_excluded_targets_have_no_weight_and_do_not_count_in_their_group():
    groups = ["a", "a", "b", "b", "b", "c"]
    targets = build(target_groups=groups, exclude=[1, 2])
    assert targets.weights.tolist() == [1.0, 0.0, 0.0, 0.5, 0.5, 1.0]
    assert targets.fitted.tolist() == [True, False, False, True, True, True]
    assert build(exclude=[1, 2]).weights.tolist() == [1, 0, 0, 1, 1, 1]
    gone = build(target_groups=groups, exclude=[5], group_multipliers={"c": 2.0})
    assert gone.weights.tolist() == [0.5, 0.5, 1 / 3, 1 / 3, 1 / 3, 0.0]


FRAME = pd.DataFrame(np.ones((Q, 2)), index=list("abcdef"))


@pytest.mark.parametrize(
    "rows",
    [[1, 3], np.array([3, 1]), {1, 3}, (1, 3, 3), [False, True, False, True, False, False], ["b", "d"],
     np.array(["d", "b"]), pd.Index(["b", "d"]), pd.Series(["b", "d"]),
     pd.Series([False, True, False, True, False, False], index=list("abcdef"))],
    ids=lambda rows: f"{type(rows).__name__} {list(rows)[:2]}",
)  # fmt: skip
def test_exclude_takes_indices_masks_and_names(rows):
    assert np.flatnonzero(~build(M=FRAME, exclude=rows).fitted).tolist() == [1, 3]


def test_exclude_one_row_and_none():
    assert np.flatnonzero(~build(exclude=4).fitted).tolist() == [4]
    assert np.flatnonzero(~build(M=FRAME, exclude="c").fitted).tolist() == [2]
    assert build(exclude=[]).fitted.all()
    assert build(exclude=None).fitted.all()


def test_names():
    assert build().names is None
    assert build().name(2) == "target 2"
    assert repr(build(exclude=[0], aggregates=A)) == "Targets(6 targets, 1 held out, 3 totals of targets)"
    assert build(M=FRAME).names == tuple("abcdef")
    assert build(pd.Series(Y, index=list("uvwxyz"))).names == tuple("uvwxyz")
    assert build(pd.Series(Y)).names is None  # positions are no names
    assert build(names=range(6)).names == tuple("012345")
    assert build(M=FRAME, names=list("ABCDEF"), exclude=["B"]).fitted.tolist() == [
        True,
        False,
        True,
        True,
        True,
        True,
    ]


BAD = [
    (
        {"target_weights": [1, 2]},
        InputError,
        "target_weights must have one value for each row of M: 6 wanted",
    ),
    ({"target_weights": -1}, InputError, "target_weights must be at least 0, got -1"),
    ({"target_weights": [1, 1, 1, -2, 1, 1]}, InputError, "target_weights[3] = -2: must be at least 0"),
    ({"target_weights": [1, 1, 1, np.inf, 1, 1]}, InputError, "target_weights[3] is inf"),
    ({"target_weights": "heavy"}, InputTypeError, "target_weights must be an array of numbers, got 'heavy'"),
    ({"target_scales": 0}, InputError, "target_scales must be above 0, got 0"),
    ({"target_scales": [1, 1, 0, 1, 1, 1]}, InputError, "target_scales[2] = 0: must be above 0"),
    ({"target_scales": np.inf}, InputError, "target_scales must be finite, got inf"),
    ({"tolerances": -0.5}, InputError, "tolerances must be at least 0, got -0.5"),
    ({"tolerances": [0, 0, 0, 0, 0, np.nan]}, InputError, "tolerances[5] is nan"),
    ({"tolerances": np.ones((6, 1))}, InputError, "tolerances must be one-dimensional, it has shape (6, 1)"),
    ({"caps": 0}, InputError, "caps must be above 0, got 0"),
    ({"caps": [1, 1, -1, 1, 1, np.inf]}, InputError, "caps[2] = -1: must be above 0"),
    ({"caps": np.nan}, InputError, "caps must be finite, got nan"),
    ({"caps": [1, 1, 1, 1, 1, -np.inf]}, InputError, "caps[5] is -inf"),
    ({"caps": "1"}, InputTypeError, "caps must be an array of numbers"),
    ({"exclude": [6]}, InputError, "exclude[0] = 6: M has the rows 0 to 5"),
    ({"exclude": [0, -1]}, InputError, "exclude[1] = -1: M has the rows 0 to 5"),
    (
        {"exclude": [True, False]},
        InputError,
        "exclude must have one True or False for each row of M: 6 wanted",
    ),
    ({"exclude": ["a"]}, InputError, "exclude names 'a', but the targets have no names"),
    (
        {"exclude": ["a", "q", "r"], "M": FRAME},
        InputError,
        "exclude names 'q' (and 1 more), which is not the name of a target",
    ),
    ({"exclude": [0.5]}, InputTypeError, "exclude must be row indices, a boolean mask or names of targets"),
    ({"exclude": [[0, 1]]}, InputError, "exclude must be one-dimensional, it has shape (1, 2)"),
    ({"exclude": [[0, 1], [2]]}, InputError, "exclude cannot be read as an array of rows"),
    ({"exclude": range(6)}, InputError, "exclude leaves no target to fit: it holds all 6"),
    (
        {"exclude": pd.Series([True] + [False] * 5, index=list("fedcba")), "M": FRAME},
        InputError,
        "exclude.reindex(M.index)",
    ),
    (
        {"tolerances": pd.Series(np.ones(6), index=list("fedcba")), "M": FRAME},
        InputError,
        "tolerances.reindex(M.index)",
    ),
    ({"names": ["a"]}, InputError, "names must have one label for each row of M: 6 wanted"),
    ({"names": [None] * 6}, InputTypeError, "names must hold numbers or strings"),
    (
        {"loss_type": "huber"},
        InputError,
        "loss_type must be one of 'mse', 'relative', 'absolute'; got 'huber'",
    ),
    ({"aggregates": ["a", "b"]}, InputError, "aggregates must have one label for each row of M: 6 wanted"),
    ({"aggregates": [None] * 6}, InputError, "aggregates gives no target a label"),
    (
        {"aggregates": np.ones((2, 5))},
        InputError,
        "aggregates must have one column for each row of M, 6; it has shape (2, 5)",
    ),
    ({"aggregates": [np.ones((2, 5))]}, InputError, "aggregates[0] must have one column"),
    ({"aggregates": np.full((2, 6), np.nan)}, InputError, "aggregates[0, 0] is nan"),
    ({"aggregates": [list("aabbcc"), sparse.eye_array(5)]}, InputError, "aggregates[1] must have one column"),
    ({"aggregates": [slice(None)] * 6}, InputTypeError, "aggregates must hold numbers or strings"),
    (
        {"aggregates": Aggregate(list("aabbcc"), weight=-1)},
        InputError,
        "aggregates.weight must be at least 0, got -1",
    ),
    (
        {"aggregates": Aggregate(list("aabbcc"), totals=[1, 2])},
        InputError,
        "aggregates, of its 3 totals: y must have one value",
    ),
    ({"aggregates": Aggregate(list("aabbcc"), scales=0)}, InputError, "target_scales must be above 0"),
    (
        {"aggregates": Aggregate(list("aabbcc"), caps="x")},
        InputTypeError,
        "aggregates, of its 3 totals: caps must be an array",
    ),
    (
        {"aggregates": Aggregate(list("aabbcc"), totals=[1, -1, 1]), "loss_type": "relative"},
        InputError,
        'aggregates, of its 3 totals: y["b"] = -1: the relative loss',
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD, ids=lambda part: str(part)[:60])
def test_one_clear_error(options, error, message):
    options = dict(options)
    M = options.pop("M", None)
    with pytest.raises(L0npError) as caught:
        build(M=M, **options)
    assert type(caught.value) is error
    assert message in str(caught.value)
    model = SparseCalibrationWeights(2, seed=0, device="numpy")
    before = model.state_dict()
    if "names" not in options:
        with pytest.raises(
            error, match="^" + "".join(f"[{c}]" if c.isalnum() else "." for c in str(caught.value)[:40])
        ):
            model.fit(np.ones((Q, 2)) if M is None else M, Y, epochs=1, **options)
    assert same_state(before, model.state_dict())


# --- totals of targets

A = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 2, 0, -1, 0], [0, 0, 0, 0, 0, 3]], dtype=float)


def naive_total_loss(prediction, targets, matrix, totals, weight, scales):
    own = oracles.robust_loss(prediction, Y, targets.scale, targets.weights, [0] * Q, [math.inf] * Q)
    sums = [sum(a * p for a, p in zip(row, prediction, strict=True)) for row in matrix]
    return own + weight * oracles.robust_loss(
        sums, totals, scales, [1] * len(sums), [0] * len(sums), [math.inf] * len(sums)
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "given_as", [np.asarray, sparse.csr_array, sparse.coo_array, ColumnMatrix.build, pd.DataFrame]
)
def test_loss_of_aggregates_and_its_gradient(device, given_as):
    backend = get_backend(device)
    targets = build(loss_type="relative", aggregates=Aggregate(given_as(A), weight=0.7))
    totals = A @ np.array(Y)
    prediction = [12.0, 180.0, -20.0, 5.0, 4000.0, 9.0]

    def naive(p):
        return naive_total_loss(p, targets, A.tolist(), totals.tolist(), 0.7, [abs(t + 1) for t in totals])

    with backend.active():
        loss = targets.loss(backend)
        on_device = backend.asarray(np.array(prediction))
        out = backend.xp.empty_like(on_device)
        for _ in range(2):  # the work space is used again
            loss.gradient(on_device, out=out)
        assert float(loss.value(on_device)) == pytest.approx(naive(prediction), rel=1e-12)
        result = backend.to_numpy(out)
    for i in range(Q):
        assert result[i] == pytest.approx(oracles.slope(naive, prediction, i, step=1e-4), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    "labels",
    [["x", "x", None, "y", "x", None], np.array(["x", "x", np.nan, "y", "x", None], dtype=object),
     [7, 7, -1, 9, 7, -1],
     [7.0, 7.0, np.nan, 9.0, 7.0, -1.0], pd.Series(["x", "x", pd.NA, "y", "x", None], dtype="string"),
     ["x", "x", float("nan"), "y", "x", None]],
    ids=["list", "objects", "whole numbers", "floats", "pandas", "list with NaN"],
)  # fmt: skip
def test_labels_mean_sums_and_none_means_no_total(labels):
    (aggregate,) = build(aggregates=labels).aggregates
    assert aggregate.matrix.to_scipy().toarray().tolist() == [[1, 1, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0]]
    assert aggregate.totals.value.tolist() == [5210.0, 4.0]
    assert [name.rstrip(".0") for name in aggregate.totals.names] in (["x", "y"], ["7", "9"])


def test_several_aggregates_and_their_own_totals():
    first, second = build(
        loss_type="relative",
        tolerances=3.0,
        aggregates=[
            list("aabbcc"),
            Aggregate(A, totals=[1, 2, 3], weight=2, tolerances=0.5, caps=9, scales=[1, 2, 3]),
        ],
    ).aggregates
    assert first.totals.value.tolist() == [210, -26, 5007]
    assert first.totals.scale.tolist() == [211, 25, 5008]
    assert first.totals.tolerance.tolist() == [0, 0, 0]
    assert (first.weight, second.weight) == (1.0, 2.0)
    assert second.totals.value.tolist() == [1, 2, 3]
    assert second.totals.scale.tolist() == [1, 2, 3]
    assert second.totals.cap.tolist() == [9, 9, 9]
    named = build(aggregates=pd.DataFrame(A, index=["one", "two", "three"])).aggregates[0].totals
    assert named.names == ("one", "two", "three")


def test_a_held_out_target_tells_nothing_through_its_aggregate():
    (aggregate,) = build(aggregates=list("aabbcc"), exclude=[1, 2]).aggregates
    assert aggregate.totals.value.tolist() == [10.0, 4.0, 5007.0]
    assert aggregate.matrix.to_scipy().toarray().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 1],
    ]
    (known,) = build(aggregates=Aggregate(list("aabbcc"), totals=[1, 2, 3]), exclude=[1, 2]).aggregates
    assert known.matrix.nnz == 6  # totals of one's own are information of their own
