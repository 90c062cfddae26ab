"""Diagnostics of weights and targets, against naive loops and by eye."""

import math
import statistics

import numpy as np
import pytest

from l0np import Aggregate, diagnose
from l0np.errors import InputError, InputTypeError, L0npError

M = [
    [1.0, 0.0, 2.0, 1.0, 0.0],
    [0.0, -1.0, 0.0, 3.0, 1.0],
    [5.0, 5.0, 5.0, 5.0, 0.0],
    [0.0, 0.0, 1.0, 0.0, 0.0],
]
Y = [12.0, 4.0, 80.0, 0.25]
WEIGHTS = [4.0, 0.0, 2.5, 1.5, 6.0]
ESTIMATES = [sum(m * w for m, w in zip(row, WEIGHTS, strict=True)) for row in M]


@pytest.mark.parametrize("size", [0.3, 1e3, 1e7, 1e14, 1e40])
def test_columns_of_numbers_of_any_size_stay_apart(size):
    y, scales = np.array([-1e-3, 1e3, size, -size]), [1e-3, 1.0, 1.0, 1.0]
    found = diagnose(
        M, y, WEIGHTS, 1 / size, target_scales=scales, target_groups=["a", "b", "c", "c"], exclude=[1]
    )
    header, *rows = str(found.targets).splitlines()
    assert header.split() == ["target", "estimate", "error", "relative"]
    assert (
        sorted(len(row.replace("held out", "").split()) for row in rows) == [6] * 4
    )  # the name has two words
    lines = str(found).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("relative errors"))
    names = ["targets", "a", "c", "held out"]  # the only target of group b is held out
    for name, line in zip(names, lines[start + 1 :], strict=True):
        assert len(line.strip().removeprefix(name).split()) == 9
    ratios = next(lines[i + 1] for i, line in enumerate(lines) if line.startswith("weight / base"))
    assert len(ratios.split()) == 9


def test_targets_of_weight_0_are_reported_apart():
    found = diagnose(
        M, Y, WEIGHTS, target_weights=[1, 0, 2, 1], exclude=[3], aggregates=[["a", "a", None, None]]
    )
    assert (found.fitted.n, found.unweighted.n, found.held_out.n) == (2, 1, 1)
    assert found.unweighted.worst_names == ("target 1",)
    assert found.targets.asked.tolist() == [True, False, True, False]
    assert found.targets.missed.tolist() == [True, False, True, False]
    assert found.verdict == "2 of 2 targets missed, 1 of 1 aggregate missed, 1 held out, 1 of weight 0"
    assert [line.split("  ")[0] for line in str(found).splitlines()[-4:]] == [
        "targets",
        "aggregates",
        "held out",
        "weight 0",
    ]
    assert "target 1" in next(line for line in str(found.targets).splitlines() if line.endswith("  weight 0"))
    nothing = diagnose(M, Y, WEIGHTS, target_weights=0.0)
    assert nothing.verdict == "no target to meet, 4 of weight 0"
    free = Aggregate(["a", "a", None, None], weight=0.0)
    assert (
        diagnose(M, ESTIMATES, WEIGHTS, aggregates=[free]).verdict == "all targets met, no aggregate to meet"
    )


def naive_errors(rows, scales):
    errors = [abs(ESTIMATES[i] - Y[i]) / scales[i] for i in rows]
    return len(rows), statistics.fmean(errors), statistics.median(errors), max(errors)


