"""Which logs nothing bounds, by what logrotate itself says of its rules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from habla.onhost.watch import growth, logs, openfiles, rules
from habla.onhost.watch.logs import Seen, Uncovered
from habla.onhost.watch.openfiles import Opener, OpenFile
from habla.onhost.watch.settings import Settings

# The output of logrotate for a configuration with one of everything: 3.21 of Debian 12, 3.22 of Debian 13.
PRINTED = {
    version: rules.parse((Path(__file__).parent / f"logrotate-debug-{version}.txt").read_text())
    for version in ("3.21", "3.22")
}
RULES = PRINTED["3.21"]
LOGS = "/tmp/c/logs"
SETTINGS = Settings("a1", "lab", directories=(LOGS,), data=("/srv/data",), exempt=("*/fine-*",))
WHO = Opener(7, "rpc", "habla-rpc.service")


def judged(
    *paths: str,
    open_files: tuple[OpenFile, ...] = (),
    before: dict[str, int] | None = None,
    by: rules.Rules = RULES,
) -> dict[str, Uncovered]:
    """What is found when there are these files of 100 bytes."""
    seen = Seen(dict.fromkeys(paths, 100), list(open_files))
    found = logs.uncovered(SETTINGS, by, seen, before or {}, ["/", "/tmp"])
    return {one.path: one for one in found}


def opened(path: str, size: int = 100, append: bool = True, deleted: bool = False) -> OpenFile:
    """A file that rpc writes to."""
    return OpenFile(path, size, append, deleted, (1, hash(path)), [WHO])


@pytest.mark.parametrize("version", PRINTED)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("size.log", ""),
        ("size.log.1", ""),
        ("size.log.2.gz", ""),
        ("max.log", ""),
        ("min.log", "by time"),
        ("olddir.log", ""),
        ("old/olddir.log.1", ""),
        ("with space.log", ""),
        ("p/a.log", ""),
        ("p/not-there-when-asked.log", ""),
        ("date.log", "by time"),
        ("date-20260101.log", ""),
        ("date-20260101.log.gz", ""),
        ("open/bad.log", "refused"),
        ("lone.log", "no rule"),
        ("lone.log.1", "no rule"),
        ("fine-as-it-is", ""),
        ("README", ""),
    ],
)
def test_each_file_is_judged_by_its_rule(version: str, name: str, reason: str) -> None:
    """By size it is bounded, by time it is not, and what logrotate refuses or does not know neither."""
    path = f"{LOGS}/{name}"
    found = judged(path, by=PRINTED[version])
    assert (found[path].reason if found else "") == reason


@pytest.mark.parametrize("version", PRINTED)
def test_what_is_wrong_with_the_configuration_is_known(version: str) -> None:
    """In logrotate's words; a log that is not there yet is no fault."""
    assert [fault.partition(" ")[2] for fault in PRINTED[version].faults] == [
        "duplicate log entry for /tmp/c/logs/size.log",
        "unknown option 'sizze' -- ignoring line",
    ]


def test_both_releases_of_logrotate_describe_the_same_rules() -> None:
    """3.22 has the words in another order and on one line."""
    assert PRINTED["3.21"].rules == PRINTED["3.22"].rules
    assert PRINTED["3.21"].covered == PRINTED["3.22"].covered


def test_a_pattern_of_several_lines_is_one_rule() -> None:
    """As rsyslog's is in Debian; and the rule before it is not taken for it."""
    found = rules.parse(
        "rotating pattern: /a  1024 bytes (1 rotations)\nempty log files are rotated, \n\n"
        "rotating pattern: /var/log/syslog \n/var/log/mail.log\n weekly (4 rotations)\n"
        "empty log files are not rotated, old logs are removed\nconsidering log /var/log/syslog\n"
    )
    assert [(rule.globs, rule.when) for rule in found.rules] == [
        (("/a",), "1024 bytes"),
        (("/var/log/syslog", "/var/log/mail.log"), "weekly"),
    ]
    assert found.covered["/var/log/syslog"].bytes == 0


