"""Runs the tools of the host: commands, systemd, apt. A Failure has the output of the tool."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..failure import Failure, readable
from . import unit_journal, unit_output

_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = """\
#!/bin/sh
# habla: a package's daemon starts once it is configured, not when it is unpacked
exit 101
"""
_APT = ["-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Retries=3", "-qq"]
_KEEP = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
_TIMEOUT = 600


def run(
    step: str,
    subject: str,
    *,
    command: Sequence[str],
    stdin: Optional[bytes] = None,
    timeout: int = _TIMEOUT,
    environment: Optional[Dict[str, str]] = None,
) -> str:
    """Run a command and return its standard output. Raises Failure with its last lines if it fails."""
    try:
        done = subprocess.run(
            list(command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C", "PATH": _PATH, **(environment or {})},
            check=False,
        )
    except FileNotFoundError:
        raise Failure(step, subject, reason="{} is not installed on this host".format(command[0])) from None
    except subprocess.TimeoutExpired as error:
        words = readable((error.output or b"").decode(errors="replace"))
        raise Failure(
            step, subject, reason="the command did not end within {} s\n{}".format(timeout, words)
        ) from None
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        reason = readable(output) or "the command ended with exit status {}".format(done.returncode)
        raise Failure(step, subject, reason=reason)
    return output


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# How systemctl says that a unit failed which it was asked to start, and the advice that it adds.
_FAILED_JOB = re.compile(r"^(?:Job|A dependency job) for (\S+) (?:failed|canceled|timed out)", re.MULTILINE)
_ADVICE = re.compile(r"(?:^|(?<=\. ))See .*(?:systemctl status|journalctl).*\n?", re.MULTILINE)
_UNIT_NAME = re.compile(r"[\w@.\\:-]+\.(?:service|timer|socket|mount|path|target)")


def run_starting(
    step: str, subject: str, *, command: Sequence[str], stdin: Optional[bytes] = None, timeout: int = _TIMEOUT
) -> None:
    """Run a command that may start units. Raises Failure with the last lines of the units that failed."""
    named = [word for word in command if _UNIT_NAME.fullmatch(word)] if command[0] == "systemctl" else []
    # A script may start other units; for these the end of the journal is the mark.
    end, marks = unit_output.Mark(unit_journal.journal_end()), unit_output.marks(named)
    try:
        run(step, subject, command=command, stdin=stdin, timeout=timeout)
    except Failure as failure:
        failed, reason = failed_units(failure.reason)
        words = [reason]
        words += [unit_output.last_words(name, marks.get(name, end)) for name in failed[:_TOLD]]
        raise Failure(step, subject, reason=readable("\n".join(words))) from None


def failed_units(text: str) -> Tuple[List[str], str]:
    """The units that failed to start, and the output of systemctl without its advice. Pure."""
    failed = list(dict.fromkeys(_FAILED_JOB.findall(text)))
    return failed, _ADVICE.sub("", text) if failed else text


_STARTING = ("start", "restart", "reload-or-restart")
# The last words of so many units are in one failure.
_TOLD = 2


class UnitState:
    """The state of a unit, as systemd reports it."""

    def __init__(self, values: Dict[str, str]) -> None:
        self.exists = values.get("LoadState") not in (None, "not-found")
        self.masked = values.get("LoadState") == "masked" or values.get("UnitFileState") == "masked"
        self.active = values.get("ActiveState") in ("active", "reloading")
        self.running = self.active or values.get("ActiveState") == "activating"
        self.enabled = values.get("UnitFileState") in ("enabled", "static", "indirect", "generated", "alias")
        restarts = values.get("NRestarts", "0")
        # Since it was last started by hand; it may well run at this moment.
        self.starting_over = values.get("SubState") == "auto-restart" or restarts != "0"


def unit_states(units: Sequence[str]) -> Dict[str, UnitState]:
    """The states of units, in one call."""
    if not units:
        return {}
    names = list(units)
    properties = "--property=LoadState,ActiveState,SubState,UnitFileState,NRestarts"
    text = run("read", "systemd", command=["systemctl", "show", properties, *names])
    blocks = text.split("\n\n")
    states = {}
    for name, block in zip(names, blocks):
        states[name] = UnitState(dict(line.split("=", 1) for line in block.splitlines() if "=" in line))
    return states


def systemctl(step: str, verb: str, *, units: Sequence[str]) -> Dict[str, unit_output.Mark]:
    """Run ``systemctl VERB UNITS``. Returns the marks where the output of started units begins.

    Raises Failure with the last words of the units that failed.
    """
    if not units and verb != "daemon-reload":
        return {}
    marks: Dict[str, unit_output.Mark] = {}
    if verb in _STARTING:
        # Otherwise systemd would refuse an operator's next try after a few failures.
        forget_failures(units)
        marks = unit_output.marks(units)
        if verb == "restart":
            marks.update(_stop_writers(step, marks))
    try:
        run(step, " ".join(units) or verb, command=["systemctl", verb, *units], timeout=300)
    except Failure as failure:
        failed = [name for name, state in unit_states(units).items() if not state.active]
        # A unit whose reload failed still runs.
        named, reason = failed_units(failure.reason)
        failed += [name for name in named if name not in failed]
        words = [reason]
        # A failure is short: the first units are enough to find the cause.
        words += [unit_output.last_words(name, marks.get(name)) for name in failed[:_TOLD]]
        raise Failure(step, " ".join(failed or units) or verb, reason=readable("\n".join(words))) from None
    return marks


def _stop_writers(step: str, marks: Mapping[str, unit_output.Mark]) -> Dict[str, unit_output.Mark]:
    """Stop the units that write to a file of their own before they are restarted; their new marks.

    Otherwise the last lines of the old run and the first lines of the new run look alike in that file.
    """
    writers = [unit for unit in marks if marks[unit].files and unit_output.stands_alone(unit)]
    if writers:
        run(step, " ".join(writers), command=["systemctl", "stop", *writers], timeout=300)
    return {unit: marks[unit].moved() for unit in writers}


def forget_failures(units: Sequence[str]) -> None:
    """Let systemd forget that units failed."""
    _try(["systemctl", "reset-failed", *units])


def offline(verb: str, unit: str) -> None:
    """Run ``systemctl VERB UNIT`` on the files alone, while the host boots. Errors are ignored."""
    _try(["systemctl", "--root=/", verb, unit])


def enqueue(units: Sequence[str]) -> None:
    """Let the boot start units in their order, without waiting for them."""
    _try(["systemctl", "--no-block", "start", *units])


def _try(command: Sequence[str]) -> None:
    quiet = subprocess.DEVNULL
    subprocess.run(list(command), stdin=quiet, stdout=quiet, stderr=quiet, check=False)


def missing_packages(packages: Sequence[str]) -> List[str]:
    """The packages among these that are not installed."""
    if not packages:
        return []
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    installed = {line.split()[0] for line in lines if line.endswith(" installed")}
    return [name for name in packages if name not in installed]


def install(packages: Sequence[str]) -> None:
    """Install packages. Asks nothing, keeps config files, and starts no service. Raises Failure."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical"}
    subject = " ".join(packages)
    own_policy = not _POLICY.exists()
    if own_policy:
        _POLICY.write_text(_POLICY_TEXT)
        _POLICY.chmod(0o755)
    try:
        # A run that was cut off in the middle of an installation leaves packages half configured.
        configure = ["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"]
        run("packages", "dpkg", command=configure, environment=quiet)
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *_APT, *_KEEP, *packages]
        try:
            run("packages", subject, command=command, environment=quiet)
        except Failure:
            # The lists may be missing or older than the archive; that is worth one update, not one each time.
            run("packages", "apt-get update", command=["apt-get", "update", *_APT], environment=quiet)
            run("packages", subject, command=command, environment=quiet)
    finally:
        if own_policy:
            remove_policy()


def remove_policy() -> None:
    """Remove the policy-rc.d, if habla wrote it."""
    if _POLICY.is_file() and _POLICY.read_text(errors="replace") == _POLICY_TEXT:
        _POLICY.unlink()
