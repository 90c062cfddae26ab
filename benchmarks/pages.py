"""What the pages of results share: wrapped paragraphs, and the name of the machine."""

import os
import platform
import textwrap
from pathlib import Path

WIDTH = 110


def paragraph(text: str) -> str:
    """Return the text in lines of at most 110 characters."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> str:
    """Return the processor, its cores and the versions of Python and NumPy."""
    import numpy as np

    python = platform.python_version()
    return f"{processor()}, {os.cpu_count()} cores, Python {python}, NumPy {np.__version__}"
