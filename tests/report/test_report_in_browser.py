"""The report in Debian's Chromium: no error, sorting, searching, filters, no sideways scrolling, axe-core.

They need selenium, /usr/bin/chromium and chromedriver; axe-core is read from the folder that the environment
variable AXE_CORE names, or from node_modules/axe-core of the working directory.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from reported import END, SCRIPT, large, small

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("jinja2", reason="jinja2 is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")
CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core")) / "axe.min.js"
PHONE, DESK = 360, 1280  # pixels

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium or chromedriver is missing"),
    pytest.mark.slow,  # a browser starts
]


@pytest.fixture(scope="module")
def browser():
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    return small(path), path


@pytest.fixture(scope="module")
def written_large(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "large.html"
    large(path)
    return path


def show(browser, path, width=DESK, scheme="light"):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(path.as_uri())


def column(browser, number):
    cells = "(row) => row.children[arguments[0]].textContent"
    script = f"return [...document.querySelectorAll('#rows tr')].map({cells})"
    return browser.execute_script(script, number)


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def choose(browser, selector, value, event="change"):
    script = "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
    browser.execute_script(f"{script} e.dispatchEvent(new Event(arguments[2]))", selector, value, event)


def shown(browser):
    return browser.execute_script("return document.getElementById('shown').textContent")


def test_there_is_no_error_and_no_name_becomes_a_script(browser, written):
    show(browser, written[1])
    assert browser.get_log("browser") == []
    assert len(browser.execute_script("return [...document.scripts].map(String)")) == 2
    assert browser.title == f"Of {SCRIPT}"


def test_the_script_shows_what_the_page_held_already(browser, written):
    """`shown_number` and `shown_error` are in Python and in JavaScript."""
    html = written[1].read_text(encoding="utf-8")
    show(browser, written[1])
    script = """
        const page = new DOMParser().parseFromString(arguments[0], "text/html");
        const rows = (where) => where.querySelector("#rows").innerHTML.replace(/\\n/g, "");
        return [rows(page), rows(document)];
    """
    before, after = browser.execute_script(script, html)
    assert before == after
    assert before.count("<tr>") == 25


def test_headers_sort(browser, written):
    answer, path = written
    show(browser, path)
    table = answer.targets
    worst = table.worst(60)
    assert column(browser, 0) == worst.name[:25].tolist()
    click(browser, "th[data-column=error] button")
    assert column(browser, 0) == worst.name[:34:-1].tolist()
    click(browser, "th[data-column=target] button")
    assert column(browser, 0) == table.name[np.argsort(-table.target, kind="stable")][:25].tolist()
    assert browser.execute_script("return document.querySelector('[aria-sort]').dataset.column") == "target"
    click(browser, "th[data-column=name] button")
    assert column(browser, 0)[:5] == [SCRIPT, END, "target 2", "target 3", "target 4"]  # 10 is not before 2


def test_search_and_filters(browser, written):
    answer, path = written
    show(browser, path)
    choose(browser, "#search", "SCRIPT alert", "input")
    assert column(browser, 0) == [SCRIPT]
    assert shown(browser) == "Targets 1 to 1 of 1 (of 60)"
    choose(browser, "#search", "no such target", "input")
    assert column(browser, 0) == []
    assert shown(browser).startswith("No target fits")
    choose(browser, "#search", "", "input")
    choose(browser, "#by-status", "held out")
    assert set(column(browser, 0)) == {"target 7", "target 8"}
    choose(browser, "#by-status", "missed")
    assert f"of {int(answer.targets.missed.sum())} (of 60)" in shown(browser)
    choose(browser, "#by-status", "")
    options = "return [...document.querySelectorAll('#by-group option')].map((o) => [o.value, o.textContent])"
    for value, label in browser.execute_script(options)[1:]:
        choose(browser, "#by-group", value)
        assert set(column(browser, 6)) == {label}
        assert shown(browser) == "Targets 1 to 20 of 20 (of 60)"


def test_pages_are_turned_by_keyboard(browser, written):
    from selenium.webdriver.common.keys import Keys

    answer, path = written
    show(browser, path)
    names = answer.targets.worst(60).name
    browser.execute_script("document.getElementById('next').focus()")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert column(browser, 0) == names[25:50].tolist()
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    assert column(browser, 0) == names[50:].tolist()
    assert browser.switch_to.active_element.get_attribute("id") == "previous"  # next can no more be used


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_no_violation_and_nothing_scrolls_sideways(browser, written, width, scheme):
    if not AXE.exists():
        pytest.skip(f"axe-core is missing: npm install axe-core, and AXE_CORE={AXE.parent} names its folder")
    show(browser, written[1], width, scheme)
    sizes = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    wide, screen = browser.execute_script(sizes)
    assert wide <= screen
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    found = browser.execute_async_script(
        AXE.read_text(encoding="utf-8") + "; axe.run({resultTypes: ['violations']}).then(arguments[0])"
    )
    assert [(one["id"], [node["html"] for node in one["nodes"][:3]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20


def test_40_000_targets_are_sorted_and_searched(browser, written_large):
    show(browser, written_large)
    assert shown(browser) == "Targets 1 to 25 of 40,000"
    click(browser, "th[data-column=name] button")
    assert column(browser, 0)[0] == "number of persons in region 0 of age 0"
    choose(browser, "#search", "999 age 39", "input")
    assert column(browser, 0) == ["number of persons in region 999 of age 39"]
    assert browser.get_log("browser") == []
