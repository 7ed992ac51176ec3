"""Progress on standard error: after two seconds, in one line on a terminal, in few lines elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from habla_command import environment, read_terminal

pytestmark = pytest.mark.slow

_WAIT = """\
import sys, time
from habla.cli.waiting import waiting
with waiting("asking 3 hosts", quiet=sys.argv[2] == "quiet") as progress:
    time.sleep(float(sys.argv[1]))
    progress.words = "asking 1 host"
    time.sleep(1)
"""


def command(seconds: float, how: str = "aloud") -> list[str]:
    return [sys.executable, "-c", _WAIT, str(seconds), how]


def in_a_file(seconds: float, how: str = "aloud") -> str:
    """What a file gets as standard error."""
    done = subprocess.run(
        command(seconds, how), capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout == ""
    return done.stderr


def test_a_file_gets_a_plain_line() -> None:
    """Without colours and control characters."""
    assert in_a_file(2.5) == "habla: asking 3 hosts …\n"


@pytest.mark.parametrize(("seconds", "how"), [(0, "aloud"), (2, "quiet")])
def test_short_and_quiet_work_says_nothing(seconds: float, how: str) -> None:
    """Up to two seconds, or with --quiet."""
    assert in_a_file(seconds, how) == ""


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_shows_one_line_that_goes_away(variables: dict[str, str], coloured: bool) -> None:
    """It has the present words and the seconds; the cursor is back at its beginning at the end."""
    ours, theirs = pty.openpty()
    environment_ = environment(TERM="xterm-256color", COLUMNS="80", **variables)
    with subprocess.Popen(command(2.5), stderr=theirs, env=environment_) as process:
        os.close(theirs)
        text = read_terminal(ours)
        assert process.wait() == 0
    assert "asking 3 hosts … 2 s" in text and "asking 1 host … 3 s" in text
    assert text.rstrip().endswith("\x1b[2K") and text.count("\n") <= 1
    assert bool(re.search(r"\x1b\[[0-9;]*m", text)) is coloured
