"""What `verbose=True` prints: the format of the original."""

import io
import itertools
import sys

import numpy as np
from both_models import FIT, calibration
from support import small_problem

from l0np import SparseL0Linear


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
    assert len(lines) == 1 + 2 * 3  # reports at 10, 20 and 25
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
    assert (
        lines[4].strip()
        == f"Weight dist: [{', '.join(f'{n}: {s:.1%}' for n, s in zip(names, shares, strict=True))}]"
    )


def test_verbose_with_groups_and_multipliers():
    M, y = small_problem()
    groups = [0, 0, 1, 1, 1, 2]
    model = calibration()
    lines = printed(
        model, M, y, epochs=10, verbose_freq=10, target_groups=groups, group_multipliers={2: 3.0}, **FIT
    )
    assert lines[0] == "Groups: 3 groups, normalize=on, multipliers={2: 3.0}"
    errors = np.abs(y - model.predict(M)) / (y + 1)
    mean = np.mean([errors[:2].mean(), errors[2:5].mean(), errors[5]])
    assert lines[1].startswith(f"Epoch   10: mean_group_mare={mean:.4%}, max_error={errors.max():.1%}")
    off = printed(calibration(), M, y, epochs=1, target_groups=groups, normalize_groups=False, **FIT)
    assert off[0] == "Groups: 3 groups, normalize=off"


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
