"""What a report says, that everything users named is escaped, its size, and how it is written."""

import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from reported import END, SCRIPT, large, small

import l0np
from l0np.errors import InputError, InputTypeError, MissingPackageError
from l0np.report.rows import shown_error, shown_number
from l0np.report.words import METHODS
from l0np.selection.methods import METHODS as SELECTIONS

pytest.importorskip("jinja2", reason="jinja2 is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")


class Page(HTMLParser):
    """The elements of a page with their attributes, the visible text, and what scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.scripts, self.inside = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.texts.append(data)
        elif self.inside[-1] == "script":
            self.scripts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    answer = small(path)
    return answer, path.read_text(encoding="utf-8")


def test_the_summary_names_what_was_missed_and_how_many_records_stand_for_how_many(written):
    answer, html = written
    text = Page(html).text
    missed = answer.targets[answer.targets.missed].worst(1)
    assert len(answer.missed) > 1
    assert f"{len(answer.missed)} of 57 targets are missed." in text
    direction = "high" if missed.relative_error[0] > 0 else "low"
    assert f"{missed.name[0]}: {abs(missed.relative_error[0]):.2%} too {direction}" in text
    assert "25 of 200 records were chosen" in text
    assert f"{57 - len(answer.missed)} of 57 targets are met" in text
    assert "These records cannot meet all targets together" in text
    weights = answer.selected_weights
    assert f"{weights.mean():.4g} members of the population stand behind each chosen record" in text
    assert f"The weights are between {weights.min():.4g} and {weights.max():.4g}" in text
    size = answer.diagnostics.effective_sample_size
    assert f"The effective sample size is {size:,.1f}" in text
    assert "It is not a standard error" in text


def test_the_run_can_be_repeated_from_it(written):
    answer, html = written
    text = Page(html).text
    for line in ("n_active=25,", "tolerances=tolerances, # 60 values", "exclude=[7, 8],", "seed=0,"):
        assert line in text
    assert f"numpy {np.__version__}" in text
    for one in answer.tried:
        assert f"{one.method} {one.squared_error:.3g} {one.spread:.3g} {one.total:.3g} {one.n_missed}" in text


def test_the_data_of_the_page_are_those_of_the_targets_the_worst_first(written):
    answer, html = written
    (data,) = (one for one in Page(html).scripts if one.startswith("{"))
    data, table = json.loads(data), answer.targets.worst(60)
    assert data["name"] == table.name.tolist()
    assert [data["groups"][i] for i in data["group"]] == table.group.tolist()
    for name, column in (("target", table.target), ("after", table.estimate), ("before", table.before)):
        np.testing.assert_allclose(data[name], column, rtol=1e-6)
    np.testing.assert_allclose(data["error"], table.relative_error, rtol=1e-6)
    status = np.array([data["statuses"][i] for i in data["status"]])
    assert set(table.name[status == "held out"]) == {"target 7", "target 8"}
    assert table.name[status == "only scored"].tolist() == ["target 59"]
    np.testing.assert_array_equal(status == "missed", table.missed)


def test_names_are_escaped_everywhere(written):
    _, html = written
    page = Page(html)
    assert SCRIPT not in html
    assert "</script> &" not in html
    assert "<i>" not in html
    assert SCRIPT in page.text
    assert html.count("<script") == 2  # the data and the script of the page
    assert html.count("</script>") == 2
    assert f"Of {SCRIPT}" in page.text
    (data,) = (one for one in page.scripts if one.startswith("{"))
    assert not re.search("[<>&\u2028]", data)
    assert END in json.loads(data)["name"]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_nothing_comes_from_elsewhere(written):
    _, html = written
    for tag, attributes in Page(html).elements:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert attributes.get(name, "#")[:1] == "#" or attributes[name].startswith("data:"), (tag, name)
    (style,) = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html


def test_pictures_are_svg_with_alt_texts_and_take_the_colour_of_the_text(written):
    _, html = written
    pictures = [a for _, a in Page(html).elements if a.get("role") == "img"]
    assert len(pictures) == html.count("<svg ") == 5
    assert all(len(picture["aria-label"]) > 40 for picture in pictures)
    assert "#000000" not in html
    assert "currentColor" in html
    names = re.findall(r'\bid="([^"]*)"', re.sub("<svg.*?</svg>", "", html, flags=re.DOTALL))
    assert len(names) == len(set(names))


def test_a_margin_problem_is_grouped_by_margin(tmp_path):
    import pandas as pd

    records = pd.DataFrame({"region": ["n", "s"] * 40, "x": range(80)})
    totals = {"region": ["n", "s", None], "variable": [None, None, "x"], "value": [50, 60, 4000]}
    problem = l0np.margins(records, pd.DataFrame(totals))
    l0np.calibrate(problem, n_active=20, seed=0).report(tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "All 3 targets are met." in html
    assert "problem = l0np.margins(records, totals)" in html
    assert '"groups":["region","the sum of x"]' in html


def test_totals_of_targets_are_rows_too(tmp_path):
    M = np.random.default_rng(0).lognormal(size=(3, 80))
    y = M.sum(axis=1)
    total = l0np.Aggregate(["all"] * 3, [2 * y.sum()])
    answer = l0np.calibrate(M, y, seed=0, aggregates=total)
    answer.report(tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "4 of 4 targets and totals of targets are missed." in html
    assert "totals of targets" in html
    assert f'"name":["{answer.diagnostics.totals.name[0]}"' in html  # the worst


@pytest.mark.parametrize("how", ["all", "area", "path", "one weight", "zero target"])
def test_answers_of_all_kinds_have_a_report(tmp_path, how):
    M = np.vstack([np.ones(80), np.random.default_rng(0).lognormal(size=(3, 80))])
    y, path = M.sum(axis=1) * 1.1, tmp_path / "r.html"
    if how == "all":
        l0np.calibrate(M, y).report(path)
        wanted = "classical calibration"
    elif how == "area":
        areas = ["a <b>", "c"] * 40
        l0np.calibrate(M, y, 20, groups_of_records=areas, at_least={"c": 5}, seed=0).report(path)
        wanted = "a &lt;b&gt;"
    elif how == "path":
        l0np.l0_path(M, y, [20], seed=0).answers[0].report(path)
        wanted = "the settings of the path repeat it"
    elif how == "one weight":
        l0np.calibrate(M[:1], y[:1], 1, seed=0).report(path)
        wanted = "The target is met."
    else:
        M = np.vstack([M, np.r_[np.ones(40), -np.ones(40)]])
        l0np.calibrate(M, np.r_[y, 0.0], 20, seed=0).report(path)
        wanted = "1 target of 0 or of another sign not shown"
    assert wanted in path.read_text(encoding="utf-8")


def test_a_stopped_run_says_so(tmp_path):
    M = np.random.default_rng(0).lognormal(size=(9, 200))
    answer = l0np.calibrate(M, M.sum(axis=1), 40, seed=0, callbacks=[lambda report: True])
    answer.report(tmp_path / "r.html")
    assert "The run was stopped before its end" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_every_method_is_described():
    assert set(METHODS) == {"all", *SELECTIONS} - {"auto"}


@pytest.mark.slow  # 1,000 groups are summed up, and five pictures drawn
def test_40_000_targets_take_less_than_10_megabytes(tmp_path):
    large(tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 10e6


@pytest.mark.slow  # draws ten pictures
def test_the_same_answer_gives_the_same_page_but_for_the_time(tmp_path):
    pages = []
    for name in ("a.html", "b.html"):
        small(tmp_path / name)
        pages.append(re.sub("Written by .*", "", (tmp_path / name).read_text(encoding="utf-8")))
    assert pages[0] == pages[1]


def test_numbers_and_errors_as_they_are_shown():
    numbers = (0, 0.5, 999.96, 1000.4, -1234567.8, 1e-7, np.nan)
    assert [shown_number(value) for value in numbers] == [
        "0", "0.5", "1000", "1,000", "-1,234,568", "1e-07", "-",
    ]  # fmt: skip
    errors = (0.0, -1e-7, 2e-5, -0.1234, 250.0, np.nan)
    assert [shown_error(value) for value in errors] == ["0.00%", "0.00%", "<0.01%", "-12.34%", "250x", "-"]


@pytest.mark.parametrize(
    ("path", "options", "error", "message"),
    [
        ("r.pdf", {}, InputError, "must end in .html or .htm"),
        ("none/r.html", {}, InputError, "there is no folder"),
        ("r.html", {"title": 3}, InputTypeError, "title must be a string"),
        ("r.html", {"repeat": ["l0np"]}, InputTypeError, "repeat must be a string"),
        ("r.html", {"name": "x"}, InputTypeError, "Calibration.report has no argument"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, written, path, options, error, message):
    with pytest.raises(error, match=message):
        written[0].report(tmp_path / path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_fails_leaves_the_old_one(tmp_path, written, monkeypatch):
    (tmp_path / "r.html").write_text("old")
    import os

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        written[0].report(tmp_path / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    assert (tmp_path / "r.html").read_text() == "old"


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named(tmp_path, written, monkeypatch, package):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else real(name))
    with pytest.raises(MissingPackageError, match=f'{package}, which is not installed.*extra "report"'):
        written[0].report(tmp_path / "r.html")
    assert "jinja2" in sys.modules
