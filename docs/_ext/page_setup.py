"""What the hidden first cell of each page runs: a folder with the examples, and how results are shown."""

import os
import warnings

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
