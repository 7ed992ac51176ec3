"""The rules of logrotate, from the output of ``logrotate -d``, which changes nothing."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Iterator

_SECONDS = 20
_BEGINS = "rotating pattern: "
_FILE = "considering log "
# logrotate 3.21 and 3.22 have the same words in another order and on other lines, so a description is read as
# one text: first the globs and when it rotates, then phrases in any order.
_PATTERN = re.compile(
    r"(?P<globs>.+?) +(?P<when>\d+ bytes|hourly|daily|weekly|monthly|yearly|after \d+ days"
    r"|forced from command line)(?= |$)(?P<more>.*)"
)
_EARLY = re.compile(r"(?<!only )log files >= (\d+)(?: bytes)? are rotated earlier")
_OLD_FOLDER = re.compile(r"olddir is (.+?),")
_SKIPPED = re.compile(r'^\s*error: skipping "(?P<path>[^"]+)" because (?P<why>.*)$')
# A rule without missingok of a log that is not there yet: nothing of it can grow.
_ABSENT = re.compile(r"^\s*error: stat of (?P<path>.+) failed: No such file or directory$")
# Of a line of the configuration, 3.22 only warns where 3.21 had an error.
_FAULT = re.compile(r"^\s*(?:error: |warning: (?=/\S+:\d+ ))(?P<words>.*)$")
# Names that logrotate gives to old files: numbered or dated, compressed or not.
_OLD = re.compile(r"^(?P<base>.+?)(?P<mark>\.\d{1,4}|-\d{6,}(?:[-_.]?\d+)*)(?P<end>(?:\.[A-Za-z]\w{0,9})*)$")
_PACKED = {".gz", ".xz", ".bz2", ".zst", ".lz4", ".lzma", ".Z", ".zip"}


@dataclass(frozen=True)
class Rule:
    """One pattern of logrotate. when: its own words, ``1048576 bytes`` or ``monthly``. bytes: 0 when only
    time makes it rotate.
    """

    globs: tuple[str, ...]
    when: str
    bytes: int = 0
    old: str = ""

    def matches(self, path: str) -> bool:
        """Whether a file of this name would be rotated, were it there."""
        return any(PurePosixPath(path).match(glob) for glob in self.globs)


@dataclass
class Rules:
    """All rules. covered: file -> its rule. refused: file -> why logrotate leaves it alone.

    faults: the faults of the configuration, in logrotate's words.
    """

    rules: list[Rule] = field(default_factory=list)
    covered: dict[str, Rule] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def rule_of(self, path: str) -> Rule | None:
        """The rule that rotates ``path``."""
        return self.covered.get(path) or next((rule for rule in self.rules if rule.matches(path)), None)

    def is_old(self, path: str) -> bool:
        """Whether a rotation left ``path``: ``x.log.1``, ``x.log.2.gz``, ``x-20240131.log``."""
        folder, name = os.path.split(path)
        found = _OLD.match(name)
        if found is None:
            return False
        ends = found["end"]
        extensions = {"", *(end for end in re.findall(r"\.\w+", ends) if end not in _PACKED)}
        bases = {found["base"] + end for end in extensions}
        folders = {folder, *self._folders_for(folder)}
        return any(self.rule_of(f"{place}/{base}") for place in folders for base in bases)

    def _folders_for(self, folder: str) -> set[str]:
        """The directories of the logs that keep their old files in ``folder``."""
        found = set()
        for path, rule in self.covered.items():
            parent = os.path.dirname(path)
            if rule.old and os.path.normpath(os.path.join(parent, rule.old)) == folder:
                found.add(parent)
        return found


def ask(config: str, scratch: str) -> Rules:
    """The rules of ``config``. scratch: a path for logrotate's state file, where it may not even exist."""
    command = ["logrotate", "-d", "-s", scratch, config]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C", "PATH": path},
            check=False,
        )
    except FileNotFoundError:
        return Rules(faults=["logrotate is not installed"])
    except subprocess.TimeoutExpired:
        return Rules(faults=[f"logrotate -d {config} did not end within {_SECONDS} s"])
    rules = parse(done.stdout.decode(errors="replace"))
    if not rules.rules and not rules.faults:
        rules.faults.append(f"logrotate -d {config} names no rule (exit status {done.returncode})")
    return rules


def parse(text: str) -> Rules:
    """The rules in the output of ``logrotate -d``."""
    found = Rules()
    current: Rule | None = None
    for line in _joined(text):
        skipped, absent = _SKIPPED.match(line), _ABSENT.match(line)
        if line.startswith(_BEGINS):
            current = _rule(line[len(_BEGINS) :])
            if current:
                found.rules.append(current)
            else:
                # A logrotate that speaks otherwise must not be taken for one whose rules are all well.
                found.faults.append(f"habla does not understand this line of logrotate: {line}")
        elif skipped:
            found.refused[skipped["path"]] = skipped["why"]
        elif absent:
            found.covered.pop(absent["path"], None)
        elif fault := _FAULT.match(line):
            found.faults.append(fault["words"])
        elif current and line.startswith(_FILE):
            # The first rule of a file is the one that counts; logrotate refuses a second.
            found.covered.setdefault(line[len(_FILE) :], current)
    for path in found.refused:
        found.covered.pop(path, None)
    return found


def _joined(text: str) -> Iterator[str]:
    """The lines of ``text``. The description of a rule, which ends before a file or an empty line, is one."""
    description = ""
    for line in text.splitlines():
        if description and (not line.strip() or line.startswith((_BEGINS, _FILE))):
            yield description
            description = ""
        if description or line.startswith(_BEGINS):
            description = f"{description} {line.strip()}".strip()
        else:
            yield line
    if description:
        yield description


def _rule(description: str) -> Rule | None:
    """The rule that logrotate describes, or None for words that are not known here."""
    pattern = _PATTERN.fullmatch(description)
    if not pattern:
        return None
    when = pattern["when"]
    # maxsize turns a rule by time into one by size; olddir moves the rotated files.
    early, old = _EARLY.search(pattern["more"]), _OLD_FOLDER.search(pattern["more"])
    size = int(early[1]) if early else int(when.split()[0]) if when.endswith(" bytes") else 0
    return Rule(_words(pattern["globs"]), when, size, old[1] if old else "")


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())
