"""What is drawn of answers, paths, held-out targets and trainings, read back from the Axes."""

import subprocess
import sys

import numpy as np
import pytest

import l0np
from l0np import plots
from l0np.errors import InputError, InputTypeError, MissingPackageError

figures = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
LOWEST = 1e-6  # errors up to it count as met
GROUPS = ["people", *["a"] * 4, *["b"] * 4]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    M = np.vstack([np.ones(300), rng.lognormal(size=(8, 300))])
    base = rng.uniform(1, 5, 300)
    y = M @ (base * rng.uniform(0.7, 1.3, 300))
    y[8] *= 3.0
    return M, y, base


@pytest.fixture(scope="module")
def answer(problem):
    M, y, base = problem
    return l0np.calibrate(M, y, 30, base, seed=0, target_groups=GROUPS, exclude=[8])


@pytest.fixture(scope="module")
def missed(problem):
    M, y, base = problem
    return l0np.calibrate(M, y, 4, base, seed=0)


def labels(axes):
    return [line.get_label() for line in axes.lines]


def test_a_plot_draws_where_it_is_told_or_on_a_new_figure(answer):
    axes = figures.Figure().subplots()
    assert plots.sorted_errors(answer, axes) is axes
    assert plots.sorted_errors(answer) is not axes
    assert plots.sorted_errors(answer.diagnostics).lines


def test_errors_are_sorted_and_met_ones_are_drawn_at_the_lowest(problem, answer):
    M, y, base = problem
    before, after, held_out = plots.sorted_errors(answer).lines
    errors = np.sort(np.abs(M @ base / y - 1)[:8])[::-1]
    np.testing.assert_allclose(before.get_ydata(), errors)
    np.testing.assert_array_equal(before.get_xdata(), np.arange(1, 9))
    np.testing.assert_array_equal(after.get_ydata(), np.full(8, LOWEST))
    np.testing.assert_allclose(held_out.get_ydata(), [abs(M[8] @ answer.weights / y[8] - 1)])
    axes = plots.sorted_errors(answer)
    axes.figure.canvas.draw()
    assert axes.get_yticklabels()[0].get_text() == "≤ 0.0001%"


def test_curves_of_many_targets_keep_their_ends():
    rng = np.random.default_rng(0)
    M = rng.lognormal(size=(3000, 20))
    table = l0np.target_table(M, M.sum(axis=1), rng.uniform(0.5, 2, 20))
    (curve,) = plots.sorted_errors(table).lines
    errors = np.abs(table.relative_error)
    assert len(curve.get_xdata()) <= 400
    np.testing.assert_array_equal(curve.get_xdata()[[0, -1]], [1, 3000])
    np.testing.assert_allclose(curve.get_ydata()[[0, -1]], [errors.max(), max(errors.min(), LOWEST)])
    (points, _) = plots.estimates(table).lines
    assert points.get_rasterized()  # or an SVG would hold a path for each


def test_groups_show_the_mean_and_the_worst_the_worst_group_first(problem, missed):
    M, y, _ = problem
    axes = plots.group_errors(missed, groups=GROUPS)
    errors = np.abs(M @ missed.weights / y - 1)
    of = {name: errors[np.array(GROUPS) == name] for name in ("people", "a", "b")}
    order = sorted(of, key=lambda name: -of[name].max())
    assert [label.get_text().split()[0] for label in axes.get_yticklabels()] == order
    after = axes.lines[1]
    np.testing.assert_allclose(after.get_xdata(), [of[name].mean() for name in order])
    ends = [segment[1, 0] for segment in axes.collections[1].get_segments()]
    np.testing.assert_allclose(ends, [of[name].max() for name in order])


def test_only_the_worst_of_many_groups_are_drawn(missed):
    M = np.random.default_rng(0).lognormal(size=(30, 9))
    table = l0np.target_table(M, M.sum(axis=1), np.full(9, 0.5), target_groups=list(range(30)))
    axes = plots.group_errors(table)
    assert len(axes.get_yticklabels()) == 15
    assert "15 groups with smaller errors not shown" in axes.get_xlabel()
    with pytest.raises(InputError, match="have no groups: give groups"):
        plots.group_errors(missed)


def test_estimates_leave_out_what_has_no_logarithm(problem):
    M, y, base = problem
    y = y.copy()
    y[2], y[3] = 0.0, -y[3]
    axes = plots.estimates(l0np.target_table(M, y, base))
    assert "2 targets of 0 or of another sign not shown" in axes.get_xlabel()
    shown = np.delete(np.arange(9), [2, 3])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), y[shown])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), (M @ base)[shown])


@pytest.mark.parametrize("factor", [1.0, 1.5, 20.0, 1e5])
def test_logarithmic_axes_have_some_labels_but_not_many(factor):
    table = l0np.target_table(np.diag([1.0, factor]), [700.0, 700.0 * factor], [700.0, 700.0])
    axes = plots.estimates(table)
    axes.figure.canvas.draw()
    for shown in (axes.get_xticklabels(), axes.get_yticklabels()):
        labels = {label.get_text() for label in shown}
        assert (1 if factor == 1.0 else 2) <= len(labels) <= 8


def test_negative_targets_are_drawn_by_their_size():
    axes = plots.estimates(l0np.target_table([[1.0, 1.0], [-1.0, -2.0]], [4, -8], [1.0, 2.0]))
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [4, 8])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [3, 5])


