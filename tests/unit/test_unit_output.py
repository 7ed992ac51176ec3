"""What a failure says of a unit: how it ended, and its lines of this run alone, short and without secrets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from habla.onhost import failure
from habla.onhost.agent import system, unit_journal, unit_output
from habla.onhost.agent.unit_journal import is_after, own_lines, without_rest
from habla.onhost.agent.unit_output import Mark, bounded, ending, files_of, last_words

UNIT = "habla-chat.service"


@pytest.fixture(autouse=True)
def nothing_hidden() -> Iterator[None]:
    """Values that one test hides are not hidden in the next."""
    yield
    failure._hidden.clear()


def exit_of(code: str, status: str, command: str = "ExecStart") -> dict[str, Any]:
    """The entry that systemd writes when a process of a unit ends."""
    return {"_PID": "1", "COMMAND": command, "EXIT_CODE": code, "EXIT_STATUS": status, "MESSAGE": "exited"}


def result(name: str) -> dict[str, Any]:
    """The entry that systemd writes when a unit fails."""
    return {"_PID": "1", "UNIT_RESULT": name, "PRIORITY": "4", "MESSAGE": "failed"}


@pytest.mark.parametrize(
    ("entries", "state", "words"),
    [
        ([], {"ActiveState": "active", "NRestarts": "0", "Result": "success"}, "runs"),
        ([], {"ActiveState": "activating", "NRestarts": "0"}, "is activating"),
        ([], {"ActiveState": "inactive", "Result": "success"}, "ended with exit status 0"),
        (
            [],
            {"ActiveState": "active", "NRestarts": "1", "Result": "success", "ExecMainStatus": "0"},
            "ended with exit status 0 and was started again 1 time",
        ),
        (
            [exit_of("exited", "1"), result("exit-code")],
            {"ActiveState": "active", "NRestarts": "3", "Result": "success"},
            "ended with exit status 1 and was started again 3 times",
        ),
        ([exit_of("killed", "9"), result("signal")], {"ActiveState": "failed"}, "was killed by SIGKILL"),
        ([exit_of("killed", "KILL"), result("signal")], {"ActiveState": "failed"}, "was killed by SIGKILL"),
        ([exit_of("dumped", "11"), result("core-dump")], {}, "was killed by SIGSEGV"),
        ([exit_of("killed", "40"), result("signal")], {}, "was killed by signal 40"),
        (
            [exit_of("killed", "9"), result("oom-kill")],
            {"ActiveState": "activating", "NRestarts": "2", "MemoryMax": str(64 << 20)},
            "was killed because it had no more memory (systemd: oom-kill, MemoryMax 64 MiB)"
            " and was started again 2 times",
        ),
        (
            [exit_of("killed", "15"), result("oom-kill")],
            {"MemoryMax": "infinity"},
            "was killed because it had no more memory (systemd: oom-kill)",
        ),
        (
            [exit_of("exited", "7", "ExecStartPre"), result("exit-code")],
            {"ActiveState": "failed"},
            "failed: its ExecStartPre ended with exit status 7",
        ),
        ([result("resources")], {"ActiveState": "failed"}, "failed (systemd: resources)"),
        (
            [exit_of("killed", "15"), result("timeout")],
            {"ActiveState": "failed"},
            "was killed by SIGTERM (systemd: timeout)",
        ),
    ],
)
def test_the_end_of_a_unit_is_told_in_words(
    entries: list[dict[str, Any]], state: dict[str, str], words: str
) -> None:
    """By the last entries of systemd in the journal, else by the unit's properties."""
    assert ending(entries, state) == words


