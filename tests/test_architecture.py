"""The floors: a module imports only from floors below its own, or from its own without a circle."""

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support import JIT_DISABLED, needs_numba

import l0np

PACKAGE = Path(l0np.__file__).parent
FLOORS = [
    {
        "errors", "validation", "row_validation", "namespace", "jit", "matrix", "matrix_kernels", "entries", "row_dependence",
    },
    {
        "elementary", "hard_concrete", "links", "losses", "optimizers", "schedules", "penalties", "noise", "metrics", "targets",
        "aggregates", "tables", "diagnostics", "findings", "distances", "feasibility",
    },
    {
        "state", "training", "governor", "callbacks", "communicator", "backends", "backends.base", "backends.numpy",
        "backends.numba", "backends.numba_kernels", "backends.constants", "backends.cupy", "backends.cuda_matrix",
        "backends.cuda_inputs", "rounding", "flight", "flight_kernels", "landing", "swaps", "exchange", "refit",
        "newton_systems", "least_squares", "subsets", "spike_slab", "spike_slab_kernels",
    },
    {"model", "calibration", "sparse"},
    {"target_checks", "selection", "paths", "feature_selection", "regression_path"},
    {"__init__"},
]  # fmt: skip
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}
OPTIONAL = {  # package: the only modules that may import it
    "numba": {"jit", "backends.numba", "backends.numba_kernels"},
    "cupy": {"backends.cupy"},
    "cupyx": {"backends.cuda_inputs"},
    "mpi4py": set(),
    "matplotlib": set(),
    "pandas": {"tables"},
    "sklearn": set(),
    "torch": set(),
}
AT_IMPORT = {
    name: {"numba"} for name in ("jit", "backends.numba", "backends.numba_kernels")
}  # files loaded only where numba is used


def modules():
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text())


MODULES = dict(modules())


def imports(tree, *, at_import_only=False):
    """Yield (module, names) of each import; only those that run when the file is loaded, if asked."""
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if at_import_only and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, tuple(alias.name for alias in node.names)


def own(tree):
    """Yield the package's modules that a module imports."""
    for module, names in imports(tree):
        if module == "l0np":
            yield from (name if name in MODULES else "__init__" for name in names)
        elif module.startswith("l0np."):
            inner = module.removeprefix("l0np.")
            yield from (f"{inner}.{name}" if f"{inner}.{name}" in MODULES else inner for name in names)


def test_every_module_has_a_floor():
    assert set(MODULES) == set(FLOOR)


@pytest.mark.parametrize("name", sorted(FLOOR))
def test_no_upward_imports(name):
    for imported in own(MODULES[name]):
        assert FLOOR[imported] <= FLOOR[name], f"{name} (floor {FLOOR[name]}) imports {imported} (floor {FLOOR[imported]})"


def test_no_circles():
    graph = {name: set(own(tree)) - {name} for name, tree in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_optional_packages_stay_in_their_files():
    for name, tree in MODULES.items():
        for module, _ in imports(tree):
            package = module.split(".")[0]
            assert name in OPTIONAL.get(package, {name}), f"{name} imports {package}"
        loaded = {module.split(".")[0] for module, _ in imports(tree, at_import_only=True)}
        assert loaded & set(OPTIONAL) <= AT_IMPORT.get(name, set()), f"{name} imports an optional package when it is loaded"


def loaded_by(code):
    output = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    ).stdout
    return set(output.split())


def test_import_is_light():
    """NumPy alone, without the parts of it that only array-api-compat's wrapper would load."""
    loaded = loaded_by("import l0np")
    assert "l0np.calibration" in loaded
    packages = {"numba", "scipy", "array_api_compat", "cupy", "pandas", "torch", "matplotlib"}
    assert not {name.split(".")[0] for name in loaded} & packages
    assert not loaded & {"numpy.f2py", "numpy.testing"}


@needs_numba
@pytest.mark.skipif(JIT_DISABLED, reason="NUMBA_DISABLE_JIT: nothing is compiled")
def test_numba_is_loaded_when_a_model_asks_for_it():
    assert "numba" in loaded_by("import l0np; l0np.SparseL0Linear(3)")
    assert "numba" not in loaded_by("import l0np; l0np.SparseL0Linear(3, device='numpy')")


def test_one_loop():
    """Nobody but training and the backends' repeat loops over epochs."""
    for name, tree in MODULES.items():
        calls = {
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func) != "np.repeat"
        }
        assert name == "training" or not calls & {"repeat", "step"}, f"{name} runs epochs"
