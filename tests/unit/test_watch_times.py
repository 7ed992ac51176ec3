"""The times and durations in messages are those that a person on the host would say."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from habla.cli.balancers import parse_stats
from habla.onhost.watch import events, message, peers
from habla.onhost.watch.events import Condition
from habla.onhost.watch.logs import Uncovered
from habla.onhost.watch.readable_times import duration, moment, since, stamp
from habla.onhost.watch.settings import Peer, Settings
from habla.onhost.watch.state import clock_back, empty

BERLIN, NEWFOUNDLAND, CHILE = "Europe/Berlin", "America/St_Johns", "America/Santiago"
SETTINGS = Settings("stable1", "lab")
# Ten or more digits in a row: a number of seconds since 1970, and nothing that a person reads.
EPOCH = re.compile(r"\d{9,}")


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone of this process; afterwards it is the machine's own again."""

    def use(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


def at(text: str, name: str = BERLIN, fold: int = 0) -> float:
    """Local time of a zone -> seconds since 1970. fold: 1 for the second 02:30 of a night with two."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((-5, "under 1 s"), (0, "under 1 s"), (1, "1 s"), (45.4, "45 s"), (119, "119 s")),
        *((120, "2 min"), (359, "6 min"), (3569, "59 min"), (3570, "1 h"), (3599, "1 h")),
        *((3900, "1 h 5 min"), (7200, "2 h"), (86369, "23 h 59 min"), (86390, "1 day")),
        *((97200, "1 day 3 h"), (183600, "2 days 3 h"), (172799, "2 days"), (40 * 86400, "40 days")),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    """Seconds up to two minutes, then minutes, hours and days, each rounded."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("name", "then", "now", "words"),
    [
        (BERLIN, "2026-11-26 14:02", "2026-11-26 14:08", "since 14:02, 6 min"),
        (BERLIN, "2026-11-26 14:02", "2026-11-26 14:02", "since 14:02, just now"),
        (BERLIN, "2026-11-25 23:58", "2026-11-26 00:04", "since yesterday 23:58, 6 min"),
        (BERLIN, "2026-11-25 14:03", "2026-11-26 14:02", "since yesterday 14:03, 23 h 59 min"),
        (BERLIN, "2026-11-25 14:02", "2026-11-26 14:02", "since 2026-11-25 14:02 CET, 1 day"),
        (BERLIN, "2025-12-31 23:50", "2026-01-01 00:10", "since yesterday 23:50, 20 min"),
        (BERLIN, "2026-03-29 01:50", "2026-03-29 03:10", "since 01:50 CET, 20 min"),
        (BERLIN, "2026-03-28 23:30", "2026-03-30 00:10", "since 2026-03-28 23:30 CET, 23 h 40 min"),
        (BERLIN, "2026-07-01 09:00", "2026-11-26 10:00", "since 2026-07-01 09:00 CEST, 148 days 2 h"),
        (NEWFOUNDLAND, "2026-11-25 14:02", "2026-11-27 14:02", "since 2026-11-25 14:02 NST, 2 days"),
        (CHILE, "2026-11-25 14:02", "2026-11-27 14:02", "since 2026-11-25 14:02 UTC-03:00, 2 days"),
        ("UTC", "2026-11-25 14:02", "2026-11-27 14:02", "since 2026-11-25 14:02 UTC, 2 days"),
        (
            *(BERLIN, "2026-11-26 15:02", "2026-11-26 14:02"),
            "since 2026-11-26 15:02 CET, later than the clock of this host shows now",
        ),
    ],
)
def test_a_time_is_as_short_as_it_can_be(
    zone: Callable[[str], None], name: str, then: str, now: str, words: str
) -> None:
    """An hour alone within a day, a date from a day on, a zone where it is not the one of now."""
    zone(name)
    assert since(at(then, name), at(now, name)) == words


