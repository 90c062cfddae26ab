"""What continuous integration and developers run; `nox --list` names the sessions."""

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["tests", "without_numba", "coverage"]
nox.options.default_venv_backend = "venv"


@nox.session
def tests(session: nox.Session) -> None:
    """Run the whole test suite."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def without_numba(session: nox.Session) -> None:
    """Run the test suite where Numba is not installed: everything works, on NumPy."""
    session.install(".[test]")
    session.run("pip", "uninstall", "--yes", "--quiet", "numba", "llvmlite")
    session.run("pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Count the lines that the tests run, kernels included: these run as plain Python, so the slowest tests skip themselves."""
    session.install(".[test]", "coverage")
    session.run("pip", "uninstall", "--yes", "--quiet", "l0np")  # so that the checkout is what is measured
    environment = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.getcwd()}
    session.run("coverage", "run", "-m", "pytest", *session.posargs, env=environment)
    session.run("coverage", "report")


@nox.session
def kernels(session: nox.Session) -> None:
    """Compile every CUDA kernel with NVRTC from its wheel, which needs no device; about 200 MB are installed."""
    session.install(".[test]", "cuda-bindings==13.*", "nvidia-cuda-nvrtc")
    session.run("pytest", "tests/backends/cuda/test_compile.py", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """On a machine with a CUDA device: run the tests on it, look for races and stray accesses, measure.

    CUDA_EXTRA=cuda12 takes CuPy for CUDA 12. The rivals PyTorch and l0-python are installed too, to be measured beside.
    """
    session.install(f".[test,{os.environ.get('CUDA_EXTRA', 'cuda13')}]", "torch", "l0-python")
    probe = "import sys; from l0np.backends.cuda import why_unavailable; sys.exit(why_unavailable(0))"
    session.run("python", "-c", probe)  # says what is missing
    session.run("pytest", "tests", "-k", "cuda or test_readme", *session.posargs)
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer:
        shapes = "cuda and (31 or 33 or entr or long or dense or short)"  # small ones, that launch every variant of the kernels
        small = ["python", "-m", "pytest", "-x", "-q", "tests/backends/test_conformance.py", "-k", shapes]
        for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
            session.run(sanitizer, "--tool", tool, "--error-exitcode", "1", *small, external=True)
    else:
        session.warn("compute-sanitizer is not installed: races and stray accesses were not looked for")
    session.run("python", "benchmarks/gpu.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the package's types, strictly."""
    session.install(".", "mypy")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples in docstrings."""
    session.install(".[test]")
    session.run("pytest", "--doctest-modules", "l0np")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and the source archive, install the wheel, and run the tests and the examples against it elsewhere."""
    session.install("build")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder)
        (built,) = Path(folder).glob("*.whl")
        session.install(f"{built}[test]")
        root = Path.cwd()
        session.chdir(folder)  # so that the checkout's package cannot be imported
        session.run("python", "-c", f"import l0np; assert not l0np.__file__.startswith({str(root / 'l0np')!r}), l0np.__file__")
        session.run("pytest", "-c", str(root / "pyproject.toml"), "--rootdir", str(root), str(root / "tests"))
        session.chdir(root)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the epoch against its rivals and write benchmarks/results; takes about half an hour on a quiet machine."""
    session.install(".[bench]")
    rivals = Path(session.create_tmp()) / "rivals"
    python = str(rivals / "bin" / "python")
    session.run("python", "-m", "venv", str(rivals))
    session.run(python, "-m", "pip", "install", "--quiet", "torch==2.13.0", "l0-python", external=True)
    session.run("python", "benchmarks/cpu.py", "--rival-python", python, *session.posargs)
