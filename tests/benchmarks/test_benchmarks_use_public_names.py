"""The benchmarks use the names of the package that are meant for use, as users do."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import l0np

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
EXCEPTION = "stages.py"  # profiles the inside of the compiled epoch, for which no public name exists
pytestmark = pytest.mark.skipif(not SCRIPTS, reason="the benchmarks are not here")


def trees(path):
    """Yield the script, and each string in it that is a script of its own, run in another process."""
    tree = ast.parse(path.read_text())
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and re.search(r"\nimport .*\n", str(node.value)):
            yield ast.parse(node.value)


def imported(tree):
    """Yield (module, name) for each name that is imported from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "l0np":
            yield from ((node.module, alias.name) for alias in node.names)
        if isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.startswith("l0np.")]


@pytest.mark.parametrize(
    "path", [path for path in SCRIPTS if path.name != EXCEPTION], ids=lambda path: path.name
)
def test_benchmarks_import_what_the_package_exports(path):
    for tree in trees(path):
        for module, name in imported(tree):
            assert name in importlib.import_module(module).__all__, f"{path.name}: {module}.{name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "l0np":
                assert node.attr in l0np.__all__, f"{path.name}: l0np.{node.attr}"
