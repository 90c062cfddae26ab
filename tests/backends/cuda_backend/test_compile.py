"""Every CUDA kernel compiles for real devices, by nvcc and by NVRTC, without warnings and spills."""

import re
import shutil
import subprocess
from importlib.util import find_spec

import pytest
from cuda_on_gxx import kernel_expressions

from l0np.backends.cuda.source import OPTIONS, kernel_names, source

NVCC = shutil.which("nvcc")
NAMES = kernel_expressions()
ARCHITECTURES = ["sm_80", "sm_90"]
COMMON = [*OPTIONS, "-ftz=true"]  # which CuPy adds


def test_the_kernels_that_are_compiled_are_those_that_the_backend_asks_for():
    asked = {
        name
        for dtype in ("float32", "float64")
        for index, shared in (("uint16", True), ("uint16", False), ("int32", False))
        for lanes in (8, 32)
        for name in kernel_names(dtype, index, lanes, shared).values()
    }
    assert asked == set(kernel_expressions())


@pytest.mark.slow  # compiles every variant of the kernels
@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvcc(architecture, tmp_path):
    table = ", ".join(f"(const void*)&{name}" for name in NAMES)
    file = tmp_path / "kernels.cu"
    file.write_text(f"{source()}\nconst void* l0np_kernels[] = {{{table}}};\n")
    options = [
        *COMMON,
        f"-arch={architecture}",
        "-cubin",
        "-Xptxas",
        "-v,-warn-spills",
        "-Werror",
        "all-warnings",
    ]
    command = [NVCC, *options, "-o", str(tmp_path / "kernels.cubin"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert len(spills) >= len(NAMES)
    assert set(spills) == {("0", "0")}
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", done.stderr)]
    assert max(registers) <= 128  # blocks of 512 threads in float64, of 1,024 with 64 registers in float32


@pytest.mark.slow  # compiles every variant of the kernels
@pytest.mark.skipif(
    find_spec("cuda") is None or find_spec("cuda.bindings") is None,
    reason="cuda-bindings and NVRTC are not installed",
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvrtc(architecture):
    """As CuPy does it, with its options and its way from expressions to names; there are no headers."""
    from cuda.bindings import nvrtc

    def call(function, *arguments):
        status, *results = function(*arguments)
        assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, status
        return results

    (program,) = call(nvrtc.nvrtcCreateProgram, source().encode(), b"kernels.cu", 0, [], [])
    for name in NAMES:
        call(nvrtc.nvrtcAddNameExpression, program, name.encode())
    options = [*COMMON, f"-arch={architecture}", "--device-as-default-execution-space"]
    options += ["--ptxas-options=-warn-spills", "--ptxas-options=-Werror"]
    status, *_ = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    (size,) = call(nvrtc.nvrtcGetProgramLogSize, program)
    log = b" " * size
    call(nvrtc.nvrtcGetProgramLog, program, log)
    text = log.decode().strip("\0 \n")
    assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, text[-3000:]
    assert "warning" not in text, text[-3000:]
    (size,) = call(nvrtc.nvrtcGetCUBINSize, program)
    cubin = b" " * size
    call(nvrtc.nvrtcGetCUBIN, program, cubin)
    for name in NAMES:
        (mangled,) = call(nvrtc.nvrtcGetLoweredName, program, name.encode())
        assert mangled + b"\0" in cubin  # what CuPy asks the loaded module for