@pytest.mark.parametrize(
    ("entries", "lines"),
    [
        ([{"_PID": "7", "MESSAGE": "a"}, {"_PID": "1", "MESSAGE": "Started."}], ["a"]),
        ([{"_PID": "1", "MESSAGE": "Started.", "PRIORITY": "6"}], []),
        ([{"_PID": "1", "MESSAGE": "Failed to start.", "PRIORITY": "3", "JOB_RESULT": "failed"}], []),
        ([{"_PID": "1", "MESSAGE": "No such file", "PRIORITY": "4"}, result("resources")], ["No such file"]),
        ([{"_PID": "7", "MESSAGE": list(b"\xff\x1b[1ma")}, {"_PID": "7", "MESSAGE": None}], ["\ufffda"]),
        (
            [
                {"_PID": "7", "MESSAGE": "log in with s3c", "_LINE_BREAK": "line-max"},
                {"_PID": "7", "MESSAGE": "ret! now"},
                {"_PID": "7", "MESSAGE": "next"},
            ],
            ["log in with [secret] now", "next"],
        ),
    ],
)
def test_lines_of_the_journal_are_those_of_the_program(
    entries: list[dict[str, Any]], lines: list[str]
) -> None:
    """Warnings of systemd count where the program said nothing; a line that journald cut is whole again."""
    failure.hide(["s3cret!"])
    assert own_lines(entries) == lines


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([], []),
        ([str(number) for number in range(9)], ["4", "5", "6", "7", "8"]),
        (["x" * 200, "x" * 201], ["x" * 200, "x" * 199 + "…"]),
        (["a", *["😀" * 300] * 5], ["😀" * 199 + "…"]),
    ],
)
def test_few_and_short_lines_are_shown(lines: list[str], shown: list[str]) -> None:
    """The last five, of 200 characters each, and fewer where they take more than their share of bytes."""
    assert bounded(lines) == shown


UNIT_FILE = """\
# /etc/systemd/system/habla-chat.service
[Service]
StandardOutput=append:/var/log/old.log
StandardError=inherit
# /etc/systemd/system/habla-chat.service.d/more.conf
[Service]
StandardOutput = append:{log}
"""


