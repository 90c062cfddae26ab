"""`main`: runs the command line, and turns what goes wrong into an exit status and a few lines."""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import l0np
from l0np.errors import L0npError, L0npWarning, MissingPackageError
from l0np.mpi import World, is_launched

FINE, UNUSABLE, INTERRUPTED = 0, 2, 130  # exit statuses; 1 is that of runs that are not good enough
LONGEST = 600  # characters of an error that are shown
# How the functions' messages speak of arguments, and how the command line does
OPTIONS = {
    r'\b(missing|uncovered)="(\w+)"': r"--\1 \2",
    r"\bn_active\b": "--n-active",
    r"^(certainty)(?=\W)": r"--\1",
    r"^at_least\b": "--at-least",
    r"^(weight|id|unit|missing|uncovered|method|distance|bounds|total|epochs|device|seed)(?=\W)": r"--\1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit status.

    0: done. 1: done, but the worst target is farther than `--max-error`, the refit did not converge, or
    `check` found that the targets cannot all be met. 2: the arguments or the data cannot be used; stderr says
    why and what to do. 130: interrupted.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the command; by default that of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [one for one in given if one != "--debug"] or ["--help"]
    if given == ["--version"]:
        print(f"l0np {l0np.__version__}")  # noqa: T201
        return FINE
    lacking = [one for one in ("typer", "rich") if importlib.util.find_spec(one) is None]
    if lacking:
        _say(str(MissingPackageError("the command line", " ".join(lacking), "cli")))
        return UNUSABLE
    from l0np.cli.app import app

    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        warnings.simplefilter("always", L0npWarning)
        try:
            status = app(given, standalone_mode=False, prog_name="l0np")
        except KeyboardInterrupt:
            _say("interrupted; files are as they were")
            return INTERRUPTED
        except Exception as error:
            if debug:
                raise
            status = _explained(error)
            if is_launched() and World().size > 1:  # the others may wait for this rank
                World().abort(f"{type(error).__name__}: {error}")
            return status
    return status if isinstance(status, int) else FINE


def _explained(error: Exception) -> int:
    """Say in at most three lines what went wrong."""
    if hasattr(error, "format_message"):  # an error of usage, of typer
        command = getattr(getattr(error, "ctx", None), "command_path", "l0np")
        _say(error.format_message())
        print(f"{command} --help lists the options", file=sys.stderr)  # noqa: T201
    elif isinstance(error, L0npError):
        _say(str(error))
    elif isinstance(error, BrokenPipeError):
        sys.stderr.close()  # nobody reads any more
    else:
        _say(f"{type(error).__name__}: {error}")
        print("this should not happen: --debug shows where it did", file=sys.stderr)  # noqa: T201
    return UNUSABLE


def _say(message: str) -> None:
    line = " ".join(message.split())
    for argument, option in OPTIONS.items():
        line = re.sub(argument, option, line)
    shown = line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."
    print(f"l0np: {shown}", file=sys.stderr)  # noqa: T201


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)  # noqa: T201
