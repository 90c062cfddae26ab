"""The CUDA kernels compiled by g++: the unmodified source, with what it needs of CUDA in cuda_shim.h."""

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

GXX = shutil.which("g++")
SHIM = Path(__file__).parent / "cuda_shim.h"
FOLDER = Path(tempfile.gettempdir()) / "l0np-shim"
FLAGS = ["-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared"]
FLAGS += ["-fno-extern-tls-init", "-Wno-unknown-pragmas"]
# 16-bit indices with sums in shared memory or not; rows that need wider ones are too many for the shared
# memory of any card
INDEX_AND_SHARED = [("u16", "true"), ("u16", "false"), ("int", "false")]


def kernel_expressions():
    """Return the C++ name of every kernel that the backend can ask for."""
    names = ["weigh", "row_exponents", "add_children", "copy_rows", "add_parents"]
    for t in ("float", "double"):
        names += [f"{name}<{t}>" for name in ("rows", "gradients", "scale_rows", "intercept")]
        for name in ("row_extremes", "row_sums", "scale_entries"):
            names += [f"{name}<{t}, {i}>" for i in ("u16", "int")]
        for lanes in (8, 32):
            names += [f"rmatvec<{t}, {i}, {lanes}>" for i in ("u16", "int")]
            for name in ("columns", "matvec"):
                names += [f"{name}<{t}, {i}, {lanes}, {shared}>" for i, shared in INDEX_AND_SHARED]
    return names


@cache
def library(code):
    """Compile the kernels once for each source; return the loaded library and the index of each kernel."""
    names = kernel_expressions()
    table = "".join(f"    {{&shim::Launcher<&{name}>::run}},\n" for name in names)
    source = (
        f'#include "{SHIM}"\n{code}\nstatic shim::Entry entries[] = {{\n{table}}};\n'
        'extern "C" void l0np_launch(int i, void** a, unsigned grid, unsigned block, unsigned shared,'
        " int backwards) {\n"
        "    entries[i].run(a, grid, block, shared, backwards);\n}\n"
    )
    digest = hashlib.sha256((source + str(FLAGS) + SHIM.read_text()).encode()).hexdigest()[:20]
    FOLDER.mkdir(exist_ok=True)
    built = FOLDER / f"{digest}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            file, partial = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
            file.write_text(source)
            command = [GXX, *FLAGS, str(file), "-o", str(partial)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"g++ cannot compile the kernels:\n{done.stderr[:4000]}")
            partial.replace(built)
    return ctypes.CDLL(str(built)), {name: index for index, name in enumerate(names)}
