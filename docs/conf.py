"""Settings of Sphinx: `nox -s docs` builds the pages; see CONTRIBUTING.md."""

import os
import sys
from pathlib import Path
from typing import Any

import l0np

EXTENSIONS = Path(__file__).parent / "_ext"
sys.path.insert(0, str(EXTENSIONS))
# The processes that run the pages' code find `page_setup` there too
os.environ["PYTHONPATH"] = os.pathsep.join([str(EXTENSIONS), os.environ.get("PYTHONPATH", "")]).rstrip(
    os.pathsep
)

project = "l0np"
author = "The l0np developers"
copyright = "2026, The l0np developers"
release = version = l0np.__version__
extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "mathml", "terminal"]
html_math_renderer = "mathml"
exclude_patterns = ["_ext", "_templates"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["pages.css"]
suppress_warnings = ["config.cache"]

html_theme = "pydata_sphinx_theme"
html_title = "l0np"
html_show_sourcelink = False
html_sidebars = {"**": ["all_pages.html"]}
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_center": [],  # the pages are listed at the left
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "use_edit_page_button": False,
}

# Every block of code runs whenever the pages are built; an error ends the build
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "warn"  # a page prints what it says, and no warnings
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

# Docstrings: names in single backticks are links where they are public, and code elsewhere
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [("py:obj", ".*")]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL03", "GL06", "GL07", "PR02", "PR05", "PR10"}
numpydoc_validation_exclude = {r"\.TargetOptions$"}  # its parameters are the keys of a mapping


def skip_members_of_others(
    app: Any, what: str, name: str, member: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what classes inherit from other packages, which those document."""
    function = getattr(member, "fget", member)
    module = getattr(function, "__module__", None)
    return True if what == "class" and not str(module).startswith("l0np") else None


def setup(app: Any) -> None:
    """Connect the function above, and tell the pages' code where built pages are."""
    os.environ["L0NP_PAGES"] = str(app.outdir)
    app.connect("autodoc-skip-member", skip_members_of_others)
