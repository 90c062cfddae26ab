"""What continuous integration and developers run; `nox --list` lists the sessions.

Arguments after `--` go to the command of the session: `nox -s tests -- -m "not slow"`.
"""

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["tests", "without_numba", "coverage"]
nox.options.default_venv_backend = "venv"

PARALLEL = ("-n", "auto", "--dist", "worksteal")  # pytest-xdist: one process for each core


@nox.session
def tests(session: nox.Session) -> None:
    """Run the whole test suite."""
    session.install(".[test]")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def without_numba(session: nox.Session) -> None:
    """Run the whole test suite without Numba: everything works on NumPy."""
    session.install(".[test]")
    session.run("pip", "uninstall", "--yes", "--quiet", "numba", "llvmlite")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines the tests run that are not slow.

    The kernels run as plain Python, so that their lines count; tests for which that is too slow are skipped.
    The slow tests run in the sessions `tests` and `without_numba`; they repeat what these do, more often or
    on larger problems, and hardly reach a line that these do not.
    """
    session.install(".[test]", "pytest-cov")
    session.run("pip", "uninstall", "--yes", "--quiet", "l0np")  # so that the checkout is measured
    environment = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.getcwd()}
    session.run("pytest", "--cov", "-m", "not slow", *PARALLEL, *session.posargs, env=environment)


@nox.session
def kernels(session: nox.Session) -> None:
    """Compile every CUDA kernel with NVRTC, which needs no device. Installs about 200 MB."""
    session.install(".[test]", "cuda-bindings==13.*", "nvidia-cuda-nvrtc")
    session.run("pytest", "tests/backends/cuda_backend/test_compile.py", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Test on a CUDA device, and run the benchmark there.

    compute-sanitizer, if it is installed, checks memory accesses. The session installs CuPy for CUDA 13, or
    for CUDA 12 if the environment variable CUDA_EXTRA is "cuda12", and the benchmark's rivals PyTorch and
    l0-python.
    """
    session.install(f".[test,{os.environ.get('CUDA_EXTRA', 'cuda13')}]", "torch", "l0-python")
    probe = "import sys; from l0np.backends.cuda import why_unavailable; sys.exit(why_unavailable(0))"
    session.run("python", "-c", probe)  # prints what is missing
    session.run("pytest", "tests", "-k", "cuda or test_readme", *session.posargs)
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer:
        # small problems, which launch every variant of the kernels
        shapes = "cuda and (31 or 33 or entr or long or dense or short)"
        small = ["python", "-m", "pytest", "-x", "-q", "tests/backends/test_conformance.py", "-k", shapes]
        for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
            session.run(sanitizer, "--tool", tool, "--error-exitcode", "1", *small, external=True)
    else:
        session.warn("compute-sanitizer is not installed: races and invalid memory accesses were not checked")
    session.run("python", "benchmarks/gpu.py")


@nox.session
@nox.parametrize("version", ["oldest", "newest"])
def sklearn(session: nox.Session, version: str) -> None:
    """Run scikit-learn's checks of estimators, with the oldest version that is supported and the newest."""
    session.install(".[test]")
    if version == "oldest":
        extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
        session.install(extras["sklearn"][0].replace(">=", "~=") + ".0")
    # without the variable the checks of the array API are skipped, and old versions refuse to be checked
    session.run(
        "pytest", "tests/sklearn_estimators", *PARALLEL, *session.posargs, env={"SCIPY_ARRAY_API": "1"}
    )


@nox.session
def report(session: nox.Session) -> None:
    """Test reports in Debian's Chromium, with axe-core from npm.

    Needs chromium, chromedriver and npm, which `apt-get install chromium chromium-driver npm` installs; tests
    skip with their reason where one is missing.
    """
    session.install(".[test]")
    folder = session.create_tmp()
    if shutil.which("npm"):
        session.run(
            "npm", "install", "--no-fund", "--no-audit", "--prefix", folder, "axe-core", external=True
        )
    else:
        session.warn("npm is not installed: accessibility was not checked")
    axe = str(Path(folder).resolve() / "node_modules" / "axe-core")
    session.run("pytest", "tests/report/test_report_in_browser.py", *session.posargs, env={"AXE_CORE": axe})


@nox.session
def mpi(session: nox.Session) -> None:
    """Run the tests of ranks, with the MPI library of the wheel mpich; it should take less than 3 minutes."""
    session.install(".[test,mpi]", "mpich")
    session.run("pytest", "tests/mpi", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package with mypy in strict mode."""
    session.install(".[cli]", "mypy")  # without typer its decorators would have no types
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples in the docstrings, and build the pages in build/docs.

    Every block of code of the pages runs. Whatever Sphinx warns of is an error: a link that leads nowhere, a
    docstring that is not numpydoc, a cell that fails or prints a warning.
    """
    session.install(".[test,docs,mpi]", "mpich")
    session.run("pytest", "--doctest-modules", "l0np")
    session.run(
        "sphinx-build", "-W", "--keep-going", "-E", "-b", "html", *session.posargs, "docs", "build/docs"
    )


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and the source archive, and test the installed wheel away from the checkout.

    Runs the tests that are not slow, and the examples.
    """
    session.install("build")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder)
        (built,) = Path(folder).glob("*.whl")
        session.install(f"{built}[test]")
        root = Path.cwd()
        session.chdir(folder)  # so that the checkout's package cannot be imported
        is_elsewhere = f"not l0np.__file__.startswith({str(root / 'l0np')!r})"
        session.run("python", "-c", f"import l0np; assert {is_elsewhere}, l0np.__file__")
        settings = ("-c", str(root / "pyproject.toml"), "--rootdir", str(root))
        tests = ("-m", "not slow", *PARALLEL, *session.posargs, str(root / "tests"))
        session.run("pytest", *settings, *tests)
        for example in sorted((root / "examples").glob("*.py")):
            session.run("python", str(example))
        session.chdir(root)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure an epoch on the CPU beside its rivals, which takes half an hour on 2 quiet cores.

    Writes benchmarks/results. Sections of benchmarks/cpu.py may be named: `nox -s bench -- readme stress`.
    """
    session.install(".[bench]")
    rivals = Path(session.create_tmp()) / "rivals"
    python = str(rivals / "bin" / "python")
    session.run("python", "-m", "venv", str(rivals))
    session.run(python, "-m", "pip", "install", "--quiet", "torch==2.13.0", "l0-python", external=True)
    session.run("python", "benchmarks/cpu.py", "--rival-python", python, *session.posargs)
