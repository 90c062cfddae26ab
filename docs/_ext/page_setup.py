"""What the hidden first cell of each page runs: a folder with the examples, and how results are shown."""

import os
import shutil
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib_inline.backend_inline import set_matplotlib_formats
from terminal import folder_with_examples

from l0np.errors import L0npWarning

os.chdir(folder_with_examples())
set_matplotlib_formats("svg")
mpl.rcParams.update({"svg.hashsalt": "l0np", "figure.figsize": (6.5, 4.0), "figure.facecolor": "white"})
np.set_printoptions(linewidth=90)
# a warning that a page does not expect fails the build
warnings.simplefilter("error", L0npWarning)


def show_file(written: str, name: str) -> None:
    """Copy a file that the page has written to the built pages, under a name to which the page links."""
    shutil.copy(written, Path(os.environ["L0NP_PAGES"]) / name)