def test_words_of_logrotate_that_nobody_knows_are_a_fault() -> None:
    """A rule that cannot be read must not pass for the one before it or after it."""
    found = rules.parse(
        "rotating pattern: /a  every full moon (1 rotations)\nempty log files are rotated, \n"
        "considering log /a\n\nrotating pattern: /b  1024 bytes (1 rotations)\nconsidering log /b\n"
    )
    assert [rule.globs for rule in found.rules] == [("/b",)]
    assert set(found.covered) == {"/b"}
    assert "every full moon" in found.faults[0]


def test_a_log_anywhere_is_found_when_it_is_open_for_append() -> None:
    """Not in a service's data, and not when it is only written to."""
    found = judged(open_files=(opened("/opt/x.log"), opened("/srv/data/db"), opened("/opt/y", append=False)))
    assert {path: one.plain()["open_by"] for path, one in found.items()} == {
        "/opt/x.log": [{"pid": 7, "command": "rpc", "unit": "habla-rpc.service"}]
    }
    assert found["/opt/x.log"].partition == "/"


def test_a_file_that_is_open_and_grows_is_taken_for_a_log() -> None:
    """Although it is not open for append."""
    entry = opened("/opt/y", 200, append=False)
    assert judged(open_files=(entry,), before={"/opt/y": 200}) == {}
    assert judged(open_files=(entry,), before={"/opt/y": 100})["/opt/y"].reason == "no rule"


def test_a_deleted_file_that_is_open_is_found_when_it_is_large() -> None:
    """It takes space that no file shows; a program's temporary file does as well, by design."""
    found = judged(
        open_files=(
            opened("/opt/gone", 2 << 20, deleted=True),
            opened("/opt/small", 10, deleted=True),
            opened("/tmp/ibtmp", 2 << 20, append=False, deleted=True),
        )
    )
    assert {path: one.reason for path, one in found.items()} == {"/opt/gone": "deleted"}


def test_a_daemon_that_writes_to_what_was_rotated_is_found() -> None:
    """It was not told to open its log anew, and the old file grows without bounds."""
    path = f"{LOGS}/size.log.1"
    assert judged(path, open_files=(opened(path),), before={path: 100}) == {}
    assert judged(path, open_files=(opened(path),), before={path: 50})[path].reason == "still written"


def test_bounded_logs_are_counted_by_partition() -> None:
    """Those with a rule by size, and what rotation left; not those by time, nor those without a rule."""
    names = ("size.log", "size.log.1", "max.log", "min.log", "lone.log")
    seen = Seen({f"{LOGS}/{name}": 100 for name in names})
    assert logs.bounded(RULES, seen, ["/", "/tmp"]) == {"/": 0, "/tmp": 300}


def test_logrotate_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is bounded then, but nobody can say what."""
    monkeypatch.setattr(rules.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert rules.ask("/etc/logrotate.conf", str(tmp_path)).faults == ["logrotate is not installed"]


def test_output_without_a_rule_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A format that is not known must not look like a host without rules."""
    done = subprocess.CompletedProcess([], 1, b"what?\n")
    monkeypatch.setattr(rules.subprocess, "run", lambda *_, **__: done)
    assert "names no rule (exit status 1)" in rules.ask("/etc/x", str(tmp_path)).faults[0]


