"""The rooms of the package and the one direction of imports between them.

A room is a folder of the package or a file at its top. It imports from rooms further down in `ROOMS`, through
what their `__init__` exports, and from itself.
"""

import ast
import os
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support import JIT_DISABLED, needs_numba

import l0np

PACKAGE = Path(l0np.__file__).parent
ROOMS = (  # from the top floor down
    "cli",
    "mpi",
    "__init__",
    "distributions",
    "layers",
    "penalties",
    "gates",
    "sklearn",
    "selection",
    "regression",
    "calibration",
    "sparse",
    "models",
    "diagnostics",
    "callbacks",
    "backends",
    "backends.cuda",
    "backends.numba",
    "backends.numpy",
    "engine",
    "refit",
    "sampling",
    "margin_tables",
    "report",
    "plots",
    "targets",
    "matrix",
    "tables",
    "schedules",
    "inputs",
    "maths",
    "errors",
    "_text",
    "_jit",
    "_namespace",
)
MOST_ROOMS, MOST_ARROWS = 40, 190  # 15 of them from the list of public names; a new face adds five or so
MOST_PARAMETERS = 8  # of functions that are not public; more become a record
NUMBA_FILES = ("threads", "kernels", "elementary_kernels", "vector_instructions")
OPTIONAL = {  # package: the only modules that may import it
    "numba": {"_jit", *(f"backends.numba.{name}" for name in NUMBA_FILES)},
    "cupy": {"backends.cuda.availability", "backends.cuda.backend"},
    "cupyx": {"backends.cuda.device_input"},
    "mpi4py": {"mpi.world"},
    "matplotlib": {"plots.figures"},
    "pandas": {"targets.table"},
    "polars": {"tables.files"},
    "pyarrow": set(),
    "duckdb": set(),
    "typer": {"cli.app"},
    "rich": {"cli.steps"},
    "sklearn": {"sklearn.base"},
    "tqdm": {"callbacks.bars"},
    "jinja2": {"report.page"},
    "markupsafe": {"report.page"},  # which jinja2 installs
    "torch": set(),
}
# The files that are loaded only where the package is used
LOADED_WITH = {
    **{name: {"numba"} for name in OPTIONAL["numba"]},
    "cli.app": {"typer"},
    "plots.figures": {"matplotlib"},
    "sklearn.base": {"sklearn"},
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text())


MODULES = dict(modules())
FOLDERS = {name for name in MODULES if (PACKAGE / name.replace(".", "/") / "__init__.py").exists()}


def room_of(module):
    return module if module in FOLDERS or "." not in module else module.rpartition(".")[0]


@cache
def nodes(tree, at_import_only=False):
    """Return the nodes of a file; without those inside functions, if asked."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not (at_import_only and isinstance(node, ast.FunctionDef | ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found


def imports(tree, *, at_import_only=False):
    """Yield (module, names) of each import; only those that run when the file is loaded, if asked."""
    for node in nodes(tree, at_import_only):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, tuple(alias.name for alias in node.names)


@cache
def own(tree):
    """Return (module, name) of each import of the package's own; of a whole module the name is empty."""
    found = []
    for module, names in imports(tree):
        if module == "l0np" or module.startswith("l0np."):
            inner = module.removeprefix("l0np").removeprefix(".")
            for name in names:
                whole = f"{inner}.{name}".removeprefix(".")
                found.append((whole, "") if whole in MODULES else (inner or "__init__", name))
    return found


@cache
def arrows():
    """Return the ordered pairs of rooms of which the first imports from the second."""
    pairs = {(room_of(name), room_of(module)) for name, tree in MODULES.items() for module, _ in own(tree)}
    return {(user, used) for user, used in pairs if user != used}