@pytest.mark.parametrize("values", [[3.0, 3.0], [1.0, 2.0, 2.0], [0.01, 1.0, 1000.0], [-1.0, 2.0], [7.0]])
def test_histograms_count_every_weight_that_is_not_0(values):
    for axes in (plots.weights([*values, 0.0]), plots.g_weights(values)):
        (steps,) = axes.patches
        assert steps.get_data().values.sum() == len(values)
        assert axes.get_xscale() == ("log" if max(values) == 1000 else "linear")
    assert plots.weights(values).lines[0].get_xdata()[0] == pytest.approx(np.mean(values))


def test_a_path_is_drawn_against_the_number_of_records(problem):
    M, y, base = problem
    path = l0np.l0_path(M, y, [5, 20, 80], base_weights=base, seed=0)
    left, right = path.plot().axes
    worst, mean = left.lines
    np.testing.assert_allclose(worst.get_ydata(), np.maximum(path.worst_error, LOWEST))
    np.testing.assert_allclose(mean.get_ydata(), np.maximum(path.mean_error, LOWEST))
    even, sizes = right.lines
    np.testing.assert_array_equal(even.get_ydata(), [5, 20, 80])
    np.testing.assert_allclose(sizes.get_ydata(), path.effective_sample_size)
    assert [label.get_text() for label in left.get_xticklabels()] == ["5", "20", "80"]


def test_a_path_of_one_size(problem):
    M, y, base = problem
    path = l0np.l0_path(M, y, [40], base_weights=base, seed=0)
    path.plot().canvas.draw()


def test_many_folds_share_one_line_of_the_legend(problem):
    M, y, base = problem
    found = l0np.holdout(M, y, [30], base, groups=list("abcdefghi"), seed=0)
    axes = plots.held_out_errors(found)
    assert labels(axes)[0] == "each of 9 folds"
    assert len(axes.get_legend().get_texts()) == 3


def test_a_training_is_drawn_from_its_history(problem):
    M, y, _ = problem
    reports = l0np.callbacks.history()
    model = l0np.SparseCalibrationWeights(300, seed=0)
    with pytest.raises(InputError, match="history holds no reports"):
        plots.losses(reports)
    model.fit(M, y, epochs=60, verbose_freq=20, callbacks=[reports])
    loss, tested = plots.losses(reports).lines
    np.testing.assert_array_equal(loss.get_xdata(), [20, 40, 60])
    np.testing.assert_array_equal(loss.get_ydata(), reports["loss"])
    np.testing.assert_array_equal(tested.get_ydata(), reports["test_time_loss"])
    (counts,) = plots.active_counts(reports).lines
    np.testing.assert_array_equal(counts.get_ydata(), reports["active_count"])


def test_the_figure_of_an_answer_has_a_panel_for_groups_where_there_are_any(answer, missed):
    assert len(answer.plot().axes) == 5
    figure = missed.plot()
    assert len(figure.axes) == 4
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook shows


def test_targets_from_margins_are_grouped_by_margin():
    import pandas as pd

    records = pd.DataFrame({"region": ["n", "s"] * 40, "sex": ["f", "m", "m", "f"] * 20, "x": range(80)})
    totals = pd.DataFrame(
        {"region": ["n", "s", None], "variable": [None, None, "x"], "value": [50, 60, 4000]}
    )
    answer = l0np.calibrate(l0np.margins(records, totals), n_active=20, seed=0)
    names = [label.get_text() for label in answer.plot().axes[1].get_yticklabels()]
    assert sorted(names) == ["region (2)", "the sum of x (1)"]


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda a: plots.sorted_errors([1.0]), InputTypeError, "targets must be a TargetTable"),
        (lambda a: plots.sorted_errors(a.targets[:0]), InputError, "no targets to draw"),
        (lambda a: plots.sorted_errors(a, "here"), InputTypeError, "axes must be the Axes of matplotlib"),
        (lambda a: plots.group_errors(a, groups=["a"]), InputError, "groups"),
        (lambda a: plots.weights([0.0, 0.0]), InputError, "no record has a weight"),
        (lambda a: plots.weights("a"), InputTypeError, "weights"),
        (lambda a: plots.path_errors(a), InputTypeError, "path must be a CalibrationPath"),
        (lambda a: plots.held_out_errors(a), InputTypeError, "holdout must be what holdout returned"),
        (lambda a: plots.losses(a), InputTypeError, "history must be a mapping"),
        (lambda a: plots.losses({"epoch": [1]}), InputError, 'history has no "loss"'),
        (lambda a: plots.estimates(a, axis=1), InputTypeError, "did you mean axes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(answer, draw, error, message):
    with pytest.raises(error, match=message):
        draw(answer)


def test_without_matplotlib_one_error_names_it(answer, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "l0np.plots.figures", raising=False)
    with pytest.raises(MissingPackageError, match=r"Calibration\.plot needs matplotlib.*extra \"plot\""):
        answer.plot()


def test_pyplot_is_not_touched():
    """Its list of figures would keep every figure alive, and its windows may need a display."""
    code = "import sys, l0np; l0np.plots.weights([1.0, 2.0]).figure.canvas.draw()"
    code += "; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
