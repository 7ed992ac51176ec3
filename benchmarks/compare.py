"""Times habla beside pyinfra on the same hosts, in turns: cold, nothing to do, one line changed.

Needs root (it makes hosts of its own, which it removes) and ``make toolchain``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.fleet import Fleet, lab_fleet, sshd_fleet
from benchmarks.tools import Habla, HablaChecked, Pyinfra, Tool

_LINES = 20
_AIMS = {10: 2, 100: 10}
_PHASES = ("cold", "nothing to do", "one line changed")
Times = dict[tuple[int, str, str], list[float]]


def main() -> int:
    """Measure and print the times. The exit status is 0, whatever they are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--hosts", type=int, default=12, help="how many (default 12)")
    parser.add_argument("--files", type=int, nargs="+", default=[10, 100], help="per host (default 10 100)")
    parser.add_argument("--rounds", type=int, default=3, help="of all of it (default 3)")
    parser.add_argument("--lab", action="store_true", help="systemd hosts of a lab instead of an sshd each")
    options = parser.parse_args()
    times: Times = {}
    with (
        tempfile.TemporaryDirectory(prefix="habla-bench-") as name,
        (lab_fleet if options.lab else sshd_fleet)(Path(name), options.hosts) as fleet,
    ):
        for number in range(options.rounds):
            for files in options.files:
                _round(fleet, files, times=times)
                say(f"round {number + 1} of {options.rounds}, {files} files: done")
    _report(options.hosts, options.rounds, times=times)
    return 0


def say(words: str) -> None:
    """Print a line of progress on standard error."""
    print(words, file=sys.stderr, flush=True)


def _round(fleet: Fleet, files: int, *, times: Times) -> None:
    source = fleet.directory / "source"
    source.mkdir(exist_ok=True)
    for path in source.iterdir():
        path.unlink()
    for number in range(files):
        lines = [f"option {line} of file {number} = {line * number}\n" for line in range(_LINES)]
        (source / f"file{number:03}.conf").write_text("".join(lines))
    tools: list[Tool] = [Pyinfra(fleet, source), Habla(fleet, source)]
    for tool in tools:
        tool.clean()
    for phase in _PHASES:
        if phase == "one line changed":
            changed = source / "file000.conf"
            changed.write_text(changed.read_text().replace("option 7 ", "changed 7 "))
        for tool in tools:
            _time(times, (files, phase, tool.name), run=tool.apply)
            if phase != "nothing to do":
                _verify(fleet, tool, source=source)
        if phase == "nothing to do":
            _time(times, (files, phase, "agents"), run=HablaChecked(fleet, source).apply)


def _time(times: Times, key: tuple[int, str, str], *, run: Callable[[], None]) -> None:
    begun = time.perf_counter()
    run()
    seconds = time.perf_counter() - begun
    times.setdefault(key, []).append(seconds)
    say(f"{key[0]:4} files, {key[1]:17} {key[2]:8} {seconds:6.2f} s")


def _verify(fleet: Fleet, tool: Tool, *, source: Path) -> None:
    """Check that the tool has put all files on all hosts. This is not timed."""
    expected = "".join(path.read_text() for path in sorted(source.iterdir()))
    fleet.everywhere(f"cat {tool.target}/*.conf | cmp - /dev/fd/3 3<<'END'\n{expected}END\n")


def _report(hosts: int, rounds: int, *, times: Times) -> None:
    print(f"{hosts} hosts, {rounds} rounds, medians in seconds (all of them)")
    print(f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}")
    print("| files | run | pyinfra | habla | ratio | aim |\n| --- | --- | --- | --- | --- | --- |")
    for files in sorted({key[0] for key in times}):
        for phase in _PHASES:
            other, ours = (times[files, phase, name] for name in ("pyinfra", "habla"))
            ratio = statistics.median(other) / statistics.median(ours)
            figures = f"{_figures(other)} | {_figures(ours)} | {ratio:.1f} | {_AIMS.get(files, '')}"
            print(f"| {files} | {phase} | {figures} |")
            agents = times.get((files, phase, "agents"))
            if agents:
                ratio = statistics.median(other) / statistics.median(agents)
                print(f"| {files} | the agents look at every file | | {_figures(agents)} | {ratio:.1f} | |")


def _figures(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


if __name__ == "__main__":
    sys.exit(main())
