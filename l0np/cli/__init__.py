"""The command `l0np`: from two files to weights, and every mistake answered in at most three lines.

`app` reads the command line (typer), `settings` the files of settings, `requirements` what a selection must
hold; `runs` does the work with the public functions, and `steps` says on stderr what is being done (rich, on
a terminal). Results go to stdout.
"""

from l0np.cli.main import main

__all__ = ["main"]