@cache
def exported(room):
    """Return what a folder's `__init__` offers to other rooms."""
    (assigned,) = (
        node.value
        for node in MODULES[room].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return set(ast.literal_eval(assigned))


def functions(tree):
    return (node for node in nodes(tree) if isinstance(node, ast.FunctionDef))


def test_every_room_is_in_the_table():
    assert {room_of(name) for name in MODULES} == set(ROOMS)


def test_no_upward_imports():
    floor = {room: number for number, room in enumerate(ROOMS)}
    assert {room for arrow in arrows() for room in arrow} <= set(ROOMS), "a room is missing in ROOMS"
    assert [(user, used) for user, used in sorted(arrows()) if floor[user] > floor[used]] == []


def test_the_house_stays_small():
    assert len(ROOMS) <= MOST_ROOMS
    assert len(arrows()) <= MOST_ARROWS


def test_no_circles_within_rooms():
    graph = {
        name: {module for module, _ in own(tree)} - {name}
        for name, tree in MODULES.items()
        if name not in FOLDERS
    }
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_rooms_use_of_each_other_only_what_is_exported(name):
    for module, imported in own(MODULES[name]):
        room = room_of(module)
        if room == room_of(name):
            continue
        assert module == room or module.rpartition(".")[2] in exported(room), f"{name} reaches into {module}"
        if imported and room in FOLDERS and module == room:
            assert imported in exported(room), f"{name} imports {imported}, which {room} does not export"
        assert not imported.startswith("_"), f"{name} imports the private {module}.{imported}"


@pytest.mark.parametrize("room", sorted(FOLDERS))
def test_a_room_says_what_it_is_for(room):
    words = ast.get_docstring(MODULES[room]) or ""
    assert len(words.split()) >= 15, f"{room}/__init__.py must say in a paragraph what the room is for"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not name.endswith("kernels")))
def test_private_functions_take_few_parameters(name):
    public = set().union(*(exported(room) for room in FOLDERS))
    methods = {
        id(f): c.name for c in nodes(MODULES[name]) if isinstance(c, ast.ClassDef) for f in functions(c)
    }
    for function in functions(MODULES[name]):
        of_class = methods.get(id(function))
        if (
            function.name == "__init__"
            or function.name in public
            or (of_class and function.name in ("fit", "refit"))
            or any(ast.unparse(one).startswith("app.command") for one in function.decorator_list)
        ):
            continue
        arguments = function.args
        taken = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        count = len([a for a in taken if a not in ("self", "cls")])
        assert count <= MOST_PARAMETERS, (
            f"{name}.{function.name} takes {count} parameters: make a record of them"
        )


def test_optional_packages_stay_in_their_files():
    for name, tree in MODULES.items():
        for module, _ in imports(tree):
            package = module.split(".")[0]
            assert name in OPTIONAL.get(package, {name}), f"{name} imports {package}"
        loaded = {module.split(".")[0] for module, _ in imports(tree, at_import_only=True)}
        allowed = LOADED_WITH.get(name, set())
        assert loaded & set(OPTIONAL) <= allowed, f"{name} imports an optional package when it is loaded"


LOADING = """
import sys
import l0np
print(*sys.modules)
l0np.SparseL0Linear(3, device="numpy")
print(*sys.modules)
l0np.SparseL0Linear(3)
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded():
    """What is loaded with the package, then with a model on NumPy, then with a model on the CPU."""
    command = [sys.executable, "-c", LOADING]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_import_is_light(loaded):
    """NumPy alone, without the parts of it that only array-api-compat's wrapper would load."""
    with_the_package = loaded[0]
    assert "l0np.calibration" in with_the_package
    packages = {"numba", "scipy", "array_api_compat", "cupy", "pandas", "torch", "matplotlib"}
    packages |= {"narwhals", "polars", "pyarrow", "duckdb", "sklearn"}
    assert not {name.split(".")[0] for name in with_the_package} & packages
    assert not with_the_package & {"numpy.f2py", "numpy.testing"}


@needs_numba
@pytest.mark.skipif(JIT_DISABLED, reason="NUMBA_DISABLE_JIT: nothing is compiled")
def test_numba_is_loaded_when_a_model_asks_for_it(loaded):
    assert ["numba" in names for names in loaded] == [False, False, True]


def test_one_loop():
    """Nobody but training loops over epochs; a backend may pass its part of one on to another backend."""
    for name, tree in MODULES.items():
        if name == "engine.training" or name.startswith("backends."):
            continue
        calls = {
            node.func.attr
            for node in nodes(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func) != "np.repeat"
        }
        assert not calls & {"repeat", "step"}, f"{name} runs epochs"
