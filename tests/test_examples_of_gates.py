"""The examples of gates, layers and penalties do what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name):
    printed = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, check=True, env=os.environ
    )
    return printed.stdout


@pytest.mark.slow  # trains gates for 2,000 epochs, as the example shows it
def test_samples_and_features():
    printed = example("select_samples_and_features.py")
    assert "Selected 100 of 1000 persons with a total weight of 100%\n" in printed
    selected, drawn = (float(number) for number in re.findall(r"(?:mean|random): (0\.\d+)", printed))
    assert selected < 0.7 * drawn
    assert "By gates 25, at random 75\n" in printed
    assert "Selected features: x1, x2, x3\n" in printed


@pytest.mark.slow  # trains a network for 80 epochs
def test_a_sparse_network_on_digits():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    printed = example("sparse_network.py")
    before, after = (float(number) for number in re.findall(r"accuracy .*: +([\d.]+)%", printed))
    assert before >= 95
    assert after == before
    assert float(re.search(r"Weights pruned: ([\d.]+)%", printed)[1]) >= 80


@pytest.mark.slow  # loads PyTorch, and trains for 1,000 epochs
def test_gates_in_pytorch():
    pytest.importorskip("torch", reason="torch is not installed")
    assert "Inputs with open gates: [1, 4]\n" in example("gates_in_pytorch.py")


def test_the_example_of_pytorch_does_not_need_it():
    file = str(EXAMPLES / "gates_in_pytorch.py")
    code = f"import runpy, sys; sys.modules['torch'] = None; runpy.run_path({file!r}, run_name='__main__')"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert printed.stdout == "PyTorch is not installed: nothing to show\n"