def test_the_hour_that_comes_twice_is_told_apart(zone: Callable[[str], None]) -> None:
    """At the end of daylight saving time 02:58 may be before 02:04."""
    zone(BERLIN)
    first, second = at("2026-10-25 02:58"), at("2026-10-25 02:04", fold=1)
    assert since(first, second) == "since 02:58 CEST, 6 min"
    assert moment(at("2026-10-24 23:30"), second) == "yesterday 23:30 CEST"
    assert since(at("2026-10-25 00:30"), at("2026-10-25 23:50")) == "since 2026-10-25 00:30 CEST, 1 day"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (BERLIN, "2026-11-26 14:08 CET (UTC+01:00)"),
        (NEWFOUNDLAND, "2026-11-26 14:08 NST (UTC-03:30)"),
        (CHILE, "2026-11-26 14:08 UTC-03:00"),
        ("UTC", "2026-11-26 14:08 UTC"),
    ],
)
def test_a_message_has_its_own_time_with_its_zone(zone: Callable[[str], None], name: str, words: str) -> None:
    """A reader elsewhere knows when it was."""
    zone(name)
    assert stamp(at("2026-11-26 14:08", name)) == words


class Story:
    """Looks at one cause; the text of the message that each look makes."""

    def __init__(self) -> None:
        self.events: dict[str, Any] = {}

    def look(self, now: float, condition: Condition, taken: bool = True) -> list[str]:
        """The lines on time of each message that is due."""
        self.events = events.advance(self.events, {"x": condition}, now)
        found = []
        for notice in events.due(self.events):
            text = message.write(SETTINGS, notice, message.Context(), now).text
            assert not EPOCH.search(text), text
            found += text.partition("\n\n")[2].partition("\nTime of this message")[0].splitlines()
            if taken:
                self.events = events.mark(self.events, notice, now)
        return found


def space(level: str, **more: Any) -> Condition:
    """A partition at a level."""
    return Condition(level, "/var/log 87 % full", "space", **more)


def test_each_message_says_since_when_and_the_last_one_how_long_it_was(zone: Callable[[str], None]) -> None:
    """A partition that is critical since now, and was a warning before, is not critical since then."""
    zone(BERLIN)
    story = Story()
    assert story.look(at("2026-11-26 23:50"), space("warning")) == ["Since 23:50, just now."]
    assert story.look(at("2026-11-26 23:55"), space("warning")) == []
    assert story.look(at("2026-11-27 00:10"), space("critical")) == [
        "Critical since 00:10, just now; at least a warning since yesterday 23:50, 20 min."
    ]
    assert story.look(at("2026-11-27 00:30"), space("")) == [
        "It lasted 40 min, from yesterday 23:50 to 00:30; its worst level was critical."
    ]


def test_a_message_that_comes_late_says_how_long_it_has_been_so(zone: Callable[[str], None]) -> None:
    """While the mail server is down, the time goes on."""
    zone(BERLIN)
    story = Story()
    story.look(at("2026-11-26 14:02"), space("warning"), taken=False)
    assert story.look(at("2026-11-26 14:08"), space("warning")) == ["Since 14:02, 6 min."]


def test_what_flickered_untold_has_its_earlier_time(zone: Callable[[str], None]) -> None:
    """The message of its return says when it had been so, in hours and minutes."""
    zone(BERLIN)
    story = Story()
    story.look(at("2026-11-26 13:40"), space("critical"))
    story.look(at("2026-11-26 13:52"), space(""), taken=False)
    assert story.look(at("2026-11-26 14:02"), space("warning")) == [
        "Since 14:02, just now.",
        "It was critical before, for 12 min, from 13:40 to 13:52, and well in between.",
    ]


def test_what_must_be_well_for_a_while_is_over_since_it_became_well(zone: Callable[[str], None]) -> None:
    """The time that the watcher waits to be sure is not a part of the event."""
    zone(BERLIN)
    story = Story()
    story.look(at("2026-11-26 14:02"), space("warning", hold=900.0))
    assert story.look(at("2026-11-26 14:20"), space("", hold=900.0)) == []
    assert story.look(at("2026-11-26 14:36"), space("", hold=900.0)) == [
        "It lasted 18 min, from 14:02 to 14:20; its worst level was warning."
    ]


