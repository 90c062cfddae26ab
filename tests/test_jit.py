"""Numba's cache of compiled kernels: what it notices, and what happens where it cannot be trusted."""

import ast
import importlib
import os
import shutil
import sys
from pathlib import Path

import pytest
from support import HAS_NUMBA, JIT_DISABLED, needs_numba

import l0np

pytestmark = [needs_numba, pytest.mark.skipif(JIT_DISABLED, reason="NUMBA_DISABLE_JIT: nothing is compiled")]
if HAS_NUMBA:
    from l0np._jit import KERNEL_FILES, PACKAGE, kernel_files

KERNELS = """
from small import plain
from small._jit import helper, jit
from small.constants import TEN
from small.more_kernels import UNIT, twice

add_hundred = helper(plain.add_hundred)

@helper
def outer(x):
    return add_hundred(x) + twice(x)

@jit
def kernel(x):
    return outer(x) + TEN + UNIT
"""
MORE_KERNELS = """
from small._jit import helper

UNIT = 1

@helper
def twice(x):
    return 2 * x
"""
PLAIN = """
def add_hundred(x):
    return x + 100
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A function that calls a kernel whose helpers and constants stand in other files of a package."""
    folder = tmp_path / "small"
    folder.mkdir()
    shutil.copy(Path(PACKAGE) / "_jit.py", folder)
    files = {
        "__init__": "",
        "kernels": KERNELS,
        "more_kernels": MORE_KERNELS,
        "plain": PLAIN,
        "constants": "TEN = 10\n",
    }
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python's own cache looks at times only

    def call(change=None):
        """Import all of it anew, after a change; return kernel(1) and whether the cache knew it."""
        if change:
            name, old, new = change
            path = folder / f"{name}.py"
            before, text = path.stat(), path.read_text()
            assert len(old) == len(new)
            assert old in text
            path.write_text(text.replace(old, new))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as archives with fixed times do
        for name in [name for name in sys.modules if name.split(".")[0] == "small"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        kernel = importlib.import_module("small.kernels").kernel
        return kernel(1), sum(kernel.stats.cache_hits.values()) == 1

    yield call
    for name in [name for name in sys.modules if name.split(".")[0] == "small"]:
        del sys.modules[name]


CHANGES = {
    "a helper in another file of kernels": (("more_kernels", "2 * x", "3 * x"), 115),
    "a constant there": (("more_kernels", "UNIT = 1", "UNIT = 2"), 115),
    "a constant in constants.py": (("constants", "10", "11"), 115),
    "a plain function that has become a helper": (("plain", "100", "101"), 115),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_cached_kernel_notices(what, small):
    change, expected = CHANGES[what]
    assert small() == (114, False)
    assert small() == (114, True)
    assert small(change) == (expected, False)
    assert small() == (expected, True)


def test_a_numba_whose_cache_is_made_differently_costs_the_cache_and_nothing_else(small, monkeypatch):
    from numba.core import caching

    class Other(caching.IndexDataCacheFile):
        def _load_index(self):
            return {}

    monkeypatch.setattr(caching, "IndexDataCacheFile", Other)
    assert small() == (114, False)
    assert sys.modules["small.kernels"].kernel.stats.cache_path is None


def test_kernels_take_constants_only_from_files_that_stamps_cover():
    """And functions from anywhere, through `helper`."""
    package = Path(l0np.__file__).parent
    covered = {str(Path(path).relative_to(package).with_suffix("")) for path in kernel_files(PACKAGE)}
    assert "backends/numba/kernels" in covered
    for name in covered - {"backends/numpy/constants"}:
        tree = ast.parse((package / f"{name}.py").read_text())
        helpers = {
            ast.unparse(call.args[0])
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "helper"
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("l0np"):
                module = node.module.removeprefix("l0np.").replace(".", "/")
                names = {alias.name for alias in node.names}
                modules = {f"{module}/{name}" for name in names}
                fine = module == "_jit" or module in covered or names <= helpers or modules <= covered
                assert fine, (
                    f"{name} imports {ast.unparse(node)}: the names of such files hold one of {KERNEL_FILES}"
                )