def answer_programs(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> None:
    """Have systemctl and journalctl answer by their first argument."""
    for module in (unit_journal, unit_output):
        monkeypatch.setattr(module, "ask", lambda *words: answers.get(words[1], ""))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a unit that runs; nothing is in its journal."""
    path = tmp_path / "output.log"
    answers = {"cat": UNIT_FILE.format(log=path), "show": "ActiveState=active\nNRestarts=0\n"}
    answer_programs(monkeypatch, answers)
    return path


def said(mark: Mark) -> list[str]:
    """The lines that a failure would show."""
    return [line[2:] for line in last_words(UNIT, mark).splitlines()[1:]]


def test_the_file_of_a_unit_is_the_last_one_that_its_settings_name(log: Path) -> None:
    """A drop-in replaces the file of the unit."""
    assert files_of(UNIT) == [str(log)]


def test_only_lines_after_the_mark_are_shown(log: Path) -> None:
    """Whether the file was there before, grew, was truncated or was replaced."""
    mark = unit_output.marks([UNIT])[UNIT]
    assert last_words(UNIT, mark) == f"{UNIT} runs; it wrote nothing to {log}"
    log.write_text("new\n")
    assert said(mark) == ["new"]
    mark = unit_output.marks([UNIT])[UNIT]
    assert said(mark) == []
    with log.open("a") as file:
        file.write("newer\n")
    assert said(mark) == ["newer"]
    log.write_text("a\n")
    assert said(mark) == ["a"]
    replaced = log.with_name("other")
    replaced.write_text("in another file, which is longer\n")
    replaced.replace(log)
    assert said(mark) == ["in another file, which is longer"]
    assert last_words(UNIT, None) == f"{UNIT} runs"


@pytest.mark.parametrize("size", [10_000, 300_000, 1_000_000])
def test_a_secret_in_a_long_line_is_hidden_wherever_the_line_is_cut(log: Path, size: int) -> None:
    """Of a line whose beginning was not read only the end is shown, or nothing when others follow it."""
    failure.hide(["poison-4711-poison"])
    for shift in range(0, 20, 3):
        log.write_text("x" * shift + "poison-4711-poison" * (size // 18) + "\n")
        (line,) = said(Mark(files={str(log): (0, 0)}))
        assert len(line) <= 200 and "poison" not in line and "4711" not in line, line
        with log.open("a") as file:
            file.write("last\n")
        assert said(Mark(files={str(log): (0, 0)}))[-1] == "last"


def test_what_is_not_a_file_is_not_read(log: Path, tmp_path: Path) -> None:
    """The app's user may put a link, a pipe or a directory in place of the log."""
    (tmp_path / "private").write_text("private\n")
    mark = Mark(files={str(log): (0, 0)})
    log.symlink_to(tmp_path / "private")
    assert said(mark) == []
    log.unlink()
    os.mkfifo(log)
    assert said(mark) == []
    log.unlink()
    log.mkdir()
    assert said(mark) == []


def test_units_that_systemctl_could_not_start() -> None:
    """They are found in its words, also amid those of a script; its advice goes, and other words stay."""
    text = (
        "making room\n"
        "Job for a.service failed because the control process exited with error code.\n"
        'See "systemctl status a.service" and "journalctl -xeu a.service" for details.\n'
        "A dependency job for b@1.service failed. See 'journalctl -xe' for details.\n"
    )
    failed, words = system.failed_units(text)
    assert failed == ["a.service", "b@1.service"]
    assert words.splitlines() == [
        "making room",
        "Job for a.service failed because the control process exited with error code.",
        "A dependency job for b@1.service failed. ",
    ]
    other = "See the journalctl of web1\n"
    assert system.failed_units(other) == ([], other)


@pytest.mark.parametrize(
    ("cursor", "mark", "after"),
    [
        ("s=a;i=10;b=1", "s=a;i=f;b=1", True),
        ("s=a;i=f;b=1", "s=a;i=f;b=1", False),
        ("s=a;i=e;b=1", "s=a;i=f;b=1", False),
        ("s=b;i=1;b=1", "s=a;i=f;b=1", True),
        ("s=a;i=1;b=1", "", True),
    ],
)
def test_entries_after_a_mark_are_found_by_their_numbers(cursor: str, mark: str, *, after: bool) -> None:
    """A journal counts its entries; another journal than the mark's is a newer one."""
    assert is_after(cursor, mark) is after


def test_first_line_after_the_mark_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's line counts, also when the journal has it ahead of systemd's own about the start."""
    entries = [
        {"__CURSOR": "s=a;i=8", "_PID": "7", "MESSAGE": "of the run before"},
        {"__CURSOR": "s=a;i=b", "_PID": "9", "MESSAGE": "no peer"},
        {"__CURSOR": "s=a;i=c", "_PID": "1", "MESSAGE": "Starting", "PRIORITY": "6"},
    ]
    answers = {"--quiet": "\n".join(map(json.dumps, entries)), "show": "ActiveState=failed\n"}
    answer_programs(monkeypatch, answers)
    assert said(Mark("s=a;i=a")) == ["no peer"]


CUT = {"_PID": "9", "_LINE_BREAK": "line-max"}


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        # The first line may be a rest, also when it is short.
        ([{"_PID": "9", "MESSAGE": "rest"}, {"_PID": "9", "MESSAGE": "whole"}], ["whole"]),
        ([{**CUT, "MESSAGE": "a"}, {**CUT, "MESSAGE": "b"}, {"_PID": "9", "MESSAGE": "c"}], ["…"]),
        ([{**CUT, "MESSAGE": "a"}, {"_PID": "9", "MESSAGE": "b"}, {"_PID": "9", "MESSAGE": "c"}], ["c"]),
        ([{**CUT, "MESSAGE": "a"}, {"_PID": "1", "MESSAGE": "x"}, {**CUT, "MESSAGE": "b"}], ["…"]),
        ([{"_PID": "1", "MESSAGE": "no such file", "PRIORITY": "4"}], ["no such file"]),
    ],
)
def test_rest_of_a_line_is_left_out(entries: list[dict[str, str]], shown: list[str]) -> None:
    """Where the beginning of a long line is not among the entries, none of its pieces is shown."""
    assert own_lines(without_rest(entries)) == shown


def test_rest_of_an_earlier_line_is_not_of_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that has written nothing since the mark, after much before it, wrote nothing."""
    entries = [
        {"__CURSOR": f"s=a;i={number:x}", "_PID": "1", "MESSAGE": "Started"} for number in range(1, 62)
    ]
    entries[3] |= {"_PID": "7", "MESSAGE": "of the run before"}
    answers = {"--quiet": "\n".join(map(json.dumps, entries)), "show": "ActiveState=active\n"}
    answer_programs(monkeypatch, answers)
    assert last_words(UNIT, Mark("s=a;i=3d")).endswith("wrote nothing to the journal")
