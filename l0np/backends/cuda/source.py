"""The source of the CUDA kernels, and what it shares with Python: clock, modes, switches and constants."""

from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

from l0np.backends.numpy import EpochConstants

# No contraction: a fused multiply-add rounds once where every other backend rounds twice, and the gates at
# the border between open and closed would differ.
OPTIONS = ("-std=c++17", "-fmad=false")
LIGHTEST = -900  # exponent of a weight that is practically zero
_C_NAMES = {"float32": "float", "float64": "double", "uint16": "u16", "int32": "int"}
_ENUMS, _COLUMN_MATHS = '#include "enums.h"', '#include "column_maths.cuh"'


class Clock(IntEnum):
    """Positions in the clock: int64 numbers through which kernels inform each other and the host."""

    EPOCH = 0  # epochs trained
    MODE = 1  # a `Mode`
    UNIT = 2  # E, of the unit of the sums of the next visit; see kernels.cu
    HEAVIEST = 3  # exponent of the heaviest weight met in this visit
    TICKETS = 4  # blocks of `rows` that are done
    FIRST_BAD = 5  # first epoch with a number that is not finite
    GATHERED = 6  # entries read for gradients, since the start
    SCATTERED = 7  # entries read for predictions, since the start
    CLOSED = 8  # gates drawn closed, since the start
    SCHEDULE_START = 9  # epoch of the first row of the schedule
    HEADROOM = 10  # of the matrix; see kernels.cu
    LIFT = 11  # of the matrix; see kernels.cu


class Mode(IntEnum):
    """What the next visit to the columns does."""

    START = 0  # draw gates
    TRAIN = 1  # train, then draw gates
    REPAIR = 2  # only scatter what was drawn, with another unit


class Switch(IntEnum):
    """Bits of the argument `switches`."""

    EXPONENTIAL = 1  # weights are exp(theta), not theta
    GATED = 2  # gates are drawn, not all 1


def enums() -> str:
    """Return the lists that the kernels share with Python as C++, so that each is written only once."""
    lists = {
        "Constant": [*(name.upper() for name in EpochConstants._fields), "N_CONSTANTS"],
        "Clock": [*(f"{position.name} = {position.value}" for position in Clock), "N_CLOCK"],
        "Mode": [f"{mode.name} = {mode.value}" for mode in Mode],
        "Switch": [f"{switch.name} = {switch.value}" for switch in Switch],
    }
    lines = [f"enum {name} {{ {', '.join(items)} }};" for name, items in lists.items()]
    return "\n".join([*lines, f"__device__ constexpr int LIGHTEST = {LIGHTEST};"])


@cache
def source() -> str:
    """Return the kernels as one string: CuPy's cache of kernels would not notice a changed header."""
    folder = Path(__file__).parent
    kernels = (folder / "kernels.cu").read_text(encoding="utf-8")
    column_maths = (folder / "column_maths.cuh").read_text(encoding="utf-8")
    return kernels.replace(_ENUMS, enums(), 1).replace(_COLUMN_MATHS, column_maths, 1)


def kernel_names(dtype: str, index_dtype: str, lanes: int, shared: bool) -> dict[str, str]:
    """Return the C++ name of each kernel for one kind of matrix."""
    real, index, flag = _C_NAMES[dtype], _C_NAMES[index_dtype], "true" if shared else "false"
    by_kind = {
        "columns": f"{real}, {index}, {lanes}, {flag}",
        "matvec": f"{real}, {index}, {lanes}, {flag}",
        "rmatvec": f"{real}, {index}, {lanes}",
    }
    by_kind |= dict.fromkeys(("rows", "gradients", "scale_rows", "intercept"), real)
    by_kind |= dict.fromkeys(("row_extremes", "row_sums", "scale_entries"), f"{real}, {index}")
    names = {name: f"{name}<{arguments}>" for name, arguments in by_kind.items()}
    return names | {
        "scale_wide_rows": "scale_rows<double>",
        "weigh": "weigh",
        "row_exponents": "row_exponents",
        "add_children": "add_children",
        "copy_rows": "copy_rows",
        "add_parents": "add_parents",
    }


@cache
def compiled_kernels(
    cupy: Any, device: int, dtype: str, index_dtype: str, lanes: int, shared: bool
) -> dict[str, Any]:
    """Compile the kernels for one kind of matrix and load them on the current device, number `device`."""
    del device  # only a key of the cache, because kernels are loaded on one device
    names = kernel_names(dtype, index_dtype, lanes, shared)
    module = cupy.RawModule(
        code=source(), options=OPTIONS, name_expressions=tuple(dict.fromkeys(names.values()))
    )
    kernels = {name: module.get_function(expression) for name, expression in names.items()}
    for kernel in kernels.values():
        kernel.compile()  # now: a module cannot be loaded while a graph is captured
    return kernels