def test_a_record_of_an_earlier_version_is_still_told(zone: Callable[[str], None]) -> None:
    """It has no time of its level, and a number of seconds among its words, which nobody must read."""
    zone(BERLIN)
    story = Story()
    story.look(at("2026-11-26 14:02"), space("warning"), taken=False)
    del story.events["x"]["reached"]
    story.events["x"]["earlier"] = "critical before, from 1764000000 on"
    assert story.look(at("2026-11-26 14:08"), space("warning")) == ["Since 14:02, 6 min."]


def test_a_host_is_silent_since_it_was_last_heard(zone: Callable[[str], None]) -> None:
    """Not since somebody noticed, which is later by ``silent_seconds``."""
    zone(BERLIN)
    story, known, asked = Story(), {}, (Peer("stable2", "192.0.2.2"),)
    begin, told = at("2026-11-26 14:02"), []
    for number, sign in enumerate(["1", *[""] * 7, "2"]):
        known = peers.advance(known, {"stable2": (sign, "" if sign else "Timeout")}, begin + 30 * number)
        told += story.look(begin + 30 * number, peers.conditions(asked, known)["peer stable2"])
    assert told == [
        "Since 14:02, 3 min.",
        "It lasted 4 min, from 14:02 to 14:06; its worst level was critical.",
    ]


def test_a_log_has_no_rule_since_it_was_first_seen(zone: Callable[[str], None]) -> None:
    """The event begins when the log was first seen, not at this look; a fault of logrotate does the same."""
    zone(BERLIN)
    first = {"/a": at("2026-11-26 14:00"), "/b": at("2026-11-26 14:01"), "bad": at("2026-11-26 14:00")}
    now = at("2026-11-26 14:02")
    logs = events.of_logs([Uncovered("/b", 1, "/", "no rule", ""), Uncovered("/a", 1, "/", "", "")], first)
    assert Story().look(now, logs) == ["Since 14:00, 2 min."]
    assert Story().look(now, events.of_faults(["bad"], first)) == ["Since 14:00, 2 min."]


@pytest.mark.parametrize("back", [60.0, 3600.0, 40 * 86400.0])
def test_a_clock_that_is_set_back_makes_nothing_begin_in_the_future(
    zone: Callable[[str], None], back: float
) -> None:
    """Events, logs and peers move with the clock, so an event of 20 min is one of 20 min on the new clock."""
    zone("UTC")
    story, begin = Story(), at("2026-11-26 14:02", "UTC")
    story.look(begin, space("warning"))
    seen = {"stable2": {"value": "1", "changed": begin, "asked": begin + 1200, "why": ""}}
    state = {
        **empty(),
        "events": story.events,
        "logs": {"checked": begin + 1200, "first": {"/a": begin}},
        "peers": {"asked": begin + 1190, "seen": seen},
    }
    assert clock_back(state, begin + 1200) == 0.0
    now = begin + 1200 - back
    assert clock_back(state, now) == back
    record = state["events"]["x"]
    assert [now - at for at in (record["since"], record["reached"], record["told_at"])] == [1200.0] * 3
    assert state["logs"]["first"] == {"/a": begin - back}
    assert now - seen["stable2"]["changed"] == 1200
    story.events = state["events"]
    (words,) = story.look(now, space(""))
    assert words.startswith("It lasted 20 min, from ")


def test_an_empty_state_has_no_clock_to_set_back() -> None:
    """The first look of all knows no earlier one."""
    assert clock_back(empty(), 1000.0) == 0.0


def test_an_empty_state_is_what_a_state_is() -> None:
    """``load`` takes nothing that lacks a part."""
    assert set(empty()) == {"format", "events", "histories", "looks", "logs", "peers", "untold", "copied"}


def test_the_table_of_habla_status_has_readable_durations() -> None:
    """HAProxy 1.3 only says for how many seconds a server has been up or down."""
    row = "chat,web1,0,0,0,0,0,UP,3,5400"
    (server,) = parse_stats(
        "www", f"# pxname,svname,scur,qcur,smax,slim,stot,status,chkfail,lastchg\n{row}\n"
    )
    assert server.check == "3 failed, as now for 1 h 30 min"
