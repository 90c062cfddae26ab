"""The pages in docs/: every public name is on one, every block of code runs, and links lead somewhere.

`nox -s docs` builds the pages, which runs their code; these tests need no Sphinx.
"""

import importlib
import re
from pathlib import Path

import pytest

import l0np

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
GUIDES = [*sorted(ROOT.glob("*.md")), ROOT / "examples" / "README.md", ROOT / "benchmarks" / "README.md"]
FRONT = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n"
# Subpackages with names for users; their `__all__` also holds what other subpackages use
PUBLIC = ("callbacks", "errors", "gates", "layers", "mpi", "penalties", "plots", "schedules", "sklearn")
NOT_FOR_USERS = {
    "mpi": {"is_launched"},
    "callbacks": {"Callbacks", "Stages", "calibration_report", "regression_report", "stage_report"},
    "plots": {"answer_figure", "new_figure", "path_figure", "svg_of"},
}
NOT_RUN = {
    "numbers.md": ["import svy", "library(survey)"],
    "gpus.md": [".[cuda13]"],
    "ranks.md": [".[cli,mpi]", "mpiexec", "World()"],  # tests/mpi runs both
    "index.md": ["venv", "@article"],
}


def documented():
    """Return the objects that the pages of the reference list."""
    found = []
    for page in (DOCS / "api").glob("*.md"):
        module = "l0np"
        for line in page.read_text().splitlines():
            current = re.fullmatch(r"\.\. currentmodule:: ([\w.]+)", line)
            if current:
                module = current[1]
            name = re.fullmatch(r"   ([A-Za-z][\w.]*)", line)
            if name:
                owner, _, last = f"{module}.{name[1]}".rpartition(".")
                found.append(getattr(importlib.import_module(owner), last))
    return found


def public_names():
    for name in l0np.__all__:
        if name not in PUBLIC:
            yield f"l0np.{name}", getattr(l0np, name)
    for part in PUBLIC:
        if part == "sklearn":
            pytest.importorskip("sklearn")
        module = importlib.import_module(f"l0np.{part}")
        names = getattr(module, "__all__", None) or [n for n in vars(module) if defined_in(module, n)]
        for name in set(names) - NOT_FOR_USERS.get(part, set()):
            yield f"{module.__name__}.{name}", getattr(module, name)


def defined_in(module, name):
    thing = getattr(module, name)
    return isinstance(thing, type) and thing.__module__ == module.__name__ and not name.startswith("_")


def test_every_public_name_is_on_a_page():
    found = documented()
    missing = [name for name, thing in public_names() if not any(thing is one for one in found)]
    assert not missing
    assert len(found) > 60


def test_no_name_is_on_two_pages():
    found = documented()
    assert len({id(one) for one in found}) == len(found)


def blocks(page):
    return re.findall(r"^(`{3,}|:{3,})(.*?)\n(.*?)^\1$", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_block_of_code_runs(page):
    """Blocks that are not cells or commands are only shown: these few, which this project cannot run."""
    allowed = list(NOT_RUN.get(str(page.relative_to(DOCS)), []))
    for _, kind, text in blocks(page):
        if kind.startswith("{"):
            assert kind in (
                "{code-cell} ipython3", "{terminal}", "{eval-rst}", "{toctree}", "{warning}"
            ), kind  # fmt: skip
        else:
            assert any(part in text for part in allowed), text
            allowed = [part for part in allowed if part not in text]
    assert not allowed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_cells_are_run_in_a_folder_of_their_own(page):
    """Without the front matter, cells would only be shown."""
    text = page.read_text()
    cells = [body for _, kind, body in blocks(page) if kind.startswith("{code-cell}")]
    assert text.startswith(FRONT) == bool(cells)
    if cells:
        assert cells[0] == ":tags: [remove-cell]\n\nimport page_setup\n"


def test_the_table_of_speed_is_the_measured_one():
    measured = (ROOT / "benchmarks" / "results" / "cpu.md").read_text()
    (table,) = re.findall(r"\| problem \|.*?(?=\n\n)", measured, flags=re.DOTALL)
    page = (DOCS / "performance.md").read_text()
    assert table in page
    ratios = sorted(int(ratio) for ratio in re.findall(r"\*\*(\d+)\*\*", table))
    assert f"{ratios[0]} to {ratios[-1]} times as long as one of l0np" in page


def anchors(file):
    """Return the anchors of a file's headings, as Sphinx and code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("file", [*GUIDES, *PAGES], ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file):
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", file.read_text()):
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_contents():
    listed = {DOCS / "index.md"}
    for page in PAGES:
        for _, kind, text in blocks(page):
            if kind == "{toctree}":
                names = [line for line in text.splitlines() if re.fullmatch(r"[\w/]+", line)]
                listed |= {page.parent / f"{name}.md" for name in names}
    assert listed == set(PAGES)
