"""Turns the logs of services into rules in /etc/logrotate.d, and bounds the size of each log. Pure.

Rotation is by size, so a bound exists; ``worst_case`` computes it.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace

from habla.errors import Fault
from habla.model.disk import LogsSpec, size_bytes
from habla.model.globs import overlap
from habla.model.quoting import log_glob
from habla.model.service import Log
from habla.onhost.document import File

__all__ = [
    "JOURNAL_FILES",
    "RULES",
    "TIMER",
    "Bound",
    "bounds",
    "data_clashes",
    "rotation_rules",
    "rule_clashes",
    "timer_text",
    "worst_case",
]

RULES = "/etc/logrotate.d/"
TIMER = "/etc/systemd/system/logrotate.timer.d/habla.conf"
# So many files make up the journal; one more exists while the oldest goes.
JOURNAL_FILES = 8
# Seconds that one run of logrotate takes at most, during which logs grow further.
_RUN = 15


@dataclass(frozen=True)
class Bound:
    """The most that one log takes. bytes: all its files together, old ones too, at the worst moment.

    files: the number of files that the glob ``path`` matches.
    """

    rule: str
    path: str
    _: KW_ONLY
    bytes: int
    files: int = 1


def rotation_rules(logs: Iterable[Log], spec: LogsSpec) -> dict[str, File]:
    """Path -> rule file."""
    rules: dict[str, list[str]] = defaultdict(list)
    for log in sorted(_changed(logs, spec), key=lambda log: (log.rule, log.path)):
        rules[log.rule] += [
            f"{log_glob(log.path)} {{",
            f"    size {log.size}",
            f"    rotate {log.keep}",
            "    compress",
            "    missingok",
            "    notifempty",
            # Some log directories belong to their daemon's group; without this logrotate refuses them.
            "    su root root",
            *_how(log),
            "}",
        ]
    return {f"{RULES}{rule}": File("\n".join(lines) + "\n") for rule, lines in rules.items()}


def rule_clashes(logs: Iterable[Log]) -> Iterator[Fault]:
    """Logs that two rules would rotate. logrotate then leaves out all of the second rule's file.

    logs: of one host.
    """
    for log, other in itertools.combinations(sorted(set(logs), key=lambda log: (log.setting, log.rule)), 2):
        if overlap(log.path, other.path):
            first, second = (other, log) if other.setting else (log, other)
            at = f" ({second.setting})" if second.setting else ""
            rule = (
                f"only one rule may rotate a log; {second.path} of the rule {second.rule}{at} matches it too"
            )
            fix = "choose other files in one rule; logs.rules changes size and keep of a service's rule"
            where = first.setting or f"logs.rules.{first.rule}"
            yield Fault(where, "two rules rotate this log", value=first.path, rule=rule, fix=fix)


def data_clashes(logs: Iterable[Log], data: Iterable[str]) -> Iterator[Fault]:
    """Rules that would rotate data. data: directories of the services, that rotation may not touch."""
    for log in sorted(set(logs), key=lambda log: log.path):
        for directory in data:
            if log.setting and overlap(log.path.rpartition("/")[0], directory):
                rule = f"the files in {directory} are the data of a service, and rotation would destroy them"
                fix = "choose a path that matches only logs"
                yield Fault(
                    log.setting, "would rotate the data of a service", value=log.path, rule=rule, fix=fix
                )


def _how(log: Log) -> Sequence[str]:
    """How the writer gets a new file, which has the old one's owner and mode or the ones that are given."""
    lines = [f"    create {log.create}"] if log.create else []
    if log.reopen:
        lines += ["    sharedscripts", "    postrotate", f"        {log.reopen}", "    endscript"]
    return lines or ["    copytruncate"]


def bounds(logs: Iterable[Log], spec: LogsSpec) -> list[Bound]:
    """The bound of each log and of the journal, the largest first."""
    found = {
        Bound(log.rule, log.path, bytes=worst_case(log, spec), files=log.files)
        for log in _changed(logs, spec)
    }
    journal = size_bytes(spec.journal)
    found.add(Bound("journald", "/var/log/journal", bytes=journal + journal // JOURNAL_FILES))
    return sorted(found, key=lambda bound: (-bound.bytes, bound.rule, bound.path))


def worst_case(log: Log, spec: LogsSpec) -> int:
    """The most bytes that the files of a log take.

    A file is found too large at the latest one check after it has become so. Then there are, for a moment,
    the old ones, the one that is in the making (the copy, then its compressed form) and the live one.
    Compression may save nothing.
    """
    rate = size_bytes(log.rate or spec.rate)
    largest = size_bytes(log.size) + math.ceil(rate * (spec.check_seconds + _RUN) / 60)
    return log.files * (log.keep + 2) * largest


def timer_text(spec: LogsSpec) -> str:
    """When logrotate looks: by size it must look often; Debian's once a day is enough to fill a partition."""
    return (
        f"[Timer]\nOnCalendar=\nOnActiveSec=10s\nOnUnitActiveSec={spec.check_seconds}s\n"
        "AccuracySec=1s\nRandomizedDelaySec=0\n"
    )


def _changed(logs: Iterable[Log], spec: LogsSpec) -> Iterable[Log]:
    """The logs as the stack wants their rules."""
    for log in logs:
        change = spec.rules.get(log.rule)
        yield replace(log, **change.model_dump(exclude_none=True)) if change else log