def test_diagnostics_against_naive_loops():
    scales, base = [abs(y) for y in Y], [1.0, 1.0, 2.0, 3.0, 4.0]
    found = diagnose(M, Y, WEIGHTS, base, exclude=[3], target_groups=["a", "b", "a", "c"], tolerances=1.0)
    active = [w for w in WEIGHTS if w]
    size = sum(active) ** 2 / sum(w * w for w in active)
    assert (found.n_records, found.n_active, found.total_weight) == (5, 4, 14.0)
    assert found.effective_sample_size == pytest.approx(size)
    assert found.design_effect == pytest.approx(4 / size)
    assert found.design_effect == pytest.approx(
        1 + statistics.pvariance(active) / statistics.fmean(active) ** 2
    )
    assert found.top_share == pytest.approx(6 / 14)
    ratios = sorted(w / b for w, b in zip(WEIGHTS, base, strict=True) if w)
    assert (found.ratio_quantiles[0], found.ratio_quantiles[-1]) == (ratios[0], ratios[-1])
    assert found.ratio_quantiles[4] == pytest.approx(statistics.median(ratios))
    for errors, rows in [
        (found.fitted, [0, 1, 2]),
        (found.held_out, [3]),
        (found.by_group["a"], [0, 2]),
        (found.by_group["b"], [1]),
    ]:
        assert (errors.n, errors.mean, errors.median, errors.worst) == pytest.approx(
            naive_errors(rows, scales)
        )
    assert list(found.by_group) == ["a", "b"]  # the only member of c is held out
    of_fitted = [abs(ESTIMATES[i] - Y[i]) / scales[i] for i in range(3)]
    assert found.fitted.within == pytest.approx(
        [sum(e <= limit for e in of_fitted) / 3 for limit in (0.05, 0.1, 0.25)]
    )
    assert found.fitted.met == pytest.approx(sum(abs(ESTIMATES[i] - Y[i]) <= 1 for i in range(3)) / 3)
    assert found.fitted.worst_names[0] == "target 1"
    assert found.aggregates is None


def test_diagnostics_of_aggregates():
    state = Aggregate(["x", "x", None, None], totals=[20.0])
    found = diagnose(M, Y, WEIGHTS, aggregates=[state, [[1, 1, 1, 1]]])
    errors = [abs(sum(ESTIMATES[:2]) - 20) / 20, abs(sum(ESTIMATES) - sum(Y)) / sum(Y)]
    assert (found.aggregates.n, found.aggregates.mean) == pytest.approx((2, statistics.fmean(errors)))
    assert set(found.aggregates.worst_names) == {"x", "target 0"}


def test_nothing_active():
    found = diagnose(M, Y, np.zeros(5), base_weights=0.0)
    assert (found.n_active, found.effective_sample_size, found.ratio_quantiles) == (0, 0.0, None)
    assert math.isnan(found.design_effect)
    assert "nan" not in str(found)


def test_printed_diagnostics():
    names = ["people", "cars", "a target with a name that is far too long for a line", "d"]
    found = diagnose(
        M,
        Y,
        WEIGHTS,
        1.0,
        names=names,
        target_groups=[2020, 2020, 2021, 2021],
        exclude=[3],
        aggregates=[1, 1, 2, 2],
    )
    text = str(found)
    assert repr(found) == text
    assert repr(found.targets) == str(found.targets)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 128
    assert [line.split("  ")[0] for line in lines if line and not line.startswith(" ")] == [
        "records", "total weight", "effective sample size", "design effect", "largest 1% of records",
        "weight / base weight",
        "relative errors", "targets", "aggregates", "held out",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines if line.startswith("  20")] == ["2020", "2021"]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((M, Y, WEIGHTS[:-1]), {}, InputError, "weights must have one value for each column of M: 5 wanted"),
        ((M, Y, [1, 2, 3, 4, np.nan]), {}, InputError, "weights[4] is nan"),
        ((M, Y[:-1], WEIGHTS), {}, InputError, "y must have one value for each row of M: 4 wanted"),
        ((M, Y, WEIGHTS, -1.0), {}, InputError, "base_weights must be at least 0, got -1"),
        (
            (M, Y, WEIGHTS, [0, 0, 1, 1, 1]),
            {},
            InputError,
            "base_weights[0] = 0: must be above 0 where a weight is not 0",
        ),
        ((M, Y, WEIGHTS), {"exclude": [9]}, InputError, "exclude[0] = 9"),
        (("M", Y, WEIGHTS), {}, InputTypeError, "M must be an array of numbers"),
    ],
)
def test_diagnose_refuses(arguments, options, error, message):
    with pytest.raises(L0npError) as caught:
        diagnose(*arguments, **options)
    assert type(caught.value) is error
    assert message in str(caught.value)
