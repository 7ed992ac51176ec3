"""Times how long ``habla`` takes to start, beside ``python -c pass``, in turns.

    python -m benchmarks.cli_start [--rounds 20]

Needs no root and no host. The ratio holds on other machines, the milliseconds do not.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_HABLA = str(Path(sys.executable).parent / "habla")
_COMPLETE = {
    "_HABLA_COMPLETE": "bash_complete",
    "COMP_WORDS": "habla render -s lab --host ",
    "COMP_CWORD": "5",
}
_RUNS: dict[str, tuple[list[str], dict[str, str]]] = {
    "python -c pass": ([sys.executable, "-c", "pass"], {}),
    "habla --version": ([_HABLA, "--version"], {}),
    "habla --help": ([_HABLA, "--help"], {}),
    "habla completion bash": ([_HABLA, "completion", "bash"], {}),
    "Tab after --host": ([_HABLA], _COMPLETE),
    "habla addresses -s lab": ([_HABLA, "addresses", "-s", "lab"], {}),
    "habla render -s lab": ([_HABLA, "render", "-s", "lab"], {}),
    "python -c 'import pulumi'": ([sys.executable, "-c", "import pulumi"], {}),
}


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cli_start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="runs of each command (default 20)")
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in _RUNS}
    for _ in range(rounds):
        for name, (command, variables) in _RUNS.items():
            times[name].append(_seconds(command, variables))
    bare = statistics.median(times["python -c pass"])
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, median of {rounds} rounds\n")
    print("| command | ms | least | ratio |\n| --- | --- | --- | --- |")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"| `{name}` | {median * 1000:.0f} | {min(found) * 1000:.0f} | {median / bare:.1f} |")
    return 0


def _seconds(command: list[str], variables: dict[str, str]) -> float:
    started = time.perf_counter()
    environment = {**os.environ, **variables}
    subprocess.run(command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
