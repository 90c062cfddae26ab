"""Steps on stderr: a bar with the time left on a terminal, plain lines in a pipe."""

import io
import sys

import pytest

from l0np.callbacks import StageProgress
from l0np.cli.steps import Steps
from l0np.errors import InputError

REPORTS = [StageProgress("sampling", fraction=0.25, seconds=10.0), StageProgress("refit", size=2, n_sizes=3)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(**arguments):
    with Steps(**arguments).stage("selecting") as show:
        for report in REPORTS:
            show(report)


def test_lines_in_a_pipe(capsys):
    run(min_seconds=0.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["selecting: sampling, 25%, 30 s left", "selecting: refit (size 2 of 3)"]
    assert lines[2:] == ["selecting: 0.0 s"]


def test_short_steps_are_one_line(capsys):
    run()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Steps().stage("selecting") as show:
        show(REPORTS[0])
    screen = sys.stderr.getvalue()
    assert "selecting: sampling" in screen
    assert "25%, 30 s left" in screen
    assert "selecting: 0.0 s" in screen.splitlines()[-1]


def test_the_log_has_the_same_lines(tmp_path, capsys):
    run(log=tmp_path / "run.log", min_seconds=0.0)
    lines = [line.split(" ", 2)[2] for line in (tmp_path / "run.log").read_text().splitlines()]
    assert lines == capsys.readouterr().err.splitlines()


def test_a_log_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot write the log"):
        Steps(tmp_path / "nowhere" / "run.log")