def test_open_files_are_found_with_who_has_them_open(tmp_path: Path) -> None:
    """For append, for writing, deleted; not what is only read."""
    code = (
        "import os, sys, time\n"
        "a, b, c, d = sys.argv[1:]\n"
        "keep = [open(a, 'ab'), open(b, 'wb'), open(c, 'wb'), open(d, 'rb')]\n"
        "os.unlink(c)\nprint('ready', flush=True)\ntime.sleep(60)\n"
    )
    names = ("append", "write", "deleted", "read")
    paths = [str(tmp_path / name) for name in names]
    Path(paths[3]).touch()
    child = subprocess.Popen([sys.executable, "-c", code, *paths], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        found = {
            entry.path: (entry.append, entry.deleted, [who.pid for who in entry.openers])
            for entry in openfiles.scan(frozenset()).values()
            if entry.path.startswith(str(tmp_path))
        }
        device = tmp_path.stat().st_dev
        assert not [
            entry
            for entry in openfiles.scan(frozenset([device])).values()
            if entry.path.startswith(str(tmp_path))
        ]
    finally:
        child.kill()
        child.communicate()
    assert found == {
        paths[0]: (True, False, [child.pid]),
        paths[1]: (False, False, [child.pid]),
        paths[2]: (False, True, [child.pid]),
    }


def test_the_unit_of_a_process_is_the_innermost() -> None:
    """cgroup versions 1 and 2, and a process without a unit."""
    assert openfiles.unit_of("0::/system.slice/habla-rpc.service\n") == "habla-rpc.service"
    assert openfiles.unit_of("1:name=systemd:/user.slice/user@0.service/app.slice/x.scope\n") == "x.scope"
    assert openfiles.unit_of("0::/\n") == ""


def test_a_sparse_file_counts_for_what_it_takes(tmp_path: Path) -> None:
    """A lastlog of a gigabyte takes a few blocks."""
    with (tmp_path / "lastlog").open("wb") as file:
        file.truncate(1 << 30)
    assert logs.listed([str(tmp_path)], frozenset()).files == {str(tmp_path / "lastlog"): 0}


def test_the_fastest_growing_files_are_named_with_their_rates() -> None:
    """Bytes a minute since the earlier look, of one partition; a new log grew from nothing."""
    before = {"time": 100.0, "sizes": {"/a": 100, "/b": 50, "/c": 10}}
    current = {"/a": 160, "/b": 50, "/new.log": 240, "/opened": 100, "/var/log/x": 9999}
    seen = Seen({"/new.log": 240}, [opened("/a")])
    found = growth.fastest("/", ["/", "/var/log"], current, before, seen, 220.0)
    assert [(one.path, one.rate, one.owner) for one in found] == [
        ("/new.log", 120.0, ""),
        ("/opened", None, ""),
        ("/a", 30.0, "rpc, pid 7, habla-rpc.service"),
    ]


def test_when_nothing_grows_the_largest_are_named() -> None:
    """Somebody filled the partition, and is gone."""
    before = {"time": 100.0, "sizes": {"/a": 100, "/b": 50}}
    found = growth.fastest("/", ["/"], {"/a": 100, "/b": 50}, before, Seen(), 220.0)
    assert [(one.path, one.rate) for one in found] == [("/a", 0.0), ("/b", 0.0)]


def test_looks_are_compared_with_one_that_is_old_enough() -> None:
    """Two runs within seconds would make rates of chance."""
    looks = growth.kept([], 100.0, {"/a": 1})
    looks = growth.kept(looks, 160.0, {"/a": 2})
    assert growth.baseline(looks, 161.0) == {"time": 100.0, "sizes": {"/a": 1}}
    assert growth.baseline(looks, 180.0) == {"time": 160.0, "sizes": {"/a": 2}}
    assert growth.baseline([], 180.0) is None


def test_what_was_written_since_is_looked_for(tmp_path: Path) -> None:
    """The largest files that are not known yet; old ones are not the cause."""
    (tmp_path / "new").write_bytes(b"x" * 8192)
    (tmp_path / "known").write_bytes(b"x" * 8192)
    (tmp_path / "old").write_bytes(b"x" * 8192)
    os.utime(tmp_path / "old", (1, 1))
    now = (tmp_path / "new").stat().st_mtime
    assert set(growth.recent(str(tmp_path), now, [str(tmp_path / "known")])) == {str(tmp_path / "new")}
