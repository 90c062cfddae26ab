"""The directive `terminal`: runs commands when the pages are built, and shows them with what they print.

The commands of a page share a folder of their own, which holds a copy of the examples, so that no page can
change the checkout. A command that ends with another exit status than `:status:` (0 by default) fails the
build.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

EXAMPLES = Path(__file__).parents[2] / "examples"


def folder_with_examples() -> Path:
    """Return a new folder with the examples, which is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="l0np-docs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(EXAMPLES, folder / "examples")
    return folder


class Terminal(SphinxDirective):
    """Run each line of the content as a command, and show the line and its output."""

    has_content = True
    option_spec = {"status": directives.nonnegative_int}  # noqa: RUF012  # as docutils declares it

    def run(self) -> list[nodes.Node]:
        """Return a literal block for the commands and one for what they print."""
        folders = self.env.temp_data.setdefault("terminal_folders", {})
        folder = folders.setdefault(self.env.docname, None) or folder_with_examples()
        folders[self.env.docname] = folder
        # the commands of the environment that builds the pages come first, `l0np` among them
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        printed = ""
        for command in self.content:
            done = subprocess.run(
                command,
                shell=True,
                cwd=folder,
                env=os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != self.options.get("status", 0):
                where = self.get_location()
                raise ExtensionError(
                    f"{where}: exit status {done.returncode} of {command}\n{done.stdout}{done.stderr}"
                )
            printed += done.stdout
        shown = "\n".join(self.content)
        blocks = [nodes.literal_block(shown, shown, language="sh", classes=["command"])]
        if printed.strip():
            blocks.append(
                nodes.literal_block(printed, printed.rstrip(), language="text", classes=["printed"])
            )
        self.set_source_info(blocks[0])
        return list(blocks)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("terminal", Terminal)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
