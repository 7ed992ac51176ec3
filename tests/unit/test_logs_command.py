"""What ``habla logs`` prints, of answers as hosts give them, and of the settings alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from habla.cli import main
from habla.cli.log_answers import Answer, bounds_table, crowded, uncovered_text
from habla.cli.result import Table, plain_lines
from habla.plan.stack_files import load_plan

ROOT = Path(__file__).parents[2]
ROGUE = {
    "path": "/var/log/rogue.log",
    "bytes": 3 << 20,
    "partition": "/var/log",
    "reason": "no rule",
    "why": "no rule of logrotate rotates it",
    "fix": "add it to logs.extra",
    "open_by": [{"pid": 12, "command": "rogue", "unit": "rogue.service"}],
}
WELL = {"faults": [], "uncovered": [], "covered": {"/var/log/a.log": 1024}}


def test_a_fleet_without_uncovered_logs_is_one_line() -> None:
    """With how much was looked at, so that nothing found is not nothing looked at."""
    lines = uncovered_text([Answer("a1", WELL), Answer("b1", WELL)])
    assert lines == ["2 logs on 2 hosts have a rule by size, and no other file grows like one"]


def test_an_uncovered_log_is_shown_with_who_writes_it_and_how_to_mend_it() -> None:
    """Host, partition, size and file; the fix once for all of a kind."""
    table, *lines = uncovered_text([Answer("a1", {**WELL, "uncovered": [ROGUE, ROGUE]})])
    assert isinstance(table, Table)
    _, *rows = plain_lines(table)
    assert len(rows) == 2 and rows[0].startswith("a1    /var/log   3.0 MiB  /var/log/rogue.log")
    assert "rogue.service (12)" in rows[0]
    assert lines.count("no rule: add it to logs.extra") == 1


def test_more_files_than_a_bound_counts_are_said() -> None:
    """Else the bound would be of fewer logs than there are."""
    plan = load_plan(ROOT, "lab")
    covered = {f"/var/log/nginx/{name}.log": 1 << 20 for name in ("access", "error", "third")}
    (fault,) = crowded(plan, [Answer("stable1", {**WELL, "covered": covered})])
    assert fault.startswith("stable1: 3 files match /var/log/nginx/*.log, but its bound allows for 2:")


def test_bounds_are_shown_without_asking_a_host() -> None:
    """Each log, and what all of them make of their partition."""
    lines = plain_lines(bounds_table(load_plan(ROOT, "lab"), ["web1", "stable1"]))
    assert lines[0].split() == ["host", "partition", "at", "most", "rule", "log"]
    (total,) = [line for line in lines if line.startswith("stable1 ") and "  all " in line]
    assert "% of 1.0 GiB" in total


def test_a_lab_that_is_not_there_is_an_error_for_each_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1: not to have looked is not to have found nothing."""
    for name in ("Pulumi.yaml", "stacks", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert main(["-C", str(tmp_path), "logs", "-s", "lab"]) == 3
    said = capsys.readouterr()
    assert "habla: web1: no host web1 to reach" in said.err
    assert "0 logs on 0 hosts have a rule by size" in said.out


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    """As in ``habla render | head -1``."""
    script = "import sys; from habla.cli import main; sys.exit(main())"
    command = f"{sys.executable} -c '{script}' -C {ROOT} render -s lab | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout.startswith("--- front1:")
