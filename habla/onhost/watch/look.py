"""One look at the host: read it, compare it with the last looks, report, and remember."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import events, growth, logs, message, old_processes, openfiles, partitions, peers, rules, tell, trend
from .readable_times import duration
from .settings import Settings
from .state import Places, clock_back

# Logs and open files cost more than partitions, and change less.
LOGS_SECONDS = 55.0
_RATE_SECONDS = 120.0
# Without an earlier look, a file that was written since then may be the cause.
_RECENT_SECONDS = 600.0
_SCRATCH = "/run/habla-watch/logrotate.state"


@dataclass
class Report:
    """The result of one look, for the journal. said: the sent notices. faults: the steps that failed."""

    said: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass
class _Logs:
    """A look at logs and open files."""

    seen: logs.Seen
    rules: rules.Rules
    uncovered: list[logs.Uncovered]


def run(settings: Settings, places: Places, now: float) -> Report:
    """Look once, send due notices, remember, and leave a sign of life."""
    report = Report()
    state, fault = places.load()
    if fault:
        report.said.append(fault)
    back = clock_back(state, now)
    if back:
        report.said.append(f"the clock was set back by {duration(back)}: what is remembered moves with it")
    found = partitions.mounts(partitions.MOUNTINFO.read_text())
    present, report.faults = partitions.read(found)
    points = [partition.mount for partition in present]
    conditions = events.of_missing(settings, points)
    looked = None
    if not 0 <= now - state["logs"].get("checked", 0) < LOGS_SECONDS:
        looked = _look_at_logs(settings, found, points, state["looks"], now)
        conditions.update(_log_conditions(settings, looked, state, points, now))
    context = message.Context(present)
    bounded = state["logs"].get("bounded", {})
    for partition in present:
        history = trend.remember(
            state["histories"].get(partition.mount),
            now,
            partition.used,
            bounded.get(partition.mount, 0),
            settings.trend_minutes,
            settings.trend_hours,
        )
        state["histories"][partition.mount] = history
        rising = trend.trend(
            history,
            now,
            partition.used - bounded.get(partition.mount, 0),
            partition.available,
            settings.trend_minutes,
            settings.trend_hours,
        )
        conditions.update(events.of_partition(partition, settings, state["events"], rising))
        rate = trend.rate(history["samples"], now, partition.used, _RATE_SECONDS)
        if rate is not None:
            context.rates[partition.mount] = rate
    state["histories"] = {point: state["histories"][point] for point in points}
    conditions.update(_gone(state["events"], points))
    if not 0 <= now - state["peers"].get("asked", 0) < peers.ASK_SECONDS:
        seen = peers.advance(state["peers"].get("seen", {}), peers.ask(settings.peers, settings.snmp), now)
        state["peers"] = {"asked": now, "seen": seen}
        conditions.update(peers.conditions(settings.peers, seen))
    conditions.update(_old_processes(settings, report))
    before = state["events"]
    state["events"] = events.advance(before, conditions, now)
    due = events.due(state["events"])
    if due and looked is None:
        looked = _look_at_logs(settings, found, points, state["looks"], now)
    if looked is not None:
        context = _details(context, looked, due, points, state["looks"], now)
        state["looks"] = growth.kept(state["looks"], now, growth.sizes(looked.seen))
    # Due messages are kept before they are sent: a run that ends while it waits for a mail server loses none.
    places.save(state, now, urgent=bool(due))
    _tell(settings, state, due, context, now, report)
    fault = places.save(state, now, urgent=bool(due) or before.keys() != state["events"].keys())
    report.faults += [words for words in (fault, places.alive(now)) if words]
    return report


def _gone(recorded: dict[str, Any], points: list[str]) -> dict[str, events.Condition]:
    """Events of partitions that are no longer there are over."""
    found = {}
    for key, record in recorded.items():
        if record["kind"] in ("space", "inodes", "trend") and record["point"] not in points:
            words = f"{record['point']} is no longer mounted"
            found[key] = events.Condition("", words, record["kind"], record["point"])
    return found


def _old_processes(settings: Settings, report: Report) -> dict[str, events.Condition]:
    """One condition for each instance of HAProxy, unless its processes cannot be counted."""
    found = {}
    for instance, most in settings.old_processes.items():
        try:
            # The last one is the present process.
            count = max(len(old_processes.running(instance)) - 1, 0)
        except OSError as error:
            report.faults.append(str(error))
        else:
            found[f"old processes {instance}"] = events.of_old_processes(instance, count, most)
    return found


def _look_at_logs(
    settings: Settings,
    found: list[partitions.Mount],
    points: list[str],
    looks: list[dict[str, Any]],
    now: float,
) -> _Logs:
    in_memory = partitions.devices_in_memory(found)
    known = rules.ask(settings.logrotate, _SCRATCH)
    seen = logs.listed(settings.directories, in_memory)
    seen.open = list(openfiles.scan(in_memory).values())
    before = growth.baseline(looks, now)
    sizes = before["sizes"] if before else {}
    # Without its rules every log would look unbounded.
    listed = logs.uncovered(settings, known, seen, sizes, points) if known.rules else []
    return _Logs(seen, known, listed)


def _log_conditions(
    settings: Settings, looked: _Logs, state: dict[str, Any], points: list[str], now: float
) -> dict[str, events.Condition]:
    """Only a fault that lasts counts, because packages and deployments write a log before its rule."""
    first: dict[str, float] = state["logs"].get("first", {})
    faults = [*looked.rules.faults]
    if looked.seen.cut:
        faults.append(f"more than {logs.MOST} files in log directories: not all could be looked at")
    current = [*(log.path for log in looked.uncovered), *faults]
    first = {item: min(first.get(item, now), now) for item in current}
    bounded = logs.bounded(looked.rules, looked.seen, points)
    state["logs"] = {"checked": now, "first": first, "bounded": bounded}

    def settled(item: str) -> bool:
        return now - first[item] >= settings.settle_seconds

    conditions = {"faults": events.of_faults([fault for fault in faults if settled(fault)], first)}
    if looked.rules.rules:
        conditions["logs"] = events.of_logs((log for log in looked.uncovered if settled(log.path)), first)
    return conditions


def _details(
    context: message.Context,
    looked: _Logs,
    due: list[events.Notice],
    points: list[str],
    looks: list[dict[str, Any]],
    now: float,
) -> message.Context:
    """The files that a message names."""
    before = growth.baseline(looks, now)
    since = before["time"] if before else now - _RECENT_SECONDS
    for point in sorted({notice.record["point"] for notice in due if notice.record["level"]} & {*points}):
        sizes = growth.sizes(looked.seen)
        sizes.update(growth.recent(point, since, sizes))
        context.growth[point] = growth.fastest(point, points, sizes, before, looked.seen, now)
    return message.Context(context.partitions, context.rates, context.growth, looked.uncovered)


def _tell(
    settings: Settings,
    state: dict[str, Any],
    due: list[events.Notice],
    context: message.Context,
    now: float,
    report: Report,
) -> None:
    if not due:
        state["untold"] = ""
        return
    messages = [message.write(settings, notice, context, now) for notice in due]
    taken, fault = tell.tell(settings, messages)
    for notice, sent, done in zip(due, messages, taken):
        if done:
            state["events"] = events.mark(state["events"], notice, now)
            report.said.append(tell.one_line(sent.subject))
    if fault and fault != state["untold"]:
        # Once, not with each run. Nor is it this run's failure: a deployment goes on without a mail server.
        report.said.append(f"cannot tell, and will try again: {fault}")
    state["untold"] = fault


def logs_document(settings: Settings) -> tuple[dict[str, Any], int]:
    """The logs without a bound, for ``habla logs``, and the exit status."""
    found = partitions.mounts(partitions.MOUNTINFO.read_text())
    points = [mount.point for mount in partitions.real(found)]
    looked = _look_at_logs(settings, found, points, [], 0.0)
    document = {
        "format": 1,
        "host": settings.host,
        "faults": looked.rules.faults,
        "uncovered": [log.plain() for log in looked.uncovered],
        "covered": {path: rule.bytes for path, rule in sorted(looked.rules.covered.items()) if rule.bytes},
    }
    if not looked.rules.rules or looked.seen.cut:
        return document, 2
    return document, 1 if looked.uncovered else 0
